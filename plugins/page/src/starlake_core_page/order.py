"""What runs after what in a pipeline, without the tasks and groups that only say so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from starlake_core import Pipeline, Task
from starlake_core.model.graph import Node, TaskGroup

__all__ = ["Joint", "followers"]

_MOST_CROSSED = 16
"""A joint stays where it saves more edges than that."""


@dataclass(frozen=True)
class Joint:
    """A point that many tasks reach before many others run: a task that does no work, or the border of a group.

    Attributes:
        path: the path of the task or group.
        side: ``before`` or ``after`` a group; empty for a task.
    """

    path: str
    side: str = ""


def followers(pipeline: Pipeline) -> Iterator[tuple[Task | Joint, Task | Joint]]:
    """Yield pairs of tasks of work of which the second runs after the first, within groups and between them.

    What does no work is passed over, unless an edge from each of many tasks to each of many others would take its
    place: then it is a joint.

    Args:
        pipeline: a checked pipeline.
    """
    before, after = _edges(pipeline)
    # Borders first: the name of a task says more than that of a border.
    for point in sorted((point for point in before if isinstance(point, Joint)), key=lambda joint: not joint.side):
        befores, afters = before.get(point, {}), after.get(point, {})
        if min(len(befores), len(afters)) > 1 and len(befores) * len(afters) > _MOST_CROSSED:
            continue
        for one in befores:
            del after[one][point]
        for other in afters:
            del before[other][point]
        before[point], after[point] = {}, {}
        for one in befores:
            for other in afters:
                after[one][other] = before[other][one] = None
    for one, others in after.items():
        for other in others:
            yield one, other


_Edges = dict[Task | Joint, dict[Task | Joint, None]]


def _edges(pipeline: Pipeline) -> tuple[_Edges, _Edges]:
    """Return what is directly before and after each point."""
    before: _Edges = {}
    after: _Edges = {}

    def join(one: Task | Joint, other: Task | Joint) -> None:
        for point in (one, other):
            before.setdefault(point, {})
            after.setdefault(point, {})
        after[one][other] = before[other][one] = None

    def point(node: Node, side: str) -> Task | Joint:
        if isinstance(node, TaskGroup):
            return Joint(node.path, side)
        return node if isinstance(node, Task) and node.is_work else Joint(node.path)

    for group in pipeline.groups():
        if group.parent is not None:
            for node in group.roots():
                join(point(group, "before"), point(node, "before"))
            for node in group.leaves():
                join(point(node, "after"), point(group, "after"))
        for one, others in group.edges.items():
            for other in others:
                join(point(group.nodes[one], "after"), point(group.nodes[other], "before"))
    return before, after
