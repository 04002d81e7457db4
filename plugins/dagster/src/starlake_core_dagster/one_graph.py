"""A pipeline as one graph of ops, whose outputs are the assets: for a pipeline without assets, and for chains that Dagster cannot load otherwise.

Dagster recurses along what its job runs, and a graph is one node of it. What Dagster puts between assets cannot get inside: a blocking check, or
an asset of somebody else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from dagster import (
    AssetKey,
    AssetsDefinition,
    AssetSpec,
    DependencyDefinition,
    InputMapping,
    MultiDependencyDefinition,
    OutputMapping,
)

from starlake_core import TaskKind

from .form import Form, Graph, invocation
from .outputs import RESULT, VERDICT, AssetOutput
from .render_context import AFTER
from .units import with_reads

__all__ = ["OneGraph"]

_LINEAGE = 64


class OneGraph(Form):
    """One flat graph: see the module."""

    each = False

    @property
    def name(self) -> str:
        """The name of the graph of its ops, and the first part of the keys of their steps; the job has a graph of its own."""
        return f"{self.context.name}_steps"

    @property
    def step_keys(self) -> dict[str, str]:
        """See :class:`.form.Form`."""
        names, around = self.context.flat.names, f"{self.name}." if self.outputs else ""
        return {path: around + names[path] for path in self.context.flat.steps()}

    @property
    def node_names(self) -> list[str]:
        """See :class:`.form.Form`."""
        return [self.name]

    @cached_property
    def described(self) -> Mapping[AssetOutput, AssetSpec]:
        """See :class:`.form.Form`."""
        return {produced: self.specs(produced, self._lineage[produced.path]) for produced in self.outputs}

    @cached_property
    def says(self) -> Mapping[str, dict[AssetKey, None]]:
        """See :class:`.form.Form`."""
        step = self.context.flat.step
        found = {path: dict.fromkeys(keys) for path, keys in self.context.says.items()}
        together: dict[str, set[AssetKey]] = {}
        for produced in self.outputs:
            together.setdefault(step(produced.path), set()).add(produced.key)
        for produced, spec in self.described.items():
            known = {*self._lineage[produced.path], *together[step(produced.path)]}
            added = [dep.asset_key for dep in spec.deps if dep.asset_key not in known]
            if added:
                found.setdefault(step(produced.path), {}).update(dict.fromkeys(added))
        return found

    @cached_property
    def _reads(self) -> dict[str, list[AssetKey]]:
        """Maps the path of each step to the assets of others that it waits for."""
        own = self.context.own
        return {
            path: [key for key in keys if key not in own and key not in self.unordered]
            for path, keys in self.says.items()
        }

    @cached_property
    def _befores(self) -> Mapping[str, tuple[str, ...]]:
        """Maps the path of each step to the steps that it waits for."""
        flat = self.context.flat
        befores = {path: flat.befores[path] for path in flat.steps()}
        return with_reads(befores, self.says, {produced.key: produced.path for produced in self.outputs})

    def waits(self) -> Iterator[tuple[list[AssetKey], list[AssetKey]]]:
        """See :class:`.form.Form`."""
        if self.outputs:
            yield self.keys, [key for keys in self._reads.values() for key in keys]

    def ins(self, path: str) -> list[str]:
        """See :class:`.form.Form`."""
        flat = self.context.flat
        befores = self._befores[path]
        names = [AFTER] if befores else []
        if not flat.has_one_input(path):
            names = [f"{AFTER}_{flat.names[before]}" for before in befores]
        return names + [self.context.input_name(key) for key in self._reads.get(path, ())]

    def _after(self, path: str) -> DependencyDefinition:
        if path not in self._afters:
            flat = self.context.flat
            self._afters[path] = DependencyDefinition(flat.names[flat.step(path)], self._output(path))
        return self._afters[path]

    @cached_property
    def _afters(self) -> dict[str, DependencyDefinition]:
        return {}

    def _sure(self, path: str) -> DependencyDefinition:
        """An output, of a task without upstream tasks, that exists unless the task failed: skips do not reach what waits for it."""
        flat = self.context.flat
        while flat.befores[path]:
            path = flat.befores[path][0]
        if path in flat.merged:
            return DependencyDefinition(flat.names[flat.merged[path]], RESULT)
        return DependencyDefinition(
            flat.names[path], VERDICT if flat.tasks[path].kind is TaskKind.CHECK else self._output(path)
        )

    def dependencies(self) -> dict[str, dict[str, Any]]:
        """Maps the path of each step to what each of its inputs is connected to."""
        flat, names = self.context.flat, self.context.flat.names
        each: dict[tuple[str, ...], dict[str, Any]] = {}  # steps that wait for the same ones share a mapping

        def inputs(path: str) -> dict[str, Any]:
            befores = self._befores[path]
            if not flat.has_one_input(path):
                if befores not in each:
                    each[befores] = {f"{AFTER}_{names[before]}": self._after(before) for before in befores}
                return each[befores]
            if not befores:
                return {}
            after = [*(self._after(before) for before in befores), self._sure(path)]
            if flat.tasks[path].kind is TaskKind.END:
                after += [DependencyDefinition(names[gate], VERDICT) for gate in self.context.gates_of_ends]
            return {AFTER: MultiDependencyDefinition(list(dict.fromkeys(after)))}

        return {path: inputs(path) for path in flat.steps()}

    def graph(self, ops: Mapping[str, Any]) -> Graph:
        """The graph of the ops, with an output for every asset that it defines and an input for every asset that it reads.

        Args:
            ops: the ops by path.
        """
        context, names = self.context, self.context.flat.names
        dependencies = self.dependencies()
        outputs = [
            OutputMapping(
                graph_output_name=self._graph_output(produced),
                mapped_node_name=names[context.flat.step(produced.path)],
                mapped_node_output_name=produced.output,
            )
            for produced in self.outputs
        ]
        outputs += [
            OutputMapping(
                graph_output_name=self._check_output(produced, check),
                mapped_node_name=names[context.flat.step(produced.path)],
                mapped_node_output_name=check.output,
            )
            for produced, check in self._checks(self.outputs)
        ]
        inputs = [
            InputMapping(
                graph_input_name=context.input_name(key),
                mapped_node_name=names[path],
                mapped_node_input_name=context.input_name(key),
            )
            for path, keys in self._reads.items()
            for key in keys
        ]
        return Graph(
            name=self.name,
            description=context.pipeline.description or None,
            node_defs=list(ops.values()),
            dependencies={invocation(op, names[path]): dependencies[path] for path, op in ops.items()},
            input_mappings=inputs,
            output_mappings=outputs,
        )

    def definitions(self, ops: Mapping[str, Any]) -> list[AssetsDefinition]:
        """See :class:`.form.Form`."""
        if not self.outputs:
            return []
        read = dict.fromkeys(key for keys in self._reads.values() for key in keys)
        return [
            AssetsDefinition(
                node_def=self.graph(ops),
                keys_by_input_name={self.context.input_name(key): key for key in read},
                keys_by_output_name={self._graph_output(produced): produced.key for produced in self.outputs},
                specs=list(self.described.values()),
                check_specs_by_output_name={
                    self._check_output(produced, check): check.spec for produced, check in self._checks(self.outputs)
                },
                can_subset=True,
                backfill_policy=self._policy([produced.path for produced in self.outputs]),
                hook_defs=self._hooks,
            )
        ]

    @cached_property
    def _lineage(self) -> dict[str, tuple[AssetKey, ...]]:
        """What each task reads: what it declares, or else the assets that are produced directly before it."""
        flat, produces = self.context.flat, self.context.produces
        nearest: dict[str, tuple[AssetKey, ...]] = dict.fromkeys(flat.joins, ())
        found: dict[str, tuple[AssetKey, ...]] = {}

        def made(path: str) -> Iterable[AssetKey]:
            """The assets of a task, or else those that are produced directly before it."""
            return (produced.key for produced in produces[path]) if path in produces else nearest[path]

        for path, task in flat.tasks.items():
            before = tuple(dict.fromkeys(key for other in flat.befores[path] for key in made(other)))
            if task.kind is not TaskKind.END and len(before) > _LINEAGE:
                before = ()  # only an order, not a readable lineage
            said = self.context.says.get(path, ())
            own = {produced.key for produced in produces.get(path, ())}
            found[path] = tuple(key for key in dict.fromkeys(said or before) if key not in own)
            nearest[path] = before
        return found
