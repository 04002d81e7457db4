"""Pipeline files in the shape that ``starlake dag-generate`` writes since June 2025, for every host and environment."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

ENVIRONMENTS: Mapping[str, Mapping[str, str]] = {
    "shell": {"SL_STARLAKE_PATH": "/usr/local/bin/starlake"},
    "cloud_run": {
        "cloud_run_project_id": "bakery",
        "cloud_run_job_name": "starlake",
        "cloud_run_job_region": "europe-west1",
        "cloud_run_async": "True",
    },
    "dataproc": {
        "dataproc_project_id": "bakery",
        "dataproc_region": "europe-west1",
        "spark_jar_list": "gs://bakery/starlake.jar",
        "spark_bucket": "bakery",
    },
    "fargate": {
        "aws_cluster_name": "bakery",
        "aws_task_definition_name": "starlake",
        "aws_task_definition_container_name": "starlake",
        "aws_region": "eu-west-1",
        "aws_task_private_subnets": "subnet-0123456789abcdef0",
        "aws_task_security_groups": "sg-0123456789abcdef0",
    },
}
"""Options of each environment, as its templates list them."""

DAILY = ("daily", "0 0 * * *", {"raw": ["sale", "shop"]})
HOURLY = ("cron1", "0 * * * *", {"raw": ["visit"]})
UNSCHEDULED = ("None", None, {"raw": ["note"]})

RAW_SALE = {"data": {"name": "raw.sale", "typ": "table", "parent": "shop.day", "parentTyp": "task", "sink": "raw.sale",
                     "cron": "0 0 * * *", "freshness": 0}, "task": False}  # fmt: skip
DAY = {"data": {"name": "shop.day", "typ": "task", "parent": "shop.total", "parentTyp": "task", "sink": "shop.day", "cron": "None",
                "writeStrategy": {"type": "OVERWRITE"}, "dataset_triggering_strategy": None, "freshness": 0},
       "children": [RAW_SALE], "task": True}  # fmt: skip
TOTAL = {"data": {"name": "shop.total", "typ": "task", "sink": "shop.total", "cron": "None", "freshness": 3600},
         "children": [DAY], "task": True}  # fmt: skip

_OPTIONS = '''description="""{what} of the bakery"""

template="{template}"

options={options}

'''
_AIRFLOW = '''from ai.starlake.job import StarlakeOrchestrator
orchestrator = StarlakeOrchestrator.AIRFLOW

access_control = None

from ai.starlake.airflow import StarlakeAirflowOptions, DEFAULT_DAG_ARGS
import json

__dag_args = json.loads(StarlakeAirflowOptions.get_context_var(var_name="default_dag_args", default_value="""{}""", options=options))
default_dag_args = dict(DEFAULT_DAG_ARGS, **__dag_args)
'''
_DAGSTER = """from ai.starlake.job import StarlakeOrchestrator
orchestrator = StarlakeOrchestrator.DAGSTER
"""
_LOCAL = 'orchestrator = "local"\n'
_JOB = """
from ai.starlake.job import StarlakeExecutionEnvironment
execution_environment = StarlakeExecutionEnvironment.{environment}

from ai.starlake.job import StarlakeJobFactory, StarlakePreLoadStrategy

import os

import sys

sl_job = StarlakeJobFactory.create_job(
    filename=os.path.basename(__file__),
    module_name=f"{{__name__}}",
    orchestrator=orchestrator,
    execution_environment=execution_environment,
    options=dict(options, **sys.modules[__name__].__dict__.get('jobs', {{}}))
)

"""
_LOAD = """from ai.starlake.common import sanitize_id
from ai.starlake.orchestration import StarlakeSchedule, StarlakeDomain, StarlakeTable, OrchestrationFactory

schedules= [{schedules}]

with OrchestrationFactory.create_orchestration(job=sl_job) as orchestration:

    def generate_pipeline(schedule: StarlakeSchedule):
        if len(schedules) == 1:
            schedule.name = None
        with orchestration.sl_create_pipeline(schedule=schedule) as pipeline:
            schedule = pipeline.schedule
            schedule_name = sanitize_id(schedule.name) if schedule.name else None

            start = pipeline.start_task()
            if not start:
                raise Exception("no start")
            pre_tasks = pipeline.pre_tasks()
            if pre_tasks:
                start >> pre_tasks

            def generate_load_domain(domain: StarlakeDomain):
                name = f"{{domain.name}}_{{schedule_name}}" if schedule_name else domain.name
                with orchestration.sl_create_task_group(group_id=sanitize_id(name), pipeline=pipeline) as group:
                    waiting = None
                    strategy = pipeline.pre_load_strategy
                    names = set([table.name for table in domain.tables])
                    if strategy != StarlakePreLoadStrategy.NONE:
                        with orchestration.sl_create_task_group(group_id=sanitize_id(f'pre_load_{{name}}'), pipeline=pipeline) as waiting:
                            check = pipeline.sl_pre_load(domain=domain.name, tables=names)
                            skip_or_start = pipeline.skip_or_start(task_id=f'skip_or_start_loading_{{name}}', upstream_task=check)
                            moved = None
                            if strategy == StarlakePreLoadStrategy.IMPORTED:
                                moved = pipeline.sl_import(task_id=f"import_{{name}}", domain=domain.name, tables=names)
                            if skip_or_start:
                                check >> skip_or_start
                                if moved:
                                    skip_or_start >> moved
                            elif moved:
                                check >> moved
                    with orchestration.sl_create_task_group(group_id=sanitize_id(f'load_{{name}}'), pipeline=pipeline) as loads:
                        for table in domain.tables:
                            task_id = sanitize_id(f'load_{{domain.name}}_{{table.name}}')
                            pipeline.sl_load(task_id=task_id, domain=domain.name, table=table.name)
                    if waiting:
                        waiting >> loads
                return group

            load_domains = [generate_load_domain(domain) for domain in schedule.domains]
            end = pipeline.end_task()
            if pre_tasks:
                start >> pre_tasks >> load_domains
            else:
                start >> load_domains
            end << load_domains
            post_tasks = pipeline.post_tasks()
            if post_tasks:
                all_done = pipeline.sl_dummy_op(task_id="all_done")
                all_done << load_domains
                all_done >> post_tasks >> end
        return pipeline

    pipelines = [generate_pipeline(schedule) for schedule in schedules]
