"""Observes a DAG that runs in this process: what the operators report, and which of them are left out or stopped.

In Airflow's own processes nothing observes, and every function here does nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from airflow.listeners import hookimpl

from starlake_core import Job, RunRequest, TaskEvent, TaskState
from starlake_core.runtime import Outcome, RunnerSource, in_project

from .versions import listener_manager

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
    """A run in this process, and the results of its tasks so far.

    Attributes:
        request: the request for the run.
        plugins: the plugins that the pipeline was built with.
        source: the pipeline file.
        excluded: ids of tasks that must not run.
        outcomes: maps the id of each task that ran to how its last attempt ended, and why.
        succeeded: ids of the tasks that have succeeded.
        stopped: whether the user stopped the run.
    """

    request: RunRequest
    plugins: RunnerSource
    source: str
    excluded: frozenset[str]
    outcomes: dict[str, tuple[Outcome, str]] = field(default_factory=dict)
    succeeded: set[str] = field(default_factory=set)
    stopped: bool = False
    _told: dict[str, str] = field(default_factory=dict)

    def tell(self, event: TaskEvent) -> None:
        """Pass a line of output, or a change of state, to the listener of the run."""
        if self.request.listener is None or (event.line is None and self._told.get(event.task) == event.state):
            return
        if event.line is None:
            self._told[event.task] = event.state
        self.request.listener(event)


class _Ends:
    """Hears from Airflow how each task of a run in this process ends, also those that do nothing, whose operators are Airflow's own."""

    def __init__(self, observation: Observation) -> None:
        self._observation = observation

    @hookimpl
    def on_task_instance_success(self, task_instance: Any) -> None:
        """Tell of a task that has succeeded.

        Args:
            task_instance: the task instance.
        """
        if task_instance.task_id not in self._observation.excluded:
            self._observation.succeeded.add(task_instance.task_id)
            self._observation.tell(TaskEvent(task_instance.task_id, TaskState.SUCCEEDED, task_instance.try_number))

    @hookimpl
    def on_task_instance_failed(self, task_instance: Any) -> None:
        """Tell of a task whose last attempt has failed. The report of the run tells of one without an outcome.

        Args:
            task_instance: the task instance.
        """
        observation = self._observation
        outcome, reason = observation.outcomes.get(task_instance.task_id, (None, ""))
        if task_instance.state == "failed" and outcome is not None and reason and not observation.stopped:
            observation.tell(
                TaskEvent(task_instance.task_id, TaskState.FAILED, task_instance.try_number, reason, log=outcome.log)
            )


STOPPED = "stopped by the user"

_observation: Observation | None = None


@contextmanager
def observing(observation: Observation) -> Iterator[Observation]:
    """While this block is active, the operators of this process report to this observation."""
    global _observation
    before, _observation = _observation, observation
    manager, ends = listener_manager(), _Ends(observation)
    manager.add_listener(ends)
    try:
        yield observation
    finally:
        manager.pm.unregister(ends)
        _observation = before


def stop() -> bool:
    """Start nothing more, because the user stopped the run. Returns whether there is a run in this process."""
    if _observation is not None:
        _observation.stopped = True
    return _observation is not None


def is_stopped() -> bool:
    """Whether the user stopped the run."""
    return _observation is not None and _observation.stopped


def in_process() -> bool:
    """Whether the run was requested in this process, which then waits for everything itself."""
    return _observation is not None


def plugins() -> RunnerSource | None:
    """The plugins of the pipeline, if it was built in this process."""
    return _observation.plugins if _observation is not None else None


def placed(job: Job) -> Job:
    """The job in the project of the pipeline file, unless it names another project, if the file is on this machine."""
    return in_project(job, _observation.source) if _observation is not None else job


def leaves_out(operator: Any) -> bool:
    """Whether a task must not run. A task that runs reports that it does."""
    if _observation is None:
        return False
    if operator.task_id in _observation.excluded:
        return True
    _observation.tell(TaskEvent(operator.task_id, TaskState.RUNNING, 1))
    return False


def ended(operator: Any, outcome: Outcome, reason: str) -> None:
    """Record how an attempt ended."""
    if _observation is not None:
        _observation.outcomes[operator.task_id] = (outcome, reason)
        if outcome.succeeded:
            _observation.tell(TaskEvent(operator.task_id, TaskState.SUCCEEDED, 1))


def line(operator: Any, text: str) -> None:
    """Record a line of output of a task."""
    if _observation is not None:
        _observation.tell(TaskEvent(operator.task_id, TaskState.RUNNING, 1, line=text))
