"""This process's side of the watchdog: no process group outlives the process that started it."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from ..errors import RunError
from . import watchdog

__all__ = ["Guard", "guard", "is_locked", "run_lock"]


class Guard:
    """Starts the watchdog on first use and tells it which process groups live.

    Attributes:
        token: stands in the environment of every process that is guarded.
    """

    def __init__(self) -> None:
        self.token = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._groups: set[int] = set()
        self._files: set[str] = set()

    def environment(self) -> dict[str, str]:
        """The variable by which the watchdog recognises a guarded process."""
        return {watchdog.GUARD_VARIABLE: self.token}

    def add(self, group: int) -> None:
        """A process group lives."""
        with self._lock:
            self._groups.add(group)
            self._tell(f"+{group}")

    def remove(self, group: int) -> None:
        """A process group has ended."""
        with self._lock:
            self._groups.discard(group)
            self._tell(f"-{group}")

    def kill(self) -> None:
        """Kill every process group that lives, without asking it first."""
        for group in tuple(self._groups):
            with contextlib.suppress(OSError):
                os.killpg(group, signal.SIGKILL)

    def hold(self, path: str) -> None:
        """Have the watchdog hold a shared lock on a file, and return when it does."""
        with self._lock:
            self._files.add(path)
            self._tell(f"L {path}", answer=True)

    def release(self, path: str) -> None:
        """Have the watchdog release a lock."""
        with self._lock:
            self._files.discard(path)
            self._tell(f"U {path}")

    def start(self) -> None:
        """Start the watchdog now, so that the first process group finds it running."""
        with self._lock:
            self._running()

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", watchdog.__file__, self.token],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
                cwd="/",
            )
            for path in self._files:
                self._write(f"L {path}", answer=True)
            for group in self._groups:
                self._write(f"+{group}")
        return self._process

    def _write(self, line: str, answer: bool = False) -> None:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise RunError("the watchdog of process groups is not running")
        process.stdin.write(line + "\n")
        process.stdin.flush()
        if answer:
            process.stdout.readline()

    def _tell(self, line: str, answer: bool = False) -> None:
        fresh = self._process is None or self._process.poll() is not None
        self._running()
        if fresh and line[0] in "+L":
            return  # a fresh watchdog was told of all groups and files
        try:
            self._write(line, answer)
        except (BrokenPipeError, ValueError):
            self._process = None
            self._running()

    def close(self) -> None:
        """End the watchdog; it kills what still lives."""
        with self._lock:
            if self._process is not None and not self._groups:
                with contextlib.suppress(OSError, ValueError):
                    self._write("Q")
            process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        process.wait()

    def abandon(self) -> None:
        """Forget the watchdog of the parent in a forked child, which must not keep its pipe open."""
        process, self._process = self._process, None
        self._groups.clear()
        self._files.clear()
        self._lock = threading.Lock()
        self.token = secrets.token_hex(8)
        if process is not None:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        os.close(pipe.fileno())
            process.returncode = 0  # not a child of this process: nothing to wait for


guard = Guard()
"""The guard of this process."""

atexit.register(guard.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=guard.abandon)


@contextlib.contextmanager
def run_lock(path: Path, *, patience: float = 120.0) -> Iterator[bool]:
    """Hold the lock of a run, together with the watchdog.

    It is free only when the process that held it and every process group that it started are gone.

    Args:
        path: of the lock file; made if it does not exist.
        patience: seconds to wait for an earlier holder.

    Yields:
        Whether an earlier holder had to be waited for.

    Raises:
        RunError: the run is still going after that time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        waited = _lock_alone(descriptor, path, patience)
        # Shared from here on: the watchdog holds it too, and outlives this process if it has to clean up.
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        guard.hold(str(path))
        try:
            yield waited
        finally:
            guard.release(str(path))
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock of a run."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _lock_alone(descriptor: int, path: Path, patience: float) -> bool:
    deadline = time.monotonic() + patience
    waited = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waited = True
            if time.monotonic() >= deadline:
                raise RunError(
                    f"the run of {path.stem} is still going in another process (its lock {path} is held); wait for it or stop that "
                    "process first"
                ) from None
            time.sleep(0.05)
        else:
            return waited
