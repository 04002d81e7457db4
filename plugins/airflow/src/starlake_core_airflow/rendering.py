"""Turns the neutral graph into Airflow's objects."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from starlake_core import (
    CreateChildren,
    GeneralOptions,
    Pipeline,
    StarlakeDataset,
    StarlakeError,
    TableDetails,
    Task,
    TaskGroup,
    TaskKind,
    TriggerRule,
    gates_before_work,
)
from starlake_core.freshness import FreshnessPolicy
from starlake_core.freshness.wake import Term
from starlake_core.logs import get_logger
from starlake_core.orchestrators.pools import DrawnResources
from starlake_core.plain_text import plain, plain_line
from starlake_core.runtime import pool_of

from .context import Facts
from .edges import Block, link
from .firing import timetable_of
from .operator import StarlakeEnd, StarlakeOperator, StarlakeStart, displayed
from .options import AirflowOptions
from .pools import DEFAULT_POOL, creation
from .versions import DAG, AssetAll, AssetAny, EmptyOperator, asset
from .versions import TaskGroup as AirflowGroup

__all__ = ["DAG_KEYWORDS", "TASK_KEYWORDS", "make_dag", "make_group", "make_task"]

logger = get_logger(__name__)

TASK_KEYWORDS = (
    "deferrable", "depends_on_past", "do_xcom_push", "doc", "doc_json", "doc_md", "doc_rst", "doc_yaml",
    "email", "email_on_failure", "email_on_retry", "execution_timeout", "executor", "executor_config",
    "ignore_first_depends_on_past", "max_active_tis_per_dag", "max_active_tis_per_dagrun", "max_retry_delay", "on_execute_callback",
    "on_failure_callback", "on_retry_callback", "on_skipped_callback", "on_success_callback", "owner", "pool_slots",
    "priority_weight", "queue", "resources", "retry_exponential_backoff", "run_as_user", "task_display_name", "trigger_rule",
    "wait_for_downstream", "wait_for_past_depends_before_skipping", "weight_rule",
)  # fmt: skip
"""Keywords of Airflow's operators that the verbs of a pipeline accept."""

DAG_KEYWORDS = (
    "access_control", "dag_display_name", "dagrun_timeout", "default_dag_args", "doc_md",
    "is_paused_upon_creation", "jinja_environment_kwargs", "max_active_tasks", "max_consecutive_failed_dag_runs", "on_failure_callback",
    "on_success_callback", "owner_links", "params", "render_template_as_native_obj", "template_searchpath",
    "user_defined_filters", "user_defined_macros",
)  # fmt: skip
"""Keywords of Airflow's DAG that ``sl_create_pipeline`` accepts."""

_OF_TEMPLATES = (
    "jinja_environment_kwargs", "params", "render_template_as_native_obj", "template_searchpath", "user_defined_filters",
    "user_defined_macros",
)  # fmt: skip
"""Those of them that control how Airflow renders templates, which affects native nodes only."""


class _Drawing:
    """What the tasks of a pipeline share while it is rendered.

    Args:
        pipeline: the pipeline.
        alone: whether a single task is rendered, for a DAG that is not ours.
    """

    def __init__(self, pipeline: Pipeline, alone: bool = False) -> None:
        options = pipeline.options[AirflowOptions]
        facts = Facts.of(pipeline)
        self.decided = facts.freshness is not None and not alone
        if alone:
            facts = replace(facts, pipeline_id="")
        elif self.decided:
            facts = replace(facts, start=_own_end(pipeline.roots(), TaskKind.START) or _free_id(pipeline, "start"))
        self.facts = facts
        self.end = _own_end([task for task in pipeline.tasks() if task.kind is TaskKind.END], TaskKind.END)
        self.retries = pipeline.options[GeneralOptions].retries
        self.pipeline = pipeline
        self.deferrable = options.deferrable
        self.check_deferrable = options.pre_load_deferrable
        self.resources = DrawnResources(pipeline.source)
        self.pools: dict[str, str] = {}
        named = {"google": options.gcp_conn_id, "aws": options.aws_conn_id}
        self.shared = {
            "facts": self.facts,
            "defer_after": options.defer_after,
            "connections": {kind: connection for kind, connection in named.items() if connection},
        }
        self._assets: dict[str, Any] = {}
        self._delays: dict[int, timedelta] = {}

    def assets(self, datasets: Sequence[StarlakeDataset]) -> list[Any]:
        """The assets of datasets; a dataset is one object in the whole DAG."""
        found = []
        for dataset in datasets:
            if dataset.uri not in self._assets:
                self._assets[dataset.uri] = asset(dataset.name, dataset.uri)
            found.append(self._assets[dataset.uri])
        return found

    def recorded(self, outlets: Sequence[StarlakeDataset]) -> tuple[StarlakeDataset, ...]:
        """The outlets of the end of a pipeline that datasets start, with its own dataset, whose event keeps what the next run has to know."""
        own = self.pipeline.id
        if any(dataset.uri == own for dataset in outlets):
            return tuple(outlets)
        return (*outlets, StarlakeDataset(own))

    def pool(self, task: Task) -> str:
        """The pool of a task; empty for Airflow's default pool. Pools that keep tasks apart are remembered, with their purpose."""
        pool = self.resources.pool(task, DEFAULT_POOL)
        resource = self.resources.of(task)
        if resource and pool == pool_of(resource):
            self.pools[pool] = resource
        return pool

    def delay(self, seconds: int) -> timedelta:
        """A duration, created once."""
        if seconds not in self._delays:
            self._delays[seconds] = timedelta(seconds=seconds)
        return self._delays[seconds]


