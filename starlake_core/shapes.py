"""The standard shapes of pipelines: a schedule of loads, and a lineage of transforms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .command import StarlakePreLoadStrategy
from .dataset import DatasetTrigger, StarlakeDataset
from .dependencies import StarlakeDependencies, StarlakeDependency
from .errors import GraphError
from .graph import Node, Task, TaskGroup
from .options import GeneralOptions, Options
from .schedule import StarlakeDomain, cron_frequency

if TYPE_CHECKING:
    from .pipeline import StarlakePipeline

__all__ = ["add_lineage", "add_schedule", "node_dataset", "start_of"]


def add_schedule(pipeline: StarlakePipeline) -> None:
    """See :meth:`StarlakePipeline.add_schedule`."""
    if pipeline.schedule is None:
        raise GraphError(f"pipeline {pipeline.id} has no schedule; give one: sl_create_pipeline(schedule=...)")
    start = pipeline.start_task()
    domains = [_domain_group(pipeline, domain) for domain in pipeline.schedule.domains]
    _close(pipeline, start, domains, domains)


def _close(pipeline: StarlakePipeline, start: Task, first: Sequence[Node], last: Sequence[Node]) -> None:
    """Link start, set-up, work, tear-down and end; ``first`` and ``last`` are the work that nothing runs before or after."""
    end = pipeline.end_task()
    before = pipeline.pre_tasks()
    if before is not None:
        start >> before >> first
    else:
        start >> first
    end << (last or start)
    after = pipeline.post_tasks()
    if after is not None:
        all_done = pipeline.sl_dummy_op("all_done")
        all_done << (last or start)
        all_done >> after >> end


def _domain_group(pipeline: StarlakePipeline, domain: StarlakeDomain) -> TaskGroup:
    schedule = pipeline.schedule_name
    name = f"{domain.name}_{schedule}" if schedule else domain.name
    tables = {table.name for table in domain.tables}
    strategy = pipeline.pre_load_strategy
    with pipeline.sl_create_task_group(name) as group:
        gate: TaskGroup | None = None
        if strategy is not StarlakePreLoadStrategy.NONE:
            with pipeline.sl_create_task_group(f"pre_load_{name}") as gate:
                check = pipeline.sl_pre_load(domain.name, tables, params={"cron": pipeline.cron, "schedule": schedule})
                if check is not None and strategy is StarlakePreLoadStrategy.IMPORTED:
                    check >> pipeline.sl_import(f"import_{name}", domain.name, tables)
        with pipeline.sl_create_task_group(f"load_{name}") as loads:
            for table in domain.tables:
                task_id = f"load_{domain.name}_{table.name}"
                pipeline.sl_load(task_id, domain.name, table.name, params={"cron": pipeline.cron})
        if gate is not None:
            gate >> loads
    return group


def add_lineage(pipeline: StarlakePipeline) -> None:
    """See :meth:`StarlakePipeline.add_lineage`."""
    lineage = pipeline.dependencies
    if lineage is None:
        raise GraphError(f"pipeline {pipeline.id} has no dependencies; give them: sl_create_pipeline(dependencies=...)")
    start = pipeline.start_task()
    tasks: dict[str, Task] = {}
    with_upstream: set[str] = set()
    read: set[str] = set()
    for name in _own_nodes(lineage, pipeline.options):
        node = lineage.nodes[name]
        tasks[name] = pipeline.sl_transform(name, name) if node.is_task else _load(pipeline, node)
        for parent in lineage.upstream[name]:
            if parent in tasks:
                tasks[parent] >> tasks[name]
                with_upstream.add(name)
                read.add(parent)
    _close(
        pipeline,
        start,
        [task for name, task in tasks.items() if name not in with_upstream],
        [task for name, task in tasks.items() if name not in read],
    )


def _load(pipeline: StarlakePipeline, node: StarlakeDependency) -> Task:
    domain, _, table = node.name.partition(".")
    final_domain, _, final_table = node.sink.partition(".")
    pipeline.final_names.setdefault((domain, table), (final_domain, final_table))
    return pipeline.sl_load(node.name, domain, table)


def _own_nodes(lineage: StarlakeDependencies, options: Options) -> list[str]:
    """The nodes that run in the pipeline, upstream ones first."""
    if options[GeneralOptions].run_dependencies_first:
        return list(lineage.nodes)
    roots = set(lineage.roots)
    return [name for name in lineage.nodes if name in roots]


def node_dataset(node: StarlakeDependency, options: Options) -> StarlakeDataset:
    """The dataset of what a node of the lineage writes."""
    domain, _, table = node.sink.partition(".")
    return StarlakeDataset.table(
        domain, table, style=options[GeneralOptions].dataset_style, cron=node.cron, freshness=node.freshness
    )


def start_of(lineage: StarlakeDependencies, options: Options) -> tuple[str | None, DatasetTrigger | None]:
    """When a lineage whose pipeline has no cron starts.

    Args:
        lineage: of the pipeline.
        options: typed options.

    Returns:
        A cron (that of the options; without upstream datasets the most frequent one in the lineage, so that no data waits longer than it
        has to), or the upstream datasets that start it, with the least frequent of their crons as the cycle in which all are expected.
    """
    general = options[GeneralOptions]
    if general.cron:
        return general.cron, None
    period = general.cron_period_frequency

    def frequency(cron: str) -> tuple[float, str]:
        return cron_frequency(cron, period), cron

    own = set(_own_nodes(lineage, options))
    filtered = {name.lower() for name in general.filtered_datasets}
    outside = {parent for name in own for parent in lineage.upstream[name] if parent not in own}
    nodes = [lineage.nodes[name] for name in sorted(outside)]
    nodes = [node for node in nodes if not {node.name.lower(), node.sink.lower()} & filtered]
    if nodes:
        datasets = sorted({node_dataset(node, options) for node in nodes}, key=lambda dataset: dataset.uri)
        policies = {lineage.nodes[name].dataset_triggering_strategy for name in own} - {None}
        policy = policies.pop() if len(policies) == 1 else general.dataset_triggering_strategy
        crons = sorted({node.cron for node in nodes if node.cron}, key=frequency)
        return None, DatasetTrigger(tuple(datasets), str(policy).lower(), crons[0] if crons else None)
    crons = sorted({cron for cron in (lineage.nodes[name].cron for name in own) if cron}, key=frequency)
    return (crons[-1] if crons else None), None
