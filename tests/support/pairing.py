"""Rows of clients and providers for parametrised tests, and what several of those need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.clients import Answer, Client, Function
from tests.support.stage import BACKENDS, CLIENTS, Backend

EACH_WAY = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
READ = Function("read_file")
RUN = Function("run_command", schema={"type": "object", "properties": {"command": {"type": "string"}}})


def pairs(*features: str, where: Callable[[Client, Backend], bool] | None = None) -> pytest.MarkDecorator:
    """Every backend with every client whose protocol has words for the features."""
    return pytest.mark.parametrize(
        ("client", "backend"),
        [
            pytest.param(client, backend, id=f"{client.name}-{backend.name}")
            for client in CLIENTS
            if client.can.issuperset(features)
            for backend in BACKENDS
            if where is None or where(client, backend)
        ],
    )


def clients(*features: str, only: str = "", without: str = "-") -> pytest.MarkDecorator:
    """Every client whose protocol has words for the features; `only` and `without` begin their names."""
    return pytest.mark.parametrize(
        "client",
        [
            pytest.param(client, id=client.name)
            for client in CLIENTS
            if client.can.issuperset(features)
            and client.name.startswith(only)
            and not client.name.startswith(without)
        ],
    )


def backends(where: Callable[[Backend], bool] | None = None) -> pytest.MarkDecorator:
    """Every backend, or those that fit."""
    return pytest.mark.parametrize(
        "backend",
        [pytest.param(backend, id=backend.name) for backend in BACKENDS if where is None or where(backend)],
    )


def translated(client: Client, backend: Backend) -> bool:
    """Whether what the client gets was made here, and is not the upstream's own bytes."""
    return client.name not in backend.speaks


def told(answer: Answer, *names: str) -> bool:
    """Whether a feature that did not go upstream was refused or reported by one of its names."""
    if answer.problem is not None:
        return answer.status == 400 and any(name in answer.problem.message for name in names)
    dropped = answer.headers.get("x-lynkr-dropped", "")
    return any(name in dropped for name in names)


def words(value: Any) -> list[str]:
    """Every key and text of a JSON value."""
    match value:
        case dict():
            return [*value, *(word for inner in value.values() for word in words(inner))]
        case list():
            return [word for inner in value for word in words(inner)]
        case str():
            return [value]
    return []
