"""This process's side of the watchdog, which lets no process group outlive the process that started it."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from ..errors import OutageError, RunError
from ..private_files import private_file, private_folder
from . import watchdog

__all__ = ["Guard", "guard", "interrupts", "is_locked", "run_lock"]

_CLOSE_SECONDS = 10.0
_TOKEN = re.compile(r"[0-9a-f]{16}")


class Guard:
    """Starts the watchdog on first use, and tells it which process groups are alive.

    Attributes:
        token: the token in the environment of every guarded process.
    """

    def __init__(self) -> None:
        self.token = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._groups: set[int] = set()
        self._files: set[str] = set()
        self._helpers: set[str] = set()

    def environment(self) -> dict[str, str]:
        """Return the environment variable by which the watchdog recognises a guarded process."""
        return {watchdog.GUARD_VARIABLE: self.token}

    def add(self, group: int) -> None:
        """Tell the watchdog that a process group is alive.

        Raises:
            OutageError: the watchdog cannot be reached.
        """
        with self._lock:
            self._groups.add(group)
            try:
                self._tell(f"+{group}")
            except BaseException:
                self._groups.discard(group)
                raise

    def remove(self, group: int) -> None:
        """Tell the watchdog that a process group has ended."""
        with self._lock:
            self._groups.discard(group)
            self._tell(f"-{group}")

    def kill(self) -> None:
        """Kill every live process group with SIGKILL."""
        for group in tuple(self._groups):
            with contextlib.suppress(OSError):
                os.killpg(group, signal.SIGKILL)

    def hold(self, path: str) -> None:
        """Let the watchdog hold a shared lock on a file, and return when it does.

        Raises:
            RunError: it cannot hold the lock.
        """
        with self._lock:
            self._files.add(path)
            try:
                self._tell(f"L {path}", answer=True)
            except BaseException:
                self._files.discard(path)
                raise

    def release(self, path: str) -> None:
        """Let the watchdog release a lock, and return when it has."""
        with self._lock:
            self._files.discard(path)
            self._tell(f"U {path}", answer=True)

    def watch(self, path: str) -> None:
        """Let the watchdog kill a helper that does not respond when this process ends.

        The helper serves other processes too, is in no group of this one, and ends when nobody uses it. It greets
        anyone who connects, and holds the lock of ``PATH.lock``, a file with its process id.

        Args:
            path: the path of its socket.

        Raises:
            OutageError: the watchdog cannot be reached.
        """
        with self._lock:
            self._helpers.add(path)
            try:
                self._tell(f"E {path}")
            except BaseException:
                self._helpers.discard(path)
                raise

    def unwatch(self, path: str) -> None:
        """Tell the watchdog that this process no longer uses a helper."""
        with self._lock:
            self._helpers.discard(path)
            with contextlib.suppress(OutageError):
                self._tell(f"e {path}")

    def start(self) -> None:
        """Start the watchdog now, so that it runs before the first process group.

        Raises:
            OutageError: the machine is short of processes or files at the moment.
        """
        with self._lock:
            self._running()

    def _running(self) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        if self._process is not None:
            _close(self._process)
        # The watchdog is not part of the task in which this process may itself run.
        env = {name: value for name, value in os.environ.items() if name != watchdog.GUARD_VARIABLE}
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", watchdog.__file__, self.token],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
                cwd="/",
                env=env,
            )
        except OSError as error:
            raise OutageError(f"the watchdog of processes cannot be started now: {error}") from error
        for path in self._files:
            self._write(f"L {path}", answer=True)
        for path in self._helpers:
            self._write(f"E {path}")
        for group in self._groups:
            self._write(f"+{group}")

    def _write(self, line: str, answer: bool = False) -> None:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise BrokenPipeError("the watchdog of processes is not running")
        process.stdin.write(line + "\n")
        process.stdin.flush()
        if answer:
            said = process.stdout.readline().rstrip("\n")
            if not said:
                raise BrokenPipeError("the watchdog of processes has ended")
            if said != watchdog.DONE:
                raise RunError(f"the lock {line[2:]} cannot be held: {said}")

    def _tell(self, line: str, answer: bool = False) -> None:
        """Send a line to the watchdog. If it has died, start another one, and tell it everything."""
        for last in (False, True):
            fresh = self._process is None or self._process.poll() is not None
            try:
                self._running()
                # A new watchdog already knows all groups and files.
                if not (fresh and line[0] in "+-LUEe"):
                    self._write(line, answer)
                return
            except (OSError, ValueError) as error:
                self._forget()
                if last:
                    raise OutageError(f"the watchdog of processes does not respond: {error}") from error

    def _forget(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        # Kill it first, because it would end all its groups when its pipe closes.
        process.kill()
        process.wait()
        _close(process)

    def close(self) -> None:
        """End the watchdog, which kills what is still alive."""
        with self._lock:
            if self._process is not None and not self._groups:
                with contextlib.suppress(OSError, ValueError):
                    self._write("Q")
            process, self._process = self._process, None
        if process is None:
            return
        _close(process)
        # A process that survives SIGKILL blocks the watchdog, but must not block this process.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_CLOSE_SECONDS)

    def abandon(self) -> None:
        """Forget the parent's watchdog in a forked child, which must not keep its pipe open."""
        process, self._process = self._process, None
        self._groups.clear()
        self._files.clear()
        self._helpers.clear()
        self._lock = threading.Lock()
        self.token = secrets.token_hex(8)
        if process is not None:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        os.close(pipe.fileno())
            process.returncode = 0  # not a child of this process, so there is nothing to wait for


