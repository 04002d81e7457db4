"""What an environment does at run time: the base class of every runner."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..errors import PluginContractError, near_miss
from ..model.job import Job
from ..model.outcome import AttemptInfo, Status
from ..model.run import RunKey
from .pausing import pause

__all__ = ["Runner", "RunnerSource", "Storage", "check_runner"]


class Storage(Protocol):
    """What the runtime does with files. Paths are absolute paths of this machine, or URIs.

    Every method raises a :class:`StarlakeError` where the storage cannot be used.
    """

    def list(self, folder: str) -> Mapping[str, str]:
        """The files of a folder, without those in folders below it: name to a text that changes when the content does.

        Args:
            folder: one that does not exist has no files.
        """
        ...

    def move(self, source: str, target: str) -> None:
        """Move a file. Whoever looks sees it whole, at its old place or its new one; nothing is at the new place before.

        Args:
            source: of the file.
            target: in a folder that may not exist yet.
        """
        ...

    def read(self, path: str) -> bytes | None:
        """The content of a small file; None where there is none."""
        ...

    def write(self, path: str, content: bytes) -> None:
        """Write a small file, whole or not at all; what was there is replaced."""
        ...

    def delete(self, path: str) -> None:
        """Delete a file, if it is there."""
        ...


_RENAMED = {"console": "console_url"}
"""Names of earlier versions."""


class Runner(ABC):
    """What an environment does at run time. One runner serves all jobs of an endpoint, from several threads.

    A plugin inherits from this class, writes the five methods that are abstract, and states what else it can do by giving a value to an
    attribute or by overriding a method that has a default. A public name that is a near miss of one of these is refused when the class is made.

    Only errors of the service (throttled, unavailable, deadline) are retried, inside the runner and with backoff; they never look
    like a failed job; an outage that lasts longer raises an :class:`OutageError`. Errors of permission, quota and missing resources
    raise a :class:`RunnerError` that says what to grant or create. ``poll`` raises neither: it answers with the error of each attempt.

    A runner that pauses does so with :func:`~starlake_core.runtime.pause`, so that whoever is stopped need not wait for it.

    Attributes:
        interval: seconds between two polls.
        detached: whether an attempt keeps running without the process that submitted it, and any other process can poll, cancel and read it by
            its handle; then an orchestrator need not keep a worker for it, and all who wait in one process share one poll.
        follows: whether the output is read while an attempt runs. False where reading costs more than it is worth while all goes well; then
            only the output of failures is read.
        keyed: whether the environment records ``SL_RUN_KEY`` with what it has done, and does each piece of work once; then everything may be
            repeated.
    """

    interval: float = 5.0
    detached: bool = False
    follows: bool = True
    keyed: bool = False

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        _check_names(cls.__qualname__, [*vars(cls), *vars(cls).get("__annotations__", ())])
        for name, value in vars(cls).items():
            _check_value(cls.__qualname__, name, value)

    @abstractmethod
    def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
        """Every attempt of a task that the environment knows, the oldest first. Of one that has ended it may be told only that; ``poll``
        tells how.

        Args:
            job: the bound job of the attempt that asks.
            task: the stable part of the key.
        """

    @abstractmethod
    def submit(self, job: Job, key: RunKey) -> str:
        """Start an attempt and return its handle. Idempotent: the same key twice is the same attempt.

        Args:
            job: without placeholders.
            key: of the attempt.
        """

    @abstractmethod
    def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
        """The states of many attempts, in as few calls of the service as it allows.

        One that cannot be asked about now has a status with an ``error``, and the others have theirs. A slow answer about one of them (the
        marker of a check) is not waited for: it is told by a later poll.

        Args:
            handles: what :meth:`submit` and :meth:`find` returned.
        """

    @abstractmethod
    def cancel(self, handle: str) -> None:
        """Ask for the end of an attempt; one that has ended stays as it is. Idempotent."""

    @abstractmethod
    def logs(self, handle: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
        """Lines of output after a cursor, and the next cursor. Best effort: it never changes a verdict.

        Args:
            handle: of the attempt.
            cursor: what the last call returned; None at first.
        """

    def tail(self, handle: str, count: int) -> Sequence[str]:
        """The last lines of output of an ended attempt. Override it where reading them is cheaper than reading all.

        Args:
            handle: of the attempt.
            count: how many lines.
        """
        return self.logs(handle, None)[0][-count:]

    def console_url(self, handle: str) -> str:
        """The address at which a person can watch an attempt; empty where there is none.

        Args:
            handle: of the attempt.
        """
        return ""

    def describe(self, job: Job) -> str:
        """A bound job as a line for people: one to paste into a shell, where the environment has such a line. Secrets are masked.

        Args:
            job: bound.
        """
        return f"starlake {' '.join(job.masked().arguments)}  # {job.environment}"

    def wait(self, handles: Sequence[str], timeout: float) -> None:
        """Return when one of some attempts may have ended, or after a time. Override it where the runner is told of the end of an attempt.

        Args:
            handles: of the attempts.
            timeout: seconds.
        """
        pause(timeout)

    def storage(self, root: str) -> Storage | None:
        """The storage that a folder outside of this machine is in; None where the runner reaches none. Files that a failed load has moved are
        put back there.

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
                f"{what}.{name} has no effect: a runner has nothing of that name. Did you mean '{known}'? A name of your own begins with "
                "an underscore, or differs more"
            )


def _check_value(what: str, name: str, value: object) -> None:
    """Refuse a value that cannot be one of an attribute; a property is asked when it is read."""
    if hasattr(value, "__get__"):
        return
    if name in ("detached", "follows", "keyed") and not isinstance(value, bool):
        raise PluginContractError(f"{what}.{name} is {value!r}; it takes True or False")
    if name == "interval" and (isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0):
        raise PluginContractError(f"{what}.interval is {value!r}; it takes seconds, more than 0")


class RunnerSource(Protocol):
    """Where runners come from: the selected plugins, as far as the graph knows them.

    Attributes:
        environment: name of the environment; empty where none is selected.
    """

    @property
    def environment(self) -> str: ...

    def create_runner(self, job: Job) -> Runner:
        """A runner of jobs like this one."""
        ...


def check_runner(made: object, label: str) -> Runner:
    """A runner, from what a plugin returned.

    Args:
        made: by ``sl_create_runner``.
        label: of the plugin, for messages.

    Raises:
        PluginContractError: it is not one.
    """
    if not isinstance(made, Runner):
        raise PluginContractError(
            f"{label} returned {made!r} from sl_create_runner; its class has to inherit from starlake_core.runtime.Runner"
        )
    what = f"{label}: {type(made).__qualname__}"
    own = getattr(made, "__dict__", {})
    _check_names(what, list(own))
    for name, value in own.items():
        _check_value(what, name, value)
    return made
