"""The Dataproc calls of the runner for drivers: jobs on a cluster, and batches of Dataproc Serverless."""

from __future__ import annotations

import copy
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from google.api_core import exceptions
from google.cloud import dataproc_v1
from starlake_core_google import Calls, Connection, ServiceClock

from starlake_core import Job, RunKey, RunnerError
from starlake_core.runtime import Verdict

from .documents import message_of
from .naming import OWNER_LABEL, TASK_LABEL, batch_id, job_id
from .request import batch_request, job_request
from .state import DriverRun, seconds, timeout_of

__all__ = ["BatchClient", "DriverClient", "JobClient", "LiveRun", "RegionClient", "caused_by"]

_JOB = re.compile(r"projects/([^/]+)/regions/([^/]+)/jobs/([^/?]+)")
_BATCH = re.compile(r"projects/([^/]+)/locations/([^/]+)/batches/([^/?]+)")
# The meaning of these states. All others are still running: ATTEMPT_FAILURE is one of several attempts by Dataproc itself.
_JOB_ENDS = {"DONE": Verdict.SUCCEEDED, "ERROR": Verdict.FAILED, "CANCELLED": Verdict.CANCELLED}
_BATCH_ENDS = {"SUCCEEDED": Verdict.SUCCEEDED, "FAILED": Verdict.FAILED, "CANCELLED": Verdict.CANCELLED}
_JOB_STATES = {int(state): name for name, state in dataproc_v1.JobStatus.State.__members__.items()}
_BATCH_STATES = {int(state): name for name, state in dataproc_v1.Batch.State.__members__.items()}
_LIVE_BATCH = "(state = PENDING OR state = RUNNING OR state = CANCELLING)"

_Client = TypeVar("_Client", bound="RegionClient")
_SDKClient = TypeVar("_SDKClient")


def caused_by(error: RunnerError, *kinds: type[Exception]) -> bool:
    """Whether the error of a call was caused by one of the service's errors.

    Args:
        error: the error of the call.
        kinds: classes of ``google.api_core.exceptions``.
    """
    return isinstance(error.__cause__, kinds)


class RegionClient:
    """The common part of the clients of one region of one project.

    Args:
        connection: the connection to Dataproc.
        calls: how the service is called.
        project, region: the project and the region.
        clock: the clock of Dataproc, which takes in the times that it reports.
    """

    def __init__(self, connection: Connection, calls: Calls, project: str, region: str, clock: ServiceClock) -> None:
        self._connection = connection
        self._calls = calls
        self._project, self._region = project, region
        self._clock = clock

    def _connected(self, kind: type[_SDKClient]) -> _SDKClient:
        return self._connection.client(kind, f"{self._region}-dataproc.googleapis.com:443")

    def brief(self: _Client, seconds: float) -> _Client:
        """A copy with a shorter limit, for calls that are repeated soon anyway.

        Args:
            seconds: how long a call is retried at most; 0 for a single attempt.
        """
        made = copy.copy(self)
        made._calls = self._calls.brief(seconds)
        return made


class LiveRun(NamedTuple):
    """A job or batch in a list of those that have not ended.

    Attributes:
        state: Dataproc's word for its state.
        timeout: after how many seconds to cancel it; None for no limit.
        submitted: when it was submitted, in seconds since the epoch.
    """

    state: str
    timeout: int | None
    submitted: float


