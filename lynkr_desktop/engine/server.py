"""The HTTP side: one application, its routes, and one place where errors get a client's shape."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path

from aiohttp import hdrs, web

from lynkr_desktop.engine.connections import Connection
from lynkr_desktop.engine.endpoints.admin import Admin
from lynkr_desktop.engine.endpoints.control import Handler, reply
from lynkr_desktop.engine.endpoints.llm import add_routes, codec_for
from lynkr_desktop.engine.endpoints.ollama import OllamaPaths
from lynkr_desktop.engine.engine import Engine
from lynkr_desktop.engine.exchange import new_id
from lynkr_desktop.engine.security.access import without_keys
from lynkr_desktop.engine.telemetry.database import RecordsError
from lynkr_desktop.engine.wire.errors import WireError, kind_of
from lynkr_desktop.protocol.control import ControlError

log = logging.getLogger(__name__)

_DISK = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO),
        *(errno.EACCES, errno.EPERM, errno.ENOENT, errno.EISDIR, errno.ENOTDIR),
    }
)
"""What disks and folders do to whoever would keep something there."""


def build_app(engine: Engine) -> web.Application:
    """The application with every route."""
    app = web.Application()

    def add(method: str, path: str, handler: Handler) -> None:
        # Not as a middleware: since the last route takes what is left, every request has a handler of ours,
        # and aiohttp's way through its middlewares takes a good part of what a short request costs.
        app.router.add_route(method, path, _with_errors(engine, handler))

    async def allow_origin(request: web.Request, response: web.StreamResponse) -> None:
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is not None and engine.snapshot.guard.allows_origin(origin):
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
            response.headers[hdrs.VARY] = hdrs.ORIGIN
        if engine.stopping:
            # What comes next shall come over a connection to whoever serves then.
            response.headers[hdrs.CONNECTION] = "close"
            response.force_close()

    app.on_response_prepare.append(allow_origin)
    add_routes(add, engine)
    OllamaPaths(engine).add_routes(add)
    Admin(engine).add_routes(add)
    add("*", "/{path:.*}", _nothing_here(engine))
    return app


def _with_errors(engine: Engine, handler: Handler) -> Handler:
    """The handler, whose errors get a client's shape."""

    async def handle(request: web.Request) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, Connection)
        connection.request_began()
        try:
            if request.method == hdrs.METH_OPTIONS and hdrs.ORIGIN in request.headers:
                return _preflight(engine, request)
            return await handler(request)
        except WireError as error:
            return _shaped(request, error)
        except web.HTTPException as error:
            return _shaped(request, WireError(error.reason, status=error.status, kind=kind_of(error.status)))
        except RecordsError as error:
            return _shaped(request, WireError(str(error), status=503, kind="unavailable"))
        except Exception as error:
            if isinstance(error, OSError) and error.errno in _DISK and error.filename:
                log.warning("%s %s: %s", request.method, request.path, error)
                name = Path(os.fsdecode(error.filename2 or error.filename)).name
                message = f"{name} cannot be written: {error.strerror}. Nothing was changed."
                return _shaped(request, WireError(message, status=503, kind="unavailable"))
            log.exception("%s %s failed inside the engine", request.method, request.path)
            inside = WireError("Lynkr failed inside. Its log has the details.", status=500, kind="internal")
            return _shaped(request, inside)
        finally:
            connection.request_ended()

    return handle


def _nothing_here(engine: Engine) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        engine.snapshot.guard.check_source(request)
        raise WireError(
            f"There is nothing at {request.method} {request.path[:200]}. Lynkr serves POST /v1/messages, "
            "POST /v1/chat/completions, POST /v1/responses, GET /v1/models, Ollama's /api and /v1/admin.",
            status=404,
            kind="not_found",
        )

    return handle


def _preflight(engine: Engine, request: web.Request) -> web.Response:
    """The answer to a browser that asks before it calls (Fetch, CORS preflight)."""
    engine.snapshot.guard.check_source(request)
    return web.Response(
        status=204,
        headers={
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET, POST, PUT, PATCH, DELETE",
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS, "*")[
                :1000
            ],
            hdrs.ACCESS_CONTROL_MAX_AGE: "600",
        },
    )


def _shaped(request: web.Request, error: WireError) -> web.Response:
    """An error outside the flow of a request, in the shape of whoever uses the path."""
    error.message = without_keys(error.message)
    if request.path.startswith(("/v1/", "/api/")) and not request.path.startswith("/v1/admin"):
        request_id = new_id()
        body = codec_for(request.path).encode_error(error, request_id)
        response = web.Response(status=error.status, body=body, content_type="application/json")
        response.headers["x-request-id"] = request_id
        return response
    return reply(ControlError(error=error.message, code=error.kind), error.status)
