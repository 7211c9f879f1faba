"""A scripted attacker on this machine: who has no token gets nothing, and nobody stops anybody else."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import socket
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
import yaml
from aiohttp import web

from lynkr_desktop.engine.endpoints.admin import Admin
from lynkr_desktop.engine.engine import Engine
from lynkr_desktop.paths import resolve_paths
from tests.support.attacker import comes_back, head, held, honest_client, raw, statuses
from tests.support.engine import TOKEN, config_for
from tests.support.openai_server import OpenAIServer, begin, chunk, completion, openai_server
from tests.support.proxy import Proxy, running_proxy

ASK = json.dumps({"model": "auto-route", "messages": [{"role": "user", "content": "hi"}]}).encode()
PATHS = ("/v1/messages", "/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/api/chat", "/v1/models")
GOOD = ("Authorization", f"Bearer {TOKEN}")


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIServer]:
    async with openai_server() as server:
        yield server


@pytest.fixture
async def lynkr(tmp_path: Path, upstream: OpenAIServer) -> AsyncIterator[Proxy]:
    """`lynkr serve` in a process of its own."""
    config = yaml.safe_dump(config_for(upstream.url))
    running = running_proxy(tmp_path / "home", config)
    proxy = await asyncio.to_thread(running.__enter__)
    try:
        yield proxy
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


def calls() -> Iterator[tuple[str, str, bool]]:
    """Method, path and openness of each call of the control API."""
    # Only listed here: nothing of the engine is started.
    engine = Engine(resolve_paths(Path("nowhere")), environ={})
    for call in Admin(engine).calls():
        yield call.method, call.path, call.open


def post(target: str, host: str, body: bytes, *headers: tuple[str, str]) -> bytes:
    """A whole request."""
    length = ("Content-Length", str(len(body)))
    return head("POST", target, host, [*headers, ("Content-Type", "application/json"), length]) + body


async def untouched(lynkr: Proxy, upstream: OpenAIServer) -> None:
    """Nothing reached a model, and the engine runs as before."""
    assert not upstream.bodies
    status = await asyncio.to_thread(lynkr.get, "/v1/admin/status")
    assert status["state"] == "running"


# ---------------------------------------------------------------- who may call


async def test_without_the_token_nothing_answers(lynkr: Proxy, upstream: OpenAIServer) -> None:
    """No call of any protocol answers one who has no token, or a wrong one in any place."""
    wrong = ["x", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "\u00e4" * 10, "x" * 8000, "undefined", "null", "*"]
    ways: list[dict[str, str]] = [{}]
    for value in wrong:
        encoded = base64.b64encode(f"any:{value}".encode()).decode()
        ways += [
            {"Authorization": f"Bearer {value}"},
            {"Authorization": value},
            {"Authorization": f"Basic {encoded}"[:8000]},
            {"x-api-key": value},
            {"x-lynkr-token": value},
            {"x-goog-api-key": value, "api-key": value},
        ]
    # The token itself, where it is no credential.
    ways += [
        {"Cookie": f"token={TOKEN}; Authorization=Bearer {TOKEN}"},
        {"Authorization": f"Digest {TOKEN}"},
        {"Proxy-Authorization": f"Bearer {TOKEN}"},
        {"X-Forwarded-Authorization": f"Bearer {TOKEN}"},
    ]
    targets = [("GET" if path.endswith("models") else "POST", path) for path in PATHS]
    targets += [
        (method, path.replace("{tier}", "simple").replace("{", "").replace("}", ""))
        for method, path, is_open in calls()
        if not is_open
    ]
    targets += [("GET", "/v1/admin/health?deep=true"), ("GET", "/api/tags"), ("DELETE", "/api/delete")]
    async with aiohttp.ClientSession() as http, honest_client(lynkr) as honest:
        answered = 0
        for (method, path), way in itertools.product(targets[:4], ways):
            answered += await refused(http, lynkr, method, path, way)
        for (method, path), way in itertools.product(targets, ways[:7]):
            answered += await refused(http, lynkr, method, path, way)
        # In the address it counts nowhere.
        for name in ("token", "key", "api_key", "access_token", "x-lynkr-token"):
            answered += await refused(http, lynkr, "GET", f"/v1/admin/status?{name}={TOKEN}", {})
    assert answered > 400
    assert len(upstream.bodies) == honest.asked


async def refused(
    http: aiohttp.ClientSession, lynkr: Proxy, method: str, path: str, headers: dict[str, str]
) -> int:
    async with http.request(method, lynkr.url + path, data=ASK, headers=headers) as response:
        body = await response.text()
        assert response.status == 401, (method, path, headers, response.status, body[:300])
        assert TOKEN not in body
        return 1


@pytest.mark.parametrize("with_token", [True, False])
async def test_names_that_were_made_to_point_here(
    lynkr: Proxy, upstream: OpenAIServer, with_token: bool
) -> None:
    """A page whose own name resolves to this machine is refused, even when it knows the token."""
    port = lynkr.port
    hosts = [
        *("evil.example", f"evil.example:{port}", "EVIL.EXAMPLE.", f"127.0.0.1.evil.example:{port}"),
        *(f"localhost.evil.example:{port}", "evil.localhost", "notlocalhost", "localhost.localdomain"),
        *(
            "0.0.0.0",
            "127.1",
            "127.0.0.2",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "[::]",
            "[::ffff:7f00:1]",
        ),
        *("[::1", "::1", "[::1].evil.example", "127.0.0.1@evil.example", f"127.0.0.1:{port}@evil.example"),
        *("127.0.0.1#.evil.example", "127.0.0.1/evil", "127.0.0.1, evil.example", "127.0.0.1 evil.example"),
        *(
            "127.0.0.1:80:80",
            "127.0.0.1:port",
            "127.0.0.1%00.evil.example",
            "127.0.0.1\\evil",
            "",
            "localhost..",
        ),
    ]
    credential = [GOOD] if with_token else []
    for host, target in itertools.product(hosts, ("/v1/models", "/v1/admin/health", "/nowhere", "/metrics")):
        answer = await raw(port, head("GET", target, host, credential))
        assert statuses(answer)[:1] in ([403], [400]), (host, target, answer[:300])
        assert b"Lynkr serves POST" not in answer
    for host in hosts:
        answer = await raw(port, post("/v1/chat/completions", host, ASK, *credential))
        assert statuses(answer)[:1] in ([403], [400]), (host, answer[:300])
        # A browser that asks whether it may is told no.
        asks = [("Origin", f"http://{host}"), ("Access-Control-Request-Method", "POST")]
        answer = await raw(port, head("OPTIONS", "/v1/chat/completions", host, asks))
        assert statuses(answer)[:1] in ([403], [400]), (host, answer[:300])
        assert b"access-control-allow-origin" not in answer.lower()
    await untouched(lynkr, upstream)


async def test_the_target_of_a_request_counts_before_its_host(lynkr: Proxy, upstream: OpenAIServer) -> None:
    """Two hosts, or another one in the target, are refused; the spellings of this machine are not."""
    port, here = lynkr.port, f"127.0.0.1:{lynkr.port}"
    for target in (
        "http://evil.example/v1/models",
        "HTTP://evil.example:80/v1/models",
        "//evil.example/v1/models",
    ):
        answer = await raw(port, head("GET", target, here, [GOOD]))
        assert statuses(answer)[:1] in ([403], [400], [404]), answer[:300]
    two = f"GET /v1/models HTTP/1.1\r\nHost: {here}\r\nHost: evil.example\r\n{': '.join(GOOD)}\r\n\r\n"
    for data in (two, two.replace("Host: evil", "hOST: evil"), two.replace(f"Host: {here}\r\n", "", 1)):
        answer = await raw(port, data.encode(), within=2)
        assert statuses(answer) in ([400], [403]), answer[:300]
    for data in (f"GET /v1/models HTTP/1.1\r\n{': '.join(GOOD)}\r\n\r\n", f"CONNECT {here} HTTP/1.1\r\n\r\n"):
        answer = await raw(port, data.encode(), within=2)
        assert statuses(answer)[:1] in ([400], [403]), answer[:300]
    await untouched(lynkr, upstream)
    for host in (here, "127.0.0.1", f"localhost:{port}", "LOCALHOST", "localhost.", f"[::1]:{port}", "[::1]"):
        answer = await raw(port, head("GET", "/v1/models", host, [GOOD]))
        assert statuses(answer) == [200], (host, answer[:300])
    answer = await raw(port, head("GET", f"http://{here}/v1/models", here, [GOOD]))
    assert statuses(answer) == [200]


# ---------------------------------------------------------------- bytes that are no request


BAD_HEADS: dict[str, bytes] = {
    "bare line feeds": b"GET /v1/models HTTP/1.1\nHost: 127.0.0.1\nX: a\nX-Lynkr-Token: b\n\n",
    "a folded header": b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nX: a\r\n Authorization: b\r\n\r\n",
    "NUL in a value": b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nX: a\0b\r\n\r\n",
    "NUL in the path": b"GET /v1/mo\0dels HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "a carriage return in a value": b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nX: a\rEvil: b\r\n\r\n",
    "a blank in a name": b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nX Y: a\r\n\r\n",
    "a blank before the colon": b"GET /v1/models HTTP/1.1\r\nHost : 127.0.0.1\r\n\r\n",
    "no name": b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n: a\r\n\r\n",
    "a huge value": b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 5_000_000 + b"\r\n\r\n",
    "a huge name": b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"a" * 5_000_000 + b": b\r\n\r\n",
    "a huge path": b"GET /" + b"a" * 5_000_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    + b"".join(b"X-%d: a\r\n" % number for number in range(50_000))
    + b"\r\n",
    "another protocol": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 20,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(100),
    "HTTP/0.9": b"GET /v1/models\r\n\r\n",
    "an unknown version": b"GET /v1/models HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n",
    "an unknown method": b"STEAL /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
}


async def test_heads_that_http_does_not_allow(lynkr: Proxy, upstream: OpenAIServer) -> None:
    """Each is refused, none is taken for another request, and none fills the log."""
    before = await asyncio.to_thread(held, lynkr)
    async with honest_client(lynkr) as honest:
        for name, data in BAD_HEADS.items():
            answer = await raw(lynkr.port, data, within=5)
            assert not [status for status in statuses(answer) if status not in (400, 401, 403)], (
                name,
                answer,
            )
            assert b"Traceback" not in answer
        for _ in range(300):
            await raw(lynkr.port, BAD_HEADS["a folded header"], within=5)
    assert len(upstream.bodies) == honest.asked
    await comes_back(lynkr, before)
    log = (lynkr.home / "logs" / "engine.log").read_text()
    assert "Traceback" not in log
    assert len(log) < 20_000


async def test_headers_come_back_on_one_line(lynkr: Proxy, upstream: OpenAIServer) -> None:
    """What clients and upstreams write into headers and names of models cannot begin a line of the answer."""
    evil = "a\r\nSet-Cookie: stolen=1\r\n\r\nHTTP/1.1 200 OK"
    body = json.dumps({"model": evil, "messages": [{"role": "user", "content": "hi"}]}).encode()
    here = f"127.0.0.1:{lynkr.port}"
    answers = [await raw(lynkr.port, post("/v1/chat/completions", here, body, GOOD))]
    for fields in (
        {"model": f"fake/{evil}"},
        {"model": "tier:" + evil},
        {"model": "auto-route", "user": evil},
    ):
        body = json.dumps({"messages": [{"role": "user", "content": "hi"}], **fields}).encode()
        answers.append(await raw(lynkr.port, post("/v1/chat/completions", here, body, GOOD)))

    async def poisoned(request: web.Request, _body: object) -> web.StreamResponse:
        response = web.json_response({"error": {"message": evil, "type": evil}}, status=429)
        response.headers["x-ratelimit-reset"] = "a" * 4000
        response.headers["request-id"] = "caf\u00e9"
        response.headers["retry-after"] = "9" * 400
        return response

    upstream.script = poisoned
    answers.append(await raw(lynkr.port, post("/v1/chat/completions", here, ASK, GOOD), within=30))
    for answer in answers:
        first = answer.partition(b"\r\n\r\n")[0]
        assert len(statuses(answer)) == 1, answer[:500]
        assert b"\nset-cookie" not in first.lower(), answer[:500]


HERE = b"Host: 127.0.0.1\r\n"
SECOND = b"GET /v1/admin/status HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Lynkr-Token: " + TOKEN.encode() + b"\r\n\r\n"
POST = b"POST /v1/chat/completions HTTP/1.1\r\n" + HERE
SMUGGLED: dict[str, bytes] = {
    "both lengths": POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SECOND,
    "both lengths, the other way": POST
    + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"
    + SECOND,
    "two lengths": POST + b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(SECOND) + SECOND,
    "a list of lengths": POST + b"Content-Length: 0, 0\r\n\r\n" + SECOND,
    "a signed length": POST + b"Content-Length: +0\r\n\r\n" + SECOND,
    "a negative length": POST + b"Content-Length: -1\r\n\r\n" + SECOND,
    "a hexadecimal length": POST + b"Content-Length: 0x0\r\n\r\n" + SECOND,
    "a length beyond all bounds": POST + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n" + SECOND,
    "an unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SECOND,
    "a coding behind a tab": POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + SECOND,
    "chunked not last": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SECOND,
    "chunked twice": POST
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    + SECOND,
    "a chunk whose size is no number": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n" + SECOND,
    "a chunk of negative size": POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n" + SECOND,
    "a chunk beyond all bounds": POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n" + SECOND,
    "a chunk that is longer than it says": POST
    + b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n"
    + SECOND,
    "an endless chunk extension": POST + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"a" * 300_000,
    "a bare line feed after a chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n1\na\n0\n\n" + SECOND,
}


@pytest.mark.parametrize(
    "token", [b"", b"X-Lynkr-Token: " + TOKEN.encode() + b"\r\n"], ids=["stranger", "known"]
)
async def test_no_request_hides_in_another(lynkr: Proxy, upstream: OpenAIServer, token: bytes) -> None:
    """Where the length of a body is in doubt, what stands behind it is never answered."""
    for name, data in SMUGGLED.items():
        data = data.replace(HERE, HERE + token, 1)
        answer = await raw(lynkr.port, data, within=4)
        assert b'"anthropic_url"' not in answer, (name, answer)
        # One refusal, be it of the request or of its bytes, then the connection is at its end.
        assert set(statuses(answer)) <= {400, 401, 413}, (name, answer)
    await untouched(lynkr, upstream)


# ---------------------------------------------------------------- paths


TRAVERSAL = (
    *("..", "../../../../etc/passwd", "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e%2f%2e%2e%2fetc%2fpasswd"),
    *(
        "..%252f..%252fetc%252fpasswd",
        "....//....//etc/passwd",
        "..%5c..%5cwindows%5cwin.ini",
        "%c0%ae%c0%ae%2fetc",
    ),
    *(
        "%2fetc%2fpasswd",
        "/etc/passwd",
        "C:%5cWindows%5cwin.ini",
        "file:%2f%2f%2fetc%2fpasswd",
        "%00",
        "a%00.json",
    ),
    *(
        "~root",
        "%7e%2f.ssh%2fid_rsa",
        "token",
        "..%2ftoken",
        "%0d%0aSet-Cookie:%20a=b",
        "a" * 4000,
        "%ff%fe",
        "'",
    ),
    *(
        "' OR 1=1 --",
        "%27%20OR%201=1%20--",
        "*",
        "%25",
        "$(id)",
        "%60id%60",
        "{{7*7}}",
        "-1",
        "99999999999999999999",
    ),
)


def traversals() -> Iterator[tuple[str, str]]:
    """Method and path of each call that has a parameter, with each thing that does not belong there."""
    for method, path, _ in calls():
        if "{" not in path:
            continue
        start, _, rest = path.partition("{")
        for name in TRAVERSAL:
            yield method, start + name.replace(" ", "%20") + rest.partition("}")[2]
    for name in TRAVERSAL:
        yield "GET", "/v1/models/" + name.replace(" ", "%20")
        yield "GET", "/" + name.replace(" ", "%20")


async def test_no_path_leads_out(lynkr: Proxy, tmp_path: Path) -> None:
    """With the token even: no parameter of the control API names a file, and none makes the engine fail."""
    before = {
        path: path.read_bytes()
        for path in lynkr.home.rglob("*")
        if path.name in ("token", "lynkr-routing.yaml")
    }
    (tmp_path / "secret.txt").write_text("THE SECRET OF A NEIGHBOUR")
    here = f"127.0.0.1:{lynkr.port}"
    tried = 0
    async with honest_client(lynkr):
        for method, target in traversals():
            body = b"" if method in ("GET", "DELETE") else b"{}"
            length = ("Content-Length", str(len(body)))
            answer = await raw(lynkr.port, head(method, target, here, [GOOD, length]) + body)
            assert statuses(answer)[:1] != [500], (method, target, answer[:400])
            assert len(statuses(answer)) == 1, (method, target, answer[:400])
            for stolen in (b"root:x:0", b"THE SECRET", TOKEN.encode(), b"\nSet-Cookie", b"Traceback"):
                assert stolen not in answer, (method, target, answer[:400])
            tried += 1
    assert tried > 300
    assert before == {path: path.read_bytes() for path in before}


# ---------------------------------------------------------------- bodies


def gzip_bomb(size: int) -> bytes:
    """Zeros that are a thousand times as many when they are unpacked."""
    packer = zlib.compressobj(9, wbits=31)
    piece = bytes(1024**2)
    return b"".join([packer.compress(piece) for _ in range(size // len(piece))]) + packer.flush()


async def test_bombs_as_bodies(lynkr: Proxy, upstream: OpenAIServer) -> None:
    """What unpacks to more than a body may have is refused on the way; strangers' is not even looked at."""
    before = await asyncio.to_thread(held, lynkr)
    bomb = await asyncio.to_thread(gzip_bomb, 1024**3)
    here = f"127.0.0.1:{lynkr.port}"
    flat = zlib.compress(bytes(200 * 1024**2), 9)
    # A zip whose one member claims 4 GB, what an archive bomb begins with; here it is bytes like any others.
    archive = b"PK\x03\x04" + bytes(10) + b"\xff" * 8 + bytes(4)
    async with honest_client(lynkr) as honest:
        cases = [
            ("gzip", bomb, 413),
            ("x-gzip", bomb, 413),
            ("deflate", flat, 413),
            ("deflate", flat[2:], 413),
        ]
        cases += [("br", flat, 415), ("zstd", flat, 415), ("gzip, gzip", bomb, 415), ("compress", flat, 415)]
        cases += [
            ("gzip", b"\x1f\x8b", 400),
            ("gzip", b"no", 400),
            ("gzip", bomb[:500], 400),
            ("gzip", archive, 400),
        ]
        cases += [("", archive, 400), ("gzip", gzip_bomb(0) * 5000, 400)]
        for encoding, body, status in cases:
            packed = ("Content-Encoding", encoding)
            for path in ("/v1/chat/completions", "/v1/messages"):
                answer = await raw(lynkr.port, post(path, here, body, GOOD, packed))
                assert statuses(answer) == [status], (encoding, body[:9], answer[:400])
            answer = await raw(lynkr.port, post("/v1/admin/reload", here, body, packed))
            assert statuses(answer)[:1] in ([401], []), (encoding, answer[:400])
        # Many at once, by strangers and by one who knows the token.
        packed = ("Content-Encoding", "gzip")
        many = [post("/v1/responses", here, bomb, *way, packed) for way in ([], [GOOD]) for _ in range(15)]
        await asyncio.gather(*(raw(lynkr.port, data) for data in many))
    assert len(upstream.bodies) == honest.asked
    await comes_back(lynkr, before, megabytes=100)
    # What is packed in good faith is unpacked.
    for encoding, wbits in (("gzip", 31), ("deflate", 15), ("deflate", -15)):
        packer = zlib.compressobj(wbits=wbits)
        answer = await raw(
            lynkr.port,
            post(
                "/v1/chat/completions",
                here,
                packer.compress(ASK) + packer.flush(),
                GOOD,
                ("Content-Encoding", encoding),
            ),
        )
        assert statuses(answer) == [200], answer[:300]
        assert upstream.requests[-1]["messages"][0]["content"] == "hi"