def _own_end(nodes: Sequence[Any], kind: TaskKind) -> str:
    """The path of the only node, if it is a task of a kind; empty if it is not."""
    if len(nodes) != 1 or not isinstance(nodes[0], Task) or nodes[0].kind is not kind:
        return ""
    return nodes[0].path


def _free_id(pipeline: Pipeline, name: str) -> str:
    """The id of a task that is added to a DAG."""
    taken = {node.id for node in pipeline.children}
    return name if name not in taken else f"starlake_{name}"


_drawings: list[_Drawing] = []


def _drawing_of(task: Task) -> _Drawing:
    pipeline = task.pipeline
    if _drawings and _drawings[-1].pipeline is pipeline:
        return _drawings[-1]
    return _Drawing(pipeline, alone=True)


def _keywords(task: Task, drawing: _Drawing) -> dict[str, Any]:
    made: dict[str, Any] = {
        "task_id": task.id,
        "retries": task.retries,
        "retry_delay": drawing.delay(task.retry_delay),
    }
    # Airflow's own defaults are left out, because it processes every argument of every task.
    if task.trigger is not TriggerRule.ALL_SUCCESS:
        made["trigger_rule"] = task.trigger.value
    pool = drawing.pool(task)
    if pool:
        made["pool"] = pool
    if task.inlets:
        made["inlets"] = drawing.assets(task.inlets)
    if task.outlets:
        made["outlets"] = drawing.assets(task.outlets)
    if task.params:
        made["params"] = task.params
    if task.native:
        _check(f"task {task.path} of pipeline {drawing.pipeline.id}", task.native, TASK_KEYWORDS)
        made.update(task.native)
    return made


