"""Runs jobs on Dataproc, on clusters and serverless, and creates and deletes clusters."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from starlake_core_google import BucketFolders, Calls, CloudLogs, Objects, ServiceClock, Sightings, connect, one_by_one

from starlake_core import Job, OutageError, RunKey, StarlakeError
from starlake_core.logs import get_logger
from starlake_core.runtime import Aside, AttemptInfo, Markers, Outcome, Recent, Runner, Status, Storage, Verdict

from .client import BatchClient, DriverClient, JobClient
from .clusters import Clusters
from .command_line import command_line
from .naming import TASK_LABEL
from .output import Output
from .request import with_own_marker
from .state import DriverRun, is_stopping, status_of

__all__ = ["DataprocRunner"]

logger = get_logger(__name__)

# Up to this many are queried one by one, which also returns their end at once.
_FEW = 3
_POLL_SECONDS = 15.0
"""How long a call of a poll is retried, and about how long a poll queries one by one, in seconds. Another poll comes soon."""
_GRACE_SECONDS = 60.0
_REMEMBERED = 20_000
_GONE = "Dataproc no longer knows it: the job was deleted"
_EDITOR = "roles/dataproc.editor"
_WITH_ACCOUNT = f"{_EDITOR} (and roles/iam.serviceAccountUser on the service account of the machines)"
_ROLES = {
    **{
        f"{verb}_{what}": _EDITOR
        for verb in ("submit", "get", "list", "cancel", "delete")
        for what in ("job", "batch", "cluster")
    },
    **{"list_jobs": _EDITOR, "list_batches": _EDITOR, "get_operation": _EDITOR, "cancel_operation": _EDITOR},
    **{"create_cluster": _WITH_ACCOUNT, "create_batch": _WITH_ACCOUNT},
}
_CONSOLE = "https://console.cloud.google.com/dataproc"


class DataprocRunner(Runner):
    """Submits, polls and cancels in one region of one project, from any process and several threads.

    Args:
        endpoint: the endpoint of the jobs, which says everything about the place.

    Raises:
        RunnerError: there are no credentials.
    """

    detached = True
    labelled = True

    def __init__(self, endpoint: str) -> None:
        about: dict[str, Any] = json.loads(endpoint)
        project, region = about["project"], about["region"]
        self.interval = float(about["interval"])
        self.follows = bool(about["follow"])
        connection = connect(about["endpoint"], about["impersonate"])
        calls = Calls("Dataproc", _ROLES, first_pause=min(0.5, self.interval))
        quick = Calls("Cloud Storage", first_pause=min(0.5, self.interval))
        objects = Objects(connection, about["storage"], quick)
        self._project, self._region = project, region
        self._markers = Markers(objects)
        self._folders = BucketFolders(objects)
        self._output = Output(objects, CloudLogs(connection, project, about["logging"]))
        self._sightings = Sightings(float(about.get("missing_grace", _GRACE_SECONDS)))
        self._clock = ServiceClock()
        self._jobs = JobClient(connection, calls, project, region, self._clock)
        self._batches = BatchClient(connection, calls, project, region, self._clock)
        self._clusters = Clusters(connection, calls, project, region, self.interval, self._clock)
        self._aside = Aside()
        # The task of each handle that was submitted or seen here, by which a list shows it.
        self._tasks: Recent[str, str] = Recent(_REMEMBERED)
        self._stopped: Recent[str, bool] = Recent(_REMEMBERED)
        self._troubled: frozenset[str] = frozenset()

    def _of(self, handle: str) -> DriverClient:
        return self._batches if self._batches.knows(handle) else self._jobs

    def _for(self, job: Job) -> DriverClient:
        return self._batches if job.spec["mode"] == "serverless" else self._jobs

    # -- runs

    def storage(self, root: str) -> Storage | None:
        """The storage that holds a project in Cloud Storage."""
        return self._folders if root.startswith("gs://") else None

    def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
        """The attempts of a task, found by a label. The creation of a cluster has none: see :mod:`.clusters`.

        Args:
            job: a bound job.
            task: the stable part of the key.
        """
        if "mode" not in job.spec:
            return ()
        told = [one for one in self._for(job).of_task(RunKey(task, "").task_hash) if one.task == task]
        # A list that changes between two pages may show an attempt twice.
        told = sorted({one.handle: one for one in told}.values(), key=lambda one: (one.submitted, one.handle))
        until = self._aside.until()
        return [AttemptInfo.told(one.env, one.handle, self._found_status(one, until)) for one in told]

    def _found_status(self, told: DriverRun, until: float) -> Status:
        self._see(told)
        status = self._status(told, until)
        if status.error is not None and told.verdict is not None:
            # It has ended; a poll says how.
            return Status(Outcome(told.verdict, reason=told.state, log=self.console_url(told.handle)), told.state)
        return status

    def submit(self, job: Job, key: RunKey) -> str:
        """Start an attempt. Job id and request id are derived from the key, so that Dataproc itself recognises a repeated submission.

        Args:
            job: a bound job.
            key: the key of the attempt.

        Raises:
            RunnerError: a permission, a quota, the cluster or a bucket is missing, or the request is wrong.
            OutageError: Dataproc does not answer.
        """
        if "mode" not in job.spec:
            return self._clusters.submit(job)
        service = self._for(job)
        marker, job = with_own_marker(job, key)
        if marker is not None:
            handle = service.handle_of(key)
            if service.get(handle) is not None:
                return handle  # it may already have left its marker
            self._markers.clear(marker)
        handle = service.submit(job, key)
        self._tasks.put(handle, key.task_hash)
        self._sightings.expect(handle)
        return handle

    def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
        """The states of attempts: one list call for all that are running, and one call for each that is not in the list.

        An attempt that cannot be queried now gets a status with the error, and does not hide the others.

        Args:
            handles: the handles of the attempts.
        """
        until = self._aside.until()
        result: dict[str, Status] = {}
        kinds: tuple[tuple[DriverClient, list[str]], ...] = ((self._jobs, []), (self._batches, []))
        clusters: list[str] = []
        for handle in handles:
            if self._clusters.knows(handle):
                clusters.append(handle)
                continue
            for service, asked in kinds:
                if service.knows(handle):
                    asked.append(handle)
                    break
            else:
                result[handle] = Status(
                    Outcome(Verdict.LOST, reason=f"{handle!r} is not the name of a Dataproc resource"), "unknown"
                )
        for service, asked in kinds:
            result.update(self._polled(service, asked, until))
        result.update(self._made(clusters))
        self._troubled = frozenset(handle for handle, status in result.items() if status.error is not None)
        return result

    def _made(self, handles: Sequence[str]) -> dict[str, Status]:
        """The progress of clusters that are created or deleted."""
        brief, once = self._clusters.brief(_POLL_SECONDS), self._clusters.brief(0.0)
        found = one_by_one(
            handles,
            lambda handle: brief.status(handle, self.console_url(handle)),
            lambda handle: once.status(handle, self.console_url(handle)),
            self._troubled,
            _POLL_SECONDS,
        )
        return {
            handle: Status(error=told) if isinstance(told, StarlakeError) else told for handle, told in found.items()
        }

    def _polled(self, service: DriverClient, handles: Sequence[str], until: float) -> dict[str, Status]:
        brief = service.brief(_POLL_SECONDS)
        try:
            live = brief.live() if len(handles) > _FEW else {}
        except StarlakeError as error:
            return {handle: Status(error=error) for handle in handles}
        going = {state: Status(detail=state, stopping=is_stopping(state)) for state, _, _ in live.values()}
        result = {}
        for handle in handles:
            if handle in live:
                state, timeout, submitted = live[handle]
                self._sightings.note(handle)
                self._expire(service, handle, timeout, submitted, state, until)
                stopping = not going[state].stopping and handle in self._stopped
                result[handle] = replace(going[state], stopping=True) if stopping else going[state]
        rest = [handle for handle in handles if handle not in live]
        found = one_by_one(rest, brief.get, service.brief(0.0).get, self._troubled, _POLL_SECONDS)
        for handle, told in found.items():
            if isinstance(told, StarlakeError):
                result[handle] = Status(error=told)
            elif told is None:
                result[handle] = self._missing(brief, handle)
            else:
                self._see(told)
                if told.verdict is None:
                    self._expire(service, handle, told.timeout, told.submitted, told.state, until)
                result[handle] = self._status(told, until)
        return result

    def _see(self, told: DriverRun) -> None:
        self._sightings.note(told.handle)
        self._tasks.put(told.handle, told.labels.get(TASK_LABEL, ""))

    def _missing(self, service: DriverClient, handle: str) -> Status:
        """The status of what Dataproc does not know: not yet, no longer, or only in a part of Dataproc that lags."""
        task = self._tasks.get(handle)
        try:
            shown = bool(task) and handle in service.listed(str(task))
        except StarlakeError as error:
            return Status(error=error)
        if shown:
            return Status(error=OutageError(f"Dataproc lists {handle}, but also reports that it does not exist"))
        if self._sightings.may_come(handle):
            return Status(detail="pending: Dataproc does not know it yet")
        return Status(Outcome(Verdict.LOST, reason=_GONE, log=self.console_url(handle)), "unknown")

    def _expire(
        self, service: DriverClient, handle: str, timeout: int | None, submitted: float, state: str, until: float
    ) -> None:
        """Cancel an attempt that takes longer than allowed, by the clock of Dataproc."""
        if timeout is None or is_stopping(state) or self._clock.since(submitted) <= timeout:
            return
        logger.warning(
            "%s has not ended within %d s (option dataproc_job_wait_timeout); it is cancelled", handle, timeout
        )
        try:
            self._aside.ask(("cancel", handle), lambda: service.cancel(handle), until)
        except StarlakeError as error:  # this does not concern the others that are polled
            logger.warning("%s cannot be cancelled now: %s", handle, error)

    def _status(self, told: DriverRun, until: float) -> Status:
        console = self.console_url(told.handle)
        if not told.check or told.verdict is None:
            status = status_of(told, self._markers, console)
            stopping = not status.ended and told.handle in self._stopped
            return replace(status, stopping=True) if stopping else status
        try:
            return self._aside.ask(told.handle, lambda: status_of(told, self._markers, console), until)
        except StarlakeError as error:
            # How the check ended is not known yet; the next poll asks again.
            return Status(detail=f"{told.state}; its marker cannot be read now", stopping=True, error=error)

    def cancel(self, handle: str) -> None:
        """Request the end of an attempt; one that has ended is left as it is.

        Args:
            handle: the handle of the attempt.
        """
        if self._clusters.knows(handle):
            self._clusters.cancel(handle)
        elif self._of(handle).knows(handle):
            self._of(handle).cancel(handle)
            self._stopped.put(handle, True)

    # -- for users

    def logs(self, handle: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
        """Lines of the driver after a cursor; a cluster writes none.

        Args:
            handle: the handle of the attempt.
            cursor: the cursor that the last call returned; None at first.
        """
        told = self._read(handle)
        return ((), cursor) if told is None else self._output.after(told, cursor)

    def tail(self, handle: str, count: int) -> Sequence[str]:
        """The last lines of the driver.

        Args:
            handle: the handle of an ended attempt.
            count: how many lines.
        """
        told = self._read(handle)
        return () if told is None else self._output.last(told, count)

    def _read(self, handle: str) -> DriverRun | None:
        service = self._of(handle)
        return service.get(handle) if service.knows(handle) else None

    def console_url(self, handle: str) -> str:
        """The address of an attempt in the console.

        Args:
            handle: the handle of the attempt.
        """
        _, project, _, region, kind, name = [*handle.partition("?")[0].split("/"), *[""] * 6][:6]
        if kind == "batches":
            return f"{_CONSOLE}/batches/{region}/{name}?project={project}"
        if kind == "operations":
            return f"{_CONSOLE}/clusters?region={region}&project={project}"
        return f"{_CONSOLE}/{kind or 'jobs'}/{name}?region={region}&project={project}"

    def describe(self, job: Job) -> str:
        """The gcloud command that does the same, with secrets masked.

        Args:
            job: a bound job.
        """
        return command_line(job)
