"""The progress of each step of a plan, and what its end means for the steps that follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from starlake_core import TaskKind, TaskState, TriggerRule
from starlake_core.runtime import Lease

from .plan import Step
from .store import TaskRow

__all__ = ["BAD", "GOOD", "PASSED_ON", "SKIPPED", "Progress"]

# What the upstream steps report together: a set of these.
GOOD, SKIPPED, BAD = 1, 2, 4

PASSED_ON: Mapping[TaskState, int] = {
    TaskState.SUCCEEDED: GOOD,
    TaskState.EXCLUDED: GOOD,
    TaskState.SKIPPED: SKIPPED,
    TaskState.FAILED: BAD,
    TaskState.UPSTREAM_FAILED: BAD,
    TaskState.CANCELLED: BAD,
}
"""Maps each state in which a task has ended to what it reports to the steps that follow."""


@dataclass(eq=False)
class Progress:
    """The progress of a step.

    Attributes:
        step: the step.
        waiting: how many of its direct upstream steps have not ended.
        mask: what the upstream steps that have ended report together.
        reason: why it will not run, if it will not.
        row: its state, as recorded.
        used: how many attempts this process has started.
        pokes: how many times the check of this attempt was not ready.
        unsettled: whether an attempt may have left something running.
        first_poke: when this attempt started, on the monotonic clock.
        lease: the lease on the resource that it uses exclusively.
    """

    step: Step
    waiting: int
    mask: int = 0
    reason: str = ""
    row: TaskRow = field(default_factory=lambda: TaskRow("", TaskState.WAITING))
    used: int = 0
    pokes: int = 0
    unsettled: bool = False
    first_poke: float = 0.0
    lease: Lease | None = None

    @property
    def is_teardown(self) -> bool:
        """Whether it is a tear-down, which still runs after the first request to stop."""
        return self.step.task is not None and self.step.task.kind is TaskKind.TEARDOWN

    @property
    def is_around_work(self) -> bool:
        """Whether it is a set-up, a tear-down, or the dummy that joins everything before a tear-down."""
        task = self.step.task
        if task is None:
            return False
        return task.kind in (TaskKind.SETUP, TaskKind.TEARDOWN) or (
            task.job is None and task.trigger is TriggerRule.ALL_DONE
        )

    @property
    def did_work(self) -> bool:
        """Whether it is work that succeeded."""
        step = self.step
        work = step.call is not None or (step.task is not None and step.task.is_work)
        return work and self.row.state == TaskState.SUCCEEDED

    def let_go(self) -> None:
        """Release the resource that it uses exclusively."""
        if self.lease is not None:
            self.lease.release()
            self.lease = None
