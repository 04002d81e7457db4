"""The tasks of a run on a server: their progress, how they ended, and why."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from starlake_core import Node, Pipeline, Task, TaskEvent, TaskGroup, TaskReport, TaskState
from starlake_core.logs import get_logger

from .rest_client import Api, ApiError, quoted

__all__ = ["STOPPED", "Watch"]

logger = get_logger(__name__)

STOPPED = "stopped by the user"

_STATES: Mapping[str | None, TaskState] = {
    None: TaskState.WAITING,
    "scheduled": TaskState.QUEUED,
    "queued": TaskState.QUEUED,
    "running": TaskState.RUNNING,
    "deferred": TaskState.RUNNING,
    "awaiting_input": TaskState.RUNNING,
    "restarting": TaskState.RUNNING,
    "shutdown": TaskState.RUNNING,
    "up_for_retry": TaskState.RETRYING,
    "up_for_reschedule": TaskState.POKING,
    "success": TaskState.SUCCEEDED,
    "skipped": TaskState.SKIPPED,
    "failed": TaskState.FAILED,
    "upstream_failed": TaskState.UPSTREAM_FAILED,
    "removed": TaskState.EXCLUDED,
}

# The state of a mapped task is the first of these that one of its instances has.
_WEIGHT = (
    TaskState.RUNNING,
    TaskState.POKING,
    TaskState.RETRYING,
    TaskState.QUEUED,
    TaskState.WAITING,
    TaskState.FAILED,
    TaskState.UPSTREAM_FAILED,
    TaskState.SUCCEEDED,
    TaskState.SKIPPED,
    TaskState.EXCLUDED,
)
_ENDED = frozenset(_WEIGHT[5:])


@dataclass(frozen=True)
class _Seen:
    """A task as it was last read.

    Attributes:
        state: one of :class:`TaskState`.
        attempt, duration: the number and the seconds of its last try.
        index: the index of the instance; -1 if the task is not mapped.
        reason, exit_code: what the operator stored about its end.
    """

    state: TaskState
    attempt: int = 0
    duration: float = 0.0
    index: int = -1
    reason: str = ""
    exit_code: int | None = None


@dataclass(frozen=True)
class _Cause:
    path: str
    state: TaskState
    reason: str


class Watch:
    """Reads the tasks of one run.

    Args:
        api: the API of the server.
        pipeline: the pipeline of the run.
        run_id: the id of the run.
        listener: called with every change of a task's state.
    """

    def __init__(
        self, api: Api, pipeline: Pipeline, run_id: str, listener: Callable[[TaskEvent], None] | None = None
    ) -> None:
        self._api = api
        self._pipeline = pipeline
        self._run_id = run_id
        self._listener = listener
        self._tasks = tuple(pipeline.tasks())
        self._seen: dict[str, _Seen] = {}

    @property
    def path(self) -> str:
        """The path of the run below the API."""
        return f"/dags/{quoted(self._pipeline.id)}/dagRuns/{quoted(self._run_id)}"

    @property
    def url(self) -> str:
        """The run in the user interface."""
        dag, run = quoted(self._pipeline.id), quoted(self._run_id)
        if self._api.v2:
            return f"{self._api.base_url}/dags/{dag}/runs/{run}"
        return f"{self._api.base_url}/dags/{dag}/grid?dag_run_id={run}"

    def _log(self, task_id: str, index: int) -> str:
        if self._api.v2:
            mapped = f"/mapped/{index}" if index >= 0 else ""
            return f"{self.url}/tasks/{quoted(task_id)}{mapped}"
        mapped = f"&map_index={index}" if index >= 0 else ""
        return f"{self.url}&task_id={quoted(task_id)}{mapped}&tab=logs"

    def look(self) -> None:
        """Read the tasks once, and tell the listener what changed.

        Raises:
            ApiError: the server does not answer in time.
        """
        instances: dict[str, dict[int, Mapping[str, Any]]] = {}
        for row in self._api.pages(f"{self.path}/taskInstances", "task_instances"):
            instances.setdefault(row["task_id"], {})[row.get("map_index", -1)] = row
        changed = []
        for task_id, rows in instances.items():
            before = self._seen.get(task_id, _Seen(TaskState.WAITING))
            now = _combined(rows)
            if (now.state, now.attempt, now.index) == (before.state, before.attempt, before.index):
                now = replace(now, reason=before.reason, exit_code=before.exit_code)
            elif now.state in (TaskState.FAILED, TaskState.SKIPPED) and now.attempt:
                now = self._with_outcome(task_id, now)
            if now.state != before.state:
                changed.append(task_id)
            self._seen[task_id] = now
        if changed and self._listener is not None:
            self._tell(self._listener, set(changed))

    def _with_outcome(self, task_id: str, seen: _Seen) -> _Seen:
        """Add what the operator stored about the end of its task, if there is anything; a failure to read it never fails the run."""
        params: dict[str, Any] = {} if self._api.v2 else {"stringify": "false"}
        if seen.index >= 0:
            params["map_index"] = seen.index
        try:
            path = f"{self.path}/taskInstances/{quoted(task_id)}/xcomEntries/return_value"
            value = self._api.get(path, **params)["value"]
            if isinstance(value, str):
                value = ast.literal_eval(value)
            reason, code = value.get("reason"), value.get("exit_code")
        except (ApiError, AttributeError, LookupError, TypeError, ValueError, SyntaxError) as error:
            logger.debug("no outcome of %s: %s", task_id, error)
            return seen
        return replace(seen, reason=str(reason or ""), exit_code=code if isinstance(code, int) else None)

    def _tell(self, listener: Callable[[TaskEvent], None], changed: set[str]) -> None:
        reasons = self._reasons()
        ordered = [task.path for task in self._tasks if task.path in changed]
        for task_id in (*ordered, *sorted(changed.difference(ordered))):
            seen = self._seen[task_id]
            listener(
                TaskEvent(
                    task_id,
                    seen.state,
                    seen.attempt,
                    reasons.get(task_id, ""),
                    log=self._log(task_id, seen.index) if seen.attempt else "",
                )
            )

    # -- why

    def _reasons(self) -> dict[str, str]:
        """Why tasks failed or were skipped: their own reason, or what happened upstream, or a generic sentence."""
        tracer = _Tracer(self._pipeline)
        reasons: dict[str, str] = {}
        for task in self._tasks:
            seen = self._seen.get(task.path)
            if seen is None or seen.state not in (TaskState.FAILED, TaskState.SKIPPED, TaskState.UPSTREAM_FAILED):
                continue
            reasons[task.path] = tracer.explain(task, seen)
        known = {task.path for task in self._tasks}
        for task_id, seen in self._seen.items():
            if task_id not in known and seen.state in _PLAIN:
                reasons[task_id] = seen.reason or _PLAIN[seen.state]
        return reasons

    # -- the end

    def reports(self, stopped: bool = False) -> tuple[TaskReport, ...]:
        """How each task ended, in topological order.

        Args:
            stopped: whether the user stopped the run.
        """
        reasons = self._reasons()
        known = {task.path for task in self._tasks}
        own = sorted(t for t, seen in self._seen.items() if t not in known and seen.state != TaskState.EXCLUDED)
        result: list[TaskReport] = []
        for task in self._tasks:
            if task.path in self._seen:
                result.append(self._report(task.path, reasons.get(task.path, ""), stopped))
            elif task.factory is None:
                result.append(TaskReport(task.path, TaskState.EXCLUDED, _UNKNOWN if not stopped else STOPPED))
            else:  # a native node may have a different id in Airflow
                result += [self._report(task_id, reasons.get(task_id, ""), stopped) for task_id in own]
                own = []
        result += [self._report(task_id, reasons.get(task_id, ""), stopped) for task_id in own]
        return tuple(result)

    def _report(self, task_id: str, reason: str, stopped: bool) -> TaskReport:
        seen = self._seen[task_id]
        state = seen.state
        if state not in _ENDED:
            if stopped:
                state, reason = TaskState.CANCELLED, STOPPED
            elif state in (TaskState.WAITING, TaskState.QUEUED):
                state, reason = TaskState.SKIPPED, "the run ended before its turn came"
            else:
                state, reason = TaskState.INTERRUPTED, "the run ended while the task was running"
        elif state == TaskState.EXCLUDED:
            reason = _UNKNOWN
        log = self._log(task_id, seen.index) if seen.attempt else ""
        return TaskReport(task_id, state, reason, seen.exit_code, seen.attempt, log, seen.duration)

    def datasets(self) -> tuple[str, ...]:
        """The URIs of the datasets that the successful tasks produced."""
        done = {task_id for task_id, seen in self._seen.items() if seen.state == TaskState.SUCCEEDED}
        uris = (dataset.uri for task in self._tasks if task.path in done for dataset in task.outlets)
        return tuple(dict.fromkeys(uris))


_UNKNOWN = "the DAG in Airflow does not contain this task; deploy the pipeline file again"
_PLAIN: Mapping[str, str] = {
    TaskState.FAILED: "the task failed without a reason; see its log",
    TaskState.SKIPPED: "Airflow skipped the task without a reason; see it in the user interface",
    TaskState.UPSTREAM_FAILED: "an upstream task failed",
}


def _combined(rows: Mapping[int, Mapping[str, Any]]) -> _Seen:
    """The instances of a mapped task, combined."""
    found = [
        _Seen(
            _STATES.get(row["state"], TaskState.RUNNING), row.get("try_number") or 0, row.get("duration") or 0.0, index
        )
        for index, row in sorted(rows.items())
    ]
    return min(found, key=lambda seen: _WEIGHT.index(seen.state))


class _Tracer:
    """Finds the origin of a task's state. Call it in topological order."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._upstream: dict[int, dict[str, list[str]]] = {}
        self._causes: dict[int, _Cause | None] = {}

    def explain(self, task: Task, seen: _Seen) -> str:
        """Why a task that failed or was skipped is in its state."""
        origin = None
        if not seen.reason and seen.state != TaskState.FAILED:
            found = [cause for node in self._before(task) if (cause := self._cause(node)) is not None]
            same = [cause for cause in found if (cause.state == TaskState.SKIPPED) == (seen.state == TaskState.SKIPPED)]
            origin = next(iter(same or found), None)
        if origin is None:
            reason = seen.reason or _PLAIN[seen.state]
            self._causes[id(task)] = _Cause(task.path, seen.state, reason)
            return reason
        self._causes[id(task)] = origin
        return origin.reason if origin.state == TaskState.SKIPPED else f"{origin.path} failed"

    def _before(self, node: Node) -> Iterable[Node]:
        while node.parent is not None:
            group = node.parent
            if id(group) not in self._upstream:
                self._upstream[id(group)] = group.upstream()
            if found := self._upstream[id(group)][node.id]:
                return [group.nodes[node_id] for node_id in found]
            node = group
        return ()

    def _cause(self, node: Node) -> _Cause | None:
        if isinstance(node, TaskGroup) and id(node) not in self._causes:
            self._causes[id(node)] = next((c for leaf in node.leaves() if (c := self._cause(leaf)) is not None), None)
        return self._causes.get(id(node))
