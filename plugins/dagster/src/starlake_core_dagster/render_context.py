"""What the tasks of a pipeline share while it is rendered: names, inputs, pools, and what all their ops have in common."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from inspect import signature
from typing import Any

from dagster import AssetKey, In, Nothing, OpDefinition, Out, Output, RetryPolicy, TimeWindowPartitionsDefinition

from starlake_core import Pipeline, StarlakeDataset, StarlakeError, Task, TaskKind, gates_before_work
from starlake_core.orchestrators.pools import DrawnResources

from .checks import checks_of
from .context import PARTITION_FORMAT, Facts
from .op_graph import flatten
from .options import DagsterOptions
from .outputs import RESULT, VERDICT, outputs_of
from .pools import NO_POOL
from .steps import shown
from .translator import key_of, translator_of
from .unpartitioned import tolerates_no_partition

__all__ = ["AFTER", "JOINS", "ORDER_INPUT", "RenderContext", "dagster_name"]

AFTER = "after"
"""The name, or its first part, of the inputs that order an op after others."""

_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_]")


def do_nothing(step: Any, inputs: Mapping[str, Any]) -> Any:
    """Do nothing, successfully."""
    yield Output(None, RESULT)


class Waits:
    """The body of an op that waits, and has no task.

    Args:
        only: whether it writes no asset, so that our executor need not start it.
    """

    writes_log = True  # it prints nothing
    __signature__ = signature(do_nothing)

    def __init__(self, only: bool) -> None:
        self.only_waits = only

    def __call__(self, step: Any, inputs: Mapping[str, Any]) -> Any:
        """The body, as Dagster calls it."""
        return do_nothing(step, inputs)


JOINS = Waits(False)
"""The body of an op that waits for a wide group."""
_HELPS = Waits(True)


# What every op has, created once. Dagster creates what it is not given for each op, and a pipeline may have thousands.
ORDER_INPUT = In(Nothing)
_OUT = Out(Nothing, is_required=False)
_NO_RESOURCES: frozenset[str] = frozenset()
_CONFIG = OpDefinition(compute_fn=do_nothing, name="any").config_schema


@lru_cache(maxsize=1024)
def dagster_name(text: str) -> str:
    """A name that Dagster accepts: letters, digits and underscores."""
    return _NOT_IN_NAME.sub("_", text)


def job_name(pipeline: Pipeline) -> str:
    """The name of a pipeline's job, from which those of its schedule, sensors and graph are derived.

    It is the name of the pipeline, after the prefix of its assets, so that a project can be in one location twice.

    Args:
        pipeline: a pipeline with the options of Dagster.
    """
    return dagster_name("_".join((*pipeline.options[DagsterOptions].asset_key_prefix, pipeline.id)))


class RenderContext:
    """What the tasks of a pipeline share while it is rendered.

    Args:
        pipeline: the pipeline.
        alone: whether a single task is rendered, for a job that is not ours.
        make_form: decides the form of its definitions from this object and the ops that are not ours.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        alone: bool = False,
        make_form: Callable[[RenderContext, Mapping[str, str]], Any] | None = None,
    ) -> None:
        self.pipeline = pipeline
        self._make_form = make_form
        self.alone = alone
        self.flat = flatten(pipeline, pipeline.options[DagsterOptions].load_domain_in_one_step)
        self.partitions = None if alone else _partitions(pipeline)
        self.name = job_name(pipeline)
        self.facts = Facts.of(pipeline, self.partitions, self.name)
        if alone:
            self.facts = replace(self.facts, pipeline_id="")
        self.prefix = pipeline.options[DagsterOptions].asset_key_prefix
        self.translator = translator_of(pipeline)
        self.produces = {
            path: outputs_of(path, task, self._key_of, self.flat.names[path] if path in self.flat.merged else RESULT)
            for path, task in self.flat.tasks.items()
            if task.outlets
        }
        self._refuse_one_key()
        self.checks = {
            path: checks_of(path, task, self.produces[path][0], pipeline, self.translator)
            for path, task in self.flat.tasks.items()
            if task.details is not None and path in self.produces and not alone
        }
        self.own = {produced.key for found in self.produces.values() for produced in found}
        self.says = {
            path: tuple(dict.fromkeys(self._inlets(task))) for path, task in self.flat.tasks.items() if task.inlets
        }
        self.reads = {path: tuple(key for key in keys if key not in self.own) for path, keys in self.says.items()}
        self.paths = {id(task): path for path, task in self.flat.tasks.items()}
        # For the op of a task and for its assets.
        self.lines = {path: shown(task.job) for path, task in self.flat.tasks.items() if task.job is not None}
        self.about = {path: describe(task, self.lines.get(path, "")) for path, task in self.flat.tasks.items()}
        self._inputs: dict[AssetKey, str] = {}
        self._input_names: set[str] = set()
        self.resources = DrawnResources(pipeline.source)

    @cached_property
    def gates_of_ends(self) -> list[str]:
        """The checks whose verdict the end of the pipeline needs."""
        return list(dict.fromkeys(gate for guard in gates_before_work(self.pipeline) for gate in guard))

    def _inlets(self, task: Task) -> list[AssetKey]:
        return [self._key_of(dataset) for dataset in task.inlets]

    def _key_of(self, dataset: StarlakeDataset) -> AssetKey:
        return key_of(self.translator, dataset, self.pipeline)

    def _refuse_one_key(self) -> None:
        """Refuse a translator that gives two datasets the same key.

        Raises:
            StarlakeError: it does; only the first one would be an asset.
        """
        known: dict[AssetKey, StarlakeDataset] = {}
        for made in self.produces.values():
            for produced in made:
                assert produced.dataset is not None
                other = known.setdefault(produced.key, produced.dataset)
                if other != produced.dataset:
                    one, two = (dataset.sink or dataset.uri for dataset in (other, produced.dataset))
                    raise StarlakeError(
                        f"{one} and {two} of pipeline {self.pipeline.id} have the same key {produced.key.to_user_string()}, and only one of them "
                        "would be an asset: let get_asset_key() of the translator tell them apart"
                    )

    def pool(self, task: Task) -> str | None:
        """The pool of a task; None for none."""
        return self.resources.pool(task, NO_POOL) or None

    def input_name(self, key: AssetKey) -> str:
        """The name under which ops, and the graphs around them, read an asset."""
        if key not in self._inputs:
            name = f"reads_{dagster_name('__'.join(key.path))}"
            while name in self._input_names:
                name += "_"
            self._input_names.add(name)
            self._inputs[key] = name
        return self._inputs[key]

    @cached_property
    def form(self) -> Any:
        """The form of the definitions as if there were no other pipeline, and no op of an add-on: a :class:`.form.Form`."""
        assert self._make_form is not None
        theirs = {path: RESULT for path, task in self.flat.tasks.items() if task.factory is not None}
        return self._make_form(self, theirs)

    def first_output(self, path: str) -> str:
        """The name of the output that the steps after a task wait for, if its op is ours."""
        return self.produces[path][0].output if path in self.produces else RESULT

    def outputs(self, path: str) -> list[str]:
        """The names of the outputs of the op of a task, if it is ours."""
        if path in self._merged_outputs:
            return [RESULT, *self._merged_outputs[path]]
        task = self.flat.tasks.get(path)
        made = [produced.output for produced in self.produces.get(path, ())] or [RESULT]
        made += self.check_outputs(path)
        return [*made, VERDICT] if task is not None and task.kind is TaskKind.CHECK and not self.alone else made

    @cached_property
    def _merged_outputs(self) -> dict[str, list[str]]:
        """Maps the path of each group that is one step to the names of the outputs of its tables."""
        found: dict[str, list[str]] = {}
        for path, step in self.flat.merged.items():
            found.setdefault(step, []).extend(
                (*(produced.output for produced in self.produces[path]), *self.check_outputs(path))
            )
        return found

    def check_outputs(self, path: str) -> list[str]:
        """The names of the outputs of the checks of a task."""
        return [check.output for check in self.checks.get(path, ())]

    def input_names(self, path: str) -> list[str]:
        """The names of the inputs of an op."""
        # A hand-written job uses it to say what the op waits for.
        return [AFTER] if self.alone else self.form.ins(path)

    def helper_name(self, name: str) -> str:
        """A name that no task has."""
        while name in self._task_names:
            name += "_"
        return name

    @cached_property
    def _task_names(self) -> set[str]:
        return set(self.flat.names.values())

    def helper(self, alias: str, inputs: Sequence[str], description: str) -> OpDefinition:
        """An op that only waits.

        Args:
            alias: its name in its graph.
            inputs: the names of its inputs.
            description: what it is for.
        """
        return _op(f"{self.name}__{alias}", _HELPS, inputs, (RESULT,), description)

    def def_name(self, path: str) -> str:
        """The name of an op, which is unique among all pipelines, unlike that of its step."""
        name = self.flat.names[path]
        return name if self.alone else f"{self.name}__{name}"

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
        return _op(
            self.def_name(path),
            body,
            self.input_names(path),
            outputs,
            description,
            tags=tags,
            retry_policy=retry_policy,
            code_version=code_version,
            pool=pool,
        )


