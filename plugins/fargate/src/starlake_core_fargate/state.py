"""What ECS reports about a task, and what it means."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from starlake_core.masking import secret_arguments, secret_values
from starlake_core.runtime import Outcome, Status, Verdict, is_preload, marker_of, outcome_from_exit_code

__all__ = ["TaskArn", "TaskFacts", "facts_of", "status_of"]

_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):ecs:(?P<region>[a-z0-9-]+):(?P<account>[0-9]*):task/(?:(?P<cluster>[\w-]+)/)?(?P<id>[0-9a-f-]{32,36})"
)
_ENDED = ("STOPPED", "DELETED")
_STOPPING = ("DEACTIVATING", "STOPPING", "DEPROVISIONING")
# The meaning of stop codes that the reason does not make obvious.
_STOP_CODES = {
    "TaskFailedToStart": "the container never started",
    "SpotInterruption": "AWS took the Spot capacity back",
    "TerminationNotice": "AWS retired the host",
    "ServiceSchedulerInitiated": "an ECS service stopped it",
    "UserInitiated": "someone stopped it",
}
_DULL = "Essential container in task exited"


@dataclass(frozen=True)
class TaskArn:
    """The parts of a handle."""

    partition: str
    region: str
    cluster: str
    id: str

    @classmethod
    def of(cls, handle: str) -> TaskArn | None:
        """Parse a handle; None if it is not the ARN of a task.

        Args:
            handle: the handle of an attempt.
        """
        found = _ARN.fullmatch(handle)
        return cls(found["partition"], found["region"], found["cluster"] or "", found["id"]) if found else None

    @property
    def console(self) -> str:
        """The address of the task in the console."""
        domain = {"aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com"}.get(
            self.partition, f"{self.region}.console.aws.amazon.com"
        )
        return f"https://{domain}/ecs/v2/clusters/{self.cluster or 'default'}/tasks/{self.id}/logs?region={self.region}"


@dataclass(frozen=True)
class TaskFacts:
    """What the description of a task says about the attempt, written into the overrides when it was started.

    Attributes:
        container: the container that runs Starlake.
        arguments: the arguments of the Starlake command.
        env: the environment variables of the attempt.
    """

    container: str
    arguments: tuple[str, ...]
    env: Mapping[str, str]

    @property
    def marker(self) -> str | None:
        """Where a check that is not ready leaves its marker."""
        return marker_of(self.arguments)

    @property
    def check(self) -> bool:
        """Whether it is a check."""
        return is_preload(self.arguments) or self.marker is not None

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values that must not appear in output."""
        return secret_values({**self.env, **secret_arguments(self.arguments)})


def facts_of(task: Mapping[str, Any], container: str) -> TaskFacts:
    """What a task was started with.

    Args:
        task: the task as DescribeTasks returns it.
        container: the container that runs Starlake, if the task does not say so itself.
    """
    overrides = task.get("overrides", {}).get("containerOverrides", ())
    for override in overrides:
        env = {item["name"]: item.get("value", "") for item in override.get("environment", ())}
        if "SL_RUN_TASK" in env:
            return TaskFacts(override.get("name", container), tuple(override.get("command", ())), env)
    return TaskFacts(container, (), {})


def status_of(task: Mapping[str, Any], facts: TaskFacts, marked: Callable[[str], bool]) -> Status:
    """The status of an attempt.

    Args:
        task: the task as DescribeTasks returns it.
        facts: what the task was started with.
        marked: whether there is a marker at a path; called only for a check that ended well.
    """
    state = str(task.get("lastStatus", ""))
    containers: Sequence[Mapping[str, Any]] = task.get("containers", ())
    container = next((one for one in containers if one.get("name") == facts.container), {})
    code = container.get("exitCode")
    # Releasing the network takes half a minute, and does not change a success.
    if state not in _ENDED and not (state == "DEPROVISIONING" and code == 0):
        # A task whose container ended by itself is stopping too: its end is certain, and there is nothing left to take over.
        return Status(None, state.lower(), stopping=state in _STOPPING or task.get("desiredStatus") == "STOPPED")
    stop_code = task.get("stopCode", "")
    said = _said(task, container, stop_code)
    stopped = stop_code == "UserInitiated"
    if code is None:
        verdict = Verdict.CANCELLED if stopped else Verdict.FAILED
        return Status(Outcome(verdict, None, said or "the container has no exit code"), state.lower())
    marker = facts.marker
    outcome = outcome_from_exit_code(
        int(code),
        check=facts.check,
        marked=None if marker is None else int(code) == 0 and marked(marker),
        stopped=stopped,
        about=facts.env.get("SL_RUN_TASK", ""),
    )
    if outcome.verdict in (Verdict.FAILED, Verdict.CANCELLED) and said:
        outcome = replace(outcome, reason=f"{outcome.reason}; {said}")
    return Status(outcome, state.lower())


def _said(task: Mapping[str, Any], container: Mapping[str, Any], stop_code: str) -> str:
    """Why a task stopped: AWS's words, or ours if AWS gives none."""
    parts = [_STOP_CODES.get(stop_code, ""), task.get("stoppedReason", ""), container.get("reason", "")]
    parts += [
        f"container {other.get('name')} ended with exit code {other['exitCode']}"
        for other in task.get("containers", ())
        if other is not container and other.get("exitCode")
    ]
    return ": ".join(dict.fromkeys(part.strip() for part in parts if part and part.strip() != _DULL))