"""
_TRANSFORM = '''cron = "{cron}"

from ai.starlake.orchestration import StarlakeDependencies, StarlakeDependency, StarlakeDependencyType, OrchestrationFactory
from ai.starlake.orchestration import AbstractTaskGroup, AbstractTask, TreeNodeMixin as TreeNode

from typing import List, Set

dependencies=StarlakeDependencies(dependencies="""{lineage}""", filtered_datasets=sys.modules[__name__].__dict__.get('filtered_datasets', set()))

with OrchestrationFactory.create_orchestration(job=sl_job) as orchestration:
    with orchestration.sl_create_pipeline(dependencies=dependencies) as pipeline:
        graphs: Set[TreeNode] = pipeline.graphs
        start = pipeline.start_task()
        pre_tasks = pipeline.pre_tasks()
        if pre_tasks:
            start >> pre_tasks
        end = pipeline.end_task()
        post_tasks = pipeline.post_tasks()
        all_done = None
        if post_tasks:
            all_done = pipeline.sl_dummy_op(task_id="all_done")
            all_done >> post_tasks >> end
        for graph in graphs:
            parents: List[AbstractTask] = [pipeline.dependency_to_task(parent.node) for parent in graph.parents]
            task = pipeline.dependency_to_task(graph.node)
            first = pre_tasks if pre_tasks else start
            if len(parents) > 0:
                first >> parents
                task << parents
            else:
                first >> task
            if all_done:
                task >> all_done
            else:
                task >> end

pipelines = [pipeline]
'''


def _head(what: str, host: str, environment: str, options: Mapping[str, Any]) -> str:
    given = {
        "sl_env_var": '{"SL_ROOT": "/bakery", "SL_ENV": "DEV"}',
        "SL_TIMEZONE": "UTC",
        **ENVIRONMENTS[environment],
        **options,
    }
    word = {"load": "scheduled_table", "transform": "scheduled_task"}[what]
    head = _OPTIONS.format(what=what, template=f"{what}/{host}__{word}__{environment}.py.j2", options=given)
    hosts = {"airflow": _AIRFLOW, "dagster": _DAGSTER, "local": _LOCAL}
    return f"# airflow dag\n{head}{hosts[host]}{_JOB.format(environment=environment.upper())}"


def load_file(
    host: str,
    environment: str,
    schedules: Sequence[tuple[str, str | None, Mapping[str, list[str]]]] = (DAILY,),
    **options: Any,
) -> str:
    """The text of a file that loads.

    Args:
        host: orchestrator.
        environment: where commands run.
        schedules: name, cron, and domains with their tables.
        **options: of the file.
    """
    made = []
    for name, cron, domains in schedules:
        listed = ", ".join(
            f"StarlakeDomain(name={domain!r}, final_name={domain!r}, tables=["
            + ", ".join(f"StarlakeTable(name={table!r}, final_name={table!r})" for table in tables)
            + "])"
            for domain, tables in domains.items()
        )
        made.append(f"\n    StarlakeSchedule(name={name!r}, cron={cron!r}, domains=[{listed}])")
    return _head("load", host, environment, options) + _LOAD.format(schedules=",".join(made))


def transform_file(
    host: str, environment: str, lineage: Sequence[Any] = (TOTAL, DAY), cron: str = "None", **options: Any
) -> str:
    """The text of a file that transforms.

    Args:
        host: orchestrator.
        environment: where commands run.
        lineage: trees of the lineage.
        cron: of the file.
        **options: of the file.
    """
    return _head("transform", host, environment, options) + _TRANSFORM.format(cron=cron, lineage=json.dumps(lineage))


ODD = {
    "data": {
        "name": "Shop.Total",
        "typ": "task",
        "sink": "shop.Result",
        "cron": "None",
        "dataset_triggering_strategy": "ALL",
    },
    "children": [
        {"data": {"name": "sale", "typ": "table", "sink": "sale", "cron": "0 0 * * *"}},
        {"data": {"name": "db.raw.x", "typ": "unknown", "sink": "None", "cron": "None"}},
        RAW_SALE,
    ],
}
"""A node with capitals, a strategy, and tables of one and of three parts."""
CAPITALS = ("Daily Run", "0 0 * * *", {"raw": ["sale", "Shop.x"]})


def corpus(host: str, environment: str) -> dict[str, str]:
    """The files that are compared: name to text.

    Args:
        host: orchestrator.
        environment: where commands run.
    """
    waiting = {"sync": load_file(host, environment, pre_load_strategy="pending", cloud_run_async="False")}
    return {
        **(waiting if environment == "cloud_run" else {}),
        "load": load_file(host, environment, pre_load_strategy="imported"),
        "ack": load_file(host, environment, pre_load_strategy="ack", catchup="True"),
        "loads": load_file(host, environment, (DAILY, HOURLY, UNSCHEDULED)),
        "capitals": load_file(host, environment, (CAPITALS, HOURLY)),
        "transform": transform_file(host, environment),
        "first": transform_file(host, environment, run_dependencies_first="true"),
        "cron": transform_file(host, environment, cron="0 5 * * *", catchup="True"),
        "odd": transform_file(host, environment, (ODD,)),
    }
