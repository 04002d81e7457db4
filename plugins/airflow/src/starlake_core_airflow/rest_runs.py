"""What running and backfilling on a server share: checks that the DAG can run, and reports of its end."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from starlake_core import Pipeline, Report, Run, RunError, RunRequest, TaskKind, TaskReport, TaskState
from starlake_core.logs import get_logger
from starlake_core.model.run_options import OPTIONS

from .conf import UNSAFE, VARIABLES
from .rest_client import Api, ApiError, quoted
from .rest_tasks import Watch

__all__ = [
    "ENDED",
    "POLL",
    "check_dag",
    "check_request",
    "configuration_of",
    "dag_path",
    "find_dag",
    "moment_of",
    "report_of",
    "stop_runs",
]

logger = get_logger(__name__)

POLL = 2.0
"""The pause between two polls, in seconds; longer if a poll takes long, so that polling alone never keeps a server busy."""

ENDED = frozenset({"success", "failed"})

_LOOK = 1.0
"""The time after which a scheduler has written what it thinks of a run that it was looking at, in seconds."""

_MARKS = 5
"""How often a run is marked as failed at most."""


def stop_runs(api: Api, paths: Iterable[str]) -> None:
    """Mark runs as failed, which stops their tasks, and mark those again that turn into a success.

    Airflow marks the tasks that have not started as skipped. A scheduler that has read the run just before then finds a skipped end, and
    writes down a success. On PostgreSQL and MySQL a lock of the row prevents that; SQLite has no such locks.

    Args:
        api: the API of the server.
        paths: of the runs, below the API.

    Raises:
        ApiError: the server refuses, or does not answer.
    """
    marked = list(paths)
    for _ in range(_MARKS):
        for path in marked:
            api.ask("PATCH", path, {"state": "failed"})
        if not marked:
            return
        time.sleep(_LOOK)
        marked = [path for path in marked if (api.find(path) or {}).get("state") == "success"]


def check_request(request: RunRequest) -> None:
    """Refuse requests that only a run in this process can serve.

    Raises:
        RunError: a selection, or a run to resume.
    """
    if request.select or request.exclude:
        raise RunError(
            "a server runs only whole DAGs, so --select and --exclude do not work there. Remove them, or remove 'airflow_api_base_url' "
            "(AIRFLOW_BASE_URL) to run in this process"
        )
    if request.resume:
        raise RunError(
            f"resume run '{request.run.run_id}' in Airflow itself: clear its failed tasks in the user interface or with: airflow tasks clear"
        )


def dag_path(pipeline: Pipeline) -> str:
    """The path of the DAG below the API."""
    return f"/dags/{quoted(pipeline.id)}"


def check_dag(api: Api, pipeline: Pipeline) -> None:
    """Refuse a DAG that would not run.

    Raises:
        RunError: it does not exist, is paused, or cannot be loaded.
    """
    if find_dag(api, pipeline)["is_paused"]:
        raise RunError(
            f"DAG '{pipeline.id}' is paused, so its runs would wait forever. Unpause it in the user interface or with: "
            f"airflow dags unpause {pipeline.id}"
        )


def find_dag(api: Api, pipeline: Pipeline) -> Mapping[str, Any]:
    """The DAG of a pipeline, as the API returns it.

    Raises:
        RunError: it does not exist, or cannot be loaded.
    """
    dag: Mapping[str, Any] | None = api.find(dag_path(pipeline))
    gone = dag is not None and (dag.get("is_stale") or dag.get("is_active") is False)
    if dag is None or gone or dag.get("has_import_errors"):
        errors = _import_errors(api, {Path(pipeline.source).name, Path((dag or {}).get("fileloc") or "").name})
        if errors:
            raise RunError(f"Airflow at {api.base_url} cannot load DAG '{pipeline.id}':\n{errors}")
        raise RunError(
            f"Airflow at {api.base_url} {'no longer has' if gone else 'has no'} DAG '{pipeline.id}'. Deploy its file with: "
            f"starlake-orchestrate deploy {Path(pipeline.source).name}. If it is already deployed, wait until Airflow has parsed it"
        )
    return dag


def _import_errors(api: Api, names: set[str]) -> str:
    """Airflow's import errors for files with these names; empty if there are none, or none that we may see."""
    try:
        rows = api.pages("/importErrors", "import_errors")
    except ApiError as error:
        logger.debug("no import errors: %s", error)
        return ""
    found = [row for row in rows if Path(row["filename"]).name in names - {""}]
    return "\n".join(f"{row['filename']}: {row['stack_trace'].strip()}" for row in found)


def configuration_of(run: Run) -> dict[str, Any]:
    """The user's part of a run's configuration: variables, run variables, and the permission to repeat unsafe work."""
    made: dict[str, Any] = {VARIABLES: dict(run.variables)} if run.variables else {}
    if run.options:
        made[OPTIONS] = {section: dict(values) for section, values in run.options.items()}
    return made | ({UNSAFE: run.retry_unsafe} if run.retry_unsafe else {})


def report_of(
    pipeline: Pipeline,
    request: RunRequest,
    watch: Watch,
    found: Mapping[str, Any],
    state: TaskState | None = None,
    reason: str = "",
) -> Report:
    """The report of how a run on the server ended.

    Args:
        pipeline: the pipeline of the run.
        request: the request for the run.
        watch: the watch that read its tasks last.
        found: the run as the API returns it.
        state, reason: override the computed state and reason.
    """
    state = state or (TaskState.SUCCEEDED if found["state"] == "success" else TaskState.FAILED)
    tasks = watch.reports(stopped=state == TaskState.CANCELLED)
    return Report(
        pipeline.id,
        str(found.get("dag_run_id") or request.run.run_id),
        state,
        tasks,
        watch.datasets(),
        reason or _summary(pipeline, state, tasks),
        moment_of(found.get("start_date")),
        moment_of(found.get("end_date")),
        request.run.interval,
        request.group,
    )


def _summary(pipeline: Pipeline, state: TaskState, tasks: Sequence[TaskReport]) -> str:
    """A sentence about a run as a whole: how much failed, or why its end was skipped."""
    failed = sum(task.state == TaskState.FAILED for task in tasks)
    if state == TaskState.FAILED:
        return f"{failed} task{'s' if failed > 1 else ''} failed" if failed else "someone ended the run in Airflow"
    ends = {task.path for task in pipeline.tasks() if task.kind is TaskKind.END}
    return "; ".join(
        dict.fromkeys(task.reason for task in tasks if task.id in ends and task.state == TaskState.SKIPPED)
    )


def moment_of(text: str | None) -> datetime | None:
    """Parse a time that the API wrote."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None
