"""The same load DAG in the form that ``starlake dag-generate`` writes, against ``ai.starlake.*``. Also the text of a DAG file for airflow."""

from __future__ import annotations

from typing import Any

from ai.starlake.common import sanitize_id
from ai.starlake.dataset import StarlakeDataset
from ai.starlake.job import StarlakeExecutionEnvironment, StarlakeJobFactory, StarlakeOrchestrator
from ai.starlake.orchestration import OrchestrationFactory, StarlakeDomain, StarlakeSchedule, StarlakeTable

CRON = "0 0 * * *"
OPTIONS = {"pre_load_strategy": "imported", "sl_env_var": '{"SL_ROOT": "/project"}'}


def load(count: int) -> Any:
    """One domain: a check of its incoming files, their import, one load per table."""
    tables = [StarlakeTable(name=f"t{n:05}", final_name=f"t{n:05}") for n in range(count)]
    schedule = StarlakeSchedule(name="daily", cron=CRON, domains=[StarlakeDomain("sales", "sales", tables)])
    job = StarlakeJobFactory.create_job(
        filename="load.py",
        module_name=__name__,
        orchestrator=StarlakeOrchestrator.AIRFLOW,
        execution_environment=StarlakeExecutionEnvironment.SHELL,
        options=dict(OPTIONS),
    )
    with (
        OrchestrationFactory.create_orchestration(job=job) as orchestration,
        orchestration.sl_create_pipeline(schedule=schedule) as pipeline,
    ):
        start = pipeline.start_task(task_id=f"start_{pipeline.schedule_name}")
        groups = [_domain(orchestration, pipeline, domain) for domain in schedule.domains]
        datasets = [StarlakeDataset(uri=pipeline.pipeline_id, cron=CRON)]
        end = pipeline.end_task(task_id=f"end_{pipeline.schedule_name}", output_datasets=datasets)
        start >> groups
        end << groups
    return pipeline.dag


def _domain(orchestration: Any, pipeline: Any, domain: Any) -> Any:
    name = f"{domain.name}_{pipeline.schedule_name}"
    names = {table.name for table in domain.tables}
    with orchestration.sl_create_task_group(group_id=sanitize_id(name), pipeline=pipeline) as group:
        with orchestration.sl_create_task_group(group_id=f"pre_load_{name}", pipeline=pipeline) as checked:
            params = {"cron": CRON, "schedule": pipeline.schedule_name}
            check = pipeline.sl_pre_load(domain=domain.name, tables=names, params=params)
            check >> pipeline.sl_import(task_id=f"import_{name}", domain=domain.name, tables=names)
        with orchestration.sl_create_task_group(group_id=f"load_{name}", pipeline=pipeline) as loads:
            for table in domain.tables:
                pipeline.sl_load(
                    task_id=sanitize_id(f"load_{domain.name}_{table.name}"),
                    domain=domain.name,
                    table=table.name,
                    spark_config=pipeline.sl_spark_config(f"{domain.name}.{table.name}".lower()),
                    params={"cron": CRON},
                )
        checked >> loads
    return group
