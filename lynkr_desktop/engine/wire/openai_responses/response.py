"""The `response` object and its items, as clients get them whole or at the ends of a stream."""

from __future__ import annotations

import time

from lynkr_desktop.engine.wire.canonical import Json, Request, StopReason, Usage
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.engine.wire.ids import fresh_id

INCOMPLETE: dict[StopReason, str] = {"max_tokens": "max_output_tokens", "refusal": "content_filter"}
"""Why an answer is not complete, by the reason why the model stopped."""

_ERROR_CODE = {"rate_limit": "rate_limit_exceeded", "invalid_request": "invalid_prompt"}

_DEFAULTS: Json = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": False,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}


class Head:
    """What every object of one response has in common.

    Args:
        request: the request that it answers; its settings are repeated.
        response_id: the upstream's own id, taken where it is one of this protocol.
        model: the model that answers.
    """

    def __init__(self, request: Request, response_id: str = "", model: str = "") -> None:
        self._fields: Json = {
            "id": response_id if response_id.startswith("resp_") else new_id("resp"),
            "object": "response",
            "created_at": int(time.time()),
            "model": model,
        }
        echo: Json = request.origin.get("echo", {})
        self._settings = _DEFAULTS | echo
        self._settings["text"] = _DEFAULTS["text"] | self._settings["text"]
        self._settings["reasoning"] = _DEFAULTS["reasoning"] | self._settings["reasoning"]

    def response(
        self,
        status: str,
        output: list[Json],
        *,
        usage: Usage | None = None,
        reason: StopReason | None = None,
    ) -> Json:
        """The object in one of its states."""
        incomplete = INCOMPLETE.get(reason) if reason else None
        return {
            **self._fields,
            "status": status,
            "completed_at": int(time.time()) if status == "completed" else None,
            "error": None,
            "incomplete_details": {"reason": incomplete} if incomplete else None,
            **self._settings,
            "output": output,
            "usage": encode_usage(usage) if usage else None,
        }

    def finished(self, output: list[Json], reason: StopReason, usage: Usage) -> Json:
        """The object at the end of a good answer."""
        status = "incomplete" if reason in INCOMPLETE else "completed"
        return self.response(status, output, usage=usage, reason=reason)


def message_item(item_id: str, text: str | None, status: str) -> Json:
    """A message of the model; without content as long as `text` is None."""
    content = [] if text is None else [text_part(text)]
    return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": content}


def text_part(text: str) -> Json:
    """A part of a message."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def reasoning_item(item_id: str, text: str, encrypted: str | None) -> Json:
    """Reasoning, in the form that every client shows: as a summary."""
    item: Json = {"id": item_id, "type": "reasoning", "summary": [summary_part(text)] if text else []}
    if encrypted is not None:
        item["encrypted_content"] = encrypted
    return item


def summary_part(text: str) -> Json:
    """A part of reasoning."""
    return {"type": "summary_text", "text": text}


def encode_usage(usage: Usage) -> Json:
    """The `usage` object; its input_tokens include the cached ones."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def error_code(error: WireError) -> str:
    """The code of a failed response."""
    return _ERROR_CODE.get(error.kind, "server_error")


def new_id(prefix: str) -> str:
    """An id that no other has."""
    return fresh_id(f"{prefix}_", 32)
