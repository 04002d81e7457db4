"""The critical path of a run: the chain of tasks of which each started when the one before it had ended last of all that
it waited for. It decides how long the run takes.

See Kelley and Walker, "Critical-path planning and scheduling" (Eastern Joint Computer Conference, 1959). Here the times
are not planned but happened, so what a task waited for besides, such as a slot or an earlier attempt, counts as well.
"""

from __future__ import annotations

import graphlib
from collections.abc import Mapping
from datetime import datetime

from starlake_core import Pipeline, Task, TaskGroup

__all__ = ["critical_path"]

_Point = tuple[str, str]  # "in" or "out" of the path of a node


def critical_path(pipeline: Pipeline, ended: Mapping[str, datetime]) -> list[str]:
    """Return the tasks of the chain that ended last, in the order in which they ran.

    Args:
        pipeline: a checked pipeline.
        ended: when each task ended, by path; tasks that did not run are left out.
    """
    before = _before(pipeline)
    last: dict[_Point, str] = {}  # the task that ended last, before a point
    for point in graphlib.TopologicalSorter(before).static_order():
        if point[0] == "out" and point[1] in ended:
            last[point] = point[1]
        elif found := [last[other] for other in before.get(point, ()) if other in last]:
            last[point] = max(found, key=lambda path: ended[path])
    path: list[str] = []
    task = max(last.values(), key=lambda found: ended[found], default=None)
    while task is not None:
        path.append(task)
        task = last.get(("in", task))
    return path[::-1]


def _before(pipeline: Pipeline) -> dict[_Point, list[_Point]]:
    """Return what each point waits for. A group is entered before and left after everything in it."""
    before: dict[_Point, list[_Point]] = {}

    def add(point: _Point, other: _Point) -> None:
        before.setdefault(point, []).append(other)

    for group in pipeline.groups():
        inside = group.parent is not None
        for node in group.children:
            before.setdefault(("in", node.path), [])
            if isinstance(node, Task):
                add(("out", node.path), ("in", node.path))
            if inside:
                add(("in", node.path), ("in", group.path))
                add(("out", group.path), ("out", node.path))
            elif isinstance(node, TaskGroup):
                before.setdefault(("out", node.path), [])
        for one, others in group.edges.items():
            for other in others:
                add(("in", group.nodes[other].path), ("out", group.nodes[one].path))
    return before
