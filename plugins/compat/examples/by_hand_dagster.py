"""A hand-written job: the verbs of a job return ops at once. Each has an input, ``after``, for what runs before it."""

from ai.starlake.job import StarlakeExecutionEnvironment, StarlakeJobFactory, StarlakeOrchestrator
from dagster import Definitions, job

sl_job = StarlakeJobFactory.create_job(
    orchestrator=StarlakeOrchestrator.DAGSTER,
    execution_environment=StarlakeExecutionEnvironment.DUCKDB,
    options={"retry_delay": "5"},
)

# Not "check": Dagster 1.10 takes such a name in the module for a submodule.
ready = sl_job.sl_pre_load("starbake", {"customers", "orders"}, "imported")
stage = sl_job.sl_import("import_starbake", "starbake", {"customers", "orders"})
load_customers = sl_job.sl_load("load_customers", "starbake", "customers")
load_orders = sl_job.sl_load("load_orders", "starbake", "orders")
value = sl_job.sl_transform("customer_value", "kpi.customer_value")


@job
def bakery_by_hand():
    staged = stage(after=ready())
    value(after=[load_customers(after=staged), load_orders(after=staged)])


defs = Definitions(jobs=[bakery_by_hand])
