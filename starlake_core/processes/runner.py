"""Runs jobs as processes on this machine."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import sys
import tempfile
import threading
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ..errors import OutageError, RunnerError
from ..masking import mask_arguments, mask_mapping, secret_arguments, secret_values
from ..model.exit_codes import is_preload, marker_of, request_marker
from ..model.job import Job
from ..model.outcome import AttemptInfo, Outcome, Status, Verdict
from ..model.run import RunKey
from ..plugins.runner import Runner
from ..private_files import private_folder
from . import watchdog
from .exclusive import inherited
from .following import Followed, Start, passes
from .supervisor import guard

__all__ = ["ProcessRunner", "local_folder", "python_module", "worker_environment"]

_TAIL_LINES = 20
_REMEMBERED = 256
_SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WHOLE = 64

# The environment variables of the worker that every command needs. All others must be named.
_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "JAVA_HOME", "JAVA_OPTS", "PYTHONPATH",
         "PYTHONHASHSEED", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY",
         "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")  # fmt: skip
_KEPT_PREFIXES = ("SL_", "LC_", "SPARK_", "HADOOP_")


def worker_environment(include: Iterable[str] = (), environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment variables of this process that a Starlake command gets.

    Args:
        include: further names; ``*`` or ``_`` means all.
        environ: the environment variables; those of this process by default.
    """
    environ = os.environ if environ is None else environ
    wanted = set(include)
    every = bool(wanted & {"*", "_"})
    kept = {
        name: value
        for name, value in environ.items()
        if every or name in _KEPT or name in wanted or name.startswith(_KEPT_PREFIXES)
    }
    if "PYTHONPATH" in kept:
        # An empty or relative entry would refer to the working directory of the command, which is the project.
        kept["PYTHONPATH"] = os.pathsep.join(
            os.path.abspath(entry) for entry in kept["PYTHONPATH"].split(os.pathsep) if entry
        )
    return kept


def python_module(name: str) -> tuple[str, ...]:
    """Return the arguments that run a module with this interpreter, without the working directory on its import path.

    Args:
        name: the name of the module, as for ``python -m``.
    """
    if sys.version_info >= (3, 11):
        return sys.executable, "-P", "-m", name
    script = (
        "import sys; sys.path[:] = [entry for entry in sys.path if entry]; "
        f"import runpy; sys.argv[0] = {name!r}; runpy.run_module({name!r}, run_name='__main__', alter_sys=True)"
    )
    return sys.executable, "-c", script


def local_folder(text: str | None) -> str | None:
    """Return the path of a local folder, given as a path or ``file:`` URI; None for a remote folder."""
    if not text:
        return None
    parts = urlsplit(text)
    if parts.scheme == "file":
        return unquote(parts.path)
    return None if "://" in text else text


