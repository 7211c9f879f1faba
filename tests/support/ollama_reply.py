"""How a fake Ollama answers: the lines of its two endpoints, from a script or from a real model."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
from aiohttp import web

from tests.support.ollama_checks import count_tokens
from tests.support.script import Call, Die, End, ErrorLine, Hold, Raw, Reply, Say, Stall, Step, Think

Json = dict[str, Any]


@dataclass(slots=True)
class ChatShape:
    """Lines of /api/chat."""

    model: str
    call_ids: bool = False
    _calls: int = 0

    def line(self, *, text: str = "", thinking: str = "", call: Json | None = None, **rest: Any) -> Json:
        """One line; `call` is a tool call."""
        message: Json = {"role": "assistant", "content": text}
        if thinking:
            message["thinking"] = thinking
        if call:
            message["tool_calls"] = [self._numbered(call)]
        return {"model": self.model, "created_at": _now(), "message": message, "done": False, **rest}

    def whole(self, text: str, thinking: str, calls: Sequence[Json], **rest: Any) -> Json:
        """The answer in one piece."""
        whole = self.line(text=text, thinking=thinking, **rest)
        if calls:
            whole["message"]["tool_calls"] = [self._numbered(call) for call in calls]
        return whole

    def _numbered(self, call: Json) -> Json:
        if not self.call_ids:
            return {"function": call}
        self._calls += 1
        return {"id": f"call_{secrets.token_hex(4)}", "function": {"index": self._calls - 1, **call}}


@dataclass(slots=True)
class GenerateShape:
    """Lines of /api/generate, which has no tool calls."""

    model: str

    def line(self, *, text: str = "", thinking: str = "", call: Json | None = None, **rest: Any) -> Json:
        """One line."""
        thought = {"thinking": thinking} if thinking else {}
        return {"model": self.model, "created_at": _now(), "response": text, **thought, "done": False, **rest}

    def whole(self, text: str, thinking: str, calls: Sequence[Json], **rest: Any) -> Json:
        """The answer in one piece."""
        return self.line(text=text, thinking=thinking, context=[1, 2, 3], **rest)


@dataclass(slots=True)
class Timings:
    """What the last line reports; durations are nanoseconds."""

    load_ns: int
    prompt_tokens: int
    eval_tokens: int = 0
    started: int = field(default_factory=time.monotonic_ns)
    first: int = 0

    def fields(self) -> Json:
        """The fields of the last line."""
        now = time.monotonic_ns()
        first = self.first or now
        return {
            "total_duration": now - self.started + self.load_ns,
            "load_duration": self.load_ns,
            "prompt_eval_count": self.prompt_tokens,
            "prompt_eval_duration": first - self.started,
            "eval_count": self.eval_tokens,
            "eval_duration": now - first,
        }


Shape = ChatShape | GenerateShape


class _Ended(Exception):
    """The text met its end: a stop sequence, or the limit of tokens."""


class ReplyWriter:
    """Writes one reply. The status goes out with the first line, as Ollama's does."""

    def __init__(
        self,
        request: web.Request,
        body: Json,
        shape: Shape,
        timings: Timings,
        num_ctx: int,
        *,
        thinks: bool,
    ) -> None:
        options = body.get("options") or {}
        self._request = request
        self._shape = shape
        self._timings = timings
        self._streams = body.get("stream") is not False
        self._thinks = thinks and body.get("think") is not False
        self._stop: list[str] = options.get("stop") or []
        limit = options.get("num_predict", -1)
        room = max(1, num_ctx - timings.prompt_tokens)
        self._limit = min(limit, room) if limit >= 0 else room
        self._response: web.StreamResponse | None = None
        self._held = ""
        self._said: list[str] = []
        self._thought: list[str] = []
        self._calls: list[Json] = []
        self.done_reason = ""
        self.outcome = ""

    async def play(self, reply: Reply) -> web.StreamResponse:
        """Plays a script to its end."""
        if reply.status != 200:
            self.outcome = "error"
            return web.json_response({"error": reply.error}, status=reply.status, headers=reply.headers)
        try:
            for step in reply.steps:
                ended = await self._step(step)
                if ended is not None:
                    return ended
        except _Ended:
            pass
        return await self.finish(self.done_reason or reply.done_reason, counts=reply.counts)

    async def _step(self, step: Step) -> web.StreamResponse | None:
        match step:
            case Say():
                await asyncio.sleep(step.delay)
                await self.say(step.text)
            case Think():
                await self.think(step.text)
            case Call():
                await self.call(step.name, step.arguments)
            case Hold():
                await self._flush_held()
                await step.until.wait()
            case Stall():
                await self._flush_held()
                await asyncio.Event().wait()
            case Raw():
                await self._flush_held()
                await self._write(step.data)
            case Die():
                await self._flush_held()
                response = await self._open()
                self.outcome = "cut"
                if self._request.transport is not None:
                    self._request.transport.abort()
                return response
            case End():
                await self._flush_held()
                self.outcome = "cut"
                return await self._open()
            case ErrorLine():
                await self._flush_held()
                self.outcome = "error"
                return await self._fail(step.message)
        return None

    async def say(self, text: str) -> None:
        """More text; holds back what may be the begin of a stop sequence. Raises `_Ended` at the end."""
        self._held += text
        found = [at for mark in self._stop if (at := self._held.find(mark)) >= 0]
        if found:
            self._held = self._held[: min(found)]
            await self._flush_held()
            self.done_reason = "stop"
            raise _Ended
        keep = max(
            (size for mark in self._stop for size in range(1, len(mark)) if self._held.endswith(mark[:size])),
            default=0,
        )
        ready, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        await self._emit(ready)

    async def _flush_held(self) -> None:
        held, self._held = self._held, ""
        await self._emit(held)

    async def _emit(self, text: str) -> None:
        if not text:
            return
        left = self._limit - self._timings.eval_tokens
        over = count_tokens(text) > left
        if over:
            text = text.encode()[: max(0, left) * 4].decode("utf-8", "ignore")
        self._count(text)
        self._said.append(text)
        if self._streams and text:
            await self._write_line(self._shape.line(text=text))
        if over:
            self.done_reason = "length"
            raise _Ended

    async def think(self, thought: str) -> None:
        """More reasoning, where the model can think and the request did not forbid it."""
        if not self._thinks:
            return
        self._count(thought)
        self._thought.append(thought)
        if self._streams:
            await self._write_line(self._shape.line(thinking=thought))

    async def call(self, name: str, arguments: Json) -> None:
        """A whole tool call."""
        await self._flush_held()
        call = {"name": name, "arguments": arguments}
        self._count(json.dumps(call))
        self._calls.append(call)
        if self._streams:
            await self._write_line(self._shape.line(call=call))

    def count_exactly(self, prompt_tokens: int, eval_tokens: int) -> None:
        """Counts that a real model reports."""
        self._timings.prompt_tokens, self._timings.eval_tokens = prompt_tokens, eval_tokens

    async def finish(self, done_reason: str, *, counts: bool = True) -> web.StreamResponse:
        """The last line, or the whole answer where nothing is streamed."""
        try:
            await self._flush_held()
        except _Ended:
            done_reason = self.done_reason
        fields = self._timings.fields()
        if not counts:
            del fields["prompt_eval_count"]
        self.outcome = "done"
        rest = {"done": True, "done_reason": done_reason, **fields}
        if not self._streams:
            whole = self._shape.whole("".join(self._said), "".join(self._thought), self._calls, **rest)
            return web.json_response(whole)
        await self._write_line(self._shape.line(**rest))
        response = await self._open()
        await response.write_eof()
        return response

    async def _fail(self, message: str) -> web.StreamResponse:
        if not self._streams:
            return web.json_response({"error": message}, status=500)
        await self._write_line({"error": message})
        return await self._open()

    def _count(self, text: str) -> None:
        self._timings.first = self._timings.first or time.monotonic_ns()
        self._timings.eval_tokens += count_tokens(text)

    async def _write_line(self, line: Json) -> None:
        await self._write(json.dumps(line, ensure_ascii=False).encode() + b"\n")

    async def _write(self, data: bytes) -> None:
        response = await self._open()
        await response.write(data)

    async def _open(self) -> web.StreamResponse:
        if self._response is None:
            self._response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
            await self._response.prepare(self._request)
        return self._response