def _check(what: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse a DAG keyword for a task, and the other way round."""
    for name in given:
        if name not in known:
            raise StarlakeError(f"{what} does not take the keyword '{name}'; it takes {', '.join(known)}")


def make_task(task: Task) -> Any:
    """The operator of a task; if there is nothing to run, an empty one, which Airflow ends without a worker."""
    drawing = _drawing_of(task)
    keywords = _keywords(task, drawing)
    if task.job is not None:
        deferrable = keywords.pop("deferrable", drawing.deferrable)
        if task.kind is TaskKind.CHECK and drawing.check_deferrable is not None:
            deferrable = drawing.check_deferrable
        keywords.setdefault("doc_md", describe(task))
        if task.details is not None and task.details.owners:
            keywords.setdefault("owner", ", ".join(task.details.owners))
        own = drawing.shared | {
            "job": task.job,
            "produces": task.outlets,
            "timeout": task.timeout,
            "deferrable": deferrable,
        }
        if task.kind is TaskKind.CHECK:
            own |= {"wait_policy": task.wait, "missing": task.missing}
        return StarlakeOperator.create(own, **keywords)
    keywords.pop("deferrable", None)
    outlets = task.outlets
    if drawing.decided and task.path == drawing.end:
        outlets = drawing.recorded(outlets)
        keywords["outlets"] = drawing.assets(outlets)
    own = {"facts": drawing.facts, "produces": outlets}
    starts = drawing.decided and task.path == drawing.facts.start
    if task.kind is TaskKind.END or outlets or starts:
        # These run in a worker, which may die like any other.
        keywords["retries"] = max(task.retries, drawing.retries)
    if task.kind is TaskKind.END:
        guards = gates_before_work(drawing.pipeline, rule=trigger_rule)
        if guards or outlets:
            return StarlakeEnd.create({**own, "guards": guards}, **keywords)
    elif starts:
        return _start(drawing, own, keywords, task.inlets)
    elif outlets:
        return StarlakeEnd.create(own, **keywords)
    return EmptyOperator(**keywords)


def _start(
    drawing: _Drawing, own: Mapping[str, Any], keywords: Mapping[str, Any], inlets: Sequence[StarlakeDataset] = ()
) -> Any:
    """The task that decides whether a run continues. Its inlets are the datasets whose events it reads."""
    policy = drawing.facts.freshness
    assert policy is not None
    read = {dataset.uri: dataset for dataset in (*policy.datasets, StarlakeDataset(drawing.pipeline.id), *inlets)}
    return StarlakeStart.create(own, **{**keywords, "inlets": drawing.assets(tuple(read.values()))})


def _close(pipeline: Pipeline, drawing: _Drawing, dag: Any) -> None:
    """Give a DAG that datasets start the start and the end that its author did not draw: one decides, the other records."""
    keywords = {"retries": drawing.retries, "retry_delay": drawing.delay(pipeline.options[GeneralOptions].retry_delay)}
    own = {"facts": drawing.facts}
    start = drawing.facts.start
    if start not in dag.task_dict:
        roots = list(dag.roots)
        _start(drawing, own, {"task_id": start, **keywords}).set_downstream(roots)
    if drawing.end:
        return
    outlets = drawing.recorded(())
    aside = {task.path for task in pipeline.tasks() if task.kind is TaskKind.TEARDOWN}
    last = [task for task in dag.tasks if task.task_id not in aside and task.downstream_task_ids <= aside]
    keywords |= {"trigger_rule": TriggerRule.NONE_FAILED.value, "outlets": drawing.assets(outlets)}
    guards = gates_before_work(pipeline, rule=trigger_rule)
    made = {**own, "produces": outlets, "guards": guards}
    StarlakeEnd.create(made, task_id=_free_id(pipeline, "end"), **keywords).set_upstream(last)


def trigger_rule(task: Task) -> str:
    """The trigger rule of a task; Airflow's own keyword overrides it."""
    return str(task.native.get("trigger_rule", task.trigger.value))


def _code(name: str) -> str:
    return "`" + name.replace("`", "'") + "`"


def describe(task: Task) -> str:
    """What a task runs, in words and as a command."""
    assert task.job is not None
    command = task.command
    line = displayed(task.job)
    about = plain_line(task.summary(_code) or f"Runs {line}.")
    if command is None:
        return about
    described = f"{about} Environment: {task.job.environment}.\n\n{_block(line)}"
    return f"{described}\n\n{_details(task.details)}" if task.details is not None else described


def _block(code: str, language: str = "") -> str:
    """A code block. Code that contains the end of a block must not start something else on the page."""
    fence = "`" * (2 + max([1, *map(len, re.findall("`+", code))]))
    return f"{fence}{language}\n{code}\n{fence}"


def _details(details: TableDetails) -> str:
    """What the project says about the table that a task writes."""
    lines = [f"Table: {_code(plain_line(details.table))}."]
    if details.tags:
        lines.append(f"Tags: {', '.join(_code(plain_line(tag)) for tag in details.tags)}.")
    parts = [" ".join(lines)]
    if details.description:
        parts.insert(0, plain(details.description))
    if details.sql:
        parts.append(_block(plain(details.sql), "sql"))
    return "\n\n".join(parts)


def make_group(group: TaskGroup, create_children: CreateChildren) -> Block:
    """The native group of a group, with the tasks at its ends."""
    with AirflowGroup(group_id=group.id) as native:
        children = create_children()
    link(group, children)
    return Block.of(group, native, children)


def make_dag(pipeline: Pipeline, create_children: CreateChildren) -> Any:
    """The DAG of a pipeline."""
    drawing = _Drawing(pipeline)
    keywords = dict(pipeline.native_options)
    _check(f"pipeline {pipeline.id}", keywords, DAG_KEYWORDS)
    _warn_of_templates(pipeline)
    defaults = {**pipeline.options[AirflowOptions].default_dag_args, **(keywords.pop("default_dag_args", None) or {})}
    _drawings.append(drawing)
    try:
        with DAG(
            dag_id=pipeline.id,
            description=pipeline.description or None,
            schedule=_schedule(pipeline, drawing),
            start_date=pipeline.start_date,
            end_date=pipeline.end_date,
            catchup=pipeline.catchup,
            max_active_runs=_most(pipeline),
            tags=list(pipeline.tags),
            default_args=_default_args(defaults),
            **keywords,
        ) as dag:
            # Before anything reads the DAG, because its file is part of its identity.
            if pipeline.source:
                dag.fileloc = pipeline.source
            children = create_children()
            link(pipeline, children)
            if drawing.decided:
                _close(pipeline, drawing, dag)
            if drawing.pools:
                dag.doc_md = "\n\n".join(filter(None, (dag.doc_md, _about_pools(drawing.pools))))
    finally:
        _drawings.pop()
    return dag


def _most(pipeline: Pipeline) -> int:
    """How many runs may be active at once: one if datasets start them, because each continues where the one before it ended."""
    if pipeline.trigger is None:
        return pipeline.max_active_runs
    if pipeline.max_active_runs > 1:
        logger.warning(
            "max_active_runs of pipeline %s is %d, but datasets start its runs, so that each continues where the one before it ended: "
            "one run is active at a time",
            pipeline.id,
            pipeline.max_active_runs,
        )
    return 1


def _warn_of_templates(pipeline: Pipeline) -> None:
    """Warn that template keywords have no effect if a pipeline has no native node whose templates Airflow renders."""
    given = [name for name in _OF_TEMPLATES if pipeline.native_options.get(name)]
    if given and not any(task.kind is TaskKind.NATIVE for task in pipeline.tasks()):
        logger.warning(
            "%s of pipeline %s has no effect on Starlake commands: Airflow renders only the templates of native nodes, and there are none. "
            "Write run-time values as ${sl_ds}, ${sl_data_interval_end}, ${var:NAME} ...",
            " and ".join(given),
            pipeline.id,
        )


def _about_pools(pools: Mapping[str, str]) -> str:
    lines = "\n".join(f"    {creation(pool)}" for pool in sorted(pools))
    names = ", ".join(f"`{pool}`" for pool in sorted(pools))
    return (
        f"**Pools.** Tasks that write to a database with one writer run one at a time, in a pool with one slot ({names}). Create it with:\n\n"
        f"{lines}"
    )


def _schedule(pipeline: Pipeline, drawing: _Drawing) -> Any:
    if pipeline.cron is not None:
        return timetable_of(pipeline.cron, pipeline.zone_name)
    if pipeline.trigger is None:
        return None
    policy = drawing.facts.freshness
    assert policy is not None
    if policy.condition is not None:
        named = {
            dataset.identity: made
            for dataset, made in zip(policy.datasets, drawing.assets(policy.datasets), strict=True)
        }
        condition = _condition(policy.condition, named)
        return condition if policy.condition.operator else AssetAny(condition)
    if policy.needs_all:
        return AssetAll(*drawing.assets(_awaited(policy)))
    return AssetAny(*drawing.assets(policy.datasets))


def _awaited(policy: FreshnessPolicy) -> Sequence[StarlakeDataset]:
    """The datasets that a pipeline waits for."""
    if not policy.optional:
        return policy.datasets
    names = {item.identity for item in policy.required}
    return [dataset for dataset in policy.datasets if dataset.identity in names]


def _condition(term: Term, named: Mapping[str, Any]) -> Any:
    """Airflow's condition for a condition on datasets.

    Args:
        term: the condition.
        named: the assets, by the identity of their dataset.
    """
    if not term.operator:
        return named[term.name]
    terms = [_condition(part, named) for part in term.terms]
    return AssetAll(*terms) if term.operator == "&" else AssetAny(*terms)


def _default_args(given: Mapping[str, Any]) -> dict[str, Any]:
    """Default arguments as Airflow expects them: seconds become durations."""
    made = dict(given)
    for name in ("retry_delay", "max_retry_delay", "execution_timeout"):
        if isinstance(made.get(name), (int, float, str)):
            made[name] = timedelta(seconds=float(made[name]))
    return made
