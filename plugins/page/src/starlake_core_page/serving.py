"""A server for one person on this machine: the page, and the changes of runs as server-sent events.

It listens on the loopback address alone. Anyone who has the address with its token gets a cookie, and only requests with
the cookie, to this host and port and from this page, are answered. The protocol of events is that of the HTML standard
(https://html.spec.whatwg.org/multipage/server-sent-events.html).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlake_core import LivePage, StarlakeError

from .contents import contents, shown
from .document import document, policy
from .run_contents import RunContents

__all__ = ["PageServer", "Watch", "serve"]

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
_REST = 5.0  # it rests so many times as long as a look took
_ALIVE_SECONDS = 15.0
_PATIENCE_SECONDS = 60.0
_MOST_STREAMS = 32
_MOST_CONNECTIONS = 128
_ERROR_BYTES = 4096


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
        self.page = page
        self.watch = Watch(page)
        try:
            super().__init__(("127.0.0.1", page.port), _Handler)
        except OSError as error:
            raise StarlakeError(
                f"port {page.port} cannot be used: {error.strerror or error}. Choose another with --port, or 0 for any"
            ) from error
        self.token = secrets.token_urlsafe(24)
        self.secret = secrets.token_urlsafe(24)
        self.host = f"127.0.0.1:{self.server_port}"
        # Browsers send cookies to every port of a machine, and there may be a page on each.
        self.cookie = f"starlake-page-{self.server_port}"
        self.address = f"http://{self.host}/?token={self.token}"
        self.stopped = threading.Event()
        self.started: list[threading.Thread] = []
        self.streams = threading.BoundedSemaphore(_MOST_STREAMS)
        self._connections = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        self._lock = threading.Lock()

    def start_run(self) -> bool:
        """Start a run, unless one that was started here still runs. Return whether it did."""
        with self._lock:
            self.started = [thread for thread in self.started if thread.is_alive()]
            if self.started:
                return False
            self.started.append(threading.Thread(target=self._run, name="starlake-page-run", daemon=True))
            self.started[0].start()
            return True

    def _run(self) -> None:
        # It continues when the page is closed: it is the user's run, like one that a command line started.
        with tempfile.TemporaryFile() as errors:
            done = subprocess.run(
                self.page.start,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
                check=False,
            )
            errors.seek(max(0, errors.seek(0, os.SEEK_END) - _ERROR_BYTES))
            said = errors.read().decode("utf-8", "replace").strip().splitlines()
        if done.returncode:
            last = f": {shown(said[-1])}" if said else ""
            self.watch.tell(f"The run that was started here ended with exit code {done.returncode}{last}")

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, unless there are too many."""
        if self._connections.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer the requests of a connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._connections.release()

    def close(self) -> None:
        """Stop listening, and end the streams of events."""
        self.stopped.set()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader who leaves early is not an error."""
        logger.debug("a request ended early", exc_info=True)


class Watch:
    """Looks at the pipelines and runs, for all readers: only if somebody reads, and the longer it takes the less often.

    Args:
        page: what it looks at.

    Attributes:
        version: tells the pipelines from those of before, to which the runs of an older page refer.
    """

    def __init__(self, page: LivePage) -> None:
        self._page = page
        self._lock = threading.Lock()
        self._contents = RunContents()
        self._number = 0  # of the last change
        self._texts: dict[str, str] = {}  # runs, as JSON
        self._runs: list[Any] = []
        self._changed: dict[
            tuple[str, str], int
        ] = {}  # kind and id or text of what changed, to the number of its change
        self._trouble = ""
        self._due = 0.0
        self.version = ""
        self._shown = page.load()
        self._graph, self._details = self._made()

    def _made(self) -> tuple[Any, Any]:
        page = self._shown
        graph, details = contents(page.pipelines, page.title, page.made, page.sql)
        parts = [[pipeline["id"] for pipeline in graph["pipelines"]], graph["nodes"], graph["edges"], graph["tasks"]]
        self.version = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
        return graph, details

    def document(self) -> str:
        """Return the page, of the pipelines and runs as they are now. What cannot be read now is shown as it was, and the page says so."""
        with self._lock:
            trouble = ""
            before = self.version
            try:
                self._shown = self._page.load()
                self._graph, self._details = self._made()
            except StarlakeError as error:
                trouble = f"These are the pipelines of before; they cannot be read again: {error}"
            self._look(at_once=True, anew=self.version != before)
            graph = {
                **self._graph,
                "version": self.version,
                "number": self._number,
                "mayRun": bool(self._page.start),
                "trouble": shown(trouble or self._trouble),
            }
            return document(graph, self._details, self._runs, live=True)

    def tell(self, text: str) -> None:
        """Tell all readers something.

        Args:
            text: a sentence.
        """
        with self._lock:
            self._note("told", text)

    def changes(self, since: int) -> tuple[int, list[tuple[str, str]]]:
        """Return the number of the last change, and all changes after an earlier one, as names and data of events.

        Args:
            since: the number of the earlier change.
        """
        with self._lock:
            self._look()
            found = [(number, kind, what) for (kind, what), number in self._changed.items() if number > since]
            runs = [self._texts[what] for _, kind, what in sorted(found) if kind == "run"]
            events = [("runs", f"[{','.join(runs)}]")] if runs else []
            events += [(kind, json.dumps(what)) for _, kind, what in sorted(found) if kind != "run"]
            return self._number, events

    def _look(self, at_once: bool = False, anew: bool = False) -> None:
        if time.monotonic() < self._due and not at_once:
            return
        begun = time.monotonic()
        try:
            found = self._contents(self._shown.pipelines, self._page.read_runs(), anew)
        except StarlakeError as error:
            self._say(shown(f"The runs cannot be read: {error}"))
        else:
            self._say("")
            texts = {run["id"]: text for run, text in found}
            for name in reversed(texts):  # the newest comes last, as it happened
                if self._texts.get(name) != texts[name]:
                    self._note("run", name)
                    self._changed.pop(("forgotten", name), None)
            for name in self._texts.keys() - texts.keys():
                self._note("forgotten", name)
                del self._changed["run", name]
            self._texts, self._runs = texts, [run for run, _ in found]
        now = time.monotonic()
        self._due = now + max(_LOOK_SECONDS, _REST * (now - begun))

    def _say(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            self._changed = {key: number for key, number in self._changed.items() if key[0] != "trouble"}
            self._note("trouble", trouble)

    def _note(self, kind: str, what: str) -> None:
        self._number += 1
        self._changed[kind, what] = self._number


class _Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    server: PageServer
    protocol_version = "HTTP/1.1"
    server_version = "starlake"
    sys_version = ""

    # Of a reader who says nothing, or does not take what is sent.
    timeout = _PATIENCE_SECONDS

    def do_GET(self) -> None:
        if not self._is_ours():
            return
        path = urlsplit(self.path)
        words = parse_qs(path.query)
        token = "".join(words.get("token", ()))
        if path.path == "/" and secrets.compare_digest(token.encode(), self.server.token.encode()):
            # Lax: a link in a terminal that is itself a page leads here as well. Nothing changes by a request like this.
            cookie = f"{self.server.cookie}={self.server.secret}; HttpOnly; SameSite=Lax; Path=/"
            self._answer(HTTPStatus.SEE_OTHER, headers=(("Location", "/"), ("Set-Cookie", cookie)))
        elif not self._is_known():
            self._refuse("open the address that starlake-orchestrate ui has printed")
        elif path.path == "/":
            self._page()
        elif path.path == "/events":
            self._events("".join(words.get("version", ())), "".join(words.get("since", ())))
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"there is no such page\n")

    def do_POST(self) -> None:
        self.close_connection = True  # what follows the headers is not read
        if not self._is_ours():
            return
        if urlsplit(self.path).path != "/run":
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
        given = cookies[self.server.cookie].value if self.server.cookie in cookies else ""
        return secrets.compare_digest(given.encode(), self.server.secret.encode())

    def _refuse(self, advice: str) -> None:
        self._answer(HTTPStatus.FORBIDDEN, f"not allowed: {advice}\n".encode())

    def _page(self) -> None:
        try:
            text = self.server.watch.document()
        except Exception as error:  # whatever a pipeline file does: the reader must not wait in vain
            logger.exception("the page cannot be made")
            reason = shown(f"the page cannot be made: {type(error).__name__}: {error}\n")
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, reason.encode("utf-8", "replace"))
            return
        rules = f"{policy(live=True)}; frame-ancestors 'none'"
        self._answer(HTTPStatus.OK, text.encode(), kind="text/html", headers=(("Content-Security-Policy", rules),))

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

    def _events(self, version: str, since: str) -> None:
        if not self.server.streams.acquire(blocking=False):
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, b"too many pages are open; close some\n")
            return
        try:
            self.send_response(HTTPStatus.OK)
            for name, value in (
                ("Content-Type", "text/event-stream"),
                ("Cache-Control", "no-store"),
                ("Connection", "close"),
            ):
                self.send_header(name, value)
            self.end_headers()
            self.close_connection = True
            last = self.headers.get("Last-Event-ID") or since  # a browser that comes again sends the number
            with suppress(OSError):  # the reader has gone, or does not take what is sent
                for message in self._changes(version, int(last) if last.isascii() and last.isdigit() else 0):
                    self.wfile.write(message)
                    self.wfile.flush()
        finally:
            self.server.streams.release()

    def _changes(self, version: str, since: int) -> Iterator[bytes]:
        """Yield what changes, as messages, until the server stops or the pipelines are others than those of the page."""
        watch = self.server.watch
        told = time.monotonic()
        yield b": hello\n\n"
        while not self.server.stopped.wait(_LOOK_SECONDS):
            if watch.version != version:
                yield b"event: changed\ndata: \n\n"
                return
            since, events = watch.changes(since)
            for name, data in events:
                told = time.monotonic()
                yield f"event: {name}\nid: {since}\ndata: {data}\n\n".encode()
            if time.monotonic() - told >= _ALIVE_SECONDS:
                told = time.monotonic()
                yield b": still here\n\n"

    def log_message(self, format: str, *args: Any) -> None:
        """Keep requests out of the output; an address has the token."""
