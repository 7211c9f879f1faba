"""Azure: deployments of OpenAI's models with their dated versions, the v1 paths, and Claude."""

from __future__ import annotations

import json

from aiohttp import web

from tests.support.fakes.anthropic import MessagesWire
from tests.support.fakes.anthropic_rules import Refused, check_messages_body
from tests.support.fakes.base import Asked, Json, Wire
from tests.support.fakes.openai import ChatWire, OpenAIFake
from tests.support.fakes.openai_responses import ResponsesWire
from tests.support.script import Reply

KEY = "3f1c8f7ab2c94d03a1b2c3d4e5f60718"
ENTRA_TOKEN = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJodHRwczovL2NvZ25pdGl2ZSJ9.c2lnbmF0dXJl"

_SAFE = {
    "hate": {"filtered": False, "severity": "safe"},
    "self_harm": {"filtered": False, "severity": "safe"},
    "sexual": {"filtered": False, "severity": "safe"},
    "violence": {"filtered": False, "severity": "safe"},
}
_UNSAFE = {**_SAFE, "violence": {"filtered": True, "severity": "medium"}}

FILTERED = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."
"""The message of a refused prompt; a scripted failure with it gets the details that Azure sends."""


class AzureFake(OpenAIFake):
    """A resource behind {url}.

    Attributes:
        deployments: their names; all others are 404.
        key, token: what is accepted in `api-key`, and as a bearer.
        model: the model behind every deployment, which answers name.
    """

    def __init__(self, *replies: Reply) -> None:
        super().__init__(*replies)
        self.deployments = {"m", "gpt-4o", "simple", "medium", "complex", "reasoning", "embed"}
        self.key = KEY
        self.token = ENTRA_TOKEN
        self.model = "gpt-4o-2024-11-20"

    def routes(self) -> list[web.RouteDef]:
        """Deployments with an api-version, and v1."""
        return [
            web.post("/openai/deployments/{deployment}/chat/completions", self.handle),
            web.post("/openai/deployments/{deployment}/embeddings", self.embeddings),
            web.post("/openai/v1/chat/completions", self.handle),
            web.post("/openai/v1/embeddings", self.embeddings),
            web.post("/openai/v1/responses", self.handle),
            web.post("/openai/responses", self.handle),
            web.post("/anthropic/v1/messages", self.handle),
        ]

    def wire(self, asked: Asked) -> Wire:
        """Chat Completions with Azure's habits; Messages for Claude; Responses as OpenAI has them."""
        if asked.path.startswith("/anthropic/"):
            return MessagesWire(asked)
        return ResponsesWire(asked) if asked.path.endswith("/responses") else AzureChatWire(asked, self.model)

    def check(self, asked: Asked) -> tuple[int, str] | None:
        """Access, the version, the deployment."""
        bearer = asked.headers.get("authorization", "").removeprefix("Bearer ")
        if asked.headers.get("api-key") != self.key and bearer != self.token:
            return (
                401,
                "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a "
                "valid key for an active subscription and use a correct regional API endpoint.",
            )
        if asked.path.startswith("/anthropic/"):
            return _claude_fault(asked)
        if not asked.path.startswith("/openai/v1/") and not asked.query.get("api-version"):
            return 404, "Resource not found"
        if asked.path.startswith("/openai/deployments/"):
            deployment = asked.path.split("/")[3]
        else:
            deployment = asked.json.get("model", "")
        if deployment not in self.deployments:
            return 404, "The API deployment for this resource does not exist."
        return super().check(asked)

    async def embeddings(self, request: web.Request) -> web.StreamResponse:
        """As OpenAI, for who may ask."""
        asked = Asked(
            request.method,
            request.path,
            dict(request.query),
            {name.lower(): value for name, value in request.headers.items()},
            await request.read(),
            request.raw_path,
        )
        self.asked.append(asked)
        refused = self.check(asked)
        if refused is not None:
            status, message = refused
            body = AzureChatWire(asked).failure(status, message)
            return web.Response(status=status, body=body, content_type="application/json")
        return await self._embeddings(request)


def _claude_fault(asked: Asked) -> tuple[int, str] | None:
    """What Claude itself refuses."""
    if not asked.headers.get("anthropic-version"):
        return 400, "anthropic-version: header is required"
    try:
        check_messages_body(asked.json, betas=asked.headers.get("anthropic-beta", ""))
    except Refused as error:
        return error.status, error.message
    return None


class AzureChatWire(ChatWire):
    """Chunks with what Azure adds to them."""

    def __init__(self, asked: Asked, model: str = "") -> None:
        super().__init__(asked)
        self._model = model

    def start(self) -> bytes:
        """What the filter made of the prompt comes before the role, with nothing chosen."""
        filtered = [{"prompt_index": 0, "content_filter_results": _SAFE}]
        first = {
            "choices": [],
            "created": 0,
            "id": "",
            "model": "",
            "object": "",
            "prompt_filter_results": filtered,
        }
        return self._event(first) + super().start()

    def whole(self, reply: Reply) -> bytes:
        """A completion with the filter's results."""
        body = json.loads(super().whole(reply))
        for choice in body["choices"]:
            unsafe = choice["finish_reason"] == "content_filter"
            choice["content_filter_results"] = _UNSAFE if unsafe else _SAFE
        body["prompt_filter_results"] = [{"prompt_index": 0, "content_filter_results": _SAFE}]
        return json.dumps(body, ensure_ascii=False).encode()

    def failure(self, status: int, message: str) -> bytes:
        """The gateway's own shape for 401, OpenAI's for all else, with codes of Azure's."""
        if status == 401:
            return json.dumps({"statusCode": 401, "message": message}).encode()
        if message == FILTERED:
            inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": _UNSAFE}
            error: Json = {
                "message": message,
                "type": None,
                "param": "prompt",
                "code": "content_filter",
                "status": 400,
                "innererror": inner,
            }
        else:
            code = {404: "DeploymentNotFound"}.get(status, str(status))
            error = {"code": code, "message": message}
        return json.dumps({"error": error}).encode()
