"""Explains for each dataset what the events show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta, timezone, tzinfo

from .history import History, newest
from .periods import Candidate, Periods
from .presence import Presence, find_presence
from .types import Event, Reason, State

__all__ = ["Explained", "at", "explain", "moment"]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def moment(instant: float) -> datetime:
    """Return an instant, in seconds since 1970, as a date in UTC."""
    return _EPOCH + timedelta(seconds=instant)


def at(value: datetime | float, zone: tzinfo) -> str:
    """Return a date as text, in a zone.

    Args:
        value: a date, or seconds since 1970.
        zone: the zone.
    """
    date = value if isinstance(value, datetime) else moment(value)
    local = date.astimezone(zone)
    return local.isoformat(" ", "seconds" if local.second or local.microsecond else "minutes")


class Explained:
    """The reasons of a decision.

    Attributes:
        reasons: one for each dataset, then its events that do not count now.
        presence: whether each dataset is there, by identity.
    """

    def __init__(self, reasons: Iterable[Reason], presence: Mapping[str, Presence]) -> None:
        self.reasons = tuple(reasons)
        self.presence = presence


def explain(
    histories: Mapping[str, History],
    periods: Periods,
    candidate: Candidate | None,
    waiting: int,
    missing: Callable[[Mapping[str, Presence]], set[str]],
    now: datetime,
    zone: tzinfo,
) -> Explained:
    """Explain for each dataset what the events show.

    Args:
        histories: the events, by dataset.
        periods: the candidates.
        candidate: the candidate that the decision is about; None if it is about none.
        waiting: how many candidates wait.
        missing: tells from what is present which datasets a run waits for.
        now: the time of the decision.
        zone: the zone of the pipeline.
    """
    reasons: list[Reason] = []
    presence: dict[str, Presence] = {}
    if candidate is not None:
        presence = {name: find_presence(history, periods, candidate, now) for name, history in histories.items()}
        absent = missing(presence)
        for name, history in histories.items():
            found = presence[name]
            if found.event is None or name in absent:
                reasons.append(_absent(history, found.event, periods, candidate, waiting, name in absent, zone))
            else:
                reasons.append(_present(history.item.uri, found.event, found.stale, zone))
    for history in histories.values():
        reasons += _aside(history, zone)
    return Explained(reasons, presence)


def _present(uri: str, event: Event, stale: bool, zone: tzinfo) -> Reason:
    text = f"loaded for {at(event.date, zone)}"
    if stale:
        return _reason(uri, State.STALE, f"{text}, which its freshness allows", event)
    return _reason(uri, State.PRESENT, text, event)


def _absent(
    history: History,
    event: Event | None,
    periods: Periods,
    candidate: Candidate,
    waiting: int,
    is_missing: bool,
    zone: tzinfo,
) -> Reason:
    """The reason for a dataset whose data is not there, or that brought nothing new."""
    uri, cron = history.item.uri, history.item.schedule
    if event is not None:
        return _reason(uri, State.MISSING, f"nothing new was loaded since {at(event.date, zone)}", event)
    fire = None if cron is None else periods.fire(candidate, cron, history.clock)
    since = None if fire is None else moment(fire)
    if fire is not None:
        text = f"nothing was loaded for {at(fire, zone)}"
    else:
        text = "nothing was loaded that still counts as fresh" if history.known else "nothing was loaded yet"
    if not is_missing:
        return Reason(uri, State.OPTIONAL, f"{text}; nothing waits for it", since)
    if waiting > 1:
        text += f"; {waiting} periods wait" if periods.unit else f"; {waiting} dates wait"
    return Reason(uri, State.MISSING, text, since)


def _aside(history: History, zone: tzinfo) -> Iterable[Reason]:
    """The events that do not count now: one reason for each kind, about the newest."""
    kinds = (
        (State.LATER, [history.known[place] for place in history.later], "; the next run counts it"),
        (State.BEHIND, [history.known[place] for place in history.behind], "; a run has had this date"),
        (State.FUTURE, history.future, ", which has not come yet"),
    )
    for state, events, text in kinds:
        event = newest(events)
        if event is not None:
            many = f" (and {len(events) - 1} more)" if len(events) > 1 else ""
            word = "dated in the future:" if state is State.FUTURE else "loaded for"
            yield _reason(history.item.uri, state, f"{word} {at(event.date, zone)}{many}{text}", event)


def _reason(uri: str, state: State, text: str, event: Event | None) -> Reason:
    return Reason(uri, state, text, None if event is None else event.date, None if event is None else event.id)
