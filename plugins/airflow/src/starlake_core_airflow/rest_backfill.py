"""Runs several intervals with Airflow's own backfill."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from starlake_core import Pipeline, Report, RunError, RunRequest, TaskState
from starlake_core.logs import get_logger
from starlake_core.runtime import Backoff

from . import rest_runs
from .rest_client import Api, ApiError, quoted
from .rest_runs import ENDED, check_dag, check_request, configuration_of, dag_path, moment_of, report_of, stop_runs
from .rest_tasks import Watch

__all__ = ["backfill"]

logger = get_logger(__name__)

_RUNNING, _LOCKED = 409, 503
_PATIENCE = 120.0
_PAUSE = 2.5 * rest_runs.POLL
_AGAIN = {"failed": "failed", "completed": "ended"}


def backfill(
    api: Api, pipeline: Pipeline, requests: Sequence[RunRequest], reprocess: str = "failed"
) -> Iterator[Report] | None:
    """Run several intervals with Airflow's own backfill.

    Args:
        api: the API of the server that has the DAG.
        pipeline: the pipeline that the DAG was created from.
        requests: the runs, in the order of their dates.
        reprocess: which dates that already have a run are run again: ``none``, ``failed`` or ``completed``.

    Returns:
        A report for each run as it ends, first those with nothing to do; None if the server has no such backfill
        (Airflow 2). Nothing starts before the first report is requested.

    Raises:
        RunError: the backfill cannot be started, or the connection was lost.
    """
    for item in requests:
        check_request(item)
    if not api.v2:
        return None
    return _backfill(api, pipeline, sorted(requests, key=lambda item: item.run.scheduled_date), reprocess)


def _backfill(api: Api, pipeline: Pipeline, requests: Sequence[RunRequest], reprocess: str) -> Iterator[Report]:
    if not requests:
        return
    check_dag(api, pipeline)
    # The logical date of one of our DAGs is the scheduled date, when Airflow fires.
    wanted = {_utc(item.run.scheduled_date): item for item in requests}
    body: dict[str, Any] = {
        "dag_id": pipeline.id,
        "from_date": requests[0].run.scheduled_date.isoformat(),
        "to_date": requests[-1].run.scheduled_date.isoformat(),
        "max_active_runs": pipeline.max_active_runs,
        "reprocess_behavior": reprocess,
        "run_backwards": False,
    }
    if variables := configuration_of(requests[0].run):
        body["dag_run_conf"] = variables
    planned = {
        moment
        for row in _post(api, pipeline, "/backfills/dry_run", body, _backoff())["backfills"]
        if (moment := moment_of(row["logical_date"])) is not None
    }
    if extra := sorted(planned.difference(wanted)):
        raise RunError(
            f"DAG '{pipeline.id}', as Airflow has loaded it, fires at other times than this pipeline, such as {extra[0].isoformat()}; "
            "deploy the file again"
        )
    left = {moment: item for moment, item in wanted.items() if moment not in planned}
    yield from _left_alone(api, pipeline, left, reprocess)
    if not planned:
        return
    backfill_id = _start_backfill(api, pipeline, body)["id"]
    todo = {moment: wanted[moment] for moment in sorted(planned)}
    try:
        yield from _follow_backfill(api, pipeline, todo)
    except (KeyboardInterrupt, GeneratorExit):
        _stop_backfill(api, pipeline, backfill_id, todo)
        raise


def _utc(moment: datetime) -> datetime:
    """The time as a key: times of two zones are never equal in an hour that occurs twice."""
    return moment.astimezone(timezone.utc)


def _rows(api: Api, pipeline: Pipeline, moments: Sequence[datetime]) -> dict[datetime, Mapping[str, Any]]:
    """The runs that Airflow has for some logical dates."""
    rows = api.pages(
        f"{dag_path(pipeline)}/dagRuns",
        "dag_runs",
        logical_date_gte=min(moments).isoformat(),
        logical_date_lte=max(moments).isoformat(),
        order_by="logical_date",
    )
    found = {moment_of(row["logical_date"]): row for row in rows}
    return {moment: found[moment] for moment in moments if moment in found}


def _without_tasks(pipeline: Pipeline, item: RunRequest, state: TaskState, reason: str) -> Report:
    return Report(pipeline.id, item.run.run_id, state, reason=reason, interval=item.run.interval, group=item.group)


def _left_alone(api: Api, pipeline: Pipeline, left: Mapping[datetime, RunRequest], reprocess: str) -> Iterator[Report]:
    """Reports of the dates that Airflow does not run, because they already have a run or are not over."""
    rows = _rows(api, pipeline, list(left)) if left else {}
    for moment, item in left.items():
        row = rows.get(moment)
        if row is None:
            reason = f"Airflow creates no run for {moment.isoformat()}: it is not over yet"
            yield _without_tasks(pipeline, item, TaskState.PLANNED, reason)
            continue
        watch = Watch(api, pipeline, row["dag_run_id"])
        if row["state"] in ENDED:
            watch.look()
            again = "" if reprocess == "none" else f", because only runs that {_AGAIN[reprocess]} are repeated"
            yield report_of(pipeline, item, watch, row, reason=f"it had already ended and was not repeated{again}")
        else:
            going = _without_tasks(pipeline, item, TaskState.RUNNING, f"it was already running: {watch.url}")
            yield replace(going, run_id=row["dag_run_id"])


def _backoff() -> Backoff:
    """Pauses of equal length: the wait takes equally long for everyone."""
    return Backoff(_PATIENCE, _PAUSE, _PAUSE)


def _post(api: Api, pipeline: Pipeline, path: str, body: Mapping[str, Any], backoff: Backoff) -> Any:
    """Send a request, and repeat it while the database is locked: another process writes to it, and Airflow has rolled the request back."""
    while True:
        try:
            return api.ask("POST", path, body)
        except ApiError as error:
            if error.status != _LOCKED or not backoff.wait(_PAUSE):
                raise
            logger.info("Airflow cannot handle the backfill of %s now, retrying: %s", pipeline.id, error)


def _start_backfill(api: Api, pipeline: Pipeline, body: Mapping[str, Any]) -> Any:
    """Start it. A finished backfill counts as running until the scheduler checks again, so wait for that."""
    backoff = _backoff()
    while True:
        try:
            return _post(api, pipeline, "/backfills", body, backoff)
        except ApiError as error:
            if error.status != _RUNNING:
                raise
            if _busy(api, pipeline) or not backoff.wait(_PAUSE):
                raise RunError(
                    f"a backfill of DAG '{pipeline.id}' is already running. Wait for its end, or cancel it in the user interface: "
                    f"{api.base_url}/dags/{quoted(pipeline.id)}"
                ) from error
            logger.info("waiting until Airflow has closed the previous backfill of %s", pipeline.id)


def _busy(api: Api, pipeline: Pipeline) -> bool:
    """Whether a run of a backfill has not ended."""
    rows = api.get(f"{dag_path(pipeline)}/dagRuns", run_type="backfill", state=["queued", "running"], limit=1)
    return bool(rows["dag_runs"])


def _follow_backfill(api: Api, pipeline: Pipeline, todo: dict[datetime, RunRequest]) -> Iterator[Report]:
    """A report for each run as it ends; reported runs are removed from ``todo``."""
    watches: dict[datetime, Watch] = {}
    seen: dict[datetime, Mapping[str, Any]] = {}
    while todo:
        began = time.monotonic()
        try:
            rows = _rows(api, pipeline, list(todo))
        except ApiError as error:
            raise RunError(
                f"{error}. The backfill may continue in Airflow: {api.base_url}/dags/{quoted(pipeline.id)}"
            ) from error
        for moment, item in list(todo.items()):
            row = rows.get(moment)
            if row is None:
                del todo[moment]
                what = "someone deleted the run" if moment in seen else "Airflow created no run"
                yield _without_tasks(pipeline, item, TaskState.FAILED, f"{what} for {moment.isoformat()}")
                continue
            seen[moment] = row
            watch = watches.setdefault(moment, Watch(api, pipeline, row["dag_run_id"], item.listener))
            if row["state"] in ENDED or (item.listener is not None and row["state"] == "running"):
                watch.look()
            if row["state"] in ENDED:
                del todo[moment]
                yield report_of(pipeline, item, watch, row)
        if todo:
            time.sleep(max(rest_runs.POLL, 4 * (time.monotonic() - began)))


def _stop_backfill(api: Api, pipeline: Pipeline, backfill_id: int, todo: Mapping[datetime, RunRequest]) -> None:
    """Cancel a backfill, and stop those of its runs that have started, which Airflow itself would let finish."""
    try:
        api.ask("PUT", f"/backfills/{backfill_id}/cancel")
        rows = _rows(api, pipeline, list(todo)).values() if todo else ()
        runs = [row["dag_run_id"] for row in rows if row["state"] not in ENDED]
        stop_runs(api, [f"{dag_path(pipeline)}/dagRuns/{quoted(run)}" for run in runs])
    except ApiError as error:
        logger.warning(
            "backfill %s of %s was not stopped; cancel it in the user interface: %s", backfill_id, pipeline.id, error
        )
    else:
        logger.warning("backfill %s of %s was cancelled", backfill_id, pipeline.id)
