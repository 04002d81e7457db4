"""The runner: submits, finds, polls and cancels executions of a Cloud Run job, and reads their output."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from starlake_core_google import (
    BucketFolders,
    Calls,
    CloudLogs,
    Objects,
    Sightings,
    UnclearError,
    connect,
    one_by_one,
)

from starlake_core import Job, OutageError, RunKey, RunnerError, StarlakeError
from starlake_core.logs import get_logger
from starlake_core.runtime import (
    Aside,
    AttemptInfo,
    Backoff,
    Markers,
    Outcome,
    Recent,
    Runner,
    Status,
    Storage,
    Verdict,
    pause,
    remote_marker,
)

from .client import CloudRunClient
from .doubles import Doubles
from .history import History
from .output import Output
from .request import command_line, job_name, run_request
from .state import Execution, console, is_stopping, outcome_of, parent_of, state_of

__all__ = ["CloudRunRunner"]

logger = get_logger(__name__)

_REMEMBERED = 20_000
_FRESH_SECONDS = 5.0
_LONGEST_PAUSE = 10.0
_POLL_SECONDS = 15.0
"""How long a call of a poll is retried, and about how long a poll queries one by one, in seconds. Another poll comes soon."""


class CloudRunRunner(Runner):
    """Runs jobs as executions of a Cloud Run job.

    The variables of an execution say which task it belongs to, so every process can find it. Cloud Run has no request ids: a submission searches
    for its key before, after, and again once the list is sure to show what was started. If several executions have one key, the oldest continues
    and the others are cancelled. A process that waits for one of those gets the end of the oldest.

    Args:
        spec: the spec of a job of the endpoint.
        calls: how the service is called; set in tests.
    """

    def __init__(self, spec: Mapping[str, Any], calls: Calls | None = None) -> None:
        self.interval = float(spec["interval"])
        self.detached = bool(spec["detached"])
        self.follows = bool(spec["follow_logs"])
        self._lag = float(spec["list_lag"])
        connection = connect(spec.get("endpoint", ""), spec.get("service_account", ""))
        self._client = CloudRunClient(connection, calls or Calls("Cloud Run"), spec)
        of_storage = None if calls is None else replace(calls, service="Cloud Storage")
        of_logging = None if calls is None else replace(calls, service="Cloud Logging")
        objects = Objects(connection, spec.get("storage_endpoint", ""), of_storage)
        self._markers = Markers(objects)
        self._folders = BucketFolders(objects)
        logs = CloudLogs(connection, spec["project"], spec.get("logging_endpoint", ""), of_logging)
        self._output = Output(self._client, logs)
        self._sightings = Sightings(float(spec.get("missing_grace", 60)))
        self._brief = self._client.brief(_POLL_SECONDS)
        self._history = History(self._client.page, int(spec["history"]), self._lag)
        self._doubles = Doubles(self._look_again, min(1.0, self._lag / 2))
        self._aside = Aside()
        self._submitting: dict[RunKey, tuple[threading.Lock, int]] = {}
        self._looked: Recent[str, float] = Recent()
        self._stopped: Recent[str, bool] = Recent(_REMEMBERED)
        self._doubled: Recent[str, bool] = Recent(_REMEMBERED)
        # Executions after whose first sighting the list is searched for duplicates again.
        self._searched_again: Recent[str, bool] = Recent(_REMEMBERED)
        # For a duplicate that was stopped: the execution that continues.
        self._survivors: Recent[str, str] = Recent(_REMEMBERED)
        self._troubled: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    def describe(self, job: Job) -> str:
        """The gcloud command that starts the same execution; secrets are masked.

        Args:
            job: a bound job.
        """
        return command_line(job)

    def console_url(self, handle: str) -> str:
        """The address of an execution in the console.

        Args:
            handle: the full name of the execution.
        """
        return console(handle)

    # -- find and submit

    def storage(self, root: str) -> Storage | None:
        """The storage that holds a project in Cloud Storage."""
        return self._folders if root.startswith("gs://") else None

    def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
        """The attempts of a task among the newest executions of the job, oldest first.

        For an attempt that has ended, it only says that and whether it failed; ``poll`` says how.

        Args:
            job: a bound job.
            task: the stable part of the key.
        """
        found = self._look(job_name(job.spec), task)
        self._looked.put(task, time.monotonic())
        return [self._found(one) for one in found]

    def _found(self, one: Execution) -> AttemptInfo:
        return AttemptInfo(one.attempt, one.handle, self._found_status(one), one.instance, one.digest)

    def _found_status(self, execution: Execution) -> Status:
        status = execution.status
        # It may take the service a moment to report this itself.
        stopping = not status.ended and execution.handle in self._stopped
        return replace(status, stopping=True) if stopping else status

    def _look(self, parent: str, task: str, started: str = "", own: str = "") -> list[Execution]:
        """The current executions of a task, one for each attempt.

        Args:
            parent: the full name of the Cloud Run job.
            task: the stable part of the key.
            started: an execution that was just started, and need not be read.
            own: an attempt that may be taken back; that it has ended does not mean that it still exists.
        """
        return self._attempts(parent, task, self._history.look(parent), started, own)

    def _look_again(self, parent: str, tasks: Collection[str]) -> None:
        """Look for duplicates of tasks that were started a while ago."""
        number = self._history.look(parent)
        for task in tasks:
            self._attempts(parent, task, number)

    def _attempts(self, parent: str, task: str, number: int, started: str = "", own: str = "") -> list[Execution]:
        found: dict[tuple[str, str], Execution] = {}
        for execution in self._history.of_task(parent, task):
            fresh = execution.handle == started or self._history.is_fresh(execution.handle, number)
            known = fresh or (execution.ended and execution.attempt != own)
            current = execution if known else self._current(execution)
            if current is None:
                continue
            if current.handle != started:
                self._see(current)
            first = found.setdefault((current.attempt, current.instance), current)
            if first is not current:
                self._stop_double(current, first)
        return list(found.values())

    def _current(self, execution: Execution) -> Execution | None:
        """The current state of an execution: a search does not read old executions again."""
        message = self._client.get(execution.handle)
        if message is None:
            self._history.forget(execution.handle)
            return None
        return self._history.note(parent_of(execution.handle), message)

    def _stop_double(self, double: Execution, first: Execution) -> None:
        stopped = double.cancelled or double.stopping or (not double.ended and double.handle in self._stopped)
        if stopped or double.handle in self._doubled:
            return
        if double.ended:
            self._doubled.put(double.handle, True)
            logger.warning(
                "%s attempt %s ran twice to its end (%s and %s): it is shorter than the lag of Cloud Run's list",
                double.task,
                double.attempt,
                first.handle,
                double.handle,
            )
            return
        logger.warning(
            "%s attempt %s runs twice; the older execution (%s) continues, the younger one (%s) is cancelled",
            double.task,
            double.attempt,
            first.handle,
            double.handle,
        )
        self._client.cancel(double.handle)
        self._stopped.put(double.handle, True)

    def submit(self, job: Job, key: RunKey) -> str:
        """Start an execution for an attempt, unless there already is one; see the class.

        Args:
            job: a bound job.
            key: the key of the attempt.

        Returns:
            The full name of the execution.
        """
        with self._alone(key):
            parent = job_name(job.spec)
            marker, job = remote_marker(job, key, "gs")
            looked = self._looked.take(key.task)
            # A caller that has just searched for the task need not search again; the search after the submission finds what came in between.
            # But a marker is not deleted on such old information.
            fresh = looked is not None and time.monotonic() - looked < _FRESH_SECONDS and marker is None
            if not fresh:
                earlier = self._of_key(parent, key)
                if earlier is not None:
                    return earlier
            if marker is not None:
                self._markers.clear(marker)
            handle = self._run(parent, key, run_request(job.spec, job.arguments, job.env, key))
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
        """The execution of a key that is running, or ran to its end."""
        found = self._look(parent, key.task, started, key.attempt)
        return next((execution.handle for execution in found if self._found(execution).is_of(key)), None)

    def _run(self, parent: str, key: RunKey, request: Mapping[str, Any]) -> str:
        """Request an execution until it is certain that there is one."""
        calls = self._client.calls
        backoff = Backoff(calls.total_seconds, calls.first_pause, _LONGEST_PAUSE)
        while True:
            try:
                execution = self._client.run(request)
                break
            except UnclearError as error:
                logger.warning("%s; checking whether there is an execution of %s", error, key.task)
                handle = self._after_silence(parent, key)
                if handle is not None:
                    return handle
                if not backoff.wait():
                    raise OutageError(
                        f"{error}. As far as is known, no execution was started in {calls.total_seconds:g} s"
                    ) from error
        handle = f"{parent}/executions/{execution.name.rpartition('/')[2]}"
        self._history.note(parent, execution)
        self._sightings.expect(handle)
        self._search_again(handle, key.task)
        return handle

    def _search_again(self, handle: str, task: str) -> None:
        """Search for duplicates of an execution once the list is sure to show what was started before this process knew of the execution.

        The process that started a duplicate may be gone, and its age is unknown. So every process that learns of an execution searches.
        """
        if self._lag and handle not in self._searched_again:
            self._searched_again.put(handle, True)
            self._doubles.later(self._lag, parent_of(handle), task)

    def _after_silence(self, parent: str, key: RunKey) -> str | None:
        """The execution of an unanswered submission, if it was started anyway."""
        handle = self._of_key(parent, key)
        if handle is None and self._lag and pause(self._lag):
            handle = self._of_key(parent, key)
        return handle

    # -- poll

    def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
        """The states of executions: one list call for all that belong to a Cloud Run job, and one call for each that is not in the list.

        An execution that cannot be queried now gets a status with the error, and does not hide the others.

        Args:
            handles: the full names of executions.
        """
        until = self._aside.until()
        # For a duplicate, query the execution that continues in its place.
        places = {handle: self._survivors.get(handle) or handle for handle in handles}
        asked: dict[str, set[str]] = {}
        for place in places.values():
            asked.setdefault(parent_of(place), set()).add(place)
        found: dict[str, Status] = {}
        for parent, group in asked.items():
            for place, told in self._states(parent, group).items():
                found[place] = (
                    Status(error=told) if isinstance(told, StarlakeError) else self._status(place, told, until)
                )
        self._troubled = frozenset(place for place, status in found.items() if status.error is not None)
        return {handle: found[place] for handle, place in places.items()}

    def _states(self, parent: str, handles: set[str]) -> dict[str, Any]:
        """The message of each execution; None for one that is unknown, an error for one that cannot be queried."""
        found: dict[str, Any] = {}
        missing = set(handles)
        oldest = self._history.oldest(parent, handles)
        token, fruitless, listed = "", 0, False
        try:
            # Read pages as long as that costs less than querying the rest one by one.
            while len(missing) > max(1, fruitless):
                executions, token = self._brief.page(parent, token)
                before, listed = len(missing), True
                self._listed(parent, executions, missing, found)
                fruitless = 0 if len(missing) < before else fruitless + 1
                last = executions[-1].create_time if executions else None
                if not token or (oldest is not None and last is not None and (last.seconds, last.nanos) < oldest):
                    break
        except StarlakeError as error:
            return {**found, **dict.fromkeys(missing, error)}
        once = self._client.brief(0.0)
        found.update(one_by_one(missing, self._brief.get, once.get, self._troubled, _POLL_SECONDS))
        unknown = {handle for handle in missing if found[handle] is None}
        if unknown and not listed:
            # A single answer that it does not exist may come from a part of the service that lags.
            try:
                self._listed(parent, self._brief.page(parent, "")[0], unknown, found)
            except StarlakeError as error:
                found.update(dict.fromkeys(unknown, error))
        return found

    def _listed(self, parent: str, executions: Sequence[Any], missing: set[str], found: dict[str, Any]) -> None:
        """Take the wanted executions from a page, and remember the others, among them duplicates."""
        messages, several = self._history.note_page(parent, executions)
        for handle in missing & messages.keys():
            found[handle] = messages[handle]
        missing.difference_update(messages)
        for name in dict.fromkeys((one.task, one.attempt, one.instance) for one in several):
            first, *doubles = self._history.of_attempt(parent, *name)
            for double in doubles:
                try:
                    self._stop_double(double, first)
                except StarlakeError as error:  # the next poll finds it again
                    logger.warning("%s cannot be cancelled now: %s", double.handle, error)

    def _status(self, handle: str, message: Any, until: float) -> Status:
        if message is None:
            return self._missing(handle)
        if handle not in self._sightings:
            self._sightings.note(handle)
            known = self._history.note(parent_of(handle), message)
            if known is not None:
                self._see(known)
        end: Outcome | None = None
        if state_of(message) not in ("pending", "running", "cancelling", "deleting"):
            try:
                told = self._aside.ask(handle, lambda: self._end(handle, message), until)
            except StarlakeError as error:
                # How it ended is not known yet; the next poll asks again, and does not delay the others.
                return Status(detail="ending", stopping=True, error=error)
            else:
                if isinstance(told, str):
                    self._survivors.put(handle, told)
                    return Status(detail="doubled")
                end = told
        stopping = end is None and (is_stopping(message) or handle in self._stopped)
        return Status(end, state_of(message), stopping)

    def _see(self, execution: Execution) -> None:
        """Remember that the service has shown an execution; at first, lists may not show its duplicates yet."""
        self._sightings.note(execution.handle)
        if not execution.ended:
            self._search_again(execution.handle, execution.task)

    def _missing(self, handle: str) -> Status:
        """The status of an execution that the service does not know: not yet, or no longer."""
        if self._sightings.may_come(handle):
            return Status(detail="pending")
        self._history.forget(handle)
        reason = "Cloud Run does not know this execution: it was deleted"
        return Status(Outcome(Verdict.LOST, reason=reason, log=console(handle)), "unknown")

    def _end(self, handle: str, message: Any) -> Outcome | str:
        """How an execution ended; for a duplicate that was cancelled, the execution that continues."""
        parent = parent_of(handle)
        known = self._history.note(parent, message)
        if known is not None and known.cancelled:
            self._history.look(parent)
            for first in self._history.of_attempt(parent, known.task, known.attempt, known.instance)[:1]:
                if first.handle != handle:
                    logger.info("%s was a duplicate; %s continues for %s", handle, first.handle, known.task)
                    return first.handle
        try:
            outcome = outcome_of(message, handle, lambda: self._client.tasks(handle), self._markers.seen)
        except RunnerError as error:
            if state_of(message) == "succeeded":
                raise  # the marker, which alone says how the check ended
            # It has failed, whatever its exit code.
            outcome = Outcome(Verdict.FAILED, reason=f"how it ended cannot be read: {error}", log=console(handle))
        assert outcome is not None
        self._output.note(handle, message)
        return outcome

    # -- cancel and logs

    def cancel(self, handle: str) -> None:
        """Request the end of an execution; one that has ended or is unknown is left as it is.

        Args:
            handle: the full name of the execution.
        """
        for place in dict.fromkeys((handle, self._survivors.get(handle) or handle)):
            self._client.cancel(place)
            self._stopped.put(place, True)

    def logs(self, handle: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
        """Lines of output after a cursor, from Cloud Logging.

        Args:
            handle: the full name of the execution.
            cursor: the cursor that the last call returned; None at first.
        """
        return self._output.after(self._survivors.get(handle) or handle, cursor)

    def tail(self, handle: str, count: int) -> Sequence[str]:
        """The last lines of an ended execution.

        Args:
            handle: the full name of the execution.
            count: how many lines.
        """
        return self._output.last(self._survivors.get(handle) or handle, count)