async def test_bombs_as_answers(lynkr: Proxy, upstream: OpenAIServer) -> None:
    """An upstream's answer that never ends, or unpacks to far too much, ends as an error; others go on."""
    before = await asyncio.to_thread(held, lynkr)
    bomb = await asyncio.to_thread(gzip_bomb, 512 * 1024**2)
    kinds = ["whole", "stream", "line"]

    async def script(request: web.Request, body: dict[str, object]) -> web.StreamResponse:
        kind = str(body["messages"][0]["content"])  # type: ignore[index]
        if kind not in kinds:
            return web.json_response(completion("".join(upstream.words)))
        if kind == "line":
            response = await begin(request)
            with contextlib.suppress(ConnectionError):
                await response.write(chunk({"content": "a"}) + b"data: ")
                for _ in range(300):
                    await response.write(b"x" * 1024**2)
            return response
        response = web.StreamResponse(headers={"content-encoding": "gzip"})
        response.content_type = "text/event-stream" if kind == "stream" else "application/json"
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            await response.write(bomb)
        return response

    upstream.script = script
    async with (
        aiohttp.ClientSession(headers={"authorization": f"Bearer {TOKEN}"}) as http,
        honest_client(lynkr),
    ):
        for kind, stream in itertools.product(kinds, (False, True)):
            body = {"model": "fake/m", "messages": [{"role": "user", "content": kind}], "stream": stream}
            url = f"{lynkr.url}/v1/chat/completions"
            async with http.post(url, json=body, timeout=aiohttp.ClientTimeout(total=60)) as response:
                text = await response.text()
                assert response.status == 502 or '"error"' in text, (
                    kind,
                    stream,
                    response.status,
                    text[-500:],
                )
                assert len(text) < 100_000
    await comes_back(lynkr, before, megabytes=150)


