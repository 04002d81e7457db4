"""Writes and reads the event of a dataset, which docs/reference/events.md describes.

An event uses the names of this project (``sl_data_interval_start``, ``sl_data_interval_end`` and ``sl_timezone``) and
those of starlake-orchestration (``sl_scheduled_date``, ``sl_cron``, ``sl_options`` ...), so that you can migrate
producers and consumers in any order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

from ..errors import RunError, ScheduleError, StarlakeError
from ..freshness import Event
from ..model.dataset import StarlakeDataset
from ..model.run import Attempt, DataInterval
from ..model.run_options import OPTIONS, POLICIES, Carried, overlay, read_policies, read_sections
from ..model.schedule import in_range, previous_fire

__all__ = [
    "INTERVAL_END",
    "INTERVAL_START",
    "event_metadata",
    "read_carried",
    "read_event",
    "read_interval",
    "read_moment",
    "written_event",
]

INTERVAL_START = "sl_data_interval_start"
INTERVAL_END = "sl_data_interval_end"
_SCHEDULED = ("sl_scheduled_date", "scheduled_date")
"""The names of the end of the interval in starlake-orchestration and its earlier versions."""
_CRON = "sl_cron"
_ZONE = "sl_timezone"
_OFFSET = re.compile(r"([+-]\d{2})(\d{2})$")


def event_metadata(
    dataset: StarlakeDataset,
    attempt: Attempt,
    source: str,
    policies: Mapping[str, Any] | None = None,
    relayed: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the metadata of the event of a dataset.

    Args:
        dataset: the dataset that was produced.
        attempt: the attempt that produced it.
        source: the pipeline.
        policies: the pipeline's policies for the names in ``sl_options``; see
            :func:`starlake_core.model.run_options.merge`.
        relayed: the sections of ``sl_options`` that the run received and passes on, if it does; they win.
    """
    made: dict[str, Any] = {
        **dataset.extra,
        "source": source,
        "sl_uri": dataset.uri,
        "sl_sink": dataset.sink,
        _CRON: dataset.cron,
        "sl_freshness": dataset.freshness,
        # Of a run without a schedule, the interval stays empty, because nothing says what it brought.
        INTERVAL_START: attempt.run.interval.start.astimezone(attempt.run.zone).isoformat(timespec="seconds"),
        INTERVAL_END: attempt.value(INTERVAL_END),
        "sl_scheduled_date": attempt.value("sl_scheduled_date"),
        "ts": attempt.value(INTERVAL_END),
        _ZONE: str(attempt.run.zone),
    }
    where = f"the event of {dataset.uri}"
    sections = overlay(read_sections(dataset.extra.get(OPTIONS), f"{OPTIONS} of {where}"), relayed or {})
    if sections:
        made[OPTIONS] = sections
        declared = overlay(policies or {}, read_policies(dataset.extra.get(POLICIES), f"{POLICIES} of {where}"))
        kept = {
            section: named
            for section, items in declared.items()
            if (named := {name: policy for name, policy in items.items() if name in sections.get(section, {})})
        }
        if kept:
            made[POLICIES] = kept
    return made


def read_interval(metadata: Mapping[str, Any]) -> DataInterval | None:
    """Return the data interval of the run that produced a dataset, from the metadata of its event; None if it has none.

    An event of starlake-orchestration has only the end, as the scheduled date; the start follows from its cron
    expression.

    Args:
        metadata: the metadata of the event.

    Raises:
        RunError: a date cannot be read.
    """
    if metadata.get(INTERVAL_END) is not None:
        end = read_moment(metadata[INTERVAL_END], INTERVAL_END, ours=True)
        start = metadata.get(INTERVAL_START)
        return DataInterval(end if start is None else read_moment(start, INTERVAL_START, ours=True), end)
    name = next((name for name in _SCHEDULED if metadata.get(name) not in (None, "")), None)
    if name is None:
        return None
    end = read_moment(metadata[name], name)
    try:
        cron = metadata.get(_CRON)
        start = previous_fire(cron, end, end.tzinfo) if cron and cron != "None" and end.tzinfo else end
    except (ScheduleError, AttributeError, TypeError):
        start = end  # a cron expression from another project
    return DataInterval(start, end)


