"""Turns the neutral graph into Airflow's objects."""

from __future__ import annotations

import functools
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
    Task,
    TaskGroup,
    TaskKind,
    TriggerRule,
    gates_before_work,
)
from starlake_core.logs import get_logger
from starlake_core.orchestrators.pools import DrawnResources
from starlake_core.plain_text import plain_line
from starlake_core.runtime import pool_of

from .context import Facts
from .edges import Block, link
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
        self.facts = replace(Facts.of(pipeline), pipeline_id="") if alone else Facts.of(pipeline)
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
        self.starts = {node.path for node in pipeline.roots()} if self.facts.on_events else frozenset()
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
    own = {"facts": drawing.facts, "produces": task.outlets}
    if task.kind is TaskKind.END or task.outlets or task.path in drawing.starts:
        # These run in a worker, which may die like any other.
        keywords["retries"] = max(task.retries, drawing.retries)
    if task.kind is TaskKind.END:
        guards = gates_before_work(drawing.pipeline, drawing.starts, trigger_rule)
        if guards or task.outlets:
            return StarlakeEnd.create({**own, "guards": guards}, **keywords)
    elif task.path in drawing.starts:
        return StarlakeStart.create(own, **keywords)
    elif task.outlets:
        return StarlakeEnd.create(own, **keywords)
    return EmptyOperator(**keywords)


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
    about = task.summary(_code) or f"Runs {line}."
    # A name that contains the end of a code block must not start something else on the page.
    fence = "`" * (2 + max([1, *map(len, re.findall("`+", line))]))
    about = plain_line(about)
    return f"{about} Environment: {task.job.environment}.\n\n{fence}\n{line}\n{fence}" if command is not None else about


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
            max_active_runs=pipeline.max_active_runs,
            tags=list(pipeline.tags),
            default_args=_default_args(defaults),
            **keywords,
        ) as dag:
            # Before anything reads the DAG, because its file is part of its identity.
            if pipeline.source:
                dag.fileloc = pipeline.source
            children = create_children()
            link(pipeline, children)
            if drawing.pools:
                dag.doc_md = "\n\n".join(filter(None, (dag.doc_md, _about_pools(drawing.pools))))
    finally:
        _drawings.pop()
    return dag


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
        return _timetable(pipeline.cron, pipeline.zone_name)
    if pipeline.trigger is None:
        return None
    assets = drawing.assets(pipeline.trigger.datasets)
    return AssetAny(*assets) if pipeline.trigger.policy == "any" else AssetAll(*assets)


@functools.cache
def _timetable(cron: str, zone: str) -> Any:
    """The timetable of a schedule, created once: it computes its own description, which takes longer than a small DAG."""
    from airflow.timetables.trigger import CronTriggerTimetable

    return CronTriggerTimetable(cron, timezone=zone)


def _default_args(given: Mapping[str, Any]) -> dict[str, Any]:
    """Default arguments as Airflow expects them: seconds become durations."""
    made = dict(given)
    for name in ("retry_delay", "max_retry_delay", "execution_timeout"):
        if isinstance(made.get(name), (int, float, str)):
            made[name] = timedelta(seconds=float(made[name]))
    return made
