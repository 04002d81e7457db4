"""From the neutral graph to Dagster's objects: one flat graph of ops a pipeline, whose outputs are the assets."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

from dagster import (
    AssetKey,
    AssetsDefinition,
    AssetSelection,
    AssetSpec,
    DependencyDefinition,
    GraphDefinition,
    In,
    InputMapping,
    MultiDependencyDefinition,
    NodeInvocation,
    Nothing,
    OpDefinition,
    Out,
    Output,
    OutputMapping,
    RetryPolicy,
    TimeWindowPartitionsDefinition,
    define_asset_job,
)

from starlake_core import (
    CreateChildren,
    StarlakeDataset,
    StarlakeError,
    StarlakePipeline,
    Task,
    TaskGroup,
    TaskKind,
    TriggerRule,
    guards_of,
)
from starlake_core.pools import DrawnResources
from starlake_core.runtime import POOL_PREFIX

from .context import Facts
from .executor import TRIGGER_TAG, thread_executor
from .flat import Flat, check_name, flatten
from .keys import asset_key
from .options import DagsterOptions
from .steps import RESULT, VERDICT, Close, Produced, Step, shown
from .together import Together

__all__ = [
    "JOB_KEYWORDS",
    "TASK_KEYWORDS",
    "DagsterPipeline",
    "dagster_name",
    "make_group",
    "make_pipeline",
    "make_task",
]

TASK_KEYWORDS = (
    "asset_tags", "code_version", "description", "group_name", "kinds", "metadata", "op_tags", "owners", "retry_policy",
)  # fmt: skip
"""Keywords that the verbs of a pipeline take for Dagster."""

JOB_KEYWORDS = ("executor_def", "hooks", "metadata", "run_tags")
"""Keywords of Dagster's jobs that ``sl_create_pipeline`` takes."""

GROUP_TAG = "starlake/group"
PIPELINE_TAG = "starlake/pipeline"
PARTITION_FORMAT = "%Y-%m-%dT%H:%M:%S%z"
"""With the offset: without it two hours would have one name when the clock is put back."""

_AFTER = "after"
_LINEAGE = 64
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_]")
_NOT_IN_TAG = re.compile(r"[^A-Za-z0-9_.-]+")


def _nothing(step: Any, inputs: Mapping[str, Any]) -> Any:
    yield Output(None, RESULT)


# What every op has, made once. Dagster makes what it is not given anew for each op, and a pipeline may have thousands.
_IN = In(Nothing)
_OUT = Out(Nothing, is_required=False)
_NONE: frozenset[Any] = frozenset()
_NO_TAGS: dict[str, str] = {}
_CONFIG = OpDefinition(compute_fn=_nothing, name="any").config_schema


@lru_cache
def _retry_policy(retries: int, delay: int) -> RetryPolicy | None:
    return RetryPolicy(max_retries=retries, delay=delay) if retries else None


@lru_cache(maxsize=1024)
def dagster_name(text: str) -> str:
    """A name as Dagster takes it: letters, digits and underscores."""
    return _NOT_IN_NAME.sub("_", text)


def tag_words(words: Iterable[str]) -> dict[str, str]:
    """Words as Dagster's tags, which have values: these have none."""
    return {_NOT_IN_TAG.sub("_", word)[:63]: "" for word in words}


