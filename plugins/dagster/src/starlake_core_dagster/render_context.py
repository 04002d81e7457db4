"""What the tasks of a pipeline share while it is rendered: names, inputs, pools, and what all their ops have in common."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any

from dagster import AssetKey, In, Nothing, OpDefinition, Out, Output, RetryPolicy, TimeWindowPartitionsDefinition

from starlake_core import Pipeline, Task, TaskKind, gates_before_work
from starlake_core.orchestrators.pools import DrawnResources

from .context import PARTITION_FORMAT, Facts
from .keys import asset_key
from .op_graph import flatten
from .options import DagsterOptions
from .pools import NO_POOL
from .steps import RESULT, AssetOutput, shown

__all__ = ["AFTER", "ORDER_INPUT", "RenderContext", "dagster_name", "do_nothing"]

AFTER = "after"
"""The name, or its first part, of the inputs that order an op after others."""

_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_]")


def do_nothing(step: Any, inputs: Mapping[str, Any]) -> Any:
    """The body of an op that only waits."""
    yield Output(None, RESULT)


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
    """

    def __init__(self, pipeline: Pipeline, alone: bool = False) -> None:
        self.pipeline = pipeline
        self.alone = alone
        self.flat = flatten(pipeline, pipeline.options[DagsterOptions].load_domain_in_one_step)
        self.partitions = None if alone else _partitions(pipeline)
        self.name = job_name(pipeline)
        self.facts = Facts.of(pipeline, self.partitions, self.name)
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
        # For the op of a task and for its assets.
        self.lines = {path: shown(task.job) for path, task in self.flat.tasks.items() if task.job is not None}
        self.about = {path: describe(task, self.lines.get(path, "")) for path, task in self.flat.tasks.items()}
        self.inputs: dict[AssetKey, str] = {}
        self.resources = DrawnResources(pipeline.source)

    @cached_property
    def gates_of_ends(self) -> list[str]:
        """The checks whose verdict the end of the pipeline needs."""
        return list(dict.fromkeys(gate for guard in gates_before_work(self.pipeline) for gate in guard))

    def _inlets(self, task: Task) -> list[AssetKey]:
        return [asset_key(dataset, self.prefix) for dataset in task.inlets]

    def pool(self, task: Task) -> str | None:
        """The pool of a task; None for none."""
        return self.resources.pool(task, NO_POOL) or None

    def input_name(self, key: AssetKey) -> str:
        """The name under which the ops of the pipeline, and the graph around them, read an asset."""
        if key not in self.inputs:
            name = f"reads_{dagster_name('__'.join(key.path))}"
            taken = set(self.inputs.values())
            while name in taken:
                name += "_"
            self.inputs[key] = name
        return self.inputs[key]

    def input_names(self, path: str) -> list[str]:
        """The names of the inputs of an op: those that order it after others, then those of the assets that it reads."""
        if self.alone:  # a hand-written job uses it to say what the op waits for
            return [AFTER]
        befores = self.flat.befores[path]
        names = [AFTER] if befores else []
        if not self.flat.has_one_input(path):
            names = [f"{AFTER}_{self.flat.names[before]}" for before in befores]
        return names + [self.input_name(key) for key in self.reads.get(path, ())]

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
        return OpDefinition(
            compute_fn=body,
            name=self.def_name(path),
            ins=dict.fromkeys(self.input_names(path), ORDER_INPUT),
            outs=dict.fromkeys(outputs, _OUT),
            description=description,
            config_schema=_CONFIG,
            required_resource_keys=_NO_RESOURCES,
            tags=tags,
            retry_policy=retry_policy,
            code_version=code_version,
            pool=pool,
        )


def _produced(path: str, task: Task, prefix: Sequence[str], first: str) -> tuple[AssetOutput, ...]:
    return tuple(
        AssetOutput(path, first if number == 1 else f"{first}_{number}", asset_key(dataset, prefix), dataset)
        for number, dataset in enumerate(task.outlets, 1)
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
