"""Loads after each kind of check: one pipeline for each strategy, with and without waiting. (airflow dag)"""

from starlake_core import Orchestration, StarlakeDomain, StarlakePreLoadStrategy, StarlakeSchedule, StarlakeTable

DAILY = StarlakeSchedule(
    "daily",
    "15 2 * * 1-5",
    [
        StarlakeDomain("sales", tables=["customers", "orders"]),
        StarlakeDomain("hr", "HumanResources", [StarlakeTable("people", "People"), StarlakeTable("teams")]),
    ],
)

WAITING = {
    "pre_load_sensor": True,
    "pre_load_poke_interval": 60,
    "pre_load_timeout": "2h",
    "pre_load_sensor_soft_fail": True,
}

for strategy in StarlakePreLoadStrategy:
    for waiting in (False, True):
        options = {
            "pre_load_strategy": strategy.value,
            "timezone": "Europe/Paris",
            "start_date": "2026-11-01",
            "tags": "bakery, nightly",
            **(WAITING if waiting else {}),
        }
        with (
            Orchestration(options=options) as orchestration,
            orchestration.sl_create_pipeline(
                DAILY,
                name=f"load_{strategy.value}{'_waiting' if waiting else ''}",
                description="What came in overnight",
            ) as pipeline,
        ):
            pipeline.add_schedule()
