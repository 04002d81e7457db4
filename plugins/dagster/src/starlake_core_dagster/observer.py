"""Observes a job that runs in this process because it was requested here.

In Dagster's own processes nothing observes, and every function here does nothing.
"""

from __future__ import annotations

import threading
import time
from contextvars import ContextVar
from dataclasses import dataclass, field

from starlake_core import Run, RunRequest, TaskEvent, TaskState
from starlake_core.runtime import Outcome, Verdict

__all__ = ["Observation", "began", "ended", "line", "observing", "run"]


@dataclass
class Observation:
    """A run in this process, and the results of its tasks so far.

    Attributes:
        request: the request for the run.
        outcomes: maps the path of each task that ran to how its last attempt ended, and why.
        attempts: maps the path of each task that ran to the number of its attempts.
        seconds: maps the path of each task that ended to the seconds that its last attempt took.
    """

    request: RunRequest
    outcomes: dict[str, tuple[Outcome, str]] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    _began: dict[str, float] = field(default_factory=dict)
    _told: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def tell(self, event: TaskEvent) -> None:
        """Pass a line of output, or a change of state, to the listener of the run."""
        with self._lock:
            if self.request.listener is None or (event.line is None and self._told.get(event.task) == event.state):
                return
            if event.line is None:
                self._told[event.task] = event.state
            self.request.listener(event)


observing: ContextVar[Observation | None] = ContextVar("starlake_core_dagster_observing", default=None)
"""The observation of the run in this context."""


def run() -> Run | None:
    """The run that was requested in this process."""
    observation = observing.get()
    return observation.request.run if observation is not None else None


def began(path: str, attempt: int) -> None:
    """Record that an attempt starts."""
    observation = observing.get()
    if observation is not None:
        observation.attempts[path] = attempt
        observation._began[path] = time.monotonic()
        observation.tell(TaskEvent(path, TaskState.RUNNING, attempt))


def ended(path: str, outcome: Outcome, reason: str = "") -> None:
    """Record how an attempt ended."""
    observation = observing.get()
    if observation is not None:
        observation.outcomes[path] = (outcome, reason)
        observation.seconds[path] = time.monotonic() - observation._began.get(path, time.monotonic())
        if outcome.verdict is Verdict.SUCCEEDED:
            observation.tell(TaskEvent(path, TaskState.SUCCEEDED, observation.attempts.get(path, 1)))


def line(path: str, text: str) -> None:
    """Record a line of output of a task."""
    observation = observing.get()
    if observation is not None:
        observation.tell(TaskEvent(path, TaskState.RUNNING, observation.attempts.get(path, 1), line=text))
