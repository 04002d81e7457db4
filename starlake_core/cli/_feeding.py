"""Orders pipelines by the datasets that they feed to each other, and passes events on to the pipelines that they
start."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone

from ..dsl.pipeline import StarlakePipeline
from ..model.dataset import StarlakeDataset
from ..model.run import DataInterval, Report, RunRequest, TaskState
from ._deciding import expected

__all__ = ["fed_request", "sort_pipelines"]


def sort_pipelines(pipelines: Sequence[StarlakePipeline]) -> list[StarlakePipeline]:
    """Sort pipelines so that each runs after those whose datasets start it or are read by its tasks. Otherwise keep the given order."""
    producers: dict[str, list[int]] = {}
    for index, pipeline in enumerate(pipelines):
        for dataset in pipeline.outlets:
            producers.setdefault(dataset.identity, []).append(index)
    before = [
        {p for dataset in _read(pipeline) for p in producers.get(dataset.identity, ()) if p != index}
        for index, pipeline in enumerate(pipelines)
    ]
    order: list[int] = []
    todo = deque(range(len(pipelines)))
    postponed = 0
    while todo:
        index = todo.popleft()
        # Pipelines that start each other in a circle keep the given order.
        if before[index] - set(order) and postponed <= len(todo):
            todo.append(index)
            postponed += 1
            continue
        order.append(index)
        postponed = 0
    return [pipelines[index] for index in order]


def fed_request(
    pipeline: StarlakePipeline,
    request: RunRequest,
    ended: Mapping[str, tuple[StarlakePipeline, Report]],
    note: Callable[[str], None],
) -> RunRequest | str:
    """Return the request for a run, with the events of its upstream pipelines.

    Args:
        pipeline: the pipeline to run.
        request: the request for its run.
        ended: the runs before it, by the ids of their pipelines.
        note: receives what the user should know before it starts.

    Returns:
        The request, or a string that says why the run must not start.
    """
    wanted = {dataset.identity: dataset for dataset in _triggers(pipeline)}
    feeding = {
        name: (other, report)
        for name, (other, report) in ended.items()
        if any(dataset.identity in wanted for dataset in other.outlets)
    }
    if not feeding:
        return request if request.resume else expected(pipeline, request, note)
    for name, (_, report) in feeding.items():
        if not report.succeeded:
            return f"not started, because {name} {'was stopped' if report.state == TaskState.CANCELLED else 'failed'}"
    if pipeline.orchestration.plugins.read_recorded(pipeline) is not None:
        # The orchestrator decides when it starts. Somebody waits for the answer, so a replay does not wait.
        return expected(pipeline, replace(request, triggered=True, patient=False), note)
    now = datetime.now(timezone.utc).replace(microsecond=0)
    brought = {name: _emitted(other, report) & set(wanted) for name, (other, report) in feeding.items()}
    new = set().union(*brought.values())
    produced = {identity for other, _ in feeding.values() for identity in (d.identity for d in other.outlets)}
    missing = sorted(wanted[identity].uri for identity in (set(wanted) & produced) - new)
    assert pipeline.trigger is not None
    if missing and (pipeline.trigger.policy == "all" or not new):
        which = "all" if pipeline.trigger.policy == "all" else "any"
        return replace(
            request,
            skip=f"{pipeline.id} starts on {which} of its datasets, and nothing new arrived for {', '.join(missing)}",
        )
    # This orchestrator keeps no record to decide from, so the interval spans those of the runs that brought something.
    intervals = [feeding[name][1].interval or DataInterval(now, now) for name, found in brought.items() if found]
    if not intervals:
        return request
    interval = DataInterval(min(one.start for one in intervals), max(one.end for one in intervals))
    return replace(request, run=replace(request.run, interval=interval))


def _triggers(pipeline: StarlakePipeline) -> tuple[StarlakeDataset, ...]:
    return pipeline.trigger.datasets if pipeline.trigger is not None else ()


def _read(pipeline: StarlakePipeline) -> tuple[StarlakeDataset, ...]:
    return (*_triggers(pipeline), *(dataset for task in pipeline.tasks() for dataset in task.inlets))


def _emitted(pipeline: StarlakePipeline, report: Report) -> set[str]:
    succeeded = {task.id for task in report.tasks if task.state == TaskState.SUCCEEDED}
    return {dataset.identity for task in pipeline.tasks() if task.path in succeeded for dataset in task.outlets}