class _Drawing:
    """What the tasks of a pipeline share while it is rendered.

    Args:
        pipeline: that is rendered.
        alone: a single task is wanted, for a job that is not ours.
    """

    def __init__(self, pipeline: StarlakePipeline, alone: bool = False) -> None:
        self.pipeline = pipeline
        self.alone = alone
        self.flat = flatten(pipeline, pipeline.options[DagsterOptions].load_domain_in_one_step)
        self.partitions = None if alone else _partitions(pipeline)
        self.facts = Facts.of(pipeline, self.partitions)
        if alone:
            self.facts = replace(self.facts, pipeline_id="")
        self.prefix = pipeline.options[DagsterOptions].asset_key_prefix
        self.produces = {
            path: _produced(path, task, self.prefix, self.flat.names[path] if path in self.flat.merged else RESULT)
            for path, task in self.flat.tasks.items()
            if task.outlets
        }
        self.own = {produced.key for found in self.produces.values() for produced in found}
        self.reads = {
            path: tuple(dict.fromkeys(key for key in self._inlets(task) if key not in self.own))
            for path, task in self.flat.tasks.items()
            if task.inlets
        }
        self.paths = {id(task): path for path, task in self.flat.tasks.items()}
        # Said of the op of a task and of its assets.
        self.lines = {path: shown(task.job) for path, task in self.flat.tasks.items() if task.job is not None}
        self.about = {path: describe(task, self.lines.get(path, "")) for path, task in self.flat.tasks.items()}
        self.inputs: dict[AssetKey, str] = {}
        self.resources = DrawnResources(pipeline.source)
        self._name = dagster_name(pipeline.id)

    @cached_property
    def gates_of_ends(self) -> list[str]:
        """The checks whose verdict an end wants to know."""
        return list(dict.fromkeys(gate for guard in guards_of(self.pipeline) for gate in guard))

    def _inlets(self, task: Task) -> list[AssetKey]:
        return [asset_key(dataset, self.prefix) for dataset in task.inlets]

    def pool(self, task: Task) -> str | None:
        """The pool of a task; None for none."""
        return self.resources.pool(task, "default_pool") or None

    def input_name(self, key: AssetKey) -> str:
        """The name under which the ops of the pipeline, and the graph around them, read an asset."""
        if key not in self.inputs:
            name = f"reads_{dagster_name('__'.join(key.path))}"
            taken = set(self.inputs.values())
            while name in taken:
                name += "_"
            self.inputs[key] = name
        return self.inputs[key]

    def def_name(self, path: str) -> str:
        """The name of an op: unique among all pipelines, unlike that of its step."""
        name = self.flat.names[path]
        return name if self.alone else f"{self._name}__{name}"

    def op(
        self,
        path: str,
        body: Any,
        outputs: Iterable[str],
        description: str,
        *,
        tags: Mapping[str, str] | None = None,
        retry_policy: RetryPolicy | None = None,
        code_version: str | None = None,
        pool: str | None = None,
    ) -> OpDefinition:
        """The op of a step, with what all ops share."""
        return OpDefinition(
            compute_fn=body,
            name=self.def_name(path),
            ins=dict.fromkeys(_ins(self, path), _IN),
            outs=dict.fromkeys(outputs, _OUT),
            description=description,
            config_schema=_CONFIG,
            required_resource_keys=_NONE,
            tags=tags,
            retry_policy=retry_policy,
            code_version=code_version,
            pool=pool,
        )


class _Graph(GraphDefinition):
    """A graph that Dagster walks in the order in which it runs; in the order of a set, as it does else, it recurses along a chain."""

    @property
    def nodes(self) -> Sequence[Any]:
        """In the order of the ops."""
        return list(self.node_dict.values())


_drawings: list[_Drawing] = []


def _drawing_of(task: Task) -> _Drawing:
    pipeline: Any = task.pipeline
    if _drawings and _drawings[-1].pipeline is pipeline:
        return _drawings[-1]
    return _Drawing(pipeline, alone=True)


def _produced(path: str, task: Task, prefix: Sequence[str], first: str) -> tuple[Produced, ...]:
    return tuple(
        Produced(path, first if number == 1 else f"{first}_{number}", asset_key(dataset, prefix), dataset)
        for number, dataset in enumerate(task.outlets, 1)
    )


def _in_order(kinds: Iterable[str]) -> Any:
    """Kinds as a set whose order does not depend on hashes: Dagster makes tags of them in the order in which they come."""
    return dict.fromkeys(sorted(kinds)).keys()


def _partitions(pipeline: StarlakePipeline) -> Any:
    if pipeline.cron is None or not pipeline.options[DagsterOptions].partitions:
        return None
    return TimeWindowPartitionsDefinition(
        start=pipeline.start_date,
        end=pipeline.end_date,
        fmt=PARTITION_FORMAT,
        cron_schedule=pipeline.cron,
        timezone=pipeline.zone_name,
    )


