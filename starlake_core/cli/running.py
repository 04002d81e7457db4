"""Running several pipelines that were asked for together, in the order in which they feed each other."""

from __future__ import annotations

import logging
import secrets
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from ..dataset import StarlakeDataset
from ..freshness import Event, decide
from ..pipeline import StarlakePipeline
from ..run import Report, RunRequest, TaskState
from .progress import Progress, summary

logger = logging.getLogger(__name__)

__all__ = ["Planned", "new_group", "run_all", "sort_pipelines"]


@dataclass(frozen=True)
class Planned:
    """A run that was asked for.

    Attributes:
        pipeline: what runs.
        request: how it is to be run.
        done: how it ended, where it ended earlier.
    """

    pipeline: StarlakePipeline
    request: RunRequest
    done: Report | None = None


def new_group() -> str:
    """A name for runs that are asked for together."""
    return secrets.token_hex(4)


def sort_pipelines(pipelines: Sequence[StarlakePipeline]) -> list[StarlakePipeline]:
    """Pipelines in an order in which each runs after those whose datasets start it; otherwise as given."""
    producers: dict[str, list[int]] = {}
    for index, pipeline in enumerate(pipelines):
        for dataset in pipeline.outlets:
            producers.setdefault(dataset.identity, []).append(index)
    before = [
        {p for dataset in _triggers(pipeline) for p in producers.get(dataset.identity, ()) if p != index}
        for index, pipeline in enumerate(pipelines)
    ]
    order: list[int] = []
    todo = deque(range(len(pipelines)))
    postponed = 0
    while todo:
        index = todo.popleft()
        # Pipelines that start each other in a circle run as given.
        if before[index] - set(order) and postponed <= len(todo):
            todo.append(index)
            postponed += 1
            continue
        order.append(index)
        postponed = 0
    return [pipelines[index] for index in order]


def _triggers(pipeline: StarlakePipeline) -> tuple[StarlakeDataset, ...]:
    return pipeline.trigger.datasets if pipeline.trigger is not None else ()


def _emitted(pipeline: StarlakePipeline, report: Report) -> set[str]:
    succeeded = {task.id for task in report.tasks if task.state == TaskState.SUCCEEDED}
    return {dataset.identity for task in pipeline.tasks() if task.path in succeeded for dataset in task.outlets}


def _with_events(planned: Planned, reports: Mapping[str, tuple[StarlakePipeline, Report]]) -> RunRequest | str:
    """The run with what its upstream pipelines gave it; a text says why it must not start."""
    pipeline, request = planned.pipeline, planned.request
    wanted = {dataset.identity: dataset for dataset in _triggers(pipeline)}
    feeding = {
        name: (other, report)
        for name, (other, report) in reports.items()
        if any(dataset.identity in wanted for dataset in other.outlets)
    }
    if not feeding:
        return request
    for name, (_, report) in feeding.items():
        if not report.succeeded:
            return f"not started, because {name} {'was stopped' if report.state == TaskState.CANCELLED else 'failed'}"
    now = datetime.now(timezone.utc).replace(microsecond=0)
    events = []
    for other, report in feeding.values():
        for identity in sorted(_emitted(other, report) & set(wanted)):
            events.append(Event(wanted[identity].uri, report.interval, now))
    produced = {identity for other, _ in feeding.values() for identity in (d.identity for d in other.outlets)}
    missing = sorted(
        wanted[identity].uri
        for identity in set(wanted) & produced
        if not any(event.dataset == wanted[identity].uri for event in events)
    )
    assert pipeline.trigger is not None
    if missing and (pipeline.trigger.policy == "all" or not events):
        which = "all" if pipeline.trigger.policy == "all" else "any"
        return replace(
            request,
            skip=f"{pipeline.id} starts on {which} of its datasets, and nothing new came for {', '.join(missing)}",
        )
    interval = decide(pipeline.policy, events, now).interval
    return replace(request, run=replace(request.run, interval=interval))


def run_all(planned: Sequence[Planned], progress: Progress, keep_going: bool = True) -> list[Report]:
    """Run one pipeline after the other; one whose upstream pipelines brought nothing new is skipped with that reason.

    Args:
        planned: in the order to run.
        progress: told of everything.
        keep_going: whether to go on after a run that did not succeed.

    Returns:
        A report for each, in order, up to the one that the user stopped.
    """
    ended: dict[str, tuple[StarlakePipeline, Report]] = {}
    reports: list[Report] = []
    for item in planned:
        if item.done is not None:
            report = item.done
        else:
            request = _with_events(item, ended)
            if isinstance(request, str):
                report = Report(item.pipeline.id, item.request.run.run_id, TaskState.PLANNED, reason=request)
                _shown(lambda item=item, why=request: progress.note(f"{item.pipeline.id}: {why}"))  # type: ignore[misc]
            else:
                report = _run_one(item.pipeline, replace(request, listener=progress), progress)
        reports.append(report)
        ended[item.pipeline.id] = (item.pipeline, report)
        if report.state == TaskState.CANCELLED or not (keep_going or report.succeeded):
            break
    return reports


def _run_one(pipeline: StarlakePipeline, request: RunRequest, progress: Progress) -> Report:
    _shown(lambda: progress.begin(pipeline, request.run))
    report = Report(pipeline.id, request.run.run_id, TaskState.FAILED, reason="it did not come to its end")
    try:
        report = pipeline.start_run(request)
    finally:
        _shown(lambda: progress.end(report))
    _shown(lambda: summary(progress.console, report))
    return report


def _shown(show: Callable[[], object]) -> None:
    """Show something; what goes wrong with that is no trouble of the run."""
    try:
        show()
    except (Exception, SystemExit) as error:
        logger.warning("the progress cannot be shown: %s: %s", type(error).__name__, error)
