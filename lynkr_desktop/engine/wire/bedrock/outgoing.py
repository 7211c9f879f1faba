"""The canonical request to a body of Converse."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from lynkr_desktop.engine.wire.anthropic.learned import Learned
from lynkr_desktop.engine.wire.anthropic.schemas import closed_schema
from lynkr_desktop.engine.wire.bedrock.conversation import Conversation, Names, cache_point
from lynkr_desktop.engine.wire.canonical import Json, Reasoning, Request, Tool, ToolUse
from lynkr_desktop.engine.wire.claude import BUDGETS, EFFORTS, LEAST_BUDGET, claude_model
from lynkr_desktop.engine.wire.dropped import vendor_fields
from lynkr_desktop.engine.wire.errors import Unsupported
from lynkr_desktop.engine.wire.fields import encode_json

Family = Literal["claude", "nova", "gpt-oss", "other"]

_EFFORTS = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}
_JSON_ONLY = "Answer with a single JSON object and nothing else: no other text, no code fence."
_METADATA = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{0,256}")
_MOST_METADATA = 16


def family_of(model: str) -> Family:
    """Whose model it is, by its id or ARN; an ARN that only has a number in it tells nothing."""
    name = model.lower()
    if "claude" in name:
        return "claude"
    if "amazon.nova" in name:
        return "nova"
    return "gpt-oss" if "gpt-oss" in name else "other"


class ConverseRequest:
    """The body of POST /model/{model}/converse, and what did not fit into it.

    Args:
        request: the canonical request.
        model: an id, an inference profile or an ARN.
        learned: what the model is known to refuse.

    Attributes:
        body: the bytes to send.
        tool_names: from the names that the model sees to the client's, where the two differ.
        dropped: names of the fields that were left out because Converse or the model has no word for them.

    Raises:
        Unsupported: the answer depends on something that cannot be said to Converse.
    """

    def __init__(self, request: Request, model: str, learned: Learned = Learned()) -> None:  # noqa: B008 - immutable
        self._request = request
        self._most_tokens, self._refused = learned.most_tokens, learned.refused
        self._model = model
        self._family = family_of(model)
        self._claude = claude_model(model)
        self._dropped = _not_expressible(request)
        self._additional: Json = {}
        self._answer_fields: list[str] = []
        self._output: Json = {}
        self._keep_cache_control = self._family in ("claude", "nova")
        if self._keep_cache_control:
            self._dropped.discard("cache_control")
        if self._family == "claude":
            self._dropped -= {"signature", "strict"}
        names = Names.of(
            [
                *(tool.name for tool in request.tools),
                *(
                    block.name
                    for message in request.messages
                    for block in message.content
                    if isinstance(block, ToolUse)
                ),
            ]
        )
        self.tool_names = names.back
        offered = request.tools if request.tool_choice.kind != "none" else ()
        self._conversation = Conversation(
            request,
            names,
            tools=bool(offered),
            signed=self._family == "claude" and "signature" not in self._refused,
            cache_points=self._keep_cache_control,
        )
        body: Json = {"messages": self._conversation.messages}
        if system := list(self._system()):
            body["system"] = system
        if offered:
            body["toolConfig"] = self._tool_config(offered, names)
        self._reason()
        if inference := self._inference():
            body["inferenceConfig"] = inference
        self._format()
        if self._output:
            body["outputConfig"] = self._output
        if self._additional:
            body["additionalModelRequestFields"] = self._additional
        if self._answer_fields:
            body["additionalModelResponseFieldPaths"] = self._answer_fields
        if metadata := self._metadata():
            body["requestMetadata"] = metadata
        self.body = encode_json(body)

    @property
    def dropped(self) -> tuple[str, ...]:
        """In order."""
        return tuple(sorted(self._dropped))

    def _system(self) -> Iterator[Json]:
        for part in self._request.system:
            if part.text.strip():
                yield {"text": part.text}
                if self._keep_cache_control and (point := cache_point(part.extra)):
                    yield point
        wanted = self._request.response_format
        if wanted is not None and wanted.kind == "json_object":
            # Converse has no mode for JSON of any shape: it is asked for, not enforced.
            self._dropped.add("response_format")
            yield {"text": _JSON_ONLY}

    def _tool_config(self, tools: tuple[Tool, ...], names: Names) -> Json:
        entries: list[Json] = []
        for tool in tools:
            schema = tool.input_schema or {"properties": {}}
            spec: Json = {
                "name": names.safe[tool.name],
                "inputSchema": {"json": {"type": "object", **schema}},
            }
            if tool.description.strip():
                spec["description"] = tool.description
            if self._family == "claude" and tool.extra.get("strict") is True:
                spec["strict"] = True
            entries.append({"toolSpec": spec})
            if point := cache_point(tool.extra):
                if self._family == "claude":
                    entries.append(point)
                else:
                    self._dropped.add("cache_control")
        config: Json = {"tools": entries}
        choice = self._request.tool_choice
        if choice.kind == "required":
            config["toolChoice"] = {"any": {}}
        elif choice.kind == "named":
            if choice.name not in names.safe:
                raise Unsupported(f"tool_choice names {choice.name!r}, which is not offered.", "tool_choice")
            config["toolChoice"] = {"tool": {"name": names.safe[choice.name]}}
        return config

    # ------------------------------------------------------------ reasoning

    def _reason(self) -> None:
        """Asks for reasoning in the words of the model's family."""
        request = self._request
        reasoning = request.reasoning
        if reasoning is None or not reasoning.enabled:
            return
        level = reasoning.level
        if self._family == "claude" and self._claude_thinks(reasoning):
            return
        effort = _EFFORTS.get(level or "", "")
        if self._family == "nova" and "nova-2" in self._model and effort:
            if effort == "high" and (request.max_tokens, request.temperature, request.top_p) != (None,) * 3:
                # Its highest effort allows no limit beside it.
                effort = "medium"
            self._additional["reasoningConfig"] = {"type": "enabled", "maxReasoningEffort": effort}
        elif self._family == "gpt-oss" and effort:
            self._additional["reasoning_effort"] = effort
        else:
            self._dropped.add("thinking")

    def _claude_thinks(self, reasoning: Reasoning) -> bool:
        claude, request = self._claude, self._request
        assert claude is not None
        if not claude.thinks or "thinking" in self._refused:
            return False
        if request.tools and request.tool_choice.kind in ("required", "named"):
            # A tool that must be called leaves no room to think.
            return False
        budget = reasoning.budget_tokens
        budget_wanted = budget is not None and claude.takes_budget and "enabled" not in self._refused
        if claude.adaptive and not budget_wanted and "adaptive" not in self._refused:
            self._additional["thinking"] = {"type": "adaptive"}
            if (level := reasoning.level) and "effort" not in self._refused:
                self._output["effort"] = EFFORTS.get(level, level)
            return True
        if "enabled" in self._refused:
            return False
        if budget is None:
            budget = BUDGETS.get(reasoning.effort or "medium", BUDGETS["medium"])
            if request.max_tokens is not None:
                budget = min(budget, request.max_tokens // 2)
        if budget < LEAST_BUDGET or self._conversation.resumes_without_thinking:
            return False
        self._additional["thinking"] = {"type": "enabled", "budget_tokens": budget}
        return True

    # ------------------------------------------------------------ sampling

    def _inference(self) -> Json:
        request = self._request
        chosen: Json = {
            "temperature": request.temperature,
            "top_p": request.top_p,
            "top_k": request.top_k,
        }
        for name in self._refused_samplers():
            if chosen[name] is not None:
                chosen[name] = None
                self._dropped.add(name)
        if chosen["temperature"] is not None and chosen["temperature"] > 1:
            chosen["temperature"] = 1.0
            self._dropped.add("temperature")
        if chosen["top_k"] is not None:
            self._additional |= (
                {"top_k": request.top_k} if self._claude else {"inferenceConfig": {"topK": request.top_k}}
            )
        stops = request.stop
        if stops and self._claude is not None:
            stops = tuple(stop for stop in stops if stop.strip())
            if len(stops) < len(request.stop):
                # Claude refuses one that is only white space.
                self._dropped.add("stop")
            self._answer_fields.append("/stop_sequence")
        most = self._most_tokens
        limit = request.max_tokens
        if limit is not None and most is not None and limit > most:
            limit = most
            self._dropped.add("max_tokens")
        fields = {
            "maxTokens": limit,
            "temperature": chosen["temperature"],
            "topP": chosen["top_p"],
            "stopSequences": list(stops) or None,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def _refused_samplers(self) -> Iterator[str]:
        """What the model would refuse; values that are its defaults are no loss."""
        request, claude = self._request, self._claude
        yield from self._refused & {"temperature", "top_p", "top_k"}
        if claude is None:
            if self._family != "nova":
                yield "top_k"
            return
        fixed = "thinking" in self._additional or not claude.samples
        if fixed:
            yield "top_k"
            if request.temperature != 1:
                yield "temperature"
        low_top_p = request.top_p is not None and request.top_p < 0.95
        both = request.temperature is not None and request.top_p is not None
        both = both and (claude.one_sampler or "one_sampler" in self._refused)
        if not claude.samples or (fixed and low_top_p) or (both and not fixed):
            yield "top_p"

    def _format(self) -> None:
        wanted = self._request.response_format
        if wanted is None or wanted.kind != "json_schema":
            return
        schema = wanted.schema
        if self._claude is not None:
            schema, loosened = closed_schema(schema)
            self._dropped.update(f"response_format.{word}" for word in loosened)
        definition = {"schema": encode_json(schema).decode()}
        if wanted.name:
            definition["name"] = wanted.name
        self._output["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": definition}}

    def _metadata(self) -> Json:
        """Both sides have pairs of short strings, to find requests again in a log."""
        pairs = self._request.metadata
        fits = len(pairs) <= _MOST_METADATA and all(
            name and isinstance(value, str) and _METADATA.fullmatch(name) and _METADATA.fullmatch(value)
            for name, value in pairs.items()
        )
        if not fits:
            self._dropped.add("metadata")
        return pairs if fits else {}


def _not_expressible(request: Request) -> set[str]:
    """Names of what Converse has no word for, whatever the model."""
    dropped = vendor_fields(request)
    if request.seed is not None:
        dropped.add("seed")
    if request.user:
        dropped.add("user")
    if request.tools and request.tool_choice.parallel is False:
        dropped.add("parallel_tool_calls")
    return dropped
