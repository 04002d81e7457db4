"""Who watches a DAG that runs in this process: what the operators tell, and what they are told.

In Airflow's own processes nobody watches, and every function here does nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlake_core import Job, RunRequest, TaskEvent, TaskState
from starlake_core.runtime import Outcome, RunnerSource, in_project

__all__ = [
    "STOPPED",
    "Observation",
    "ended",
    "in_process",
    "is_stopped",
    "leaves_out",
    "line",
    "observing",
    "placed",
    "plugins",
    "stop",
]


@dataclass
class Observation:
    """A run in this process, and what became of its tasks so far.

    Attributes:
        request: what was asked for.
        plugins: those that the pipeline was drawn with.
        source: the pipeline file.
        excluded: ids of tasks that are not to run.
        outcomes: id of each task that ran to how its last attempt ended, and why.
    """

    request: RunRequest
    plugins: RunnerSource
    source: str
    excluded: frozenset[str]
    outcomes: dict[str, tuple[Outcome, str]] = field(default_factory=dict)
    stopped: bool = False
    _told: dict[str, str] = field(default_factory=dict)

    def tell(self, event: TaskEvent) -> None:
        """Tell the listener of the run of a line, or of a state that it was not told of last."""
        if self.request.listener is None or (event.line is None and self._told.get(event.task) == event.state):
            return
        if event.line is None:
            self._told[event.task] = event.state
        self.request.listener(event)


STOPPED = "stopped by the user"

_observation: Observation | None = None


@contextmanager
def observing(observation: Observation) -> Iterator[Observation]:
    """While this block is open, the operators of this process tell this observation."""
    global _observation
    before, _observation = _observation, observation
    try:
        yield observation
    finally:
        _observation = before


def stop() -> bool:
    """Let nothing more begin: the user stopped the run. Says whether there is one in this process."""
    if _observation is not None:
        _observation.stopped = True
    return _observation is not None


def is_stopped() -> bool:
    """Whether the user stopped the run."""
    return _observation is not None and _observation.stopped


def in_process() -> bool:
    """Whether the run was asked for in this process, which then waits for everything itself."""
    return _observation is not None


def plugins() -> RunnerSource | None:
    """The plugins of the pipeline, where it was drawn in this process."""
    return _observation.plugins if _observation is not None else None


def placed(job: Job) -> Job:
    """The job in the project of the pipeline file, where nothing says another and the file is on this machine."""
    return in_project(job, _observation.source) if _observation is not None else job


def leaves_out(operator: Any) -> bool:
    """Whether a task is not to run; one that is tells that it does."""
    if _observation is None:
        return False
    if operator.task_id in _observation.excluded:
        return True
    _observation.tell(TaskEvent(operator.task_id, TaskState.RUNNING, 1))
    return False


def ended(operator: Any, outcome: Outcome, reason: str) -> None:
    """An attempt has ended."""
    if _observation is not None:
        _observation.outcomes[operator.task_id] = (outcome, reason)
        if outcome.succeeded:
            _observation.tell(TaskEvent(operator.task_id, TaskState.SUCCEEDED, 1))


def line(operator: Any, text: str) -> None:
    """A task wrote a line."""
    if _observation is not None:
        _observation.tell(TaskEvent(operator.task_id, TaskState.RUNNING, 1, line=text))
