"""A client of Ollama's native protocol: /api/chat and /api/generate."""

from __future__ import annotations

import json
from typing import Any

from tests.support.clients.base import (
    Answer,
    Ask,
    Client,
    Json,
    Picture,
    Problem,
    Result,
    Stop,
    Thought,
    ToolCall,
    Turn,
    Used,
    need,
)

_COUNTS = ("total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration", "eval_count")


class OllamaChat(Client):
    """POST /api/chat."""

    name = "ollama_chat"
    path = "/api/chat"
    can = frozenset({"tools", "image", "thinking", "format", "stop", "result_image"})
    stream_type = "application/x-ndjson"

    def body(self, ask: Ask) -> Json:
        """The body of a request."""
        messages = [{"role": "system", "content": text} for text in ask.system]
        names: dict[str, str] = {}
        for turn in ask.turns:
            messages += _messages(turn, names)
        return {**_common(ask), "messages": messages, **ask.more}

    def whole(self, body: Json, ask: Ask) -> Answer:
        """The answer in one object."""
        reader = _Reader(self.name)
        reader.take(body)
        return reader.end()

    def streamed(self, raw: bytes, ask: Ask) -> Answer:
        """Lines, the last with `done`."""
        need(raw.endswith(b"\n"), "every line has its end", raw[-80:])
        reader = _Reader(self.name)
        for line in raw.decode().removesuffix("\n").split("\n"):
            need(line.strip() == line and line, "no line is empty", raw)
            reader.take(json.loads(line))
        return reader.end()

    def problem(self, status: int, body: Json) -> Problem:
        """`{"error": "..."}`."""
        need(isinstance(body.get("error"), str), "an error is a text", body)
        return Problem(status, "", body["error"])


class OllamaGenerate(OllamaChat):
    """POST /api/generate: one prompt, no tools."""

    name = "ollama_generate"
    path = "/api/generate"
    can = frozenset({"image", "thinking", "format", "stop"})

    def body(self, ask: Ask) -> Json:
        """The body of a request; the turns' texts are the prompt."""
        parts = [part for turn in ask.turns for part in turn.parts]
        body: Json = {**_common(ask), "prompt": "\n".join(part for part in parts if isinstance(part, str))}
        if images := [part.data for part in parts if isinstance(part, Picture)]:
            body["images"] = images
        if ask.system:
            body["system"] = "\n\n".join(ask.system)
        return {**body, **ask.more}


def _common(ask: Ask) -> Json:
    options: Json = {"num_predict": ask.limit, "temperature": ask.temperature, "stop": list(ask.stop) or None}
    body: Json = {"model": ask.model, "stream": ask.stream}
    if options := {name: value for name, value in options.items() if value is not None}:
        body["options"] = options
    if ask.tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {"name": tool.name, "description": tool.description, "parameters": tool.schema},
            }
            for tool in ask.tools
        ]
    if ask.thinking:
        body["think"] = False if ask.thinking == "off" else ask.thinking
    if ask.schema is not None:
        body["format"] = ask.schema
    return body


def _messages(turn: Turn, names: dict[str, str]) -> list[Json]:
    messages: list[Json] = []

    def current() -> Json:
        if not messages or messages[-1]["role"] != turn.role:
            messages.append({"role": turn.role, "content": ""})
        return messages[-1]

    for part in turn.parts:
        match part:
            case str():
                message = current()
                message["content"] += ("\n" if message["content"] else "") + part
            case Picture():
                current().setdefault("images", []).append(part.data)
            case Thought():
                current()["thinking"] = part.text
            case Used():
                names[part.id] = part.name
                call = {"function": {"name": part.name, "arguments": part.arguments}}
                current().setdefault("tool_calls", []).append(call)
            case Result():
                texts = [inner for inner in part.parts if isinstance(inner, str)]
                message = {
                    "role": "tool",
                    "content": "\n".join(texts),
                    "tool_name": names.get(part.id, part.name),
                }
                if images := [inner.data for inner in part.parts if isinstance(inner, Picture)]:
                    message["images"] = images
                messages.append(message)
    return messages


class _Reader:
    """The state of one answer."""

    def __init__(self, protocol: str) -> None:
        self.answer = Answer()
        self._generates = protocol == "ollama_generate"
        self._over = False

    def take(self, line: Json) -> None:
        answer = self.answer
        answer.events.append(line)
        need(not self._over and answer.problem is None, "nothing follows the end", line)
        if "error" in line:
            need(isinstance(line["error"], str) and len(line) == 1, "an error is a text, alone", line)
            answer.problem = Problem(0, "", line["error"])
            return
        need(line.get("model") and str(line.get("created_at", "")).endswith("Z"), "model and time", line)
        answer.model = line["model"]
        if self._generates:
            need(isinstance(line.get("response"), str), "a piece of the response", line)
            self._said(line["response"], line.get("thinking"))
        else:
            message = line["message"]
            need(message["role"] == "assistant" and isinstance(message["content"], str), "a message", line)
            self._said(message["content"], message.get("thinking"))
            for call in message.get("tool_calls") or ():
                self._called(call)
        need(isinstance(line.get("done"), bool), "every line says whether it is the last", line)
        if line["done"]:
            self._end(line)

    def _said(self, text: str, thought: Any) -> None:
        if thought:
            self.answer.thoughts += thought
            self._note("thinking")
        if text:
            self.answer.text += text
            self._note("text")

    def _note(self, kind: str) -> None:
        if self.answer.order[-1:] != [kind]:
            self.answer.order.append(kind)

    def _called(self, call: Json) -> None:
        function = call["function"]
        need(function.get("name"), "a call has a name", call)
        need(isinstance(function.get("arguments"), dict), "arguments are an object", call)
        self.answer.calls.append(ToolCall(call.get("id", ""), function["name"], function["arguments"]))
        self.answer.order.append("call")

    def _end(self, line: Json) -> None:
        self._over = True
        stops: dict[str, Stop] = {"stop": "end", "length": "limit"}
        need(line.get("done_reason") in stops, "done_reason is stop or length, after tool calls too", line)
        for name in (*_COUNTS, "eval_duration"):
            need(isinstance(line.get(name), int) and line[name] >= 0, f"the last line has {name}", line)
        # Ollama has no reason of its own for tool calls; the calls themselves say it.
        self.answer.stop = "tools" if self.answer.calls else stops[line["done_reason"]]
        self.answer.usage = line["prompt_eval_count"], line["eval_count"]

    def end(self) -> Answer:
        need(
            self._over or self.answer.problem, "the last line has done, or an error", self.answer.events[-2:]
        )
        return self.answer
