"""Starts, watches and stops tasks of ECS. The handle of an attempt is the ARN of its task."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from starlake_core import Job, OutageError, RunKey, RunnerError, StarlakeError
from starlake_core.logs import get_logger
from starlake_core.runtime import (
    Aside,
    AttemptInfo,
    Markers,
    Outcome,
    Recent,
    Runner,
    Status,
    Storage,
    Verdict,
    check_work,
    pause,
    remote_marker,
)

from .client import AwsClient, Refusal
from .limits import LONGEST_OVERRIDES, overrides_size
from .output import Output, Stream
from .request import command_line, run_task_request, started_by, with_labels
from .state import TaskArn, TaskFacts, facts_of, status_of
from .storage import Folders, MarkerStore

__all__ = ["FargateRunner"]

logger = get_logger(__name__)

_AT_ONCE = 100
"""How many tasks one DescribeTasks call returns."""
_POLL_SECONDS = 30.0
_CANCEL_SECONDS = 15.0
_REMEMBERED = 5000
_SWEEP_SECONDS = 3600.0
_NO_CAPACITY = "capacity is unavailable"
_MISSING = "MISSING"


class FargateRunner(Runner):
    """The runner of one cluster.

    Args:
        service: the part of a job's spec that its endpoint names.
        aws: the client for calls.
        clock: a monotonic clock; replaced in tests.
    """

    labelled = True

    def __init__(self, service: Mapping[str, Any], aws: AwsClient, clock: Callable[[], float] = time.monotonic) -> None:
        self.interval = float(service["interval"])
        self.detached = bool(service["async"])
        self.follows = bool(service["follow_logs"])
        self._cluster = str(service["cluster"])
        self._container = str(service["container"])
        self._grace = float(service["missing_grace"])
        self._aws = aws
        self._clock = clock
        self._markers = Markers(MarkerStore(aws), _SWEEP_SECONDS)
        self._folders = Folders(aws)
        self._output = Output(aws)
        self._aside = Aside()
        self._stopped: Recent[str, bool] = Recent(_REMEMBERED)
        self._missing: Recent[str, float] = Recent(_REMEMBERED)
        self._streams: Recent[str, Stream] = Recent(_REMEMBERED)

    # -- attempts

    def storage(self, root: str) -> Storage | None:
        """The storage that holds a project in S3."""
        return self._folders if root.startswith("s3://") else None

    def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
        """The attempts of a task that ECS still lists; it lists stopped ones for about an hour.

        Args:
            job: the bound job of the current attempt.
            task: the stable part of the key.
        """
        arns: dict[str, str] = {}
        for wanted in ("RUNNING", "STOPPED"):
            for arn in self._listed(task, wanted):
                arns.setdefault(arn, wanted)
        described = {told["taskArn"]: told for told in self._described_surely(arns)}
        until = self._aside.until()
        found = []
        for told in sorted(described.values(), key=lambda told: (str(told.get("createdAt", "")), told["taskArn"])):
            facts = facts_of(told, self._container)
            if facts.env.get("SL_RUN_TASK") == task:
                status = self._found_status(told, facts, until)
                found.append(AttemptInfo.told(facts.env, told["taskArn"], status))
        return found

    def _found_status(self, told: Mapping[str, Any], facts: TaskFacts, until: float) -> Status:
        status = self._judged(told, facts, until)
        if status.error is None:
            return status
        # It has ended; a poll says how.
        return status_of(told, facts, lambda marker: False)

    def _listed(self, task: str, status: str) -> Iterator[str]:
        more: dict[str, Any] = {}
        while True:
            page = self._aws.call(
                "ecs",
                "list_tasks",
                f"looking for attempts of {task}",
                cluster=self._cluster,
                startedBy=started_by(task),
                desiredStatus=status,
                **more,
            )
            yield from page["taskArns"]
            if not page.get("nextToken"):
                return
            more = {"nextToken": page["nextToken"]}

    def _described_surely(self, arns: Mapping[str, str]) -> list[Mapping[str, Any]]:
        """Describe tasks that were listed. If a live one cannot be seen yet, that is no reason to start another."""
        described: list[Mapping[str, Any]] = []
        left = list(arns)
        backoff = self._aws.backoff(max(self._grace, 1.0))
        while left:
            missing: list[str] = []
            for chunk in _chunks(left):
                told = self._describe(chunk, "looking at earlier attempts")
                described += told["tasks"]
                missing += [failure["arn"] for failure in told.get("failures", ())]
            left = [arn for arn in left if arn in missing and arns[arn] == "RUNNING"]
            if left and not backoff.wait():
                raise OutageError(f"ECS lists {left[0]} but cannot describe it yet; nothing was started")
        return described

    def _describe(self, arns: Sequence[str], doing: str, total: float | None = None) -> Mapping[str, Any]:
        told: Mapping[str, Any] = self._aws.call(
            "ecs", "describe_tasks", doing, total=total, cluster=self._cluster, tasks=list(arns)
        )
        return told

    def submit(self, job: Job, key: RunKey) -> str:
        """Start an attempt. The same key gives the same task: ECS remembers the token of a request while the task runs and for a while after
        its end, up to a day, and a running task is found.

        Args:
            job: a job without placeholders.
            key: the key of the attempt.

        Raises:
            RunnerError: ECS refuses the request.
            OutageError: ECS does not answer, or has no capacity.
        """
        marker, job = remote_marker(job, key, "s3")
        if marker is not None and self._markers.exists(marker):
            # The marker may come from an earlier run of this attempt: if that run is known, it keeps the marker, because its verdict depends on it.
            known: list[str] = [found.handle for found in self.find(job, key.task) if found.is_of(key)]
            if known:
                return known[-1]
            self._markers.clear(marker)
        request = run_task_request(with_labels(job), job.arguments, job.env, key)
        size = overrides_size(request["overrides"])
        if size > LONGEST_OVERRIDES:
            raise RunnerError(
                f"{key.task}: its command and variables, with those of the run, are {size} characters as JSON, and ECS allows {LONGEST_OVERRIDES}; "
                "set variables that never change in the task definition instead of sl_env_var"
            )
        try:
            return self._started(request, f"starting {key.task}")
        except Refusal as refusal:
            if refusal.code != "ConflictException":
                raise
            return self._known_by_token(refusal, job, key)

    def _started(self, request: Mapping[str, Any], doing: str) -> str:
        """The task of a request. An answer without a task is not a start, although it is not an HTTP error."""
        backoff = self._aws.backoff(self._aws.total_seconds)
        while True:
            told = self._aws.call("ecs", "run_task", doing, **request)
            if told.get("tasks"):
                return str(told["tasks"][0]["taskArn"])
            reason = _reason(told)
            about = f"AWS: {doing}: nothing was started: {reason or 'AWS gave no reason'}"
            if _NO_CAPACITY not in reason.lower():
                raise RunnerError(f"{about}. {_placement_hint(reason)}.")
            if not backoff.wait():
                raise OutageError(
                    f"{about}. Fargate had no capacity for {self._aws.total_seconds:g} s; list subnets in more zones (aws_task_private_subnets) "
                    "to give it more choice."
                )
            logger.info("%s; retrying", about)

    def _known_by_token(self, refusal: Refusal, job: Job, key: RunKey) -> str:
        """The task that was started with the token of this attempt and another request."""
        known = [found for found in self.find(job, key.task) if found.is_of(key)]
        for found in known:
            check_work(job, key, found)
        handles: list[str] = list(refusal.resources) or [found.handle for found in known]
        if not handles:
            raise RunnerError(
                f"AWS: starting {key.task}: attempt {key.attempt} was started before with other options ({refusal.said}), and its task is no "
                "longer known; run the task again"
            ) from refusal
        logger.warning(
            "%s attempt %s was already started, with other options; using it (%s)",
            key.task,
            key.attempt,
            handles[-1],
        )
        return handles[-1]

    # -- states

    def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
        """The states of many attempts, a hundred in a call.

        An attempt that cannot be queried now gets a status with the error, and does not hide the others.

        Args:
            handles: the ARNs of the tasks.
        """
        until = self._aside.until()
        statuses: dict[str, Status] = {}
        asked = []
        for handle in dict.fromkeys(handles):
            if TaskArn.of(handle) is None:
                # A malformed ARN would spoil the answer for all others.
                statuses[handle] = Status(Outcome(Verdict.LOST, reason=f"{handle!r} is not the ARN of an ECS task"))
            else:
                asked.append(handle)
        patience = _POLL_SECONDS
        for chunk in _chunks(asked):
            try:
                told = self._describe(chunk, "looking at tasks", patience)
            except StarlakeError as error:
                if isinstance(error, OutageError):
                    patience = 0.0  # query the others once more, but not for as long again
                statuses.update((handle, Status(error=error)) for handle in chunk)
                continue
            seen = {task["taskArn"]: task for task in told["tasks"]}
            unclear = {
                failure["arn"]: failure for failure in told.get("failures", ()) if failure.get("reason") != _MISSING
            }
            for handle in chunk:
                if handle in seen:
                    statuses[handle] = self._seen(seen[handle], until)
                elif handle in unclear:
                    statuses[handle] = Status(
                        error=RunnerError(f"AWS: looking at {handle}: {_reason({'failures': [unclear[handle]]})}")
                    )
                else:
                    statuses[handle] = self._unseen(handle)
        return {handle: statuses[handle] for handle in dict.fromkeys(handles)}

    def _seen(self, task: Mapping[str, Any], until: float) -> Status:
        self._missing.take(task["taskArn"])
        return self._judged(task, facts_of(task, self._container), until)

    def _unseen(self, handle: str) -> Status:
        """The status of a task that ECS does not know: not yet, or no longer."""
        since = self._missing.setdefault(handle, self._clock())
        if self._clock() - since < self._grace:
            return Status(None, "pending: ECS does not know it yet")
        return Status(
            Outcome(
                Verdict.LOST,
                reason="ECS does not know the task (it remembers a stopped task for about an hour), so it is unknown how it ended; its output "
                "may still be in CloudWatch Logs",
                log=self.console_url(handle),
            ),
            "missing",
        )

    def _judged(self, task: Mapping[str, Any], facts: TaskFacts, until: float) -> Status:
        handle = str(task["taskArn"])

        def seen(marker: str) -> bool:
            return self._aside.ask(marker, lambda: self._markers.seen(marker), until)

        try:
            status = status_of(task, facts, seen)
        except StarlakeError as error:
            # How the check ended is not known yet; the next poll asks again, and does not delay the others.
            return Status(None, "ended; its marker cannot be read now", stopping=True, error=error)
        if status.outcome is None:
            return replace(status, stopping=True) if handle in self._stopped else status
        return replace(status, outcome=replace(status.outcome, log=self.console_url(handle)))

    def cancel(self, handle: str) -> None:
        """Stop an attempt: SIGTERM, then SIGKILL after the time that the task definition allows (30 s by default).

        Args:
            handle: the handle of the attempt.
        """
        if TaskArn.of(handle) is None:
            return
        # A task that was just started may not be known yet, but must not continue because of that.
        backoff = self._aws.backoff(min(self._grace, _CANCEL_SECONDS))
        while True:
            try:
                self._aws.call(
                    "ecs",
                    "stop_task",
                    f"stopping {handle}",
                    cluster=self._cluster,
                    task=handle,
                    reason="cancelled by starlake_core",
                )
                self._stopped.put(handle, True)
                return
            except Refusal as refusal:
                if "not found" not in refusal.said.lower() or refusal.code == "ClusterNotFoundException":
                    raise
                seconds = backoff.next()
                if seconds is None:
                    return
                if not pause(seconds):
                    raise OutageError(f"AWS: stopping {handle}: ECS does not know the task yet") from refusal

    # -- output

    def logs(self, handle: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
        """Lines of output after a cursor.

        Args:
            handle: the handle of the attempt.
            cursor: the cursor that the last call returned; None at first.
        """
        stream = self._stream(handle)
        return self._output.after(stream, cursor) if stream is not None else ((), cursor)

    def tail(self, handle: str, count: int) -> Sequence[str]:
        """The last lines of the output of an ended attempt.

        Args:
            handle: the handle of the attempt.
            count: how many lines.
        """
        stream = self._stream(handle, fresh=True)
        return self._output.last(stream, count) if stream is not None else ()

    def _stream(self, handle: str, fresh: bool = False) -> Stream | None:
        """Where the output of a task is. ECS must describe the task once: without its variables, secrets in the output could not be masked."""
        known = self._streams.get(handle)
        if TaskArn.of(handle) is None or (known is not None and not fresh):
            return known
        try:
            told = self._describe([handle], "looking at a task", _POLL_SECONDS)
        except StarlakeError as error:
            logger.warning("the output of %s cannot be read: %s", handle, error)
            return known
        if not told["tasks"]:
            return known
        task = told["tasks"][0]
        stream = Stream.of(task, facts_of(task, self._container))
        self._streams.put(handle, stream)
        return stream

    # -- for users

    def console_url(self, handle: str) -> str:
        """The address of an attempt in the console.

        Args:
            handle: the handle of the attempt.
        """
        arn = TaskArn.of(handle)
        return arn.console if arn is not None else ""

    def describe(self, job: Job) -> str:
        """A command line that does the same, without secrets.

        Args:
            job: a bound job.
        """
        return command_line(job)


def _reason(told: Mapping[str, Any]) -> str:
    """Why nothing was started."""
    parts = (f"{failure.get('reason', '')} {failure.get('detail', '')}".strip() for failure in told.get("failures", ()))
    return "; ".join(filter(None, parts))


def _placement_hint(reason: str) -> str:
    if reason.startswith("RESOURCE"):
        return "Lower the options cpu and memory, use a larger task definition, or free addresses in the subnets (RESOURCE:ENI)"
    return "See 'API failure reasons' in the documentation of Amazon ECS"


def _chunks(handles: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(handles), _AT_ONCE):
        yield handles[first : first + _AT_ONCE]
