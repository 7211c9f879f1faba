"""Gemini and Claude on Vertex AI, and the Gemini API with a key: one server for all of Google's addresses."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.support.fakes.anthropic import MessagesWire
from tests.support.fakes.anthropic_rules import Refused, check_messages_body
from tests.support.fakes.base import (
    OUTPUT_TOKENS,
    PROMPT_TOKENS,
    Asked,
    Json,
    ScriptedServer,
    Wire,
)
from tests.support.fakes.gemini_rules import check_gemini_body, needs_signatures, sign
from tests.support.script import Call, Reply, Say, Think

KEY = "AIzaFakeKeyForTests0123456789"
PROJECT = "fake-project"
LOCATION = "us-central1"
THOUGHT_TOKENS = 2
CACHED_TOKENS = 4
STATUS_WORDS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_GOOGLES_OWN = frozenset({401, 403, 404, 429, 503})
"""Statuses that Google's front answers for Claude too, in its own shape."""


class VertexFake(ScriptedServer):
    """Vertex AI at {url}/v1, the Gemini API at {url}/v1beta, and Google's token service at {url}/token.

    Attributes:
        key: the API key that is taken.
        token_lifetime: seconds, as the token service says.
        tokens: those that it gave out.
        gemini, claude: the models that are listed.
    """

    def __init__(self, *replies: Reply) -> None:
        super().__init__(*replies)
        self.key = KEY
        self.token_lifetime = 3600
        self.tokens: list[str] = []
        self.gemini = ["gemini-2.5-flash", "gemini-3-pro-preview"]
        self.claude = ["claude-opus-4-5", "claude-haiku-4-5"]

    def service_account(self) -> Json:
        """A service account's key file whose token service is this fake; the key is real."""
        pem = _private_key().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": "fake",
            "private_key": pem.decode(),
            "client_email": f"lynkr@{PROJECT}.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": f"{self.url}/token",
        }

    def routes(self) -> list[web.RouteDef]:
        """Google's paths; what follows a model's colon is the method."""
        model = "/publishers/{publisher}/models/{call:[^/]+:[a-zA-Z]+}"
        return [
            web.post("/v1/projects/{project}/locations/{location}" + model, self.handle),
            web.post("/v1beta/models/{call:[^/]+:[a-zA-Z]+}", self.handle),
            web.get("/v1beta/models", self._list_gemini),
            web.get("/v1beta1/publishers/{publisher}/models", self._list_publisher),
            web.post("/token", self._token),
        ]

    def wire(self, asked: Asked) -> Wire:
        """Messages for Claude, vectors for embedding models, else generateContent."""
        method = asked.path.rpartition(":")[2]
        if method in ("predict", "batchEmbedContents"):
            return EmbeddingWire(asked)
        if "/publishers/anthropic/" in asked.path:
            return ClaudeWire(asked)
        return GeminiWire(asked)

    def check(self, asked: Asked) -> tuple[int, str] | None:
        """What the real services refuse."""
        if (refused := self._check_access(asked)) is not None:
            return refused
        model, _, method = asked.path.rpartition("/")[2].partition(":")
        body = asked.json
        if method in ("predict", "batchEmbedContents"):
            return None
        if "/publishers/anthropic/" in asked.path:
            return self._check_claude(asked, model, method, body)
        if method not in ("generateContent", "streamGenerateContent"):
            return 404, f"Method {method} not found."
        try:
            check_gemini_body(body, model, vertex=asked.path.startswith("/v1/"))
        except Refused as error:
            return error.status, error.message
        return None

    def _check_access(self, asked: Asked) -> tuple[int, str] | None:
        key = asked.headers.get("x-goog-api-key", "")
        bearer = asked.headers.get("authorization", "").removeprefix("Bearer ")
        if key:
            return None if key == self.key else (400, "API key not valid. Please pass a valid API key.")
        if asked.path.startswith("/v1beta/"):
            return 403, "Method doesn't allow unregistered callers. Please use API Key."
        if bearer not in self.tokens:
            return 401, "Request had invalid authentication credentials. Expected OAuth 2 access token."
        if f"/projects/{PROJECT}/" not in asked.path:
            return 403, "Permission 'aiplatform.endpoints.predict' denied on resource."
        return None

    def _check_claude(self, asked: Asked, model: str, method: str, body: Json) -> tuple[int, str] | None:
        if model == "count-tokens":
            return None
        wanted = "streamRawPredict" if body.get("stream") else "rawPredict"
        if method != wanted:
            return 400, f"stream does not fit {method}."
        try:
            check_messages_body(body, betas=asked.headers.get("anthropic-beta", ""), model=model)
        except Refused as error:
            return error.status, error.message
        return None

    async def _list_gemini(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("x-goog-api-key") != self.key:
            return web.json_response(error_body(403, "Please use API Key."), status=403)
        listed = [
            {
                "name": f"models/{name}",
                "displayName": name,
                "inputTokenLimit": 1048576,
                "outputTokenLimit": 65536,
                "supportedGenerationMethods": ["generateContent", "countTokens"],
            }
            for name in self.gemini
        ]
        return web.json_response({"models": listed})

    async def _list_publisher(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return web.json_response(error_body(401, "Expected OAuth 2 access token."), status=401)
        publisher = request.match_info["publisher"]
        names = self.claude if publisher == "anthropic" else self.gemini
        listed = [{"name": f"publishers/{publisher}/models/{name}", "versionId": "default"} for name in names]
        return web.json_response({"publisherModels": listed})

    async def _token(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        assertion = str(form.get("assertion", ""))
        if not _signed_by_account(assertion):
            return web.json_response(
                {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, status=400
            )
        token = f"ya29.fake-token-{len(self.tokens)}"
        self.tokens.append(token)
        return web.json_response(
            {"access_token": token, "expires_in": self.token_lifetime, "token_type": "Bearer"}
        )


class GeminiWire(Wire):
    """generateContent, and its stream with `alt=sse`."""

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked)
        body = asked.json
        self._model, _, self._method = asked.path.rpartition("/")[2].partition(":")
        config = (body.get("generationConfig") or {}).get("thinkingConfig") or {}
        self._thinks = bool(config.get("includeThoughts"))
        self._signs = needs_signatures(self._model)
        self._gives_ids = asked.path.startswith("/v1beta/")
        self._calls = 0
        self._thought = False

    @property
    def streams(self) -> bool:
        """As the method says."""
        return self._method == "streamGenerateContent"

    def start(self) -> bytes:
        """Nothing comes before the first candidate."""
        return b""

    def say(self, piece: str) -> bytes:
        """A text part."""
        return self._chunk([{"text": piece}])

    def think(self, piece: str) -> bytes:
        """A thought, for those who want thoughts."""
        if not self._thinks:
            return b""
        self._thought = True
        return self._chunk([{"text": piece, "thought": True}])

    def call(self, name: str, arguments: Json) -> Iterator[bytes]:
        """A functionCall with all of its arguments; only the first of several is signed."""
        yield self._chunk([self._part(name, arguments)])

    def end(self, reason: str, *, counts: bool) -> bytes:
        """The finish reason, on an empty part."""
        return self._chunk([{"text": ""}], finish=self._finish(reason), counts=counts)

    def error_event(self, message: str) -> bytes:
        """An error where a chunk, or an answer, is expected."""
        body = error_body(500, message)
        return self._event(body) if self.streams else json.dumps(body).encode()

    def whole(self, reply: Reply) -> bytes:
        """One GenerateContentResponse."""
        parts: list[Json] = []
        for step in reply.steps:
            match step:
                case Say():
                    parts.append({"text": step.text})
                case Think() if self._thinks:
                    self._thought = True
                    parts.append({"text": step.text, "thought": True})
                case Call():
                    parts.append(self._part(step.name, step.arguments))
        body = self._body(parts, self._finish(reply.done_reason), counts=reply.counts)
        return json.dumps(body, ensure_ascii=False).encode()

    def failure(self, status: int, message: str) -> bytes:
        """`{"error": ...}`; a stream without `alt=sse` has it in a list."""
        body: Any = error_body(status, message)
        if self.streams and self.asked.query.get("alt") != "sse":
            body = [body]
        return json.dumps(body).encode()

    def _part(self, name: str, arguments: Json) -> Json:
        call: Json = {"name": name, "args": arguments}
        if self._gives_ids:
            call["id"] = f"fc{self._calls}"
        part: Json = {"functionCall": call}
        if self._signs and self._calls == 0:
            part["thoughtSignature"] = sign(name)
        self._calls += 1
        return part

    def _finish(self, reason: str) -> str:
        return {"stop": "STOP", "length": "MAX_TOKENS"}.get(reason, reason)

    def _body(self, parts: list[Json], finish: str = "", *, counts: bool = True) -> Json:
        candidate: Json = {"content": {"role": "model", "parts": parts}, "index": 0}
        body: Json = {"candidates": [candidate], "modelVersion": self._model, "responseId": "resp-1"}
        if finish:
            candidate["finishReason"] = finish
            if counts:
                body["usageMetadata"] = {
                    "promptTokenCount": PROMPT_TOKENS,
                    "candidatesTokenCount": OUTPUT_TOKENS - (THOUGHT_TOKENS if self._thought else 0),
                    "thoughtsTokenCount": THOUGHT_TOKENS if self._thought else 0,
                    "cachedContentTokenCount": CACHED_TOKENS,
                    "totalTokenCount": PROMPT_TOKENS + OUTPUT_TOKENS,
                }
        return body

    def _chunk(self, parts: list[Json], finish: str = "", *, counts: bool = True) -> bytes:
        return self._event(self._body(parts, finish, counts=counts))

    def _event(self, body: Json) -> bytes:
        data = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
        # Google ends its lines so.
        return b"data: " + data + b"\r\n\r\n"


class ClaudeWire(MessagesWire):
    """Messages; what fails before the model is reached is told by Google."""

    def failure(self, status: int, message: str) -> bytes:
        """Google's shape or Anthropic's."""
        if status in _GOOGLES_OWN:
            return json.dumps([error_body(status, message)]).encode()
        return super().failure(status, message)

    def whole(self, reply: Reply) -> bytes:
        """A message, or the count of a prompt's tokens."""
        if "/models/count-tokens:" in self.asked.path:
            return json.dumps({"input_tokens": 1234}).encode()
        return super().whole(reply)


class EmbeddingWire(Wire):
    """Vectors: the length of each text and two constants."""

    streams = False

    def whole(self, reply: Reply) -> bytes:
        """As the method has it."""
        body = self.asked.json
        if self.asked.path.endswith(":predict"):
            texts = [instance["content"] for instance in body["instances"]]
            found = [
                {"embeddings": {"values": [len(text), 0.5, 1.0], "statistics": {"token_count": 3}}}
                for text in texts
            ]
            return json.dumps({"predictions": found}).encode()
        texts = [request["content"]["parts"][0]["text"] for request in body["requests"]]
        return json.dumps({"embeddings": [{"values": [len(text), 0.5, 1.0]} for text in texts]}).encode()

    def failure(self, status: int, message: str) -> bytes:
        """Google's shape."""
        return json.dumps(error_body(status, message)).encode()

    def error_event(self, message: str) -> bytes:
        """The same."""
        return self.failure(503, message)

    def start(self) -> bytes:
        """Never streamed."""
        raise NotImplementedError

    def say(self, piece: str) -> bytes:
        """Never streamed."""
        raise NotImplementedError

    def think(self, piece: str) -> bytes:
        """Never streamed."""
        raise NotImplementedError

    def call(self, name: str, arguments: Json) -> Iterator[bytes]:
        """Never streamed."""
        raise NotImplementedError

    def end(self, reason: str, *, counts: bool) -> bytes:
        """Never streamed."""
        raise NotImplementedError


def error_body(status: int, message: str) -> Json:
    """An error as Google words it; one of too many requests says when to come back."""
    error: Json = {"code": status, "message": message, "status": STATUS_WORDS.get(status, "UNKNOWN")}
    if status == 429:
        retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7.5s"}
        error["details"] = [retry]
    return {"error": error}


@cache
def _private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _signed_by_account(assertion: str) -> bool:
    """Whether the assertion is a JWT of the service account that asks for the right scope."""
    try:
        head, claims, signature = assertion.split(".")
        _private_key().public_key().verify(
            _unpadded(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256()
        )
        said = json.loads(_unpadded(claims))
    except (ValueError, InvalidSignature):
        return False
    # google-auth names Google's own token service here, wherever the key file points.
    return "oauth2.googleapis.com" in said.get("aud", "") and "cloud-platform" in said.get("scope", "")


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
