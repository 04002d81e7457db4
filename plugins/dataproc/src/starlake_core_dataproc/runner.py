"""Runs jobs on Dataproc: on clusters and serverless, and makes and deletes clusters."""

from __future__ import annotations

import json
import logging
import shlex
import time
from collections.abc import Mapping, Sequence
from typing import Any

from starlake_core_google import Calls, CloudLogs, Markers, Objects, connect

from starlake_core import Job, RunKey, StarlakeError
from starlake_core.runtime import Found, Outcome, Status, Verdict

from .batches import Batches
from .clusters import Clusters
from .describing import gcloud
from .jobs import Jobs
from .output import Output
from .requests import with_own_marker
from .told import Told, status_of

__all__ = ["DataprocRunner"]

logger = logging.getLogger(__name__)

# Up to so many are asked for one by one, which also tells their end at once.
_FEW = 3
_GONE = "Dataproc does not know it any more: the job was deleted"
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


class DataprocRunner:
    """Submits, polls and cancels in one region of one project, from any process and several threads.

    Args:
        endpoint: of the jobs; all that is known of the place is in it.

    Raises:
        RunnerError: there are no credentials.
    """

    detached = True

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
        self._output = Output(objects, CloudLogs(connection, project, about["logging"]))
        self._jobs = Jobs(connection, calls, project, region)
        self._batches = Batches(connection, calls, project, region)
        self._clusters = Clusters(connection, calls, project, region, self.interval)

    def _of(self, handle: str) -> Jobs | Batches:
        return self._batches if self._batches.knows(handle) else self._jobs

    def _for(self, job: Job) -> Jobs | Batches:
        return self._batches if job.spec["mode"] == "serverless" else self._jobs

    # -- runs

    def find(self, job: Job, task: str) -> Sequence[Found]:
        """The attempts of a task, found by a label. The making of a cluster has none: see :mod:`.clusters`.

        Args:
            job: bound.
            task: the stable part of the key.
        """
        if "mode" not in job.spec:
            return ()
        told = [one for one in self._for(job).of_task(RunKey(task, "").task_hash) if one.task == task]
        told.sort(key=lambda one: (one.submitted, one.handle))
        return [Found(one.attempt, one.handle, self._status(one)) for one in told]

    def submit(self, job: Job, key: RunKey) -> str:
        """Start an attempt. Job id and request id are made from the key, so that Dataproc itself knows a second submission.

        Args:
            job: bound.
            key: of the attempt.

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
                return handle  # it may have left its marker already
            self._markers.clear(marker)
        return service.submit(job, key)

    def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
        """The states of attempts: one list of all that are going on, and a look at each one that is not in it.

        Args:
            handles: of the attempts.
        """
        result: dict[str, Status] = {}
        kinds: tuple[tuple[Jobs | Batches, list[str]], ...] = ((self._jobs, []), (self._batches, []))
        for handle in handles:
            if self._clusters.knows(handle):
                result[handle] = self._clusters.status(handle, self.console(handle))
                continue
            for service, asked in kinds:
                if service.knows(handle):
                    asked.append(handle)
                    break
            else:
                result[handle] = Status(
                    Outcome(Verdict.LOST, reason=f"{handle!r} names nothing of Dataproc"), "unknown"
                )
        for service, asked in kinds:
            result.update(self._polled(service, asked))
        return result

    def _polled(self, service: Jobs | Batches, handles: Sequence[str]) -> dict[str, Status]:
        live = service.live() if len(handles) > _FEW else {}
        going = {state: Status(detail=state) for state, _, _ in live.values()}
        result = {}
        for handle in handles:
            if handle in live:
                state, timeout, submitted = live[handle]
                self._expire(service, handle, timeout, submitted, state)
                result[handle] = going[state]
                continue
            told = service.get(handle)
            if told is None:
                result[handle] = Status(Outcome(Verdict.LOST, reason=_GONE, log=self.console(handle)), "unknown")
                continue
            if told.verdict is None:
                self._expire(service, handle, told.timeout, told.submitted, told.state)
            result[handle] = self._status(told)
        return result

    def _expire(self, service: Jobs | Batches, handle: str, timeout: int | None, submitted: float, state: str) -> None:
        """Cancel what takes longer than it may."""
        if timeout is not None and not state.startswith("CANCEL") and time.time() - submitted > timeout:
            logger.warning(
                "%s has not ended within %d s (option dataproc_job_wait_timeout); it is cancelled", handle, timeout
            )
            try:
                service.cancel(handle)
            except StarlakeError as error:  # the others that are asked about have nothing to do with it
                logger.warning("%s cannot be cancelled now: %s", handle, error)

    def _status(self, told: Told) -> Status:
        return status_of(told, self._markers, self.console(told.handle))

    def cancel(self, handle: str) -> None:
        """Ask for the end of an attempt; one that has ended stays as it is.

        Args:
            handle: of the attempt.
        """
        if self._clusters.knows(handle):
            self._clusters.cancel(handle)
        elif self._of(handle).knows(handle):
            self._of(handle).cancel(handle)

    # -- for people

    def logs(self, handle: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
        """Lines of the driver after a cursor; a cluster writes none.

        Args:
            handle: of the attempt.
            cursor: what the last call returned; None at first.
        """
        told = self._read(handle)
        return ((), cursor) if told is None else self._output.after(told, cursor)

    def tail(self, handle: str, count: int) -> Sequence[str]:
        """The last lines of the driver.

        Args:
            handle: of an ended attempt.
            count: how many.
        """
        told = self._read(handle)
        return () if told is None else self._output.last(told, count)

    def _read(self, handle: str) -> Told | None:
        service = self._of(handle)
        return service.get(handle) if service.knows(handle) else None

    def console(self, handle: str) -> str:
        """Where a person can watch an attempt.

        Args:
            handle: of the attempt.
        """
        _, project, _, region, kind, name = [*handle.partition("?")[0].split("/"), *[""] * 6][:6]
        if kind == "batches":
            return f"{_CONSOLE}/batches/{region}/{name}?project={project}"
        if kind == "operations":
            return f"{_CONSOLE}/clusters?region={region}&project={project}"
        return f"{_CONSOLE}/{kind or 'jobs'}/{name}?region={region}&project={project}"

    def describe(self, job: Job) -> str:
        """The call of gcloud that does the same, with secrets masked.

        Args:
            job: bound.
        """
        return shlex.join(gcloud(job.masked()))
