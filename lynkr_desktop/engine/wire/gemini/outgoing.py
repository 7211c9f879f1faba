"""The canonical request to a generateContent body."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lynkr_desktop.engine.wire.canonical import (
    Block,
    Document,
    Image,
    Json,
    Message,
    Reasoning,
    Request,
    Text,
    Tool,
    ToolResult,
    ToolUse,
)
from lynkr_desktop.engine.wire.dropped import vendor_fields
from lynkr_desktop.engine.wire.errors import Unsupported
from lynkr_desktop.engine.wire.gemini.signatures import UNSIGNED, Signatures
from lynkr_desktop.engine.wire.pairing import paired_turns

_VERSION = re.compile(r"gemini-(\d+)(?:\.(\d+))?")
_NEWEST = (99, 0)
_MOST_STOPS = 5
_PENALTIES = {"presence_penalty": "presencePenalty", "frequency_penalty": "frequencyPenalty"}
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY", "named": "ANY"}
_LEVELS = {"minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM", "high": "HIGH"}
_BUDGETS = {"minimal": 512, "low": 1024, "medium": 8192, "high": 24576}
"""Tokens, as Google's own OpenAI-compatible service has them."""

_TYPES = {
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "pdf": "application/pdf",
    "txt": "text/plain",
}


@dataclass(frozen=True, slots=True)
class GeminiModel:
    """A generation of Gemini, told by the model's name; a name without a version counts as the newest."""

    name: str

    @property
    def version(self) -> tuple[int, int]:
        """The generation, such as (2, 5)."""
        found = _VERSION.search(self.name)
        return (int(found[1]), int(found[2] or 0)) if found else _NEWEST

    @property
    def thinks(self) -> bool:
        """Whether it takes a thinkingConfig."""
        return self.version >= (2, 5)

    @property
    def signs(self) -> bool:
        """Whether it insists on the signatures of its calls; such models take levels of thinking, too."""
        return self.version >= (3, 0)

    @property
    def budgets(self) -> tuple[int, int]:
        """The least and the most tokens of thinking (2.5); pro models cannot do without."""
        if "pro" in self.name:
            return 128, 32768
        return (512 if "lite" in self.name else 1), 24576

    @property
    def always_thinks(self) -> bool:
        """Whether thinking cannot be turned off."""
        return self.signs or "pro" in self.name


@dataclass(frozen=True, slots=True)
class Composed:
    """A body, and the names of the request's fields that it does not carry as they were."""

    body: Json
    dropped: tuple[str, ...]


def compose(request: Request, model: str, signatures: Signatures) -> Composed:
    """The body for `model`.

    Raises:
        Unsupported: the answer depends on something that Gemini cannot be told.
    """
    return _Composer(request, GeminiModel(model.lower()), signatures).compose()


