"""The hooks of the orchestrator ``dagster``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from starlake_core import (
    CreateChildren,
    Fires,
    OptionGroup,
    Options,
    Pipeline,
    Report,
    RunRequest,
    Task,
    TaskGroup,
    hookimpl,
)
from starlake_core.freshness import Recorded

from .context import fires
from .keywords import JOB_KEYWORDS, TASK_KEYWORDS, explain_keyword
from .options import DagsterOptions
from .pipeline import DagsterPipeline
from .rendering import Members, make_group, make_pipeline, make_task


@hookimpl
def sl_options() -> Sequence[type[OptionGroup]]:
    return [DagsterOptions]


@hookimpl
def sl_task_keywords() -> Sequence[str]:
    return TASK_KEYWORDS


@hookimpl
def sl_pipeline_keywords() -> Sequence[str]:
    return JOB_KEYWORDS


@hookimpl
def sl_explain_keyword(keyword: str) -> str | None:
    return explain_keyword(keyword)


@hookimpl
def sl_fires() -> Fires:
    return fires


@hookimpl
def sl_create_task(task: Task) -> Any:
    return make_task(task)


@hookimpl
def sl_create_task_group(group: TaskGroup, create_children: CreateChildren) -> Members:
    return make_group(group, create_children)


@hookimpl
def sl_create_pipeline(pipeline: Pipeline, create_children: CreateChildren) -> DagsterPipeline:
    return make_pipeline(pipeline, create_children)


@hookimpl
def sl_publish_pipelines(pipelines: Sequence[Pipeline], namespace: dict[str, Any]) -> None:
    from .publishing import publish

    publish([pipeline.native for pipeline in pipelines], namespace)


@hookimpl
def sl_check_pipelines(pipelines: Sequence[Pipeline]) -> Sequence[str]:
    from .loading import shared_assets
    from .pools import about

    return [*shared_assets(pipeline.native for pipeline in pipelines), *about(pipelines)]


@hookimpl
def sl_run_pipeline(pipeline: Pipeline, request: RunRequest) -> Report:
    from .running import run_pipeline

    return run_pipeline(pipeline, request)


@hookimpl
def sl_read_recorded(pipeline: Pipeline) -> Recorded | None:
    from .running import read_recorded

    return read_recorded(pipeline)


@hookimpl
def sl_deploy(files: Sequence[Path], options: Options) -> Sequence[Path]:
    from .deploying import deploy
    from .places import place_of

    return deploy(files, place_of(options))


@hookimpl
def sl_deploy_project(folder: Path, pipelines: Sequence[Pipeline]) -> Sequence[Path] | None:
    from .deploying import deploy_project
    from .places import place_of

    place = place_of(pipelines[0].options)
    return deploy_project(folder, [pipeline.native for pipeline in pipelines], place)


@hookimpl
def sl_delete_project(folder: Path, options: Options) -> Sequence[Path] | None:
    from .deploying import delete_project
    from .places import place_of

    return delete_project(folder, place_of(options))


@hookimpl
def sl_delete(files: Sequence[Path], options: Options) -> Sequence[Path]:
    from .deploying import delete
    from .places import place_of

    return delete(files, place_of(options))
