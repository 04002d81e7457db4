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
"""Names that Dagster reserves."""
_ASSET_JOB = "__ASSET_JOB"
"""How the names begin of the jobs that Dagster makes for assets, which a job of the same name would silently replace."""
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_]")


@dataclass(frozen=True)
class Flat:
    """The tasks of a pipeline as one graph.

    Attributes:
        tasks: the tasks by path, in topological order.
        befores: maps the path of each task or join to the paths of the tasks and joins directly before it.
        joins: paths of helpers that wait for one wide group, so that another group need not wait for each of its tasks.
        names: maps the path of each task, join or group that is one step to its name in Dagster.
        merged: maps the path of each task that shares a step with others to the path of its group.
    """

    tasks: Mapping[str, Task]
    befores: Mapping[str, tuple[str, ...]]
    joins: Mapping[str, Sequence[str]]
    names: Mapping[str, str]
    merged: Mapping[str, str]

    def step(self, path: str) -> str:
        """The path of the step that runs a task: its own, or that of its group."""
        return self.merged.get(path, path)

    def steps(self) -> list[str]:
        """The paths of all steps: single tasks, groups that are one step, joins."""
        return list(dict.fromkeys((*(self.step(path) for path in self.tasks), *self.joins)))

    def has_one_input(self, path: str) -> bool:
        """Whether a step has one input for everything that it waits for; Dagster counts it as skipped only if everything was."""
        task = self.tasks.get(path)
        return task is not None and task.trigger is not TriggerRule.ALL_SUCCESS


def _is_one_step(group: TaskGroup) -> bool:
    """Whether the tasks of a group may share a step: plain loads that do not wait for each other."""
    return len(group.nodes) > 1 and not group.edges and all(_is_plain_load(node) for node in group.nodes.values())


def kept_apart(group: TaskGroup) -> list[str]:
    """The tasks because of which the loads of a group do not share a step: they have something that a part of a step cannot have.

    Args:
        group: a group whose loads should share one.
    """
    loads = [node for node in group.nodes.values() if _is_load(node)]
    return [node.id for node in loads if not _is_plain_load(node)] if len(loads) > 1 and not group.edges else []


def _is_load(node: object) -> bool:
    return isinstance(node, Task) and node.factory is None and node.command is not None and node.command.type.per_table


def _is_plain_load(node: object) -> bool:
    return (
        isinstance(node, Task)
        and _is_load(node)
        and node.trigger is TriggerRule.ALL_SUCCESS
        and not (node.inlets or node.native)
    )


def flatten(pipeline: Pipeline, together: bool = False) -> Flat:
    """Flatten a checked pipeline.

    Dagster's groups (nested graphs) do not help here: an asset inside one cannot be materialised by itself.

    Args:
        pipeline: a checked pipeline.
        together: whether the loads of a group become one step.

    Raises:
        DuplicateIdError: two tasks would have the same name in Dagster, where names have letters, digits and underscores.
    """
    walk = _Walk(together)
    walk.into(pipeline, "")
    tasks, befores, joins, merged = walk.tasks, walk.befores, walk.joins, walk.merged
    for path, task in tasks.items():
        # What waits for such a task would depend on each of the many.
        if len(befores[path]) > _WIDE and not task.outlets and task.trigger is TriggerRule.ALL_SUCCESS:
            join = f"{path}..before_{task.id}"
            joins[join], befores[join], befores[path] = tuple(befores[path]), befores[path], {join: None}
    for path, step in merged.items():
        befores[step] = befores.get(step, {}) | befores[path]
    names = _names([*tasks, *joins, *dict.fromkeys(merged.values())], pipeline.id)
    same: dict[tuple[str, ...], tuple[str, ...]] = {}  # many steps wait for the same ones
    shared = {path: same.setdefault(found, found) for path, found in ((p, tuple(b)) for p, b in befores.items())}
    return Flat(tasks, shared, joins, names, merged)


class _Walk:
    """The state of a walk through the groups of a pipeline: the attributes of :class:`Flat`, as far as they are known."""

    def __init__(self, together: bool) -> None:
        self.together = together
        self.tasks: dict[str, Task] = {}
        self.befores: dict[str, dict[str, None]] = {}
        self.joins: dict[str, Sequence[str]] = {}
        self.merged: dict[str, str] = {}
        self._nothing: dict[str, None] = {}
        self._several: set[str] = set()

    def into(self, group: TaskGroup, prefix: str) -> tuple[Sequence[str], Sequence[str]]:
        """Walk through a group; return the paths of its first and of its last tasks."""
        groups: dict[str, tuple[Sequence[str], Sequence[str]]] = {}
        if self.together and prefix and _is_one_step(group):
            self.merged.update((prefix + node_id, prefix[:-1]) for node_id in group.nodes)
        for node in group.children:
            path = prefix + node.id
            if isinstance(node, TaskGroup):
                groups[node.id] = self.into(node, f"{path}.")
            elif isinstance(node, Task):
                self.tasks[path] = node
                self.befores[path] = self._nothing

        def firsts(node_id: str) -> Sequence[str]:
            return groups[node_id][0] if node_id in groups else (prefix + node_id,)

        def lasts(node_id: str) -> Sequence[str]:
            return groups[node_id][1] if node_id in groups else (prefix + node_id,)

        for before, afters in group.edges.items():
            for after in afters:
                self.connect(prefix + before, lasts(before), firsts(after))
        return (
            [path for node in group.roots() for path in firsts(node.id)],
            [path for node in group.leaves() for path in lasts(node.id)],
        )

    def connect(self, before: str, lasts: Sequence[str], firsts: Sequence[str]) -> None:
        """Let the first tasks of a node wait for the last ones of the node ``before``."""
        wide = len(lasts) > 1 and len(firsts) > 1 and len(lasts) * len(firsts) > _WIDE
        every = dict.fromkeys(lasts)
        join = f"{before}..{before.rpartition('.')[2]}_done"  # not the path of a task
        for first in firsts:
            if wide and self.tasks[first].trigger is TriggerRule.ALL_SUCCESS:
                self.joins[join] = lasts
                self.befores[join] = every
                self._wait(first, {join: None})
            else:
                self._wait(first, every)

    def _wait(self, path: str, more: dict[str, None]) -> None:
        """Let a task wait for more tasks. Most calls are single, and many have the same argument, which is then shared."""
        known = self.befores[path]
        if not known:
            self.befores[path] = more
        elif path in self._several:
            known.update(more)
        else:
            self._several.add(path)
            self.befores[path] = known | more


def check_name(what: str, name: str) -> None:
    """Refuse a name that Dagster does not accept.

    Args:
        what: the thing with that name, for the message.
        name: its name in Dagster.

    Raises:
        StarlakeError: Dagster or Python reserves the name.
    """
    if name in _RESERVED or iskeyword(name) or name.startswith(_ASSET_JOB):
        raise StarlakeError(f"{what} would be '{name}' in Dagster, where that name is reserved; rename it")


def _names(paths: Sequence[str], pipeline_id: str) -> dict[str, str]:
    """The last part of a path if only one task has it, or else the whole path."""
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
                "only letters, digits and '_'; give one of them another task_id"
            )
        names[path] = name
    return names
