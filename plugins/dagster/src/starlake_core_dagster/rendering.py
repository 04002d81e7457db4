"""Turns the neutral graph into Dagster's objects: one flat graph of ops for each pipeline, whose outputs are the assets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from dagster import OpDefinition, RetryPolicy

from starlake_core import CreateChildren, Pipeline, StarlakeError, Task, TaskGroup, TaskKind, TriggerRule
from starlake_core.logs import get_logger

from .domain_step import Together
from .executor import TRIGGER_TAG
from .forms import form_of
from .keywords import ASSET_KEYWORDS, JOB_KEYWORDS, TASK_KEYWORDS, check_keywords, check_owners
from .op_graph import check_name, kept_apart
from .options import DagsterOptions
from .outputs import RESULT
from .pipeline import DagsterPipeline
from .render_context import RenderContext, job_name
from .steps import Close, Step

__all__ = ["Members", "make_group", "make_pipeline", "make_task"]

logger = get_logger(__name__)

GROUP_TAG = "starlake/group"

_contexts: list[RenderContext] = []


def _context_of(task: Task) -> RenderContext:
    pipeline = task.pipeline
    if _contexts and _contexts[-1].pipeline is pipeline:
        return _contexts[-1]
    return RenderContext(pipeline, alone=True)


def make_task(task: Task) -> OpDefinition | Step:
    """The op of a task; only its body if it shares an op with others."""
    context = _context_of(task)
    path = context.paths[id(task)]
    native = task.native
    if native:
        check_keywords(f"task {path} of pipeline {context.pipeline.id}", native, TASK_KEYWORDS)
        _refuse_without_asset(context, path, native)
    produces = context.produces.get(path, ())
    body: Step
    facts = context.facts
    # All steps of a run have one interval, also those whose own assets have no partitions.
    partitions = native.get("partitions_def") if context.alone else context.form.partitions
    if partitions is not None and partitions is not facts.partitions:
        facts = replace(facts, partitions=partitions)
    if task.kind is TaskKind.END:
        flat = context.flat
        gates = {gate: flat.tasks[gate].missing for gate in context.gates_of_ends}
        work = frozenset(flat.step(other) for other, found in flat.tasks.items() if found.is_work)
        body = Close(task, path, facts, produces, gates=gates, work=work)
    else:
        body = Step(task, path, facts, produces, context.checks.get(path, ()))
    if path in context.flat.merged:
        return body
    tags = {}
    if task.trigger is not TriggerRule.ALL_SUCCESS:
        tags[TRIGGER_TAG] = task.trigger.value
    if "." in path:
        tags[GROUP_TAG] = path.rpartition(".")[0]
    policy, pool = native.get("retry_policy"), context.pool(task)
    if pool is not None and pool.split() != [pool]:
        raise StarlakeError(
            f"{pool!r} is not a valid pool for task {path} of pipeline {context.pipeline.id}: for Dagster, a name has no spaces"
        )
    return context.op(
        path,
        body,
        context.outputs(path),
        native.get("description") or context.about[path],
        tags={**tags, **(native.get("op_tags") or {})},
        retry_policy=policy if policy is not None else _retry_policy(task.retries, task.retry_delay),
        code_version=native.get("code_version"),
        pool=pool,
    )


def _refuse_without_asset(context: RenderContext, path: str, native: Mapping[str, Any]) -> None:
    """Refuse keywords of assets for a task that is none: they would have no effect.

    Raises:
        StarlakeError: there is one.
    """
    given = [name for name, value in native.items() if name in ASSET_KEYWORDS and value is not None]
    if given and not (context.alone or path in context.produces or path in context.form.paths):
        raise StarlakeError(
            f"task {path} of pipeline {context.pipeline.id} is not an asset in Dagster, so {', '.join(given)} would have no effect; give it to a "
            "task that makes a table, or leave it out"
        )


@dataclass(frozen=True)
class Members:
    """The native form of a group: its ops by path. Dagster has no groups that work with its assets."""

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
    context = _contexts[-1]
    ops = _members(group, create_children(), f"{group.path}.")
    if not any(step == group.path for step in context.flat.merged.values()):
        apart = kept_apart(group) if context.pipeline.options[DagsterOptions].load_domain_in_one_step else ()
        if apart:
            logger.warning(
                "the tables of %s of pipeline %s have a step each in spite of load_domain_in_one_step, because of %s: a table that shares a step "
                "has no keywords of Dagster, no inlets, and no trigger of its own",
                group.path,
                context.pipeline.id,
                ", ".join(apart),
            )
        return Members(ops)
    replaced = [path for path, made in ops.items() if not isinstance(made, Step)]
    if replaced:
        raise StarlakeError(
            f"an add-on gave {', '.join(replaced)} of pipeline {context.pipeline.id} an op of its own, which requires "
            "load_domain_in_one_step=false"
        )
    return Members({group.path: _one_op(context, group, list(ops.values()))})


def _one_op(context: RenderContext, group: TaskGroup, steps: Sequence[Step]) -> OpDefinition:
    """The op that runs all tasks of a group."""
    outputs = [output for step in steps for output in (*step.outputs, *(check.output for check in step.checks))]
    most = max(step.task.retries for step in steps)
    pools = sorted({pool for step in steps if (pool := context.pool(step.task)) is not None})
    if len(pools) > 1:
        raise StarlakeError(
            f"the tables of {group.path} of pipeline {context.pipeline.id} have the pools {', '.join(pools)}, and with load_domain_in_one_step they "
            "share a step, which has one: give all of them the same pool, or set load_domain_in_one_step=false"
        )
    return context.op(
        group.path,
        Together(tuple(steps), context.pipeline.options[DagsterOptions].parallelism),
        (RESULT, *outputs),
        f"Loads {len(steps)} tables of {steps[0].task.domain}, several side by side.",
        tags={GROUP_TAG: group.path},
        retry_policy=_retry_policy(most, max(step.task.retry_delay for step in steps)),
        pool=pools[0] if pools else None,
    )


def make_pipeline(pipeline: Pipeline, create_children: CreateChildren) -> DagsterPipeline:
    """The pipeline in Dagster's terms."""
    check_keywords(f"pipeline {pipeline.id}", pipeline.native_options, JOB_KEYWORDS)
    check_name(f"pipeline '{pipeline.id}'", job_name(pipeline))
    check_owners(f"the option 'asset_owners' of pipeline {pipeline.id}", pipeline.options[DagsterOptions].asset_owners)
    if pipeline.trigger is not None and pipeline.max_active_runs > 1:
        logger.warning(
            "max_active_runs of pipeline %s is %d, but datasets start its runs, so that each continues where the one before it ended: "
            "its sensor starts one at a time",
            pipeline.id,
            pipeline.max_active_runs,
        )
    context = RenderContext(pipeline, make_form=form_of)
    _contexts.append(context)
    try:
        ops = _members(pipeline, create_children(), "")
    finally:
        _contexts.pop()
    return DagsterPipeline(context, ops)


@lru_cache
def _retry_policy(retries: int, delay: int) -> RetryPolicy | None:
    return RetryPolicy(max_retries=retries, delay=delay) if retries else None
