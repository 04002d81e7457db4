"""The command that explains whether a pipeline that datasets start would run."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click

from ..dsl.pipeline import StarlakePipeline
from ..errors import NothingFoundError, RunError
from ..freshness import Decision, FreshnessPolicy, Kind, Recorded, decide
from ..model.schedule import aware_date
from ._command import command
from ._event_file import read_events
from ._json import emit, masked
from ._parameters import json_format, read_date
from ._selection import PipelineFiles, pipeline_files

__all__ = ["explain"]

_CODES = {Kind.RUN: 0, Kind.WAIT: 3, Kind.SKIP: 4}
_CONFLICT = 5


@command
@pipeline_files
@click.option(
    "--at", "moment", callback=read_date, metavar="DATE", help="Decide as if it were this time; now by default."
)
@click.option(
    "--events",
    "events_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Decide from the events in a JSON file (docs/reference/events.md) instead of the recorded ones.",
)
@json_format
def explain(files: PipelineFiles, moment: datetime | None, events_file: Path | None, output_format: str) -> None:
    """Explain whether pipelines that datasets start would run now, for which interval, and what they wait for.

    Exit codes: 0 run, 3 wait, 4 nothing to do, 5 run variables contradict each other or cannot be read; of several
    pipelines, the greatest.
    """
    pipelines = [pipeline for pipeline in files.load() if pipeline.trigger is not None]
    if not pipelines:
        raise NothingFoundError("no pipeline in these files is started by datasets, so there is nothing to explain")
    now = datetime.now(timezone.utc)
    given = None if events_file is None else read_events(events_file, pipelines, _at(pipelines[0], moment, now))
    decisions = [(pipeline, _decision(pipeline, _at(pipeline, moment, now), given)) for pipeline in pipelines]
    if output_format == "json":
        emit(
            "explain",
            {"pipelines": [{"pipeline": pipeline.id, **_data(decision)} for pipeline, decision in decisions]},
        )
    else:
        for pipeline, decision in decisions:
            click.echo(f"{pipeline.id}: {masked(decision.describe())}")
    sys.exit(max(_CONFLICT if decision.error else _CODES[decision.kind] for _, decision in decisions))


def _at(pipeline: StarlakePipeline, moment: datetime | None, now: datetime) -> datetime:
    return now if moment is None else aware_date(moment, pipeline.zone)


def _decision(pipeline: StarlakePipeline, now: datetime, given: Recorded | None) -> Decision:
    plugins = pipeline.orchestration.plugins
    recorded = given or plugins.read_recorded(pipeline) or plugins.read_server(pipeline)
    if recorded is None:
        raise RunError(
            f"{plugins.label('orchestrator')} does not tell from here which events it has; set the address of its server "
            "(starlake-orchestrate options), or give events with --events FILE"
        )
    decision = decide(FreshnessPolicy.of(pipeline), recorded.events, recorded.previous, now)
    if recorded.problem and decision.kind is Kind.RUN and not decision.error:
        decision = replace(decision, error=recorded.problem, after=None)
    return decision


def _data(decision: Decision) -> dict[str, Any]:
    data = decision.to_json()
    for item in (data, *data["reasons"]):
        item.update({name: masked(item[name]) for name in ("why", "error", "text") if name in item})
    return data
