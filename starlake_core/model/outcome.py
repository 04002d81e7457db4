"""How an attempt ended, and what an environment reports about it."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from ..errors import StarlakeError
from ..plain_text import plain
from .identity import Kinship, kinship
from .run import RunKey
from .written import Written

__all__ = ["AttemptInfo", "Outcome", "Status", "Verdict", "explain_not_ready"]


class Verdict(str, enum.Enum):
    """How an attempt ended.

    ``SUCCEEDED`` or ``FAILED``. ``NOT_READY``: a check found nothing to do yet. ``CANCELLED``: somebody stopped it.
    ``LOST``: the environment no longer knows it, so its end is unknown.
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
    """The end of an attempt. Texts that come from a service or a program have their control characters escaped.

    Attributes:
        verdict: how it ended.
        exit_code: the exit code of the process or container, if there is one.
        reason: one line to show; for a failure, what happened and what to do.
        log: where the output is, as a path or the URL of a console.
        tail: the last lines of the output.
        stopped: somebody stopped it, so it is not known how far it came.
        final: do not retry without a person's decision: another attempt would end the same way, or could do the work
            twice or not at all.
        written: what it wrote, a value for each table; empty if the environment does not know.
    """

    verdict: Verdict
    exit_code: int | None = None
    reason: str = ""
    log: str = ""
    tail: str = ""
    stopped: bool = False
    final: bool = False
    written: tuple[Written, ...] = ()

    def __post_init__(self) -> None:
        for name in ("reason", "log", "tail"):
            text = getattr(self, name)
            if not text.isprintable():
                object.__setattr__(self, name, plain(text))

    @property
    def succeeded(self) -> bool:
        """Whether the attempt succeeded."""
        return self.verdict is Verdict.SUCCEEDED

    def to_json(self) -> str:
        """Return the outcome as a line of JSON, to pass it from a trigger to a worker."""
        return json.dumps({**asdict(self), "verdict": self.verdict.value}, sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Outcome:
        """Read an outcome that :meth:`to_json` wrote."""
        values = json.loads(text)
        written = tuple(map(Written.from_values, values.get("written", ())))
        return cls(**{**values, "verdict": Verdict(values["verdict"]), "written": written})


@dataclass(frozen=True)
class Status:
    """What a poll reports about an attempt: it is running, it is stopping, it has ended, or its state cannot be read
    now.

    Attributes:
        outcome: how it ended; None while it is pending, running or stopping.
        detail: the environment's own name for its state.
        stopping: it is being stopped or is ending, but is not over yet. Such an attempt is never taken over.
        error: why its state cannot be read now. It concerns this attempt alone and says nothing about how it ends: the
            caller polls again.
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
        """Whether the attempt is still running and nobody is stopping it."""
        return self.outcome is None and not self.stopping


@dataclass(frozen=True)
class AttemptInfo:
    """An attempt of a task that the environment knows.

    Attributes:
        attempt: the attempt part of its key.
        handle: the handle that runner calls take.
        status: its state when it was looked up.
        instance: the instance of the run that it was started for; empty if unknown.
        digest: the digest of its work; empty if unknown.
    """

    attempt: str
    handle: str
    status: Status
    instance: str = ""
    digest: str = ""

    def is_of(self, key: RunKey) -> bool:
        """Return whether it is certainly the attempt of a key.

        Args:
            key: the key of an attempt of the same task.
        """
        return self.attempt == key.attempt and kinship(self.instance, key.instance) is Kinship.SAME

    @classmethod
    def told(cls, variables: Mapping[str, str], handle: str, status: Status) -> AttemptInfo:
        """Create the description of an attempt from the variables that it was started with (:attr:`RunKey.variables`).

        Args:
            variables: the variables that the environment reports.
            handle: the handle that runner calls take.
            status: its state.
        """
        return cls(
            variables.get("SL_RUN_ATTEMPT", ""),
            handle,
            status,
            variables.get("SL_RUN_INSTANCE", ""),
            variables.get("SL_RUN_DIGEST", ""),
        )


def explain_not_ready(missing: str, outcome: Outcome) -> str:
    """Return a sentence that says why a check was not ready.

    >>> explain_not_ready("sales has no incoming files", Outcome(Verdict.NOT_READY, reason="the shop is closed"))
    'sales is not ready: the shop is closed'

    Args:
        missing: what is missing, in the words of the pre-load strategy (:attr:`Task.missing`).
        outcome: the end of the check. If the environment or an add-on gave a reason of its own, it is shown instead,
            because files that are there may still not be due.
    """
    own = outcome.reason
    if own.startswith(missing):
        return own
    if not own or own.startswith("not ready"):
        return missing
    domain = missing.partition(" has no ")[0].removesuffix(" is not ready")
    return f"{domain} is not ready: {own}" if domain else f"not ready: {own}"
