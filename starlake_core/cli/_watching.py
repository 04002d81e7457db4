"""A small scheduler: runs pipelines at their times and when their data is there, one after the other.

It keeps nothing itself. What has run is in the record of the orchestrator, so it continues after a kill where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from ..dsl.pipeline import StarlakePipeline
from ..errors import RunError, StarlakeError
from ..freshness import Kind
from ..model.run import Report, RunRequest, TaskState
from ..model.schedule import data_interval, fire_times, next_fire
from ..orchestrators.requests import request_run
from ._deciding import preview
from ._progress import Progress
from ._recorded_runs import find_recorded_runs
from ._running import PlannedRun, run_all

__all__ = ["Watch", "seconds_to_wait"]

_UNFINISHED = (TaskState.INTERRUPTED, TaskState.CANCELLED, TaskState.RUNNING)
"""What is finished first. A run that is still recorded as running may have just been killed; to finish it waits for its
processes."""
_UTC = timezone.utc


class Watch:
    """Watches pipelines.

    Args:
        pipelines: the pipelines, each after those that feed it.
        progress: receives all events.
        request: creates the request for a run: a function of a pipeline and a scheduled date.

    Raises:
        RunError: the orchestrator of a pipeline keeps no record that can be read from here, or pipelines start each
            other.
    """

    def __init__(
        self,
        pipelines: Sequence[StarlakePipeline],
        progress: Progress,
        request: Callable[[StarlakePipeline, datetime | None], RunRequest] = request_run,
    ) -> None:
        self._pipelines = pipelines
        self._progress = progress
        self._request = request
        self._failed: dict[str, object] = {}
        self._last: dict[str, Report] = {}
        self._noted: dict[str, str] = {}
        _refuse_circles(pipelines)
        reports = find_recorded_runs(pipelines, None)
        if reports is None:
            label = pipelines[0].orchestration.plugins.label("orchestrator")
            raise RunError(f"{label} has a scheduler of its own, and does not need to be watched from here")
        for report in reversed(reports):
            self._last[report.pipeline_id] = report
        self._ends: dict[str, datetime] = {}
        for report in reports:
            if report.interval is not None and report.state != TaskState.PLANNED:
                end = report.interval.end.astimezone(_UTC)
                self._ends[report.pipeline_id] = max(end, self._ends.get(report.pipeline_id, end))

    def step(self, now: datetime) -> list[Report]:
        """Run everything that is due.

        Args:
            now: the time, aware.

        Returns:
            A report for each run, up to one that the user stopped.
        """
        reports: list[Report] = []
        for pipeline in self._pipelines:
            for request in self._due(pipeline, now.astimezone(_UTC)):
                reports += self._run(pipeline, request)
                if reports and reports[-1].state == TaskState.CANCELLED:
                    return reports
        return reports

    def next_time(self, now: datetime) -> datetime | None:
        """The next time at which a schedule fires; None if no pipeline has one.

        Args:
            now: the time, aware.
        """
        known = [(one.cron, one.zone, one.fires) for one in self._pipelines if one.cron is not None]
        return min((next_fire(cron, now, zone, fires).astimezone(_UTC) for cron, zone, fires in known), default=None)

    def _due(self, pipeline: StarlakePipeline, now: datetime) -> list[RunRequest]:
        last = self._last.pop(pipeline.id, None)
        resumed = []
        if last is not None and last.state in _UNFINISHED:
            resumed = [replace(self._request(pipeline, None), resume=True)]
            resumed = [replace(one, run=replace(one.run, run_id=last.run_id)) for one in resumed]
        if pipeline.cron is not None:
            return [*resumed, *(self._request(pipeline, fire) for fire in self._fires(pipeline, pipeline.cron, now))]
        if pipeline.trigger is not None and not resumed:
            return self._triggered(pipeline)
        return resumed

    def _fires(self, pipeline: StarlakePipeline, cron: str, now: datetime) -> list[datetime]:
        """The scheduled dates that have not run: the last one, or with ``catchup`` all of them."""
        done = self._ends.get(pipeline.id)
        last = data_interval(cron, now, pipeline.zone, pipeline.fires).end
        if pipeline.catchup:
            after = done or pipeline.start_date
            found = list(fire_times(cron, after + timedelta(microseconds=1), now, pipeline.zone, pipeline.fires))
        else:
            found = [last]
        fires = []
        for fire in found:
            at = fire.astimezone(_UTC)
            starts = data_interval(cron, fire, pipeline.zone, pipeline.fires).start.astimezone(_UTC)
            early = starts < pipeline.start_date
            if (done is None or at > done) and not early and (pipeline.end_date is None or at <= pipeline.end_date):
                fires.append(fire)
        if fires:
            self._ends[pipeline.id] = fires[-1].astimezone(_UTC)
        return fires

    def _triggered(self, pipeline: StarlakePipeline) -> list[RunRequest]:
        decision = preview(pipeline, triggered=True)
        if decision is None or decision.kind is not Kind.RUN:
            return []
        if decision.error:
            self._note(pipeline, decision.error)
            return []
        seen: object = None if decision.after is None else dict(decision.after.seen)
        if self._failed.get(pipeline.id) == seen:
            return []  # it failed for this data; a person must look at it
        self._failed[pipeline.id] = seen
        return [replace(self._request(pipeline, None), triggered=True, patient=True)]

    def _run(self, pipeline: StarlakePipeline, request: RunRequest) -> list[Report]:
        try:
            return run_all([PlannedRun(pipeline, request)], self._progress)
        except StarlakeError as error:
            self._note(pipeline, str(error))
            return []

    def _note(self, pipeline: StarlakePipeline, text: str) -> None:
        """Show why a pipeline does not run, once."""
        if self._noted.get(pipeline.id) != text:
            self._noted[pipeline.id] = text
            self._progress.note(f"{pipeline.id}: {text}")


def _refuse_circles(pipelines: Sequence[StarlakePipeline]) -> None:
    """Refuse pipelines that start each other, because each run of one would start the others again, for ever."""
    producers: dict[str, list[str]] = {}
    for pipeline in pipelines:
        for dataset in pipeline.outlets:
            producers.setdefault(dataset.identity, []).append(pipeline.id)
    before: dict[str, Mapping[str, str]] = {}
    for pipeline in pipelines:
        datasets = pipeline.trigger.datasets if pipeline.trigger is not None else ()
        before[pipeline.id] = {name: one.uri for one in datasets for name in producers.get(one.identity, ())}
    try:
        list(TopologicalSorter(before).static_order())
    except CycleError as error:
        circle = error.args[1]
        parts = [f"{name} starts {after} ({before[after][name]})" for name, after in pairwise(circle)]
        raise RunError(
            f"these pipelines would start each other for ever: {', '.join(parts)}. Give one of them a schedule, or take one of the datasets out of "
            "what starts it"
        ) from None


def seconds_to_wait(now: datetime, fire: datetime | None, poll: float) -> float:
    """Return how long to wait before the next step.

    Args:
        now: the time, aware.
        fire: the next time at which a schedule fires.
        poll: the longest time.
    """
    if fire is None:
        return poll
    return min(poll, max((fire.astimezone(_UTC) - now.astimezone(_UTC)).total_seconds(), 0.0))
