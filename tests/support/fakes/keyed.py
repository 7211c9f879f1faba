"""A provider that insists on its key, and repeats wrong ones in its errors as real ones do."""

from __future__ import annotations

from aiohttp import web

from tests.support.fakes.base import Asked
from tests.support.fakes.openai import OpenAIFake


class KeyedFake(OpenAIFake):
    """As `OpenAIFake`, for whoever has `key`."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key

    def routes(self) -> list[web.RouteDef]:
        """The same paths; the list of models needs the key too."""
        others = [route for route in super().routes() if route.path != "/v1/models"]
        return [*others, web.get("/v1/models", self._models), web.get("/v1/key", self._models)]

    def check(self, asked: Asked) -> tuple[int, str] | None:
        """401 with the whole key in the message for any other key."""
        given = asked.headers.get("authorization", "").removeprefix("Bearer ")
        if given != self.key:
            return 401, f"Incorrect API key provided: {given}. You can find yours in the settings."
        return super().check(asked)

    async def _models(self, request: web.Request) -> web.StreamResponse:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if given != self.key:
            message = f"Incorrect API key provided: {given}."
            return web.json_response({"error": {"message": message}}, status=401)
        return web.json_response({"object": "list", "data": [{"id": "m", "object": "model"}]})
