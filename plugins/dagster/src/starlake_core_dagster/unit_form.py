"""A pipeline as units: a definition for each step with a dataset, and a small graph where a step without one stands before it.

Order is lineage here: Dagster lets a definition wait for another one only if an asset of it depends on an asset of the other. What Dagster puts
between assets (a blocking check, an asset of somebody else) gets its place between units.

A step that tolerates skips, such as the end, has one input for everything. Dagster skips it only if *all* of that is missing, so something that is
always there is added. A graph input cannot be part of such an input, because a blocking check turns it into several; so an op inside the graph
waits for it. There is one such op for all assets that are only skipped together, because with another executor than ours a skip outweighs a failure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
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

from .form import Form, Graph, invocation, starts_only
from .outputs import RESULT, VERDICT, AssetOutput
from .render_context import AFTER, RenderContext
from .units import plan

__all__ = ["UnitForm"]

_CHECKED = "verdict_of"
_GATES = (TaskKind.CHECK, TaskKind.IMPORT)


class UnitForm(Form):
    """A definition for each unit: see the module."""

    each = True

    def __init__(
        self,
        context: RenderContext,
        theirs: Mapping[str, str],
        elsewhere: Collection[AssetKey] = (),
        unordered: Collection[AssetKey] = (),
    ) -> None:
        super().__init__(context, theirs, elsewhere, unordered)
        self.made: dict[str, list[AssetOutput]] = {}
        for produced in self.outputs:
            self.made.setdefault(context.flat.step(produced.path), []).append(produced)
        checks = {path for path, task in context.flat.tasks.items() if task.kind is TaskKind.CHECK}
        made = {path: [produced.key for produced in found] for path, found in self.made.items()}
        reads = {key for keys in context.reads.values() for key in keys if key not in unordered}
        dropped = frozenset(starts_only(context, theirs))
        self._says: Mapping[str, Sequence[AssetKey]] = context.says
        self.units = plan(context.flat, made, self._says, reads, checks | set(theirs), dropped)
        self._specs = {
            produced: self.specs(produced, self.units.deps[context.flat.step(produced.path)])
            for produced in self.outputs
        }
        more = self._added()
        if more:
            # What a description adds is waited for like what a task declares to read.
            self._says = {path: (*context.says.get(path, ()), *more.get(path, ())) for path in {**context.says, **more}}
            known = {key for keys in made.values() for key in keys}
            reads |= {key for keys in more.values() for key in keys} - known - set(unordered)
            self.units = plan(context.flat, made, self._says, reads, checks | set(theirs), dropped)
        # Something has to need the verdict of a check, or Dagster does not expect it.
        self._verdicts: dict[str, str] = {}
        for unit in self.units.members:
            for path in unit:
                for before in self.units.inside[path]:
                    if before in checks and before not in theirs and before not in self._verdicts.values():
                        self._verdicts.setdefault(path, before)
        names = context.flat.names
        self._names = [f"{context.name}__{names[unit[0]]}__steps" for unit in self.units.members]

    @property
    def described(self) -> Mapping[AssetOutput, AssetSpec]:
        """See :class:`.form.Form`."""
        return self._specs

    @property
    def says(self) -> Mapping[str, Sequence[AssetKey]]:
        """See :class:`.form.Form`."""
        return self._says

    def _added(self) -> dict[str, tuple[AssetKey, ...]]:
        """Maps the path of each step to what the descriptions of its assets add to their dependencies."""
        found: dict[str, dict[AssetKey, None]] = {}
        for path, made in self.made.items():
            known = {*self.units.deps[path], *(produced.key for produced in made)}
            for produced in made:
                for dep in self._specs[produced].deps:
                    if dep.asset_key not in known:
                        found.setdefault(path, {})[dep.asset_key] = None
        return {path: tuple(keys) for path, keys in found.items()}

    @property
    def step_keys(self) -> dict[str, str]:
        """See :class:`.form.Form`."""
        names = self.context.flat.names
        return {
            path: self.context.def_name(path) if self._is_single(unit) else f"{around}.{names[path]}"
            for unit, around in zip(self.units.members, self._names, strict=True)
            for path in unit
        }

    @property
    def node_names(self) -> list[str]:
        """The names that Dagster sees in its jobs."""
        return [
            self.context.def_name(unit[0]) if self._is_single(unit) else around
            for unit, around in zip(self.units.members, self._names, strict=True)
        ]

    def waits(self) -> Iterator[tuple[list[AssetKey], list[AssetKey]]]:
        """See :class:`.form.Form`."""
        for unit in self.units.members:
            yield (
                [produced.key for path in unit for produced in self.made.get(path, ())],
                [key for path in unit for key in self.units.outside[path]],
            )

    def limits(self, known: Collection[AssetKey]) -> Iterator[str]:
        """See :class:`.form.Form`."""
        tasks, pipeline = self.context.flat.tasks, self.context.pipeline.id
        for unit in self.units.members:
            keys = {produced.key: path for path in unit for produced in self.made.get(path, ())}
            if len(keys) < 2:
                continue
            for path in unit:
                about = f"{path} of pipeline {pipeline}"
                before = [key.to_user_string() for key in self.units.deps[path] if key in keys and keys[key] != path]
                if before and path in self.made:
                    yield (
                        f"{about} comes after {', '.join(before)} and shares its definition, because both come directly after {unit[0]}: a "
                        "blocking check between the two does not stop it, and no asset of others can stand between them. To avoid that, make it in "
                        "another pipeline"
                    )
                strange = [key.to_user_string() for key in self._says.get(path, ()) if key not in known]
                if strange and any(
                    before in tasks and tasks[before].kind in _GATES for before in self.units.inside[path]
                ):
                    others = sorted(key.to_user_string() for key, other in keys.items() if other != path)
                    yield (
                        f"{about} reads {', '.join(strange)}, which no pipeline here makes, and shares a definition with {', '.join(others)}: if "
                        "the one is made from the other, Dagster cannot load them ('does not have output' or 'does not have input'). Then load it "
                        "in another domain or pipeline"
                    )

    def _is_single(self, unit: Sequence[str]) -> bool:
        """Whether an op can be a definition without a graph around it: all its outputs are assets."""
        if len(unit) > 1 or unit[0] in self.units.relays:
            return False
        path = unit[0]
        outputs = {produced.output for produced in self.made[path]}
        outputs.update(check.output for _, check in self._checks(self.made[path]))
        return path in self.theirs or outputs == set(self.context.outputs(path))

    def ins(self, path: str) -> list[str]:
        """See :class:`.form.Form`."""
        units = self.units
        if path in units.dropped:
            return []
        if path in units.relays:
            return [AFTER]
        names = self.context.flat.names
        checked = [_CHECKED] if path in self._verdicts else []
        return [
            *(f"{AFTER}_{names[before]}" for before in units.inside[path]),
            *checked,
            *(self.context.input_name(key) for key in units.outside[path]),
        ]

    def definitions(self, ops: Mapping[str, Any]) -> list[AssetsDefinition]:
        """See :class:`.form.Form`."""
        return [
            self._definition(unit, around, ops) for unit, around in zip(self.units.members, self._names, strict=True)
        ]

    def _definition(self, unit: Sequence[str], around: str, ops: Mapping[str, Any]) -> AssetsDefinition:
        context, outside = self.context, self.units.outside
        made = [produced for path in unit for produced in self.made.get(path, ())]
        single = self._is_single(unit)
        return AssetsDefinition(
            node_def=ops[unit[0]] if single else self._graph(unit, around, ops, made),
            keys_by_input_name={context.input_name(key): key for path in unit for key in outside[path]},
            keys_by_output_name={
                produced.output if single else self._graph_output(produced): produced.key for produced in made
            },
            specs=[self._specs[produced] for produced in made],
            check_specs_by_output_name={
                check.output if single else self._check_output(produced, check): check.spec
                for produced, check in self._checks(made)
            },
            can_subset=not single or len(made) > 1,
            backfill_policy=self._policy([produced.path for produced in made]),
            hook_defs=self._hooks,
        )

    def _graph(
        self,
        unit: Sequence[str],
        around: str,
        ops: Mapping[str, Any],
        made: Sequence[AssetOutput],
    ) -> Graph:
        flat, units, input_name = self.context.flat, self.units, self.context.input_name
        names = flat.names
        nodes: list[Any] = []
        dependencies: dict[Any, dict[str, Any]] = {}
        inputs: list[tuple[AssetKey, str]] = []  # what is read, and by which node
        for path in unit:
            after = [DependencyDefinition(names[before], self._output(before)) for before in units.inside[path]]
            if path in units.relays:
                after += self._helpers(path, nodes, dependencies, inputs)
                connected: dict[str, Any] = {AFTER: MultiDependencyDefinition(after)}
            else:
                inputs += [(key, names[path]) for key in units.outside[path]]
                connected = {
                    f"{AFTER}_{names[before]}": waits for before, waits in zip(units.inside[path], after, strict=True)
                }
                if path in self._verdicts:
                    connected[_CHECKED] = DependencyDefinition(names[self._verdicts[path]], VERDICT)
            nodes.append(ops[path])
            dependencies[invocation(ops[path], names[path])] = connected
        return Graph(
            name=around,
            node_defs=nodes,
            dependencies=dependencies,
            input_mappings=[
                InputMapping(
                    graph_input_name=input_name(key), mapped_node_name=name, mapped_node_input_name=input_name(key)
                )
                for key, name in inputs
            ],
            output_mappings=[
                OutputMapping(
                    graph_output_name=self._graph_output(produced),
                    mapped_node_name=names[flat.step(produced.path)],
                    mapped_node_output_name=produced.output,
                )
                for produced in made
            ]
            + [
                OutputMapping(
                    graph_output_name=self._check_output(produced, check),
                    mapped_node_name=names[flat.step(produced.path)],
                    mapped_node_output_name=check.output,
                )
                for produced, check in self._checks(made)
            ],
        )

    def _helpers(
        self,
        path: str,
        nodes: list[Any],
        dependencies: dict[Any, dict[str, Any]],
        inputs: list[tuple[AssetKey, str]],
    ) -> list[DependencyDefinition]:
        """What a step that tolerates skips waits for besides the steps of its unit."""
        context = self.context
        name = context.flat.names[path]
        after: list[DependencyDefinition] = []

        def helper(suffix: str, keys: Sequence[AssetKey], about: str) -> None:
            alias = context.helper_name(f"{name}__{suffix}")
            op = context.helper(alias, [context.input_name(key) for key in keys], about)
            nodes.append(op)
            dependencies[invocation(op, alias)] = {}
            inputs.extend((key, alias) for key in keys)
            after.append(DependencyDefinition(alias, RESULT))

        for number, keys in enumerate(self.units.relays[path], 1):
            helper(f"waits_{number}", keys, f"Waits for what `{name}` comes after. Skipped if that is skipped.")
        helper("anyway", (), f"Lets `{name}` run although what it waits for was skipped.")
        for before in self.units.inside[path]:
            if self._verdicts.get(path) == before:
                after.append(DependencyDefinition(context.flat.names[before], VERDICT))
        return after
