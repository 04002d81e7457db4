"""A hand-written DAG: the verbs of a job return operators at once."""

from datetime import datetime

from ai.starlake.airflow import DEFAULT_DAG_ARGS, StarlakeAirflowOptions
from ai.starlake.job import StarlakeExecutionEnvironment, StarlakeJobFactory, StarlakeOrchestrator

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2
    from airflow import DAG

options = {"retry_delay": "5"}

sl_job = StarlakeJobFactory.create_job(
    orchestrator=StarlakeOrchestrator.AIRFLOW,
    execution_environment=StarlakeExecutionEnvironment.DUCKDB,
    options=options,
)

with DAG(
    "bakery_by_hand",
    schedule="0 0 * * *",
    start_date=datetime(2026, 11, 1),
    catchup=False,
    default_args=DEFAULT_DAG_ARGS,
    tags=[StarlakeAirflowOptions.get_context_var("tags", "by hand", options)],
):
    start = sl_job.dummy_op("start")
    check = sl_job.sl_pre_load("starbake", {"customers", "orders"}, "imported")
    stage = sl_job.sl_import("import_starbake", "starbake", {"customers", "orders"})
    loads = [
        sl_job.sl_load(f"load_{table}", "starbake", table, params={"cron": "0 0 * * *"})
        for table in ("customers", "orders")
    ]
    value = sl_job.sl_transform("customer_value", "kpi.customer_value", params={"cron": "0 0 * * *"})
    start >> check >> stage >> loads >> value
