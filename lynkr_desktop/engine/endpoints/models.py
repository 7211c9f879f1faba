"""The control API's calls for models of this machine. A name may hold slashes: `ollama/hf.co/org/name`."""

from __future__ import annotations

from aiohttp import web

from lynkr_desktop.engine.endpoints.control import Call, decoded, reply
from lynkr_desktop.engine.engine import Engine
from lynkr_desktop.protocol.control import LoadRequest, LocalModelList, ModelFacts

_ONE = "/v1/admin/models/{model}"


class ModelCalls:
    """The handlers, one per call."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._models = engine.models

    def calls(self) -> list[Call]:
        """Every call; those with a path behind the name come first, since the name takes what it can."""
        return [
            Call("GET", "/v1/admin/models", self.listing, answer=LocalModelList),
            Call(
                "POST",
                f"{_ONE}/pull",
                self.pull,
                answer=LocalModelList,
                status=202,
                changes="model pull begun",
            ),
            Call(
                "DELETE",
                f"{_ONE}/pull",
                self.cancel_pull,
                answer=LocalModelList,
                changes="model pull stopped",
            ),
            Call(
                "POST",
                f"{_ONE}/load",
                self.load,
                body=LoadRequest,
                answer=LocalModelList,
                changes="model loaded",
            ),
            Call("POST", f"{_ONE}/unload", self.unload, answer=LocalModelList, changes="model unloaded"),
            Call("GET", f"{_ONE}/show", self.show, answer=ModelFacts),
            Call("DELETE", _ONE, self.remove, answer=LocalModelList, changes="model deleted"),
        ]

    async def listing(self, request: web.Request) -> web.StreamResponse:
        """The models of this machine: the built-in ones on offer, and Ollama's."""
        return await self._list()

    async def pull(self, request: web.Request) -> web.StreamResponse:
        """Begins the download; progress comes as `model.pull` events."""
        self._models.start_pull(request.match_info["model"])
        return await self._list(202)

    async def cancel_pull(self, request: web.Request) -> web.StreamResponse:
        """Stops the download; what has arrived is kept."""
        self._models.cancel_pull(request.match_info["model"])
        return await self._list()

    async def load(self, request: web.Request) -> web.StreamResponse:
        """Loads the model, so that it answers at once; answers when it is loaded."""
        wanted = await decoded(request, LoadRequest)
        await self._models.load(request.match_info["model"], wanted.keep_alive)
        self._engine.changed()
        return await self._list()

    async def unload(self, request: web.Request) -> web.StreamResponse:
        """Frees the memory that the model takes."""
        await self._models.unload(request.match_info["model"])
        self._engine.changed()
        return await self._list()

    async def show(self, request: web.Request) -> web.StreamResponse:
        """What is known of one model."""
        return reply(await self._models.show(request.match_info["model"]))

    async def remove(self, request: web.Request) -> web.StreamResponse:
        """Deletes the model."""
        await self._models.remove(request.match_info["model"])
        self._engine.changed()
        return await self._list()

    async def _list(self, status: int = 200) -> web.Response:
        return reply(LocalModelList(models=await self._models.list()), status)
