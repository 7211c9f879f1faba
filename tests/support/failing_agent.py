"""Requests of an agent whose tool was called again and again, in every client protocol."""

from __future__ import annotations

from typing import Any


def conversation(
    protocol: str, results: list[str], ask: str = "Fix the build", after: str = ""
) -> dict[str, Any]:
    """A request whose tool was called once for each result: anthropic, chat, responses or ollama."""
    if protocol == "responses":
        items: list[dict[str, Any]] = [{"role": "user", "content": ask}]
        for number, result in enumerate(results):
            call = {"type": "function_call", "call_id": f"c{number}", "name": "shell"}
            items.append({**call, "arguments": f'{{"command": "make step{number}"}}'})
            items.append({"type": "function_call_output", "call_id": f"c{number}", "output": result})
        if after:
            items.append({"role": "user", "content": after})
        tools = [{"type": "function", "name": "shell", "parameters": {"type": "object"}}]
        return {"model": "auto-route", "input": items, "tools": tools}
    schema = {"name": "shell", "parameters": {"type": "object"}}
    messages: list[dict[str, Any]] = [{"role": "user", "content": ask}]
    for number, result in enumerate(results):
        arguments = {"command": f"make step{number}"}
        if protocol == "anthropic":
            use = {"type": "tool_use", "id": f"toolu_{number}", "name": "shell", "input": arguments}
            messages.append({"role": "assistant", "content": [use]})
            back = {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": result}
            messages.append({"role": "user", "content": [back]})
        elif protocol == "chat":
            called = {"name": "shell", "arguments": f'{{"command": "make step{number}"}}'}
            calls = [{"id": f"c{number}", "type": "function", "function": called}]
            messages.append({"role": "assistant", "content": None, "tool_calls": calls})
            messages.append({"role": "tool", "tool_call_id": f"c{number}", "content": result})
        else:
            calls = [{"function": {"name": "shell", "arguments": arguments}}]
            messages.append({"role": "assistant", "content": "", "tool_calls": calls})
            messages.append({"role": "tool", "content": result})
    if after:
        messages.append({"role": "user", "content": after})
    body: dict[str, Any] = {"model": "auto-route", "messages": messages, "stream": False}
    if protocol == "anthropic":
        tool = {"name": "shell", "input_schema": {"type": "object"}}
        return {**body, "max_tokens": 100, "tools": [tool]}
    return {**body, "tools": [{"type": "function", "function": schema}]}


def failures(count: int) -> list[str]:
    """Results of commands that failed, each in its own way."""
    return [f"Exit code {number + 1}\nmake: *** step{number}" for number in range(count)]