class DriverClient(RegionClient, ABC):
    """Drivers of one kind: jobs or batches. Their messages are plain protobuf, because the wrappers of the SDK cost several times as much."""

    _plural: str
    _handle: re.Pattern[str]
    _page_size: int

    def knows(self, handle: str) -> bool:
        """Whether a handle names a driver of this kind.

        Args:
            handle: the handle of an attempt.
        """
        return self._handle.fullmatch(handle) is not None

    @abstractmethod
    def handle_of(self, key: RunKey) -> str:
        """The handle of an attempt.

        Args:
            key: the key of the attempt.
        """

    def submit(self, job: Job, key: RunKey) -> str:
        """Submit a driver; if it exists already, that is the same driver.

        Args:
            job: a bound job.
            key: the key of the attempt.

        Returns:
            The handle of the attempt.
        """
        try:
            self._submit(job, key)
        except RunnerError as error:
            if not caused_by(error, exceptions.AlreadyExists):
                raise
        return self.handle_of(key)

    def get(self, handle: str) -> DriverRun | None:
        """A driver; None if it does not exist.

        Args:
            handle: the handle of the attempt.
        """
        message = self._get(handle)
        return None if message is None else self._run_of(message)

    @abstractmethod
    def of_task(self, task_hash: str) -> list[DriverRun]:
        """The drivers of a task, in any order.

        Args:
            task_hash: the hash of the task.
        """

    @abstractmethod
    def listed(self, task_hash: str) -> set[str]:
        """The handles of the drivers of a task that a list shows.

        Args:
            task_hash: the hash of the task.
        """

    @abstractmethod
    def live(self) -> dict[str, LiveRun]:
        """The drivers of this package that have not ended, by handle."""

    @abstractmethod
    def cancel(self, handle: str) -> None:
        """Request the end of a driver; one that has ended or does not exist is left as it is.

        Args:
            handle: the handle of the attempt.
        """

    @abstractmethod
    def _submit(self, job: Job, key: RunKey) -> None: ...

    @abstractmethod
    def _message(self, handle: str) -> Any:
        """The service's message about a driver."""

    @abstractmethod
    def _run_of(self, message: Any) -> DriverRun: ...

    @abstractmethod
    def _listing(self) -> tuple[Callable[..., Any], Mapping[str, str], str]:
        """The method that lists, the place it lists, and the place for messages."""

    def _get(self, handle: str) -> Any:
        try:
            return self._message(handle)
        except RunnerError as error:
            if caused_by(error, exceptions.NotFound):
                return None
            raise

    def _list(self, condition: str) -> Iterator[Any]:
        method, where, place = self._listing()
        token = ""
        while True:
            request = {**where, "filter": condition, "page_size": self._page_size, "page_token": token}
            pager = self._calls(method, request, f"listing {self._plural} in {place}")
            page = next(iter(pager.pages))  # only the first page of the pager is used, which is one call
            raw = type(page).pb(page)
            yield from getattr(raw, self._plural)
            token = raw.next_page_token
            if not token:
                return

    def _ask_to_end(self, handle: str, call: Callable[[], Any]) -> None:
        """Make the call that cancels a driver. A driver that has ended cannot be cancelled, which is not an error."""
        try:
            call()
        except RunnerError as error:
            if caused_by(error, exceptions.NotFound):
                return
            told = self.get(handle)
            if told is not None and told.verdict is None:
                raise


class JobClient(DriverClient):
    """Jobs on clusters."""

    _plural = "jobs"
    _handle = _JOB
    _page_size = 200

    def __init__(self, connection: Connection, calls: Calls, project: str, region: str, clock: ServiceClock) -> None:
        super().__init__(connection, calls, project, region, clock)
        self._client = self._connected(dataproc_v1.JobControllerClient)

    def handle_of(self, key: RunKey) -> str:
        return self._named(job_id(key))

    def _named(self, name: str) -> str:
        return f"projects/{self._project}/regions/{self._region}/jobs/{name}"

    def _submit(self, job: Job, key: RunKey) -> None:
        cluster = job.spec["cluster"]
        made = self._calls(
            self._client.submit_job,
            dataproc_v1.SubmitJobRequest(job_request(job, key)),
            f"submitting job {job_id(key)} to cluster {cluster} in {self._region}",
            f"Create the cluster {cluster}: pre_tasks() and post_tasks() of the pipeline create and delete one for each run (it is also "
            "deleted when it is idle for longer than dataproc_idle_delete_ttl). Or name an existing one with the option dataproc_cluster, "
            "and check the options dataproc_project_id and dataproc_region",
        )
        self._clock.note(seconds(dataproc_v1.Job.pb(made).status.state_start_time))

    def of_task(self, task_hash: str) -> list[DriverRun]:
        return [self._run_of(job) for job in self._list(f"labels.{TASK_LABEL} = {task_hash}")]

    def listed(self, task_hash: str) -> set[str]:
        return {told.handle for told in self.of_task(task_hash)}

    def live(self) -> dict[str, LiveRun]:
        found = {}
        for job in self._list(f"status.state = ACTIVE AND labels.{OWNER_LABEL} = *"):
            timeout = timeout_of(job.labels)
            submitted = _submitted(job) if timeout is not None else 0.0
            self._clock.note(seconds(job.status.state_start_time))
            state = _JOB_STATES.get(job.status.state, "UNKNOWN")
            if state not in _JOB_ENDS:
                found[self._named(job.reference.job_id)] = LiveRun(state, timeout, submitted)
        return found

    def cancel(self, handle: str) -> None:
        request = self._request(handle)
        self._ask_to_end(
            handle, lambda: self._calls(self._client.cancel_job, request, f"cancelling job {request['job_id']}")
        )

    def _request(self, handle: str) -> dict[str, str]:
        found = self._handle.fullmatch(handle)
        assert found is not None
        return {"project_id": found[1], "region": found[2], "job_id": found[3]}

    def _message(self, handle: str) -> Any:
        request = self._request(handle)
        return dataproc_v1.Job.pb(self._calls(self._client.get_job, request, f"looking at job {request['job_id']}"))

    def _listing(self) -> tuple[Callable[..., Any], Mapping[str, str], str]:
        return self._client.list_jobs, {"project_id": self._project, "region": self._region}, self._region

    def _run_of(self, message: Any) -> DriverRun:
        self._clock.note(seconds(message.status.state_start_time))
        state = _JOB_STATES.get(message.status.state, "UNKNOWN")
        return DriverRun(
            handle=self._named(message.reference.job_id),
            state=state,
            verdict=_JOB_ENDS.get(state),
            details=message.status.details,
            arguments=tuple(message.spark_job.args),
            properties=dict(message.spark_job.properties),
            labels=dict(message.labels),
            submitted=_submitted(message),
            ended=seconds(message.status.state_start_time),
            output=message.driver_output_resource_uri,
        )


