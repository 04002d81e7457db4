"""What running and backfilling on a server have in common: the DAG has to be fit for it, and the end becomes a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from starlake_core import Pipeline, Report, Run, RunError, RunRequest, TaskKind, TaskReport, TaskState
from starlake_core.logs import get_logger

from .conf import UNSAFE, VARIABLES
from .rest_client import Api, ApiError, quoted
from .rest_tasks import Watch

__all__ = ["ENDED", "POLL", "check_dag", "check_request", "configuration_of", "dag_path", "moment_of", "report_of"]

logger = get_logger(__name__)

POLL = 2.0
"""Seconds between two looks; more where a look takes its time, so that asking never is what keeps a server busy."""

ENDED = frozenset({"success", "failed"})


def check_request(request: RunRequest) -> None:
    """Refuse what only a run in this process can do.

    Raises:
        RunError: a selection, or a run to resume.
    """
    if request.select or request.exclude:
        raise RunError(
            "a server runs whole DAGs only, so --select and --exclude cannot be kept there. Leave them out, or run in this process: "
            "leave out 'airflow_api_base_url' (AIRFLOW_BASE_URL)"
        )
    if request.resume:
        raise RunError(
            f"run '{request.run.run_id}' is resumed in Airflow itself: clear its failed tasks in the user interface or with: airflow tasks clear"
        )


def dag_path(pipeline: Pipeline) -> str:
    """The DAG, as a path below the API."""
    return f"/dags/{quoted(pipeline.id)}"


def check_dag(api: Api, pipeline: Pipeline) -> None:
    """Refuse a DAG that would not run.

    Raises:
        RunError: it is not there, paused, or cannot be loaded.
    """
    dag = api.find(dag_path(pipeline))
    gone = dag is not None and (dag.get("is_stale") or dag.get("is_active") is False)
    if dag is None or gone or dag.get("has_import_errors"):
        errors = _import_errors(api, {Path(pipeline.source).name, Path((dag or {}).get("fileloc") or "").name})
        if errors:
            raise RunError(f"Airflow at {api.base_url} cannot load DAG '{pipeline.id}':\n{errors}")
        raise RunError(
            f"Airflow at {api.base_url} {'no longer has' if gone else 'has no'} DAG '{pipeline.id}'. Deploy its file with: "
            f"starlake-orchestrate deploy {Path(pipeline.source).name}. Where it is deployed already, wait until Airflow has parsed it"
        )
    if dag["is_paused"]:
        raise RunError(
            f"DAG '{pipeline.id}' is paused, so its runs would wait for ever. Unpause it in the user interface or with: "
            f"airflow dags unpause {pipeline.id}"
        )


def _import_errors(api: Api, names: set[str]) -> str:
    """What Airflow has against files of these names; empty where it says nothing, or not to us."""
    try:
        rows = api.pages("/importErrors", "import_errors")
    except ApiError as error:
        logger.debug("no import errors: %s", error)
        return ""
    found = [row for row in rows if Path(row["filename"]).name in names - {""}]
    return "\n".join(f"{row['filename']}: {row['stack_trace'].strip()}" for row in found)


def configuration_of(run: Run) -> dict[str, Any]:
    """The part of a run's configuration that says what the user gave it: variables, and the word about unsafe repetition."""
    made: dict[str, Any] = {VARIABLES: dict(run.variables)} if run.variables else {}
    return made | ({UNSAFE: run.retry_unsafe} if run.retry_unsafe else {})


def report_of(
    pipeline: Pipeline,
    request: RunRequest,
    watch: Watch,
    found: Mapping[str, Any],
    state: TaskState | None = None,
    reason: str = "",
) -> Report:
    """How a run on the server ended.

    Args:
        pipeline: whose run it is.
        request: what was asked for.
        watch: that looked at its tasks last.
        found: the run as the API shows it.
        state, reason: in place of what follows from that.
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
    """The sentence on a run as a whole: how much failed, or why its end was skipped."""
    failed = sum(task.state == TaskState.FAILED for task in tasks)
    if state == TaskState.FAILED:
        return f"{failed} task{'s' if failed > 1 else ''} failed" if failed else "somebody ended the run in Airflow"
    ends = {task.path for task in pipeline.tasks() if task.kind is TaskKind.END}
    return "; ".join(
        dict.fromkeys(task.reason for task in tasks if task.id in ends and task.state == TaskState.SKIPPED)
    )


def moment_of(text: str | None) -> datetime | None:
    """A time that the API wrote."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None
