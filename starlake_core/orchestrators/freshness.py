"""Whether events start a run, and for which interval: one pure function for all orchestrators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ..model.kinds import TriggerPolicy
from ..model.run import DataInterval

__all__ = ["Decision", "Event", "decide"]


@dataclass(frozen=True)
class Event:
    """A dataset was produced.

    Attributes:
        dataset: its URI.
        interval: the data interval of the run that produced it; None if that run had none.
        time: when it happened, aware.
    """

    dataset: str
    interval: DataInterval | None
    time: datetime


@dataclass(frozen=True)
class Decision:
    """What follows from events.

    Attributes:
        start: whether a run starts.
        interval: the data interval of that run.
        reason: one sentence for people.
    """

    start: bool
    interval: DataInterval
    reason: str = ""


def decide(policy: TriggerPolicy, events: Sequence[Event], now: datetime) -> Decision:
    """Decide whether events start a run.

    The interval of the run spans those of the events: from the least start to the greatest end. Events without an interval count with
    the time at which they happened; without any event, ``now`` is both ends.

    Args:
        policy: of the pipeline. Data cycles and freshness windows are not judged yet: the answer is always yes.
        events: that have not started a run before.
        now: aware.
    """
    intervals = [event.interval or DataInterval(event.time, event.time) for event in events]
    if not intervals:
        return Decision(True, DataInterval(now, now), "started without an event")
    span = DataInterval(min(i.start for i in intervals), max(i.end for i in intervals))
    names = sorted({event.dataset for event in events})
    return Decision(True, span, f"started by {', '.join(names)}")
