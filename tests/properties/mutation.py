"""Bodies that a client could have meant, and what may have become of them on the way."""

from __future__ import annotations

import copy
import json
import random
import re
import struct
import zlib
from typing import Any

from tests.support.clients import Ask, Client, Function, Picture, Result, Thought, Used, assistant, user

Json = dict[str, Any]

_READ = Function("read_file")
_SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
_ASKS = (
    Ask(),
    Ask((user("look", Picture(), "and say"),), system=("rule one", "rule two"), stream=True, stop=("END",)),
    Ask(
        (
            user("go"),
            assistant(Thought("hm", "c2ln"), "I look.", Used("call_1", "read_file", {"path": "a", "n": [1]})),
            user(Result("call_1", ("words", Picture()), error=True), "go on"),
        ),
        tools=(_READ, Function("run")),
        choice="required",
        parallel=False,
        thinking="high",
    ),
    Ask(schema=_SCHEMA, temperature=0.5, thinking="off", choice="read_file", tools=(_READ,), stream=True),
)

_FIELDS = [
    "model",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "stop",
    "stop_sequences",
    "stream",
    "stream_options",
    "thinking",
    "metadata",
    "output_config",
    "response_format",
    "reasoning_effort",
    "n",
    "logprobs",
    "seed",
    "user",
    "role",
    "content",
    "type",
    "text",
    "image_url",
    "url",
    "source",
    "data",
    "media_type",
    "tool_use_id",
    "tool_call_id",
    "tool_calls",
    "function",
    "arguments",
    "name",
    "input",
    "input_schema",
    "id",
    "is_error",
    "signature",
    "input_audio",
    "file",
    "instructions",
    "reasoning",
    "call_id",
    "output",
    "summary",
    "encrypted_content",
    "previous_response_id",
    "prompt",
    "images",
    "options",
    "num_ctx",
    "num_predict",
    "think",
    "format",
    "keep_alive",
    "raw",
    "template",
    "context",
    "suffix",
    "choices",
    "delta",
    "finish_reason",
    "usage",
    "index",
    "message",
    "done",
    "done_reason",
    "error",
    "content_block",
    "partial_json",
    "stop_reason",
    "candidates",
    "parts",
    "functionCall",
    "toolUse",
    "stopReason",
]
_NUMBERS = (0, -1, 1, 2**31, 2**63, 2**64, -(2**63), 10**400, 0.1, -0.0, 1e308, 1e-320)
_NO_NUMBERS = (float("nan"), float("inf"), float("-inf"))
_TEXTS = (
    "",
    " ",
    "\x00",
    "\ud800",
    "\udfff\ud800",
    "\ufeff",
    "\u2028",
    "null",
    "true",
    "1",
    "[]",
    "{}",
    "auto",
)
_NAMES = (
    "user",
    "assistant",
    "tool",
    "function",
    "text",
    "data:;base64,",
    "data:",
    "http://[",
    "%s%n{}",
    "../x",
)
_NESTED: tuple[Any, ...] = ([], {}, [[]], [None], [{}], {"": ""}, {"type": None}, {"type": "text"}, [1, "a"])
_ODD: tuple[Any, ...] = (None, True, False, *_NUMBERS, *_NO_NUMBERS, *_TEXTS, *_NAMES, *_NESTED)
_BYTES = (b"\xff", b"\xed\xa0\x80", b"\x00", b"\xef\xbb\xbf", b"}", b'"', b"\\u", b"\n\n")
_DEEP = "@deep@"
_TWICE = re.compile(rb"\{")


def bodies_of(client: Client) -> list[Json]:
    """Good bodies of a client, with all that its protocol has words for."""
    return [client.body(ask) for ask in _ASKS]


def mutated_body(rng: random.Random, body: Json) -> bytes:
    """A body with one to five changes of its tree, and now and then of its bytes."""
    tree: Any = copy.deepcopy(body)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
        tree = _change(rng, tree)
    raw = _dumped(rng, tree)
    return _broken(rng, raw) if rng.random() < 0.25 else raw


def mutated_answer(rng: random.Random, whole: bytes, *, binary: bool) -> bytes:
    """An upstream's answer with changes in its messages, their order, or its bytes."""
    if binary:
        whole = _reframed(rng, whole)
        return _broken(rng, whole) if rng.random() < 0.3 else whole
    pieces = whole.split(b"\n")
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.randrange(len(pieces))
        kind = rng.random()
        if kind < 0.65:
            pieces[at] = _changed_line(rng, pieces[at])
        elif kind < 0.75:
            del pieces[at]
        elif kind < 0.85:
            pieces.insert(rng.randrange(len(pieces) + 1), pieces[at])
        elif kind < 0.95:
            other = rng.randrange(len(pieces))
            pieces[at], pieces[other] = pieces[other], pieces[at]
        else:
            del pieces[at:]
        pieces = pieces or [b""]
    raw = b"\n".join(pieces)
    return _broken(rng, raw) if rng.random() < 0.2 else raw