async def relay_model(writer: ReplyWriter, upstream: str, key: str, body: Json) -> web.StreamResponse:
    """Lets a real model answer: asks an OpenAI-compatible server, speaks Ollama's protocol."""
    options = body.get("options") or {}
    asked: Json = {
        "model": body["model"],
        "messages": [_openai_message(message) for message in body["messages"]],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    names = {"temperature": "temperature", "top_p": "top_p", "seed": "seed", "stop": "stop", "top_k": "top_k"}
    asked.update({theirs: options[ours] for ours, theirs in names.items() if ours in options})
    if options.get("num_predict", -1) >= 0:
        asked["max_tokens"] = options["num_predict"]
    if body.get("tools"):
        asked["tools"] = body["tools"]
    try:
        return await _relay(writer, upstream, key, asked)
    except _Ended:
        return await writer.finish(writer.done_reason)


async def _relay(writer: ReplyWriter, upstream: str, key: str, asked: Json) -> web.StreamResponse:
    calls: dict[int, list[str]] = {}
    reason = "stop"
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
    headers = {"authorization": f"Bearer {key}"} if key else {}
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(f"{upstream}/chat/completions", json=asked, headers=headers) as response,
    ):
        if response.status != 200:
            writer.outcome = "error"
            return web.json_response({"error": await response.text()}, status=500)
        async for line in response.content:
            data = line.removeprefix(b"data:").strip()
            if not line.startswith(b"data:") or data == b"[DONE]":
                continue
            chunk = json.loads(data)
            if usage := chunk.get("usage"):
                writer.count_exactly(usage["prompt_tokens"], usage["completion_tokens"])
            for choice in chunk.get("choices", ()):
                delta = choice.get("delta") or {}
                if delta.get("reasoning_content"):
                    await writer.think(delta["reasoning_content"])
                if delta.get("content"):
                    await writer.say(delta["content"])
                for call in delta.get("tool_calls") or ():
                    function = call.get("function") or {}
                    parts = calls.setdefault(call.get("index", 0), ["", ""])
                    parts[0] += function.get("name") or ""
                    parts[1] += function.get("arguments") or ""
                if choice.get("finish_reason") == "length":
                    reason = "length"
    for name, arguments in calls.values():
        await writer.call(name, json.loads(arguments or "{}"))
    return await writer.finish(reason)


def _openai_message(message: Json) -> Json:
    content: Any = message.get("content") or ""
    converted: Json = {"role": message["role"], "content": content}
    if message.get("tool_calls"):
        converted["tool_calls"] = [
            {
                "id": f"call_{index}",
                "type": "function",
                "function": {
                    "name": call["function"]["name"],
                    "arguments": json.dumps(call["function"].get("arguments") or {}),
                },
            }
            for index, call in enumerate(message["tool_calls"])
        ]
    if message["role"] == "tool":
        converted["tool_call_id"] = "call_0"
    return converted


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