def make_task(task: Task) -> OpDefinition | Step:
    """The op of a task; only its body where it shares an op with others."""
    drawing = _drawing_of(task)
    path = drawing.paths[id(task)]
    native = task.native
    if native:
        _check_keywords(f"task {path} of pipeline {drawing.pipeline.id}", native, TASK_KEYWORDS)
    produces = drawing.produces.get(path, ())
    body: Step
    if task.kind is TaskKind.END:
        names, flat = drawing.flat.names, drawing.flat
        gates = {names[gate]: gate for gate in drawing.gates_of_ends}
        work = frozenset(names[flat.step(other)] for other, found in flat.tasks.items() if found.is_work)
        body = Close(task, path, drawing.facts, produces, gates, work)
    else:
        body = Step(task, path, drawing.facts, produces)
    if path in drawing.flat.merged:
        return body
    tags = {}
    if task.trigger is not TriggerRule.ALL_SUCCESS:
        tags[TRIGGER_TAG] = task.trigger.value
    if "." in path:
        tags[GROUP_TAG] = path.rpartition(".")[0]
    policy = native.get("retry_policy")
    return drawing.op(
        path,
        body,
        (*body.outputs, VERDICT) if task.kind is TaskKind.CHECK and not drawing.alone else body.outputs,
        native.get("description") or drawing.about[path],
        tags={**tags, **native.get("op_tags", {})},
        retry_policy=policy if policy is not None else _retry_policy(task.retries, task.retry_delay),
        code_version=native.get("code_version"),
        pool=drawing.pool(task),
    )


_SHAPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "kinds": ((list, tuple, set, frozenset), 'several words: {"parquet"}'),
    "owners": ((list, tuple), 'a list: ["ann@example.org", "team:data"]'),
    "hooks": ((list, tuple, set, frozenset), "several hooks: {hook}"),
    "asset_tags": ((Mapping,), 'names and values: {"tier": "1"}'),
    "op_tags": ((Mapping,), 'names and values: {"dagster/priority": "3"}'),
    "run_tags": ((Mapping,), 'names and values: {"team": "data"}'),
    "metadata": ((Mapping,), 'names and values: {"url": "..."}'),
}