def _changed_line(rng: random.Random, line: bytes) -> bytes:
    head, brace, rest = line.partition(b"{")
    if not brace:
        return line
    try:
        return head + _dumped(rng, _change(rng, json.loads(brace + rest)))
    except (ValueError, RecursionError):
        return _broken(rng, line)


def _reframed(rng: random.Random, stream: bytes) -> bytes:
    """AWS event-stream frames with changed payloads and right checksums, or frames left out or doubled."""
    frames: list[bytes] = []
    at = 0
    while at + 16 <= len(stream):
        total, head = struct.unpack(">II", stream[at : at + 8])
        headers = stream[at + 12 : at + 12 + head]
        payload = stream[at + 12 + head : at + total - 4]
        at += total
        if rng.random() < 0.3 and payload.startswith(b"{"):
            payload = _changed_line(rng, payload)
        frames += [_frame(headers, payload)] * rng.choice((0, 1, 1, 1, 1, 1, 1, 1, 2))
    return b"".join(frames)


def _frame(headers: bytes, payload: bytes) -> bytes:
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))


# ---------------------------------------------------------------- trees


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """(container, key) of everything in a tree."""
    places: list[tuple[Any, Any]] = []
    open_: list[Any] = [tree]
    while open_:
        value = open_.pop()
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in entries:
            places.append((value, key))
            if isinstance(inner, dict | list):
                open_.append(inner)
    return places


def _change(rng: random.Random, tree: Any) -> Any:
    if not isinstance(tree, dict | list) or not (places := _places(tree)):
        return rng.choice(_ODD)
    holder, key = rng.choice(places)
    match rng.randrange(12):
        case 0 | 1:
            del holder[key]
        case 2:
            holder[key] = None
        case 3 | 4:
            holder[key] = copy.deepcopy(rng.choice(_ODD))
        case 5:
            holder[key] = _other_type(holder[key])
        case 6:
            holder[key] = _DEEP + str(rng.choice((3, 60, 400, 900, 5000, 100_000)))
        case 7 | 8:
            target = holder if isinstance(holder, dict) else tree
            if isinstance(target, dict):
                value = rng.choice((rng.choice(_ODD), _value_at(rng, places)))
                target[rng.choice(_FIELDS)] = copy.deepcopy(value)
        case 9:
            holder[key] = copy.deepcopy(_value_at(rng, places))
        case 10:
            if isinstance(holder, list):
                holder.insert(rng.randrange(len(holder) + 1), copy.deepcopy(holder[key]))
            else:
                holder[rng.choice(_FIELDS)] = holder.pop(key)
        case 11:
            value = holder[key]
            holder[key] = value * rng.choice((0, 2, 500)) if isinstance(value, str) else [value] * 3
    return tree


def _value_at(rng: random.Random, places: list[tuple[Any, Any]]) -> Any:
    holder, key = rng.choice(places)
    try:
        return holder[key]
    except (KeyError, IndexError):
        return None


def _other_type(value: Any) -> Any:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return [value]
        case int() | float():
            return str(value)
        case list():
            return {str(number): inner for number, inner in enumerate(value)}
        case dict():
            return list(value.items())
    return {}


def _dumped(rng: random.Random, tree: Any) -> bytes:
    """JSON, odd characters escaped or not, deep values in full, and now and then a key that stands twice."""
    text = json.dumps(tree, ensure_ascii=rng.random() < 0.5)
    raw = text.encode("utf-8", "surrogatepass")
    raw = re.sub(rb'"@deep@(\d+)"', lambda found: _deep(rng, int(found[1])), raw)
    if rng.random() < 0.1:
        field = rng.choice(_FIELDS).encode()
        odd = rng.choice((b"1", b"null", b'"x"', b"[]", b"{}"))
        raw = _TWICE.sub(b'{"' + field + b'":' + odd + b",", raw, count=1)
    return raw


def _deep(rng: random.Random, depth: int) -> bytes:
    if rng.random() < 0.5:
        return b"[" * depth + b"]" * depth
    return b'{"a":' * depth + b"1" + b"}" * depth


# ---------------------------------------------------------------- bytes


def _broken(rng: random.Random, raw: bytes) -> bytes:
    data = bytearray(raw)
    for _ in range(rng.choice((1, 1, 2, 8))):
        if not data:
            break
        at = rng.randrange(len(data))
        match rng.randrange(6):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                data[at] = rng.randrange(256)
            case 2:
                del data[at:]
            case 3:
                del data[at : at + rng.choice((1, 2, 16))]
            case 4:
                data[at:at] = rng.choice(_BYTES)
            case 5:
                data[at:at] = data[at : at + rng.choice((1, 8, 64))]
    return bytes(data)
