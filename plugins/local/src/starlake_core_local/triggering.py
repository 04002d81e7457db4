"""Data-aware scheduling from the record of this orchestrator: which events there are, and what is decided for a run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from starlake_core import Pipeline, Report, RunError, RunRequest, TaskState
from starlake_core.freshness import (
    ByHand,
    Decision,
    Event,
    FreshnessPolicy,
    Kind,
    Recorded,
    decide,
    history_since,
)
from starlake_core.model.run_options import overlay
from starlake_core.orchestrators.events import event_metadata, read_event, written_event

from .store import EventRow, Store

__all__ = ["Refusal", "clock", "decided", "emitted", "given_rows", "read_recorded", "recalled"]


_EARLY = timedelta(days=1)
"""How long before its date an event may be published."""


class Refusal(RunError):
    """A run must fail, because of the run variables that its events bring."""


def clock() -> datetime:
    """Now, in UTC."""
    return datetime.now(timezone.utc)


def read_recorded(store: Store, pipeline: Pipeline, policy: FreshnessPolicy) -> Recorded:
    """Return the events that matter for a pipeline, and its last run.

    Args:
        store: the record.
        pipeline: the pipeline.
        policy: what it asks of its datasets.
    """
    previous = store.previous(pipeline.id)
    seen = previous.seen if previous is not None else {}
    events: list[Event] = []
    for name, since in history_since(policy, previous).items():
        limit = None if since is None else (since - _EARLY).astimezone(timezone.utc).isoformat()
        for place, published, metadata in store.events(name, seen.get(name, -1), limit):
            events.append(read_event(name, json.loads(metadata), place, datetime.fromisoformat(published)))
    return Recorded(tuple(events), previous)


def decided(store: Store, pipeline: Pipeline, request: RunRequest) -> RunRequest:
    """Decide about a run that is about to start, and record what it leaves when it succeeds.

    Args:
        store: the record.
        pipeline: the pipeline, which datasets start.
        request: the request for the run.

    Returns:
        The request with the interval and the variables of the run, or with the reason why it must not run.

    Raises:
        Refusal: run variables contradict each other.
    """
    policy = FreshnessPolicy.of(pipeline)
    if not request.patient:
        policy = replace(policy, min_seconds=0)
    recorded = read_recorded(store, pipeline, policy)
    run = request.run
    by_hand = None if request.triggered else ByHand(request.date, variables=run.options)
    decision = decide(policy, recorded.events, recorded.previous, clock(), by_hand)
    if decision.kind is not Kind.RUN:
        # A run by hand keeps the interval of its request if nothing else is known.
        return replace(request, skip=_reason(decision)) if request.triggered else request
    if decision.error:
        raise Refusal(decision.error)
    assert decision.interval is not None
    assert decision.after is not None
    variables = overlay(decision.variables, run.options)
    if not (request.select or request.exclude):
        store.decided(run.run_id, pipeline.id, json.dumps(variables), decision.after)
    zone = run.zone
    interval = replace(
        decision.interval,
        start=decision.interval.start.astimezone(zone),
        end=decision.interval.end.astimezone(zone),
    )
    return replace(request, run=replace(run, interval=interval, options=variables))


def _reason(decision: Decision) -> str:
    return f"{'waiting' if decision.kind is Kind.WAIT else 'nothing to do'}: {decision.why}"


def recalled(store: Store, request: RunRequest) -> RunRequest:
    """Return the request to resume a run, with the run variables that were decided when it started.

    Args:
        store: the record.
        request: the request to resume the run.
    """
    found = store.variables_of(request.run.run_id)
    if not found:
        return request
    return replace(request, run=replace(request.run, options=overlay(json.loads(found), request.run.options)))


def emitted(pipeline: Pipeline, request: RunRequest, report: Report) -> list[EventRow]:
    """Return the events of the tasks of a run that succeeded.

    Args:
        pipeline: the pipeline.
        request: the request for the run.
        report: how its tasks ended.
    """
    done = {task.id for task in report.tasks if task.state == TaskState.SUCCEEDED}
    published = clock().isoformat()
    run = request.run
    return [
        EventRow(
            dataset.identity,
            published,
            run.run_id,
            task.path,
            json.dumps(
                event_metadata(dataset, run.attempt(task.path), pipeline.id, pipeline.policy.merge),
                default=str,
            ),
        )
        for task in pipeline.tasks()
        if task.path in done
        for dataset in task.outlets
    ]


def given_rows(events: Iterable[Event], group: str) -> Sequence[EventRow]:
    """Return events that the user gives by hand, as they are recorded.

    Args:
        events: the events, in any order.
        group: a name for these events.
    """
    return [
        EventRow(
            event.dataset.casefold(),
            event.published.isoformat(),
            f"by hand {group}",
            str(number),
            json.dumps(written_event(event), default=str),
        )
        for number, event in enumerate(sorted(events, key=lambda event: event.id))
    ]
