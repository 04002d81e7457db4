"""Loads the bakery in the form that ``starlake dag-generate`` writes. (airflow dag)

It contains every documented form once. One line names the orchestrator; a pipeline for Dagster differs in nothing else.
"""

import os
import sys

from ai.starlake.common import sanitize_id
from ai.starlake.dataset import StarlakeDataset
from ai.starlake.job import (
    StarlakeExecutionEnvironment,
    StarlakeJobFactory,
    StarlakeOptions,
    StarlakeOrchestrator,
    StarlakePreLoadStrategy,
)
from ai.starlake.orchestration import (
    AbstractPipeline,
    AbstractTaskGroup,
    OrchestrationFactory,
    StarlakeDomain,
    StarlakeSchedule,
    StarlakeTable,
)

description = "the tables of the bakery"

options = {
    "SL_TIMEZONE": "Europe/Paris",
    "tags": "starbake bakery",
    "pre_load_strategy": "imported",
    "retries": "1",
    "retry_delay": "5",
    "ack_wait_timeout": "60",
    "global_ack_file_path": "datasets/pending/starbake/{{{{ds}}}}.ack",
}

spark_executor_memory = "2g"
spark_properties = {"spark.sql.shuffle.partitions": "8"}

orchestrator = StarlakeOrchestrator.AIRFLOW
execution_environment = StarlakeExecutionEnvironment.DUCKDB

sl_job = StarlakeJobFactory.create_job(
    filename=os.path.basename(__file__),
    module_name=f"{__name__}",
    orchestrator=orchestrator,
    execution_environment=execution_environment,
    options=dict(options, **sys.modules[__name__].__dict__.get("jobs", {})),
)

schedules = [
    StarlakeSchedule(
        name="daily",
        cron="0 0 * * *",
        domains=[
            StarlakeDomain(
                name="starbake",
                final_name="starbake",
                tables=[
                    StarlakeTable(name="customers", final_name="Customers"),
                    StarlakeTable(name="ingredients", final_name="Ingredients"),
                    StarlakeTable(name="products", final_name="Products"),
                ],
            )
        ],
    ),
    StarlakeSchedule(
        "hourly", "0 * * * *", [StarlakeDomain("starbake", "starbake", [StarlakeTable("orders", "Orders")])]
    ),
]

with OrchestrationFactory.create_orchestration(job=sl_job) as orchestration:

    def load_pipeline(schedule: StarlakeSchedule) -> AbstractPipeline:
        with orchestration.sl_create_pipeline(schedule=schedule) as pipeline:
            schedule_name = pipeline.schedule_name
            cron = pipeline.schedule.cron

            start = pipeline.start_task(task_id=f"start_{schedule_name}")
            if not start:
                raise ValueError("there is no start")
            pre_tasks = pipeline.pre_tasks()
            if pre_tasks:
                start >> pre_tasks

            def load_domain(domain: StarlakeDomain) -> AbstractTaskGroup:
                name = f"{domain.name}_{schedule_name}" if schedule_name else domain.name
                tables = {table.name for table in domain.tables}

                def pre_load(strategy: StarlakePreLoadStrategy) -> AbstractTaskGroup | None:
                    if strategy == StarlakePreLoadStrategy.NONE:
                        return None
                    with orchestration.sl_create_task_group(
                        group_id=sanitize_id(f"pre_load_{name}"), pipeline=pipeline
                    ) as checked:
                        check = pipeline.sl_pre_load(
                            domain=domain.name, tables=tables, params={"cron": cron, "schedule": schedule_name}
                        )
                        skip_or_start = pipeline.skip_or_start(
                            task_id=f"skip_or_start_loading_{name}", upstream_task=check
                        )
                        staged = None
                        if strategy == StarlakePreLoadStrategy.IMPORTED:
                            staged = pipeline.sl_import(
                                task_id=f"import_{name}",
                                domain=domain.name,
                                tables=tables,
                                params={"cron": cron, "schedule": schedule_name},
                            )
                        if skip_or_start:
                            check >> skip_or_start
                            if staged:
                                skip_or_start >> staged
                        elif staged:
                            check >> staged
                    return checked

                with orchestration.sl_create_task_group(group_id=sanitize_id(name), pipeline=pipeline) as group:
                    checked = pre_load(pipeline.pre_load_strategy)
                    with orchestration.sl_create_task_group(sanitize_id(f"load_{name}"), pipeline) as loads:
                        for number, table in enumerate(domain.tables):
                            task_id = sanitize_id(f"load_{domain.name}_{table.name}")
                            spark_config = pipeline.sl_spark_config(f"{domain.name}.{table.name}".lower())
                            if number:
                                pipeline.sl_load(task_id, domain.name, table.name, spark_config, params={"cron": cron})
                            else:
                                pipeline.sl_load(
                                    task_id=task_id,
                                    domain=domain.name,
                                    table=table.name,
                                    spark_config=spark_config,
                                    params={"cron": cron},
                                )
                    if checked:
                        checked >> loads
                return group

            domains = [load_domain(domain) for domain in schedule.domains]

            end = pipeline.end_task(
                task_id=f"end_{schedule_name}",
                output_datasets=[StarlakeDataset(uri=pipeline.pipeline_id, cron=cron)],
            )

            if pre_tasks:
                start >> pre_tasks >> domains
            else:
                start >> domains
            end << domains

            post_tasks = pipeline.post_tasks()
            if post_tasks:
                all_done = pipeline.sl_dummy_op(task_id="all_done")
                all_done << domains
                all_done >> post_tasks >> end

        return pipeline

    pipelines = [load_pipeline(schedule) for schedule in schedules]

assert StarlakeOptions.get_context_var("retries", "3", options) == "1"
