"""Clusters that are made for a run, and deleted after it.

Making and deleting are no runs but states to be reached. A cluster that exists in a good state is the one that was asked for, one that is gone
has been deleted: whoever comes again, also after a worker has died, asks for the same state and waits for it. Nothing has to be remembered.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from typing import Any

from starlake_core_google import Calls, Connection

from starlake_core import Job, OutageError, RunnerError
from starlake_core.runtime import Outcome, Status, Verdict

from .jobs import caused_by
from .requests import cluster_request

__all__ = ["Clusters"]

logger = logging.getLogger(__name__)

_CLUSTER = re.compile(r"projects/([^/]+)/regions/([^/]+)/clusters/([^/?]+)(\?gone)?")
_OPERATION = re.compile(r"projects/([^/]+)/regions/([^/]+)/operations/([^/?]+)")
_GOING = "?gone"
_COMING = ("CREATING", "STARTING", "UPDATING", "REPAIRING", "UNKNOWN")
_PATIENCE = 900.0
_PAUSE = 5.0


class Clusters:
    """Clusters of one region.

    Args:
        connection: to Dataproc.
        calls: how calls are made.
        project, region: where.
        interval: seconds between two looks while a broken cluster is deleted.
    """

    def __init__(self, connection: Connection, calls: Calls, project: str, region: str, interval: float) -> None:
        from google.cloud import dataproc_v1

        self._sdk = dataproc_v1
        self._client = connection.client(dataproc_v1.ClusterControllerClient, f"{region}-dataproc.googleapis.com:443")
        self._calls = calls
        self._project, self._region = project, region
        self._pause = min(_PAUSE, interval)

    def knows(self, handle: str) -> bool:
        """Whether a handle names the making or deleting of a cluster.

        Args:
            handle: of an attempt.
        """
        return bool(_CLUSTER.fullmatch(handle) or _OPERATION.fullmatch(handle))

    def submit(self, job: Job) -> str:
        """Begin to make or delete a cluster, unless that is under way or done.

        Args:
            job: bound.
        """
        return self._delete(job.spec["cluster"]) if "delete" in job.spec else self._create(job)

    def _handle(self, name: str) -> str:
        return f"projects/{self._project}/regions/{self._region}/clusters/{name}"

    def _create(self, job: Job) -> str:
        name = job.spec["cluster"]
        deadline = time.monotonic() + _PATIENCE
        while True:
            cluster = self._get(name)
            if cluster is None:
                if self._created(job):
                    return self._handle(name)
                # Somebody else was faster, or one of the name is not wholly gone yet.
                if time.monotonic() > deadline:
                    raise OutageError(
                        f"Dataproc says that cluster {name} exists and cannot be seen, for {_PATIENCE:g} s"
                    )
                time.sleep(self._pause)
                continue
            state = cluster.status.state.name
            if state == "RUNNING" or state in _COMING:
                logger.info("cluster %s is there already (%s)", name, state)
                return self._handle(name)
            if state != "DELETING":
                logger.warning("cluster %s is %s (%s); it is made anew", name, state, cluster.status.detail)
                self._start_deleting(name, cluster.cluster_uuid)
            if time.monotonic() > deadline:
                raise OutageError(
                    f"Dataproc has not deleted the broken cluster {name} within {_PATIENCE:g} s; it is {state}"
                )
            time.sleep(self._pause)

    def _created(self, job: Job) -> bool:
        """Begin to make a cluster; False if somebody else was faster."""
        name = job.spec["cluster"]
        try:
            request = self._sdk.CreateClusterRequest(cluster_request(job))
        except (ValueError, TypeError) as error:
            raise RunnerError(
                f"the configuration of cluster {name} is none that Dataproc knows: {error}. Look at the options dataproc_master_properties, "
                "dataproc_worker_properties and dataproc_secondary_properties"
            ) from error
        try:
            self._calls(
                self._client.create_cluster,
                request,
                f"creating cluster {name} in {self._region} (project {self._project})",
                "Check the options dataproc_project_id, dataproc_region, dataproc_subnet and dataproc_config_bucket",
            )
        except RunnerError as error:
            if caused_by(error, "AlreadyExists"):
                return False
            raise
        return True

    def _delete(self, name: str) -> str:
        cluster = self._get(name)
        if cluster is None or cluster.status.state.name == "DELETING":
            return self._handle(name) + _GOING
        return self._start_deleting(name, cluster.cluster_uuid) or self._handle(name) + _GOING

    def _start_deleting(self, name: str, uuid: str) -> str:
        """Begin to delete a cluster, and no other one of its name; the name of the operation, empty if it is gone."""
        request = {"project_id": self._project, "region": self._region, "cluster_name": name, "cluster_uuid": uuid}
        try:
            started = self._calls(self._client.delete_cluster, request, f"deleting cluster {name} in {self._region}")
        except RunnerError as error:
            if caused_by(error, "NotFound", "FailedPrecondition"):
                return ""
            raise
        return str(started.operation.name)

    def _get(self, name: str) -> Any:
        request = {"project_id": self._project, "region": self._region, "cluster_name": name}
        try:
            return self._calls(self._client.get_cluster, request, f"looking at cluster {name} in {self._region}")
        except RunnerError as error:
            if caused_by(error, "NotFound"):
                return None
            raise

    def status(self, handle: str, console: str) -> Status:
        """How far the making or deleting of a cluster is.

        Args:
            handle: of the attempt.
            console: address for a person.
        """
        found = _CLUSTER.fullmatch(handle)
        if found is None:
            return self._deletion(handle, console)
        cluster = self._get(found[3])
        state = "gone" if cluster is None else cluster.status.state.name
        if found[4]:
            over = {"gone": Outcome(Verdict.SUCCEEDED, log=console)}
            if state not in ("gone", "DELETING"):
                over[state] = self._failed(f"the cluster is not deleted, it is {state}", cluster, console)
            return Status(over.get(state), state)
        if state == "RUNNING":
            return Status(Outcome(Verdict.SUCCEEDED, log=console), state)
        if state in _COMING or state == "DELETING":
            return Status(detail=state)
        if cluster is None:
            return Status(
                Outcome(Verdict.LOST, reason=f"cluster {found[3]} does not exist any more", log=console), state
            )
        return Status(self._failed(f"cluster {found[3]} is {state}", cluster, console), state)

    def _failed(self, what: str, cluster: Any, console: str) -> Outcome:
        detail = cluster.status.detail.strip()
        return Outcome(Verdict.FAILED, reason=f"{what}: {detail or 'Dataproc gives no reason'}", log=console)

    def _deletion(self, handle: str, console: str) -> Status:
        ask: Callable[..., Any] = self._client.get_operation
        try:
            operation = self._calls.run(
                lambda: ask({"name": handle}, retry=None, timeout=self._calls.attempt_seconds),
                f"looking at {handle}",
                method=ask,
            )
        except RunnerError as error:
            if caused_by(error, "NotFound"):
                return Status(
                    Outcome(Verdict.LOST, reason="Dataproc does not know this operation", log=console), "gone"
                )
            raise
        if not operation.done:
            return Status(detail="DELETING")
        not_found = 5
        if operation.HasField("error") and operation.error.code != not_found:
            return Status(
                Outcome(Verdict.FAILED, reason=f"the cluster is not deleted: {operation.error.message}", log=console),
                "ERROR",
            )
        return Status(Outcome(Verdict.SUCCEEDED, log=console), "DELETED")

    def cancel(self, handle: str) -> None:
        """Give up a cluster that is not ready yet: it is deleted. One that is ready stays, and a deletion is not taken back.

        Args:
            handle: of the attempt.
        """
        found = _CLUSTER.fullmatch(handle)
        if found is None or found[4]:
            return
        cluster = self._get(found[3])
        if cluster is not None and cluster.status.state.name in _COMING:
            self._start_deleting(found[3], cluster.cluster_uuid)
