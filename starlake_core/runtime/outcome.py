"""How an attempt ends, and what an environment has to do to run one."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol, runtime_checkable

from ..errors import StarlakeError
from ..identity import Kinship, kinship
from ..job import Job
from ..plain import plain
from ..run import RunKey

__all__ = ["Found", "Outcome", "Runner", "Status", "Verdict"]


class Verdict(str, enum.Enum):
    """How an attempt ended.

    ``SUCCEEDED`` and ``FAILED`` as one expects; ``NOT_READY`` a check said that there is nothing to do yet; ``CANCELLED``
    somebody stopped it; ``LOST`` the environment no longer knows it, so nobody can tell.
    """

    SUCCEEDED = "succeeded"
    NOT_READY = "not ready"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Outcome:
    """The end of an attempt. What a service or a program says of it is shown to people: control characters are spelt out.

    Attributes:
        verdict: how it ended.
        exit_code: of the process or container, where there is one.
        reason: one line for people; for a failure, what happened and what to do.
        log: where the output is: a path or the URL of a console.
        tail: the last lines of the output.
        stopped: somebody asked for its end: how far it came is not known.
        final: no other try may be made without a person: it would end the same way, or could do the work twice or not at all.
    """

    verdict: Verdict
    exit_code: int | None = None
    reason: str = ""
    log: str = ""
    tail: str = ""
    stopped: bool = False
    final: bool = False

    def __post_init__(self) -> None:
        for name in ("reason", "log", "tail"):
            object.__setattr__(self, name, plain(getattr(self, name)))

    @property
    def succeeded(self) -> bool:
        """Whether it did what it was for."""
        return self.verdict is Verdict.SUCCEEDED

    def to_json(self) -> str:
        """The outcome as a line of JSON, to hand it from a trigger to a worker."""
        return json.dumps({**asdict(self), "verdict": self.verdict.value}, sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Outcome:
        """The outcome that :meth:`to_json` wrote."""
        values = json.loads(text)
        return cls(**{**values, "verdict": Verdict(values["verdict"])})


@dataclass(frozen=True)
class Status:
    """What a poll says of an attempt: it is going, it is stopping, it has ended, or it cannot be asked about now.

    Attributes:
        outcome: how it ended; None while it is pending, running or stopping.
        detail: the environment's own word for its state.
        stopping: somebody asked for its end, or it is ending, and it is not over yet. Nobody takes over such an attempt.
        error: why it cannot be asked about now. It is of this attempt alone and says nothing about how it ends: whoever waits asks again.
    """

    outcome: Outcome | None = None
    detail: str = ""
    stopping: bool = False
    error: StarlakeError | None = None

    @property
    def ended(self) -> bool:
        """Whether the attempt is over."""
        return self.outcome is not None

    @property
    def going(self) -> bool:
        """Whether the attempt goes on by itself: it has not ended, and nobody is stopping it."""
        return self.outcome is None and not self.stopping


@dataclass(frozen=True)
class Found:
    """An attempt of a task that the environment knows.

    Attributes:
        attempt: the attempt part of its key.
        handle: names it in calls.
        status: its state when it was looked up.
        instance: of the run that it was started for; empty where nobody said.
        digest: of its work; empty where nobody said.
    """

    attempt: str
    handle: str
    status: Status
    instance: str = ""
    digest: str = ""

    def is_of(self, key: RunKey) -> bool:
        """Whether it is the attempt that a key names, for certain.

        Args:
            key: of an attempt of the same task.
        """
        return self.attempt == key.attempt and kinship(self.instance, key.instance) is Kinship.SAME

    @classmethod
    def told(cls, variables: Mapping[str, str], handle: str, status: Status) -> Found:
        """An attempt, from the variables that it was started with (:attr:`RunKey.variables`).

        Args:
            variables: that the environment tells of it.
            handle: names it in calls.
            status: its state.
        """
        return cls(
            variables.get("SL_RUN_ATTEMPT", ""),
            handle,
            status,
            variables.get("SL_RUN_INSTANCE", ""),
            variables.get("SL_RUN_DIGEST", ""),
        )


@runtime_checkable
class Runner(Protocol):
    """What an environment does at run time. One runner serves all jobs of an endpoint, from several threads.

    Only errors of the service (throttled, unavailable, deadline) are retried, inside the runner and with backoff; they never look
    like a failed job; an outage that lasts longer raises an :class:`OutageError`. Errors of permission, quota and missing resources
    raise a :class:`RunnerError` that says what to grant or create. ``poll`` raises neither: it answers with the error of each attempt.

    A runner that pauses does so with :func:`~starlake_core.runtime.pause`, so that whoever is stopped need not wait for it.

    More attributes are optional:

    - ``wait(handles, timeout)``, where the runner is told of the end of an attempt: it returns when one of them may have ended, or after
      ``timeout`` seconds.
    - ``interval``: seconds between two polls.
    - ``describe(job)``: a bound job as a line that a person can paste into a shell.
    - ``detached``: true where an attempt goes on without the process that submitted it, and any other process can poll, cancel and read
      it by its handle; then an orchestrator need not keep a worker for it, and all who wait in one process share one poll.
    - ``console(handle)``: the address at which a person can watch an attempt.
    - ``follows``: false where reading output costs more than it is worth while all goes well; then only failures are read.
    - ``keyed``: true where the environment records ``SL_RUN_KEY`` with what it has done, and does each piece of work once; then everything
      may be repeated.
    - ``storage(root)``: the :class:`Storage` that a folder outside of this machine is in, None where the runner reaches none; then files that a
      failed load has moved are put back.
    - ``tail(handle, count)``: the last lines of output of an ended attempt, where reading them is cheaper than reading all.
    """

    def find(self, job: Job, task: str) -> Sequence[Found]:
        """Every attempt of a task that the environment knows, the oldest first. Of one that has ended it may be told only that; ``poll``
        tells how.

        Args:
            job: the bound job of the attempt that asks.
            task: the stable part of the key.
        """
        ...

    def submit(self, job: Job, key: RunKey) -> str:
        """Start an attempt and return its handle. Idempotent: the same key twice is the same attempt.

        Args:
            job: without placeholders.
            key: of the attempt.
        """
        ...

    def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
        """The states of many attempts, in as few calls of the service as it allows.

        One that cannot be asked about now has a status with an ``error``, and the others have theirs. A slow answer about one of them (the
        marker of a check) is not waited for: it is told by a later poll.

        Args:
            handles: what :meth:`submit` and :meth:`find` returned.
        """
        ...

    def cancel(self, handle: str) -> None:
        """Ask for the end of an attempt; one that has ended stays as it is. Idempotent."""
        ...

    def logs(self, handle: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
        """Lines of output after a cursor, and the next cursor. Best effort: it never changes a verdict.

        Args:
            handle: of the attempt.
            cursor: what the last call returned; None at first.
        """
        ...