def _check_keywords(what: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse a keyword that is not known, and a word where several are meant, which Python would take letter by letter."""
    for name in given:
        if name not in known:
            raise StarlakeError(f"{what} does not take the keyword '{name}'; it takes {', '.join(known)}")
    for name, value in given.items():
        types, takes = _SHAPES.get(name, ((object,), ""))
        if value is not None and not isinstance(value, types):
            raise StarlakeError(f"the keyword '{name}' of {what} is {value!r}; it takes {takes}")


def _ins(drawing: _Drawing, path: str) -> list[str]:
    if drawing.alone:  # a job that is written by hand says with it what the op waits for
        return [_AFTER]
    befores = drawing.flat.befores[path]
    names = [_AFTER] if befores else []
    if not _fans_in(drawing.flat, path):
        names = [f"{_AFTER}_{drawing.flat.names[before]}" for before in befores]
    return names + [drawing.input_name(key) for key in drawing.reads.get(path, ())]


def _fans_in(flat: Flat, path: str) -> bool:
    """Whether a step has one input for all that it waits for, which Dagster counts as skipped only when all of them were."""
    task = flat.tasks.get(path)
    return task is not None and task.trigger is not TriggerRule.ALL_SUCCESS


def describe(task: Task, command_line: str) -> str:
    """What a task runs, in words and as a command.

    Args:
        task: what is described.
        command_line: of its job for people.
    """
    if task.job is None:
        return "Ends the pipeline." if task.kind is TaskKind.END else "Does nothing by itself."
    command = task.command
    if command is None:
        about = f"Runs {command_line}."
    elif command.name == "load":
        about = f"Loads the table `{command.tables[0]}` of the domain `{command.domain}`."
    elif command.name == "stage":
        about = f"Moves the incoming files of the domain `{command.domain}` to where they are loaded from."
    elif task.kind is TaskKind.CHECK:
        about = f"Checks whether the domain `{command.domain}` is ready; if it is not, its loads are skipped."
    elif command.transform:
        about = f"Runs the transform `{command.transform}`."
    else:
        about = f"Runs the Starlake command `{command.name}`."
    return f"{about} Where: {task.job.environment}.\n\n```\n{command_line}\n```"


@dataclass(frozen=True)
class Members:
    """The native form of a group: its ops by path. Dagster has no groups that would not stand in the way of its assets."""

    ops: Mapping[str, Any]


def _members(group: TaskGroup, children: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    ops: dict[str, Any] = {}
    for node_id, made in children.items():
        if isinstance(made, Members):
            ops.update(made.ops)
        else:
            ops[f"{prefix}{node_id}"] = made
    return ops


def make_group(group: TaskGroup, create_children: CreateChildren) -> Members:
    """The ops of a group."""
    drawing = _drawings[-1]
    ops = _members(group, create_children(), f"{group.path}.")
    if not any(step == group.path for step in drawing.flat.merged.values()):
        return Members(ops)
    replaced = [path for path, made in ops.items() if not isinstance(made, Step)]
    if replaced:
        raise StarlakeError(
            f"an add-on gave {', '.join(replaced)} of pipeline {drawing.pipeline.id} an op of its own; that takes "
            "load_domain_in_one_step=false"
        )
    return Members({group.path: _one_op(drawing, group, list(ops.values()))})


def _one_op(drawing: _Drawing, group: TaskGroup, steps: Sequence[Step]) -> OpDefinition:
    """The op that runs all tasks of a group."""
    outputs = [output for step in steps for output in step.outputs]
    most = max(step.task.retries for step in steps)
    pools = {drawing.pool(step.task) for step in steps} - {None}
    return drawing.op(
        group.path,
        Together(tuple(steps), drawing.pipeline.options[DagsterOptions].parallelism),
        (RESULT, *outputs),
        f"Loads {len(steps)} tables of {steps[0].task.domain}, several side by side.",
        tags={GROUP_TAG: group.path},
        retry_policy=_retry_policy(most, max(step.task.retry_delay for step in steps)),
        pool=pools.pop() if len(pools) == 1 else None,
    )


def make_pipeline(pipeline: StarlakePipeline, create_children: CreateChildren) -> DagsterPipeline:
    """The pipeline in Dagster's terms."""
    _check_keywords(f"pipeline {pipeline.id}", pipeline.native_options, JOB_KEYWORDS)
    check_name(f"pipeline '{pipeline.id}'", dagster_name(pipeline.id))
    drawing = _Drawing(pipeline)
    _drawings.append(drawing)
    try:
        ops = _members(pipeline, create_children(), "")
    finally:
        _drawings.pop()
    return DagsterPipeline(drawing, ops)


class DagsterPipeline:
    """A pipeline in Dagster's terms. What it becomes depends on the pipelines around it, because an asset is defined once.

    Attributes:
        pipeline: what it is made from.
        flat: the graph without groups.
        ops: by path.
        produces: path to what the task emits.
        partitions: Dagster's partitions, None without any.
    """

    def __init__(self, drawing: _Drawing, ops: Mapping[str, Any]) -> None:
        self.pipeline = drawing.pipeline
        self.flat: Flat = drawing.flat
        self.produces = drawing.produces
        self.partitions = drawing.partitions
        self.facts = drawing.facts
        self._theirs: dict[str, str] = {}  # path of an op that is not ours to the name of its output
        self.ops = {path: self._op(drawing, path, ops.get(path)) for path in self.flat.steps()}
        self._drawing = drawing
        self._afters: dict[str, DependencyDefinition] = {}
        self._found: dict[frozenset[AssetKey], list[Produced]] = {}
        self._assets: dict[tuple[frozenset[AssetKey], ...], AssetsDefinition | None] = {}

    def _op(self, drawing: _Drawing, path: str, made: Any) -> OpDefinition:
        if path in drawing.flat.joins:  # a helper between two wide groups
            return drawing.op(path, _nothing, (RESULT,), "Waits for a group.")
        if isinstance(made, OpDefinition) and isinstance(made.compute_fn, (Step, Together)):
            return made
        if not isinstance(made, OpDefinition) or len(made.outs) != 1:
            task = drawing.flat.tasks[path]
            who = "the factory" if task.factory is not None else "an add-on"
            outs = f" with {len(made.outs)} outputs" if isinstance(made, OpDefinition) else ""
            raise StarlakeError(
                f"{who} of '{path}' in pipeline '{drawing.pipeline.id}' returned {made!r}{outs}; for Dagster it returns an op (@op) with "
                "one output, so that others can run after it"
            )
        self._theirs[path] = made.output_defs[0].name
        return _with_inputs(made, _ins(drawing, path), drawing.def_name(path))

    @property
    def pools(self) -> list[str]:
        """The pools that keep the users of a resource apart."""
        return sorted({op.pool for op in self.ops.values() if op.pool and op.pool.startswith(POOL_PREFIX)})

    @cached_property
    def _tags(self) -> dict[str, str]:
        return tag_words(self.pipeline.tags)

    @cached_property
    def _kinds(self) -> Mapping[str, Any]:
        """The kinds of an asset whose task says none, by what it is."""
        more = self.pipeline.options[DagsterOptions].asset_kinds
        return {own: _in_order({"starlake", *([own] if own else ()), *more}) for own in ("sql", "table", "")}

    @cached_property
    def _owners(self) -> list[str]:
        return list(self.pipeline.options[DagsterOptions].asset_owners)

    # -- names

    @property
    def name(self) -> str:
        """The name of the job."""
        return dagster_name(self.pipeline.id)

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
        return {key for keys in self._drawing.reads.values() for key in keys}

    # -- the graph

    def _output(self, path: str) -> str:
        """The name of the output that the steps behind a task wait for."""
        if path in self._theirs:
            return self._theirs[path]
        return self.produces[path][0].output if path in self.produces else RESULT

    def _after(self, path: str) -> DependencyDefinition:
        if path not in self._afters:
            self._afters[path] = DependencyDefinition(self.flat.names[self.flat.step(path)], self._output(path))
        return self._afters[path]

    def _sure(self, path: str) -> DependencyDefinition:
        """An output, of a task that nothing runs before, that is there unless the task failed: skips do not reach what waits for it."""
        while self.flat.befores[path]:
            path = self.flat.befores[path][0]
        if path in self.flat.merged:
            return DependencyDefinition(self.flat.names[self.flat.merged[path]], RESULT)
        return DependencyDefinition(
            self.flat.names[path], VERDICT if self.flat.tasks[path].kind is TaskKind.CHECK else self._output(path)
        )

    def _dependencies(self) -> dict[Any, dict[str, Any]]:
        names = self.flat.names
        each: dict[tuple[str, ...], dict[str, Any]] = {}  # what waits for the same has one mapping

        def inputs(path: str) -> dict[str, Any]:
            befores = self.flat.befores[path]
            if not _fans_in(self.flat, path):
                if befores not in each:
                    each[befores] = {f"{_AFTER}_{names[before]}": self._after(before) for before in befores}
                return each[befores]
            if not befores:
                return {}
            after = [*(self._after(before) for before in befores), self._sure(path)]
            if self.flat.tasks[path].kind is TaskKind.END:
                after += [DependencyDefinition(names[gate], VERDICT) for gate in self._drawing.gates_of_ends]
            return {_AFTER: MultiDependencyDefinition(list(dict.fromkeys(after)))}

        return {
            NodeInvocation(op.name, alias=names[path], tags=_NO_TAGS, hook_defs=_NONE): inputs(path)
            for path, op in self.ops.items()
        }

    def _outputs(self, elsewhere: Collection[AssetKey]) -> list[Produced]:
        """Every asset that it defines.

        Dagster leaves out what leads to no asset: a last task without a dataset is an asset of its own. No asset at all: a job of ops.
        """
        kept = frozenset(elsewhere)
        if kept not in self._found:
            self._found[kept] = self._find_outputs(kept)
        return self._found[kept]

    def _find_outputs(self, elsewhere: Collection[AssetKey]) -> list[Produced]:
        found: list[Produced] = []
        taken = set(elsewhere)
        last = set(self.flat.tasks)
        for path in self.flat.tasks:
            last.difference_update(self.befores(path))
        for path in self.flat.tasks:
            # What a second task of the pipeline makes again is the asset of the first; it records what it did.
            defined = [produced for produced in self.produces.get(path, ()) if produced.key not in taken]
            taken.update(produced.key for produced in defined)
            if path in self._theirs:  # has one output, of whatever name
                defined = [replace(produced, output=self._theirs[path]) for produced in defined]
            found.extend(defined)
            if path in last and not defined:
                key = AssetKey([*self._drawing.prefix, self.pipeline.id, self.flat.names[path]])
                while key in taken or key in self._drawing.own:
                    key = AssetKey([*key.path, "done"])
                taken.add(key)
                found.append(Produced(path, self._output(path), key))
        return found if any(produced.dataset is not None for produced in found) else []

    def _graph_output(self, produced: Produced) -> str:
        name = self.flat.names[produced.path]
        return name if produced.output in (RESULT, name) else f"{name}__{produced.output}"

    def befores(self, path: str) -> list[str]:
        """Paths of the tasks directly before a task, past the helpers between wide groups."""
        found: list[str] = []
        for before in self.flat.befores[path]:
            found.extend(self.flat.joins.get(before, (before,)))
        return found

    def graph(self, elsewhere: Collection[AssetKey] = (), apart: Collection[AssetKey] = ()) -> GraphDefinition:
        """The graph of the ops, with an output for every asset that it defines and an input for every one that it reads.

        Args:
            elsewhere: assets that another pipeline defines.
            apart: assets that it reads and does not wait for in a run of several pipelines.
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
                graph_input_name=self._drawing.inputs[key],
                mapped_node_name=names[path],
                mapped_node_input_name=self._drawing.inputs[key],
            )
            for path, keys in self._drawing.reads.items()
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
            apart: assets that it reads and does not wait for in a run of several pipelines.
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
            keys_by_input_name={name: key for key, name in self._drawing.inputs.items() if key not in apart},
            keys_by_output_name={self._graph_output(produced): produced.key for produced in outputs},
            specs=[self._spec(produced, lineage[produced.path]) for produced in outputs],
            can_subset=True,
        )

    def _lineage(self) -> dict[str, tuple[AssetKey, ...]]:
        """What each task reads: what it says, else the assets that are made directly before it."""
        nearest: dict[str, tuple[AssetKey, ...]] = dict.fromkeys(self.flat.joins, ())
        found: dict[str, tuple[AssetKey, ...]] = {}
        produces = self.produces

        def made(path: str) -> Iterable[AssetKey]:
            """The assets of a task, else those that are made directly before it."""
            return (produced.key for produced in produces[path]) if path in produces else nearest[path]

        for path, task in self.flat.tasks.items():
            before = tuple(dict.fromkeys(key for other in self.flat.befores[path] for key in made(other)))
            if task.kind is not TaskKind.END and len(before) > _LINEAGE:
                before = ()  # an order, and no lineage that a person could read
            said = [asset_key(dataset, self._drawing.prefix) for dataset in task.inlets]
            own = {produced.key for produced in produces.get(path, ())}
            found[path] = tuple(key for key in dict.fromkeys(said or before) if key not in own)
            nearest[path] = before
        return found

    def _spec(self, produced: Produced, deps: Sequence[AssetKey]) -> AssetSpec:
        path, dataset = produced.path, produced.dataset
        task = self.flat.tasks[path]
        native = task.native
        metadata: dict[str, Any] = {"pipeline": self.pipeline.id, "task": path}
        if task.job is not None:
            metadata["command"] = self._drawing.lines[path]
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
            description=native.get("description") or self._drawing.about[path],
            group_name=native.get("group_name") or dagster_name(self._group(path, dataset)),
            kinds=kinds,
            tags={**self._tags, **native.get("asset_tags", {})},
            owners=list(native.get("owners") or ()) or self._owners,
            metadata={**metadata, **native.get("metadata", {})},
            code_version=native.get("code_version"),
            partitions_def=self.partitions,
        )

    def _group(self, path: str, dataset: StarlakeDataset | None) -> str:
        """The group of an asset: the outermost task group, else the domain of the table, else the pipeline."""
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
        native = self.pipeline.native_options
        shared: dict[str, Any] = {
            "description": self.pipeline.description or None,
            # Runs that are launched past the user interface have only the tags of the definition.
            "tags": {PIPELINE_TAG: self.pipeline.id, **tag_words(self.pipeline.tags)},
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
        from .loading import resolved_job

        return resolved_job(self)

    def step_key(self, path: str) -> str:
        """The key of the step of a task in :attr:`alone`."""
        name = self.flat.names[self.flat.step(path)]
        return f"{self.graph_name}.{name}" if self.keys else name


def _with_inputs(op: OpDefinition, names: Sequence[str], name: str) -> OpDefinition:
    """A copy of a user's op that can run after others."""
    with warnings.catch_warnings():
        # Nothing else tells the code version of an op.
        warnings.simplefilter("ignore", DeprecationWarning)
        version = op.version
    return OpDefinition(
        compute_fn=op.compute_fn,
        name=name,
        ins={**op.ins, **dict.fromkeys(names, _IN)},
        outs=op.outs,
        description=op.description,
        config_schema=op.config_schema,
        required_resource_keys=set(op.required_resource_keys),
        tags=op.tags,
        retry_policy=op.retry_policy,
        code_version=version,
        pool=op.pool,
    )
