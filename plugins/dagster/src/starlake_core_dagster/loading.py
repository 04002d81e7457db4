"""What Dagster loads: the assets, jobs, schedules and sensors of pipelines."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from dagster import AssetKey, Definitions

from starlake_core import PipelineFileError, StarlakePipeline

from .rendering import DagsterPipeline
from .starting import schedule_of, sensor_of
from .tearing_down import tear_down_of

__all__ = ["definitions", "merged", "resolved_job", "shared_assets"]

logger = logging.getLogger(__name__)

Source = str | PathLike[str] | StarlakePipeline | DagsterPipeline


def definitions(source: Source | Iterable[Source], *, environment: str | None = None, **options: Any) -> Definitions:
    """Make Dagster's definitions: ``defs = definitions("pipelines")``.

    Args:
        source: pipelines, or files and folders with pipeline files; one or several.
        environment: for pipeline files that name none.
        **options: options that win over those in the files.

    Raises:
        PipelineFileError: with every problem of every file.
    """
    sources = [source] if isinstance(source, (str, PathLike, StarlakePipeline, DagsterPipeline)) else list(source)
    found: list[DagsterPipeline] = []
    files: list[Path] = []
    for item in sources:
        if isinstance(item, DagsterPipeline):
            found.append(item)
        elif isinstance(item, StarlakePipeline):
            found.append(_native(item))
        else:
            files.append(Path(item))
    if files:
        from starlake_core.loading import load_files, pipelines_of
        from starlake_core.orchestration import Overrides

        loaded = load_files(files, Overrides("dagster", environment, options))
        found.extend(_native(pipeline) for pipeline in pipelines_of(loaded))
    return merged(found)


def _native(pipeline: StarlakePipeline) -> DagsterPipeline:
    if not isinstance(pipeline.native, DagsterPipeline):
        raise PipelineFileError(
            f"pipeline {pipeline.id} was not drawn for Dagster, or its 'with' block has not ended; draw it with "
            "Orchestration(orchestrator='dagster')"
        )
    return pipeline.native


def merged(pipelines: Sequence[DagsterPipeline]) -> Definitions:
    """The definitions of pipelines. An asset that several of them produce is defined by the first; the others record what they did.

    Args:
        pipelines: rendered.
    """
    assets, jobs, schedules, sensors = [], [], [], []
    known: dict[AssetKey, str] = {}
    for pipeline in pipelines:
        elsewhere = {key for key in pipeline.keys if key in known}
        made = pipeline.assets(elsewhere)
        if made is not None:
            assets.append(made)
        known.update((key, pipeline.pipeline.id) for key in pipeline.keys if key not in known)
        job = pipeline.job(elsewhere)
        jobs.append(job)
        schedule = schedule_of(pipeline, job)
        if schedule is not None:
            schedules.append(schedule)
        sensor = sensor_of(pipeline, job)
        if sensor is not None:
            sensors.append(sensor)
        tear_down = tear_down_of(pipeline)
        if tear_down is not None:
            jobs.append(tear_down[0])
            sensors.append(tear_down[1])
    return Definitions(assets=assets, jobs=jobs, schedules=schedules, sensors=sensors)


def shared_assets(pipelines: Iterable[DagsterPipeline]) -> list[str]:
    """A sentence for every asset that several pipelines produce."""
    known: dict[AssetKey, str] = {}
    found = []
    for pipeline in pipelines:
        for key in pipeline.keys:
            owner = known.setdefault(key, pipeline.pipeline.id)
            if owner != pipeline.pipeline.id:
                found.append(
                    f"the asset {key.to_user_string()} of pipeline {pipeline.pipeline.id} is defined by pipeline {owner} already: in Dagster "
                    "it belongs to the first, and the other one records its materialisations"
                )
    return found


def resolved_job(pipeline: DagsterPipeline) -> Any:
    """The definition of the job of one pipeline."""
    made = pipeline.assets()
    defs = Definitions(assets=[made] if made is not None else [], jobs=[pipeline.job()])
    resolve = getattr(defs, "resolve_job_def", None) or defs.get_job_def
    return resolve(pipeline.name)
