"""Computes the figures of the bakery when its tables were loaded. (airflow dag)

The lineage says which transform reads what; the tables that are loaded elsewhere start the pipeline.
"""

from starlake_core import Orchestration, StarlakeDependencies, StarlakeDependency

customers = StarlakeDependency("starbake.customers", "table", cron="0 0 * * *")
products = StarlakeDependency("starbake.products", "table", cron="0 0 * * *")
orders = StarlakeDependency("starbake.orders", "table", cron="0 * * * *")

product_sales = StarlakeDependency("kpi.product_sales", dependencies=[orders, products])
customer_value = StarlakeDependency("kpi.customer_value", dependencies=[orders, customers])
overview = StarlakeDependency("kpi.overview", dependencies=[product_sales, customer_value])

options = {"SL_TIMEZONE": "Europe/Paris", "tags": "starbake", "retry_delay": 5}

with Orchestration(options=options, environment="duckdb") as orchestration:
    lineage = StarlakeDependencies([product_sales, customer_value, overview])
    with orchestration.sl_create_pipeline(dependencies=lineage) as pipeline:
        pipeline.add_lineage()
