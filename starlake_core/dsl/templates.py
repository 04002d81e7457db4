"""The standard shapes of pipelines: a schedule of loads, and a lineage of transforms."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import GraphError
from ..model.command import StarlakePreLoadStrategy
from ..model.graph import Node, Task, TaskGroup
from ..model.lineage import StarlakeDependency
from ..model.schedule import StarlakeDomain
from .datasets import own_nodes
from .verbs import Verbs

__all__ = ["add_lineage", "add_schedule"]


def add_schedule(pipeline: Verbs) -> None:
    """See :meth:`StarlakePipeline.add_schedule`."""
    if pipeline.schedule is None:
        raise GraphError(f"pipeline {pipeline.id} has no schedule; give one: sl_create_pipeline(schedule=...)")
    start = pipeline.start_task()
    domains = [_domain_group(pipeline, domain) for domain in pipeline.schedule.domains]
    _close(pipeline, start, domains, domains)


def _close(pipeline: Verbs, start: Task, first: Sequence[Node], last: Sequence[Node]) -> None:
    """Link start, set-up, work, tear-down and end; ``first`` and ``last`` are the first and last tasks of the work."""
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


def _domain_group(pipeline: Verbs, domain: StarlakeDomain) -> TaskGroup:
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


def add_lineage(pipeline: Verbs) -> None:
    """See :meth:`StarlakePipeline.add_lineage`."""
    lineage = pipeline.dependencies
    if lineage is None:
        raise GraphError(f"pipeline {pipeline.id} has no dependencies; give them: sl_create_pipeline(dependencies=...)")
    start = pipeline.start_task()
    tasks: dict[str, Task] = {}
    with_upstream: set[str] = set()
    read: set[str] = set()
    for name in own_nodes(lineage, pipeline.options):
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


def _load(pipeline: Verbs, node: StarlakeDependency) -> Task:
    domain, _, table = node.name.partition(".")
    table = table or domain
    final_domain, _, final_table = node.sink.partition(".")
    pipeline.final_names.setdefault((domain, table), (final_domain, final_table))
    return pipeline.sl_load(node.name, domain, table)
