"""What the rules of data-aware scheduling say about a run, before the orchestrator decides when it starts it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone

from ..dsl.pipeline import StarlakePipeline
from ..freshness import ByHand, Decision, FreshnessPolicy, State, decide
from ..model.run import RunRequest

__all__ = ["expected", "preview"]


def preview(
    pipeline: StarlakePipeline, *, triggered: bool, patient: bool = True, date: datetime | None = None
) -> Decision | None:
    """Return what would be decided now from what the orchestrator has recorded; None if it cannot be read from here.

    Args:
        pipeline: the pipeline.
        triggered: whether datasets start the run; otherwise somebody asks for it.
        patient: whether a replay waits until enough time has passed since the last run.
        date: the date asked for.
    """
    if pipeline.trigger is None:
        return None
    recorded = pipeline.orchestration.plugins.read_recorded(pipeline)
    if recorded is None:
        return None
    policy = FreshnessPolicy.of(pipeline)
    if not patient:
        policy = replace(policy, min_seconds=0)
    by_hand = None if triggered else ByHand(date)
    return decide(policy, recorded.events, recorded.previous, datetime.now(timezone.utc), by_hand)


_NAMED = 5
"""How many datasets a note names."""


def expected(pipeline: StarlakePipeline, request: RunRequest, note: Callable[[str], None]) -> RunRequest:
    """Return the request for a run with the interval that it will have, if that can be told.

    Args:
        pipeline: the pipeline.
        request: the request.
        note: receives a sentence if somebody asks for the run and its data is not complete.
    """
    decision = preview(pipeline, triggered=request.triggered, patient=request.patient, date=request.date)
    if decision is None or decision.interval is None:
        return request
    missing = [f"{one.dataset}: {one.text}" for one in decision.reasons if one.state is State.MISSING]
    if missing and not request.triggered:
        more = f"; and {len(missing) - _NAMED} more datasets" if len(missing) > _NAMED else ""
        note(
            f"{pipeline.id}: it runs because you ask for it, without some of its data: {'; '.join(missing[:_NAMED])}{more}"
        )
    interval = replace(
        decision.interval,
        start=decision.interval.start.astimezone(pipeline.zone),
        end=decision.interval.end.astimezone(pipeline.zone),
    )
    return replace(request, run=replace(request.run, interval=interval))