class ProcessRunner(Runner):
    """Runs jobs as processes, from argument vectors and without a shell, each in its own process group.

    No group outlives this process, even if it is killed. A bounded part of the output is kept in memory, with secrets
    masked. ``find`` is always empty, because a runner knows only the processes that it started. A program may tell what it
    wrote in a line of output, :meth:`.Written.to_line`; the line is not shown.

    Args:
        vector: the program and its arguments for a bound job.
        environment: all environment variables for a bound job.
        missing: what to do if the program does not exist, for the error.
        keyed: whether the program records SL_RUN_KEY with its work, and does the work once.
        follow: makes what starts and follows an attempt, from the attributes of :class:`Followed`.
        rest: called when a run has ended and nothing more is expected soon.
    """

    interval = 0.25

    def __init__(
        self,
        vector: Callable[[Job], Sequence[str]],
        environment: Callable[[Job], Mapping[str, str]] = lambda job: {**worker_environment(), **job.env},
        missing: str = "",
        keyed: bool = False,
        follow: Callable[[RunKey, Job, str | None, tuple[str, ...], Callable[[], None]], Followed] = Followed,
        rest: Callable[[], None] = lambda: None,
    ) -> None:
        self.keyed = keyed
        self._follow = follow
        self._rest = rest
        self._vector = vector
        self._environment = environment
        self._missing = missing
        self._running: OrderedDict[str, Followed] = OrderedDict()
        self._starting: dict[str, threading.Lock] = {}
        self._told: deque[str] = deque()
        self._lock = threading.Lock()
        self._any_ended = threading.Condition()
        self._temporary: Path | None = None

    def describe(self, job: Job) -> str:
        """Return the command as a line to paste into a shell. Secrets are masked.

        Args:
            job: the bound job.
        """
        env = mask_mapping(job.env)
        folder = local_folder(job.env.get("SL_ROOT"))
        words = [
            f"{name}={shlex.quote(value)}" if _SHELL_NAME.fullmatch(name) else shlex.quote(f"{name}={value}")
            for name, value in sorted(env.items())
        ]
        if not all(map(_SHELL_NAME.fullmatch, env)):
            words.insert(0, "env")  # a shell cannot set a variable with such a name
        words += [shlex.quote(word) for word in mask_arguments(self._vector(job))]
        return (f"cd {shlex.quote(folder)} && " if folder else "") + " ".join(words)

    def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
        """Return nothing; see the class."""
        return ()

    def submit(self, job: Job, key: RunKey) -> str:
        """Start the process of an attempt. Its environment says which attempt it is (:attr:`RunKey.variables`).

        Args:
            job: the bound job.
            key: the key of the attempt.

        Raises:
            RunnerError: the program or its working directory does not exist, or cannot be executed; or other work runs
                under this key.
            OutageError: the machine is short of processes, threads, files or space at the moment.
        """
        handle = key.name
        with self._lock:
            starting = self._starting.setdefault(handle, threading.Lock())
        try:
            with starting:
                with self._lock:
                    known = self._running.get(handle)
                if known is not None and known.job != job:
                    # A name is not an identity: another project in this process may have a run with the same name.
                    if known.look() is None:
                        raise RunnerError(
                            f"other work is running under the name {handle} in this process; give the run another id"
                        )
                    known = None
                if known is None:
                    self._start(handle, job, key)
        finally:
            with self._lock:
                self._starting.pop(handle, None)
        return handle

    def _start(self, handle: str, job: Job, key: RunKey) -> None:
        env = {
            **self._environment(job),
            **guard.environment(),
            watchdog.ATTEMPT_VARIABLE: key.attempt_hash,
            "SL_RUN_INSTANCE": "",  # not that of a run in which this process runs
            **replace(key, digest=key.digest or job.digest).variables,
            "SL_RUN_FORMER": key.former_work,
        }
        for name, value in env.items():
            if not name or "=" in name or "\0" in name + value:
                raise RunnerError(
                    f"the variable {name!r} cannot be set: its name is empty or has a '=', or there is a null character in it"
                )
        folder = local_folder(env.get("SL_ROOT"))
        if folder is not None and not os.path.isdir(folder):
            raise RunnerError(
                f"SL_ROOT is {folder!r}, which is not a folder on this machine; create it or set SL_ROOT to the project"
            )
        if folder is not None:
            env["SL_ROOT"] = folder = os.path.abspath(folder)
        sentinel, marked = self._with_sentinel(job, key, folder)
        vector = [*self._vector(marked)]
        secrets = secret_values({**secret_arguments(job.arguments), **env})
        followed = self._follow(key, job, sentinel, secrets, self._tell)
        with self._lock:
            self._running[handle] = followed
        try:
            followed.start(Start(vector, env, folder, self._missing, inherited(key)))
        except BaseException:
            with self._lock:
                self._running.pop(handle, None)
            raise

    def rest(self) -> None:
        """Release what is kept for more work."""
        self._rest()

    def _tell(self) -> None:
        with self._any_ended:
            self._any_ended.notify_all()

    def _with_sentinel(self, job: Job, key: RunKey, folder: str | None) -> tuple[str | None, Job]:
        """Prepare the path of the marker of a check: create its folder, and remove an old marker."""
        if not job.check:
            return None, job
        asked = marker_of(job.arguments)
        if asked is not None:
            path = local_folder(asked)
            if path is None:
                raise RunnerError(
                    "pre_load_not_ready_sentinel_path is not on this machine, where the pre-load runs; use a local folder, or leave the option out"
                )
        elif job.spec.get("sentinel", True) and is_preload(job.arguments):
            # Below SL_ROOT, because a launcher that runs Starlake in a container may see nothing else.
            base = Path(folder, ".starlake-core") if folder is not None else self._own_folder()
            path = os.path.join(os.path.abspath(base), "not-ready", key.attempt_hash)
            job = request_marker(job, path)
        else:
            return None, job
        try:
            if asked is None:
                private_folder(Path(path).parent.parent)
                private_folder(Path(path).parent)
            os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        except OSError as error:
            raise (OutageError if passes(error) else RunnerError)(
                f"the marker of a pre-load cannot be kept at {path}: {error}"
            ) from error
        return path, job

    def _own_folder(self) -> Path:
        """Return a folder for this process alone, for checks without a project. A name in the shared temporary folder
        could belong to another user."""
        with self._lock:
            if self._temporary is None:
                try:
                    self._temporary = Path(tempfile.mkdtemp(prefix="starlake-core-"))
                except OSError as error:
                    raise (OutageError if passes(error) else RunnerError)(
                        f"no folder for the marker of a pre-load can be created: {error}; set SL_ROOT or TMPDIR"
                    ) from error
                weakref.finalize(self, shutil.rmtree, self._temporary, ignore_errors=True)
            return self._temporary

    def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
        """Return the states of processes. A process is lost if this process did not start it, or reported its end long
        ago."""
        result = {}
        with self._lock:
            found = {handle: self._running.get(handle) for handle in handles}
        for handle, running in found.items():
            outcome = running.look() if running is not None else None
            if running is None:
                result[handle] = Status(Outcome(Verdict.LOST, reason="no such process was started here"), "lost")
            elif outcome is None:
                result[handle] = Status(detail=running.detail, stopping=running.stopping)
            else:
                result[handle] = Status(outcome, "ended")
                with self._lock:
                    self._forget_later(handle)
        return result

    def _forget_later(self, handle: str) -> None:
        if handle not in self._told:
            self._told.append(handle)
        if len(self._told) > _WHOLE:
            # Waiting callers read the output when the attempt ends. Afterwards the tail is enough.
            before = self._running.get(self._told[-_WHOLE - 1])
            if before is not None:
                before.lines = deque(before.lines, maxlen=_TAIL_LINES)
        while len(self._told) > _REMEMBERED:
            self._running.pop(self._told.popleft(), None)

    def wait(self, handles: Sequence[str], timeout: float) -> None:
        """Return when a process writes or ends (for several: ends), or after a time.

        Args:
            handles: the handles of the processes.
            timeout: the maximum seconds to wait.
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
        """Send SIGTERM to the process group, and SIGKILL ten seconds later if it is still alive."""
        with self._lock:
            running = self._running.get(handle)
        if running is not None:
            running.cancel()

    def logs(self, handle: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
        """Return lines after a cursor. If some are no longer kept, a line says how many are missing."""
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
