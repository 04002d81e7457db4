"""Runs, backfills and deletes DAGs on a server, through its REST API."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from starlake_core import Pipeline, Report, RunError, RunRequest, TaskState, skipped_report
from starlake_core.logs import get_logger
from starlake_core.runtime import Backoff

from . import rest_runs
from .conf import CHECK
from .rest_backfill import backfill
from .rest_client import Api, ApiError, quoted
from .rest_runs import ENDED, check_dag, check_request, configuration_of, dag_path, report_of, stop_runs
from .rest_tasks import STOPPED, Watch

__all__ = ["Api", "backfill", "delete_dag", "run"]

logger = get_logger(__name__)

_STARTING = 120.0
"""How long an uncertain start is retried, in seconds."""

_STOPPING = 10.0
"""How long to spend on stopping a run, in seconds, while the user waits."""


def run(api: Api, pipeline: Pipeline, request: RunRequest) -> Report:
    """Trigger a DAG and follow the run to its end.

    Args:
        api: the API of the server that has the DAG.
        pipeline: the pipeline that the DAG was created from.
        request: what to run.

    Returns:
        How the run and its tasks ended. An interrupt also stops the run in Airflow, and its state is ``cancelled``.

    Raises:
        RunError: it cannot be started, or the connection was lost; the run itself may then continue, and the message says so.
    """
    check_request(request)
    if request.skip:
        return skipped_report(pipeline, request)
    check_dag(api, pipeline)
    watch = Watch(api, pipeline, request.run.run_id, request.listener)
    try:
        _trigger(api, pipeline, request)
        return report_of(pipeline, request, watch, _follow(api, watch))
    except KeyboardInterrupt:
        found, reason = _stop(api, watch)
    if found is not None and found["state"] in ENDED:
        return report_of(pipeline, request, watch, found)
    return report_of(pipeline, request, watch, found or {}, TaskState.CANCELLED, reason)


def _conf(request: RunRequest) -> dict[str, Any]:
    run = request.run
    if request.triggered:  # the first task decides whether it starts, and for which interval
        return {CHECK: True, **configuration_of(run)}
    conf: dict[str, Any] = {
        "sl_data_interval_start": run.interval.start.isoformat(),
        "sl_data_interval_end": run.interval.end.isoformat(),
    }
    return {**conf, **configuration_of(run)}


def _trigger(api: Api, pipeline: Pipeline, request: RunRequest) -> None:
    """Start the run. A request that was cut off is repeated: because of the run id it takes effect only once."""
    run = request.run
    body: dict[str, Any] = {"dag_run_id": run.run_id, "conf": _conf(request)}
    if api.v2:
        body["logical_date"] = None
    path = f"{dag_path(pipeline)}/dagRuns"
    backoff = Backoff(_STARTING, 1.0, 8.0)
    again = False
    while True:
        try:
            api.ask("POST", path, body)
            return
        except ApiError as error:
            if error.status == 409:
                if again and api.get(f"{path}/{quoted(run.run_id)}").get("conf") == body["conf"]:
                    return
                raise RunError(
                    f"DAG '{pipeline.id}' already has a run '{run.run_id}'. Use another run id, or finish that run in Airflow: "
                    f"{Watch(api, pipeline, run.run_id).url}"
                ) from error
            if not error.transient or not backoff.wait(error.retry_after):
                raise
            logger.warning("%s. Retrying", error)
            again = True


def _follow(api: Api, watch: Watch) -> Mapping[str, Any]:
    """Poll until the run has ended."""
    try:
        while True:
            began = time.monotonic()
            found: Mapping[str, Any] = api.follow(watch.path)
            # Read the tasks after the run: those of a run that has ended do not change any more.
            watch.look()
            if found["state"] in ENDED:
                return found
            time.sleep(max(rest_runs.POLL, 4 * (time.monotonic() - began)))
    except ApiError as error:
        if error.status == 404:
            raise RunError(f"someone deleted the run: {watch.url}") from error
        raise RunError(f"{error}. The run may continue in Airflow: {watch.url}") from error


def _stop(api: Api, watch: Watch) -> tuple[Mapping[str, Any] | None, str]:
    """Stop a run. Returns the run as it was just before, None if there is none, and a sentence about it."""
    backoff = Backoff(_STOPPING, 1.0, 2.0)
    found: Mapping[str, Any] | None = None
    while True:
        try:
            found = api.find(watch.path)
            if found is None:
                return None, STOPPED
            watch.look()
            if found["state"] not in ENDED:
                stop_runs(api, [watch.path])
            return found, STOPPED
        except ApiError as error:
            if not error.transient or not backoff.wait():
                return found, f"{STOPPED}, but the run may continue in Airflow; stop it there: {watch.url} ({error})"


def delete_dag(api: Api, dag_id: str) -> None:
    """Make Airflow forget a DAG and its runs. An unknown DAG is not an error; a DAG whose file still exists comes back.

    Args:
        api: the API of the server.
        dag_id: the id of the DAG.

    Raises:
        RunError: it is refused, for example while tasks of the DAG run.
    """
    try:
        api.ask("DELETE", f"/dags/{quoted(dag_id)}")
    except ApiError as error:
        if error.status == 409:
            raise RunError(f"{error}. Wait until its tasks have ended, or stop them, then delete it") from error
        if error.status != 404:
            raise
