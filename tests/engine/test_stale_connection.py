"""Connections that a provider has given up while they waited for their next request."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.support.engine import ONE_TRY, config_for, engine_in_process

ANSWER = (
    b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}'
)


class Server:
    """Answers as many requests on each connection as `answers` says, then closes without a word."""

    def __init__(self, *answers: int) -> None:
        self._answers = list(answers)
        self.requests: list[int] = []
        self._connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        number, self._connections = self._connections, self._connections + 1
        left = self._answers[number] if number < len(self._answers) else 100
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (
                        int(line.split(b":")[1])
                        for line in head.lower().split(b"\r\n")
                        if line.startswith(b"content-length")
                    ),
                    0,
                )
                await reader.readexactly(length)
                if head.startswith(b"POST"):
                    self.requests.append(number)
                    if left == 0:
                        break
                    left -= 1
                size = str(len(ANSWER)).encode()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: " + size)
                writer.write(b"\r\n\r\n" + ANSWER)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def ask_twice(server: Server, home: Path) -> list[int]:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    async with listening, engine_in_process(home, config_for(url, **ONE_TRY)) as lynkr:
        return [(await lynkr.ask(model="fake/m"))[0].status for _ in range(2)]


async def test_a_connection_that_was_given_up_is_replaced(tmp_path: Path) -> None:
    server = Server(1)
    assert await ask_twice(server, tmp_path) == [200, 200]
    assert server.requests == [0, 0, 1], "the second request is sent again, on a fresh connection"


async def test_a_request_on_a_fresh_connection_is_never_repeated(tmp_path: Path) -> None:
    server = Server(0)
    assert await ask_twice(server, tmp_path) == [502, 200]
    assert server.requests == [0, 1]


async def test_a_request_is_repeated_once(tmp_path: Path) -> None:
    server = Server(1, 0)
    assert await ask_twice(server, tmp_path) == [200, 502]
    assert server.requests == [0, 0, 1]
