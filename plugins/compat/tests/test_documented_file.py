"""A pipeline file in the form of the documentation, with the documented imports, runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "starbake"

DOCUMENTED = '''
description="""data loading for starbake domain"""

options={
    'sl_env_var':'{"SL_ROOT": "@ROOT@"}',
    'SL_STARLAKE_PATH':'@ROOT@/starlake',
    'SL_TIMEZONE':'Europe/Paris',
    'tags':'starbake',
    'pre_load_strategy':'imported',
    'ack_wait_timeout':'60',
    'global_ack_file_path':'@ROOT@/datasets/pending/starbake/GO.ack'
}

from ai.starlake.job import StarlakeOrchestrator
orchestrator = StarlakeOrchestrator.LOCAL

from ai.starlake.job import StarlakeExecutionEnvironment
execution_environment = StarlakeExecutionEnvironment.SHELL

import os

import sys

from ai.starlake.job import StarlakeJobFactory

sl_job = StarlakeJobFactory.create_job(
    filename=os.path.basename(__file__),
    module_name=f"{__name__}",
    orchestrator=orchestrator,
    execution_environment=execution_environment,
    options=dict(options, **sys.modules[__name__].__dict__.get('jobs', {}))
)

from ai.starlake.job import StarlakePreLoadStrategy

from ai.starlake.dataset import StarlakeDataset

from ai.starlake.orchestration import StarlakeSchedule, StarlakeDomain, StarlakeTable, OrchestrationFactory

schedules= [
    StarlakeSchedule(
        name='daily',
        cron='0 0 * * *',
        domains=[
            StarlakeDomain(
                name='starbake',
                final_name='starbake',
                tables=[
                    StarlakeTable(name='customers', final_name='Customers'),
                    StarlakeTable(name='products', final_name='Products')
                ]
            )
    ]),
    StarlakeSchedule(
        name='hourly',
        cron='0 * * * *',
        domains=[
            StarlakeDomain(
                name='starbake',
                final_name='starbake',
                tables=[
                    StarlakeTable(name='orders', final_name='Orders')
                ]
            )
    ])
]

with OrchestrationFactory.create_orchestration(job=sl_job) as orchestration:

    def generate_pipeline(schedule: StarlakeSchedule):
        with orchestration.sl_create_pipeline(
            schedule=schedule,
        ) as pipeline:

            pipeline_id    = pipeline.pipeline_id
            schedule       = pipeline.schedule
            schedule_name  = pipeline.schedule_name

            start = pipeline.start_task(task_id=f'start_{schedule_name}')
            if not start:
                raise Exception("Start task not defined")

            pre_tasks = pipeline.pre_tasks()

            if pre_tasks:
                start >> pre_tasks

            def generate_load_domain(domain: StarlakeDomain):

                from ai.starlake.common import sanitize_id

                if schedule_name:
                    name = f"{domain.name}_{schedule_name}"
                else:
                    name = domain.name

                with orchestration.sl_create_task_group(group_id=sanitize_id(name), pipeline=pipeline) as ld:

                    pre_load_strategy=pipeline.pre_load_strategy

                    def pre_load(pre_load_strategy: StarlakePreLoadStrategy):
                        if pre_load_strategy != StarlakePreLoadStrategy.NONE:
                            with orchestration.sl_create_task_group(group_id=sanitize_id(f'pre_load_{name}'), pipeline=pipeline) as pre_load_tasks:
                                pre_load = pipeline.sl_pre_load(
                                        domain=domain.name,
                                        tables=set([table.name for table in domain.tables]),
                                        params={'cron':schedule.cron, 'schedule': schedule_name},
                                    )
                                skip_or_start = pipeline.skip_or_start(
                                    task_id=f'skip_or_start_loading_{name}',
                                    upstream_task=pre_load
                                )
                                if pre_load_strategy == StarlakePreLoadStrategy.IMPORTED:
                                    sl_import = pipeline.sl_import(
                                            task_id=f"import_{name}",
                                            domain=domain.name,
                                            tables=set([table.name for table in domain.tables]),
                                        )
                                else:
                                    sl_import = None

                                if skip_or_start:
                                    pre_load >> skip_or_start
                                    if sl_import:
                                        skip_or_start >> sl_import
                                elif sl_import:
                                    pre_load >> sl_import

                            return pre_load_tasks
                        else:
                            return None

                    pld = pre_load(pre_load_strategy)

                    def load_domain_tables():
                        with orchestration.sl_create_task_group(group_id=sanitize_id(f'load_{name}'), pipeline=pipeline) as load_domain_tables:
                            for table in domain.tables:
                                pipeline.sl_load(
                                    task_id=sanitize_id(f'load_{domain.name}_{table.name}'),
                                    domain=domain.name,
                                    table=table.name,
                                    spark_config=pipeline.sl_spark_config(f'{domain.name}.{table.name}'.lower()),
                                    params={'cron':schedule.cron},
                                )

                        return load_domain_tables

                    ld_tables=load_domain_tables()

                    if pld:
                        pld >> ld_tables

                return ld

            load_domains = [generate_load_domain(domain) for domain in schedule.domains]

            end = pipeline.end_task(
                task_id=f'end_{schedule_name}',
                output_datasets=[StarlakeDataset(uri=pipeline_id, cron=schedule.cron)]
            )

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
'''


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "demo"
    shutil.copytree(
        EXAMPLE, root, ignore=shutil.ignore_patterns("dags", ".starlake-core", "duckdb.db*", "stage", "archive")
    )
    launcher = root / "starlake"
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m starlake_core_duckdb "$@"\n')
    launcher.chmod(0o755)
    (root / "starbake_load.py").write_text(DOCUMENTED.replace("@ROOT@", str(root)))
    return root


def orchestrate(*arguments: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("SL_")}
    return subprocess.run(
        [sys.executable, "-m", "starlake_core", *arguments], env=env, text=True, capture_output=True, check=False
    )


def test_the_documented_file_runs(project: Path) -> None:
    done = orchestrate("run", str(project / "starbake_load.py"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "starbake_load_daily: success" in done.stdout
    assert "starbake_load_hourly: success" in done.stdout
    for task in (
        "load_starbake_customers",
        "load_starbake_products",
        "load_starbake_orders",
        "end_daily",
        "end_hourly",
    ):
        assert f"{task} success" in done.stdout


def test_the_documented_file_has_the_documented_ids(project: Path) -> None:
    done = orchestrate("graph", str(project / "starbake_load.py"))
    assert done.returncode == 0, done.stderr
    for node in (
        "starbake_load_daily",
        "start_daily",
        "starbake_daily",
        "pre_load_starbake_daily",
        "check_starbake_incoming_files",
        "import_starbake_daily",
        "load_starbake_daily",
        "end_daily",
    ):
        assert node in done.stdout


def test_the_packages_own_no_ai_init() -> None:
    source = Path(__file__).parents[1] / "src" / "ai"
    assert not (source / "__init__.py").exists()
    assert not (source / "starlake" / "__init__.py").exists()
