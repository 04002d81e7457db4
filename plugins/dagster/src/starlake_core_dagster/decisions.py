"""Decides for runs of pipelines that datasets start, and writes the decision into the tags of the run.

The sensor decides before it requests a run. A run that somebody starts is decided in its first step, as of the time at
which it started: all its steps find the same, in whatever process they run.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from dagster import AssetKey

from starlake_core import DataInterval, RunError
from starlake_core.freshness import ByHand, Decision, Event, Kind, Previous, decide
from starlake_core.model.run_options import OPTIONS, POLICIES, read_sections
from starlake_core.orchestrators.events import INTERVAL_END, INTERVAL_START
from starlake_core.short_names import short_hash

from .watching import RECORD, Watch, active_run, is_whole, look, moment_of

__all__ = [
    "DECIDED",
    "REFUSED",
    "STARTED_BY",
    "asked_for",
    "by_hand",
    "clock",
    "decision_key",
    "judged",
    "settled_tags",
    "tags_of",
]

DECIDED = "starlake/decision"
"""Tag of a run that is decided: a key that is the same for the same data."""
STARTED_BY = "starlake/started_by"
"""Tag of a run that is decided: why it runs."""
REFUSED = "starlake/refused"
"""Tag of a run that must fail, with the reason."""
_BUSY = "starlake/not_beside"
"""Tag of a run that must fail, because another one was active when it started: its own id, since a repetition gets the tags of the first run."""

_MOST_SETTLED = 100
_settled: dict[tuple[str, str], Mapping[str, str]] = {}
_lock = threading.Lock()


def clock() -> datetime:
    """Now, in UTC."""
    return datetime.now(timezone.utc)


def decision_key(decision: Decision, events: Iterable[Event], previous: Previous | None) -> str:
    """A key that is the same whenever the same data leads to the same interval.

    Args:
        decision: a decision to run.
        events: what it was made from.
        previous: what the runs before left.
    """
    assert decision.interval is not None
    newest: dict[str, tuple[int, str]] = {}
    for event in events:
        place = event.id, event.published.isoformat()  # SQLite uses ids again after a wipe
        newest[event.dataset] = max(place, newest.get(event.dataset, place))
    ends = (decision.interval.start.isoformat(), decision.interval.end.isoformat())
    since = previous.end.isoformat() if previous is not None else ""
    return short_hash(*ends, since, *(f"{name}@{place[0]}@{place[1]}" for name, place in sorted(newest.items())))


def tags_of(decision: Decision, key: str, whole: bool = True) -> dict[str, str]:
    """The tags of a run.

    Args:
        decision: a decision to run.
        key: see :func:`decision_key`.
        whole: whether the run does all that its job does.
    """
    assert decision.interval is not None
    tags = {
        INTERVAL_START: decision.interval.start.isoformat(),
        INTERVAL_END: decision.interval.end.isoformat(),
        STARTED_BY: decision.why,
        DECIDED: key,
    }
    for name, value in ((OPTIONS, decision.variables), (POLICIES, decision.policies)):
        if value:
            tags[name] = json.dumps(value, sort_keys=True)
    if decision.after is not None and whole:
        tags[RECORD] = json.dumps(decision.after.to_json(), sort_keys=True)
    return tags


# -- runs that somebody starts


def asked_for(tags: Mapping[str, str]) -> ByHand:
    """What the tags of a run ask for.

    Args:
        tags: the tags that somebody gave it.

    Raises:
        RunError: a tag cannot be read.
    """
    variables = read_sections(tags.get(OPTIONS), f"the tag {OPTIONS} of the run")
    start, end = (_date(tags[name], name) if name in tags else None for name in (INTERVAL_START, INTERVAL_END))
    if end is None:
        if start is not None:
            raise RunError(f"the run has the tag {INTERVAL_START} but no tag {INTERVAL_END}; set both")
        return ByHand(variables=variables)
    if start is None:
        return ByHand(date=end, variables=variables)
    return ByHand(interval=DataInterval(start, end), variables=variables)


def _date(text: str, name: str) -> datetime:
    date = moment_of(text)
    if date is None:
        raise RunError(
            f"{text!r} is not a valid date for the tag {name} of the run; write it with an offset, such as 2026-01-31T00:00:00+01:00"
        )
    return date


def judged(
    instance: Any,
    watch: Watch,
    own: Collection[AssetKey],
    asked: ByHand | None,
    now: datetime,
    patient: bool = True,
) -> Decision:
    """The decision from what an instance has.

    Args:
        instance: the instance.
        watch: what the pipeline watches.
        own: the assets of the whole job.
        asked: what somebody asks for; None if datasets start the run.
        now: the time of the decision.
        patient: whether a replay waits until enough time has passed since the last run.
    """
    seen = look(instance, watch, own)
    policy = watch.policy if patient else replace(watch.policy, min_seconds=0)
    return decide(policy, seen.events, seen.previous, now, asked)


def by_hand(instance: Any, watch: Watch, own: Collection[AssetKey], asked: ByHand, now: datetime) -> Decision:
    """The decision for a run that somebody starts.

    Args:
        instance: the instance.
        watch: what the pipeline watches.
        own: the assets of the whole job.
        asked: what they ask for.
        now: when the run started.

    Raises:
        RunError: there is no interval, or variables contradict each other.
    """
    decision = judged(instance, watch, own, asked, now)
    if decision.kind is not Kind.RUN:
        advice = f"start it with the tags {INTERVAL_START} and {INTERVAL_END}, or on the command line with --date"
        raise RunError(f"{decision.error or decision.why}: {advice}")
    if decision.error:
        raise RunError(decision.error)
    return decision


def settled_tags(instance: Any, watch: Watch, own: Collection[AssetKey], run: Any) -> Mapping[str, str]:
    """The tags of a run with its interval and its variables, which are decided if nobody has decided yet.

    Args:
        instance: the instance.
        watch: what the pipeline watches.
        own: the assets of the whole job.
        run: the run.

    Raises:
        RunError: the run must fail.
    """
    place = run.run_id, watch.job
    if DECIDED not in run.tags:
        with _lock:
            if place not in _settled:
                while len(_settled) >= _MOST_SETTLED:
                    del _settled[next(iter(_settled))]
                _settled[place] = _settle(instance, watch, own, run)
            return _settled[place]
    if REFUSED in run.tags:
        raise RunError(run.tags[REFUSED])
    return dict(run.tags)


def _settle(instance: Any, watch: Watch, own: Collection[AssetKey], run: Any) -> Mapping[str, str]:
    ours = run.job_name == watch.job
    for run_id in dict.fromkeys((run.run_id, run.root_run_id or run.run_id)):
        # Another process may have decided, and a run that is executed again has the interval of the first one.
        found = instance.get_run_by_id(run_id)
        if ours and found is not None and DECIDED in found.tags:
            return {**run.tags, **found.tags}
    asked = asked_for(run.tags)
    if ours and asked.interval is None:
        _refuse_beside(instance, watch.job, run)
    record = instance.get_run_record_by_id(run.root_run_id or run.run_id) or instance.get_run_record_by_id(run.run_id)
    now = clock()
    if record is not None:
        began = record.start_time
        now = record.create_timestamp if began is None else datetime.fromtimestamp(began, timezone.utc)
    decision = by_hand(instance, watch, own, asked, now.astimezone(timezone.utc))
    made = tags_of(decision, "by hand", whole=ours and is_whole(run, own))
    if ours:  # another job may run several pipelines, each with its own interval
        instance.add_run_tags(run.run_id, made)
    return {**run.tags, **made}


def _refuse_beside(instance: Any, job: str, run: Any) -> None:
    """Refuse a run that starts while another one is active: both would process the same data.

    Raises:
        RunError: there is another one, or was when the first step of this run asked.
    """
    found = instance.get_run_by_id(run.run_id)
    refused = found is not None and found.tags.get(_BUSY) == run.run_id
    other = None if refused else active_run(instance, job, run.run_id)
    if not refused and other is None:
        return
    if not refused:
        instance.add_run_tags(run.run_id, {_BUSY: run.run_id})
    which = "another run" if other is None else f"run {other.run_id}"
    raise RunError(
        f"{which} of {job} is active, and both would process the same data. Execute this run again when that one has ended, or start it for "
        f"an interval of its own, with the tags {INTERVAL_START} and {INTERVAL_END}"
    )
