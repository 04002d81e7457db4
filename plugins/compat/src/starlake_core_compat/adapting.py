"""Turns users' classes into plugins: their methods become hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from starlake_core import (
    Command,
    CreateChildren,
    GeneralOptions,
    Job,
    Options,
    RunnerError,
    StarlakePipeline,
    Task,
    TaskGroup,
    hookimpl,
)

from .registry import word_of
from .verbs import StarlakeJob, is_asked, rendered

__all__ = ["Classes", "PlainDag", "Verbs"]


class Verbs:
    """An add-on: the tasks of a plugin, created by the verbs of a job that overrides them.

    Args:
        job: the job.
    """

    name = "compat"

    def __init__(self, job: StarlakeJob) -> None:
        self._job = job

    @hookimpl(tryfirst=True)
    def sl_create_task(self, task: Task) -> Any:
        """The task as the job creates it; the orchestrator's own form if the job asks for it."""
        return None if is_asked(task) or not self._makes(task) else rendered(self._job, task)

    def _makes(self, task: Task) -> bool:
        pipeline: Any = task.pipeline
        orchestrator = word_of(self._job, "sl_orchestrator")
        if orchestrator and orchestrator != pipeline.orchestration.plugins.orchestrator:
            return False  # the command line needs another orchestrator, for which the job creates nothing
        own, command = self._job.overridden, task.command
        if command is None:
            return task.job is None and "dummy_op" in own
        return command.verb in own or "sl_job" in own


@dataclass(frozen=True)
class PlainDag:
    """A pipeline or a group in native form, if the user's class has none of its own.

    Attributes:
        id: the id of the pipeline or group.
        tasks: maps paths to native tasks, in an order in which they can run.
        edges: pairs of paths: the second task runs directly after the first.
    """

    id: str
    tasks: Mapping[str, Any]
    edges: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class _Part:
    """A node while the pipeline around it is created: what edges to it and from it join."""

    native: Any
    firsts: Sequence[str]
    lasts: Sequence[str]
    tasks: Mapping[str, Any]
    edges: Sequence[tuple[str, str]]


class Classes:
    """Orchestrator and environment in one: the classes of a user who brings both.

    Args:
        name: the name of the orchestrator.
        job: the job that creates the tasks.
    """

    def __init__(self, name: str, job: StarlakeJob) -> None:
        self.name = name
        self._job = job

    @hookimpl
    def sl_create_job(self, command: Command, options: Options) -> Job:
        """The command to run; the native task that the job creates knows how to run it."""
        return Job(self.name, command.vector, options[GeneralOptions].sl_env_var)

    @hookimpl
    def sl_create_runner(self, job: Job) -> Any:
        """Refuse, because none of our runners runs such a job."""
        raise RunnerError(
            f"only the task that {type(self._job).__name__}.sl_job() creates can run a job of '{self.name}'"
        )

    @hookimpl
    def sl_create_task(self, task: Task) -> Any:
        """The native task, created by the verbs of the job."""
        return rendered(self._job, task)

    @hookimpl
    def sl_create_task_group(self, group: TaskGroup, create_children: CreateChildren) -> _Part:
        """The group of the user's own class, or only its tasks."""
        return self._part(group, create_children, getattr(group, "group", None))

    @hookimpl
    def sl_create_pipeline(self, pipeline: StarlakePipeline, create_children: CreateChildren) -> Any:
        """The pipeline of the user's own class, or a record of its tasks and edges."""
        own = getattr(pipeline, "own_dag", None)
        part = self._part(pipeline, create_children, own)
        return own if own is not None else PlainDag(pipeline.id, part.tasks, part.edges)

    def _part(self, group: TaskGroup, create_children: CreateChildren, native: Any) -> _Part:
        with native if hasattr(native, "__enter__") else nullcontext():
            children = create_children()
        prefix = "" if group.parent is None else f"{group.path}."
        parts = {
            node_id: made if isinstance(made, _Part) else _task(f"{prefix}{node_id}", made)
            for node_id, made in children.items()
        }
        tasks = {path: made for part in parts.values() for path, made in part.tasks.items()}
        edges = [edge for part in parts.values() for edge in part.edges]
        link = _linker(group.pipeline)
        for before, after in _edges(group):
            between = [(last, first) for last in parts[before].lasts for first in parts[after].firsts]
            if _links(parts[before].native) and _links(parts[after].native):
                link(parts[before].native, parts[after].native)
            else:
                for last, first in between:
                    link(tasks[last], tasks[first])
            edges.extend(between)
        firsts = [path for node in group.roots() for path in parts[node.id].firsts]
        lasts = [path for node in group.leaves() for path in parts[node.id].lasts]
        return _Part(native, firsts, lasts, tasks, edges)


def _task(path: str, native: Any) -> _Part:
    return _Part(native, (path,), (path,), {path: native}, ())


def _edges(group: TaskGroup) -> Iterator[tuple[str, str]]:
    return ((before, after) for before, afters in group.edges.items() for after in afters)


def _links(native: Any) -> bool:
    return native is not None and hasattr(type(native), "__rshift__")


def _linker(pipeline: Any) -> Callable[[Any, Any], object]:
    """How two native nodes are joined: by the user's pipeline, or else with ``>>``, or else not at all."""
    own: Callable[[Any, Any], object] | None = getattr(pipeline, "add_dag_dependency", None)
    if own is not None:
        return own

    def link(before: Any, after: Any) -> object:
        return before >> after if _links(before) else None

    return link
