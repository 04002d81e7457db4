"""What a page says about runs, as data: how each task ended, what was on the critical path, and the ends of logs."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

from starlake_core import Pipeline, Report, TaskReport, TaskState

from .contents import Contents, named, shown
from .critical import critical_path

__all__ = ["RunContents", "run_contents"]

_TAIL_LINES, _TAIL_BYTES = 40, 16_384
_GOING = (TaskState.RUNNING, TaskState.RETRYING)  # their logs grow
_WITH_LOG = (TaskState.FAILED, TaskState.RUNNING, TaskState.RETRYING, TaskState.CANCELLED, TaskState.INTERRUPTED)


def run_contents(pipelines: Sequence[Pipeline], runs: Sequence[Report]) -> list[Contents]:
    """Return runs, in the given order.

    Args:
        pipelines: checked pipelines.
        runs: runs of these pipelines; others are left out.
    """
    places = {pipeline.id: index for index, pipeline in enumerate(pipelines)}
    return [_run(pipelines[places[run.pipeline_id]], places, run) for run in runs if run.pipeline_id in places]


class RunContents:
    """Makes the contents of runs again and again, without repeating what has not changed."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Report, Contents, str]] = {}

    def __call__(
        self, pipelines: Sequence[Pipeline], runs: Sequence[Report], anew: bool = False
    ) -> list[tuple[Contents, str]]:
        """Return the contents of runs in the given order, as data and as JSON.

        Args:
            pipelines, runs: see :func:`run_contents`.
            anew: whether the pipelines are others than before.
        """
        known = {} if anew else self._known
        self._known = {}
        for run in runs:
            same = known.get(run.run_id)
            if same is not None and same[0] == run and not any(task.state in _GOING for task in run.tasks):
                self._known[run.run_id] = same
                continue
            for made in run_contents(pipelines, (run,)):
                self._known[run.run_id] = (run, made, json.dumps(made))
        return [(made, text) for _, made, text in self._known.values()]


def _run(pipeline: Pipeline, places: dict[str, int], run: Report) -> Contents:
    known = {task.path for task in pipeline.tasks()}
    tasks = [task for task in run.tasks if task.id in known]
    ended = {
        task.id: task.started + timedelta(seconds=task.duration)
        for task in tasks
        if task.started is not None and task.duration > 0
    }
    return {
        "id": named(run.run_id),
        "pipeline": places[run.pipeline_id],
        "state": str(run.state),
        "reason": shown(run.reason),
        "started": _moment(run.started),
        "ended": _moment(run.ended),
        "from": _moment(run.interval.start if run.interval is not None else None),
        "until": _moment(run.interval.end if run.interval is not None else None),
        "tasks": {
            "path": [named(task.id) for task in tasks],
            "state": [str(task.state) for task in tasks],
            "seconds": [round(task.duration, 3) for task in tasks],
            "attempts": [task.attempts for task in tasks],
            "started": [_moment(task.started) for task in tasks],
            "reason": {str(index): shown(task.reason) for index, task in enumerate(tasks) if task.reason},
            "log": {str(index): text for index, task in enumerate(tasks) if (text := _log(task))},
        },
        "critical": [named(path) for path in critical_path(pipeline, ended)],
    }


def _moment(value: datetime | None) -> str | None:
    return value.astimezone(timezone.utc).isoformat(timespec="milliseconds") if value is not None else None


def _log(task: TaskReport) -> str:
    """Return the end of the log of a task that has not succeeded; empty if it cannot be read."""
    if task.state not in _WITH_LOG or not task.log or "://" in task.log:
        return ""
    try:
        with Path(task.log).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    if size > _TAIL_BYTES:
        lines = lines[1:]  # it may begin in the middle of a line, and of a secret
    return shown("\n".join(lines[-_TAIL_LINES:]))