def _submitted(job: Any) -> float:
    return min(seconds(status.state_start_time) for status in (*job.status_history, job.status))


class BatchClient(DriverClient):
    """Batches of Dataproc Serverless."""

    _plural = "batches"
    _handle = _BATCH
    _page_size = 500

    def __init__(self, connection: Connection, calls: Calls, project: str, region: str, clock: ServiceClock) -> None:
        super().__init__(connection, calls, project, region, clock)
        self._client = self._connected(dataproc_v1.BatchControllerClient)
        self._parent = f"projects/{project}/locations/{region}"

    def handle_of(self, key: RunKey) -> str:
        return f"{self._parent}/batches/{batch_id(key)}"

    def _submit(self, job: Job, key: RunKey) -> None:
        try:
            request = message_of(dataproc_v1.CreateBatchRequest, batch_request(job, key))
        except ValueError as error:
            raise RunnerError(
                f"batch {batch_id(key)} is not valid: {error} Check the option dataproc_batch_config"
            ) from error
        self._calls(
            self._client.create_batch,
            request,
            f"creating batch {batch_id(key)} in {self._parent}",
            "Check the options dataproc_project_id, dataproc_region and dataproc_subnet",
        )

    def of_task(self, task_hash: str) -> list[DriverRun]:
        # A list does not necessarily contain everything that is known of a batch.
        return [told for told in map(self.get, sorted(self.listed(task_hash))) if told is not None]

    def listed(self, task_hash: str) -> set[str]:
        return {batch.name for batch in self._list(f'labels.{TASK_LABEL} = "{task_hash}"')}

    def live(self) -> dict[str, LiveRun]:
        found = {}
        for batch in self._list(f'{_LIVE_BATCH} AND labels.{OWNER_LABEL} = "run"'):
            state = _BATCH_STATES.get(batch.state, "UNKNOWN")
            self._note(batch)
            if state not in _BATCH_ENDS:
                found[batch.name] = LiveRun(state, timeout_of(batch.labels), seconds(batch.create_time))
        return found

    def cancel(self, handle: str) -> None:
        batch = self._get(handle)
        if batch is None or _BATCH_STATES.get(batch.state) in _BATCH_ENDS:
            return
        method, timeout = self._client.cancel_operation, self._calls.attempt_seconds
        self._ask_to_end(
            handle,
            lambda: self._calls.run(
                lambda: method({"name": batch.operation}, retry=None, timeout=timeout),
                f"cancelling {handle}",
                method=method,
            ),
        )

    def _message(self, handle: str) -> Any:
        return dataproc_v1.Batch.pb(self._calls(self._client.get_batch, {"name": handle}, f"looking at {handle}"))

    def _listing(self) -> tuple[Callable[..., Any], Mapping[str, str], str]:
        return self._client.list_batches, {"parent": self._parent}, self._parent

    def _note(self, batch: Any) -> None:
        self._clock.note(max(seconds(batch.create_time), seconds(batch.state_time)))

    def _run_of(self, message: Any) -> DriverRun:
        self._note(message)
        state = _BATCH_STATES.get(message.state, "UNKNOWN")
        return DriverRun(
            handle=message.name,
            state=state,
            verdict=_BATCH_ENDS.get(state),
            details=message.state_message,
            arguments=tuple(message.spark_batch.args),
            properties=_plain_names(dict(message.runtime_config.properties)),
            labels=dict(message.labels),
            submitted=seconds(message.create_time),
            ended=seconds(message.state_time),
            output=message.runtime_info.output_uri,
        )


def _plain_names(properties: dict[str, str]) -> dict[str, str]:
    """Properties as they were given: the service returns them with the component that they belong to (``spark:spark.executor.cores``)."""
    return {name.partition(":")[2] if name.startswith("spark:") else name: value for name, value in properties.items()}