def asking(fields: bytes, messages: bytes = b'[{"role":"user","content":"hi"}]') -> bytes:
    """A body with something in it that does not belong there."""
    return b'{"model":"auto-route","messages":' + messages + b"," + fields + b"}"


LISTS = b"[" * 100_000 + b"]" * 100_000
MANY_KEYS = json.dumps(dict.fromkeys(map(str, range(100_000)), 1)).encode()
NO_MESSAGES = b"[" + b",".join([b'{"role":"user","content":""}'] * 100_000) + b"]"
BODIES: dict[str, bytes] = {
    "100,000 lists": asking(b'"x":1', LISTS),
    "100,000 objects": asking(b'"x":1', b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "100,000 lists in a tool": asking(
        b'"tools":[{"type":"function","function":{"name":"f","parameters":' + LISTS + b"}}]"
    ),
    "a number of a million digits": asking(b'"max_tokens":' + b"9" * 1_000_000),
    "an exponent": asking(b'"temperature":1e999999999'),
    "no number": asking(b'"temperature":NaN'),
    "a lone surrogate": asking(b'"x":1', b'[{"role":"user","content":"\\ud800"}]'),
    "no UTF-8": asking(b'"x":1', b'[{"role":"user","content":"\xff\xfe\xed\xa0\x80"}]'),
    "UTF-16": json.dumps({"model": "auto-route"}).encode("utf-16"),
    "duplicate keys": asking(b'"model":"tier:nowhere","messages":[]'),
    "100,000 keys": asking(b'"x":' + MANY_KEYS),
    "100,000 messages": asking(b'"x":1', NO_MESSAGES),
    "one key of 10 MB": b'{"' + b"a" * 10_000_000 + b'":1}',
    "nothing": b"",
    "33 MB": b" " * (33 * 1024**2),
}


async def test_bodies_that_are_no_requests(lynkr: Proxy, upstream: OpenAIServer) -> None:
    """Whatever a body holds, it gets an answer in its protocol, never a 500, and nobody waits for it."""
    before = await asyncio.to_thread(held, lynkr)

    async with (
        aiohttp.ClientSession(headers={"authorization": f"Bearer {TOKEN}"}) as http,
        honest_client(lynkr) as honest,
    ):
        sent = 0
        paths = ("/v1/chat/completions", "/v1/messages", "/v1/responses", "/api/chat", "/v1/embeddings")
        control = ("/v1/admin/routes/explain", "/v1/admin/budgets/reset", "/v1/messages/count_tokens")
        for (name, body), path in itertools.product(BODIES.items(), (*paths, *control)):
            with contextlib.suppress(aiohttp.ClientOSError):
                # What is too large is refused before it was sent.
                async with http.post(lynkr.url + path, data=body) as response:
                    text = await response.text()
                    assert response.status != 500, (name, path, text[:300])
                    assert response.status < 600
                    assert "Traceback" not in text
                    sent += 1
    assert sent > 100
    assert len(upstream.bodies) >= honest.asked - 1
    await comes_back(lynkr, before, megabytes=200)


# ---------------------------------------------------------------- connections


def connect(port: int) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=10)
    made.setblocking(False)
    return made


