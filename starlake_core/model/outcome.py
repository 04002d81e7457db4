"""How an attempt ends, and what an environment says of one."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from ..errors import StarlakeError
from ..plain_text import plain
from .identity import Kinship, kinship
from .run import RunKey

__all__ = ["AttemptInfo", "Outcome", "Status", "Verdict"]


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
            text = getattr(self, name)
            if not text.isprintable():
                object.__setattr__(self, name, plain(text))

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
class AttemptInfo:
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
    def told(cls, variables: Mapping[str, str], handle: str, status: Status) -> AttemptInfo:
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
