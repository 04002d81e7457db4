"""The base class of runners, which do the work of an environment at run time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..errors import PluginContractError, near_miss
from ..model.job import Job
from ..model.outcome import AttemptInfo, Status
from ..model.run import RunKey
from .pausing import pause

__all__ = ["DelegatingRunner", "Runner", "RunnerSource", "Storage", "check_runner"]


class Storage(Protocol):
    """How the runtime handles files. Paths are absolute paths on this machine, or URIs.

    Every method raises a :class:`StarlakeError` if the storage cannot be used.
    """

    def list(self, folder: str) -> Mapping[str, str]:
        """Return the files in a folder, without subfolders: by name, a string that changes when the content does.

        Args:
            folder: the folder; if it does not exist, it has no files.
        """
        ...

    def move(self, source: str, target: str) -> None:
        """Move a file. At any time it is complete, at either its old or its new path. The new path does not exist
        before.

        Args:
            source: the path of the file.
            target: the new path, whose folder may not exist yet.
        """
        ...

    def read(self, path: str) -> bytes | None:
        """Return the content of a small file, or None if it does not exist."""
        ...

    def write(self, path: str, content: bytes) -> None:
        """Write a small file completely or not at all, and replace an existing one."""
        ...

    def delete(self, path: str) -> None:
        """Delete a file, if it exists."""
        ...


_RENAMED = {"console": "console_url"}
"""Names of earlier versions."""


class Runner(ABC):
    """Does the work of an environment at run time. One runner serves all jobs of an endpoint, from several threads.

    A plugin inherits from this class, implements the five abstract methods, and sets attributes or overrides methods
    with a default to say what else it can do. The class cannot be created if one of its public names looks like a
    misspelt one of these.

    The runner retries transient errors of the service (throttled, unavailable, deadline) with backoff, and they never
    look like a failed job. An outage that lasts longer raises an :class:`OutageError`. Missing permissions, quota or
    resources raise a :class:`RunnerError` that says what to grant or create. ``poll`` raises neither: it returns the
    error of each attempt.

    A runner pauses with :func:`~starlake_core.runtime.pause`, so that a caller that is stopped need not wait for it.

    Attributes:
        interval: seconds between two polls.
        detached: whether an attempt keeps running without the process that submitted it, and any other process can
            poll, cancel and read it by its handle. Then an orchestrator need not keep a worker for it, and all waiting
            tasks of a process share one poll.
        follows: whether the output is read while an attempt runs. If False, because reading is expensive, only the
            output of failures is read.
        keyed: whether the environment records ``SL_RUN_KEY`` with its work, and does each piece of work once. Then
            everything may be repeated.
        labelled: whether the service gets the labels of a job. If False, a job with labels causes a warning.
    """

    interval: float = 5.0
    detached: bool = False
    follows: bool = True
    keyed: bool = False
    labelled: bool = False

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        _check_names(cls.__qualname__, [*vars(cls), *vars(cls).get("__annotations__", ())])
        for name, value in vars(cls).items():
            _check_value(cls.__qualname__, name, value)

    @abstractmethod
    def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
        """Return every attempt of a task that the environment knows, oldest first. For an attempt that has ended, the
        status may say only that; ``poll`` says how it ended.

        Args:
            job: the bound job of the current attempt.
            task: the stable part of the key.
        """

    @abstractmethod
    def submit(self, job: Job, key: RunKey) -> str:
        """Start an attempt and return its handle. Idempotent: a second call with the same key returns the same attempt.

        Args:
            job: a job without placeholders.
            key: the key of the attempt.
        """

    @abstractmethod
    def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
        """Return the states of many attempts, with as few calls of the service as possible.

        If the state of one attempt cannot be read now, its status has an ``error``; the others are not affected. Do not
        wait for a slow answer about one of them (the marker of a check): return it in a later poll.

        Args:
            handles: handles from :meth:`submit` and :meth:`find`.
        """

    @abstractmethod
    def cancel(self, handle: str) -> None:
        """Start to cancel an attempt. Idempotent; an attempt that has ended stays as it is."""

    @abstractmethod
    def logs(self, handle: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
        """Return the lines of output after a cursor, and the next cursor. Best effort: it never changes a verdict.

        Args:
            handle: the handle of the attempt.
            cursor: the cursor from the last call; None at first.
        """

    def tail(self, handle: str, count: int) -> Sequence[str]:
        """Return the last lines of output of an ended attempt. Override it if reading them is cheaper than reading
        everything.

        Args:
            handle: the handle of the attempt.
            count: the number of lines.
        """
        return self.logs(handle, None)[0][-count:]

    def console_url(self, handle: str) -> str:
        """Return the address of a page that shows an attempt; empty if there is none.

        Args:
            handle: the handle of the attempt.
        """
        return ""

    def describe(self, job: Job) -> str:
        """Return a bound job as a line to show. Secrets are masked.

        Override it if the environment has a command that does the same and can be pasted into a shell. By default the
        line is a comment of the shell.

        Args:
            job: the bound job.
        """
        command = " ".join(("starlake", *job.masked().arguments)) if job.arguments else "no Starlake command"
        return f"# in {job.environment}: {command}"

    def wait(self, handles: Sequence[str], timeout: float) -> None:
        """Return when one of some attempts may have ended, or after a time. Override it if the runner is notified when
        an attempt ends.

        Args:
            handles: the handles of the attempts.
            timeout: the maximum seconds to wait.
        """
        pause(timeout)

    def rest(self) -> None:
        """Release what the runner keeps for more work, such as a database that is open. Called when a run has ended.
        The next attempt may come all the same. By default, nothing is kept.
        """
        return

    def storage(self, root: str) -> Storage | None:
        """Return the storage of a folder that is not on this machine, or None if the runner cannot reach it. Files that
        a failed load moved are put back there.

        It is called for a URI only. A plain path, also one that exists only where the commands run, is looked for on
        this machine; if it is not there, a failed load is not repeated until a person says so.

        Args:
            root: the URI of the folder.
        """
        return None


_KNOWN = tuple(name for name in vars(Runner) if not name.startswith("_"))


def _check_names(what: str, names: Sequence[str]) -> None:
    for name in names:
        if name.startswith("_") or name in _KNOWN:
            continue
        if name in _RENAMED:
            raise PluginContractError(f"{what}.{name} has another name: '{_RENAMED[name]}'")
        near = near_miss(name.replace("_", ""), [known.replace("_", "") for known in _KNOWN])
        if near is not None:
            known = next(known for known in _KNOWN if known.replace("_", "") == near)
            raise PluginContractError(
                f"{what}.{name} has no effect, because runners have no such attribute. Did you mean '{known}'? Start the names of your own "
                "attributes with an underscore"
            )


def _check_value(what: str, name: str, value: object) -> None:
    """Refuse a value that the attribute cannot have. A property is checked when it is read."""
    if hasattr(value, "__get__"):
        return
    if name in ("detached", "follows", "keyed", "labelled") and not isinstance(value, bool):
        raise PluginContractError(f"{what}.{name} is {value!r}; use True or False")
    if name == "interval" and (isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0):
        raise PluginContractError(f"{what}.interval is {value!r}; use seconds, more than 0")


class DelegatingRunner(Runner):
    """Leaves everything to another runner. An add-on that changes what runners do inherits from this class, and
    overrides only what it changes; the wrapper of ``sl_create_runner`` returns it.

    Example::

        class Counting(DelegatingRunner):
            def submit(self, job, key):
                count(job)
                return self.inner.submit(job, key)

    Args:
        inner: the other runner. The attributes are copied from it.

    Attributes:
        inner: the other runner.
    """

    inner: Runner

    def __init__(self, inner: Runner) -> None:
        self.inner = inner
        self.interval = inner.interval
        self.detached = inner.detached
        self.follows = inner.follows
        self.keyed = inner.keyed
        self.labelled = inner.labelled

    def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
        """Return what the other runner finds."""
        return self.inner.find(job, task)

    def submit(self, job: Job, key: RunKey) -> str:
        """Let the other runner start an attempt."""
        return self.inner.submit(job, key)

    def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
        """Return the states that the other runner reports."""
        return self.inner.poll(handles)

    def cancel(self, handle: str) -> None:
        """Let the other runner cancel an attempt."""
        self.inner.cancel(handle)

    def logs(self, handle: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
        """Return the output that the other runner reads."""
        return self.inner.logs(handle, cursor)

    def tail(self, handle: str, count: int) -> Sequence[str]:
        """Return the last lines that the other runner reads."""
        return self.inner.tail(handle, count)

    def console_url(self, handle: str) -> str:
        """Return the address of the other runner."""
        return self.inner.console_url(handle)

    def describe(self, job: Job) -> str:
        """Return the line of the other runner."""
        return self.inner.describe(job)

    def wait(self, handles: Sequence[str], timeout: float) -> None:
        """Wait as the other runner waits."""
        self.inner.wait(handles, timeout)

    def rest(self) -> None:
        """Release what the other runner keeps."""
        self.inner.rest()

    def storage(self, root: str) -> Storage | None:
        """Return the storage of the other runner."""
        return self.inner.storage(root)


class RunnerSource(Protocol):
    """Creates runners, and says which jobs cannot succeed. This is the part of the selected plugins that the graph knows.

    Attributes:
        environment: the name of the environment; empty if none is selected.
    """

    @property
    def environment(self) -> str: ...

    def create_runner(self, job: Job) -> Runner:
        """Return a runner for jobs like this one."""
        ...

    def check_jobs(self, jobs: Sequence[Job]) -> list[str]:
        """Return why some bound jobs cannot succeed, however often they run."""
        ...


def check_runner(made: object, label: str) -> Runner:
    """Check the runner that a plugin returned.

    Args:
        made: the result of ``sl_create_runner``.
        label: the label of the plugin, for messages.

    Raises:
        PluginContractError: it is not a runner.
    """
    if not isinstance(made, Runner):
        raise PluginContractError(
            f"{label} returned {made!r} from sl_create_runner; its class must inherit from starlake_core.runtime.Runner"
        )
    what = f"{label}: {type(made).__qualname__}"
    own = getattr(made, "__dict__", {})
    _check_names(what, list(own))
    for name, value in own.items():
        _check_value(what, name, value)
    return made
