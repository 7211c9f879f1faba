"""Asks a Headroom proxy to compress the result of a tool: `POST /v1/compress`, as of headroom-ai 0.42.

The request has the messages of OpenAI Chat; without a `mode` the answer has no marks of Headroom's own,
which only its own tool could follow. Each result is sent by itself, behind the ask and the call that it
answers, so that what becomes of it depends on nothing else.
"""

from __future__ import annotations

import http.client
import json
import time
from typing import Any

from msgspec import Struct

_MODEL = "claude-sonnet-4-5"
"""Whose tokens Headroom counts: of one model always, so that another route changes no result, and of one
whose tokenizer it need not download."""

_LARGEST = 8 << 20
_CALL = "call_1"


class Unanswered(Exception):
    """Headroom did not answer, or not in time, or not as it should. The message says which."""


class Result(Struct, frozen=True):
    """What is to be compressed.

    Attributes:
        ask: what a person asked last before it.
        tool: whose result it is.
        arguments: of the call, as JSON.
        text: the result.
    """

    ask: str
    tool: str
    arguments: str
    text: str


class Client:
    """One connection to a Headroom proxy on this machine; used by one thread.

    Args:
        port: on 127.0.0.1.
        deadline: when the last answer must be there, on the clock of `time.monotonic`.
    """

    def __init__(self, port: int, deadline: float) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port)
        self._deadline = deadline

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def alive(self) -> bool:
        """Whether a Headroom proxy answers there."""
        try:
            told = self._ask("GET", "/livez")
        except Unanswered:
            return False
        return told.get("service") == "headroom-proxy" and told.get("alive") is True

    def compress(self, result: Result) -> str:
        """The result as Headroom would have it; the same text where it leaves it.

        Raises:
            Unanswered: it could not be asked, or what it says is no answer to this.
        """
        function = {"name": result.tool, "arguments": result.arguments}
        messages: list[dict[str, Any]] = [
            {"role": "user", "content": result.ask},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": _CALL, "type": "function", "function": function}],
            },
            {"role": "tool", "tool_call_id": _CALL, "content": result.text},
        ]
        told = self._ask("POST", "/v1/compress", {"model": _MODEL, "messages": messages}).get("messages")
        if not isinstance(told, list) or told[:2] != messages[:2] or len(told) != 3:
            raise Unanswered("it changed what it was not to change")
        last = told[2]
        text = last.get("content") if isinstance(last, dict) else None
        if not isinstance(text, str) or {**last, "content": result.text} != messages[2]:
            raise Unanswered("it changed what it was not to change")
        return text

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        connection = self._connection
        try:
            connection.timeout = self._left()
            if connection.sock is not None:
                connection.sock.settimeout(self._left())
            data = None if body is None else json.dumps(body).encode("ascii")
            connection.request(method, path, data, {"content-type": "application/json"})
            connection.sock.settimeout(self._left())
            answer = connection.getresponse()
            parts: list[bytes] = []
            while part := answer.read1(65_536):
                parts.append(part)
                if sum(map(len, parts)) > _LARGEST:
                    raise Unanswered("its answer is far too long")
                if connection.sock is not None:
                    connection.sock.settimeout(self._left())
            answer.close()
            told = json.loads(b"".join(parts))
        except TimeoutError:
            raise Unanswered("it did not answer in time") from None
        except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
            raise Unanswered(f"it could not be asked ({type(error).__name__})") from error
        if answer.status != 200:
            raise Unanswered(f"it answered {answer.status}")
        if not isinstance(told, dict):
            raise Unanswered("its answer is no JSON object")
        return told

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left
