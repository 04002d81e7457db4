"""This process's connection to an engine: many commands at once, and one thread that reads what becomes of them."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from starlake_core.errors import OutageError
from starlake_core.processes.supervisor import guard

from . import wire
from .election import connected

__all__ = ["Listener", "engine", "rest"]

_LOOK_SECONDS = 0.5
_UNUSED_SECONDS = 5.0
_STUBBORN_SECONDS = 10.0
_SILENT_SECONDS = 60.0
_REST_SECONDS = 5.0
_REFUSED_SECONDS = 60.0


class Listener(Protocol):
    """Who sent a command, and learns what becomes of it."""

    def heard(self, text: str) -> None:
        """It wrote this."""

    def ended(self, code: int) -> None:
        """It ended."""

    def lost(self) -> None:
        """The engine is gone, and the command with it."""


class _Rest:
    """Waits until the databases are closed."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def heard(self, text: str) -> None:
        return

    def ended(self, code: int) -> None:
        self.over.set()

    def lost(self) -> None:
        self.over.set()


class Engine:
    """A connection to one engine."""

    def __init__(self, path: str, opened: socket.socket) -> None:
        self.path = path
        self._socket = opened
        self._sending = threading.Lock()
        self._changed = threading.Lock()
        self._listeners: dict[str, Listener] = {}
        self._cancelled: dict[str, float] = {}
        self._count = 0
        self._pid = 0
        self._gone = False
        self._used_at = time.monotonic()
        try:
            guard.watch(path)
            threading.Thread(target=self._read, name="starlake-engine", daemon=True).start()
        except BaseException:
            opened.close()
            raise

    @property
    def gone(self) -> bool:
        """Whether the connection is closed."""
        return self._gone

    def submit(self, listener: Listener, arguments: Sequence[str], environ: Mapping[str, str]) -> str | None:
        """Send a command.

        Returns:
            Its name; None if the engine is gone and has not got it.
        """
        name = self._enlisted(listener)
        if name is None:
            return None
        try:
            self._send({"id": name, "arguments": list(arguments), "environ": dict(environ)})
        except OSError:
            # The thread that takes it out of the list tells the listener.
            with self._changed:
                mine = self._listeners.pop(name, None) is not None
            self._hang_up()
            return None if mine else name
        return name

    def _enlisted(self, listener: Listener) -> str | None:
        with self._changed:
            if self._gone:
                return None
            self._count += 1
            name = str(self._count)
            self._listeners[name] = listener
            self._used_at = time.monotonic()
        return name

    def cancel(self, name: str) -> None:
        """Cancel a command."""
        with self._changed:
            if name in self._listeners:
                self._cancelled.setdefault(name, time.monotonic())
        with contextlib.suppress(OSError):
            self._send({"id": name, "cancel": True})

    def rest(self) -> None:
        """Let the engine close databases that nobody uses, and wait until it has."""
        waiting = _Rest()
        name = self._enlisted(waiting)
        if name is not None:
            with contextlib.suppress(OSError):
                self._send({"id": name, "rest": True})
                waiting.over.wait(_REST_SECONDS)

    def _send(self, message: dict[str, Any]) -> None:
        with self._sending:
            wire.send(self._socket, message)

    def _hang_up(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    # -- the thread that reads

    def _read(self) -> None:
        try:
            poller = select.poll()
            poller.register(self._socket.fileno(), select.POLLIN | select.POLLHUP)
            while not self._is_unused():
                if poller.poll(_LOOK_SECONDS * 1000):
                    message = wire.receive(self._socket)
                    if message is None:
                        break
                    self._take(message)
                self._end_stubborn()
        except OSError:
            pass
        finally:
            self._end()

    def _take(self, message: dict[str, Any]) -> None:
        self._pid = int(message.get("pid", self._pid))
        name = str(message.get("id", ""))
        with self._changed:
            listener = self._listeners.get(name)
        if listener is None:
            return
        if "text" in message:
            listener.heard(str(message["text"]))
        elif "code" in message:
            with self._changed:
                self._listeners.pop(name, None)
                self._cancelled.pop(name, None)
                self._used_at = time.monotonic()
            listener.ended(int(message["code"]))

    def _is_unused(self) -> bool:
        with self._changed:
            unused = not self._listeners and time.monotonic() - self._used_at > _UNUSED_SECONDS
            self._gone = self._gone or unused
        return unused

    def _end_stubborn(self) -> None:
        """End an engine that does not end a cancelled command, or says nothing at all; its other commands are sent to another one."""
        now = time.monotonic()
        with self._changed:
            stubborn = any(now - since > _STUBBORN_SECONDS for since in self._cancelled.values())
            silent = not self._pid and bool(self._listeners) and now - self._used_at > _SILENT_SECONDS
        if stubborn and self._pid:
            with contextlib.suppress(OSError):
                os.kill(self._pid, signal.SIGKILL)
        if stubborn or silent:
            raise ConnectionAbortedError("the engine does not answer")

    def _end(self) -> None:
        with self._changed:
            self._gone = True
            listeners, self._listeners = list(self._listeners.values()), {}
        with self._sending:
            self._socket.close()
        guard.unwatch(self.path)
        for listener in listeners:
            listener.lost()

    def abandon(self) -> None:
        """Forget the parent's connection in a forked child."""
        self._gone = True
        with contextlib.suppress(OSError):
            os.close(self._socket.detach())


_engines: dict[str, Engine] = {}
_places: dict[str, threading.Lock] = {}
_refused: dict[str, tuple[float, OutageError]] = {}
_lock = threading.Lock()


def engine(path: str, folder: str, environ: Mapping[str, str]) -> Engine:
    """This process's connection to an engine, which is started if there is none.

    Args:
        path, folder, environ: as for :func:`~starlake_core_duckdb.engine.election.connected`.

    Raises:
        OutageError: there is none, and none can be started, or could be a moment ago.
    """
    with _lock:
        place = _places.setdefault(path, threading.Lock())
    with place:
        found = _engines.get(path)
        if found is None or found.gone:
            since, refusal = _refused.get(path, (0.0, None))
            if refusal is not None and time.monotonic() - since < _REFUSED_SECONDS:
                raise refusal  # not every command waits for it again
            try:
                found = Engine(path, connected(path, folder, environ))
            except OutageError as error:
                _refused[path] = (time.monotonic(), error)
                raise
            _refused.pop(path, None)
            _engines[path] = found
        return found


def rest() -> None:
    """Let all engines of this process close databases that nobody uses, and wait until they have."""
    for found in list(_engines.values()):
        if not found.gone:
            found.rest()


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    _places.clear()
    for found in list(_engines.values()):
        found.abandon()
    _engines.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
