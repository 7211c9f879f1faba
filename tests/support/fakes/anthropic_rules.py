"""What the Messages API refuses, with its own words."""

from __future__ import annotations

import hashlib
import re
from typing import Any

Json = dict[str, Any]

_FIELDS = frozenset(
    {
        *("model", "messages", "max_tokens", "system", "metadata", "stop_sequences", "stream", "temperature"),
        *("top_k", "top_p", "tools", "tool_choice", "thinking", "output_config", "service_tier", "container"),
        *("context_management", "mcp_servers", "inference_geo", "speed", "cache_control", "diagnostics"),
        *("output_format", "fallbacks", "thread"),
    }
)
_BLOCK_FIELDS = {
    "text": {"type", "text", "cache_control", "citations"},
    "image": {"type", "source", "cache_control", "transformations"},
    "document": {"type", "source", "title", "context", "citations", "cache_control"},
    "thinking": {"type", "thinking", "signature"},
    "redacted_thinking": {"type", "data"},
    "tool_use": {"type", "id", "name", "input", "cache_control", "caller", "toolset_name"},
    "tool_result": {"type", "tool_use_id", "content", "is_error", "cache_control", "toolset_name"},
}
_IMAGE_TYPES = {"image/jpeg", "image/png", "image/gif", "image/webp"}
_EFFORTS = {"low", "medium", "high", "xhigh", "max"}
_ID = re.compile(r"^[a-zA-Z0-9_-]+$")
_TOOL_NAME = re.compile(r"^[a-zA-Z0-9_-]{1,128}$")
_NEWER = re.compile(r"opus-4-[78]|(?:opus|sonnet|haiku|fable|mythos)-5")
_ADAPTIVE = re.compile(r"4-6|" + _NEWER.pattern)
_MAX_TOKENS = {"claude-3-haiku": 4096, "claude-3-5-haiku": 8192, "claude-opus-4-1": 32000}


