"""Connects to an engine, and starts it if there is none. A lock decides who does."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import subprocess
import time
from collections.abc import Mapping

from starlake_core.errors import OutageError
from starlake_core.processes.runner import python_module

__all__ = ["connected"]

_PATIENCE_SECONDS = 20.0
_LOOK_SECONDS = 0.02
_BACKLOG = 128


def connected(path: str, folder: str, environ: Mapping[str, str]) -> socket.socket:
    """A connection to an engine.

    Args:
        path: the path of its socket.
        folder: its working directory, if it has to be started.
        environ: its environment variables.

    Raises:
        OutageError: there is none, and none can be started.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            found.connect(path)
            return found
        except (FileNotFoundError, ConnectionRefusedError, ConnectionResetError, BlockingIOError):
            found.close()
        except BaseException:
            found.close()
            raise
        try:
            if _elected(path, folder, environ):
                continue
        except OSError as error:
            raise OutageError(f"no engine can be started: {error}") from error
        if time.monotonic() >= deadline:
            raise OutageError("an engine that ends does not end")
        time.sleep(_LOOK_SECONDS)


def _elected(path: str, folder: str, environ: Mapping[str, str]) -> bool:
    """Start an engine, if none runs; return whether one was started."""
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False  # another process starts one, or one is ending
        if not _is_current(lock, f"{path}.lock"):
            return False  # an engine that has ended has removed it
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            # It listens before the engine runs, so nobody has to look whether it does.
            listener.bind(path)
            os.chmod(path, 0o600)
            listener.listen(_BACKLOG)
            _start(path, folder, environ, listener.fileno(), lock)
        return True
    finally:
        os.close(lock)


def _is_current(lock: int, path: str) -> bool:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return False
    own = os.fstat(lock)
    return (own.st_dev, own.st_ino) == (found.st_dev, found.st_ino)


def _start(path: str, folder: str, environ: Mapping[str, str], listener: int, lock: int) -> None:
    log = os.open(f"{path}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        vector = [*python_module("starlake_core_duckdb.engine"), path, str(listener), str(lock)]
        started = subprocess.Popen(
            vector,
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(listener, lock),
            start_new_session=True,
        )
        code = started.wait()  # the engine is its child, and stays
        if code:
            raise OSError(f"its process ends with exit code {code}; see {path}.log")
    finally:
        os.close(log)
