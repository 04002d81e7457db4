"""A server that answers what it is told to, one answer after the other, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DROP = "drop the connection"


@dataclass
class Stub:
    """Answers by method and path.

    Attributes:
        url: where it listens.
        answers: ``GET /path`` to what comes back, the last one for ever: DROP, or a status and a body.
        asked: method and path, headers and body of every question.
    """

    url: str = ""
    answers: dict[str, list[Any]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)

    def paths(self) -> list[str]:
        """What was asked, in order."""
        return [path for path, _, _ in self.asked]

    def bodies(self, path: str) -> list[Any]:
        """What was sent to a path."""
        return [body for asked, _, body in self.asked if asked == path]


@contextmanager
def stub_server() -> Iterator[Stub]:
    """A stub that listens while this block is open."""
    stub = Stub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked = f"{self.command} {self.path.partition('?')[0]}"
            stub.asked.append((asked, dict(self.headers), json.loads(text) if text else None))
            answers = stub.answers.get(asked, [(404, {"detail": "no such path"})])
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if answer == DROP:
                self.close_connection = True
                self.connection.shutdown(2)
                return
            status, body, *headers = answer
            content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if isinstance(body, str) else "application/json")
            self.send_header("Content-Length", str(len(content)))
            for name, value in (headers[0] if headers else {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _answer

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
