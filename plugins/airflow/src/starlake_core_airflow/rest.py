"""Running, backfilling and deleting DAGs on a server, through its REST API."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from starlake_core import Report, Run, RunError, RunRequest, StarlakePipeline, TaskState, skipped_report

from . import rest_runs
from .rest_backfill import backfill
from .rest_client import Api, ApiError, quoted
from .rest_runs import ENDED, check_dag, check_request, configuration_of, dag_path, report_of
from .rest_tasks import STOPPED, Watch

__all__ = ["Api", "backfill", "delete_dag", "run"]

logger = logging.getLogger(__name__)

TRIES = 5
"""How often something is started that may or may not have been."""


def run(api: Api, pipeline: StarlakePipeline, request: RunRequest) -> Report:
    """Trigger a DAG and follow the run to its end.

    Args:
        api: of the server that has the DAG.
        pipeline: that the DAG was made from.
        request: what is asked for.

    Returns:
        How the run and its tasks ended. An interrupt stops the run in Airflow too, and makes it ``cancelled``.

    Raises:
        RunError: it cannot be started, or contact with it was lost; the run itself may go on then, and the message says so.
    """
    check_request(request)
    if request.skip:
        return skipped_report(pipeline, request)
    check_dag(api, pipeline)
    watch = Watch(api, pipeline, request.run.run_id, request.listener)
    try:
        _trigger(api, pipeline, request.run)
        return report_of(pipeline, request, watch, _follow(api, watch))
    except KeyboardInterrupt:
        found, reason = _stop(api, watch)
    if found is not None and found["state"] in ENDED:
        return report_of(pipeline, request, watch, found)
    return report_of(pipeline, request, watch, found or {}, TaskState.CANCELLED, reason)


def _conf(run: Run) -> dict[str, Any]:
    conf: dict[str, Any] = {
        "sl_data_interval_start": run.interval.start.isoformat(),
        "sl_data_interval_end": run.interval.end.isoformat(),
    }
    return {**conf, **configuration_of(run)}


def _trigger(api: Api, pipeline: StarlakePipeline, run: Run) -> None:
    """Start the run. An attempt that was cut off is made again: the run id lets it happen only once."""
    body: dict[str, Any] = {"dag_run_id": run.run_id, "conf": _conf(run)}
    if api.v2:
        body["logical_date"] = None
    path = f"{dag_path(pipeline)}/dagRuns"
    for attempt in range(1, TRIES + 1):
        try:
            api.post(path, body)
            return
        except ApiError as error:
            if error.status == 409:
                if attempt > 1 and api.get(f"{path}/{quoted(run.run_id)}").get("conf") == body["conf"]:
                    return
                raise RunError(
                    f"DAG '{pipeline.id}' has a run '{run.run_id}' already. Give another run id, or finish that one in Airflow: "
                    f"{Watch(api, pipeline, run.run_id).url}"
                ) from error
            if not error.transient or attempt == TRIES:
                raise
            logger.warning("%s. Trying again", error)
            time.sleep(max(2.0 ** (attempt - 1), error.retry_after))


def _follow(api: Api, watch: Watch) -> Mapping[str, Any]:
    """Look until the run has ended."""
    try:
        while True:
            began = time.monotonic()
            found: Mapping[str, Any] = api.follow(watch.path)
            # The tasks come after the run: those of a run that has ended do not change any more.
            watch.look()
            if found["state"] in ENDED:
                return found
            time.sleep(max(rest_runs.POLL, 4 * (time.monotonic() - began)))
    except ApiError as error:
        if error.status == 404:
            raise RunError(f"the run is gone, somebody deleted it: {watch.url}") from error
        raise RunError(f"{error}. The run may go on in Airflow: {watch.url}") from error


def _stop(api: Api, watch: Watch) -> tuple[Mapping[str, Any] | None, str]:
    """Stop a run. Returns it as it was just before, None where there is none, and a sentence on it."""
    problem: ApiError | None = None
    found: Mapping[str, Any] | None = None
    for attempt in range(1, TRIES + 1):
        try:
            found = api.find(watch.path)
            if found is None:
                return None, STOPPED
            watch.look()
            if found["state"] not in ENDED:
                api.patch(watch.path, {"state": "failed"})
            return found, STOPPED
        except ApiError as error:
            problem = error
            if not error.transient:
                break
            time.sleep(min(attempt, 2))
    return found, f"{STOPPED}, but the run may go on in Airflow, stop it there: {watch.url} ({problem})"


def delete_dag(api: Api, dag_id: str) -> None:
    """Make Airflow forget a DAG and its runs. One that it does not know is fine; one whose file is still there comes back.

    Args:
        api: of the server.
        dag_id: of the DAG.

    Raises:
        RunError: it is refused, such as while tasks of the DAG run.
    """
    try:
        api.delete(f"/dags/{quoted(dag_id)}")
    except ApiError as error:
        if error.status == 409:
            raise RunError(f"{error}. Wait until its tasks have ended, or stop them, and delete it then") from error
        if error.status != 404:
            raise
