"""The standard shapes of pipelines: a schedule of loads, and a lineage of transforms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..errors import GraphError, did_you_mean
from ..model.command import StarlakePreLoadStrategy
from ..model.details import TableDetails
from ..model.graph import Node, Task, TaskGroup
from ..model.lineage import StarlakeDependency
from ..model.schedule import StarlakeDomain
from .datasets import own_nodes
from .verbs import Verbs

__all__ = ["add_lineage", "add_schedule", "describe", "subject_of"]


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


def add_lineage(pipeline: Verbs, checks: bool = False) -> None:
    """See :meth:`StarlakePipeline.add_lineage`."""
    lineage = pipeline.dependencies
    if lineage is None:
        raise GraphError(f"pipeline {pipeline.id} has no dependencies; give them: sl_create_pipeline(dependencies=...)")
    start = pipeline.start_task()
    own = own_nodes(lineage, pipeline.options)
    gates = _gates(pipeline, [lineage.nodes[name] for name in own]) if checks else {}
    tasks: dict[str, Task] = {}
    with_upstream: set[str] = set()
    read: set[str] = set()
    for name in own:
        node = lineage.nodes[name]
        tasks[name] = pipeline.sl_transform(name, name) if node.is_task else _load(pipeline, node)
        if not node.is_task and (gate := gates.get(_names(node)[0])) is not None:
            gate[1] >> tasks[name]
            with_upstream.add(name)
        for parent in lineage.upstream[name]:
            if parent in tasks:
                tasks[parent] >> tasks[name]
                with_upstream.add(name)
                read.add(parent)
    _close(
        pipeline,
        start,
        [*(first for first, _ in gates.values()), *(task for name, task in tasks.items() if name not in with_upstream)],
        [task for name, task in tasks.items() if name not in read],
    )


def _gates(pipeline: Verbs, nodes: Iterable[StarlakeDependency]) -> dict[str, tuple[Task, Task]]:
    """Add a check for each domain that is loaded; return its first and last task."""
    by_domain: dict[str, list[str]] = {}
    for node in nodes:
        if not node.is_task:
            domain, table = _names(node)
            by_domain.setdefault(domain, []).append(table)
            _know(pipeline, node)
    found: dict[str, tuple[Task, Task]] = {}
    for domain, tables in by_domain.items():
        check = pipeline.sl_pre_load(domain, tables)
        if check is not None:
            last = check
            if pipeline.pre_load_strategy is StarlakePreLoadStrategy.IMPORTED:
                last = pipeline.sl_import(None, domain, tables)
                check >> last
            found[domain] = (check, last)
    return found


def _names(node: StarlakeDependency) -> tuple[str, str]:
    domain, _, table = node.name.partition(".")
    return domain, table or domain


def _know(pipeline: Verbs, node: StarlakeDependency) -> None:
    final_domain, _, final_table = node.sink.partition(".")
    pipeline.final_names.setdefault(_names(node), (final_domain, final_table))


def _load(pipeline: Verbs, node: StarlakeDependency) -> Task:
    _know(pipeline, node)
    return pipeline.sl_load(node.name, *_names(node))


def subject_of(task: Task) -> str:
    """Return the logical name of the table or transform that a task is about; empty if it is about none, or about several."""
    command = task.command
    if command is None or not task.is_work:
        return ""
    if command.name == "load" and len(command.tables) == 1:
        return f"{command.domain}.{command.tables[0]}"
    return command.transform


def describe(pipeline: Verbs, tables: Iterable[TableDetails]) -> None:
    """See :meth:`StarlakePipeline.describe_tables`."""
    tasks: dict[str, list[Task]] = {}
    for task in pipeline.tasks():
        tasks.setdefault(subject_of(task), []).append(task)
    for details in tables:
        if not details.name or details.name not in tasks:
            known = sorted(name for name in tasks if name)
            raise GraphError(
                f"pipeline {pipeline.id} has no task for the table {details.name!r}; describe it after its task is added."
                f"{did_you_mean(details.name, known)}"
            )
        for task in tasks[details.name]:
            task.details = details