class Refused(Exception):
    """The API answers with an error."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


def check_messages_body(body: Any, *, betas: str = "", model: str = "") -> None:
    """Raises `Refused` for what the API would not take.

    Args:
        body: the decoded body.
        betas: the anthropic-beta header.
        model: the model where the address carries it (Vertex): then the body must not.
    """
    if not isinstance(body, dict):
        raise Refused("Input should be a valid dictionary")
    known = set(_FIELDS)
    if model:
        known = known - {"model"} | {"anthropic_version", "anthropic_beta"}
        if body.get("anthropic_version") != "vertex-2023-10-16":
            raise Refused("anthropic_version: Field required")
    for name in body:
        if name not in known:
            raise Refused(f"{name}: Extra inputs are not permitted")
    if not model:
        if not isinstance(body.get("model"), str) or not body["model"]:
            raise Refused("model: Field required")
        model = body["model"]
    limit = body.get("max_tokens")
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise Refused("max_tokens: Field required")
    if limit < 1:
        raise Refused("max_tokens: Input should be greater than or equal to 1")
    most = next((most for name, most in _MAX_TOKENS.items() if model.startswith(name)), 64000)
    if limit > most:
        raise Refused(
            f"max_tokens: {limit} > {most}, which is the maximum allowed number of output tokens for {model}"
        )
    if "output_format" in body and "structured-outputs" not in betas:
        raise Refused("output_format: Extra inputs are not permitted")
    _check_system(body.get("system"))
    tools = _check_tools(body)
    _check_sampling(body, model)
    thinking = _check_thinking(body, model, limit)
    _check_output_config(body, model)
    _check_conversation(body, tools, thinking, betas)


def _check_system(system: Any) -> None:
    if system is None or isinstance(system, str):
        return
    for number, block in enumerate(system):
        if block.get("type") != "text":
            raise Refused(f"system.{number}.type: Input should be 'text'")
        if not block.get("text"):
            raise Refused("system: text content blocks must be non-empty")
        if not block["text"].strip():
            raise Refused("system: text content blocks must contain non-whitespace text")
        _check_fields(block, "text", f"system.{number}")


def _check_tools(body: Json) -> set[str]:
    names: set[str] = set()
    for number, tool in enumerate(body.get("tools") or ()):
        path = f"tools.{number}"
        if tool.get("type", "custom") != "custom":
            names.add(tool.get("name", ""))
            continue
        name = tool.get("name", "")
        if not _TOOL_NAME.match(name):
            raise Refused(f"{path}.custom.name: String should match pattern '{_TOOL_NAME.pattern}'")
        if name in names:
            raise Refused("tools: Tool names must be unique.")
        names.add(name)
        schema = tool.get("input_schema")
        if not isinstance(schema, dict):
            raise Refused(f"{path}.custom.input_schema: Field required")
        if schema.get("type") != "object":
            raise Refused(f"{path}.custom.input_schema.type: Field required")
        for word in ("oneOf", "allOf", "anyOf"):
            if word in schema:
                raise Refused(
                    f"{path}.custom.input_schema: input_schema does not support oneOf, allOf, or anyOf at "
                    "the top level"
                )
        extra = set(tool) - {
            *("type", "name", "description", "input_schema", "cache_control", "strict", "input_examples"),
            *("allowed_callers", "defer_loading", "eager_input_streaming"),
        }
        if extra:
            raise Refused(f"{path}.custom.{min(extra)}: Extra inputs are not permitted")
    choice = body.get("tool_choice")
    if choice is not None:
        if not names:
            raise Refused("tool_choice: tool_choice may only be specified while providing tools")
        kind = choice.get("type")
        if kind not in ("auto", "any", "tool", "none"):
            raise Refused("tool_choice: Input tag does not match any of the expected tags")
        if kind == "none" and "disable_parallel_tool_use" in choice:
            raise Refused("tool_choice.none.disable_parallel_tool_use: Extra inputs are not permitted")
        if kind == "tool" and choice.get("name") not in names:
            raise Refused(f"Tool '{choice.get('name')}' not found in provided tools")
    return names


def _check_sampling(body: Json, model: str) -> None:
    temperature, top_p, top_k = body.get("temperature"), body.get("top_p"), body.get("top_k")
    if temperature is not None and not 0 <= temperature <= 1:
        raise Refused("temperature: range: 0..1")
    if top_p is not None and not 0 <= top_p <= 1:
        raise Refused("top_p: range: 0..1")
    if _NEWER.search(model):
        for name, value in (("temperature", temperature), ("top_p", top_p), ("top_k", top_k)):
            if value is not None:
                raise Refused(f"`{name}` is deprecated for this model.")
    elif temperature is not None and top_p is not None and "claude-3" not in model:
        raise Refused(
            "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
        )


def _check_thinking(body: Json, model: str, limit: int) -> str:
    thinking = body.get("thinking")
    if thinking is None:
        return ""
    kind = thinking.get("type")
    if kind == "disabled":
        return ""
    if kind not in ("enabled", "adaptive"):
        raise Refused("thinking: Input tag does not match any of the expected tags")
    if kind == "enabled":
        if _NEWER.search(model):
            raise Refused(
                '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and '
                '"output_config.effort" to control thinking behavior.'
            )
        if thinking.get("budget_tokens", 0) < 1024:
            raise Refused("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
        if thinking["budget_tokens"] >= limit:
            raise Refused("`max_tokens` must be greater than `thinking.budget_tokens`.")
    elif not _ADAPTIVE.search(model):
        raise Refused("adaptive thinking is not supported on this model")
    if body.get("temperature") not in (None, 1):
        raise Refused("`temperature` may only be set to 1 when thinking is enabled.")
    if body.get("top_k") is not None:
        raise Refused("`top_k` must be unset when thinking is enabled.")
    if body.get("top_p") is not None and body["top_p"] < 0.95:
        raise Refused("`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.")
    if (body.get("tool_choice") or {}).get("type") in ("any", "tool"):
        raise Refused("Thinking may not be enabled when tool_choice forces tool use.")
    return str(kind)


def _check_output_config(body: Json, model: str) -> None:
    config = body.get("output_config") or {}
    for name in config:
        if name not in ("effort", "format", "task_budget"):
            raise Refused(f"output_config.{name}: Extra inputs are not permitted")
    effort = config.get("effort")
    if effort is not None:
        if effort not in _EFFORTS:
            raise Refused("output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'")
        if "opus-4-5" not in model and not _ADAPTIVE.search(model):
            raise Refused("This model does not support the effort parameter.")
    wanted = config.get("format")
    if wanted is not None:
        if wanted.get("type") != "json_schema" or not isinstance(wanted.get("schema"), dict):
            raise Refused("output_config.format: Input should be a json_schema")
        if set(wanted) - {"type", "schema"}:
            raise Refused("output_config.format: Extra inputs are not permitted")
        _check_schema(wanted["schema"])


def _check_schema(schema: Any) -> None:
    if isinstance(schema, list):
        for item in schema:
            _check_schema(item)
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        raise Refused(
            "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set "
            "to false"
        )
    for word in ("minimum", "maximum", "multipleOf", "minLength", "maxLength", "maxItems", "pattern"):
        if word in schema and not isinstance(schema[word], dict):
            kind = schema.get("type", "")
            raise Refused(
                f"output_config.format.schema: For '{kind}' type, property '{word}' is not supported"
            )
    for name, value in schema.items():
        if name in ("properties", "$defs"):
            for inner in value.values():
                _check_schema(inner)
        else:
            _check_schema(value)


def _check_conversation(body: Json, tools: set[str], thinking: str, betas: str) -> None:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Refused("messages: at least one message is required")
    turns: list[tuple[str, list[Json]]] = []
    for number, message in enumerate(messages):
        role, content = message.get("role"), message.get("content")
        if set(message) - {"role", "content"}:
            extra = min(set(message) - {"role", "content"})
            raise Refused(f"messages.{number}.{extra}: Extra inputs are not permitted")
        if role == "system" and "mid-conversation-system" in betas and number:
            # Claude Code tells what changed since the system prompt; between turns, it is none itself.
            continue
        if role not in ("user", "assistant"):
            raise Refused(f'messages: Unexpected role "{role}".')
        if number == 0 and role != "user":
            raise Refused('messages: first message must use the "user" role')
        last = number == len(messages) - 1
        if not content and not (last and role == "assistant"):
            raise Refused(
                f"messages.{number}: all messages must have non-empty content except for the optional final "
                "assistant message"
            )
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())
        for position, block in enumerate(blocks):
            _check_block(block, role, f"messages.{number}.content.{position}")
        if last and role == "assistant" and blocks and blocks[-1].get("type") == "text":
            text = blocks[-1]["text"]
            if text != text.rstrip():
                raise Refused("messages: final assistant content cannot end with trailing whitespace")
        if turns and turns[-1][0] == role:
            turns[-1][1].extend(blocks)
        else:
            turns.append((role, blocks))
    _check_pairs(turns, tools)
    if thinking == "enabled":
        _check_thoughts_first(turns)


def _check_pairs(turns: list[tuple[str, list[Json]]], tools: set[str]) -> None:
    seen: set[str] = set()
    waiting: list[str] = []
    for number, (role, blocks) in enumerate(turns):
        results = [block for block in blocks if block["type"] == "tool_result"]
        for result in results:
            if result["tool_use_id"] not in waiting:
                raise Refused(
                    f"messages.{number}.content.0: unexpected `tool_use_id` found in `tool_result` blocks: "
                    f"{result['tool_use_id']}. Each `tool_result` block must have a corresponding `tool_use` "
                    "block in the previous message."
                )
        answered = [result["tool_use_id"] for result in results]
        if len(set(answered)) != len(answered):
            raise Refused("each tool_use must have a single result. Found multiple `tool_result` blocks")
        missing = [name for name in waiting if name not in answered]
        first = [block["type"] == "tool_result" for block in blocks[: len(results)]]
        if missing or not all(first):
            raise Refused(
                f"messages.{number}: `tool_use` ids were found without `tool_result` blocks immediately "
                f"after: {', '.join(missing or answered)}. Each `tool_use` block must have a corresponding "
                "`tool_result` block in the next message."
            )
        waiting = [block["id"] for block in blocks if block["type"] == "tool_use"]
        if waiting and role == "user":
            raise Refused("messages: `tool_use` blocks can only be in `assistant` messages")
        for name in waiting:
            if name in seen:
                raise Refused("messages: `tool_use` ids must be unique")
            seen.add(name)
    if waiting:
        raise Refused(
            f"messages.{len(turns) - 1}: `tool_use` ids were found without `tool_result` blocks immediately "
            f"after: {', '.join(waiting)}."
        )
    if seen and not tools:
        raise Refused("Requests which include `tool_use` or `tool_result` blocks must define tools")


def _check_thoughts_first(turns: list[tuple[str, list[Json]]]) -> None:
    """With a budget, a tool loop goes on only from an answer that began with a thought."""
    for position in range(len(turns) - 1, -1, -1):
        role, blocks = turns[position]
        if role == "user" and any(block["type"] != "tool_result" for block in blocks):
            return
        if role == "assistant":
            found = blocks[0]["type"]
            if found not in ("thinking", "redacted_thinking"):
                raise Refused(
                    f"messages.{position}.content.0.type: Expected `thinking` or `redacted_thinking`, but "
                    f"found `{found}`. When `thinking` is enabled, a final `assistant` message must start "
                    "with a thinking block."
                )
            return


def _check_block(block: Json, role: str, path: str) -> None:
    kind = block.get("type", "")
    if kind not in _BLOCK_FIELDS:
        raise Refused(
            f"{path}: Input tag '{kind}' found using 'type' does not match any of the expected tags"
        )
    _check_fields(block, kind, path)
    match kind:
        case "text":
            if not block.get("text"):
                raise Refused("messages: text content blocks must be non-empty")
            if not block["text"].strip():
                raise Refused("messages: text content blocks must contain non-whitespace text")
        case "tool_use":
            if not _ID.match(block.get("id") or ""):
                raise Refused(f"{path}.tool_use.id: String should match pattern '{_ID.pattern}'")
            if not isinstance(block.get("input"), dict):
                raise Refused(f"{path}.tool_use.input: Input should be a valid dictionary")
            if not _TOOL_NAME.match(block.get("name") or ""):
                raise Refused(f"{path}.tool_use.name: String should match pattern '{_TOOL_NAME.pattern}'")
        case "tool_result":
            if role != "user":
                raise Refused("messages: `tool_result` blocks can only be in `user` messages")
            if not _ID.match(block.get("tool_use_id") or ""):
                raise Refused(f"{path}.tool_result.tool_use_id: String should match pattern '{_ID.pattern}'")
            content = block.get("content")
            for number, part in enumerate(content if isinstance(content, list) else ()):
                if part.get("type") not in ("text", "image", "document"):
                    raise Refused(f"{path}.tool_result.content.{number}: Input tag does not match")
                _check_block(part, "user", f"{path}.tool_result.content.{number}")
        case "thinking":
            if role != "assistant":
                raise Refused("messages: `thinking` blocks can only be in `assistant` messages")
            digest = hashlib.sha256(block.get("thinking", "").encode()).hexdigest()[:32]
            if block.get("signature") != f"sig-{digest}":
                raise Refused(f"{path}: Invalid `signature` in `thinking` block")
        case "image":
            _check_image(block.get("source") or {}, path)
        case "document":
            source = block.get("source") or {}
            if source.get("type") == "base64" and source.get("media_type") != "application/pdf":
                raise Refused(f"{path}.document.source.base64.media_type: Input should be 'application/pdf'")
            if source.get("type") == "text" and source.get("media_type") != "text/plain":
                raise Refused(f"{path}.document.source.text.media_type: Input should be 'text/plain'")


def _check_image(source: Json, path: str) -> None:
    match source.get("type"):
        case "base64":
            if source.get("media_type") not in _IMAGE_TYPES:
                raise Refused(f"{path}.image.source.base64.media_type: Input should be 'image/jpeg', ...")
            if not source.get("data"):
                raise Refused(f"{path}.image.source.base64.data: Field required")
        case "url":
            if not str(source.get("url", "")).startswith("https://"):
                raise Refused("Only HTTPS URLs are supported.")
        case "file":
            pass
        case _:
            raise Refused(f"{path}.image.source: Input tag does not match any of the expected tags")


def _check_fields(block: Json, kind: str, path: str) -> None:
    for name in block:
        if name not in _BLOCK_FIELDS[kind]:
            raise Refused(f"{path}.{kind}.{name}: Extra inputs are not permitted")
