"""A pipeline as Dagster's objects: a flat graph of ops, whose outputs are the assets, and the job that runs it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from dagster import (
    AssetKey,
    AssetsDefinition,
    AssetSelection,
    AssetSpec,
    Definitions,
    DependencyDefinition,
    GraphDefinition,
    InputMapping,
    MultiDependencyDefinition,
    NodeInvocation,
    OpDefinition,
    OutputMapping,
    define_asset_job,
)

from starlake_core import StarlakeDataset, StarlakeError, TaskKind
from starlake_core.runtime import POOL_PREFIX

from .domain_step import Together
from .executor import thread_executor
from .keys import asset_key
from .op_graph import Flat
from .options import DagsterOptions
from .render_context import AFTER, ORDER_INPUT, RenderContext, dagster_name, do_nothing
from .steps import RESULT, VERDICT, AssetOutput, Step

__all__ = ["DagsterPipeline"]

PIPELINE_TAG = "starlake/pipeline"

_LINEAGE = 64
_NOT_IN_TAG = re.compile(r"[^A-Za-z0-9_.-]+")
# Created once for all ops: a pipeline may have thousands.
_NO_HOOKS: frozenset[Any] = frozenset()
_NO_TAGS: dict[str, str] = {}


class _Graph(GraphDefinition):
    """A graph that Dagster walks in the order in which it runs; in the order of a set, its default, it recurses along a chain."""

    @property
    def nodes(self) -> Sequence[Any]:
        """The nodes in the order of the ops."""
        return list(self.node_dict.values())


class DagsterPipeline:
    """A pipeline in Dagster's terms. Its objects depend on the pipelines around it, because an asset is defined only once.

    Attributes:
        pipeline: the pipeline it was created from.
        flat: the graph without groups.
        ops: the ops by path.
        produces: maps paths to what the tasks emit.
        partitions: Dagster's partitions; None without any.
    """

    def __init__(self, context: RenderContext, ops: Mapping[str, Any]) -> None:
        self.pipeline = context.pipeline
        self.flat: Flat = context.flat
        self.produces = context.produces
        self.partitions = context.partitions
        self.facts = context.facts
        self._theirs: dict[str, str] = {}  # maps the path of an op that is not ours to the name of its output
        self.ops = {path: self._op(context, path, ops.get(path)) for path in self.flat.steps()}
        self._context = context
        self._afters: dict[str, DependencyDefinition] = {}
        self._found: dict[frozenset[AssetKey], list[AssetOutput]] = {}
        self._assets: dict[tuple[frozenset[AssetKey], ...], AssetsDefinition | None] = {}

    def _op(self, context: RenderContext, path: str, made: Any) -> OpDefinition:
        if path in context.flat.joins:  # a helper between two wide groups
            return context.op(path, do_nothing, (RESULT,), "Waits for a group.")
        if isinstance(made, OpDefinition) and isinstance(made.compute_fn, (Step, Together)):
            return made
        if not isinstance(made, OpDefinition) or len(made.outs) != 1:
            task = context.flat.tasks[path]
            who = "the factory" if task.factory is not None else "an add-on"
            outs = f" with {len(made.outs)} outputs" if isinstance(made, OpDefinition) else ""
            raise StarlakeError(
                f"{who} of '{path}' in pipeline '{context.pipeline.id}' returned {made!r}{outs}; for Dagster it must return an op (@op) with "
                "one output, so that others can run after it"
            )
        self._theirs[path] = made.output_defs[0].name
        return _with_inputs(made, context.input_names(path), context.def_name(path))

    @property
    def pools(self) -> list[str]:
        """The pools that keep the users of a resource apart."""
        return sorted({op.pool for op in self.ops.values() if op.pool and op.pool.startswith(POOL_PREFIX)})

    @cached_property
    def _tags(self) -> dict[str, str]:
        return _tag_words(self.pipeline.tags)

    @cached_property
    def _kinds(self) -> Mapping[str, Any]:
        """The kinds of an asset whose task sets none, derived from what it is."""
        more = self.pipeline.options[DagsterOptions].asset_kinds
        return {own: _in_order({"starlake", *([own] if own else ()), *more}) for own in ("sql", "table", "")}

    @cached_property
    def _owners(self) -> list[str]:
        return list(self.pipeline.options[DagsterOptions].asset_owners)

    # -- names

    @property
    def name(self) -> str:
        """The name of the job."""
        return self._context.name

    @property
    def graph_name(self) -> str:
        """The name of the graph of its ops, and the first part of the keys of their steps; the job has a graph of its own."""
        return f"{self.name}_steps"

    @cached_property
    def keys(self) -> list[AssetKey]:
        """The assets that it produces, in the order of the tasks."""
        return list(dict.fromkeys(produced.key for found in self.produces.values() for produced in found))

    @property
    def reads(self) -> set[AssetKey]:
        """The assets of other pipelines that it reads."""
        return {key for keys in self._context.reads.values() for key in keys}

    @property
    def own(self) -> set[AssetKey]:
        """The assets of its whole job."""
        if not self.facts.own:
            self.job()
        return self.facts.own

    # -- the graph

    def _output(self, path: str) -> str:
        """The name of the output that the steps after a task wait for."""
        if path in self._theirs:
            return self._theirs[path]
        return self.produces[path][0].output if path in self.produces else RESULT

    def _after(self, path: str) -> DependencyDefinition:
        if path not in self._afters:
            self._afters[path] = DependencyDefinition(self.flat.names[self.flat.step(path)], self._output(path))
        return self._afters[path]

    def _sure(self, path: str) -> DependencyDefinition:
        """An output, of a task without upstream tasks, that exists unless the task failed: skips do not reach what waits for it."""
        while self.flat.befores[path]:
            path = self.flat.befores[path][0]
        if path in self.flat.merged:
            return DependencyDefinition(self.flat.names[self.flat.merged[path]], RESULT)
        return DependencyDefinition(
            self.flat.names[path], VERDICT if self.flat.tasks[path].kind is TaskKind.CHECK else self._output(path)
        )

    def _dependencies(self) -> dict[Any, dict[str, Any]]:
        names = self.flat.names
        each: dict[tuple[str, ...], dict[str, Any]] = {}  # steps that wait for the same ones share a mapping

        def inputs(path: str) -> dict[str, Any]:
            befores = self.flat.befores[path]
            if not self.flat.has_one_input(path):
                if befores not in each:
                    each[befores] = {f"{AFTER}_{names[before]}": self._after(before) for before in befores}
                return each[befores]
            if not befores:
                return {}
            after = [*(self._after(before) for before in befores), self._sure(path)]
            if self.flat.tasks[path].kind is TaskKind.END:
                after += [DependencyDefinition(names[gate], VERDICT) for gate in self._context.gates_of_ends]
            return {AFTER: MultiDependencyDefinition(list(dict.fromkeys(after)))}

        return {
            NodeInvocation(op.name, alias=names[path], tags=_NO_TAGS, hook_defs=_NO_HOOKS): inputs(path)
            for path, op in self.ops.items()
        }

    def _outputs(self, elsewhere: Collection[AssetKey]) -> list[AssetOutput]:
        """Every asset that it defines.

        Dagster leaves out what leads to no asset, so a last task without a dataset is an asset itself. Without any asset, the job is a job of ops.
        """
        kept = frozenset(elsewhere)
        if kept not in self._found:
            self._found[kept] = self._find_outputs(kept)
        return self._found[kept]

    def _find_outputs(self, elsewhere: Collection[AssetKey]) -> list[AssetOutput]:
        found: list[AssetOutput] = []
        taken = set(elsewhere)
        last = set(self.flat.tasks)
        for path in self.flat.tasks:
            last.difference_update(self.befores(path))
        for path in self.flat.tasks:
            # What a second task of the pipeline produces again is the asset of the first; the second records its materialisations.
            defined = [produced for produced in self.produces.get(path, ()) if produced.key not in taken]
            taken.update(produced.key for produced in defined)
            if path in self._theirs:  # has one output, with any name
                defined = [replace(produced, output=self._theirs[path]) for produced in defined]
            found.extend(defined)
            if path in last and not defined:
                key = AssetKey([*self._context.prefix, self.pipeline.id, self.flat.names[path]])
                while key in taken or key in self._context.own:
                    key = AssetKey([*key.path, "done"])
                taken.add(key)
                found.append(AssetOutput(path, self._output(path), key))
        return found if any(produced.dataset is not None for produced in found) else []

    def _graph_output(self, produced: AssetOutput) -> str:
        name = self.flat.names[produced.path]
        return name if produced.output in (RESULT, name) else f"{name}__{produced.output}"

    def befores(self, path: str) -> list[str]:
        """The paths of the tasks directly before a task, skipping the helpers between wide groups."""
        found: list[str] = []
        for before in self.flat.befores[path]:
            found.extend(self.flat.joins.get(before, (before,)))
        return found

    def graph(self, elsewhere: Collection[AssetKey] = (), apart: Collection[AssetKey] = ()) -> GraphDefinition:
        """The graph of the ops, with an output for every asset that it defines and an input for every asset that it reads.

        Args:
            elsewhere: assets that another pipeline defines.
            apart: assets that it reads, but does not wait for in a run of several pipelines.
        """
        names = self.flat.names
        outputs = [
            OutputMapping(
                graph_output_name=self._graph_output(produced),
                mapped_node_name=names[self.flat.step(produced.path)],
                mapped_node_output_name=produced.output,
            )
            for produced in self._outputs(elsewhere)
        ]
        inputs = [
            InputMapping(
                graph_input_name=self._context.inputs[key],
                mapped_node_name=names[path],
                mapped_node_input_name=self._context.inputs[key],
            )
            for path, keys in self._context.reads.items()
            for key in keys
            if key not in apart
        ]
        return _Graph(
            name=self.graph_name,
            description=self.pipeline.description or None,
            node_defs=list(self.ops.values()),
            dependencies=self._dependencies(),
            input_mappings=inputs,
            output_mappings=outputs,
        )

    # -- assets and job

    def assets(self, elsewhere: Collection[AssetKey] = (), apart: Collection[AssetKey] = ()) -> AssetsDefinition | None:
        """The assets that it defines, each of which can be materialised by itself; None if it defines none.

        Args:
            elsewhere: assets that another pipeline defines.
            apart: assets that it reads, but does not wait for in a run of several pipelines.
        """
        kept = frozenset(elsewhere), frozenset(apart)
        if kept not in self._assets:
            self._assets[kept] = self._make_assets(*kept)
        return self._assets[kept]

    def _make_assets(self, elsewhere: Collection[AssetKey], apart: Collection[AssetKey]) -> AssetsDefinition | None:
        outputs = self._outputs(elsewhere)
        if not outputs:
            return None
        lineage = self._lineage()
        return AssetsDefinition(
            node_def=self.graph(elsewhere, apart),
            keys_by_input_name={name: key for key, name in self._context.inputs.items() if key not in apart},
            keys_by_output_name={self._graph_output(produced): produced.key for produced in outputs},
            specs=[self._spec(produced, lineage[produced.path]) for produced in outputs],
            can_subset=True,
        )

    def _lineage(self) -> dict[str, tuple[AssetKey, ...]]:
        """What each task reads: what it declares, or else the assets that are produced directly before it."""
        nearest: dict[str, tuple[AssetKey, ...]] = dict.fromkeys(self.flat.joins, ())
        found: dict[str, tuple[AssetKey, ...]] = {}
        produces = self.produces

        def made(path: str) -> Iterable[AssetKey]:
            """The assets of a task, or else those that are produced directly before it."""
            return (produced.key for produced in produces[path]) if path in produces else nearest[path]

        for path, task in self.flat.tasks.items():
            before = tuple(dict.fromkeys(key for other in self.flat.befores[path] for key in made(other)))
            if task.kind is not TaskKind.END and len(before) > _LINEAGE:
                before = ()  # only an order, not a readable lineage
            said = [asset_key(dataset, self._context.prefix) for dataset in task.inlets]
            own = {produced.key for produced in produces.get(path, ())}
            found[path] = tuple(key for key in dict.fromkeys(said or before) if key not in own)
            nearest[path] = before
        return found

    def _spec(self, produced: AssetOutput, deps: Sequence[AssetKey]) -> AssetSpec:
        path, dataset = produced.path, produced.dataset
        task = self.flat.tasks[path]
        native = task.native
        metadata: dict[str, Any] = {"pipeline": self.pipeline.id, "task": path}
        if task.job is not None:
            metadata["command"] = self._context.lines[path]
            metadata["environment"] = task.job.environment
        if dataset is not None:
            metadata["sl_uri"] = dataset.uri
            if dataset.cron:
                metadata["sl_cron"] = dataset.cron
        kinds = native.get("kinds")
        if kinds is not None:
            kinds = _in_order(kinds)
        else:
            command = task.command
            kinds = self._kinds["sql" if command is not None and command.transform else "table" if task.domain else ""]
        return AssetSpec(
            key=produced.key,
            deps=deps,
            description=native.get("description") or self._context.about[path],
            group_name=native.get("group_name") or dagster_name(self._group(path, dataset)),
            kinds=kinds,
            tags={**self._tags, **native.get("asset_tags", {})},
            owners=list(native.get("owners") or ()) or self._owners,
            metadata={**metadata, **native.get("metadata", {})},
            code_version=native.get("code_version"),
            partitions_def=self.partitions,
        )

    def _group(self, path: str, dataset: StarlakeDataset | None) -> str:
        """The group of an asset: the outermost task group, or else the domain of the table, or else the pipeline."""
        outermost, separator, _ = path.partition(".")
        if separator:
            return outermost
        return (dataset.sink.partition(".")[0] if dataset is not None else "") or self.pipeline.id

    def job(self, elsewhere: Collection[AssetKey] = ()) -> Any:
        """The job that runs the whole pipeline.

        Args:
            elsewhere: assets that another pipeline defines.
        """
        keys = [produced.key for produced in self._outputs(elsewhere)]
        self.facts.own.clear()
        self.facts.own.update(keys)
        native = self.pipeline.native_options
        shared: dict[str, Any] = {
            "description": self.pipeline.description or None,
            # Runs that are not launched in the user interface have only the tags of the definition.
            "tags": {PIPELINE_TAG: self.pipeline.id, **_tag_words(self.pipeline.tags)},
            "run_tags": {PIPELINE_TAG: self.pipeline.id, **native.get("run_tags", {})},
            "executor_def": native.get("executor_def")
            or thread_executor(self.pipeline.options[DagsterOptions].parallelism),
            "hooks": set(native.get("hooks") or ()) or None,
            "metadata": native.get("metadata"),
        }
        if keys:
            return define_asset_job(self.name, selection=AssetSelection.assets(*keys), **shared)
        return self.graph(elsewhere).to_job(name=self.name, partitions_def=self.partitions, **shared)

    @cached_property
    def alone(self) -> Any:
        """The definition of the job as if there were no other pipeline, for a run in this process."""
        made = self.assets()
        defs = Definitions(assets=[made] if made is not None else [], jobs=[self.job()])
        resolve = getattr(defs, "resolve_job_def", None) or defs.get_job_def
        return resolve(self.name)

    def step_key(self, path: str) -> str:
        """The key of the step of a task in :attr:`alone`."""
        name = self.flat.names[self.flat.step(path)]
        return f"{self.graph_name}.{name}" if self.keys else name


def _with_inputs(op: OpDefinition, names: Sequence[str], name: str) -> OpDefinition:
    """A copy of a user's op that can run after others."""
    with warnings.catch_warnings():
        # There is no other way to get the code version of an op.
        warnings.simplefilter("ignore", DeprecationWarning)
        version = op.version
    return OpDefinition(
        compute_fn=op.compute_fn,
        name=name,
        ins={**op.ins, **dict.fromkeys(names, ORDER_INPUT)},
        outs=op.outs,
        description=op.description,
        config_schema=op.config_schema,
        required_resource_keys=set(op.required_resource_keys),
        tags=op.tags,
        retry_policy=op.retry_policy,
        code_version=version,
        pool=op.pool,
    )


def _in_order(kinds: Iterable[str]) -> Any:
    """Kinds as a set whose order does not depend on hashes: Dagster turns them into tags in their order."""
    return dict.fromkeys(sorted(kinds)).keys()


def _tag_words(words: Iterable[str]) -> dict[str, str]:
    """Words as Dagster's tags, which need values: these have empty ones."""
    return {_NOT_IN_TAG.sub("_", word)[:63]: "" for word in words}
