"""The hooks of the orchestrator ``airflow``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from starlake_core import (
    BOOL,
    CSV,
    DURATION,
    JSON_MAP,
    STR,
    CreateChildren,
    Option,
    Options,
    Report,
    Run,
    StarlakePipeline,
    Task,
    TaskGroup,
    hookimpl,
)

from .edges import Block
from .rendering import DAG_KEYWORDS, TASK_KEYWORDS, make_dag, make_group, make_task

_VARIABLES = "options_from_variables"


@hookimpl
def sl_options() -> Sequence[Option]:
    return [
        Option("default_dag_args", JSON_MAP, {}, doc="Default arguments of the operators; those of the options win."),
        Option(
            _VARIABLES,
            CSV,
            (),
            doc="Options that are read from the Airflow Variables of these names whenever the file is parsed, which costs time.",
        ),
        Option(
            "deferrable",
            BOOL,
            None,
            doc="Wait for remote jobs in the triggerer; Airflow's operators.default_deferrable by default.",
        ),
        Option("pre_load_deferrable", BOOL, None, doc="The same for pre-loads; as deferrable by default."),
        Option(
            "defer_after", DURATION, 10, doc="How long a worker waits for a remote job before it gives its slot away."
        ),
        Option("gcp_conn_id", STR, None, env="", doc="Airflow connection with the Google credentials of remote jobs."),
        Option("aws_conn_id", STR, None, env="", doc="Airflow connection with the AWS credentials of remote jobs."),
        Option(
            "dags_folder", STR, None, env="", doc="Where files are deployed; Airflow's core.dags_folder by default."
        ),
        Option(
            "airflow_api_base_url",
            STR,
            None,
            env="AIRFLOW_BASE_URL",
            aliases=("AIRFLOW_BASE_URL",),
            doc="Airflow's address: runs are started there instead of in this process.",
        ),
        Option(
            "airflow_username", STR, None, env="AIRFLOW_USERNAME", aliases=("AIRFLOW_USERNAME",), doc="User of the API."
        ),
        Option(
            "airflow_password",
            STR,
            None,
            env="AIRFLOW_PASSWORD",
            aliases=("AIRFLOW_PASSWORD",),
            doc="Password of the user.",
        ),
        Option("airflow_token", STR, None, env="AIRFLOW_TOKEN", aliases=("AIRFLOW_TOKEN",), doc="Token of the API."),
    ]


@hookimpl
def sl_find_options(given: Mapping[str, Any]) -> Mapping[str, Any]:
    from .settings import found_options

    return found_options(given, _VARIABLES)


@hookimpl
def sl_task_keywords() -> Sequence[str]:
    return (*TASK_KEYWORDS, *DAG_KEYWORDS)


@hookimpl
def sl_create_task(task: Task) -> Any:
    return make_task(task)


@hookimpl
def sl_create_task_group(group: TaskGroup, create_children: CreateChildren) -> Block:
    return make_group(group, create_children)


@hookimpl
def sl_create_pipeline(pipeline: StarlakePipeline, create_children: CreateChildren) -> Any:
    return make_dag(pipeline, create_children)


@hookimpl
def sl_run_pipeline(pipeline: StarlakePipeline, run: Run) -> Report:
    from .running import run_pipeline

    return run_pipeline(pipeline, run)


@hookimpl
def sl_backfill(pipeline: StarlakePipeline, runs: Sequence[Run]) -> Iterable[Report] | None:
    from .running import backfill

    return backfill(pipeline, runs)


@hookimpl
def sl_deploy(files: Sequence[Path], options: Options) -> Sequence[Path]:
    from .deploying import dags_folder, deploy

    return deploy(files, dags_folder(options))


@hookimpl
def sl_delete(files: Sequence[Path], options: Options) -> Sequence[Path]:
    from .deploying import dags_folder, delete

    return delete(files, dags_folder(options))


@hookimpl
def sl_check_site(pipelines: Sequence[StarlakePipeline]) -> Sequence[str]:
    from .pools import problems

    return problems(pipelines)


@hookimpl
def sl_check_file(file: Path) -> Sequence[str]:
    from .deploying import safe_mode_problem

    problem = safe_mode_problem(file)
    return [problem] if problem else []
