"""Amazon Bedrock's Converse and ConverseStream, as bedrock-runtime answers them."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from urllib.parse import unquote

from aiohttp import web
from botocore.credentials import Credentials

from tests.support.fakes.aws import (
    event,
    exception,
    operation_input,
    origin_form,
    shape_fault,
    signature_fault,
)
from tests.support.fakes.base import (
    OUTPUT_TOKENS,
    PROMPT_TOKENS,
    Asked,
    Json,
    ScriptedServer,
    Wire,
    calls,
    pieces,
    texts,
    thoughts,
)
from tests.support.script import Reply

ACCESS_KEY = "AKIDEXAMPLEEXAMPLE00"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
BEARER = "ABSKQmVkcm9ja0FQSUtleS1leGFtcGxl"
SIGNATURE = "EqQBCgIYAhIkMTIzNDU2Nzg="

ENVIRON = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    "AWS_REGION": "us-east-1",
}
"""An environment whose requests the fake accepts."""

USAGE = {
    "inputTokens": PROMPT_TOKENS,
    "outputTokens": OUTPUT_TOKENS,
    "totalTokens": PROMPT_TOKENS + OUTPUT_TOKENS,
}


MODELS = [
    {
        "modelId": "anthropic.claude-3-haiku-20240307-v1:0",
        "inputModalities": ["TEXT", "IMAGE"],
        "outputModalities": ["TEXT"],
        "responseStreamingSupported": True,
        "inferenceTypesSupported": ["ON_DEMAND"],
        "modelLifecycle": {"status": "ACTIVE"},
    },
    {
        "modelId": "anthropic.claude-sonnet-4-5-20250929-v1:0",
        "inputModalities": ["TEXT", "IMAGE"],
        "outputModalities": ["TEXT"],
        "inferenceTypesSupported": ["INFERENCE_PROFILE"],
        "modelLifecycle": {"status": "ACTIVE"},
    },
    {
        "modelId": "amazon.titan-text-express-v1",
        "inputModalities": ["TEXT"],
        "outputModalities": ["TEXT"],
        "inferenceTypesSupported": ["ON_DEMAND"],
        "modelLifecycle": {"status": "LEGACY"},
    },
]
PROFILES = [
    {
        "inferenceProfileId": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "type": "SYSTEM_DEFINED",
        "status": "ACTIVE",
    },
    {"inferenceProfileId": "us.stability.image-v1:0", "type": "SYSTEM_DEFINED", "status": "ACTIVE"},
]


class BedrockFake(ScriptedServer):
    """A provider behind {url}/model/{modelId}.

    Attributes:
        credentials: what requests must be signed with.
        bearer: the API key that is accepted instead.
        usage: the token counts of every answer.
        listed: requests for lists of models and for profiles.
        behind: the models behind applications' own profiles, by their ARNs.
    """

    def __init__(self, *replies: Reply) -> None:
        super().__init__(*replies)
        self.credentials = Credentials(ACCESS_KEY, SECRET_KEY)
        self.bearer = BEARER
        self.usage: Json = dict(USAGE)
        self.listed: list[Asked] = []
        self.behind: dict[str, str] = {}

    def routes(self) -> list[web.RouteDef]:
        """Both operations; a model's id may have escaped slashes in it."""
        return [
            web.post(r"/model/{model:.+}/{operation:converse(-stream)?}", self.handle),
            web.get("/foundation-models", self._list),
            web.get("/inference-profiles", self._list),
            web.get("/inference-profiles/{profile:.+}", self._list),
        ]

    def wire(self, asked: Asked) -> Wire:
        """Frames of Converse."""
        return ConverseWire(asked, self.usage)

    def check(self, asked: Asked) -> tuple[int, str] | None:
        """Access first, then the published shape, then the rules that stand in no shape."""
        if fault := self._access_fault(asked):
            return 403, fault
        try:
            body = asked.json
        except ValueError:
            return 400, "The request body is not valid JSON."
        operation = "ConverseStream" if asked.path.endswith("-stream") else "Converse"
        fault = shape_fault(body, operation_input("bedrock-runtime", operation))
        model = model_of(asked)
        fault = fault or conversation_fault(body) or model_fault(body, self.behind.get(model, model))
        return (400, fault) if fault else None

    async def _list(self, request: web.Request) -> web.StreamResponse:
        """The control plane's lists."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = await request.read()
        asked = Asked("GET", request.path, dict(request.query), headers, body, request.raw_path)
        self.listed.append(asked)
        if fault := self._access_fault(asked):
            return web.json_response({"message": fault}, status=403)
        if profile := request.match_info.get("profile"):
            if profile not in self.behind:
                return web.json_response({"message": "The resource was not found."}, status=404)
            model = {"modelArn": f"arn:aws:bedrock:us-east-1::foundation-model/{self.behind[profile]}"}
            return web.json_response({"inferenceProfileArn": profile, "models": [model]})
        if request.path == "/inference-profiles":
            return web.json_response({"inferenceProfileSummaries": PROFILES})
        return web.json_response({"modelSummaries": MODELS})

    def _access_fault(self, asked: Asked) -> str:
        authorization = asked.headers.get("authorization", "")
        if authorization.startswith("Bearer "):
            return "" if authorization == f"Bearer {self.bearer}" else "Invalid API Key format"
        url = origin_form(self.url, asked.target)
        return signature_fault(asked.method, url, asked.headers, asked.body, self.credentials, "bedrock")


def model_of(asked: Asked) -> str:
    """The model's id, as it was before it was escaped."""
    return unquote(asked.target.split("/model/", 1)[1].rpartition("/")[0])


