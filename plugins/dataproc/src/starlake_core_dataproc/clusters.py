"""Clusters that are created for a run and deleted after it.

Creating and deleting are not runs but states to reach. A cluster that exists in a good state is the requested one, and one that is gone
has been deleted. A later attempt, also after a worker has died, requests the same state and waits for it. Nothing has to be remembered.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from google.api_core import exceptions
from google.cloud import dataproc_v1
from starlake_core_google import Calls, Connection, ServiceClock

from starlake_core import Job, OutageError, RunnerError, StarlakeError
from starlake_core.logs import get_logger
from starlake_core.runtime import Backoff, Outcome, Recent, Status, Verdict

from .client import RegionClient, caused_by
from .cluster_request import cluster_request
from .documents import message_of
from .state import seconds, timeout_of

__all__ = ["Clusters"]

logger = get_logger(__name__)

_CLUSTER = re.compile(r"projects/([^/]+)/regions/([^/]+)/clusters/([^/?]+)(\?gone)?")
_OPERATION = re.compile(r"projects/([^/]+)/regions/([^/]+)/operations/([^/?]+)")
_GOING = "?gone"
_COMING = ("CREATING", "STARTING", "UPDATING", "REPAIRING", "UNKNOWN")
_PATIENCE = 900.0
_PAUSE = 5.0


class Clusters(RegionClient):
    """The clusters of one region.

    Args:
        connection: the connection to Dataproc.
        calls: how the service is called.
        project, region: the project and the region.
        interval: the pause between two checks while a broken cluster is deleted, in seconds.
        clock: the clock of Dataproc.
    """

    def __init__(
        self,
        connection: Connection,
        calls: Calls,
        project: str,
        region: str,
        interval: float,
        clock: ServiceClock,
    ) -> None:
        super().__init__(connection, calls, project, region, clock)
        self._client = self._connected(dataproc_v1.ClusterControllerClient)
        self._pause = min(_PAUSE, interval)
        # For clusters whose creation was started or seen here: the operation, and the time by the clock of this machine.
        self._operations: Recent[str, str] = Recent()
        self._first_seen: Recent[str, float] = Recent()

    def knows(self, handle: str) -> bool:
        """Whether a handle names the creation or deletion of a cluster.

        Args:
            handle: the handle of an attempt.
        """
        return bool(_CLUSTER.fullmatch(handle) or _OPERATION.fullmatch(handle))

    def submit(self, job: Job) -> str:
        """Start to create or delete a cluster, unless that is in progress or done.

        Args:
            job: a bound job.
        """
        return self._delete(job.spec["cluster"]) if "delete" in job.spec else self._create(job)

    def _handle(self, name: str) -> str:
        return f"projects/{self._project}/regions/{self._region}/clusters/{name}"

    def _create(self, job: Job) -> str:
        name = job.spec["cluster"]
        backoff = Backoff(_PATIENCE, self._pause, self._pause)
        while True:
            cluster = self._get(name)
            if cluster is None:
                if self._created(job):
                    return self._handle(name)
                # Another process was faster, or a cluster of this name is not completely gone yet.
                if not backoff.wait():
                    raise OutageError(
                        f"for {_PATIENCE:g} s Dataproc has reported that cluster {name} exists, but has not shown it"
                    )
                continue
            state = cluster.status.state.name
            if state == "RUNNING" or state in _COMING:
                logger.info("cluster %s already exists (%s)", name, state)
                return self._handle(name)
            if state != "DELETING":
                logger.warning("cluster %s is %s (%s); creating it again", name, state, cluster.status.detail)
                self._start_deleting(name, cluster.cluster_uuid)
            if not backoff.wait():
                raise OutageError(
                    f"Dataproc has not deleted the broken cluster {name} within {_PATIENCE:g} s; it is {state}"
                )

    def _created(self, job: Job) -> bool:
        """Start to create a cluster; False if another process was faster."""
        name = job.spec["cluster"]
        try:
            request = message_of(dataproc_v1.CreateClusterRequest, cluster_request(job))
        except ValueError as error:
            raise RunnerError(
                f"the configuration of cluster {name} is not valid: {error} Check the options dataproc_cluster_config, "
                "dataproc_master_properties, dataproc_worker_properties and dataproc_secondary_properties"
            ) from error
        try:
            started = self._calls(
                self._client.create_cluster,
                request,
                f"creating cluster {name} in {self._region} (project {self._project})",
                "Check the options dataproc_project_id, dataproc_region, dataproc_subnet and dataproc_config_bucket",
            )
        except RunnerError as error:
            if caused_by(error, exceptions.AlreadyExists):
                return False
            raise
        self._operations.put(name, str(started.operation.name))
        return True

    def _delete(self, name: str) -> str:
        cluster = self._get(name)
        if cluster is None or cluster.status.state.name == "DELETING":
            return self._handle(name) + _GOING
        return self._start_deleting(name, cluster.cluster_uuid) or self._handle(name) + _GOING

    def _start_deleting(self, name: str, uuid: str) -> str:
        """Start to delete this very cluster, and no other of the same name. Returns the name of the operation, empty if the cluster is gone."""
        request = {"project_id": self._project, "region": self._region, "cluster_name": name, "cluster_uuid": uuid}
        try:
            started = self._calls(self._client.delete_cluster, request, f"deleting cluster {name} in {self._region}")
        except RunnerError as error:
            if caused_by(error, exceptions.NotFound, exceptions.FailedPrecondition):
                return ""
            raise
        return str(started.operation.name)

    def _get(self, name: str) -> Any:
        request = {"project_id": self._project, "region": self._region, "cluster_name": name}
        try:
            return self._calls(self._client.get_cluster, request, f"looking at cluster {name} in {self._region}")
        except RunnerError as error:
            if caused_by(error, exceptions.NotFound):
                return None
            raise

    def status(self, handle: str, console: str) -> Status:
        """The progress of the creation or deletion of a cluster.

        Args:
            handle: the handle of the attempt.
            console: the address of the cluster in the console.
        """
        found = _CLUSTER.fullmatch(handle)
        if found is None:
            return self._deletion(handle, console)
        cluster = self._get(found[3])
        state = "gone" if cluster is None else cluster.status.state.name
        if found[4]:
            over = {"gone": Outcome(Verdict.SUCCEEDED, log=console)}
            if state not in ("gone", "DELETING"):
                over[state] = self._failed(f"the cluster was not deleted; it is {state}", cluster, console)
            return Status(over.get(state), state)
        if state == "RUNNING":
            return Status(Outcome(Verdict.SUCCEEDED, log=console), state)
        if state in _COMING:
            return self._coming(found[3], cluster, state, console)
        if state == "DELETING":
            return Status(detail=state, stopping=True)
        if cluster is None:
            return Status(Outcome(Verdict.LOST, reason=f"cluster {found[3]} no longer exists", log=console), state)
        return Status(self._failed(f"cluster {found[3]} is {state}", cluster, console), state)

    def _coming(self, name: str, cluster: Any, state: str, console: str) -> Status:
        """The status of a cluster that is being created, which may take up to its limit."""
        error = self._error(name, self._operations.get(name))
        if error:
            return Status(Outcome(Verdict.FAILED, reason=f"cluster {name} is {state}: {error}", log=console), state)
        limit = timeout_of(cluster.labels)
        if limit is None or self._age(cluster) < limit:
            return Status(detail=state)
        try:
            # Another attempt can create it again.
            self._start_deleting(name, cluster.cluster_uuid)
        except StarlakeError as failure:
            logger.warning("cluster %s takes too long to create, and cannot be deleted now: %s", name, failure)
        reason = (
            f"cluster {name} is still {state} after {limit} s (option dataproc_create_timeout); it is being deleted: "
            f"{cluster.status.detail.strip() or 'Dataproc gives no reason'}"
        )
        return Status(Outcome(Verdict.FAILED, reason=reason, log=console), state)

    def _age(self, cluster: Any) -> float:
        """Seconds since the creation of a cluster started, at least, by the clock of Dataproc alone or that of this machine alone."""
        moments = [_moment(status) for status in (cluster.status, *cluster.status_history)]
        began = min((moment for moment in moments if moment > 0), default=0.0)
        here = time.monotonic() - self._first_seen.setdefault(cluster.cluster_uuid, time.monotonic())
        for moment in moments:
            self._clock.note(moment)
        return max(here, self._clock.since(began) if began else 0.0)

    def _failed(self, what: str, cluster: Any, console: str) -> Outcome:
        name = cluster.cluster_name
        said = (cluster.status.detail.strip(), self._error(name, self._operations.get(name) or self._listed(name)))
        reason = "; ".join(dict.fromkeys(filter(None, said))) or "Dataproc gives no reason"
        return Outcome(Verdict.FAILED, reason=f"{what}: {reason}", log=console)

    def _error(self, name: str, operation: str | None) -> str:
        """The error of the operation that creates a cluster, as far as it is known."""
        if not operation:
            return ""
        try:
            told = self._operation(operation)
        except StarlakeError as error:
            logger.info("the creation of cluster %s cannot be queried: %s", name, error)
            return ""
        return str(told.error.message).strip() if told.done and told.HasField("error") else ""

    def _listed(self, name: str) -> str:
        """The operation that created a cluster, if another process started it; empty if it is not listed."""
        ask: Callable[..., Any] = self._client.list_operations
        place = f"projects/{self._project}/regions/{self._region}/operations"
        wanted = {"name": place, "filter": f"clusterName = {name} AND operationType = CREATE", "page_size": 20}
        try:
            told = self._calls.run(
                lambda: ask(wanted, retry=None, timeout=self._calls.attempt_seconds),
                f"looking for the creation of cluster {name}",
                method=ask,
            )
        except StarlakeError as error:  # it would only have added to the reason
            logger.info("%s", error)
            return ""
        for operation in told.operations:
            about = dataproc_v1.ClusterOperationMetadata.pb()()
            if operation.metadata.Unpack(about) and about.cluster_name == name and operation.HasField("error"):
                return str(operation.name)
        return ""

    def _operation(self, name: str) -> Any:
        ask: Callable[..., Any] = self._client.get_operation
        return self._calls.run(
            lambda: ask({"name": name}, retry=None, timeout=self._calls.attempt_seconds),
            f"looking at {name}",
            method=ask,
        )

    def _deletion(self, handle: str, console: str) -> Status:
        try:
            operation = self._operation(handle)
        except RunnerError as error:
            if caused_by(error, exceptions.NotFound):
                return Status(
                    Outcome(Verdict.LOST, reason="Dataproc does not know this operation", log=console), "gone"
                )
            raise
        if not operation.done:
            return Status(detail="DELETING")
        not_found = 5
        if operation.HasField("error") and operation.error.code != not_found:
            return Status(
                Outcome(Verdict.FAILED, reason=f"the cluster was not deleted: {operation.error.message}", log=console),
                "ERROR",
            )
        return Status(Outcome(Verdict.SUCCEEDED, log=console), "DELETED")

    def cancel(self, handle: str) -> None:
        """Give up a cluster that is not ready yet by deleting it. One that is ready stays, and a deletion is not undone.

        Args:
            handle: the handle of the attempt.
        """
        found = _CLUSTER.fullmatch(handle)
        if found is None or found[4]:
            return
        cluster = self._get(found[3])
        if cluster is not None and cluster.status.state.name in _COMING:
            self._start_deleting(found[3], cluster.cluster_uuid)


def _moment(status: Any) -> float:
    """When a state of a cluster started, in seconds since the epoch; 0 if that is unknown."""
    return seconds(type(status).pb(status).state_start_time)
