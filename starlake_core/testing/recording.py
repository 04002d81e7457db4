"""An orchestrator that records what it is given, and an add-on that watches another orchestrator."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..model.graph import Node, Pipeline, Task, TaskGroup
from ..model.graph_json import graph_json
from ..model.outcome import Outcome
from ..model.run import RunKey
from ..plugins.hookspecs import CreateChildren, hookimpl
from .graphs import NativeGraph, NativeTask

__all__ = ["Record", "RecordingOrchestrator", "Watcher", "describe_records"]


@dataclass(frozen=True, eq=False)
class Record:
    """The native form of a node.

    Attributes:
        node: the neutral node.
        children: the native children by id; empty for a task.
        edges: pairs of ids of children, the earlier one first.
    """

    node: Node
    children: Mapping[str, Any] = field(default_factory=dict)
    edges: tuple[tuple[str, str], ...] = ()


def _edges(group: TaskGroup) -> tuple[tuple[str, str], ...]:
    return tuple((before, after) for before, afters in group.edges.items() for after in afters)


class RecordingOrchestrator:
    """An orchestrator that runs nothing, and whose native objects are records. Use it to test environments, or as a
    base for fakes."""

    name = "recording"

    @hookimpl
    def sl_create_task(self, task: Task) -> Record:
        """Return a record of the task."""
        return Record(task)

    @hookimpl
    def sl_create_task_group(self, group: TaskGroup, create_children: CreateChildren) -> Record:
        """Return a record of the group and its children."""
        return Record(group, create_children(), _edges(group))

    @hookimpl
    def sl_create_pipeline(self, pipeline: Pipeline, create_children: CreateChildren) -> Record:
        """Return a record of the pipeline and its children."""
        return Record(pipeline, create_children(), _edges(pipeline))


def describe_records(native: Record) -> NativeGraph:
    """Return the native graph of the record of a pipeline. Any object that is not a record is a native node."""
    tasks: list[NativeTask] = []
    edges: list[tuple[str, str]] = []
    groups: list[str] = []
    todo: list[tuple[Record, tuple[str, ...]]] = [(native, ())]
    while todo:
        record, path = todo.pop()

        def name(child_id: str, suffix: str, path: tuple[str, ...] = path, record: Record = record) -> str:
            child = record.children[child_id]
            whole = ".".join((*path, child_id))
            return f"{whole} {suffix}" if isinstance(child, Record) and isinstance(child.node, TaskGroup) else whole

        edges.extend((name(before, "leaves"), name(after, "enters")) for before, after in record.edges)
        later, earlier = {after for _, after in record.edges}, {before for before, _ in record.edges}
        for child_id, child in record.children.items():
            if path and child_id not in later:
                edges.append((f"{'.'.join(path)} enters", name(child_id, "enters")))
            if path and child_id not in earlier:
                edges.append((name(child_id, "leaves"), f"{'.'.join(path)} leaves"))
            if isinstance(child, Record) and isinstance(child.node, TaskGroup):
                groups.append(".".join((*path, child_id)))
                todo.append((child, (*path, child_id)))
            else:
                tasks.append(NativeTask(".".join((*path, child_id)), path))
    return NativeGraph(tuple(tasks), tuple(edges), tuple(groups))


class Watcher:
    """An add-on that changes nothing, and records what is rendered and how attempts end.

    Attributes:
        tasks: the paths of all tasks for which ``sl_create_task`` was called.
        groups: the paths of all groups for which ``sl_create_task_group`` was called.
        before: the neutral graph as JSON, before anything was rendered.
        ends: the path of the task, and the outcome, of each attempt that ended, in order.
    """

    name = "watcher"

    def __init__(self) -> None:
        self.tasks: list[str] = []
        self.groups: list[str] = []
        self.before = ""
        self.ends: list[tuple[str, Outcome]] = []

    @hookimpl(wrapper=True)
    def sl_create_task(self, task: Task) -> Generator[None, Any, Any]:
        """Record the task."""
        self.tasks.append(task.path)
        return (yield)

    @hookimpl(wrapper=True)
    def sl_create_task_group(self, group: TaskGroup) -> Generator[None, Any, Any]:
        """Record the group."""
        self.groups.append(group.path)
        return (yield)

    @hookimpl(wrapper=True)
    def sl_create_pipeline(self, pipeline: Pipeline) -> Generator[None, Any, Any]:
        """Record the graph before it is rendered."""
        self.before = graph_json(pipeline)
        return (yield)

    @hookimpl
    def sl_task_ended(self, key: RunKey, outcome: Outcome) -> None:
        """Record the end."""
        self.ends.append((key.task.rpartition("/")[2].partition("[")[0], outcome))