def conversation_fault(body: Json) -> str:
    """What the service says of a conversation that is not in order."""
    messages = body.get("messages", [])
    if not messages:
        return "The conversation must have at least one message."
    if messages[0]["role"] != "user":
        return "A conversation must start with a user message."
    tools_used = False
    names: set[str] = set()
    ids: set[str] = set()
    for number, message in enumerate(messages):
        where = f"messages.{number}.content"
        content = message["content"]
        if not content:
            return f"The content field in the Message object at messages.{number} is empty."
        if number and message["role"] == messages[number - 1]["role"]:
            return "A conversation must alternate between user and assistant roles."
        before = messages[number - 1]["content"] if number else []
        asked = [block["toolUse"]["toolUseId"] for block in before if "toolUse" in block]
        results = [block["toolResult"]["toolUseId"] for block in content if "toolResult" in block]
        if sorted(asked) != sorted(results):
            return f"Expected toolResult blocks at {where} for the following Ids: {asked}, got {results}"
        if results and not all("toolResult" in b or "cachePoint" in b for b in content[: len(results)]):
            return f"{where}: toolResult blocks must come first."
        tools_used = tools_used or bool(asked)
        for position, block in enumerate(content):
            at = f"{where}.{position}"
            if "text" in block and not block["text"].strip():
                return f"The text field in the ContentBlock object at {at} is blank."
            if ("image" in block or "document" in block) and message["role"] != "user":
                return f"The image or document at {at} is only allowed in user messages."
            if "toolUse" in block:
                if message["role"] != "assistant":
                    return f"The toolUse block at {at} is only allowed in assistant messages."
                if block["toolUse"]["toolUseId"] in ids:
                    return f"{at}: toolUse ids must be unique."
                ids.add(block["toolUse"]["toolUseId"])
                if not isinstance(block["toolUse"]["input"], dict):
                    return f"The format of the value at {at}.toolUse.input is invalid. Provide a json object."
            if "document" in block:
                name = block["document"]["name"]
                if not all(char.isascii() and (char.isalnum() or char in " -()[]") for char in name):
                    return "The document file name can only contain alphanumeric characters and the like."
                if "  " in name:
                    return "The document file name cannot contain more than one consecutive whitespace."
                if name in names:
                    return "The messages contain duplicate document names."
                names.add(name)
        if any("document" in block for block in content) and not any("text" in block for block in content):
            return f"A text block must be included with the document at {where}."
    if tools_used and "toolConfig" not in body:
        return "The toolConfig field must be defined when using toolUse and toolResult content blocks."
    return ""


def model_fault(body: Json, model: str) -> str:
    """What the models themselves refuse: Claude's rules for reasoning, others' for unknown fields."""
    more = body.get("additionalModelRequestFields") or {}
    inference = body.get("inferenceConfig", {})
    blocks = [block for message in body["messages"] for block in message["content"]]
    points = [block for block in (*blocks, *body.get("system", ())) if "cachePoint" in block]
    if "claude" not in model:
        if points and "nova" not in model:
            return "You invoked an unsupported model or your request did not allow prompt caching."
        if any("reasoningContent" in block for block in blocks):
            return "This model doesn't support the reasoningContent field."
        known = {"inferenceConfig", "reasoningConfig"} if "nova" in model else {"reasoning_effort"}
        unknown = set(more) - known
        return f"extraneous key {sorted(unknown)} is not permitted" if unknown else ""
    for block in blocks:
        text = block.get("reasoningContent", {}).get("reasoningText")
        if text is not None and text.get("signature") != SIGNATURE:
            return "messages: Invalid `signature` in `thinking` block"
    thinking = more.get("thinking")
    if thinking is None:
        return ""
    if thinking["type"] == "enabled":
        if thinking["budget_tokens"] >= inference.get("maxTokens", 32000):
            return "`max_tokens` must be greater than `thinking.budget_tokens`."
        answers = [message["content"] for message in body["messages"] if message["role"] == "assistant"]
        if answers and "reasoningContent" not in answers[-1][0] and any("toolUse" in b for b in answers[-1]):
            return "Expected `thinking` or `redacted_thinking`, but found `tool_use`."
    if inference.get("temperature", 1) != 1:
        return "`temperature` may only be set to 1 when thinking is enabled."
    if set(body.get("toolConfig", {}).get("toolChoice", {})) - {"auto"}:
        return "Thinking may not be enabled when tool_choice forces tool use."
    return ""


