"""A small synchronous client of the control API, for commands that run and end."""

from __future__ import annotations

import argparse
import http.client
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec

from lynkr_desktop.cli.ending import NOT_RUNNING, STOPPED, fail
from lynkr_desktop.paths import Paths, resolve_paths
from lynkr_desktop.protocol.control import ControlError, EngineRuntime

T = TypeVar("T")

_LARGEST_ANSWER = 32 * 1024**2
_PIECE = 64 * 1024


class ControlFailure(Exception):
    """The engine did not do what was asked. The message says why, for people."""


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """The engine never redirects; somebody else who holds its port must not get the token sent on."""

    def redirect_request(self, *_: object) -> None:
        """Follows nothing."""


class ControlClient:
    """Talks to one engine on this machine.

    Args:
        port: where it listens on 127.0.0.1.
        token: the token in force.
        timeout: seconds for each answer.
    """

    def __init__(self, port: int, token: str, *, timeout: float = 10.0) -> None:
        self._base = f"http://127.0.0.1:{port}"
        self._port = port
        self._token = token
        self._timeout = timeout
        # An empty ProxyHandler: a proxy of the environment must neither see nor answer this.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirect)

    def get(self, path: str, type: type[T], **query: str) -> T:  # noqa: A002 - msgspec's own word
        """GETs `path` and decodes the answer.

        Raises:
            ControlFailure: the engine refused, did not answer, or answered something else.
        """
        return self._ask("GET", path + (f"?{urllib.parse.urlencode(query)}" if query else ""), type, None)

    def send(self, method: str, path: str, type: type[T], body: object = None) -> T:  # noqa: A002
        """Sends `body` as JSON, where there is one, and decodes the answer. Raises `ControlFailure`."""
        return self._ask(method, path, type, None if body is None else msgspec.json.encode(body))

    def stream(self, path: str, **query: str) -> Iterator[bytes]:
        """GETs `path` and yields the pieces of the answer as they come.

        Raises:
            ControlFailure: the engine refused, did not answer, or broke off.
        """
        with self._open("GET", f"{path}?{urllib.parse.urlencode(query)}", None) as response:
            try:
                while piece := response.read(_PIECE):
                    yield piece
            except (OSError, http.client.HTTPException) as error:
                raise ControlFailure(
                    f"The engine on port {self._port} broke off. Its log says why."
                ) from error

    def _ask(self, method: str, path: str, type: type[T], body: bytes | None) -> T:  # noqa: A002
        with self._open(method, path, body) as response:
            try:
                answer = response.read(_LARGEST_ANSWER)
            except (OSError, http.client.HTTPException) as error:
                raise self._silence(error) from error
        try:
            return msgspec.json.decode(answer, type=type)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ControlFailure(
                f"The answer on port {self._port} makes no sense. Are engine and command of the same version?"
            ) from error

    def _open(self, method: str, path: str, body: bytes | None) -> http.client.HTTPResponse:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self._base + path, data=body, headers=headers, method=method)
        try:
            response: http.client.HTTPResponse = self._opener.open(request, timeout=self._timeout)
        except urllib.error.HTTPError as error:
            with error:
                raise ControlFailure(self._refusal(error)) from error
        except (OSError, http.client.HTTPException) as error:
            raise self._silence(error) from error
        return response

    def _silence(self, error: Exception) -> ControlFailure:
        reason = getattr(error, "reason", error)
        return ControlFailure(f"The engine on port {self._port} does not answer ({reason}).")

    def _refusal(self, error: urllib.error.HTTPError) -> str:
        try:
            return msgspec.json.decode(error.read(_LARGEST_ANSWER), type=ControlError).error
        except (OSError, http.client.HTTPException, msgspec.DecodeError, UnicodeDecodeError):
            return f"The engine on port {self._port} answered with status {error.code}."


def connect(paths: Paths, runtime: EngineRuntime, *, timeout: float = 10.0) -> ControlClient:
    """A client of that engine, with the token that it keeps in its home.

    Raises:
        ControlFailure: the token cannot be read.
    """
    from lynkr_desktop.engine.security.token import read_token

    token = read_token(paths.token)
    if token is None:
        raise ControlFailure(
            f"The token in {paths.token} cannot be read. Run this as the user of the engine."
        )
    return ControlClient(runtime.port, token, timeout=timeout)


def with_engine(
    args: argparse.Namespace, work: Callable[[ControlClient], int], *, timeout: float = 10.0
) -> int:
    """Runs what a command does with the engine that serves its home.

    Args:
        args: of the command: where its home and its configuration are.
        work: does it, and returns the exit code.
        timeout: seconds for each answer.

    Returns:
        The exit code of `work`, or that of what kept it from its work, which is said.
    """
    from lynkr_desktop.running import find_engine

    paths = resolve_paths(args.home, args.config)
    runtime = find_engine(paths)
    if runtime is None:
        print(STOPPED, file=sys.stderr)
        return NOT_RUNNING
    try:
        return work(connect(paths, runtime, timeout=timeout))
    except ControlFailure as error:
        return fail(error)
