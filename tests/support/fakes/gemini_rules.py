"""What generateContent refuses, with its own words."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Any

from tests.support.fakes.anthropic_rules import Refused

Json = dict[str, Any]

SKIP = "skip_thought_signature_validator"
"""The value that Google documents for calls that it never signed."""

_BODY = frozenset(
    {
        *("contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "safetySettings"),
        *("cachedContent", "labels"),
    }
)
_CONFIG = frozenset(
    {
        *("temperature", "topP", "topK", "candidateCount", "maxOutputTokens", "stopSequences", "seed"),
        *("responseMimeType", "responseSchema", "responseJsonSchema", "responseModalities", "thinkingConfig"),
        *("presencePenalty", "frequencyPenalty", "responseLogprobs", "logprobs", "mediaResolution"),
    }
)
_DATA = ("text", "inlineData", "fileData", "functionCall", "functionResponse")
_PART = frozenset({*_DATA, "thought", "thoughtSignature", "videoMetadata"})
_SCHEMA = frozenset(
    {
        *("type", "format", "title", "description", "nullable", "default", "items", "minItems", "maxItems"),
        *("enum", "properties", "propertyOrdering", "required", "minProperties", "maxProperties", "minimum"),
        *("maximum", "minLength", "maxLength", "pattern", "example", "anyOf", "additionalProperties"),
        *("ref", "defs"),
    }
)
_NAME = re.compile(r"^[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}$")
_LEVELS = {"MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"}


def sign(name: str) -> str:
    """The signature of a call; the fake refuses one that comes back with another.

    It says nothing of the arguments: agents add the defaults of a tool to those in their history.
    """
    return base64.b64encode(hashlib.sha256(name.encode()).digest()).decode()


def needs_signatures(model: str) -> bool:
    """Whether calls must come back signed: Gemini 3 and later insist."""
    return _generation(model) >= 3


def _generation(model: str) -> float:
    found = re.search(r"gemini-(\d+(?:\.\d+)?)", model)
    return float(found[1]) if found else 0.0


def check_gemini_body(body: Any, model: str, *, vertex: bool) -> None:
    """Raises `Refused` for what the API would not take."""
    if not isinstance(body, dict):
        raise Refused("Invalid JSON payload received.")
    _known(body, _BODY, "")
    if "labels" in body and not vertex:
        raise _unknown("labels", "")
    contents = body.get("contents")
    if not contents:
        raise Refused("* GenerateContentRequest.contents: contents is not specified")
    if (system := body.get("systemInstruction")) is not None:
        _known(system, {"role", "parts"}, "system_instruction")
        _check_parts(system, "system_instruction")
    _check_config(body.get("generationConfig") or {}, model)
    _check_tools(body)
    _check_contents(contents, model)


def _check_config(config: Json, model: str) -> None:
    _known(config, _CONFIG, "generation_config")
    temperature = config.get("temperature")
    if temperature is not None and not 0 <= temperature <= 2:
        raise Refused(f"temperature must be in the range [0.0, 2.0], but {temperature} was given")
    if len(config.get("stopSequences") or ()) > 5:
        raise Refused("The number of stop sequences must be at most 5.")
    if "responseSchema" in config and "responseJsonSchema" in config:
        raise Refused("Only one of response_schema and response_json_schema may be set.")
    mime = config.get("responseMimeType")
    if ("responseSchema" in config or "responseJsonSchema" in config) and mime != "application/json":
        raise Refused("Response schema is only supported with response_mime_type application/json.")
    if (schema := config.get("responseSchema")) is not None:
        _check_schema(schema, "generation_config.response_schema")
    seed = config.get("seed")
    if seed is not None and not -(2**31) <= seed < 2**31:
        raise Refused(f"Invalid value at 'generation_config.seed' (TYPE_INT32), {seed}")
    thinking = config.get("thinkingConfig")
    if thinking is None:
        return
    _known(
        thinking,
        {"includeThoughts", "thinkingBudget", "thinkingLevel"},
        "generation_config.thinking_config",
    )
    if _generation(model) < 2.5:
        raise Refused("Unable to submit request because thinking is not supported by this model.")
    budget, level = thinking.get("thinkingBudget"), thinking.get("thinkingLevel")
    if budget is not None and level is not None:
        raise Refused("You can only set only one of thinking budget and thinking level.")
    if level is not None:
        if _generation(model) < 3:
            raise Refused("Thinking level is not supported for this model.")
        if level.upper() not in _LEVELS:
            raise Refused("Invalid value at 'generation_config.thinking_config.thinking_level'")
    if budget is not None and budget != -1:
        low, high = (128, 32768) if "pro" in model else (0, 24576)
        if not low <= budget <= high:
            raise Refused(
                f"The thinking budget {budget} is invalid. Please choose a value between {low} and {high}."
            )


def _check_tools(body: Json) -> None:
    names: set[str] = set()
    for tool in body.get("tools") or ():
        _known(tool, {"functionDeclarations"}, "tools[0]")
        for number, function in enumerate(tool.get("functionDeclarations") or ()):
            path = f"tools[0].function_declarations[{number}]"
            _known(
                function,
                {"name", "description", "parameters", "parametersJsonSchema", "response"},
                path,
            )
            if not _NAME.match(function.get("name", "")):
                raise Refused(f"Invalid function name at {path}. Must start with a letter or an underscore.")
            if function["name"] in names:
                raise Refused(f"Duplicate function declaration found: {function['name']}")
            names.add(function["name"])
            if "parameters" in function and "parametersJsonSchema" in function:
                raise Refused("parameters and parameters_json_schema are mutually exclusive.")
            if "parameters" in function:
                _check_schema(function["parameters"], f"{path}.parameters")
    config = body.get("toolConfig")
    if config is not None:
        _known(config, {"functionCallingConfig"}, "tool_config")
        calling = config.get("functionCallingConfig") or {}
        _known(calling, {"mode", "allowedFunctionNames"}, "tool_config.function_calling_config")
        if calling.get("mode") not in ("AUTO", "ANY", "NONE", "VALIDATED"):
            raise Refused("Invalid value at 'tool_config.function_calling_config.mode'")
        allowed = calling.get("allowedFunctionNames")
        if allowed and calling["mode"] not in ("ANY", "VALIDATED"):
            raise Refused("allowed_function_names should only be set when mode is ANY.")
        if allowed and not set(allowed) <= names:
            raise Refused("allowed_function_names has a function that is not declared.")
        if calling["mode"] == "ANY" and not names:
            raise Refused("Function calling mode ANY needs function declarations.")


def _check_contents(contents: list[Json], model: str) -> None:
    waiting: list[str] = []
    before = ""
    for number, content in enumerate(contents):
        path = f"contents[{number}]"
        _known(content, {"role", "parts"}, path)
        role = content.get("role", "user")
        if role not in ("user", "model"):
            raise Refused("Please use a valid role: user, model.")
        _check_parts(content, path)
        calls = [part["functionCall"] for part in content["parts"] if "functionCall" in part]
        answers = [part["functionResponse"] for part in content["parts"] if "functionResponse" in part]
        if calls and (role != "model" or not before or before == "model"):
            raise Refused(
                "Please ensure that function call turn comes immediately after a user turn or after a "
                "function response turn."
            )
        if answers and role != "user":
            raise Refused("Please use a valid role for function responses: user.")
        if len(answers) != len(waiting):
            raise Refused(
                "Please ensure that the number of function response parts is equal to the number of function "
                "call parts of the function call turn."
            )
        if sorted(answer.get("name", "") for answer in answers) != sorted(waiting):
            raise Refused("Function response names must match the function calls.")
        waiting = [call["name"] for call in calls]
        before = role
    if contents[0].get("role", "user") != "user":
        raise Refused("Please ensure that the first turn is a user turn.")
    if waiting:
        raise Refused("Please ensure that function call turn is followed by a function response turn.")
    if needs_signatures(model):
        _check_signatures(contents)


def _check_signatures(contents: list[Json]) -> None:
    """In the current turn, the first call of each step must be signed."""
    start = 0
    for number, content in enumerate(contents):
        if content.get("role") == "user" and any("functionResponse" not in part for part in content["parts"]):
            start = number
    for number in range(start, len(contents)):
        calls = [part for part in contents[number]["parts"] if "functionCall" in part]
        for position, part in enumerate(calls):
            call, signature = part["functionCall"], part.get("thoughtSignature")
            if signature is None and position == 0:
                raise Refused(
                    "Function call is missing a thought_signature in functionCall parts. This is required "
                    f"for tools to work correctly. Function call `default_api:{call['name']}`, position "
                    f"{number}."
                )
            if signature not in (None, SKIP, sign(call["name"])):
                raise Refused("Corrupted thought signature.")


def _check_parts(content: Json, path: str) -> None:
    parts = content.get("parts")
    if not parts:
        raise Refused(
            "Unable to submit request because it must include at least one parts field, which describes the "
            "prompt input."
        )
    for number, part in enumerate(parts):
        where = f"{path}.parts[{number}]"
        _known(part, _PART, where)
        data = [name for name in _DATA if name in part]
        if len(data) > 1:
            raise Refused(f"Proto field is not repeating, cannot start list: oneof data at '{where}'.")
        if not data or part.get("text") == "":
            raise Refused("Unable to submit request because it must have a text parameter.")
        if (blob := part.get("inlineData")) is not None:
            _known(blob, {"mimeType", "data", "displayName"}, f"{where}.inline_data")
            if not blob.get("mimeType"):
                raise Refused("Unable to submit request because it has an empty mimeType parameter.")
            try:
                base64.b64decode(blob["data"], validate=True)
            except (binascii.Error, ValueError) as error:
                raise Refused(
                    f"Invalid value at '{where}.inline_data.data', Base64 decoding failed"
                ) from error
        if (file := part.get("fileData")) is not None:
            _known(file, {"mimeType", "fileUri", "displayName"}, f"{where}.file_data")
            if not file.get("mimeType"):
                raise Refused("Unable to submit request because it has an empty mimeType parameter.")
        if (call := part.get("functionCall")) is not None:
            _known(call, {"id", "name", "args"}, f"{where}.function_call")
        if (answer := part.get("functionResponse")) is not None:
            _known(answer, {"id", "name", "response", "parts"}, f"{where}.function_response")
            if not isinstance(answer.get("response"), dict):
                raise Refused(f"Invalid value at '{where}.function_response.response' (type STRUCT)")


def _check_schema(schema: Any, path: str) -> None:
    if not isinstance(schema, dict):
        raise Refused(f"Invalid value at '{path}'")
    _known(schema, _SCHEMA, path)
    if isinstance(schema.get("type"), list):
        raise Refused(f"Proto field is not repeating, cannot start list at '{path}.type'.")
    for name, inner in (schema.get("properties") or {}).items():
        _check_schema(inner, f"{path}.properties[{name}]")
    for inner in schema.get("anyOf") or ():
        _check_schema(inner, f"{path}.any_of")
    if "items" in schema:
        _check_schema(schema["items"], f"{path}.items")


def _known(value: Any, names: frozenset[str] | set[str], path: str) -> None:
    if not isinstance(value, dict):
        raise Refused(f"Invalid value at '{path}'")
    for name in value:
        if name not in names:
            raise _unknown(name, path)


def _unknown(name: str, path: str) -> Refused:
    where = f" at '{path}'" if path else ""
    return Refused(f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.')
