"""The lineage as generated files walk it: nodes with parents, first-level tasks, graphs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from starlake_core import DependencyType, sanitize_id
from starlake_core import StarlakeDependencies as CoreDependencies
from starlake_core import StarlakeDependency as CoreDependency

from .schedules import cron_or_none, is_none
from .swallowed import warn_of_keywords

__all__ = ["StarlakeDependencies", "StarlakeDependency", "TreeNodeMixin"]


class StarlakeDependency(CoreDependency):
    """One node of a lineage, with the names that generated files use. Its attributes can be assigned.

    Args:
        name: ``domain.task`` of a transform, ``domain.table`` of a table; a table outside the project may have one part.
        dependency_type: a transform (``task``) or a loaded table (``table``).
        cron: how often it is produced.
        dependencies: what it reads.
        sink: ``domain.table`` that it writes; its name by default.
        stream: the stream of the table, for information.
        freshness: how long the result counts as fresh, in seconds; 0 means unknown.
        dataset_triggering_strategy: ``any`` or ``all`` of its upstream datasets; the option by default.
        write_strategy: the write strategy of the transform, for information.
        **kwargs: have no effect and cause a warning.

    Raises:
        DependenciesError: the type or the freshness cannot be read.

    Attributes:
        generated_strategy: the triggering strategy that the generator wrote, which has no effect.
    """

    def __init__(
        self,
        name: str,
        dependency_type: DependencyType | str = DependencyType.TASK,
        cron: str | None = None,
        dependencies: Iterable[CoreDependency] = (),
        sink: str | None = None,
        stream: str | None = None,
        freshness: int | None = None,
        dataset_triggering_strategy: str | None = None,
        write_strategy: Any = None,
        **kwargs: Any,
    ) -> None:
        known = ("name", "dependency_type", "cron", "dependencies", "sink", "stream", "freshness")
        warn_of_keywords(f"StarlakeDependency({name!r})", kwargs, known)
        named = name if "." in name.strip(".") else f"{name}.{name}"
        # The first and the last part, as in the replaced package, so that its events are awaited under these names.
        written = (name if sink is None or is_none(sink) else sink).split(".")
        super().__init__(
            named,
            dependency_type,
            cron_or_none(cron, f"dependency {name}"),
            dependencies,
            f"{written[0]}.{written[-1]}",
            freshness or 0,
            dataset_triggering_strategy,
            write_strategy,
        )
        self.name = name
        self.stream = stream
        self.generated_strategy: str | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, cron_or_none(value, f"dependency {self.name}") if name == "cron" else value)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> StarlakeDependency:
        """The node of a JSON record: what is not a transform is a table, and only the option says how datasets start a pipeline.

        Args:
            data: the ``data`` of the record.

        Raises:
            DependenciesError: it cannot be read.
        """
        made = cls(
            data["name"],
            DependencyType.TASK if data.get("typ") == "task" else DependencyType.TABLE,
            data.get("cron"),
            sink=data.get("sink"),
            stream=data.get("stream"),
            freshness=data.get("freshness"),
            write_strategy=data.get("writeStrategy"),
        )
        made.generated_strategy = data.get("dataset_triggering_strategy")
        return made

    @property
    def id(self) -> str:
        """Its name."""
        return self.name

    @property
    def uri(self) -> str:
        """The name of the dataset that it writes, in the style ``flat``."""
        return sanitize_id(self.sink).lower()

    @property
    def table(self) -> str:
        """The part of its sink after the dot."""
        return self.sink.rpartition(".")[2]

    @property
    def task_id(self) -> str:
        """The id of its task in generated files."""
        return f"{sanitize_id(self.name)}_{self.dependency_type}"

    @property
    def node(self) -> TreeNodeMixin:
        """The node, with what it reads."""
        return TreeNodeMixin(self, [TreeNodeMixin(_adopted(parent)) for parent in self.dependencies])


class TreeNodeMixin:
    """A node of the lineage of one pipeline.

    Attributes:
        node: the dependency.
        parents: the nodes that it reads, as far as they run in the pipeline.
    """

    def __init__(self, node: StarlakeDependency, parents: Iterable[TreeNodeMixin] = ()) -> None:
        self.node = node
        self.parents = list(parents)

    @property
    def id(self) -> str:
        """The name of the dependency."""
        return self.node.name

    def __repr__(self) -> str:
        return f"{self.id} << [{', '.join(parent.id for parent in self.parents)}]" if self.parents else self.id


def _adopted(node: CoreDependency) -> StarlakeDependency:
    if isinstance(node, StarlakeDependency):
        return node
    return StarlakeDependency(
        node.name,
        node.dependency_type,
        node.cron,
        node.dependencies,
        node.sink,
        freshness=node.freshness,
        dataset_triggering_strategy=node.dataset_triggering_strategy,
        write_strategy=node.write_strategy,
    )


class StarlakeDependencies(CoreDependencies):
    """The lineage of a pipeline: each node once, however often the input contains it.

    Args:
        dependencies: nodes, or the JSON of ``starlake dag-generate``.
        filtered_datasets: names of datasets that do not start the pipeline, as ``domain_table`` or ``domain.table``.
        **kwargs: have no effect and cause a warning.

    Raises:
        DependenciesError: the JSON cannot be read.
        CycleError: transforms wait for each other.

    Attributes:
        dependencies: the given nodes, in their order.
        given_filter: the names that do not start the pipeline.
    """

    node_type = StarlakeDependency

    def __init__(
        self,
        dependencies: str | Iterable[CoreDependency] | CoreDependency,
        filtered_datasets: Iterable[str] | str | None = None,
        **kwargs: Any,
    ) -> None:
        warn_of_keywords("StarlakeDependencies()", kwargs, ("dependencies", "filtered_datasets"))
        names = filtered_datasets.split(",") if isinstance(filtered_datasets, str) else filtered_datasets or ()
        self.given_filter = frozenset(name.strip().lower() for name in names)
        super().__init__(dependencies)
        self._nodes = {name: _adopted(node) for name, node in self.nodes.items()}
        self.dependencies = tuple(self._nodes[name] for name in self.roots)

    @property
    def uris(self) -> dict[str, str]:
        """Maps the name of every node to the name of its dataset in the style ``flat``."""
        return {name: node.uri for name, node in self._nodes.items()}

    def __iter__(self) -> Iterator[StarlakeDependency]:
        return iter(self.dependencies)

    def __getitem__(self, index: int) -> StarlakeDependency:
        return self.dependencies[index]

    def __len__(self) -> int:
        return len(self.dependencies)

    @property
    def first_level_tasks(self) -> frozenset[str]:
        """The names of the given nodes."""
        return frozenset(self.roots)

    @property
    def all_dependencies(self) -> frozenset[str]:
        """The names of all nodes that some node reads."""
        return frozenset(parent for parents in self.upstream.values() for parent in parents)

    @property
    def filtered_datasets(self) -> frozenset[str]:
        """The names of the datasets that start nothing here: those that the given nodes write, and those that the file filters out."""
        return self.given_filter | {node.uri for node in self.dependencies}

    def filtered_names(self, flat: Collection[str]) -> list[str]:
        """The names of the nodes whose datasets start nothing, found by the names of the datasets.

        Args:
            flat: names of datasets that an option filters out, in addition to those of the file.
        """
        filtered = self.given_filter.union(flat)
        return [name for name, uri in self.uris.items() if uri in filtered or name.lower() in filtered]

    def graphs(self, load_dependencies: bool = False) -> Sequence[TreeNodeMixin]:
        """The nodes whose tasks a pipeline has, each with its parents among them, upstream ones first.

        A node that is only read, and reads nothing itself, is not among them: it is the parent of another.

        Args:
            load_dependencies: whether everything upstream also runs in the pipeline, and not only the given nodes.
        """
        roots = self.first_level_tasks
        wanted = self.nodes if load_dependencies else [name for name in self.nodes if name in roots]
        made = {name: TreeNodeMixin(self._nodes[name]) for name in wanted}
        for name, tree in made.items():
            tree.parents = [made[parent] for parent in self.upstream[name] if parent in made]
        read = {parent.id for tree in made.values() for parent in tree.parents}
        return [tree for name, tree in made.items() if tree.parents or name not in read]
