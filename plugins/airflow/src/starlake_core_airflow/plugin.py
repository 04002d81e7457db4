"""The hooks of the orchestrator ``airflow``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from starlake_core import (
    CreateChildren,
    Fires,
    OptionGroup,
    Options,
    Pipeline,
    PipelineFault,
    Report,
    RunRequest,
    Task,
    TaskGroup,
    hookimpl,
)
from starlake_core.freshness import Recorded

from .edges import Block
from .firing import fires
from .options import AirflowOptions
from .rendering import DAG_KEYWORDS, TASK_KEYWORDS, make_dag, make_group, make_task


@hookimpl
def sl_options() -> Sequence[type[OptionGroup]]:
    return [AirflowOptions]


@hookimpl
def sl_find_options(given: Mapping[str, Any]) -> Mapping[str, Any]:
    from .settings import found_options

    return found_options(given)


@hookimpl
def sl_task_keywords() -> Sequence[str]:
    return TASK_KEYWORDS


@hookimpl
def sl_pipeline_keywords() -> Sequence[str]:
    return DAG_KEYWORDS


@hookimpl
def sl_fires() -> Fires:
    return fires


@hookimpl
def sl_create_task(task: Task) -> Any:
    return make_task(task)


@hookimpl
def sl_create_task_group(group: TaskGroup, create_children: CreateChildren) -> Block:
    return make_group(group, create_children)


@hookimpl
def sl_create_pipeline(pipeline: Pipeline, create_children: CreateChildren) -> Any:
    return make_dag(pipeline, create_children)


@hookimpl
def sl_run_pipeline(pipeline: Pipeline, request: RunRequest) -> Report:
    from .running import run_pipeline

    return run_pipeline(pipeline, request)


@hookimpl
def sl_backfill(pipeline: Pipeline, requests: Sequence[RunRequest]) -> Iterable[Report] | None:
    from .running import backfill

    return backfill(pipeline, requests)


@hookimpl
def sl_read_server(pipeline: Pipeline) -> Recorded | None:
    from .running import read_server

    return read_server(pipeline)


@hookimpl
def sl_deploy(files: Sequence[Path], options: Options) -> Sequence[Path]:
    from .deploying import dags_folder, deploy

    return deploy(files, dags_folder(options))


@hookimpl
def sl_delete(files: Sequence[Path], options: Options) -> Sequence[Path]:
    from .deploying import dags_folder, delete

    return delete(files, dags_folder(options))


@hookimpl
def sl_check_site(pipelines: Sequence[Pipeline]) -> Sequence[str]:
    from .pools import problems

    return problems(pipelines)


@hookimpl
def sl_check_file(file: Path) -> Sequence[str]:
    from .deploying import safe_mode_problem

    problem = safe_mode_problem(file)
    return [problem] if problem else []


@hookimpl
def sl_publish_faults(faults: Sequence[PipelineFault], filename: str, namespace: dict[str, Any]) -> bool:
    from .faults import publish_faults

    publish_faults(faults, filename, namespace)
    return True
