"""Computes the figures of the bakery in the form that ``starlake dag-generate`` writes for transforms. (airflow dag)"""

import os
import sys

from ai.starlake.job import StarlakeExecutionEnvironment, StarlakeJobFactory, StarlakeOrchestrator
from ai.starlake.orchestration import (
    AbstractTask,
    OrchestrationFactory,
    StarlakeDependencies,
    StarlakeDependency,
    StarlakeDependencyType,
    TreeNodeMixin,
)

description = """the figures of the bakery"""

options = {
    "SL_TIMEZONE": "Europe/Paris",
    "tags": "starbake",
    "retry_delay": "5",
    "run_dependencies_first": "false",
}

jobs = {"kpi.overview": {"options": "currency=EUR"}}

orchestrator = StarlakeOrchestrator.AIRFLOW
execution_environment = StarlakeExecutionEnvironment.DUCKDB

sl_job = StarlakeJobFactory.create_job(
    filename=os.path.basename(__file__),
    module_name=f"{__name__}",
    orchestrator=orchestrator,
    execution_environment=execution_environment,
    options=dict(options, **sys.modules[__name__].__dict__.get("jobs", {})),
)

cron = "None"

dependencies = StarlakeDependencies(
    dependencies="""[
  {"data": {"name": "kpi.overview", "typ": "task", "parent": "kpi.product_sales", "parentTyp": "task",
            "writeStrategy": {"type": "OVERWRITE"}, "sink": "kpi.overview", "cron": "None", "freshness": 0},
   "children": [
     {"data": {"name": "kpi.product_sales", "typ": "task", "sink": "kpi.product_sales", "cron": "None"}, "children": [
       {"data": {"name": "starbake.orders", "typ": "table", "sink": "starbake.Orders", "cron": "0 * * * *"}, "task": false},
       {"data": {"name": "starbake.products", "typ": "table", "sink": "starbake.Products", "cron": "0 0 * * *"}, "task": false}
     ], "task": true},
     {"data": {"name": "kpi.customer_value", "typ": "task", "sink": "kpi.customer_value", "cron": "None"}, "children": [
       {"data": {"name": "starbake.orders", "typ": "table", "sink": "starbake.Orders", "cron": "0 * * * *"}, "task": false},
       {"data": {"name": "starbake.customers", "typ": "table", "sink": "starbake.Customers", "cron": "0 0 * * *"}, "task": false}
     ], "task": true}
   ], "task": true},
  {"data": {"name": "kpi.product_sales", "typ": "task", "sink": "kpi.product_sales", "cron": "None"}, "children": [
     {"data": {"name": "starbake.orders", "typ": "table", "sink": "starbake.Orders", "cron": "0 * * * *"}, "task": false},
     {"data": {"name": "starbake.products", "typ": "table", "sink": "starbake.Products", "cron": "0 0 * * *"}, "task": false}
  ], "task": true},
  {"data": {"name": "kpi.customer_value", "typ": "task", "sink": "kpi.customer_value", "cron": "None"}, "children": [
     {"data": {"name": "starbake.orders", "typ": "table", "sink": "starbake.Orders", "cron": "0 * * * *"}, "task": false},
     {"data": {"name": "starbake.customers", "typ": "table", "sink": "starbake.Customers", "cron": "0 0 * * *"}, "task": false}
  ], "task": true}
]"""
)

with (
    OrchestrationFactory.create_orchestration(job=sl_job) as orchestration,
    orchestration.sl_create_pipeline(dependencies=dependencies) as pipeline,
):
    start = pipeline.start_task()
    pre_tasks = pipeline.pre_tasks()
    if pre_tasks:
        start >> pre_tasks
    end = pipeline.end_task()
    post_tasks = pipeline.post_tasks()
    all_done = None
    if post_tasks:
        all_done = pipeline.sl_dummy_op(task_id="all_done")
        all_done >> post_tasks >> end

    def add(graph: TreeNodeMixin) -> AbstractTask:
        node: StarlakeDependency = graph.node
        assert node.dependency_type in (StarlakeDependencyType.TASK, StarlakeDependencyType.TABLE)
        task = pipeline.dependency_to_task(node)
        parents: list[AbstractTask] = [pipeline.dependency_to_task(parent.node) for parent in graph.parents]
        task << parents
        (pre_tasks or start) >> (parents or task)
        task >> (all_done or end)
        return task

    tasks = [add(graph) for graph in pipeline.graphs]

pipelines = [pipeline]
