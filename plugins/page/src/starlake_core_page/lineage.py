"""The nodes and edges that a page shows: tables with the tasks that make them, and what reads what."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from starlake_core import Pipeline, StarlakeDataset, Task

from .order import Joint, followers

__all__ = ["KINDS", "Edge", "Lineage", "Node", "lineage_of", "natural"]

KINDS = ("external", "load", "transform", "dataset", "job", "step")
"""What nodes are: a table that no task here makes, the table of a load, that of a transform, another dataset, a task
without a dataset, a step that many tasks reach before many others run. Pages have their indexes."""


@dataclass
class Node:
    """A table, or a task that makes none.

    Attributes:
        name: what a person calls it: ``domain.table`` of a table, the id of a task. No other node has it, in whatever
            case.
        domain: what comes before the first dot of the name; the id of the pipeline for a task without a domain.
        kind: an index of :data:`KINDS`.
        tasks: the tasks that make it, with the index of their pipeline.
        dataset: its dataset, if it has one.
    """

    name: str
    domain: str
    kind: int
    tasks: list[tuple[int, Task]] = field(default_factory=list)
    dataset: StarlakeDataset | None = None


@dataclass(frozen=True)
class Edge:
    """An edge: the second node reads the first, or only runs after it.

    Attributes:
        before, after: indexes of nodes.
        reads: whether data goes along it.
    """

    before: int
    after: int
    reads: bool


@dataclass(frozen=True)
class Lineage:
    """The lineage of some pipelines, sorted by name.

    Attributes:
        nodes: the nodes.
        edges: the edges, those of data before those of order.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def lineage_of(pipelines: Sequence[Pipeline]) -> Lineage:
    """Return the lineage of pipelines.

    A table is one node, whatever number of tasks and pipelines make it. Checks, imports, dummies, set-ups and
    tear-downs are not nodes: they are in the list of tasks. Tasks that follow each other without exchanging data are
    joined by an edge of order, also where whole groups follow each other.

    Args:
        pipelines: checked pipelines.
    """
    found: dict[str, Node] = {}
    reads: dict[tuple[str, str], bool] = {}
    made: dict[tuple[int, str], list[str]] = {}  # pipeline and path of a task, to the keys of its nodes
    for index, pipeline in enumerate(pipelines):
        for task in pipeline.tasks():
            keys = list(_made(index, task, found))
            if keys:
                made[index, task.path] = keys
    for pipeline in pipelines:
        for dataset in pipeline.trigger.datasets if pipeline.trigger is not None else ():
            _dataset(dataset, found)
    for index, pipeline in enumerate(pipelines):
        for task in pipeline.tasks():
            for dataset in task.inlets:
                _dataset(dataset, found)
                for key in made.get((index, task.path), ()):
                    if key != dataset.identity:
                        reads[dataset.identity, key] = True
    for index, pipeline in enumerate(pipelines):
        tasks = {task.path: task for task in pipeline.tasks()}
        for pair in followers(pipeline):
            ends = [
                [_joint(index, pipeline, point, tasks.get(point.path), found)]
                if isinstance(point, Joint)
                else made.get((index, point.path), [])
                for point in pair
            ]
            for one in ends[0]:
                for other in ends[1]:
                    if one != other and (other, one) not in reads:
                        reads.setdefault((one, other), False)
    _name_producers(pipelines, found)
    _distinguish(pipelines, found)
    order = sorted(found, key=lambda key: (natural(found[key].name), key))
    place = {key: number for number, key in enumerate(order)}
    edges = sorted(
        (Edge(place[one], place[other], is_read) for (one, other), is_read in reads.items()),
        key=lambda edge: (not edge.reads, edge.before, edge.after),
    )
    return Lineage(tuple(found[key] for key in order), tuple(edges))


def natural(name: str) -> tuple[tuple[int, str], ...]:
    """Return the key by which a person sorts names: in whatever case, and ``t2`` before ``t10``.

    Args:
        name: the name.
    """
    parts = re.split("([0-9]+)", name.casefold())  # every other one is a number
    return tuple((len(part.lstrip("0")) if index % 2 else 0, part) for index, part in enumerate(parts))


def _made(index: int, task: Task, found: dict[str, Node]) -> Iterator[str]:
    """Add the nodes of a task, and yield their keys."""
    if not task.is_work:
        return
    word = task.command.name if task.command is not None else ""
    kind = KINDS.index(word if word in ("load", "transform") else "dataset" if task.outlets else "job")
    for dataset in task.outlets:
        node = _dataset(dataset, found)
        if not node.tasks:
            node.kind = kind
        node.tasks.append((index, task))
        yield dataset.identity
    if not task.outlets:
        name = (task.command.subject if task.command is not None else "") or task.id
        domain = task.domain or (name.partition(".")[0] if "." in name else task.pipeline.id)
        key = f"{index}\n{task.path}"  # no URI has a line break
        found[key] = Node(name, domain, kind, [(index, task)])
        yield key


def _joint(index: int, pipeline: Pipeline, point: Joint, task: Task | None, found: dict[str, Node]) -> str:
    """Add the node of a joint, and return its key."""
    key = f"{index}\n{point.path}\n{point.side}"
    name = point.path.rpartition(".")[2]
    tasks = [(index, task)] if task is not None else []
    found.setdefault(key, Node(f"{point.side} {name}".strip(), pipeline.id, KINDS.index("step"), tasks))
    return key


def _distinguish(pipelines: Sequence[Pipeline], found: dict[str, Node]) -> None:
    """Give nodes with one name names of their own: of their pipeline, their path, and at last a number."""
    by_name: dict[str, list[str]] = {}
    for key, node in found.items():
        by_name.setdefault(node.name.casefold(), []).append(key)
    taken = set(by_name)
    for keys in by_name.values():
        # A table keeps its name before a task does.
        keys.sort(key=lambda key: (found[key].dataset is None, key))
        for key in keys[found[keys[0]].dataset is not None :] if len(keys) > 1 else ():
            node = found[key]
            places = [
                part for i, task in node.tasks[:1] for part in (pipelines[i].id, f"{pipelines[i].id}.{task.path}")
            ]
            tries = (f"{node.name} ({place})" for place in itertools.chain(places, itertools.count(2)))
            node.name = next(name for name in tries if name.casefold() not in taken)
            taken.add(node.name.casefold())


def _dataset(dataset: StarlakeDataset, found: dict[str, Node]) -> Node:
    name = dataset.sink or dataset.name
    known = found.get(dataset.identity)
    if known is None:
        domain = name.partition(".")[0] if dataset.sink else "datasets"
        known = found[dataset.identity] = Node(name, domain, KINDS.index("external"), dataset=dataset)
    elif known.dataset is not None and not known.dataset.sink and dataset.sink:
        known.dataset, known.name, known.domain = dataset, name, name.partition(".")[0]
    return known


def _name_producers(pipelines: Sequence[Pipeline], found: dict[str, Node]) -> None:
    """Turn what the end of a pipeline emits, such as the pipeline's own dataset, from something external into a dataset."""
    for index, pipeline in enumerate(pipelines):
        for task in pipeline.tasks():
            for dataset in task.outlets if not task.is_work else ():
                node = found.get(dataset.identity)
                if node is not None and not node.tasks:
                    node.kind = KINDS.index("dataset")
                    node.tasks.append((index, task))
