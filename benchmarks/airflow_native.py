"""The DAGs as written by hand for Airflow, as a baseline. This is also the content of a DAG file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow import __version__
from airflow.timetables.trigger import CronTriggerTimetable

if __version__.startswith("2."):
    from airflow.datasets import Dataset as Asset
    from airflow.models.dag import DAG
    from airflow.operators.bash import BashOperator
    from airflow.operators.empty import EmptyOperator
    from airflow.utils.task_group import TaskGroup
else:
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.sdk import DAG, Asset, TaskGroup

CRON = "0 0 * * *"
ENV = {"SL_ROOT": "/project"}
DEFAULTS = {"retries": 1, "retry_delay": timedelta(minutes=5), "pool": "default_pool"}
RUN = "{{ dag_run.logical_date }}"
INTERVAL = (
    "sl_data_interval_start={{ data_interval_start }},sl_data_interval_end={{ data_interval_end }},"
    "sl_start_date={{ data_interval_start }},sl_end_date={{ data_interval_end }}"
)
SHOWN_INTERVAL = (
    """'sl_data_interval_start='"'"'${sl_data_interval_start}'"'"',sl_data_interval_end='"'"'${sl_data_interval_end}'"'"',"""
    "sl_start_date=${sl_data_interval_start},sl_end_date=${sl_data_interval_end}'"
)


def load(count: int, tag: str = "sales", uri: str = "starlake://sales/{}") -> Any:
    """One domain: a check of its incoming files, their import, one load per table.

    Args:
        count: the number of tables.
        tag: the tag of the DAG.
        uri: returns the URI of the asset of a table.
    """
    tables = [f"t{n:05}" for n in range(count)]
    names = ",".join(tables)
    with DAG(
        dag_id="load_daily",
        schedule=CronTriggerTimetable(CRON, timezone="UTC"),
        start_date=datetime(2024, 1, 1, tzinfo=timezone.utc),
        catchup=False,
        max_active_runs=3,
        tags=[tag],
        default_args=DEFAULTS,
    ) as dag:
        start = EmptyOperator(task_id="start_daily", retries=0)
        with TaskGroup(group_id="sales_daily"):
            with TaskGroup(group_id="pre_load_sales_daily"):
                check = BashOperator(
                    task_id="check_sales_incoming_files",
                    bash_command=f"starlake preload --domain sales --tables {names} --strategy imported",
                    env=ENV,
                    append_env=True,
                    params={"cron": CRON, "schedule": "daily"},
                    doc_md="Checks whether the domain `sales` is ready; if it is not, its loads are skipped. Environment: shell.\n\n```\n"
                    f"starlake preload --domain sales --tables {names} --strategy imported\n```",
                )
                move = BashOperator(
                    task_id="import_sales_daily",
                    bash_command=f"starlake stage --domains sales --tables {names}",
                    env=ENV,
                    append_env=True,
                    doc_md="Moves the incoming files of the domain `sales` to where they are loaded from. Environment: shell.\n\n```\n"
                    f"starlake stage --domains sales --tables {names}\n```",
                )
                check >> move
            with TaskGroup(group_id="load_sales_daily"):
                loads = [
                    BashOperator(
                        task_id=f"load_sales_{table}",
                        bash_command=f"starlake load --scheduledDate '{RUN}' --domains sales --tables {table}",
                        env=ENV,
                        append_env=True,
                        params={"cron": CRON},
                        outlets=[Asset(uri.format(table))],
                        doc_md=f"Loads the table `{table}` of the domain `sales`. Environment: shell.\n\n```\n"
                        f"starlake load --scheduledDate '${{sl_scheduled_date}}' --domains sales --tables {table}\n```",
                    )
                    for table in tables
                ]
            move >> loads
        end = EmptyOperator(task_id="end_daily", trigger_rule="none_failed", outlets=[Asset("load_daily")])
        start >> check
        loads >> end
    return dag


def lineage(parents: Mapping[str, Sequence[str]]) -> Any:
    """One task per transform, in the order of the mapping, after those that it reads."""
    assets = {name: Asset(f"starlake://d/{name}") for name in parents}
    tasks: dict[str, Any] = {}
    with DAG(
        dag_id="lineage",
        schedule=CronTriggerTimetable(CRON, timezone="UTC"),
        start_date=datetime(2024, 1, 1, tzinfo=timezone.utc),
        catchup=False,
        max_active_runs=3,
        default_args=DEFAULTS,
    ) as dag:
        start = EmptyOperator(task_id="start", retries=0)
        for name, before in parents.items():
            tasks[name] = BashOperator(
                task_id=f"d_{name}",
                bash_command=f"starlake transform --scheduledDate '{RUN}' --name d.{name} --options \"{INTERVAL}\"",
                env=ENV,
                append_env=True,
                inlets=[assets[other] for other in before],
                outlets=[assets[name]],
                doc_md=f"Runs the transform `d.{name}`. Environment: shell.\n\n```\nstarlake transform --scheduledDate "
                f"'${{sl_scheduled_date}}' --name d.{name} --options {SHOWN_INTERVAL}\n```",
            )
            if before:
                [tasks[other] for other in before] >> tasks[name]
        end = EmptyOperator(task_id="end", trigger_rule="none_failed", outlets=[Asset("lineage")])
        read = {other for before in parents.values() for other in before}
        start >> [tasks[name] for name, before in parents.items() if not before]
        [task for name, task in tasks.items() if name not in read] >> end
    return dag
