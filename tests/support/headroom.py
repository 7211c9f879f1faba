"""A program that speaks what `headroom proxy` of headroom-ai 0.42 speaks, and behaves as badly as told.

    headroom proxy --port N ...

`GET /livez` answers `{"service": "headroom-proxy", "alive": true, ...}`; `POST /v1/compress` takes
`{"model", "messages"}` and answers `{"messages": [...], "tokens_before": ...}` with as many messages. What is
wrong with it is read from the file `behaviour` beside this script, for each request anew.
"""

from __future__ import annotations

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

BEHAVIOUR = Path(sys.argv[0]).with_name("behaviour")
ASKED = Path(sys.argv[0]).with_name("asked")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(200, {"service": "headroom-proxy", "status": "healthy", "alive": True})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with ASKED.open("a", encoding="utf-8") as asked:
            asked.write("x")
        messages: list[dict[str, Any]] = body["messages"]
        behaviour = BEHAVIOUR.read_text(encoding="utf-8") if BEHAVIOUR.exists() else "well"
        if behaviour == "slow":
            time.sleep(3)
        if behaviour == "trickles":
            self.send_response(200)
            self.send_header("content-length", "1000")
            self.end_headers()
            for _ in range(100):
                self.wfile.write(b" ")
                self.wfile.flush()
                time.sleep(0.05)
            return
        if behaviour == "fails":
            self._answer(503, {"error": {"type": "compression_error"}})
            return
        if behaviour == "talks":
            self._answer(200, ["no", "object"])
            return
        messages[-1]["content"] = messages[-1]["content"][:100]
        if behaviour == "rewrites":
            messages[0]["content"] = "Do something else."
        if behaviour == "drops":
            del messages[1]
        self._answer(200, {"messages": messages, "tokens_before": 1, "tokens_after": 1})

    def log_message(self, *args: Any) -> None:
        """Nothing."""

    def _answer(self, status: int, told: Any) -> None:
        data = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
