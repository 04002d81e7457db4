"""A pipeline without its groups: what runs directly before what, in as few edges as there are nodes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from keyword import iskeyword

from starlake_core import DuplicateIdError, Pipeline, StarlakeError, Task, TaskGroup, TriggerRule

__all__ = ["Flat", "check_name", "flatten"]

_WIDE = 64
_RESERVED = frozenset(
    (
        "arg_dict", "bool", "conf", "config", "context", "dict", "float", "input", "input_arg_dict", "int", "meta", "output",
        "output_arg_dict", "str", "type",
    )
)  # fmt: skip
"""Names that Dagster keeps for itself."""
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_]")


@dataclass(frozen=True)
class Flat:
    """The tasks of a pipeline as one graph.

    Attributes:
        tasks: by path, in topological order.
        befores: path of each task or join to the paths of the tasks and joins directly before it.
        joins: paths of helpers that wait for one wide group, so that another one needs not wait for each of its tasks.
        names: path of each task, join or group that is one step to its name in Dagster.
        merged: path of each task that shares a step with others to the path of its group.
    """

    tasks: Mapping[str, Task]
    befores: Mapping[str, Sequence[str]]
    joins: Mapping[str, Sequence[str]]
    names: Mapping[str, str]
    merged: Mapping[str, str]

    def step(self, path: str) -> str:
        """The path of the step that runs a task: its own, or that of its group."""
        return self.merged.get(path, path)

    def steps(self) -> list[str]:
        """The paths of all steps: tasks by themselves, groups that are one step, joins."""
        return list(dict.fromkeys((*(self.step(path) for path in self.tasks), *self.joins)))


def _is_one_step(group: TaskGroup) -> bool:
    """Whether the tasks of a group may share a step: plain loads that do not wait for each other."""
    return len(group.nodes) > 1 and not group.edges and all(_is_plain_load(node) for node in group.nodes.values())


def _is_plain_load(node: object) -> bool:
    return (
        isinstance(node, Task)
        and node.factory is None
        and node.command is not None
        and node.command.name == "load"
        and node.trigger is TriggerRule.ALL_SUCCESS
        and not (node.inlets or node.native)
    )


def flatten(pipeline: Pipeline, together: bool = False) -> Flat:
    """Flatten a checked pipeline.

    Args:
        pipeline: checked.
        together: make the loads of a group one step.

    Dagster's groups (nested graphs) are no help here: an asset inside of one cannot be materialised by itself.

    Raises:
        DuplicateIdError: two tasks would have one name in Dagster, which has letters, digits and underscores.
    """
    tasks: dict[str, Task] = {}
    befores: dict[str, dict[str, None]] = {}
    joins: dict[str, Sequence[str]] = {}
    merged: dict[str, str] = {}

    def walk(group: TaskGroup, prefix: str) -> tuple[list[str], list[str]]:
        """Paths of the first and of the last tasks of a group."""
        ends: dict[str, tuple[list[str], list[str]]] = {}
        if together and prefix and _is_one_step(group):
            merged.update((prefix + node_id, prefix[:-1]) for node_id in group.nodes)
        for node in group.children:
            path = prefix + node.id
            if isinstance(node, TaskGroup):
                ends[node.id] = walk(node, f"{path}.")
            elif isinstance(node, Task):
                tasks[path] = node
                befores[path] = {}
                ends[node.id] = [path], [path]
        for before, afters in group.edges.items():
            for after in afters:
                connect(f"{prefix}{before}", ends[before][1], ends[after][0])
        firsts = [path for node in group.roots() for path in ends[node.id][0]]
        lasts = [path for node in group.leaves() for path in ends[node.id][1]]
        return firsts, lasts

    def connect(before: str, lasts: list[str], firsts: list[str]) -> None:
        wide = len(lasts) > 1 and len(firsts) > 1 and len(lasts) * len(firsts) > _WIDE
        for first in firsts:
            if wide and tasks[first].trigger is TriggerRule.ALL_SUCCESS:
                join = f"{before}..all"  # the path of no task
                joins[join] = lasts
                befores[join] = dict.fromkeys(lasts)
                befores[first][join] = None
            else:
                befores[first].update(dict.fromkeys(lasts))

    walk(pipeline, "")
    for path, step in merged.items():
        befores.setdefault(step, {}).update(befores[path])
    names = _names([*tasks, *joins, *dict.fromkeys(merged.values())], pipeline.id)
    return Flat(tasks, {path: list(found) for path, found in befores.items()}, joins, names, merged)


def check_name(what: str, name: str) -> None:
    """Refuse a name that Dagster does not take.

    Args:
        what: has the name, for the message.
        name: in Dagster.

    Raises:
        StarlakeError: it is a word of Dagster's or of Python's.
    """
    if name in _RESERVED or iskeyword(name):
        raise StarlakeError(
            f"{what} would be '{name}' in Dagster, which keeps that word for itself; give it another name"
        )


def _names(paths: Sequence[str], pipeline_id: str) -> dict[str, str]:
    """The last part of a path where only one task has it, else the whole path."""
    times: dict[str, int] = {}
    for path in paths:
        last = path.rpartition(".")[2]
        times[last] = times.get(last, 0) + 1
    names: dict[str, str] = {}
    taken: dict[str, str] = {}
    for path in paths:
        last = path.rpartition(".")[2]
        name = _NOT_IN_NAME.sub("_", last if times[last] == 1 else path.replace(".", "__"))
        check_name(f"task '{path}' of pipeline '{pipeline_id}'", name)
        other = taken.setdefault(name, path)
        if other != path:
            raise DuplicateIdError(
                f"the tasks '{other}' and '{path}' of pipeline '{pipeline_id}' would both be '{name}' in Dagster, where a name has "
                "letters, digits and '_'; give one of them another task_id"
            )
        names[path] = name
    return names
