"""Events, what a run leaves for the next one, and decisions."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ..errors import RunError
from ..masking import mask_mapping, mask_text
from ..model.run import DataInterval
from ..model.run_options import Sections
from ..model.schedule import in_range, read_moment

__all__ = ["ByHand", "Decision", "Event", "Kind", "Previous", "Reason", "Recorded", "State"]


def _checked(value: datetime, name: str) -> datetime:
    """A date in UTC: Python compares the wall clocks of two times in one zone, and an hour may come twice."""
    if value.tzinfo is None:
        raise RunError(f"{name} is {value.isoformat()}, which has no time zone; use an aware date")
    in_range(value)
    return value if value.tzinfo is timezone.utc else value.astimezone(timezone.utc)


@dataclass(frozen=True)
class Event:
    """A dataset was produced.

    Attributes:
        dataset: its URI.
        id: its place in the order in which the host shows events; later ones have greater numbers.
        published: when it happened, aware; kept in UTC.
        scheduled: the scheduled date of the run that produced it; None if unknown.
        interval: the data interval of that run; None if unknown; kept in UTC.
        zone: the name of the time zone of that run's schedule; empty if unknown.
        variables: the run variables that it brings, in sections; see :mod:`starlake_core.model.run_options`.
        policies: how these are merged with those of other events.
        date: the date that counts, in UTC: the scheduled date, else the end of the interval, else when it happened.
        stamp: the same, in seconds since 1970.

    Raises:
        RunError: a date has no time zone.
        ScheduleError: a year is not from 1000 to 9998.
    """

    dataset: str
    id: int
    published: datetime
    scheduled: datetime | None = None
    interval: DataInterval | None = None
    zone: str = ""
    variables: Sections = field(default_factory=dict)
    policies: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    date: datetime = field(init=False, compare=False, repr=False)
    stamp: float = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        where = f"the event {self.id} of {self.dataset}"
        object.__setattr__(self, "published", _checked(self.published, f"the time of {where}"))
        date = self.scheduled or (self.interval.end if self.interval is not None else self.published)
        date = _checked(date, f"the date of {where}")
        object.__setattr__(self, "date", date)
        object.__setattr__(self, "stamp", date.timestamp())
        if self.interval is not None:
            start = _checked(self.interval.start, f"the start of the interval of {where}")
            end = _checked(self.interval.end, f"the end of the interval of {where}")
            object.__setattr__(self, "interval", DataInterval(start, end))


@dataclass(frozen=True)
class Previous:
    """What successful runs left for the next decision.

    Attributes:
        interval: the interval of the last run, replays excepted; the next one continues at its end.
        decided: when the last successful run of any kind was decided, which is the ``now`` of :func:`decide`.
        seen: for each dataset (its URI with the case folded) the greatest id of an event that a successful run had; -1
            for none.
        complete: whether ``seen`` names all datasets that the run watched. One that it does not name was added since,
            and what that dataset brought up to the end of the interval counts as seen.
    """

    interval: DataInterval
    decided: datetime
    seen: Mapping[str, int] = field(default_factory=dict)
    complete: bool = False

    @property
    def end(self) -> datetime:
        """Up to where the data has been processed."""
        return self.interval.end

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data, as hosts keep it with a run."""
        return {
            "interval_start": self.interval.start.isoformat(),
            "interval_end": self.interval.end.isoformat(),
            "decided": self.decided.isoformat(),
            "seen": dict(sorted(self.seen.items())),
            **({"complete": True} if self.complete else {}),
        }

    @classmethod
    def from_json(cls, data: Any) -> Previous:
        """Read what :meth:`to_json` wrote.

        Args:
            data: the data, or its text.

        Raises:
            RunError: it is something else.
        """
        try:
            found = json.loads(data) if isinstance(data, str) else data
            start, end, decided = (
                _checked(read_moment(found[name]), name) for name in ("interval_start", "interval_end", "decided")
            )
            seen = {str(name): int(last) for name, last in found["seen"].items()}
            complete = found.get("complete") is True
        # Anybody may have written it: also a number that is infinite, or lists in lists without end.
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError):
            raise RunError(
                f"the record of the last run is {data!r}; it must have interval_start, interval_end, decided and seen"
            ) from None
        return cls(DataInterval(start, end), decided, seen, complete)


