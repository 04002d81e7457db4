"""Jobs as processes of this machine."""

from __future__ import annotations

import codecs
import contextlib
import logging
import os
import select
import shlex
import signal
import subprocess
import tempfile
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from ..errors import RunnerError
from ..job import Job
from ..masking import mask_arguments, mask_mapping, mask_text, secret_arguments, secret_values
from ..run import RunKey
from .exclusive import inherited
from .guard import guard
from .outcome import Found, Outcome, Status, Verdict
from .verdicts import judged, marker_of, with_marker

__all__ = ["ProcessRunner", "local_folder", "worker_environment"]

logger = logging.getLogger(__name__)

_BUFFERED_LINES = 10_000
_BUFFERED_CHARACTERS = 2_000_000
_LONGEST_LINE = 64 * 1024
_TAIL_LINES = 20
_REMEMBERED = 256
_WHOLE = 64
_KILL_SECONDS = 10.0
_ORPHAN_SECONDS = 0.5
_LOOK_SECONDS = 0.25

# What a command needs of the worker's environment to run at all; everything else has to be named.
_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "JAVA_HOME", "JAVA_OPTS", "PYTHONPATH",
         "PYTHONHASHSEED", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY",
         "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")  # fmt: skip
_KEPT_PREFIXES = ("SL_", "LC_", "SPARK_", "HADOOP_")


