"""A Responses request to the canonical request."""

from __future__ import annotations

from lynkr_desktop.engine.wire.canonical import Json, Reasoning, Request, ResponseFormat, Text
from lynkr_desktop.engine.wire.errors import InvalidRequest
from lynkr_desktop.engine.wire.fields import Fields, decode_object
from lynkr_desktop.engine.wire.openai_responses.items import Conversation
from lynkr_desktop.engine.wire.openai_responses.tools import ToolSet

# What only OpenAI's servers have: other parts of a conversation, and work that goes on without the client.
_ONLY_THERE = ("previous_response_id", "conversation", "prompt", "background", "top_logprobs")

_ECHOED = (
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_p",
    "truncation",
    "user",
)
"""Fields of a request that its response repeats."""


def decode_request(body: bytes) -> Request:
    """Decodes the body of POST /v1/responses. Raises `InvalidRequest`."""
    value = decode_object(body)
    fields = Fields(value)
    inexpressible = [name for name in _ONLY_THERE if fields.get(name)]
    model = fields.need_string("model")
    tools = ToolSet()
    conversation = _decode_input(fields, tools)
    system = conversation.system
    if instructions := fields.string("instructions"):
        system = [Text(instructions), *system]
    for number, entry in enumerate(fields.items("tools")):
        tools.add(Fields(entry, f"tools[{number}]"))
    tool_choice, allowed = tools.choice(fields)
    text = Fields(fields.object("text"), "text")
    reasoning, reasoning_rest = _decode_reasoning(fields)
    extra: Json = {f"tools.{kind}": True for kind in tools.dropped} | conversation.dropped | reasoning_rest
    if included := _decode_include(fields, inexpressible):
        extra["include"] = included
    if verbosity := text.string("verbosity"):
        extra["verbosity"] = verbosity
    _read_what_is_so_anyway(fields)
    inexpressible += conversation.inexpressible + tools.inexpressible
    messages = conversation.messages
    if not messages and not inexpressible:
        raise InvalidRequest("input must hold at least one message of the user.", "input")
    return Request(
        model=model,
        messages=messages,
        system=tuple(system),
        tools=allowed,
        tool_choice=tool_choice,
        max_tokens=fields.integer("max_output_tokens", low=1),
        temperature=fields.number("temperature", low=0, high=2),
        top_p=fields.number("top_p", low=0, high=1),
        stream=fields.boolean("stream") or False,
        reasoning=reasoning,
        response_format=_decode_format(text.object("format")),
        user=fields.string("user"),
        metadata=fields.object("metadata"),
        extra=extra | {name: value for name, value in fields.rest().items() if value is not None},
        inexpressible=tuple(inexpressible),
        origin={
            "echo": {name: value[name] for name in _ECHOED if value.get(name) is not None},
            "kinds": tools.kinds,
        },
    )


def _decode_input(fields: Fields, tools: ToolSet) -> Conversation:
    conversation = Conversation(tools)
    value = fields.get("input")
    if isinstance(value, str):
        if value:
            conversation.say(value)
        return conversation
    if value is not None and not isinstance(value, list):
        raise fields.wrong("input", "a string or a list of items")
    for number, entry in enumerate(fields.items("input")):
        conversation.add(Fields(entry, f"input[{number}]"))
    return conversation


def _decode_reasoning(fields: Fields) -> tuple[Reasoning | None, Json]:
    """The effort, and what else was asked. A summary is always sent where a model reasons in the open."""
    reasoning = Fields(fields.object("reasoning"), "reasoning")
    effort = reasoning.string("effort")
    reasoning.get("summary")
    reasoning.get("generate_summary")
    rest = {f"reasoning.{name}": value for name, value in reasoning.rest().items() if value is not None}
    return (Reasoning(enabled=effort != "none", effort=effort) if effort else None), rest


def _decode_include(fields: Fields, inexpressible: list[str]) -> list[str]:
    """What is left of `include`: reasoning that a vendor signed is sent anyway."""
    included = [name for name in fields.strings("include") if name != "reasoning.encrypted_content"]
    inexpressible += [f"include ({name})" for name in included if name.endswith("logprobs")]
    return included


def _read_what_is_so_anyway(fields: Fields) -> None:
    """Fields whose value asks for what happens without them: nothing is stored, cut or padded here."""
    honoured = {
        "store": (False,),
        "truncation": ("disabled",),
        "service_tier": ("auto", "default"),
        "stream_options": ({}, {"include_obfuscation": False}),
    }
    rest = fields.rest()
    for name, values in honoured.items():
        if name in rest and rest[name] in values:
            fields.get(name)


def _decode_format(value: Json) -> ResponseFormat | None:
    if not value:
        return None
    wanted = Fields(value, "text.format")
    match wanted.need_string("type"):
        case "text":
            return None
        case "json_object":
            return ResponseFormat("json_object")
        case "json_schema":
            schema, name = wanted.object("schema"), wanted.string("name")
            return ResponseFormat("json_schema", schema, name, wanted.boolean("strict"))
    raise wanted.wrong("type", "one of text, json_object, json_schema")
