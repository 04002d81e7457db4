"""Follows one process from before its start until after its end, in one thread.

The thread starts the process itself, so no process ever runs without being followed. Whatever happens to the thread,
the attempt ends with a reason.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import os
import select
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..errors import OutageError, RunError, RunnerError
from ..logs import get_logger
from ..masking import mask_text
from ..model.exit_codes import outcome_from_exit_code
from ..model.job import Job
from ..model.outcome import Outcome, Verdict
from ..model.run import RunKey
from ..model.written import WrittenLines
from ..plain_text import plain
from . import watchdog
from .supervisor import guard

__all__ = ["Followed", "Start", "passes"]

logger = get_logger(__name__)

_BUFFERED_LINES = 10_000
_BUFFERED_CHARACTERS = 2_000_000
_LONGEST_LINE = 64 * 1024
# A line without an end is not cut inside a secret, which could not be masked in two parts.
_HELD_BACK = 4096
_TAIL_LINES = 20
_KILL_SECONDS = 10.0
_STRAY_SECONDS = 2.0
_ORPHAN_SECONDS = 0.5
_LOOK_SECONDS = 0.25
_READ_FAILURES = 3

# The machine is short of something, or the call was interrupted: another attempt may succeed.
_PASSING = frozenset(
    getattr(errno, name)
    for name in (
        "EAGAIN", "EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "ENOSPC", "EDQUOT", "EINTR", "EIO", "EBUSY", "ETXTBSY", "ESTALE",
        "ETIMEDOUT", "EPIPE", "ENOLCK", "EWOULDBLOCK",
    )
    if hasattr(errno, name)
)  # fmt: skip
_NOT_THERE = (errno.ENOENT, errno.EACCES)


def passes(error: BaseException) -> bool:
    """Return whether an error of the system is transient, so that another attempt may succeed.

    Args:
        error: any error; only an ``OSError`` can be transient.
    """
    return isinstance(error, OSError) and error.errno in _PASSING


@dataclass(frozen=True)
class Start:
    """How to start a process.

    Attributes:
        vector: the program and its arguments.
        env: all its environment variables.
        folder: its working directory; None for that of this process.
        missing: what to do if the program does not exist, for the error.
        inherited: the descriptors that it inherits and holds open while it lives.
    """

    vector: Sequence[str]
    env: Mapping[str, str]
    folder: str | None
    missing: str = ""
    inherited: tuple[int, ...] = ()


@dataclass(eq=False)
class Followed:
    """A process, from its start until its end has been reported.

    Attributes:
        key: the key of the attempt.
        job: the job that it runs.
        sentinel: the path of the marker that it may write, if there is one.
        secrets: the values to mask in its output.
        on_end: called when it has ended.
        lines: the lines of output kept in memory.
        told: what its output reports about what it wrote.
        written: how many lines it has written.
        outcome: how it ended.
        changed: notified when it writes and when it ends.
    """

    key: RunKey
    job: Job
    sentinel: str | None
    secrets: tuple[str, ...]
    on_end: Callable[[], None]
    lines: deque[str] = field(default_factory=deque)
    written: int = 0
    told: WrittenLines = field(default_factory=WrittenLines)
    outcome: Outcome | None = None
    changed: threading.Condition = field(default_factory=threading.Condition)
    process: subprocess.Popen[bytes] | None = None
    _size: int = 0
    _rest: str = ""
    _cancelled_at: float | None = None
    _refused: BaseException | None = None
    _begun: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    # -- called from other threads

    def start(self, start: Start) -> None:
        """Start the process, and return once it runs.

        Raises:
            RunnerError: the system refuses, and will refuse again.
            OutageError: the machine is short of processes, threads or files at the moment.
        """
        thread = threading.Thread(target=self._follow, args=(start,), name=f"starlake-{self.key.task}", daemon=True)
        try:
            thread.start()
            self._thread = thread  # not before: what looks meanwhile would take it for one that has died
            while not self._begun.wait(_LOOK_SECONDS):
                if not thread.is_alive():
                    break
        except (RuntimeError, OSError, MemoryError) as error:
            raise OutageError(
                f"no thread for {self.key.task} can be started now: {error}; nothing was started"
            ) from error
        except BaseException:
            self.cancel()  # nobody gets a handle, so a process that was perhaps started must not keep running
            raise
        if self._refused is not None:
            raise self._refused
        if self.process is None:
            raise OutageError(f"the thread that should start {self.key.task} died first; nothing was started")

    def cancel(self) -> None:
        """Send SIGTERM to the process group, and SIGKILL ten seconds later if it is still alive."""
        if self.outcome is None and self._cancelled_at is None:
            self._cancelled_at = time.monotonic()
            self._signal(signal.SIGTERM)

    @property
    def detail(self) -> str:
        """Where it runs, as a message."""
        return f"pid {self.process.pid}" if self.process is not None else "starting"

    @property
    def stopping(self) -> bool:
        """Whether the process is being stopped."""
        return self._cancelled_at is not None

    def look(self) -> Outcome | None:
        """Return how it ended, or None while it runs. If its thread has died, end it."""
        thread = self._thread
        # In this order, because the thread reports the end of the process and then ends.
        if thread is not None and not thread.is_alive() and self.outcome is None:
            self._abandon()
        return self.outcome

    # -- called in the thread

    def _follow(self, start: Start) -> None:
        try:
            self._spawn(start)
        except BaseException as error:
            self._refused = error if isinstance(error, RunError) else _refusal(error, start)
            return
        finally:
            self._begun.set()
        trouble: BaseException | None = None
        try:
            self._read()
        except BaseException as error:
            trouble = error
        self._end(trouble)

    def _spawn(self, start: Start) -> None:
        guard.start()  # before the process, because a process that cannot be guarded must not start
        try:
            self.process = subprocess.Popen(
                start.vector,
                env=start.env,
                cwd=start.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=start.inherited,
            )
            guard.add(self.process.pid)
            if self._cancelled_at is not None:
                self._signal(signal.SIGTERM)
        except BaseException as error:
            self._kill_unfollowed(error)
            raise

    def _kill_unfollowed(self, error: BaseException) -> None:
        """End a process that may have been started but cannot be followed."""
        process = self.process
        if process is not None:
            self._signal(signal.SIGKILL)
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
            self._unguard(process)
            self.process = None
        elif not isinstance(error, (FileNotFoundError, ValueError)):
            # The call may have failed after the fork, before the process was known.
            watchdog.end(set(), guard.token, self._marks)

    @property
    def _marks(self) -> tuple[str, ...]:
        """Return the variables in the environment of all processes of this attempt, in addition to the token."""
        return (f"{watchdog.ATTEMPT_VARIABLE}={self.key.attempt_hash}",)

    def _read(self) -> None:
        """Read the output until its end, or until only stray processes can write to it."""
        process = self.process
        assert process is not None
        assert process.stdout is not None
        descriptor = process.stdout.fileno()
        poller = select.poll()
        poller.register(descriptor, select.POLLIN | select.POLLHUP)
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        exited_at, look_at, failures = None, time.monotonic() + _LOOK_SECONDS, 0
        while True:
            if time.monotonic() >= look_at:
                look_at = time.monotonic() + _LOOK_SECONDS
                if exited_at is None and _ended(process):
                    exited_at = time.monotonic()
                # The process has ended, but a process that it started holds its output open.
                if exited_at is not None and time.monotonic() - exited_at > _ORPHAN_SECONDS:
                    break
                self._escalate()
            try:
                chunk = os.read(descriptor, 65536) if poller.poll(_LOOK_SECONDS * 1000) else None
            except OSError as error:
                failures += 1
                if failures > _READ_FAILURES:
                    raise
                self._keep([f"[some output may be missing: {error}]"])
                continue
            if chunk is None:
                continue
            if not chunk:
                break
            self._feed(decoder.decode(chunk))
        self._feed_end()

    def _feed(self, text: str) -> None:
        """Keep the lines of a part of the output."""
        *lines, rest = (self._rest + text).split("\n")
        if len(rest) > _LONGEST_LINE:
            cut, rest = self._cut(rest)
            lines.append(cut)
        self._rest = rest
        self._keep(lines)

    def _feed_end(self) -> None:
        """Keep the last line, which has no end."""
        rest, self._rest = self._rest, ""
        if rest:
            self._keep([rest])

    def _cut(self, rest: str) -> tuple[str, str]:
        """Cut a line without an end in two, but not inside a secret."""
        rest = mask_text(rest, self.secrets)
        held = min(max([_HELD_BACK, *map(len, self.secrets)]), len(rest) // 2)
        return rest[:-held], rest[-held:]

    def _keep(self, lines: Sequence[str]) -> None:
        kept = [self._shown(line) for line in lines if not self.told.take(line)]
        if not kept:
            return
        with self.changed:
            for line in kept:
                self.lines.append(line)
                self._size += len(line)
            while self._size > _BUFFERED_CHARACTERS or len(self.lines) > _BUFFERED_LINES:
                self._size -= len(self.lines.popleft())
            self.written += len(kept)
            self.changed.notify_all()

    def _shown(self, line: str) -> str:
        try:
            return plain(mask_text(line.rstrip("\r"), self.secrets)[:_LONGEST_LINE])
        except Exception as error:  # a line that cannot be masked is not shown; this affects nothing else
            return f"[a line of {len(line)} characters cannot be shown: {type(error).__name__}]"

    def _escalate(self) -> None:
        if self._cancelled_at is not None and time.monotonic() - self._cancelled_at > _KILL_SECONDS:
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        process = self.process
        # After the wait, its process id may belong to another process.
        if process is not None and process.returncode is None:
            with contextlib.suppress(OSError):  # it has ended, or SIGKILL follows after a while
                os.killpg(process.pid, number)

    def _end(self, trouble: BaseException | None) -> None:
        """Wait for the end of the process, clean up after it, and report."""
        process = self.process
        assert process is not None
        stopped = trouble is not None and not _has_ended(process)
        if stopped:
            logger.warning("%s cannot be followed and is stopped: %s", self.key.task, _words(trouble))
            self.cancel()
        code = self._wait(process)
        # Processes that it left in its group must not keep running. Until it is waited for, its group id is not reused.
        self._signal(signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            with contextlib.suppress(OSError):
                process.stdout.close()
        self._end_strays()
        self._unguard(process)
        if code is None:
            outcome = Outcome(Verdict.LOST, reason="something else collected its exit code (is SIGCHLD ignored?)")
        elif stopped:
            outcome = self._failed(f"it could no longer be followed and was stopped: {_words(trouble)}", code)
        else:
            outcome = self._judged(code)
        self._tell(outcome)

    def _unguard(self, process: subprocess.Popen[bytes]) -> None:
        for _ in range(2):
            try:
                guard.remove(process.pid)
                return
            except Exception as error:
                logger.warning("the watchdog cannot be told that %s has ended: %s", self.key.task, error)

    def _wait(self, process: subprocess.Popen[bytes]) -> int | None:
        """Return the exit code, and leave the process a zombie; None if something else has collected the exit code."""
        pause = 0.0002
        while True:
            try:
                code = _exit_code(process)
            except ChildProcessError:
                return None
            except OSError as error:
                logger.warning("the state of %s cannot be read now: %s", self.key.task, error)
                code = None
            if code is not None:
                return code
            time.sleep(pause)
            pause = min(2 * pause, _LOOK_SECONDS)
            self._escalate()

    def _end_strays(self) -> None:
        """End processes that left the process group: a daemon would outlive the run and write to its tables."""
        strays = watchdog.carriers(guard.token, self._marks)
        if not strays:
            return
        self._keep([f"[stopped processes that it left running: {', '.join(map(_named, sorted(strays)))}]"])
        deadline = time.monotonic() + _STRAY_SECONDS
        number = signal.SIGTERM
        while strays:
            for stray in strays:
                with contextlib.suppress(OSError):
                    os.kill(stray, number)
            time.sleep(0.02)
            if time.monotonic() >= deadline:
                if number == signal.SIGKILL:
                    logger.warning("%s left processes that cannot be ended: %s", self.key.task, sorted(strays))
                    return
                number, deadline = signal.SIGKILL, deadline + _STRAY_SECONDS
            strays = watchdog.carriers(guard.token, self._marks)

    def _judged(self, code: int) -> Outcome:
        marked: bool | None = None
        if self.sentinel is not None:
            try:
                os.unlink(self.sentinel)
                marked = True
            except FileNotFoundError:
                marked = False
            except OSError as error:
                return self._failed(f"the marker of the check cannot be read and removed: {error}", code)
        outcome = outcome_from_exit_code(
            code,
            check=self.job.check,
            marked=marked,
            stopped=self._cancelled_at is not None,
            about=self.key.task,
            tail=self._tail(),
        )
        found = self.told.found
        return replace(outcome, written=found) if found else outcome

    def _failed(self, reason: str, code: int | None = None) -> Outcome:
        return Outcome(Verdict.FAILED, code, reason, tail=self._tail())

    def _tail(self) -> str:
        return "\n".join(list(self.lines)[-_TAIL_LINES:])

    def _tell(self, outcome: Outcome) -> None:
        with self.changed:
            self.outcome = outcome
            self.changed.notify_all()
        self.on_end()

    def _abandon(self) -> None:
        """Do the remaining work of the thread after it died, as far as possible."""
        process = self.process
        logger.warning("the thread that followed %s ended before its process did", self.key.task)
        if process is not None and process.returncode is None:
            try:
                self._end(RuntimeError("the thread that followed it ended"))
                return
            except Exception as error:
                logger.warning("%s cannot be ended cleanly: %s", self.key.task, _words(error))
                self._signal(signal.SIGKILL)
        if process is not None:
            self._unguard(process)
        self._tell(
            Outcome(
                Verdict.LOST, reason="the thread that followed it ended; what it started was stopped", tail=self._tail()
            )
        )


def _refusal(error: BaseException, start: Start) -> RunError:
    program = f"the program {start.vector[0]!r}"
    hint = f" {start.missing}".rstrip()
    if isinstance(error, FileNotFoundError):
        refusal: RunError = RunnerError(f"{program} was not found.{hint}")
    elif passes(error) or not isinstance(error, (OSError, ValueError)):
        refusal = OutageError(f"{program} cannot be started now: {_words(error)}; nothing was started")
    elif isinstance(error, OSError) and error.errno in _NOT_THERE:
        refusal = RunnerError(f"{program} cannot be started: {error}.{hint}")
    else:
        refusal = RunnerError(f"{program} cannot be started: {error}")
    refusal.__cause__ = error
    return refusal


def _words(error: BaseException | None) -> str:
    return f"{type(error).__name__}: {error}"


def _named(process: int) -> str:
    try:
        with open(f"/proc/{process}/comm", encoding="utf-8", errors="replace") as file:
            return f"{process} {file.read().strip()}"
    except OSError:
        return str(process)


def _exit_code(process: subprocess.Popen[bytes]) -> int | None:
    """Return the exit code of a process, negative for a signal; None while it runs. The process stays a zombie if the
    system allows it.

    Raises:
        ChildProcessError: there is no such child, because something else waited for it or SIGCHLD is ignored.
    """
    if process.returncode is not None or not hasattr(os, "waitid"):
        return process.poll()
    found = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if found is None:
        return None
    return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status


def _ended(process: subprocess.Popen[bytes]) -> bool:
    """Return whether a process has ended, without waiting for it if the system allows that."""
    try:
        return _exit_code(process) is not None
    except ChildProcessError:
        return True


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    try:
        return _ended(process)
    except OSError:
        return False