def is_closed(one: socket.socket) -> bool:
    """Whether the other side has closed it."""
    try:
        while one.recv(65536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


async def test_two_thousand_connections_that_wait(lynkr: Proxy, upstream: OpenAIServer) -> None:
    """Idle ones, endless heads, bodies that never come, halves that were closed: others are answered."""
    before = await asyncio.to_thread(held, lynkr)
    here = f"127.0.0.1:{lynkr.port}".encode()
    begun = b"GET /v1/models HTTP/1.1\r\nHost: " + here + b"\r\n"
    asks = b"POST /v1/messages HTTP/1.1\r\nHost: " + here + b"\r\nContent-Length: 1000000\r\n"
    what = [
        *(1600 * [b""]),
        *(200 * [b"G"]),
        *(100 * [begun]),
        *(100 * [asks + b"\r\n{"]),
        *(100 * [begun + b"Authorization: Bearer wrong\r\n\r\n"]),
    ]
    held_open: list[socket.socket] = []
    try:
        async with honest_client(lynkr) as honest:
            for number, data in enumerate(what):
                one = connect(lynkr.port)
                held_open.append(one)
                one.send(data)
                if number % 20 == 0:
                    one.shutdown(socket.SHUT_WR)
                    await asyncio.sleep(0)
            during = await asyncio.to_thread(held, lynkr)
            asked = honest.asked
            # Byte by byte, slower than any limit on silence would notice.
            slow = held_open[1600:1800]
            async with asyncio.timeout(90):
                rest = iter(b"ET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: " + b"a" * 1000)
                while not all(map(is_closed, slow)):
                    byte = bytes([next(rest)])
                    for one in slow:
                        with contextlib.suppress(OSError):
                            one.send(byte)
                    await asyncio.sleep(1)
            assert honest.asked > asked + 20
            assert during.memory - before.memory < 100 * 1024**2, (before, during)
            # They hold their places for a minute; nobody had to wait for one.
            async with asyncio.timeout(90):
                while not all(map(is_closed, held_open)):
                    await asyncio.sleep(1)
    finally:
        for one in held_open:
            one.close()
    assert len(upstream.bodies) == honest.asked
    await comes_back(lynkr, before)


async def test_clients_that_never_read(lynkr: Proxy, upstream: OpenAIServer) -> None:
    """A stream that nobody takes holds its upstream back and little memory; others are answered."""
    written = 0

    async def endless(request: web.Request, body: dict[str, object]) -> web.StreamResponse:
        nonlocal written
        if not body.get("stream"):
            return web.json_response(completion("".join(upstream.words)))
        response = await begin(request)
        piece = chunk({"content": "x" * 10_000})
        with contextlib.suppress(ConnectionError):
            for _ in range(3_000):
                await response.write(piece)
                written += len(piece)
        return response

    upstream.script = endless
    before = await asyncio.to_thread(held, lynkr)
    body = ASK[:-1] + b',"stream":true}'
    here = f"127.0.0.1:{lynkr.port}"
    readers: list[socket.socket] = []
    try:
        async with honest_client(lynkr) as honest:
            for _ in range(20):
                one = socket.socket()
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                one.connect(("127.0.0.1", lynkr.port))
                one.send(post("/v1/chat/completions", here, body, GOOD))
                readers.append(one)
            # Until nothing moves any more: all buffers on the way are full.
            last = -1
            async with asyncio.timeout(60):
                while written != last or not written:
                    last = written
                    await asyncio.sleep(1)
            asked = honest.asked
            during = await asyncio.to_thread(held, lynkr)
            assert during.memory - before.memory < 100 * 1024**2, (before, during)
            assert written < 20 * 12 * 1024**2
            while honest.asked < asked + 10:
                await asyncio.sleep(0.05)
    finally:
        for one in readers:
            one.close()
    # The allocator keeps pages of what has passed through, and takes them for those that come next.
    await comes_back(lynkr, before, megabytes=100)


async def test_requests_by_the_thousand_without_waiting_for_answers(lynkr: Proxy) -> None:
    """One who sends without reading what comes back fills no memory but their own."""
    before = await asyncio.to_thread(held, lynkr)
    one = head("GET", "/v1/models", f"127.0.0.1:{lynkr.port}", close=False)
    async with honest_client(lynkr):
        flood = [asyncio.open_connection("127.0.0.1", lynkr.port) for _ in range(20)]
        opened = await asyncio.gather(*flood)
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(5):
                await asyncio.gather(*(pour(writer, one * 200) for _, writer in opened))
        during = await asyncio.to_thread(held, lynkr)
        for _, writer in opened:
            writer.transport.abort()
    assert during.memory - before.memory < 100 * 1024**2, (before, during)
    await comes_back(lynkr, before)


async def pour(writer: asyncio.StreamWriter, data: bytes) -> None:
    while True:
        writer.write(data)
        await writer.drain()