class ConverseWire(Wire):
    """Event-stream frames, and Converse's whole answers."""

    stream_type = "application/vnd.amazon.eventstream"

    def __init__(self, asked: Asked, usage: Json) -> None:
        super().__init__(asked)
        self._usage = usage
        self._index = -1
        self._kind = ""
        self._calls = 0

    @property
    def streams(self) -> bool:
        """As the path says."""
        return self.asked.path.endswith("/converse-stream")

    def start(self) -> bytes:
        """The role."""
        return event("messageStart", {"role": "assistant"})

    def say(self, piece: str) -> bytes:
        """Text begins with its first delta; nothing announces it."""
        return self._into("text") + self._delta({"text": piece})

    def think(self, piece: str) -> bytes:
        """Reasoning; its signature comes when it is complete."""
        return self._into("reasoning") + self._delta({"reasoningContent": {"text": piece}})

    def call(self, name: str, arguments: Json) -> Iterator[bytes]:
        """Identity first, then the arguments in pieces of JSON text."""
        before = self._close()
        self._index, self._kind = self._index + 1, "tool"
        start = {"toolUse": {"toolUseId": self._new_id(), "name": name}}
        yield before + event("contentBlockStart", {"start": start, "contentBlockIndex": self._index})
        for piece in pieces(arguments) if arguments else ("",):
            yield self._delta({"toolUse": {"input": piece}})

    def end(self, reason: str, *, counts: bool) -> bytes:
        """Why it ended, then the counts."""
        out = self._close() + event("messageStop", {"stopReason": self._stop_reason(reason)})
        if counts:
            out += event("metadata", {"usage": self._usage, "metrics": {"latencyMs": 551}})
        return out

    def error_event(self, message: str) -> bytes:
        """An exception in the stream, or an error's body under a good status."""
        if self.streams:
            return exception("modelStreamErrorException", message, originalStatusCode=500)
        return json.dumps({"message": message}).encode()

    def whole(self, reply: Reply) -> bytes:
        """The message with its counts."""
        content: list[Json] = []
        if thoughts(reply):
            text = {"text": thoughts(reply), "signature": SIGNATURE}
            content.append({"reasoningContent": {"reasoningText": text}})
        if texts(reply):
            content.append({"text": texts(reply)})
        for call in calls(reply):
            made = {"toolUseId": self._new_id(), "name": call.name, "input": call.arguments}
            content.append({"toolUse": made})
        body: Json = {
            "metrics": {"latencyMs": 551},
            "output": {"message": {"content": content, "role": "assistant"}},
            "stopReason": self._stop_reason(reply.done_reason),
        }
        if reply.counts:
            body["usage"] = self._usage
        return json.dumps(body, ensure_ascii=False).encode()

    def failure(self, status: int, message: str) -> bytes:
        """Only the message; the kind of error is in a header."""
        return json.dumps({"message": message}).encode()

    def _into(self, kind: str) -> bytes:
        if self._kind == kind:
            return b""
        out = self._close()
        self._index, self._kind = self._index + 1, kind
        return out

    def _close(self) -> bytes:
        if not self._kind:
            return b""
        out = (
            self._delta({"reasoningContent": {"signature": SIGNATURE}}) if self._kind == "reasoning" else b""
        )
        self._kind = ""
        return out + event("contentBlockStop", {"contentBlockIndex": self._index})

    def _delta(self, delta: Json) -> bytes:
        return event("contentBlockDelta", {"contentBlockIndex": self._index, "delta": delta})

    def _new_id(self) -> str:
        self._calls += 1
        return f"tooluse_{base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip('=')}"

    def _stop_reason(self, reason: str) -> str:
        if self._calls:
            return "tool_use"
        return {"stop": "end_turn", "length": "max_tokens"}.get(reason, reason)
