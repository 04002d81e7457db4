"""The native form of a pipeline: a flat list of steps that count their upstream edges.

A group becomes two steps that do nothing, its entry and its exit, so that an edge between two groups remains one edge however many tasks
they contain.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlake_core import Attempt, Pipeline, StarlakeError, Task, TaskGroup, graph_json

__all__ = ["Container", "Plan", "Step", "flatten"]


@dataclass(eq=False)
class Step:
    """A step of a plan.

    Attributes:
        path: the path of the task; empty for the entry and the exit of a group.
        task: the task; None for the entry and the exit of a group.
        call: for a native node, the callable that runs in a worker thread with its attempt as argument.
        upstream: how many steps must end first.
        downstream: the steps that wait for this one.
    """

    path: str = ""
    task: Task | None = None
    call: Callable[[Attempt], object] | None = None
    upstream: int = 0
    downstream: list[Step] = field(default_factory=list)


@dataclass(eq=False)
class Container:
    """A group before it is flattened: its children by id, and the edges between them."""

    group: TaskGroup
    children: Mapping[str, Any]
    entry: Step = field(default_factory=Step)
    exit: Step = field(default_factory=Step)


@dataclass(eq=False)
class Plan:
    """A pipeline that is ready to run.

    Attributes:
        pipeline: the pipeline it was rendered from.
        steps: the steps, in topological order.
    """

    pipeline: Pipeline
    steps: list[Step]

    @functools.cached_property
    def fingerprint(self) -> str:
        """The digest of the graph, which a resumed run must not have changed. A run asks for it several times."""
        return hashlib.sha256(graph_json(self.pipeline).encode()).hexdigest()

    def before(self, step: Step) -> list[Step]:
        """All steps upstream of a step, direct or indirect, in topological order."""
        wanted = {id(step)}
        found = []
        for other in reversed(self.steps):
            if any(id(after) in wanted for after in other.downstream):
                wanted.add(id(other))
                found.append(other)
        return found[::-1]

    @property
    def tasks(self) -> list[Step]:
        """The steps that users see: all but the entries and exits of groups."""
        return [step for step in self.steps if step.path]


def _join(before: Step, after: Step) -> None:
    before.downstream.append(after)
    after.upstream += 1


def _flatten_into(container: Container, steps: list[Step], outermost: bool) -> None:
    group = container.group
    first: dict[str, Step] = {}
    last: dict[str, Step] = {}
    if not outermost:
        steps.append(container.entry)
    for node in group.children:
        child = container.children[node.id]
        if isinstance(child, Container):
            _flatten_into(child, steps, False)
            first[node.id], last[node.id] = child.entry, child.exit
            continue
        if not isinstance(child, Step):
            if not callable(child):
                raise StarlakeError(
                    f"native node '{node.path}': the orchestrator 'local' needs a callable that takes the attempt, not {child!r}"
                )
            assert isinstance(node, Task)
            child = Step(node.path, node, child)
        steps.append(child)
        first[node.id] = last[node.id] = child
    for before, afters in group.edges.items():
        for after in afters:
            _join(last[before], first[after])
    if not outermost:
        for node in group.roots():
            _join(container.entry, first[node.id])
        for node in group.leaves():
            _join(last[node.id], container.exit)
        steps.append(container.exit)


def flatten(container: Container, pipeline: Pipeline) -> Plan:
    """Turn the outermost container into a plan."""
    steps: list[Step] = []
    _flatten_into(container, steps, True)
    return Plan(pipeline, steps)
