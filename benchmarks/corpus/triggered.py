"""Transforms that their datasets start, under each option that decides about it. (airflow dag)"""

from collections.abc import Mapping
from typing import Any

from starlake_core import Orchestration, StarlakeDependencies, StarlakeDependency


def lineage(cron: str | None = None) -> StarlakeDependencies:
    """Three transforms over three tables, one of which has no schedule of its own."""
    orders = StarlakeDependency("sales.orders", "table", cron="0 * * * *", sink="Sales.Orders", freshness=3600)
    customers = StarlakeDependency("sales.customers", "table", cron="0 0 * * *")
    rates = StarlakeDependency("bank.rates", "table")
    revenue = StarlakeDependency("kpi.revenue", dependencies=[orders, rates], write_strategy="APPEND")
    volume = StarlakeDependency("kpi.volume", dependencies=[orders, customers], cron=cron)
    summary = StarlakeDependency("kpi.summary", dependencies=[revenue, volume], dataset_triggering_strategy="all")
    return StarlakeDependencies([revenue, volume, summary])


FORMS: Mapping[str, Mapping[str, Any]] = {
    "any": {},
    "all": {"dataset_triggering_strategy": "all"},
    "filtered": {"filtered_datasets": "sales.customers,bank.rates"},
    "flat": {"dataset_style": "flat", "max_active_runs": 2},
    "first": {"run_dependencies_first": True},
    "cycle": {"data_cycle_enabled": True, "data_cycle": "daily", "optional_dataset_enabled": True},
}

for form, options in FORMS.items():
    with (
        Orchestration(options=options) as orchestration,
        orchestration.sl_create_pipeline(dependencies=lineage(), name=f"kpi_{form}") as pipeline,
    ):
        pipeline.add_lineage()

with (
    Orchestration() as orchestration,
    orchestration.sl_create_pipeline(dependencies=lineage("30 4 * * *"), name="kpi_scheduled") as pipeline,
):
    pipeline.add_lineage()