@dataclass(frozen=True)
class Recorded:
    """What a host has recorded for a pipeline.

    Attributes:
        events: the events of its datasets.
        previous: what its last successful run left; None if there was none.
        problem: why the run variables of the newest event of a dataset cannot be read, so that a run would fail; empty
            if they can.
    """

    events: tuple[Event, ...]
    previous: Previous | None = None
    problem: str = ""


@dataclass(frozen=True)
class ByHand:
    """Somebody asks for a run.

    Attributes:
        date: the date asked for; None for now.
        interval: the interval asked for, if any.
        variables: run variables, in sections; they win.
    """

    date: datetime | None = None
    interval: DataInterval | None = None
    variables: Sections = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.date is not None:
            _checked(self.date, "the date asked for")
        if self.interval is not None and self.interval.start.timestamp() >= self.interval.end.timestamp():
            raise RunError(
                f"the interval asked for, {self.interval.start.isoformat()} to {self.interval.end.isoformat()}, is empty"
            )


class Kind(str, enum.Enum):
    """What is to be done: run, wait for data, or nothing."""

    RUN = "run"
    WAIT = "wait"
    SKIP = "skip"

    def __str__(self) -> str:
        return self.value


class State(str, enum.Enum):
    """What a decision says of a dataset.

    ``PRESENT``: its data is there. ``STALE``: older data is good enough. ``MISSING``: its data is not there.
    ``OPTIONAL``: it is missing, and nothing waits for it. ``LATER``: it was loaded, and the next run counts it.
    ``BEHIND``: it was loaded again, or after its turn. ``FUTURE``: an event has a date that has not come yet.
    """

    PRESENT = "present"
    STALE = "stale"
    MISSING = "missing"
    OPTIONAL = "optional"
    LATER = "later"
    BEHIND = "behind"
    FUTURE = "future"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Reason:
    """What a decision says of one dataset.

    Attributes:
        dataset: its URI.
        state: one of :class:`State`.
        text: a sentence.
        date: the date of the event, or the fire since which it is missing; None if there is none.
        event: the id of the event; None if there is none.
    """

    dataset: str
    state: State
    text: str
    date: datetime | None = None
    event: int | None = None


@dataclass(frozen=True)
class Decision:
    """The result of :func:`decide`.

    Attributes:
        kind: run, wait or skip.
        why: a sentence that explains it, without values of variables.
        interval: the data interval of the run, in UTC and never empty; None for anything else.
        replay: whether the interval reaches back to before the end of the previous run.
        variables: the run variables, in sections.
        policies: how these are to be merged further, for the events that the run emits.
        error: why the run must fail: run variables contradict each other, or a run by hand needs an interval. Then
            nothing is recorded.
        reasons: what the events show for each dataset.
        after: what to record when the run has succeeded; None if there is nothing to record.
    """

    kind: Kind
    why: str
    interval: DataInterval | None = None
    replay: bool = False
    variables: Sections = field(default_factory=dict)
    policies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    error: str = ""
    reasons: tuple[Reason, ...] = ()
    after: Previous | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """The URIs of the datasets that the pipeline waits for."""
        return tuple(reason.dataset for reason in self.reasons if reason.state is State.MISSING)

    def describe(self) -> str:
        """Return the decision in words, with a line for each dataset. It has no values of variables."""
        head = f"{str(self.kind).upper()}: {mask_text(self.error or self.why)}"
        lines = [f"  {reason.dataset}: {reason.state}, {reason.text}" for reason in self.reasons]
        if self.interval is not None:
            start, end = (moment.isoformat() for moment in (self.interval.start, self.interval.end))
            lines.insert(0, f"  interval: {start} to {end}{' (replay)' if self.replay else ''}")
        return "\n".join([head, *lines])

    def to_json(self) -> dict[str, Any]:
        """Return the decision as JSON data, with secret variables masked."""
        interval = self.interval
        return {
            "decision": str(self.kind),
            "why": mask_text(self.why),
            "interval_start": None if interval is None else interval.start.isoformat(),
            "interval_end": None if interval is None else interval.end.isoformat(),
            "replay": self.replay,
            "variables": {section: mask_mapping(values) for section, values in self.variables.items()},
            "error": mask_text(self.error),
            "reasons": [
                {
                    "dataset": reason.dataset,
                    "state": str(reason.state),
                    "text": reason.text,
                    "date": None if reason.date is None else reason.date.isoformat(),
                    "event": reason.event,
                }
                for reason in self.reasons
            ],
        }
