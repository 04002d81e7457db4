"""Jobs on a cluster."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from starlake_core_google import Calls, Connection, ServiceClock

from starlake_core import Job, RunKey, RunnerError
from starlake_core.runtime import Verdict

from .naming import OWNER_LABEL, TASK_LABEL, job_id
from .requests import job_request
from .told import Told, seconds, timeout_of

__all__ = ["Jobs", "caused_by"]

_HANDLE = re.compile(r"projects/([^/]+)/regions/([^/]+)/jobs/([^/?]+)")
_PAGE = 200
# What these words mean for us. The rest is under way: ATTEMPT_FAILURE is one of several tries of Dataproc's own.
_ENDS = {"DONE": Verdict.SUCCEEDED, "ERROR": Verdict.FAILED, "CANCELLED": Verdict.CANCELLED}


def caused_by(error: RunnerError, *names: str) -> bool:
    """Whether an error of a call is one of the service's errors.

    Args:
        error: of a call.
        names: classes of ``google.api_core.exceptions``.
    """
    from google.api_core import exceptions

    return isinstance(error.__cause__, tuple(getattr(exceptions, name) for name in names))


class Jobs:
    """Jobs of one region.

    Args:
        connection: to Dataproc.
        calls: how calls are made.
        project, region: where.
        clock: of Dataproc; it is told what time it is there.
    """

    def __init__(self, connection: Connection, calls: Calls, project: str, region: str, clock: ServiceClock) -> None:
        from google.cloud import dataproc_v1

        self._sdk = dataproc_v1
        self._client = connection.client(dataproc_v1.JobControllerClient, f"{region}-dataproc.googleapis.com:443")
        self._calls = calls
        self._clock = clock
        self._where = {"project_id": project, "region": region}
        self._prefix = f"projects/{project}/regions/{region}/jobs/"
        self._states = {int(state): name for name, state in dataproc_v1.JobStatus.State.__members__.items()}

    def brief(self, seconds: float) -> Jobs:
        """The same, for calls of which another one comes soon.

        Args:
            seconds: for which a call is tried at most; 0 for one try.
        """
        made = copy.copy(self)
        made._calls = replace(self._calls, total_seconds=min(seconds, self._calls.total_seconds))
        return made

    def knows(self, handle: str) -> bool:
        """Whether a handle names a job.

        Args:
            handle: of an attempt.
        """
        return _HANDLE.fullmatch(handle) is not None

    def handle_of(self, key: RunKey) -> str:
        """The handle of an attempt.

        Args:
            key: of the attempt.
        """
        return f"{self._prefix}{job_id(key)}"

    def submit(self, job: Job, key: RunKey) -> str:
        """Submit a job; one that exists already is the same one.

        Args:
            job: bound.
            key: of the attempt.
        """
        request = self._sdk.SubmitJobRequest(job_request(job, key))
        cluster = job.spec["cluster"]
        try:
            made = self._calls(
                self._client.submit_job,
                request,
                f"submitting job {job_id(key)} to cluster {cluster} in {self._where['region']}",
                f"Create the cluster {cluster}: pre_tasks() and post_tasks() of the pipeline make and delete one for each run (it is also "
                "deleted when it is idle for longer than dataproc_idle_delete_ttl), or name one that exists with the option dataproc_cluster; "
                "and check the options dataproc_project_id and dataproc_region",
            )
            self._clock.note(seconds(self._sdk.Job.pb(made).status.state_start_time))
        except RunnerError as error:
            if not caused_by(error, "AlreadyExists"):
                raise
        return self.handle_of(key)

    def get(self, handle: str) -> Told | None:
        """A job, None if there is none.

        Args:
            handle: of the job.
        """
        found = _HANDLE.fullmatch(handle)
        assert found is not None
        request = {"project_id": found[1], "region": found[2], "job_id": found[3]}
        try:
            job = self._calls(self._client.get_job, request, f"looking at job {found[3]}")
        except RunnerError as error:
            if caused_by(error, "NotFound"):
                return None
            raise
        return self._told(self._sdk.Job.pb(job))

    def of_task(self, task_hash: str) -> list[Told]:
        """The jobs of a task, in any order.

        Args:
            task_hash: of the task.
        """
        return [self._told(job) for job in self._list(f"labels.{TASK_LABEL} = {task_hash}")]

    def listed(self, task_hash: str) -> set[str]:
        """Handles of the jobs of a task that a list shows.

        Args:
            task_hash: of the task.
        """
        return {told.handle for told in self.of_task(task_hash)}

    def live(self) -> dict[str, tuple[str, int | None, float]]:
        """Handles of the jobs of this package that have not ended: state, time-out and time of submission."""
        found = {}
        for job in self._list(f"status.state = ACTIVE AND labels.{OWNER_LABEL} = *"):
            timeout = timeout_of(job.labels)
            submitted = _submitted(job) if timeout is not None else 0.0
            self._clock.note(seconds(job.status.state_start_time))
            state = self._states.get(job.status.state, "UNKNOWN")
            if state not in _ENDS:
                found[f"{self._prefix}{job.reference.job_id}"] = (state, timeout, submitted)
        return found

    def cancel(self, handle: str) -> None:
        """Ask for the end of a job; one that has ended or does not exist stays as it is.

        Args:
            handle: of the job.
        """
        found = _HANDLE.fullmatch(handle)
        assert found is not None
        request = {"project_id": found[1], "region": found[2], "job_id": found[3]}
        try:
            self._calls(self._client.cancel_job, request, f"cancelling job {found[3]}")
        except RunnerError as error:
            if caused_by(error, "NotFound"):
                return
            told = self.get(handle)
            if told is not None and told.verdict is None:
                raise

    def _list(self, condition: str) -> Iterator[Any]:
        """Jobs as plain protobuf messages: the wrappers of the SDK cost several times as much."""
        token = ""
        while True:
            request = {**self._where, "filter": condition, "page_size": _PAGE, "page_token": token}
            pager = self._calls(self._client.list_jobs, request, f"listing jobs in {self._where['region']}")
            page = next(iter(pager.pages))  # of the pager only the first page is taken: it is one call
            raw = type(page).pb(page)
            yield from raw.jobs
            token = raw.next_page_token
            if not token:
                return

    def _told(self, job: Any) -> Told:
        self._clock.note(seconds(job.status.state_start_time))
        state = self._states.get(job.status.state, "UNKNOWN")
        properties: Mapping[str, str] = dict(job.spark_job.properties)
        return Told(
            handle=f"{self._prefix}{job.reference.job_id}",
            state=state,
            verdict=_ENDS.get(state),
            details=job.status.details,
            arguments=tuple(job.spark_job.args),
            properties=properties,
            labels=dict(job.labels),
            submitted=_submitted(job),
            ended=seconds(job.status.state_start_time),
            output=job.driver_output_resource_uri,
        )


def _submitted(job: Any) -> float:
    times = [seconds(status.state_start_time) for status in (*job.status_history, job.status)]
    return min(times)
