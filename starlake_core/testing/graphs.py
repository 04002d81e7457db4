"""Native graphs of any orchestrator, in a form that can be compared."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..model.graph import Pipeline, TaskGroup

__all__ = ["NativeGraph", "NativeTask", "differences", "neutral_graph", "tasks_before"]

_SHOWN = 8


@dataclass(frozen=True)
class NativeTask:
    """A native task of an orchestrator.

    Attributes:
        path: the ids of its groups in the neutral graph and its own id, joined with dots.
        groups: the ids of its native groups, outermost first; empty for an orchestrator without groups.
    """

    path: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class NativeGraph:
    """The native form of a pipeline.

    Attributes:
        tasks: all native tasks, including duplicates.
        edges: pairs of nodes, of which the first runs directly before the second. Names are paths of tasks, or any
            other string for a helper (the entry or exit of a group, the branch of a gate) that is not a task of the
            pipeline. Only the order of the tasks counts.
        groups: the paths of the native groups; by default those with a task.
    """

    tasks: tuple[NativeTask, ...]
    edges: tuple[tuple[str, str], ...] = ()
    groups: tuple[str, ...] | None = None

    def group_paths(self) -> frozenset[str]:
        """Return the paths of the native groups."""
        if self.groups is not None:
            return frozenset(self.groups)
        return frozenset(".".join(task.groups[: depth + 1]) for task in self.tasks for depth in range(len(task.groups)))


def neutral_graph(pipeline: Pipeline) -> NativeGraph:
    """Return the graph that every orchestrator should create from a checked pipeline."""
    tasks = tuple(NativeTask(task.path, tuple(task.path.split(".")[:-1])) for task in pipeline.tasks())
    edges: list[tuple[str, str]] = []
    for group in pipeline.groups():
        for before, afters in group.edges.items():
            first = group.nodes[before]
            leave = f"{first.path} leaves" if isinstance(first, TaskGroup) else first.path
            for after in afters:
                second = group.nodes[after]
                edges.append((leave, f"{second.path} enters" if isinstance(second, TaskGroup) else second.path))
        if group is pipeline:
            continue
        for node in group.nodes.values():
            inner = isinstance(node, TaskGroup)
            edges.append((f"{group.path} enters", f"{node.path} enters" if inner else node.path))
            edges.append((f"{node.path} leaves" if inner else node.path, f"{group.path} leaves"))
    groups = tuple(group.path for group in pipeline.groups() if group is not pipeline)
    return NativeGraph(tasks, tuple(edges), groups)


def _befores(graph: NativeGraph, index: Mapping[str, int]) -> dict[str, int]:
    """Return, for each node, the tasks that run anywhere before it, as bits."""
    waiting: dict[str, int] = {task.path: 0 for task in graph.tasks}
    afters: dict[str, list[str]] = {}
    for before, after in dict.fromkeys(graph.edges):
        waiting.setdefault(before, 0)
        waiting[after] = waiting.get(after, 0) + 1
        afters.setdefault(before, []).append(after)
    ready = deque(name for name, count in waiting.items() if not count)
    befores = dict.fromkeys(waiting, 0)
    done = 0
    while ready:
        name = ready.popleft()
        done += 1
        seen = befores[name] | (1 << index[name] if name in index else 0)
        for after in afters.get(name, ()):
            befores[after] |= seen
            waiting[after] -= 1
            if not waiting[after]:
                ready.append(after)
    if done < len(waiting):
        stuck = sorted(name for name, count in waiting.items() if count)
        raise AssertionError(f"the native graph has a cycle: {', '.join(stuck[:_SHOWN])} wait for each other")
    return befores


def _some(lines: Iterable[str]) -> list[str]:
    found = list(lines)
    left = len(found) - _SHOWN
    return [*found[:_SHOWN], *([f"... and {left} more"] if left > 0 else [])]


def differences(expected: NativeGraph, found: NativeGraph, *, nested_groups: bool) -> list[str]:
    """Return what is wrong with a native graph, one line each.

    Args:
        expected: the result of :func:`neutral_graph`.
        found: the graph as described by the author of the plugin.
        nested_groups: whether groups are native groups.
    """
    times: dict[str, int] = {}
    for task in found.tasks:
        times[task.path] = times.get(task.path, 0) + 1
    wanted = {task.path: task for task in expected.tasks}
    problems = _some(f"task '{path}' is missing" for path in wanted if path not in times)
    problems += _some(f"task '{path}' is not a task of the pipeline" for path in times if path not in wanted)
    problems += _some(f"task '{path}' is there {count} times" for path, count in times.items() if count > 1)
    if nested_groups:
        problems += _some(
            f"task '{task.path}' is in the group '{'.'.join(task.groups)}', not in "
            f"'{'.'.join(wanted[task.path].groups)}'"
            for task in found.tasks
            if task.path in wanted and task.groups != wanted[task.path].groups
        )
        problems += _some(f"group '{path}' is missing" for path in sorted(expected.group_paths() - found.group_paths()))
        problems += _some(
            f"group '{path}' is not a group of the pipeline, or is empty"
            for path in sorted(found.group_paths() - expected.group_paths())
        )
    if problems:
        return problems
    paths = list(wanted)
    index = {path: number for number, path in enumerate(paths)}
    right, real = _befores(expected, index), _befores(found, index)

    def names(bits: int) -> list[str]:
        return [path for number, path in enumerate(paths) if bits >> number & 1]

    for path in paths:
        missing, extra = right[path] & ~real[path], real[path] & ~right[path]
        problems += [f"'{path}' does not wait for '{before}'" for before in names(missing)]
        problems += [f"'{path}' waits for '{before}', which is not in the pipeline" for before in names(extra)]
    return _some(problems)


def tasks_before(graph: NativeGraph) -> dict[str, list[str]]:
    """Return the paths of all tasks that run anywhere before each task. The result is quadratic, so use it for small
    graphs."""
    paths = [task.path for task in graph.tasks]
    befores = _befores(graph, {path: number for number, path in enumerate(paths)})
    return {path: [other for number, other in enumerate(paths) if befores[path] >> number & 1] for path in paths}
