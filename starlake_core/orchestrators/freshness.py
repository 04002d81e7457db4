"""Decides whether events start a run, and for which interval, in one pure function for all orchestrators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ..model.kinds import TriggerPolicy
from ..model.run import DataInterval

__all__ = ["Decision", "Event", "decide"]


@dataclass(frozen=True)
class Event:
    """The event that a dataset was produced.

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
    """The result of :func:`decide`.

    Attributes:
        start: whether a run starts.
        interval: the data interval of that run.
        reason: a sentence that explains it.
    """

    start: bool
    interval: DataInterval
    reason: str = ""


def decide(policy: TriggerPolicy, events: Sequence[Event], now: datetime) -> Decision:
    """Decide whether events start a run.

    The interval of the run spans those of the events, from the earliest start to the latest end. For an event without
    an interval, the time at which it happened counts as both. Without any event, ``now`` is the start and the end.

    Args:
        policy: the policy of the pipeline. Data cycles and freshness windows are not supported yet, so the answer is
            always yes.
        events: the events that have not started a run yet.
        now: an aware time.
    """
    intervals = [event.interval or DataInterval(event.time, event.time) for event in events]
    if not intervals:
        return Decision(True, DataInterval(now, now), "started without an event")
    span = DataInterval(min(i.start for i in intervals), max(i.end for i in intervals))
    names = sorted({event.dataset for event in events})
    return Decision(True, span, f"started by {', '.join(names)}")
