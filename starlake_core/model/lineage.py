"""Which transform reads which tables: the lineage of a transform pipeline."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import CycleError, DependenciesError
from .schedule import read_cron

__all__ = ["DependencyType", "StarlakeDependencies", "StarlakeDependency"]


class DependencyType(str, enum.Enum):
    """Whether a node of the lineage is the result of a transform or a loaded table."""

    TASK = "task"
    TABLE = "table"

    def __str__(self) -> str:
        return self.value


class StarlakeDependency:
    """A node of a lineage. Nodes are compared by identity.

    Args:
        name: ``domain.task`` for a transform, ``domain.table`` for a table.
        dependency_type: a transform (``task``) or a loaded table (``table``).
        cron: how often it is produced.
        dependencies: the nodes that it reads.
        sink: the table that it writes, as ``domain.table``; its name by default.
        freshness: the seconds for which the result counts as fresh; 0 means unknown.
        dataset_triggering_strategy: ``any`` or ``all`` of its upstream datasets; the option of that name by default.
        write_strategy: the write strategy of the transform, for information.

    Raises:
        DependenciesError: the name is not of the form ``domain.name``.
    """

    __slots__ = (
        "cron",
        "dataset_triggering_strategy",
        "dependencies",
        "dependency_type",
        "freshness",
        "name",
        "sink",
        "write_strategy",
    )

    def __init__(
        self,
        name: str,
        dependency_type: DependencyType | str = DependencyType.TASK,
        cron: str | None = None,
        dependencies: Iterable[StarlakeDependency] = (),
        sink: str | None = None,
        freshness: int = 0,
        dataset_triggering_strategy: str | None = None,
        write_strategy: str | None = None,
    ) -> None:
        if "." not in name.strip("."):
            raise DependenciesError(f"dependency {name!r} is not of the form domain.name")
        try:
            self.dependency_type = DependencyType(str(dependency_type).lower())
        except ValueError:
            raise DependenciesError(
                f"dependency {name}: type {str(dependency_type)!r} is neither 'task' nor 'table'"
            ) from None
        self.name = name
        self.cron = read_cron(cron)
        self.dependencies = list(dependencies)
        # Generators before 1.5.16 wrote the text None for the sink of a table.
        self.sink = sink if sink and sink != "None" and "." in sink else name
        try:
            self.freshness = int(freshness)
        except (TypeError, ValueError):
            raise DependenciesError(f"dependency {name}: freshness {freshness!r} is not a number of seconds") from None
        strategy = str(dataset_triggering_strategy).lower() if dataset_triggering_strategy else None
        if strategy not in (None, "any", "all"):
            raise DependenciesError(
                f"dependency {name}: dataset_triggering_strategy {dataset_triggering_strategy!r} is neither 'any' nor 'all'"
            )
        self.dataset_triggering_strategy = strategy
        self.write_strategy = write_strategy

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> StarlakeDependency:
        """Create a node from a record in the JSON of ``dag-generate``.

        Args:
            data: the record.

        Raises:
            DependenciesError: it cannot be read.
        """
        return cls(
            data["name"],
            data.get("typ") or DependencyType.TASK,
            data.get("cron"),
            sink=data.get("sink"),
            freshness=data.get("freshness") or 0,
            dataset_triggering_strategy=data.get("dataset_triggering_strategy"),
            write_strategy=data.get("writeStrategy"),
        )

    @property
    def domain(self) -> str:
        """The part of the name before the first dot."""
        return self.name.partition(".")[0]

    @property
    def is_task(self) -> bool:
        """Whether the node is the result of a transform."""
        return self.dependency_type is DependencyType.TASK

    def __repr__(self) -> str:
        return f"StarlakeDependency({self.name!r}, {self.dependency_type.value!r})"


class StarlakeDependencies:
    """The lineage of a pipeline, with each node once, even if the input repeats it.

    Args:
        dependencies: nodes, each with the nodes that it reads; or the JSON of ``starlake dag-generate`` (a list of
            trees that repeat shared nodes).

    Attributes:
        roots: the nodes given, in their order: the transforms of this pipeline.
        nodes: every node by name, upstream nodes first.
        upstream: the names that a node reads, in their order.

    Raises:
        DependenciesError: the JSON cannot be read.
        CycleError: transforms wait for each other.
    """

    node_type: type[StarlakeDependency] = StarlakeDependency
    """The class of nodes that are read from JSON. Subclasses may replace it."""

    def __init__(self, dependencies: str | Iterable[StarlakeDependency] | StarlakeDependency) -> None:
        if isinstance(dependencies, StarlakeDependency):
            dependencies = [dependencies]
        given = _from_json(dependencies, self.node_type) if isinstance(dependencies, str) else list(dependencies)
        merged, upstream = _merge(given)
        self.roots = tuple(dict.fromkeys(node.name for node in given))
        order = _upstream_first(upstream)
        self.nodes: Mapping[str, StarlakeDependency] = {name: merged[name] for name in order}
        self.upstream: Mapping[str, tuple[str, ...]] = {name: tuple(upstream[name]) for name in order}

    def __repr__(self) -> str:
        return f"StarlakeDependencies({list(self.roots)!r}, {len(self.nodes)} nodes)"

    def __len__(self) -> int:
        return len(self.nodes)

    def get_dependency(self, name: str) -> StarlakeDependency | None:
        """Return the node with this name, or None."""
        return self.nodes.get(name)

    def downstream(self) -> Mapping[str, tuple[str, ...]]:
        """Return the names of the nodes that read a node."""
        result: dict[str, list[str]] = {name: [] for name in self.nodes}
        for name, parents in self.upstream.items():
            for parent in parents:
                result[parent].append(name)
        return {name: tuple(children) for name, children in result.items()}


def _from_json(text: str, node_type: type[StarlakeDependency]) -> list[StarlakeDependency]:
    try:
        trees = json.loads(text)
    except RecursionError:
        raise DependenciesError(
            "the JSON of the dependencies is nested deeper than the parser allows (a chain of about a thousand transforms). "
            "Give the lineage as StarlakeDependency objects, each node once, instead"
        ) from None
    except ValueError as error:
        raise DependenciesError(f"the JSON of the dependencies cannot be read: {error}") from None
    if isinstance(trees, Mapping):
        trees = [trees]
    if not isinstance(trees, list):
        raise DependenciesError(f"the JSON of the dependencies must be a list of trees, not {type(trees).__name__}")
    made: list[StarlakeDependency] = []
    # Children are made after their parent and appended to it, so that no depth is ever on the stack.
    todo: list[tuple[Any, list[StarlakeDependency]]] = [(tree, made) for tree in reversed(trees)]
    while todo:
        tree, siblings = todo.pop()
        node = _node(tree, node_type)
        siblings.append(node)
        children = tree.get("children") or []
        if not isinstance(children, list):
            raise DependenciesError(f"dependency {node.name}: its children must be a list, not {children!r}")
        todo.extend((child, node.dependencies) for child in reversed(children))
    return made


def _node(tree: Any, node_type: type[StarlakeDependency]) -> StarlakeDependency:
    data = tree.get("data") if isinstance(tree, Mapping) else None
    if not isinstance(data, Mapping) or not isinstance(data.get("name"), str):
        raise DependenciesError(
            f'a node of the dependencies has no {{"data": {{"name": ...}}}}: {json.dumps(tree)[:120]}'
        )
    return node_type.from_data(data)


def _merge(
    given: Sequence[StarlakeDependency],
) -> tuple[dict[str, StarlakeDependency], dict[str, dict[str, None]]]:
    """Return one node for each name, with everything that any of its occurrences reads."""
    merged: dict[str, StarlakeDependency] = {}
    upstream: dict[str, dict[str, None]] = {}
    seen: set[int] = set()
    todo = list(reversed(given))
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        known = merged.setdefault(node.name, node)
        if known.dependency_type is not node.dependency_type:
            raise DependenciesError(
                f"dependency {node.name} is a {known.dependency_type} in one place and a {node.dependency_type} in another"
            )
        if known.cron is None and node.cron is not None:
            known.cron = node.cron
        parents = upstream.setdefault(node.name, {})
        parents.update((child.name, None) for child in node.dependencies)
        todo.extend(reversed(node.dependencies))
    return merged, upstream


def _upstream_first(upstream: Mapping[str, Mapping[str, None]]) -> list[str]:
    """Return the nodes in topological order, which keeps the order of the input where it can."""
    done: dict[str, None] = {}
    path: dict[str, None] = {}
    for start in upstream:
        stack = [(start, iter(upstream[start]))] if start not in done else []
        if stack:
            path[start] = None
        while stack:
            name, parents = stack[-1]
            parent = next(parents, None)
            if parent is None:
                stack.pop()
                path.pop(name)
                done[name] = None
            elif parent in path:
                loop = [*path][[*path].index(parent) :]
                raise CycleError("transforms wait for each other: " + " -> ".join([*reversed(loop), loop[-1]]))
            elif parent not in done:
                path[parent] = None
                stack.append((parent, iter(upstream[parent])))
    return list(done)
