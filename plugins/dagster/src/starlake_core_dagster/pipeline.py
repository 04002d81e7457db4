"""A pipeline as Dagster's objects: its assets, and the job that runs it."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Any

from dagster import AssetKey, AssetsDefinition, Definitions, OpDefinition, define_asset_job

from starlake_core import StarlakeError
from starlake_core.runtime import POOL_PREFIX

from .domain_step import Together
from .executor import thread_executor
from .form import Form
from .forms import form_of
from .job_selection import OwnAndBetween
from .one_graph import OneGraph
from .op_graph import Flat
from .options import DagsterOptions
from .outputs import RESULT
from .render_context import JOINS, ORDER_INPUT, RenderContext
from .specs import tag_words
from .steps import Step
from .units import with_reads
from .unpartitioned import tolerates_no_partition

__all__ = ["DagsterPipeline"]

PIPELINE_TAG = "starlake/pipeline"


class DagsterPipeline:
    """A pipeline in Dagster's terms. Its objects depend on the pipelines around it, because an asset is defined only once.

    Attributes:
        pipeline: the pipeline it was created from.
        flat: the graph without groups.
        ops: the ops by path, with the inputs that they have if there is no other pipeline.
        produces: maps paths to what the tasks emit.
        partitions: Dagster's partitions; None without any.
    """

    def __init__(self, context: RenderContext, ops: Mapping[str, Any]) -> None:
        self.pipeline = context.pipeline
        self.flat: Flat = context.flat
        self.produces = context.produces
        self.partitions = context.partitions
        self.facts = context.facts
        self._theirs: dict[str, OpDefinition] = {}  # ops that are not ours, as they were given
        self._context = context
        given = {path: self._op(path, ops.get(path)) for path in self.flat.steps()}
        self._outputs = {path: op.output_defs[0].name for path, op in self._theirs.items()}
        self._forms: dict[Any, Form] = {}
        self._ops: dict[int, dict[str, OpDefinition]] = {}
        self._assets: dict[int, list[AssetsDefinition]] = {}
        if not self._theirs:
            self._forms[frozenset(), frozenset(), False] = context.form
        self.ops = self._fitted(given, self.form())

    def _op(self, path: str, made: Any) -> OpDefinition:
        context = self._context
        if path in context.flat.joins:  # a helper between two wide groups
            return context.op(path, JOINS, (RESULT,), "Waits for a group.")
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
        self._theirs[path] = made
        return made

    def _fitted(self, ops: Mapping[str, OpDefinition], form: Form) -> dict[str, OpDefinition]:
        """The ops with the inputs that they have in a form."""
        found: dict[str, OpDefinition] = {}
        for path, op in ops.items():
            names = form.ins(path)
            if path in self._theirs:
                op = _with_inputs(self._theirs[path], self._theirs[path].ins, names, self._context.def_name(path))
            elif list(op.input_dict) != names:
                op = _with_inputs(op, {}, names, op.name)
            found[path] = op
        return found

    @property
    def pools(self) -> list[str]:
        """The pools that keep the users of a resource apart."""
        return sorted({op.pool for op in self.ops.values() if op.pool and op.pool.startswith(POOL_PREFIX)})

    # -- names

    @property
    def name(self) -> str:
        """The name of the job."""
        return self._context.name

    @cached_property
    def keys(self) -> list[AssetKey]:
        """The assets that it produces, in the order of the tasks."""
        return list(dict.fromkeys(produced.key for found in self.produces.values() for produced in found))

    @property
    def own(self) -> set[AssetKey]:
        """The assets of its whole job."""
        if not self.facts.own:
            self.job()
        return self.facts.own

    def befores(self, path: str) -> list[str]:
        """The paths of the tasks directly before a task, skipping the helpers between wide groups."""
        found: list[str] = []
        for before in self.flat.befores[path]:
            found.extend(self.flat.joins.get(before, (before,)))
        return found

    @cached_property
    def waits_for(self) -> Mapping[str, tuple[str, ...]]:
        """Maps the path of each task to the tasks that it waits for: those directly before it, and those whose assets it reads."""
        form = self.form()
        befores = {path: tuple(self.befores(path)) for path in self.flat.tasks}
        return with_reads(befores, form.says, {produced.key: produced.path for produced in form.outputs})

    # -- definitions

    def form(
        self, elsewhere: Collection[AssetKey] = (), unordered: Collection[AssetKey] = (), one: bool = False
    ) -> Form:
        """The form of its definitions.

        Args:
            elsewhere: assets that another pipeline defines.
            unordered: assets that it reads, but does not wait for in a run of several pipelines.
            one: whether it has to be one graph.
        """
        kept = frozenset(elsewhere), frozenset(unordered), one
        if kept not in self._forms:
            self._forms[kept] = form_of(self._context, self._outputs, *kept[:2], one=one)
        return self._forms[kept]

    def _ops_of(self, form: Form) -> dict[str, OpDefinition]:
        if form is self.form():
            return self.ops
        if id(form) not in self._ops:
            self._ops[id(form)] = self._fitted(self.ops, form)
        return self._ops[id(form)]

    def assets(self, form: Form | None = None) -> list[AssetsDefinition]:
        """The definitions of its assets, each of which can be materialised by itself; none if it has no dataset.

        Args:
            form: their form; None for that without other pipelines.
        """
        form = form or self.form()
        if id(form) not in self._assets:
            self.facts.steps.update((key, path) for path, key in form.step_keys.items())
            self._assets[id(form)] = form.definitions(self._ops_of(form))
        return self._assets[id(form)]

    def job(self, form: Form | None = None, others: Collection[AssetKey] = ()) -> Any:
        """The job that runs the whole pipeline.

        Args:
            form: the form of its definitions; None for that without other pipelines.
            others: the assets of other pipelines, which have jobs of their own.
        """
        form = form or self.form()
        keys = form.keys
        self.facts.own.clear()
        self.facts.own.update(keys)
        native = self.pipeline.native_options
        shared: dict[str, Any] = {
            "description": self.pipeline.description or None,
            # Runs that are not launched in the user interface have only the tags of the definition.
            "tags": {PIPELINE_TAG: self.pipeline.id, **tag_words(self.pipeline.tags)},
            "run_tags": {PIPELINE_TAG: self.pipeline.id, **(native.get("run_tags") or {})},
            "executor_def": native.get("executor_def")
            or thread_executor(self.pipeline.options[DagsterOptions].parallelism),
            "hooks": set(native.get("hooks") or ()) or None,
            "metadata": native.get("metadata"),
        }
        if keys:
            # With what the user put between its assets, and nothing else.
            selection = OwnAndBetween(tuple(keys), frozenset(others))
            return define_asset_job(self.name, selection=selection, **shared)
        assert isinstance(form, OneGraph)
        self.facts.steps.update((key, path) for path, key in form.step_keys.items())
        return form.graph(self._ops_of(form)).to_job(name=self.name, partitions_def=self.partitions, **shared)

    @cached_property
    def alone(self) -> Any:
        """The definition of the job as if there were no other pipeline, for a run in this process."""
        defs = Definitions(assets=self.assets(), jobs=[self.job()])
        resolve = getattr(defs, "resolve_job_def", None) or defs.get_job_def
        return resolve(self.name)

    def step_key(self, path: str) -> str:
        """The key of the step of a task in :attr:`alone`; empty if it has none, because it only marks where the pipeline starts."""
        return self._step_keys.get(self.flat.step(path), "")

    @cached_property
    def _step_keys(self) -> dict[str, str]:
        return self.form().step_keys


def _with_inputs(op: OpDefinition, ins: Mapping[str, Any], names: Sequence[str], name: str) -> OpDefinition:
    """A copy of an op that can run after others."""
    with warnings.catch_warnings():
        # There is no other way to get the code version of an op.
        warnings.simplefilter("ignore", DeprecationWarning)
        version = op.version
    tolerates_no_partition(op.compute_fn)
    return OpDefinition(
        compute_fn=op.compute_fn,
        name=name,
        ins={**ins, **dict.fromkeys(names, ORDER_INPUT)},
        outs=op.outs,
        description=op.description,
        config_schema=op.config_schema,
        required_resource_keys=set(op.required_resource_keys),
        tags=op.tags,
        retry_policy=op.retry_policy,
        code_version=version,
        pool=op.pool,
    )
