"""Finds the runs that orchestrators have recorded, and plans how to finish those that did not succeed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from ..dsl.pipeline import StarlakePipeline
from ..errors import RunError
from ..model.run import Report, TaskState
from ..orchestrators.requests import request_run
from ._running import PlannedRun

__all__ = ["find_recorded_runs", "plan_to_finish", "recorded_runs"]


def find_recorded_runs(pipelines: Sequence[StarlakePipeline], limit: int | None) -> list[Report] | None:
    """Return the recorded runs of pipelines, newest first.

    Args:
        pipelines: the pipelines.
        limit: the maximum number of runs of each orchestrator; all by default.

    Returns:
        The runs, or None if one of the orchestrators keeps no record.
    """
    reports: dict[str, Report] = {}
    # The pipelines of a project share a record, which may be long.
    places = {
        (id(pipeline.orchestration.plugins), id(pipeline.options), pipeline.source): pipeline for pipeline in pipelines
    }
    for pipeline in places.values():
        found = pipeline.orchestration.plugins.list_runs(pipeline.options, Path(pipeline.source or "."), limit)
        if found is None:
            return None
        reports.update((report.run_id, report) for report in found)
    ids = {pipeline.id for pipeline in pipelines}
    return [report for report in reports.values() if report.pipeline_id in ids]


def recorded_runs(pipelines: Sequence[StarlakePipeline], limit: int | None) -> list[Report]:
    """Return the recorded runs, for a command that needs a record.

    Args:
        pipelines: the pipelines.
        limit: the maximum number of runs of each orchestrator; all by default.

    Raises:
        RunError: an orchestrator keeps no record.
    """
    reports = find_recorded_runs(pipelines, limit)
    if reports is None:
        label = pipelines[0].orchestration.plugins.label("orchestrator")
        raise RunError(f"{label} keeps no record of runs that can be read from here; use its own user interface")
    return reports


def plan_to_finish(
    unfinished: Report,
    pipelines: Sequence[StarlakePipeline],
    reports: Sequence[Report],
    console: Console,
    *,
    variables: Mapping[str, str] | None = None,
    parallelism: int | None = None,
    retry_unsafe: str | None = None,
) -> list[PlannedRun]:
    """Plan how to finish the runs that were requested together with one that did not succeed.

    Args:
        unfinished: that run.
        pipelines: the pipelines of all these runs.
        reports: all recorded runs.
        console: shows which runs still have processes.
        variables, retry_unsafe: see :class:`Run`.
        parallelism: see :class:`RunRequest`.
    """
    by_id = {pipeline.id: pipeline for pipeline in pipelines}
    group = unfinished.group
    together = [r for r in reversed(reports) if (r.group == group if group else r.run_id == unfinished.run_id)]
    planned = []
    for report in together:
        if report.state == TaskState.RUNNING:
            console.print(f"run {report.run_id} still has processes; waiting until they are gone", highlight=False)
        pipeline = by_id[report.pipeline_id]
        assert report.interval is not None
        asked = request_run(
            pipeline,
            report.interval.end,
            run_id=report.run_id,
            variables=variables,
            parallelism=parallelism,
            group=group,
            retry_unsafe=retry_unsafe or "",
        )
        request = replace(asked, run=replace(asked.run, interval=report.interval), resume=True)
        planned.append(PlannedRun(pipeline, request, report if report.state == TaskState.SUCCEEDED else None))
    return planned
