"""Loads the tables of the bakery: customers, ingredients and products daily, orders hourly. (airflow dag)

This is the load example of the documentation in the words of starlake_core: for every domain a gate that checks for incoming files, the
import of the files, and one load per table.
"""

from starlake_core import Orchestration, StarlakeDomain, StarlakeSchedule

schedules = [
    StarlakeSchedule(
        name="daily",
        cron="0 0 * * *",
        domains=[StarlakeDomain("starbake", tables=["customers", "ingredients", "products"])],
    ),
    StarlakeSchedule(
        name="hourly",
        cron="0 * * * *",
        domains=[StarlakeDomain("starbake", tables=["orders"])],
    ),
]

options = {
    "pre_load_strategy": "imported",
    "SL_TIMEZONE": "Europe/Paris",
    "tags": "starbake",
    "retry_delay": 5,
}

with Orchestration(options=options, environment="duckdb") as orchestration:
    for schedule in schedules:
        with orchestration.sl_create_pipeline(schedule=schedule) as pipeline:
            pipeline.add_schedule()