def _close(process: subprocess.Popen[str]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


guard = Guard()
"""The guard of this process."""

atexit.register(guard.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=guard.abandon)


def interrupts() -> tuple[signal.Signals, ...]:
    """The signals that end a run with its tear-downs: from a user, from a service manager, and from a terminal that
    closes.

    A signal that was already ignored when this process started (``nohup``, a background job of a script) stays ignored,
    except SIGTERM.
    """
    both = (signal.SIGINT, signal.SIGHUP)
    return (signal.SIGTERM, *(number for number in both if signal.getsignal(number) is not signal.SIG_IGN))


@contextlib.contextmanager
def run_lock(path: Path, *, patience: float = 120.0) -> Iterator[bool]:
    """Hold the lock of a run, together with the watchdog.

    It is free only when the process that held it and every process group that it started are gone. If the watchdog was
    killed too, the token in the file identifies the processes left behind, which are ended first.

    Args:
        path: the path of the lock file, which is created if needed.
        patience: the seconds to wait for an earlier holder.

    Yields:
        Whether there was an earlier holder to wait for.

    Raises:
        RunError: the run is still going after that time, or the file cannot be locked.
    """
    try:
        private_folder(path.parent)
        descriptor = _opened(path)
    except OSError as error:
        raise RunError(_no_lock(path, error)) from error
    try:
        try:
            turn = _opened(_turn(path))
            try:
                deadline = time.monotonic() + patience
                waited = _lock_alone(turn, path, deadline)
                waited = _lock_alone(descriptor, path, deadline) or waited
                _end_orphans(descriptor)
                # Shared from here on: the watchdog holds it too, and outlives this process if it has to clean up.
                # During the change nobody holds the lock for a moment, so others wait for their turn.
                fcntl.flock(descriptor, fcntl.LOCK_SH)
            finally:
                # Even if it cannot be closed, the next process must not wait.
                with contextlib.suppress(OSError):
                    fcntl.flock(turn, fcntl.LOCK_UN)
                with contextlib.suppress(OSError):
                    os.close(turn)
        except OSError as error:
            raise RunError(_no_lock(path, error)) from error
        guard.hold(str(path))
        try:
            yield waited
        finally:
            # From here on, no process of this run is alive. Other runs of this process use the same token.
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, 0)
            with contextlib.suppress(RunError):
                guard.release(str(path))
    finally:
        os.close(descriptor)


def _turn(path: Path) -> Path:
    """Return the file whose lock gives the right to take the lock of a run, because changing that one to shared
    releases it first."""
    return path.with_name(f"{path.name}.turn")


def _opened(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        private_file(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _no_lock(path: Path, error: OSError) -> str:
    return f"the lock {path} cannot be taken: {error}. Set the option state_dir to a folder on a local disk that this user may write to"


def _end_orphans(descriptor: int) -> None:
    """End processes with the token of an earlier holder, and write the token of this process."""
    token = os.pread(descriptor, 64, 0).decode("ascii", "replace").strip()
    if token and token != guard.token and _TOKEN.fullmatch(token):
        watchdog.end(set(), token)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, guard.token.encode("ascii"), 0)


def is_locked(path: Path) -> bool:
    """Return whether a process holds the lock of a run.

    Raises:
        RunError: the file cannot be opened.
    """
    # The process that has the turn holds the lock, or is about to.
    return any(_is_held(each) for each in (_turn(path), path))


def _is_held(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise RunError(_no_lock(path, error)) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        raise RunError(_no_lock(path, error)) from error
    finally:
        os.close(descriptor)
    return False


def _lock_alone(descriptor: int, path: Path, deadline: float) -> bool:
    waited = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waited = True
            if time.monotonic() >= deadline:
                raise RunError(
                    f"the run of {path.stem} is still running in another process (its lock {path} is held); wait for it or stop that "
                    "process first"
                ) from None
            time.sleep(0.05)
        else:
            return waited