class _Composer:
    def __init__(self, request: Request, model: GeminiModel, signatures: Signatures) -> None:
        self._request = request
        self._model = model
        self._signatures = signatures
        self._dropped = vendor_fields(request) - set(_PENALTIES)

    def compose(self) -> Composed:
        request = self._request
        body: Json = {"contents": self._contents()}
        if system := [{"text": part.text} for part in request.system if part.text.strip()]:
            body["systemInstruction"] = {"parts": system}
        if request.tools:
            body["tools"] = [{"functionDeclarations": [_encode_tool(tool) for tool in request.tools]}]
            choice = request.tool_choice
            calling: Json = {"mode": _MODES[choice.kind]}
            if choice.kind == "named":
                calling["allowedFunctionNames"] = [choice.name]
            if choice.parallel is False:
                self._dropped.add("parallel_tool_calls")
            body["toolConfig"] = {"functionCallingConfig": calling}
        if config := self._config():
            body["generationConfig"] = config
        if request.user:
            self._dropped.add("user")
        if request.metadata:
            self._dropped.add("metadata")
        return Composed(body, tuple(sorted(self._dropped)))

    # ------------------------------------------------------------ settings

    def _config(self) -> Json:
        request = self._request
        if len(request.stop) > _MOST_STOPS:
            raise Unsupported(f"Gemini takes at most {_MOST_STOPS} stop sequences.", "stop")
        seed = request.seed
        if seed is not None and not -(2**31) <= seed < 2**31:
            self._dropped.add("seed")
            seed = None
        config: Json = {
            "maxOutputTokens": request.max_tokens,
            "temperature": request.temperature,
            "topP": request.top_p,
            "topK": request.top_k or None,
            "stopSequences": list(request.stop) or None,
            "seed": seed,
            **{name: request.extra.get(field) for field, name in _PENALTIES.items()},
        }
        config = {name: value for name, value in config.items() if value is not None}
        if (wanted := request.response_format) is not None:
            if request.tools and not self._model.signs:
                raise Unsupported(
                    f"{self._model.name} cannot be given tools and a format of the answer at once.",
                    "response_format",
                )
            config["responseMimeType"] = "application/json"
            if wanted.kind == "json_schema":
                config["responseJsonSchema"] = _plain_schema(wanted.schema)
        if request.reasoning is not None and (thinking := self._thinking(request.reasoning)):
            config["thinkingConfig"] = thinking
        return config

    def _thinking(self, reasoning: Reasoning) -> Json:
        model = self._model
        if not model.thinks:
            if reasoning.enabled:
                self._dropped.add("thinking")
            return {}
        if not reasoning.enabled:
            if model.always_thinks:
                self._dropped.add("thinking")
            if model.signs:
                return {"thinkingLevel": "MINIMAL" if "flash" in model.name else "LOW"}
            return {"thinkingBudget": model.budgets[0] if model.always_thinks else 0}
        thinking: Json = {"includeThoughts": True}
        level = reasoning.level
        if model.signs:
            if reasoning.budget_tokens is not None:
                self._dropped.add("thinking.budget_tokens")
            if level is not None:
                if level not in _LEVELS:
                    self._dropped.add("effort")
                thinking["thinkingLevel"] = _LEVELS.get(level, "HIGH")
        elif (budget := reasoning.budget_tokens or _BUDGETS.get(level or "")) is not None:
            least, most = model.budgets
            thinking["thinkingBudget"] = min(max(budget, least), most)
            if budget > most:
                self._dropped.add("thinking.budget_tokens")
        elif level is not None:
            thinking["thinkingBudget"] = model.budgets[1]
            self._dropped.add("effort")
        return thinking

    # ------------------------------------------------------------ turns

    def _contents(self) -> list[Json]:
        names: dict[str, str] = {}
        contents: list[Json] = []
        for turn in paired_turns(self._request.messages, thoughts=False):
            if turn.role == "assistant":
                parts = self._model_parts(turn)
                names = {block.id: block.name for block in turn.content if isinstance(block, ToolUse)}
                contents.append({"role": "model", "parts": parts})
            else:
                contents.append({"role": "user", "parts": _user_parts(turn, names)})
        return contents

    def _model_parts(self, turn: Message) -> list[Json]:
        parts: list[Json] = []
        first = True
        for block in turn.content:
            if not isinstance(block, ToolUse):
                parts.append(_encode_part(block))
                continue
            part: Json = {"functionCall": {"name": block.name, "args": block.input}}
            signature = self._signatures.of(block.id)
            if signature is None and first and self._model.signs:
                # Of parallel calls only the first is signed.
                signature = UNSIGNED
            if signature is not None:
                part["thoughtSignature"] = signature
            parts.append(part)
            first = False
        return parts


def _user_parts(turn: Message, names: dict[str, str]) -> list[Json]:
    """The functions' answers first; what they show, and Gemini takes no picture within, comes behind them."""
    answers: list[Json] = []
    shown: list[Json] = []
    rest: list[Json] = []
    for block in turn.content:
        if isinstance(block, ToolResult):
            word = "error" if block.is_error else "output"
            response = {"name": names[block.tool_use_id], "response": {word: block.text}}
            answers.append({"functionResponse": response})
            shown += [
                _encode_part(part)
                for part in block.content
                if isinstance(part, Image) or (isinstance(part, Document) and not part.text)
            ]
        else:
            rest.append(_encode_part(block))
    return answers + shown + rest


def _encode_part(block: Block) -> Json:
    match block:
        case Text():
            return {"text": block.text}
        case Image() if block.url:
            return {"fileData": {"fileUri": block.url, "mimeType": _type_of(block.url, "image/jpeg")}}
        case Image() if block.data:
            return {"inlineData": {"mimeType": block.media_type or "image/png", "data": block.data}}
        case Document() if block.text:
            return {"text": block.text}
        case Document() if block.url:
            return {"fileData": {"fileUri": block.url, "mimeType": _type_of(block.url, "application/pdf")}}
        case Document() if block.data:
            kind = block.media_type or "application/pdf"
            return {"inlineData": {"mimeType": kind, "data": block.data}}
    raise Unsupported(f"Gemini cannot be given this {type(block).__name__.lower()}.", "messages")


def _type_of(url: str, usual: str) -> str:
    """The media type that a link's ending tells; Google wants one."""
    return _TYPES.get(url.split("?", 1)[0].rpartition(".")[2].lower(), usual)


def _encode_tool(tool: Tool) -> Json:
    out: Json = {"name": tool.name, "description": tool.description or tool.name}
    if tool.input_schema:
        out["parametersJsonSchema"] = _plain_schema(tool.input_schema)
    return out


def _plain_schema(schema: Json) -> Json:
    return {word: value for word, value in schema.items() if word not in ("$schema", "$id")}
