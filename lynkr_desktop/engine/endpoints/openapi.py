"""The OpenAPI document, made from the calls of the control API and their types.

Run `python -m lynkr_desktop.engine.endpoints.openapi > docs/openapi.json` after a change of a call or a type.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

import lynkr_desktop
from lynkr_desktop.engine.endpoints.control import Call
from lynkr_desktop.protocol.control import ControlError

Json = dict[str, Any]

PROTOCOLS: tuple[tuple[str, str, str, str], ...] = (
    ("POST", "/v1/messages", "Anthropic", "Anthropic Messages, whole or streamed."),
    ("POST", "/v1/messages/count_tokens", "Anthropic", "An estimate of a request's tokens."),
    ("POST", "/v1/chat/completions", "OpenAI", "OpenAI Chat Completions, whole or streamed."),
    ("POST", "/v1/responses", "OpenAI", "OpenAI Responses, whole or streamed; nothing is stored."),
    ("POST", "/v1/embeddings", "OpenAI", "OpenAI Embeddings."),
    ("GET", "/v1/models", "OpenAI", "The models that are there now, for OpenAI's and Anthropic's clients."),
    ("GET", "/v1/models/{model}", "OpenAI", "One model."),
    ("GET", "/", "Ollama", "Says that a server is here, as Ollama does."),
    ("POST", "/api/chat", "Ollama", "A chat, whole or streamed as lines of JSON."),
    ("POST", "/api/generate", "Ollama", "A completion, whole or streamed as lines of JSON."),
    ("POST", "/api/embed", "Ollama", "Embeddings of one or more texts."),
    ("POST", "/api/embeddings", "Ollama", "The embedding of one text; Ollama's older call."),
    ("GET", "/api/version", "Ollama", "The version of Ollama's protocol."),
    ("GET", "/api/tags", "Ollama", "The models that are there now."),
    ("GET", "/api/ps", "Ollama", "The models that are loaded."),
    ("POST", "/api/show", "Ollama", "Facts about a model."),
    ("POST", "/api/pull", "Ollama", "Lets Ollama download a model, with progress."),
    ("DELETE", "/api/delete", "Ollama", "Lets Ollama delete a model."),
)
"""The paths of the client protocols: method, path, tag, summary. Their bodies are the protocols' own."""

_PARAMETER = re.compile(r"\{(\w+)\}")
_REF = "#/components/schemas/{name}"


def document(calls: Sequence[Call]) -> Json:
    """The document, as plain data."""
    types = [ControlError, *dict.fromkeys(_types(calls))]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    for component in components.values():
        # Python 3.13 takes the indentation out of docstrings by itself, older ones do not.
        component["description"] = inspect.cleandoc(component.get("description", ""))
    refs = dict(zip(types, schemas, strict=True))
    paths: dict[str, Json] = {}
    for method, path, tag, summary in PROTOCOLS:
        operation = _operation(method, path, tag, summary)
        operation["responses"] = {"200": {"description": "As the protocol has it."}}
        paths.setdefault(path, {})[method.lower()] = operation
    for call in calls:
        paths.setdefault(call.path, {})[call.method.lower()] = _control(call, refs)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Lynkr Desktop",
            "version": lynkr_desktop.__version__,
            "description": "The control API under /v1/admin and the paths of the client protocols, on this "
            "machine only.",
        },
        "servers": [{"url": "http://127.0.0.1:8081"}],
        "security": [{"bearer": []}, {"x-api-key": []}, {"x-lynkr-token": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "x-lynkr-token": {"type": "apiKey", "in": "header", "name": "x-lynkr-token"},
            },
        },
    }


def _types(calls: Iterable[Call]) -> Iterable[Any]:
    for call in calls:
        yield from (kind for kind in (call.body, call.answer) if kind is not None)


def _control(call: Call, refs: dict[Any, Json]) -> Json:
    operation = _operation(call.method, call.path, "Control", _summary(call))
    for name, meaning in call.query.items():
        operation.setdefault("parameters", []).append(
            {"name": name, "in": "query", "description": meaning, "schema": {"type": "string"}}
        )
    if call.body is not None:
        operation["requestBody"] = {"content": {"application/json": {"schema": refs[call.body]}}}
    good: Json = {"description": "Done."}
    if call.content:
        good["content"] = {call.content: {"schema": refs[call.answer]} if call.answer is not None else {}}
    wrong = {"description": "Why not.", "content": {"application/json": {"schema": refs[ControlError]}}}
    operation["responses"] = {str(call.status): good, "default": wrong}
    if call.open:
        operation["security"] = []
    else:
        operation["x-lynkr-roles"] = sorted(call.allowed)
    return operation


def _operation(method: str, path: str, tag: str, summary: str) -> Json:
    words = [method.lower(), *re.findall(r"\w+", path)]
    operation: Json = {"operationId": "_".join(words), "tags": [tag], "summary": summary}
    names = _PARAMETER.findall(path)
    if names:
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ]
    return operation


def _summary(call: Call) -> str:
    """The first line of the handler's docstring, without the method and path that may stand before it."""
    line = (call.handler.__doc__ or "").strip().split("\n", 1)[0]
    text = re.sub(rf"^{call.method} /\S*?[:.](?:\s|$)", "", line).strip()
    return text[:1].upper() + text[1:] or f"{call.method} {call.path}"


def main() -> None:
    """Prints the document."""
    from pathlib import Path

    from lynkr_desktop.engine.endpoints.admin import Admin
    from lynkr_desktop.engine.engine import Engine
    from lynkr_desktop.paths import resolve_paths

    engine = Engine(resolve_paths(Path("unused")), environ={})
    text = msgspec.json.format(msgspec.json.encode(document(Admin(engine).calls())), indent=2)
    sys.stdout.buffer.write(text + b"\n")


if __name__ == "__main__":
    main()
