"""The Cloud Run calls of the runner, with deadlines, retries and errors that say what to do."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from google.api_core.exceptions import Conflict, FailedPrecondition, InvalidArgument, NotFound
from google.cloud import run_v2
from starlake_core_google import Calls, Connection, UnclearError

from starlake_core import RunnerError
from starlake_core.masking import mask_text

from .state import has_failed, state_of

__all__ = ["CloudRunClient"]

_EXECUTOR = "roles/run.jobsExecutorWithOverrides (or roles/run.developer) on the job"
_VIEWER = "roles/run.viewer (or roles/run.developer) on the job"
_ROLES = {
    "run_job": _EXECUTOR,
    "cancel_execution": _EXECUTOR,
    "list_executions": _VIEWER,
    "get_execution": _VIEWER,
    "list_tasks": _VIEWER,
}
_PAGE = 100


class CloudRunClient:
    """The Cloud Run service. Executions and tasks are plain protobuf messages.

    Args:
        connection: the connection, with credentials.
        calls: how the service is called.
        spec: the spec of a job of the endpoint, for messages.
    """

    def __init__(self, connection: Connection, calls: Calls, spec: Mapping[str, Any]) -> None:
        self.calls = replace(calls, roles=_ROLES)
        self._jobs = connection.client(run_v2.JobsClient)
        self._executions = connection.client(run_v2.ExecutionsClient)
        self._tasks = connection.client(run_v2.TasksClient)
        self._missing = (
            f"Create the Cloud Run job in project {spec['project']}, region {spec['region']} (gcloud run jobs deploy), or set "
            "cloud_run_project_id, cloud_run_job_region and cloud_run_job_name to its project, region and name"
        )

    def brief(self, seconds: float) -> CloudRunClient:
        """A copy with a shorter limit, for calls that are repeated soon anyway.

        Args:
            seconds: how long a call is retried at most; 0 for a single attempt.
        """
        made = copy.copy(self)
        made.calls = self.calls.brief(seconds)
        return made

    def run(self, request: Mapping[str, Any]) -> Any:
        """Start an execution.

        Args:
            request: the values of a ``RunJobRequest``.

        Returns:
            The first message about the execution.

        Raises:
            UnclearError: it is unknown whether an execution was started.
            RunnerError: none was started; the message says what to do.
        """
        calls = replace(self.calls, attempt_seconds=self.calls.attempt_seconds * 3)
        doing = f"starting job {request['name'].rpartition('/')[2]}"
        try:
            message = run_v2.RunJobRequest(request)
        except (TypeError, ValueError) as error:
            raise RunnerError(
                f"Cloud Run: {doing}: {mask_text(str(error))}. Correct the option cloud_run_overrides, which could not be checked "
                "when the pipeline was built."
            ) from error
        try:
            operation = calls.once(self._jobs.run_job, message, doing, self._missing)
        except RunnerError as error:
            raise _explained(error, request) from error.__cause__
        if not getattr(operation.metadata, "name", ""):
            raise UnclearError(f"Cloud Run: {doing}: the response does not name the execution")
        return run_v2.Execution.pb(operation.metadata)

    def page(self, parent: str, token: str) -> tuple[Sequence[Any], str]:
        """A page of executions, newest first, and the token of the next page.

        Args:
            parent: the full name of the Cloud Run job.
            token: the token of the page; empty for the first page.
        """
        request = {"parent": parent, "page_size": _PAGE, "page_token": token}
        doing = f"listing executions of {parent.rpartition('/')[2]}"
        # Only the first page of the pager is used, which is one call.
        pager = self.calls(self._executions.list_executions, request, doing, self._missing)
        page = run_v2.ListExecutionsResponse.pb(next(iter(pager.pages)))
        return page.executions, page.next_page_token

    def get(self, handle: str) -> Any:
        """An execution; None if it does not exist.

        Args:
            handle: the full name of the execution.
        """
        try:
            found = self.calls(self._executions.get_execution, {"name": handle}, f"looking at {handle}")
        except RunnerError as error:
            if isinstance(error.__cause__, NotFound):
                return None
            raise
        return run_v2.Execution.pb(found)

    def tasks(self, handle: str) -> Sequence[Any]:
        """The tasks of an execution, up to the end of the page with the first failure.

        Args:
            handle: the full name of the execution.
        """
        tasks: list[Any] = []
        token = ""
        while True:
            request = {"parent": handle, "page_size": _PAGE, "page_token": token}
            pager = self.calls(self._tasks.list_tasks, request, f"reading exit codes of {handle}")
            page = run_v2.ListTasksResponse.pb(next(iter(pager.pages)))
            tasks += page.tasks
            token = page.next_page_token
            if not token or any(map(has_failed, page.tasks)):
                return tasks

    def cancel(self, handle: str) -> None:
        """Request the end of an execution; one that has ended or is unknown is left as it is.

        Args:
            handle: the full name of the execution.
        """
        try:
            self.calls(self._executions.cancel_execution, {"name": handle}, f"cancelling {handle}")
        except RunnerError as error:
            if isinstance(error.__cause__, NotFound):
                return
            if not isinstance(error.__cause__, (FailedPrecondition, InvalidArgument, Conflict)):
                raise
            message = self.get(handle)
            if message is not None and state_of(message) in ("pending", "running"):
                raise


def _explained(error: RunnerError, request: Mapping[str, Any]) -> RunnerError:
    """Say what to do about a container that the job does not have."""
    if not isinstance(error.__cause__, InvalidArgument) or "container" not in str(error):
        return error
    _, project, _, region, _, job = request["name"].split("/")
    given = request["overrides"]["container_overrides"][0].get("name", "")
    asked = f"cloud_run_container is {given!r}" if given else "cloud_run_container is not set"
    return RunnerError(
        f"{error} {asked}: set it to the name of the container that runs Starlake (gcloud run jobs describe {job} --region {region} "
        f"--project {project} lists them), or leave it out if the job has only one."
    )
