"""What Cloud Run reports about an execution: which attempt it is, and how it ended.

Executions are read as plain protobuf messages: a list has thousands, and the wrappers of the SDK cost ten times as much.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from starlake_core.masking import secret_arguments, secret_values
from starlake_core.runtime import AttemptInfo, Outcome, Status, Verdict, is_preload, marker_of, outcome_from_exit_code

from .request import RUN_TASK

__all__ = [
    "Execution",
    "console",
    "has_failed",
    "is_stopping",
    "outcome_of",
    "parent_of",
    "secrets_of",
    "seen",
    "seen_again",
    "state_of",
]

# States and reasons of a condition, as the numbers of the protocol.
_FAILED, _SUCCEEDED = 3, 4
_CANCELLED, _CANCELLING = 3, 4


@dataclass(frozen=True)
class Execution:
    """An execution of ours, as it was last seen.

    Attributes:
        handle: its full name.
        task, attempt: the task and the attempt that it runs.
        created: when it was created, by the clock of the service: seconds and nanoseconds.
        ended: whether it has ended.
        failed: whether it has ended without success.
        cancelled: whether it has ended because someone stopped it.
        stopping: whether it is being stopped or deleted, and has not ended.
        instance, digest: of its run and its work, see :class:`AttemptInfo`.
    """

    handle: str
    task: str
    attempt: str
    created: tuple[int, int]
    ended: bool
    failed: bool
    cancelled: bool
    stopping: bool = False
    instance: str = ""
    digest: str = ""

    @property
    def age(self) -> tuple[tuple[int, int], str]:
        """A sort key, oldest first, that is the same for every process."""
        return self.created, self.handle

    @property
    def status(self) -> Status:
        """Whether it has ended, and roughly how, without the marker of a check and exit codes."""
        if not self.ended:
            return Status(detail="cancelling" if self.stopping else "running", stopping=self.stopping)
        verdict = Verdict.CANCELLED if self.cancelled else Verdict.FAILED if self.failed else Verdict.SUCCEEDED
        return Status(Outcome(verdict, reason=str(verdict), log=console(self.handle)), "ended")


def parent_of(handle: str) -> str:
    """The full name of the Cloud Run job of an execution.

    Args:
        handle: the full name of the execution.
    """
    return handle.rpartition("/executions/")[0]


def console(handle: str) -> str:
    """The address of an execution in the console.

    Args:
        handle: the full name of the execution.
    """
    _, project, _, region, _, _, _, execution = handle.split("/")
    return f"https://console.cloud.google.com/run/jobs/executions/details/{region}/{execution}/tasks?project={project}"


def _container(execution: Any) -> tuple[Any, Mapping[str, str]]:
    """The container that runs Starlake, and its variables."""
    found: tuple[Any, Mapping[str, str]] = (None, {})
    for container in execution.template.containers:
        variables = {variable.name: variable.value for variable in container.env}
        if RUN_TASK in variables:
            return container, variables
        if found[0] is None:
            found = (container, variables)
    return found


def seen(execution: Any, handle: str) -> Execution | None:
    """Read an execution; None if it is not one of ours.

    Args:
        execution: the message of the service.
        handle: the full name of the execution.
    """
    _, variables = _container(execution)
    if RUN_TASK not in variables:
        return None
    created = (execution.create_time.seconds, execution.create_time.nanos)
    told = AttemptInfo.told(variables, handle, Status())
    found = Execution(
        handle,
        variables[RUN_TASK],
        told.attempt,
        created,
        ended=False,
        failed=False,
        cancelled=False,
        instance=told.instance,
        digest=told.digest,
    )
    return seen_again(found, execution)


def seen_again(known: Execution, execution: Any) -> Execution:
    """The current state of an execution that was seen before.

    Args:
        known: its state when it was last seen.
        execution: the message of the service.
    """
    state, ended = state_of(execution), _over(execution)
    stopping = state in ("cancelling", "deleting")
    if not ended and not known.ended and stopping == known.stopping:
        return known
    return replace(
        known,
        ended=ended,
        failed=ended and state != "succeeded",
        cancelled=ended and state == "cancelled",
        stopping=stopping,
    )


def secrets_of(execution: Any) -> tuple[str, ...]:
    """The secrets that the output of an execution may contain.

    Args:
        execution: the message of the service.
    """
    container, variables = _container(execution)
    arguments = container.args if container is not None else ()
    return secret_values({**secret_arguments(arguments), **variables})


def _completed(execution: Any) -> Any:
    return next((found for found in execution.conditions if found.type_ == "Completed"), None)


def _over(execution: Any) -> bool:
    if execution.HasField("completion_time"):
        return True
    completed = _completed(execution)
    return completed is not None and completed.state in (_FAILED, _SUCCEEDED)


def is_stopping(execution: Any) -> bool:
    """Whether an execution that has not ended is being stopped or deleted.

    Args:
        execution: the message of the service.
    """
    return state_of(execution) in ("cancelling", "deleting")


def state_of(execution: Any) -> str:
    """One word for the state of an execution.

    Args:
        execution: the message of the service.
    """
    completed = _completed(execution)
    reason = completed.execution_reason if completed is not None else 0
    if not _over(execution):
        if reason == _CANCELLING:
            return "cancelling"
        if execution.HasField("delete_time"):
            return "deleting"
        return "running" if execution.HasField("start_time") else "pending"
    if completed is not None and completed.state == _SUCCEEDED:
        return "succeeded"
    if execution.succeeded_count >= max(1, execution.task_count):
        return "succeeded"
    if reason in (_CANCELLED, _CANCELLING) or (execution.cancelled_count and not execution.failed_count):
        return "cancelled"
    return "failed"


def outcome_of(
    execution: Any, handle: str, tasks: Callable[[], Sequence[Any]], marked: Callable[[str], bool]
) -> Outcome | None:
    """How an execution ended; None if it has not.

    Args:
        execution: the message of the service.
        handle: the full name of the execution.
        tasks: gets its tasks, for exit codes.
        marked: looks for the marker of a check.
    """
    if not _over(execution):
        return None
    container, variables = _container(execution)
    arguments = tuple(container.args) if container is not None else ()
    about, check, marker = variables.get(RUN_TASK, handle), is_preload(arguments), marker_of(arguments)
    state = state_of(execution)
    if state == "succeeded":
        left = marked(marker) if marker is not None else None
        outcome = outcome_from_exit_code(0, check=check, marked=left, about=about)
    elif state == "cancelled":
        outcome = Outcome(Verdict.CANCELLED, reason="cancelled")
    else:
        outcome = _failure(execution, tasks(), check, None if marker is None else False, about)
    return replace(outcome, reason=_with_retries(outcome, execution), log=console(handle))


def _failure(execution: Any, tasks: Sequence[Any], check: bool, marked: bool | None, about: str) -> Outcome:
    failed = [task for task in tasks if has_failed(task)]
    completed = _completed(execution)
    why = completed.message if completed is not None else ""
    if not failed:
        return Outcome(Verdict.FAILED, reason=why or "failed; Cloud Run does not say why")
    first = min(failed, key=lambda task: int(task.index))
    result = first.last_attempt_result
    code = result.exit_code or -result.term_signal
    said = result.status.message
    if code:
        outcome = outcome_from_exit_code(code, check=check, marked=marked, about=about)
        reason = f"{outcome.reason} ({said})" if code < 0 and said else outcome.reason
    else:
        outcome, reason = Outcome(Verdict.FAILED), said or why or "failed without an exit code"
    if execution.task_count > 1:
        reason = f"task {first.index} of {execution.task_count} ({execution.failed_count} failed): {reason}"
    return replace(outcome, reason=reason)


def has_failed(task: Any) -> bool:
    """Whether the last attempt of a task failed.

    Args:
        task: the message of the service.
    """
    result = task.last_attempt_result
    return bool(result.exit_code or result.term_signal or result.status.code)


def _with_retries(outcome: Outcome, execution: Any) -> str:
    count = execution.retried_count
    if not count:
        return outcome.reason
    times = "once" if count == 1 else f"{count} times"
    said = f"Cloud Run retried it {times}, because maxRetries of the job is {execution.template.max_retries}"
    return f"{outcome.reason}; {said}" if outcome.reason else said