def worker_environment(include: Iterable[str] = (), environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The part of this process's environment that a Starlake command gets.

    Args:
        include: further names; ``*`` or ``_`` stands for all.
        environ: the environment, that of this process by default.
    """
    environ = os.environ if environ is None else environ
    wanted = set(include)
    if wanted & {"*", "_"}:
        return dict(environ)
    return {
        name: value
        for name, value in environ.items()
        if name in _KEPT or name in wanted or name.startswith(_KEPT_PREFIXES)
    }


def local_folder(text: str | None) -> str | None:
    """The path of a folder on this machine that a path or ``file:`` URI names; None for a remote one."""
    if not text:
        return None
    parts = urlsplit(text)
    if parts.scheme == "file":
        return unquote(parts.path)
    return None if "://" in text else text


@dataclass
class _Running:
    """One process, from its start until its end was told to somebody."""

    key: RunKey
    process: subprocess.Popen[bytes]
    check: bool
    sentinel: str | None
    secrets: tuple[str, ...]
    lines: deque[str] = field(default_factory=deque)
    size: int = 0
    written: int = 0
    outcome: Outcome | None = None
    cancelled_at: float | None = None
    changed: threading.Condition = field(default_factory=threading.Condition)


class ProcessRunner:
    """Runs jobs as processes: argument vectors, never a shell; each in a process group of its own.

    No group outlives this process, even when it is killed. The output is kept in memory with bounds; secrets are masked in it.
    ``find`` is always empty: a process that this process did not start is never its own.

    Args:
        vector: the program and its arguments for a bound job.
        environment: the complete environment for a bound job.
        missing: what to do when the program does not exist, for the error.
        keyed: the program records SL_RUN_KEY with what it has done, and does it once.
    """

    interval = 0.25

    def __init__(
        self,
        vector: Callable[[Job], Sequence[str]],
        environment: Callable[[Job], Mapping[str, str]] = lambda job: {**worker_environment(), **job.env},
        missing: str = "",
        keyed: bool = False,
    ) -> None:
        self.keyed = keyed
        self._vector = vector
        self._environment = environment
        self._missing = missing
        self._running: OrderedDict[str, _Running] = OrderedDict()
        self._starting: dict[str, threading.Lock] = {}
        self._told: deque[str] = deque()
        self._lock = threading.Lock()
        self._any_ended = threading.Condition()

    def describe(self, job: Job) -> str:
        """The command as a line that can be pasted into a shell; secrets are masked.

        Args:
            job: bound.
        """
        env = mask_mapping(job.env)
        folder = local_folder(job.env.get("SL_ROOT"))
        words = [f"{name}={shlex.quote(value)}" for name, value in sorted(env.items())]
        words += [shlex.quote(word) for word in mask_arguments(self._vector(job))]
        return (f"cd {shlex.quote(folder)} && " if folder else "") + " ".join(words)

    def find(self, job: Job, task: str) -> Sequence[Found]:
        """Nothing: see the class."""
        return ()

    def submit(self, job: Job, key: RunKey) -> str:
        """Start the process of an attempt. Its environment holds ``SL_RUN_KEY``, the name of the work (:attr:`RunKey.work`).

        Args:
            job: bound.
            key: of the attempt.

        Raises:
            RunnerError: the program or its working directory does not exist, or cannot be executed.
        """
        handle = f"{key.task}#{key.attempt}"
        with self._lock:
            starting = self._starting.setdefault(handle, threading.Lock())
        with starting:
            if handle not in self._running:
                self._start(handle, job, key)
        with self._lock:
            self._starting.pop(handle, None)
        return handle

    def _start(self, handle: str, job: Job, key: RunKey) -> None:
        env = {**self._environment(job), **guard.environment(), "SL_RUN_KEY": key.work}
        folder = local_folder(env.get("SL_ROOT"))
        if folder is not None and not os.path.isdir(folder):
            raise RunnerError(
                f"SL_ROOT is {folder!r}, which is no folder on this machine; create it or set SL_ROOT to the project"
            )
        if folder is not None:
            env["SL_ROOT"] = folder = os.path.abspath(folder)
        sentinel, job = self._with_sentinel(job, key, folder)
        vector = [*self._vector(job)]
        try:
            process = subprocess.Popen(
                vector,
                env=env,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=inherited(key),
            )
        except FileNotFoundError:
            raise RunnerError(f"the program {vector[0]!r} was not found. {self._missing}".rstrip()) from None
        except (OSError, ValueError) as error:
            raise RunnerError(
                f"the program {vector[0]!r} cannot be started: {error}. {self._missing}".rstrip()
            ) from error
        guard.add(process.pid)
        secrets = secret_values({**secret_arguments(job.arguments), **env})
        running = _Running(key, process, job.check, sentinel, secrets)
        with self._lock:
            self._running[handle] = running
        threading.Thread(target=self._follow, args=(running,), name=f"starlake-{process.pid}", daemon=True).start()

    def _with_sentinel(self, job: Job, key: RunKey, folder: str | None) -> tuple[str | None, Job]:
        """The marker of a check, in place: its folder exists and no old marker is left."""
        if not job.check:
            return None, job
        asked = marker_of(job.arguments)
        if asked is not None:
            path = local_folder(asked)
            if path is None:
                raise RunnerError(
                    "pre_load_not_ready_sentinel_path is not on this machine, where the pre-load runs; give a local folder, or none"
                )
        elif job.spec.get("sentinel", True) and job.arguments[:1] == ("preload",):
            # Below SL_ROOT, because a launcher that runs Starlake in a container sees nothing else.
            base = os.path.join(folder or tempfile.gettempdir(), ".starlake-core", "not-ready")
            path = os.path.join(os.path.abspath(base), key.attempt_hash)
            job = with_marker(job, path)
        else:
            return None, job
        try:
            os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        except OSError as error:
            raise RunnerError(f"the marker of a pre-load cannot be kept at {path}: {error}") from error
        return path, job

    def _follow(self, running: _Running) -> None:
        """Read the output of a process until it has ended; escalate a cancel; tell who waits."""
        process = running.process
        assert process.stdout is not None
        descriptor = process.stdout.fileno()
        poller = select.poll()
        poller.register(descriptor, select.POLLIN | select.POLLHUP)
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        rest, exited_at, look_at = "", None, time.monotonic() + _LOOK_SECONDS
        while True:
            if time.monotonic() >= look_at:
                look_at = time.monotonic() + _LOOK_SECONDS
                if exited_at is None and _exited(process):
                    exited_at = time.monotonic()
                # The process has ended, but something that it started holds its output open.
                if exited_at is not None and time.monotonic() - exited_at > _ORPHAN_SECONDS:
                    break
                self._escalate(running)
            if poller.poll(_LOOK_SECONDS * 1000):
                chunk = os.read(descriptor, 65536)
                if not chunk:
                    break
                *lines, rest = (rest + decoder.decode(chunk)).split("\n")
                if len(rest) > _LONGEST_LINE:
                    lines, rest = [*lines, rest], ""
                self._keep(running, lines)
        pause = 0.0002
        while not _exited(process):
            time.sleep(pause)
            pause = min(2 * pause, _LOOK_SECONDS)
            self._escalate(running)
        # What it left running in its group must not go on. Until it is waited for, its group id is not given to another.
        _signal(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        guard.remove(process.pid)
        if rest:
            self._keep(running, [rest])
        outcome = self._outcome(running)
        with running.changed:
            running.outcome = outcome
            running.changed.notify_all()
        with self._any_ended:
            self._any_ended.notify_all()

    def _keep(self, running: _Running, lines: list[str]) -> None:
        if not lines:
            return
        with running.changed:
            for line in lines:
                kept = mask_text(line[:_LONGEST_LINE].rstrip("\r"), running.secrets)
                running.lines.append(kept)
                running.size += len(kept)
            while running.size > _BUFFERED_CHARACTERS or len(running.lines) > _BUFFERED_LINES:
                running.size -= len(running.lines.popleft())
            running.written += len(lines)
            running.changed.notify_all()

    def _escalate(self, running: _Running) -> None:
        if running.cancelled_at is not None and time.monotonic() - running.cancelled_at > _KILL_SECONDS:
            _signal(running.process.pid, signal.SIGKILL)

    def _outcome(self, running: _Running) -> Outcome:
        code = running.process.returncode
        marked = False
        if running.sentinel is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(running.sentinel)
                marked = True
        return judged(
            code,
            check=running.check,
            marked=None if running.sentinel is None else marked,
            stopped=running.cancelled_at is not None,
            about=running.key.task,
            tail="\n".join(list(running.lines)[-_TAIL_LINES:]),
        )

    def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
        """The states of processes; one that this process did not start, or told of long ago, is lost."""
        result = {}
        with self._lock:
            for handle in handles:
                running = self._running.get(handle)
                if running is None:
                    result[handle] = Status(Outcome(Verdict.LOST, reason="no such process was started here"), "lost")
                elif running.outcome is None:
                    stopping = running.cancelled_at is not None
                    result[handle] = Status(detail=f"pid {running.process.pid}", stopping=stopping)
                else:
                    result[handle] = Status(running.outcome, "ended")
                    self._forget_later(handle)
        return result

    def _forget_later(self, handle: str) -> None:
        if handle not in self._told:
            self._told.append(handle)
        if len(self._told) > _WHOLE:
            # Those who wait for an attempt read its output when they are told of its end: later the tail is enough.
            before = self._running.get(self._told[-_WHOLE - 1])
            if before is not None:
                before.lines = deque(before.lines, maxlen=_TAIL_LINES)
        while len(self._told) > _REMEMBERED:
            self._running.pop(self._told.popleft(), None)

    def wait(self, handles: Sequence[str], timeout: float) -> None:
        """Return when one of some processes wrote or ended (several: ended), or after a time.

        Args:
            handles: of the processes.
            timeout: seconds.
        """
        with self._lock:
            found = [self._running[handle] for handle in handles if handle in self._running]
        if not found:
            return
        if len(found) == 1:
            running = found[0]
            with running.changed:
                if running.outcome is None:
                    running.changed.wait(timeout)
            return
        with self._any_ended:
            if all(running.outcome is None for running in found):
                self._any_ended.wait(timeout)

    def cancel(self, handle: str) -> None:
        """Send SIGTERM to the group of a process, and SIGKILL ten seconds later if it still lives."""
        with self._lock:
            running = self._running.get(handle)
        if running is not None and running.outcome is None and running.cancelled_at is None:
            running.cancelled_at = time.monotonic()
            _signal(running.process.pid, signal.SIGTERM)

    def logs(self, handle: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
        """Lines after a cursor; where more were written than are kept, a line says how many are missing."""
        with self._lock:
            running = self._running.get(handle)
        if running is None:
            return (), cursor
        with running.changed:
            seen = int(cursor or 0)
            kept_from = running.written - len(running.lines)
            fresh = list(running.lines)[max(0, seen - kept_from) :] if running.written > seen else []
            missing = max(0, kept_from - seen)
            return ([f"[{missing} lines left out]"] if missing else []) + fresh, str(running.written)


def _exited(process: subprocess.Popen[bytes]) -> bool:
    """Whether a process has ended, without waiting for it where the system allows that."""
    if not hasattr(os, "waitid"):
        return process.poll() is not None
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
