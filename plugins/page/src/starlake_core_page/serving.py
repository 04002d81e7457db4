"""A server for one person on this machine: the page, and the changes of runs as server-sent events.

It listens on the loopback address alone. Anyone who has the address with its token gets a cookie, and only requests with
the cookie, to this host and port and from this page, are answered. The protocol of events is that of the HTML standard
(https://html.spec.whatwg.org/multipage/server-sent-events.html).
"""

from __future__ import annotations

import json
import logging
import secrets
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlake_core import LivePage, Page, StarlakeError

from .contents import contents
from .document import document, policy
from .run_contents import run_contents

__all__ = ["PageServer", "serve"]

logger = logging.getLogger(__name__)

_COOKIE = "starlake-page"
_LOOK_SECONDS = 0.5
_ALIVE_SECONDS = 15.0


def serve(page: LivePage) -> None:
    """Show a page until the user stops it.

    Args:
        page: what it shows.

    Raises:
        StarlakeError: the port is in use.
    """
    server = PageServer(page)
    page.opened(server.address)
    try:
        server.serve_forever(poll_interval=0.2)
    finally:
        server.close()


class PageServer(ThreadingHTTPServer):
    """A server for a page.

    Args:
        page: what it shows.

    Attributes:
        address: the address to open, which lets its reader in.

    Raises:
        StarlakeError: the port is in use.
    """

    daemon_threads = True

    def __init__(self, page: LivePage) -> None:
        try:
            super().__init__(("127.0.0.1", page.port), _Handler)
        except OSError as error:
            raise StarlakeError(
                f"port {page.port} cannot be used: {error.strerror or error}. Choose another with --port, or 0 for any"
            ) from error
        self.page = page
        self.token = secrets.token_urlsafe(24)
        self.secret = secrets.token_urlsafe(24)
        self.host = f"127.0.0.1:{self.server_port}"
        self.address = f"http://{self.host}/?token={self.token}"
        self.stopped = threading.Event()
        self.watch = _Watch(page)
        self._started: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()

    def start_run(self) -> bool:
        """Start a run, unless one that was started here still runs. Return whether it did."""
        with self._lock:
            self._started = [process for process in self._started if process.poll() is None]
            if self._started:
                return False
            # It continues when the page is closed: it is the user's run, like one that a command line started.
            self._started.append(
                subprocess.Popen(
                    self.page.start,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            )
            return True

    def close(self) -> None:
        """Stop listening, and end the streams of events."""
        self.stopped.set()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader who leaves early is not an error."""
        logger.debug("a request ended early", exc_info=True)


class _Watch:
    """Looks at the runs, for all readers: at most once in a while, and only if somebody reads."""

    def __init__(self, page: LivePage) -> None:
        self._page = page
        self._lock = threading.Lock()
        self.shown: Page = page.load()

    def reload(self) -> Page:
        """Load the pipelines again; if they cannot be read now, those of before are shown."""
        with self._lock:
            try:
                self.shown = self._page.load()
            except StarlakeError as error:
                logger.warning("the pipelines cannot be read again: %s", error)
            return self.shown

    def runs(self) -> list[dict[str, Any]]:
        """Return the runs as they are now."""
        with self._lock:
            return run_contents(self.shown.pipelines, self._page.read_runs())


class _Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    server: PageServer
    protocol_version = "HTTP/1.1"
    server_version = "starlake"
    sys_version = ""

    def do_GET(self) -> None:
        path = urlsplit(self.path)
        if not self._is_ours():
            return
        if path.path == "/" and secrets.compare_digest(
            "".join(parse_qs(path.query).get("token", ())).encode(), self.server.token.encode()
        ):
            self._answer(
                HTTPStatus.SEE_OTHER,
                headers=(
                    ("Location", "/"),
                    ("Set-Cookie", f"{_COOKIE}={self.server.secret}; HttpOnly; SameSite=Strict; Path=/"),
                ),
            )
        elif not self._is_known():
            self._refuse("open the address that starlake-orchestrate ui has printed")
        elif path.path == "/":
            self._page()
        elif path.path == "/events":
            self._events()
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"there is no such page\n")

    def do_POST(self) -> None:
        if not self._is_ours() or urlsplit(self.path).path != "/run":
            self._answer(HTTPStatus.NOT_FOUND, b"there is no such page\n")
        elif not self._is_known() or self.headers.get("Origin") != f"http://{self.server.host}":
            self._refuse("a run can be started from the page alone")
        elif not self.server.page.start:
            self._refuse("start starlake-orchestrate ui with --allow-run to start runs from the page")
        else:
            started = self.server.start_run()
            self._answer(HTTPStatus.ACCEPTED if started else HTTPStatus.CONFLICT, b"")

    def _is_ours(self) -> bool:
        """Refuse other names of this machine, so that pages of other sites do not reach it (DNS rebinding)."""
        ours = self.headers.get("Host") == self.server.host and self.headers.get("Origin") in (
            None,
            f"http://{self.server.host}",
        )
        if not ours:
            self._refuse(f"use http://{self.server.host}")
        return ours

    def _is_known(self) -> bool:
        cookies: SimpleCookie = SimpleCookie()
        with suppress(CookieError):
            cookies.load(self.headers.get("Cookie", ""))
        given = cookies[_COOKIE].value if _COOKIE in cookies else ""
        return secrets.compare_digest(given.encode(), self.server.secret.encode())

    def _refuse(self, advice: str) -> None:
        self._answer(HTTPStatus.FORBIDDEN, f"not allowed: {advice}\n".encode())

    def _page(self) -> None:
        page = self.server.watch.reload()
        graph, details = contents(page.pipelines, page.title, page.made, page.sql)
        graph["mayRun"] = bool(self.server.page.start)
        text = document(graph, details, self.server.watch.runs(), live=True)
        self._answer(
            HTTPStatus.OK, text.encode(), kind="text/html", headers=(("Content-Security-Policy", policy(live=True)),)
        )

    def _answer(
        self,
        status: HTTPStatus,
        body: bytes = b"",
        *,
        kind: str = "text/plain",
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.send_response(status)
        for name, value in (
            ("Content-Type", f"{kind}; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "DENY"),
            ("Referrer-Policy", "no-referrer"),
            *headers,
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _events(self) -> None:
        self.send_response(HTTPStatus.OK)
        for name, value in (
            ("Content-Type", "text/event-stream"),
            ("Cache-Control", "no-store"),
            ("Connection", "close"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True
        with suppress(OSError):  # the reader has gone
            for message in self._changes():
                self.wfile.write(message)
                self.wfile.flush()

    def _changes(self) -> Iterator[bytes]:
        """Yield every run that has changed, as messages, until the server stops."""
        known: dict[str, str] = {}  # the page may be older than this stream, so all runs are sent first
        quiet = 0.0
        yield b": hello\n\n"
        while not self.server.stopped.wait(_LOOK_SECONDS):
            quiet += _LOOK_SECONDS
            try:
                runs = {run["id"]: json.dumps(run) for run in reversed(self.server.watch.runs())}
            except StarlakeError as error:
                logger.warning("the runs cannot be read: %s", error)
                continue
            for name, text in runs.items():
                if known.get(name) != text:
                    quiet = 0.0
                    yield f"event: run\ndata: {text}\n\n".encode()
            for name in known.keys() - runs.keys():
                yield f"event: forgotten\ndata: {json.dumps(name)}\n\n".encode()
            known = runs
            if quiet >= _ALIVE_SECONDS:
                quiet = 0.0
                yield b": still here\n\n"

    def log_message(self, format: str, *args: Any) -> None:
        """Keep requests out of the output; an address has the token."""
