"""The critical path of a run: the chain of tasks that took longest, which decides how long the run takes.

See Kelley and Walker, "Critical-path planning and scheduling" (Eastern Joint Computer Conference, 1959).
"""

from __future__ import annotations

import graphlib
from collections.abc import Mapping

from starlake_core import Pipeline, Task, TaskGroup

__all__ = ["critical_path"]

_Point = tuple[str, str]  # "in" or "out" of the path of a node


def critical_path(pipeline: Pipeline, seconds: Mapping[str, float]) -> list[str]:
    """Return the tasks of the longest chain, in the order in which they ran.

    Args:
        pipeline: a checked pipeline.
        seconds: how long each task took, by path; tasks that did not run are left out.
    """
    before = _before(pipeline)
    total: dict[_Point, float] = {}
    best: dict[_Point, _Point] = {}
    last: _Point | None = None
    for point in graphlib.TopologicalSorter(before).static_order():
        chosen = max(before.get(point, ()), key=lambda other: total[other], default=None)
        if chosen is not None:
            best[point] = chosen
        own = seconds.get(point[1], 0.0) if point[0] == "out" else 0.0
        total[point] = own + (total[chosen] if chosen is not None else 0.0)
        if last is None or total[point] > total[last]:
            last = point
    path: list[str] = []
    while last is not None:
        if last[0] == "out" and last[1] in seconds:
            path.append(last[1])
        last = best.get(last)
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
