"""The process of an engine: connections of runs, and the commands that they send."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import selectors
import signal
import socket
import struct
import sys
import threading
import time
import traceback
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

from . import output, wire
from .commands import Command, Shared

__all__ = ["main"]

_LOOK_SECONDS = 0.05
_LONELY_SECONDS = 0.5
_STUBBORN_SECONDS = 10.0
_COMMANDS = 1000
"""How many commands may run at once; others wait. None of those that run waits for one that has not begun."""
_UCRED = struct.Struct("3i")


class _Connection:
    """A run, and its commands."""

    def __init__(self, shared: Shared, threads: Executor, opened: socket.socket) -> None:
        self._shared = shared
        self._threads = threads
        self._socket = opened
        self._sending = threading.Lock()
        self._changed = threading.Condition()
        self._commands: dict[str, Command] = {}
        self._gone_since: float | None = None

    @property
    def over(self) -> bool:
        """Whether the run is gone, and its commands have ended."""
        return self._gone_since is not None and not self._commands

    @property
    def stubborn(self) -> bool:
        """Whether the run is gone, and one of its commands does not end."""
        return (
            not self.over and self._gone_since is not None and time.monotonic() - self._gone_since > _STUBBORN_SECONDS
        )

    def serve(self) -> None:
        """Read what the run sends, until it is gone; then cancel its commands."""
        try:
            self._send({"pid": os.getpid()})
            while (message := wire.receive(self._socket)) is not None:
                self._take(message)
        except OSError:
            pass
        except Exception:
            traceback.print_exc()
        finally:
            with self._changed:
                commands = list(self._commands.values())
            self._gone_since = time.monotonic()
            for command in commands:
                command.cancel()

    def _take(self, message: dict[str, Any]) -> None:
        name = str(message.get("id", ""))
        if "arguments" in message:
            arguments = [str(word) for word in message["arguments"]]
            environ = {str(key): str(value) for key, value in message["environ"].items()}
            command = Command(self._shared, arguments, environ, lambda text: self._tell({"id": name, "text": text}))
            with self._changed:
                self._commands[name] = command
            self._threads.submit(self._run, name, command)
        elif message.get("cancel"):
            with self._changed:
                found = self._commands.get(name)
            if found is not None:
                found.cancel()
        elif message.get("rest"):
            threading.Thread(target=self._rest, args=(name,), name="starlake-rest", daemon=True).start()

    def _run(self, name: str, command: Command) -> None:
        code = 1
        try:
            code = command.run()
        except BaseException:
            self._tell({"id": name, "text": traceback.format_exc()})
        finally:
            with self._changed:
                self._commands.pop(name, None)
            self._tell({"id": name, "code": code})

    def _rest(self, name: str) -> None:
        self._shared.tidy(at_once=True)
        self._tell({"id": name, "code": 0})

    def _tell(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # the thread that reads learns it too
            self._send(message)

    def _send(self, message: dict[str, Any]) -> None:
        with self._sending:
            wire.send(self._socket, message)

    def close(self) -> None:
        self._socket.close()


class _Server:
    """Accepts connections, tidies up, and says when nobody needs the engine any more."""

    def __init__(self, listener: socket.socket, path: str, lock: int) -> None:
        self._listener = listener
        self._path = path
        self._place = os.stat(path).st_ino
        self._lock = lock
        self._shared = Shared()
        # A thread that has had a command takes another one: a new one would begin without memory of its own.
        self._threads = ThreadPoolExecutor(_COMMANDS, "starlake-command")
        self._connections: list[_Connection] = []
        self._lonely_since: float | None = None

    def serve(self) -> None:
        """Serve until the last connection is gone."""
        self._listener.setblocking(False)
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            while not self._is_over():
                if selector.select(_LOOK_SECONDS):
                    with contextlib.suppress(BlockingIOError, ConnectionError):
                        self._accept(self._listener.accept()[0])
                self._shared.tidy(at_once=all(each.over for each in self._connections))

    def _accept(self, opened: socket.socket) -> None:
        opened.setblocking(True)
        if not _is_own(opened):
            opened.close()
            return
        connection = _Connection(self._shared, self._threads, opened)
        self._connections.append(connection)
        threading.Thread(target=connection.serve, name="starlake-connection", daemon=True).start()

    def _is_over(self) -> bool:
        for connection in [each for each in self._connections if each.over]:
            connection.close()
            self._connections.remove(connection)
        if any(each.stubborn for each in self._connections):
            return True  # the runs that are left send their commands to another engine
        self._give_up_place()
        now = time.monotonic()
        if self._connections:
            self._lonely_since = None
            return False
        self._lonely_since = self._lonely_since or now
        return now - self._lonely_since > _LONELY_SECONDS and self._shared.tidy(at_once=True)

    def _give_up_place(self) -> None:
        """Let another engine be elected if nobody can find this one any more."""
        if self._lock < 0:
            return
        with contextlib.suppress(OSError):
            if os.stat(self._path).st_ino == self._place:
                return
        os.close(self._lock)
        self._lock = -1

    def end(self) -> None:
        """Let nobody find the engine, and end the process, with what is left in it."""
        if self._lock >= 0:
            for ending in ("", ".log", ".lock"):
                with contextlib.suppress(OSError):
                    if ending != ".log" or not os.path.getsize(f"{self._path}.log"):
                        os.unlink(f"{self._path}{ending}")
        # A run that has connected a moment ago sees a closed connection, and elects another engine.
        self._listener.close()
        os._exit(0)


def _is_own(opened: socket.socket) -> bool:
    """Whether the other side belongs to this user. The folder of the socket says so too."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    _, user, _ = _UCRED.unpack(opened.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return bool(user == os.getuid())


def main(path: str, listener: str, lock: str) -> None:
    """Be an engine.

    Args:
        path: the path of the socket.
        listener: the descriptor of the socket, which listens.
        lock: the descriptor of the lock that makes this process the only engine of its name.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    held = int(lock)
    os.set_inheritable(held, False)
    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.ftruncate(held, 0)
    os.pwrite(held, str(os.getpid()).encode("ascii"), 0)
    output.route()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s", stream=sys.stderr)
    server = _Server(socket.socket(fileno=int(listener)), path, held)
    try:
        server.serve()
    finally:
        server.end()
