"""The runner: submits, finds, polls, cancels and reads executions of a Cloud Run job."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from starlake_core_google import Calls, CloudLogs, Markers, Objects, UnclearError, connect

from starlake_core import Job, OutageError, RunKey, RunnerError, StarlakeError
from starlake_core.masking import mask_text
from starlake_core.runtime import Found, Outcome, Status, Verdict, remote_marker

from .executions import Seen, console, outcome_of, parent_of, secrets_of, state_of
from .history import History
from .request import gcloud, job_name, run_request
from .service import Service

__all__ = ["CloudRunRunner"]

logger = logging.getLogger(__name__)

_LOOKS = True
"""Whether a submission looks for executions of its key, before it, after it and where it had no answer. Switched off, runs are
doubled: that is the negative control of the fault tests."""

_REMEMBERED = 4096
_FRESH_SECONDS = 5.0
_GRACE_SECONDS = 60.0
_LOG_LAG_SECONDS = 2.0
_LOG_READINGS = 3


class CloudRunRunner:
    """Runs jobs as executions of a Cloud Run job.

    An execution tells by its variables whose it is, so every process can find it. Cloud Run has no request ids: a submission looks for its
    key before it and after it; of several executions with one key the oldest goes on, and the others are cancelled.

    Args:
        spec: of a job of the endpoint.
        calls: how the service is called, for tests.
    """

    def __init__(self, spec: Mapping[str, Any], calls: Calls | None = None) -> None:
        self.interval = float(spec["interval"])
        self.detached = bool(spec["detached"])
        self.follows = bool(spec["follow_logs"])
        self._lag = float(spec["list_lag"])
        connection = connect(spec.get("endpoint", ""), spec.get("service_account", ""))
        self._service = Service(connection, calls or Calls("Cloud Run"), spec)
        of_storage = None if calls is None else replace(calls, service="Cloud Storage")
        of_logging = None if calls is None else replace(calls, service="Cloud Logging")
        self._markers = Markers(Objects(connection, spec.get("storage_endpoint", ""), of_storage))
        self._logs = CloudLogs(connection, spec["project"], spec.get("logging_endpoint", ""), of_logging)
        self._history = History(self._service.page, int(spec["history"]), self._lag)
        self._submitting: dict[RunKey, tuple[threading.Lock, int]] = {}
        self._looked: OrderedDict[str, float] = OrderedDict()
        self._submitted: OrderedDict[str, float] = OrderedDict()
        self._secrets: OrderedDict[str, tuple[str, ...]] = OrderedDict()
        self._lock = threading.Lock()

    def describe(self, job: Job) -> str:
        """The gcloud command that starts the same; secrets are masked.

        Args:
            job: bound.
        """
        return gcloud(job)

    def console(self, handle: str) -> str:
        """The address at which a person can watch an execution.

        Args:
            handle: full name of the execution.
        """
        return console(handle)

    # -- find and submit

    def find(self, job: Job, task: str) -> Sequence[Found]:
        """The attempts of a task among the newest executions of the job, the oldest first.

        Of an attempt that has ended it only says that, and whether it failed; ``poll`` says how.

        Args:
            job: bound.
            task: stable part of the key.
        """
        found = self._look(job_name(job.spec), task)
        self._remember(self._looked, task, time.monotonic())
        return [Found(execution.attempt, execution.handle, execution.status) for execution in found]

    def _look(self, parent: str, task: str, started: str = "") -> list[Seen]:
        """The executions of a task, one for each attempt, as they are now; one that was started just now need not be looked at."""
        number = self._history.look(parent)
        found: dict[str, Seen] = {}
        for execution in self._history.of_task(parent, task):
            known = execution.ended or execution.handle == started or self._history.is_fresh(execution.handle, number)
            current = execution if known else self._current(execution)
            if current is None:
                continue
            first = found.setdefault(current.attempt, current)
            if first is not current and not current.ended:
                self._stop_double(current, first)
        return list(found.values())

    def _current(self, execution: Seen) -> Seen | None:
        """An execution as it is now: a look does not read again what is old."""
        message = self._service.get(execution.handle)
        if message is None:
            self._history.forget(execution.handle)
            return None
        return self._history.note(parent_of(execution.handle), message)

    def _stop_double(self, double: Seen, first: Seen) -> None:
        logger.warning(
            "%s attempt %s runs twice; the older execution goes on (%s), the younger one is cancelled (%s)",
            double.task,
            double.attempt,
            first.handle,
            double.handle,
        )
        self.cancel(double.handle)

    def submit(self, job: Job, key: RunKey) -> str:
        """Start an execution for an attempt, unless there is one; see the class.

        Args:
            job: bound.
            key: of the attempt.

        Returns:
            The full name of the execution.
        """
        with self._alone(key):
            parent = job_name(job.spec)
            marker, job = remote_marker(job, key, "gs")
            with self._lock:
                looked = self._looked.pop(key.task, None)
            # Who has just looked for the task need not do it again; the look that follows the submission finds what came between. A
            # marker is not deleted on such old news.
            fresh = looked is not None and time.monotonic() - looked < _FRESH_SECONDS and marker is None
            if _LOOKS and not fresh:
                earlier = self._of_key(parent, key)
                if earlier is not None:
                    return earlier
            if marker is not None:
                self._markers.clear(marker)
            handle = self._run(parent, key, run_request(job.spec, job.arguments, job.env, key))
            if not _LOOKS:
                return handle
            return self._of_key(parent, key, handle) or handle

    @contextmanager
    def _alone(self, key: RunKey) -> Iterator[None]:
        """One thread at a time for each key."""
        with self._lock:
            lock, waiting = self._submitting.get(key, (threading.Lock(), 0))
            self._submitting[key] = (lock, waiting + 1)
        try:
            with lock:
                yield
        finally:
            with self._lock:
                lock, waiting = self._submitting[key]
                if waiting == 1:
                    del self._submitting[key]
                else:
                    self._submitting[key] = (lock, waiting - 1)

    def _of_key(self, parent: str, key: RunKey, started: str = "") -> str | None:
        """The execution of a key that goes on, or went on to its end."""
        found = self._look(parent, key.task, started)
        return next((execution.handle for execution in found if execution.attempt == key.attempt), None)

    def _run(self, parent: str, key: RunKey, request: Mapping[str, Any]) -> str:
        """Ask for an execution until it is certain that there is one."""
        seconds, pause = self._service.calls.total_seconds, self._service.calls.first_pause
        deadline = time.monotonic() + seconds
        while True:
            try:
                execution = self._service.run(request)
                break
            except UnclearError as error:
                logger.warning("%s; looking whether there is an execution of %s", error, key.task)
                handle = self._after_silence(parent, key)
                if handle is not None:
                    return handle
                if time.monotonic() >= deadline:
                    raise OutageError(
                        f"{error}. No execution was started in {seconds:g} s, as far as is known"
                    ) from error
                time.sleep(pause)
                pause = min(10.0, pause * 2)
        handle = f"{parent}/executions/{execution.name.rpartition('/')[2]}"
        self._history.note(parent, execution)
        self._remember(self._submitted, handle, time.monotonic())
        return handle

    def _after_silence(self, parent: str, key: RunKey) -> str | None:
        """The execution of a submission that had no answer, if it was started all the same."""
        if not _LOOKS:
            return None
        handle = self._of_key(parent, key)
        if handle is None and self._lag:
            time.sleep(self._lag)
            handle = self._of_key(parent, key)
        return handle

    def _remember(self, where: OrderedDict[str, Any], handle: str, value: Any) -> None:
        with self._lock:
            where[handle] = value
            while len(where) > _REMEMBERED:
                where.popitem(last=False)

    # -- poll

    def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
        """The states of executions: one list for all that belong to a Cloud Run job, and a call for each that is not in it.

        A Cloud Run job that cannot be asked about does not hide the others.

        Args:
            handles: full names of executions.

        Raises:
            RunnerError: none of the jobs can be asked about.
            OutageError: Cloud Run does not answer for any of them.
        """
        asked: dict[str, set[str]] = {}
        for handle in handles:
            asked.setdefault(parent_of(handle), set()).add(handle)
        result: dict[str, Status] = {}
        troubles: list[StarlakeError] = []
        for parent, group in asked.items():
            try:
                messages = self._states(parent, group)
            except OutageError as error:
                troubles.append(error)
                result.update((handle, Status(detail="unknown: Cloud Run did not answer")) for handle in group)
            except RunnerError as error:
                troubles.append(error)
                result.update((handle, _unknowable(handle, error)) for handle in group)
            else:
                result.update((handle, self._status(handle, messages.get(handle))) for handle in group)
        if troubles and len(troubles) == len(asked):
            raise next((trouble for trouble in troubles if isinstance(trouble, OutageError)), troubles[0])
        for trouble in troubles:
            logger.warning("%s", trouble)
        return result

    def _states(self, parent: str, handles: set[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        missing = set(handles)
        oldest = self._history.oldest(parent, handles)
        token, fruitless = "", 0
        # Pages are read as long as they cost less than asking for the rest one by one.
        while len(missing) > max(1, fruitless):
            executions, token = self._service.page(parent, token)
            before = len(missing)
            for execution in executions:
                handle = f"{parent}/executions/{execution.name.rpartition('/')[2]}"
                if handle in missing:
                    found[handle] = execution
                    missing.discard(handle)
            fruitless = 0 if len(missing) < before else fruitless + 1
            last = executions[-1].create_time if executions else None
            if not token or (oldest is not None and last is not None and (last.seconds, last.nanos) < oldest):
                break
        for handle in sorted(missing):
            message = self._service.get(handle)
            if message is not None:
                found[handle] = message
        return found

    def _status(self, handle: str, message: Any) -> Status:
        if message is None:
            with self._lock:
                submitted = self._submitted.get(handle)
            if submitted is not None and time.monotonic() - submitted < _GRACE_SECONDS:
                return Status(detail="pending")
            self._history.forget(handle)
            return Status(
                Outcome(
                    Verdict.LOST, reason="Cloud Run does not know this execution: it was deleted", log=console(handle)
                ),
                "unknown",
            )
        try:
            outcome = outcome_of(message, handle, lambda: self._service.tasks(handle), self._markers.seen)
        except OutageError as error:
            # How it ended is not known yet; the next poll asks again, and what else is polled is not held up.
            logger.warning("the end of %s cannot be read now: %s", handle, error)
            return Status(detail="ending")
        except RunnerError as error:
            outcome = Outcome(Verdict.FAILED, reason=f"how it ended cannot be read: {error}", log=console(handle))
        if outcome is not None:
            self._history.note(parent_of(handle), message)
            self._remember(self._secrets, handle, secrets_of(message))
        return Status(outcome, state_of(message))

    # -- cancel and logs

    def cancel(self, handle: str) -> None:
        """Ask for the end of an execution; one that has ended, or is not known, stays as it is.

        Args:
            handle: full name of the execution.
        """
        self._service.cancel(handle)

    def logs(self, handle: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
        """Lines of output after a cursor, from Cloud Logging.

        Args:
            handle: full name of the execution.
            cursor: what the last call returned; None at first.
        """
        secrets = self._secrets_of(handle)
        lines, cursor = self._logs.after(_condition(handle), cursor)
        return [mask_text(line, secrets) for line in lines], cursor

    def tail(self, handle: str, count: int) -> Sequence[str]:
        """The last lines of an ended execution. They take a while to arrive: where there is none yet, they are asked for again.

        Args:
            handle: full name of the execution.
            count: how many.
        """
        secrets = self._secrets_of(handle)
        for number in range(_LOG_READINGS):
            lines = self._logs.last(_condition(handle), count)
            if lines or not self._logs.available or number == _LOG_READINGS - 1:
                break
            time.sleep(_LOG_LAG_SECONDS)
        return [mask_text(line, secrets) for line in lines]

    def _secrets_of(self, handle: str) -> tuple[str, ...]:
        with self._lock:
            known = self._secrets.get(handle)
        if known is None:
            message = self._service.get(handle)
            known = () if message is None else secrets_of(message)
            self._remember(self._secrets, handle, known)
        return known


def _unknowable(handle: str, error: RunnerError) -> Status:
    """The state of an execution that cannot be asked about while others can."""
    return Status(Outcome(Verdict.LOST, reason=f"how it ends cannot be read: {error}", log=console(handle)), "unknown")


def _condition(handle: str) -> str:
    """The filter for the output of an execution."""
    _, _, _, region, _, job, _, execution = handle.split("/")
    return (
        f'resource.type="cloud_run_job" AND resource.labels.job_name="{job}" AND resource.labels.location="{region}" AND '
        f'labels."run.googleapis.com/execution_name"="{execution}"'
    )
