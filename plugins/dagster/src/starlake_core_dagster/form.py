"""What both forms of a pipeline's definitions have in common: see :mod:`.unit_form` and :mod:`.one_graph`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from graphlib import TopologicalSorter
from typing import Any

from dagster import AssetKey, AssetsDefinition, AssetSpec, BackfillPolicy, GraphDefinition, NodeInvocation

from starlake_core import StarlakeError, TaskKind

from .checks import TableCheck
from .options import DagsterOptions
from .outputs import AssetOutput, defined
from .render_context import RenderContext
from .specs import Specs

__all__ = ["Form", "Graph", "invocation", "starts_only"]

# Created once for all ops: a pipeline may have thousands.
_NO_HOOKS: frozenset[Any] = frozenset()
_NO_TAGS: dict[str, str] = {}


class Graph(GraphDefinition):
    """A graph that Dagster walks in the order in which it runs; in the order of a set, its default, it recurses along a chain.

    What Dagster searches for each of its nodes is found at once here, because a chain may have thousands.
    """

    @property
    def nodes(self) -> Sequence[Any]:
        """The nodes in the order of the ops."""
        return list(self.node_dict.values())

    @cached_property
    def _mappings_by_output(self) -> dict[str, Any]:
        return {mapping.graph_output_name: mapping for mapping in self.output_mappings}

    def get_output_mapping(self, output_name: str) -> Any:
        """The mapping of an output."""
        return self._mappings_by_output.get(output_name) or super().get_output_mapping(output_name)

    def _get_nodes_in_topological_order(self) -> Sequence[Any]:
        structure = self.dependency_structure
        befores = {
            name: [output.node_name for output in structure.all_upstream_outputs_from_node(name)]
            for name in self.node_dict
        }
        return [self.node_dict[name] for name in TopologicalSorter(befores).static_order()]


def invocation(op: Any, alias: str) -> NodeInvocation:
    """An op under its name in a graph."""
    return NodeInvocation(op.name, alias=alias, tags=_NO_TAGS, hook_defs=_NO_HOOKS)


class Form(ABC):
    """The definitions of a pipeline, as they depend on what is defined elsewhere.

    Args:
        context: what the tasks of the pipeline share.
        theirs: maps the path of each op that is not ours to the name of its output.
        elsewhere: assets that another pipeline defines.
        unordered: assets that it reads, but does not wait for in a run.
    """

    each: bool
    """Whether the assets have a definition each."""

    def __init__(
        self,
        context: RenderContext,
        theirs: Mapping[str, str],
        elsewhere: Collection[AssetKey] = (),
        unordered: Collection[AssetKey] = (),
    ) -> None:
        self.context = context
        self.theirs = theirs
        self.unordered = unordered
        self.specs = Specs(context)
        place = [*context.prefix, context.pipeline.id]
        self.outputs = defined(context.flat, context.produces, theirs, place, elsewhere, self.each)

    @property
    @abstractmethod
    def described(self) -> Mapping[AssetOutput, AssetSpec]:
        """Maps each asset that it defines to its description."""

    @property
    @abstractmethod
    def says(self) -> Mapping[str, Iterable[AssetKey]]:
        """Maps the path of each step to the assets that it declares to read, and those that the descriptions of its assets add."""

    @cached_property
    def partitions(self) -> Any:
        """The partitions of its job, which has only one definition of them; None without any.

        Raises:
            StarlakeError: its assets have several, or not those of the data intervals.
        """
        wanted, pipeline = self.context.partitions, self.context.pipeline
        found: list[tuple[Any, AssetKey]] = []
        for produced, spec in self.described.items():
            partitions = spec.partitions_def
            if partitions is not None and not any(partitions is other or partitions == other for other, _ in found):
                found.append((partitions, produced.key))
        if len(found) > 1 or (wanted is not None and [partitions for partitions, _ in found] not in ([wanted], [])):
            about = " and ".join(f"{partitions} ({key.to_user_string()})" for partitions, key in found)
            cron = " Those of its cron are left out with the option partitions=False." if wanted is not None else ""
            raise StarlakeError(
                f"assets of pipeline {pipeline.id} have the partitions {about}, and a job of Dagster has one definition of them: give all tasks the "
                f"same, or draw a pipeline for each.{cron}"
            )
        if wanted is not None and self.outputs and not found:
            raise StarlakeError(
                f"no asset of pipeline {pipeline.id} has partitions, although its runs have them: set the option partitions=False instead"
            )
        return found[0][0] if found else wanted

    @property
    def keys(self) -> list[AssetKey]:
        """The assets that it defines."""
        return [produced.key for produced in self.outputs]

    @cached_property
    def paths(self) -> frozenset[str]:
        """The paths of the tasks that are assets."""
        return frozenset(produced.path for produced in self.outputs)

    @abstractmethod
    def ins(self, path: str) -> list[str]:
        """The names of the inputs of the op of a step."""

    @property
    @abstractmethod
    def step_keys(self) -> dict[str, str]:
        """Maps the path of each step to its key in Dagster."""

    @property
    @abstractmethod
    def node_names(self) -> list[str]:
        """The names that Dagster sees in the graph of a job."""

    @abstractmethod
    def waits(self) -> Iterator[tuple[list[AssetKey], list[AssetKey]]]:
        """For each definition: the assets that it defines, and those of other definitions that it waits for."""

    def limits(self, known: Collection[AssetKey]) -> Iterator[str]:
        """A sentence for each place where Dagster has none for a check or an asset of others, although somebody may expect one.

        Args:
            known: the assets of all pipelines of the code location.
        """
        yield from ()

    @abstractmethod
    def definitions(self, ops: Mapping[str, Any]) -> list[AssetsDefinition]:
        """The definitions of its assets.

        Args:
            ops: the ops by path, with the inputs of :meth:`ins`.
        """

    @property
    def _hooks(self) -> frozenset[Any]:
        """The hooks of the pipeline, for its steps in runs of other jobs than its own. A hook that both have runs once."""
        return frozenset(self.context.pipeline.native_options.get("hooks") or ())

    def _policy(self, paths: Sequence[str]) -> Any:
        """How the partitions of tasks with one definition are backfilled.

        Raises:
            StarlakeError: the tasks differ.
        """
        tasks, pipeline = self.context.flat.tasks, self.context.pipeline
        given = {
            path: tasks[path].native["backfill_policy"]
            for path in paths
            if path in tasks and tasks[path].native.get("backfill_policy") is not None
        }
        if not given:
            single = pipeline.options[DagsterOptions].backfill_policy == "single_run"
            return BackfillPolicy.single_run() if single else None
        if len(set(given.values())) > 1 or len(given) < len(paths):
            raise StarlakeError(
                f"{', '.join(paths)} of pipeline {pipeline.id} are one definition in Dagster, which has one backfill_policy; give all of them the "
                "same, or set the option backfill_policy"
            )
        return next(iter(given.values()))

    def _checks(self, made: Iterable[AssetOutput]) -> list[tuple[AssetOutput, TableCheck]]:
        """The checks of assets, each with its asset."""
        return [
            (produced, check)
            for produced in made
            for check in self.context.checks.get(produced.path, ())
            if check.spec.asset_key == produced.key and produced.path not in self.theirs
        ]

    def _check_output(self, produced: AssetOutput, check: TableCheck) -> str:
        """The name of the output of a graph for a check."""
        return f"{self._graph_output(produced)}__{check.output}"

    def _output(self, path: str) -> str:
        """The name of the output that the steps after a task wait for."""
        return self.theirs.get(path) or self.context.first_output(path)

    def _graph_output(self, produced: AssetOutput) -> str:
        name = self.context.flat.names[produced.path]
        return name if produced.output in ("result", name) else f"{name}__{produced.output}"


def starts_only(context: RenderContext, theirs: Collection[str]) -> Iterator[str]:
    """The paths of tasks that only mark where a pipeline starts. Between assets they would tie everything behind them together."""
    flat = context.flat
    followed = {before for befores in flat.befores.values() for before in befores}
    for path, task in flat.tasks.items():
        if (
            task.kind is TaskKind.START
            and path not in theirs
            and path in followed
            and path not in flat.merged
            and not (flat.befores[path] or task.outlets or task.inlets or task.native)
        ):
            yield path