def read_event(dataset: str, metadata: Mapping[str, Any], place: int, published: datetime) -> Event:
    """Read an event, in the format of this project or that of starlake-orchestration.

    A date that cannot be read counts as not given: anybody may emit events, and one of them must not stop a pipeline.

    Args:
        dataset: the URI of the dataset.
        metadata: the metadata of the event.
        place: its place in the order in which the host shows the events of the dataset.
        published: when it happened, aware.

    Raises:
        RunError: its run variables cannot be read.
    """
    carried = read_carried(dataset, metadata)
    scheduled, interval = None, None
    with suppress(StarlakeError):
        found = read_interval(metadata)
        if found is not None:
            in_range(found.start)
            in_range(found.end)
        interval = found
    with suppress(StarlakeError):
        name = next((name for name in _SCHEDULED if metadata.get(name) not in (None, "")), None)
        scheduled = None if name is None else in_range(read_moment(metadata[name], name))
    if interval is not None and interval.start.astimezone(timezone.utc) == interval.end.astimezone(timezone.utc):
        # A run without a schedule has an empty interval, which says when it was, and not what it brought.
        scheduled, interval = scheduled or interval.end, None
    return Event(
        dataset,
        place,
        published,
        scheduled,
        interval,
        str(metadata.get(_ZONE) or ""),
        carried.sections,
        carried.policies,
    )


def written_event(event: Event) -> dict[str, Any]:
    """Return the metadata of an event that somebody gives by hand; :func:`read_event` reads it.

    Args:
        event: the event.
    """
    made: dict[str, Any] = {"sl_uri": event.dataset}
    if event.scheduled is not None:
        made[_SCHEDULED[0]] = event.scheduled.isoformat()
    if event.interval is not None:
        made[INTERVAL_START], made[INTERVAL_END] = event.interval.start.isoformat(), event.interval.end.isoformat()
    optional = {_ZONE: event.zone, OPTIONS: event.variables, POLICIES: event.policies}
    return {**made, **{name: value for name, value in optional.items() if value}}


def read_carried(source: str, metadata: Mapping[str, Any], superseded: bool = False) -> Carried:
    """Return the substitution variables that an event brings for the run that it starts.

    Args:
        source: the dataset, for messages.
        metadata: the metadata of the event.
        superseded: whether a later event of the same dataset arrived.

    Raises:
        RunError: they cannot be read.
    """
    return Carried(
        source,
        read_sections(metadata.get(OPTIONS), f"{OPTIONS} of the event of {source}"),
        read_policies(metadata.get(POLICIES), f"{POLICIES} of the event of {source}"),
        superseded,
    )


def read_moment(value: Any, name: str, ours: bool = False) -> datetime:
    """Read a date and time: a ``datetime`` or a string in ISO 8601. Values of other projects may also be seconds since
    1970, or have no offset, which means UTC.

    Args:
        value: the value as written.
        name: the name of the value, for the message.
        ours: whether the name is defined by this project; then the value must have an offset.

    Raises:
        RunError: it is none of these.
    """
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and not ours:
            return datetime.fromtimestamp(value, timezone.utc)
        text = _OFFSET.sub(r"\1:\2", str(value).strip().replace("Z", "+00:00"))
        found = value if isinstance(value, datetime) else datetime.fromisoformat(text)
        found.astimezone(timezone.utc)
        if ours and found.tzinfo is None:
            raise ValueError
    except (ValueError, OverflowError, OSError):
        raise RunError(f"{name} is {value!r}; use a date with offset: 2026-01-31T00:00:00+01:00") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=timezone.utc)