def _op(
    name: str, body: Any, ins: Iterable[str], outputs: Iterable[str], description: str, **more: Any
) -> OpDefinition:
    tolerates_no_partition(body)
    return OpDefinition(
        compute_fn=body,
        name=name,
        ins=dict.fromkeys(ins, ORDER_INPUT),
        outs=dict.fromkeys(outputs, _OUT),
        description=description,
        config_schema=_CONFIG,
        required_resource_keys=_NO_RESOURCES,
        **more,
    )


def _partitions(pipeline: Pipeline) -> Any:
    if pipeline.cron is None or not pipeline.options[DagsterOptions].partitions:
        return None
    return TimeWindowPartitionsDefinition(
        start=pipeline.start_date,
        end=pipeline.end_date,
        fmt=PARTITION_FORMAT,
        cron_schedule=pipeline.cron,
        timezone=pipeline.zone_name,
    )


def describe(task: Task, command_line: str) -> str:
    """What a task runs, in words and as a command.

    Args:
        task: the task.
        command_line: the command of its job, for display.
    """
    if task.job is None:
        return "Ends the pipeline." if task.kind is TaskKind.END else "Does nothing by itself."
    about = task.summary(lambda name: f"`{name}`") or f"Runs {command_line}."
    return f"{about} Environment: {task.job.environment}.\n\n```\n{command_line}\n```"
