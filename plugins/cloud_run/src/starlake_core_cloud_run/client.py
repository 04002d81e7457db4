"""The calls of Cloud Run that the runner makes, with deadlines, retries and errors that say what to do."""

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
    """Cloud Run. Executions and tasks are plain protobuf messages.

    Args:
        connection: with the credentials.
        calls: how it is called.
        spec: of a job of the endpoint, for messages.
    """

    def __init__(self, connection: Connection, calls: Calls, spec: Mapping[str, Any]) -> None:
        self.calls = replace(calls, roles=_ROLES)
        self._jobs = connection.client(run_v2.JobsClient)
        self._executions = connection.client(run_v2.ExecutionsClient)
        self._tasks = connection.client(run_v2.TasksClient)
        self._missing = (
            f"Create the Cloud Run job in project {spec['project']}, region {spec['region']} (gcloud run jobs deploy), or set "
            "cloud_run_project_id, cloud_run_job_region and cloud_run_job_name to where it is"
        )

    def brief(self, seconds: float) -> CloudRunClient:
        """The same, for calls of which another one comes soon.

        Args:
            seconds: for which a call is tried at most; 0 for one attempt.
        """
        made = copy.copy(self)
        made.calls = self.calls.brief(seconds)
        return made

    def run(self, request: Mapping[str, Any]) -> Any:
        """Start an execution.

        Args:
            request: values of a ``RunJobRequest``.

        Returns:
            What is told of the execution at first.

        Raises:
            UnclearError: nobody knows whether one was started.
            RunnerError: none was, and something is to be done about it.
        """
        calls = replace(self.calls, attempt_seconds=self.calls.attempt_seconds * 3)
        doing = f"starting job {request['name'].rpartition('/')[2]}"
        try:
            message = run_v2.RunJobRequest(request)
        except (TypeError, ValueError) as error:
            raise RunnerError(
                f"Cloud Run: {doing}: {mask_text(str(error))}. Correct the option cloud_run_overrides, which could not be checked where "
                "the pipeline was drawn."
            ) from error
        try:
            operation = calls.once(self._jobs.run_job, message, doing, self._missing)
        except RunnerError as error:
            raise _explained(error, request) from error.__cause__
        if not getattr(operation.metadata, "name", ""):
            raise UnclearError(f"Cloud Run: {doing}: the answer does not name the execution that was started")
        return run_v2.Execution.pb(operation.metadata)

    def page(self, parent: str, token: str) -> tuple[Sequence[Any], str]:
        """A page of executions, the newest first, and the token of the next one.

        Args:
            parent: full name of the Cloud Run job.
            token: of the page; empty for the first one.
        """
        request = {"parent": parent, "page_size": _PAGE, "page_token": token}
        doing = f"listing executions of {parent.rpartition('/')[2]}"
        # Of the pager only the first page is taken: it is one call.
        pager = self.calls(self._executions.list_executions, request, doing, self._missing)
        page = run_v2.ListExecutionsResponse.pb(next(iter(pager.pages)))
        return page.executions, page.next_page_token

    def get(self, handle: str) -> Any:
        """An execution; None where there is no such.

        Args:
            handle: its full name.
        """
        try:
            found = self.calls(self._executions.get_execution, {"name": handle}, f"looking at {handle}")
        except RunnerError as error:
            if isinstance(error.__cause__, NotFound):
                return None
            raise
        return run_v2.Execution.pb(found)

    def tasks(self, handle: str) -> Sequence[Any]:
        """The tasks of an execution, as far as the page on which the first failure is.

        Args:
            handle: its full name.
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
        """Ask for the end of an execution; one that has ended, or is not known, stays as it is.

        Args:
            handle: its full name.
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
    """What to do about a container that the job does not have."""
    if not isinstance(error.__cause__, InvalidArgument) or "container" not in str(error):
        return error
    _, project, _, region, _, job = request["name"].split("/")
    given = request["overrides"]["container_overrides"][0].get("name", "")
    asked = f"cloud_run_container is {given!r}" if given else "cloud_run_container is not set"
    return RunnerError(
        f"{error} {asked}: set it to the name of the container that runs Starlake (gcloud run jobs describe {job} --region {region} "
        f"--project {project} shows them), and leave it out where the job has only one."
    )
