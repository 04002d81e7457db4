"""Every verb of a pipeline, and every keyword that all of them take. (airflow dag)"""

from datetime import timedelta

from starlake_core import (
    Orchestration,
    StarlakeDataset,
    StarlakePreLoadStrategy,
    StarlakeSparkConfig,
    TriggerRule,
)

options = {
    "sl_env_var": {
        "SL_ENV": "PROD",
        "DB_PASSWORD": "correct horse battery staple",
        "DB_URL": "jdbc:postgresql://me:hunter22@db.example.com/sales",
    },
    "sl_options": {"all": {"batch": "b7"}, "kpi.overview": {"currency": "EUR", "since": "${sl_ds}"}},
    "deployment": "benchmarks",
    "timezone": "America/New_York",
    "start_date": "2026-01-31",
    "end_date": "2027-01-31",
    "catchup": True,
    "retries": 2,
    "retry_delay": "90s",
    "task_timeout": "2h",
    "spark_executor_memory": "4g",
    "spark_properties": {"spark.sql.shuffle.partitions": "8"},
    "pre_load_not_ready_sentinel_path": "gs://bucket/not-ready",
    "kpi.overview": {"options": "region=north", "retries": 5},
    "sales.orders": {"spark_executor_memory": "20g", "spark_executor_instances": 4},
}

with (
    Orchestration(options=options) as orchestration,
    orchestration.sl_create_pipeline(name="every_verb", cron="@hourly", tags=["every", "verb"]) as pipeline,
):
    start = pipeline.start_task()
    before = pipeline.pre_tasks()
    with pipeline.sl_create_task_group("sales") as sales:
        check = pipeline.sl_pre_load("sales", ["orders", "customers"], StarlakePreLoadStrategy.ACK)
        assert check is not None
        stage = pipeline.sl_import(domain="sales", tables={"orders", "customers"}, retries=0)
        with pipeline.sl_create_task_group("load sales") as loads:
            pipeline.sl_load(domain="sales", table="orders", pool="database", timeout=timedelta(minutes=30))
            pipeline.sl_load(
                "customers",
                "sales",
                "customers",
                StarlakeSparkConfig(memory="1g", cores=2, instances=3),
                params={"cron": "@hourly", "comment": "ünïcode, 'quotes' and \"more\""},
            )
        check >> stage >> loads
    overview = pipeline.sl_transform(transform_name="kpi.overview", retry_delay=10)
    details = pipeline.sl_transform(
        "details", "kpi.details", {"from": "${sl_data_interval_start}", "rate": "${var:RATE}"}
    )
    other = pipeline.sl_job(
        "freshness",
        ["freshness", "--tables", "sales.orders"],
        trigger=TriggerRule.ALL_DONE,
        inlets=[StarlakeDataset.table("sales", "orders")],
        outlets=[StarlakeDataset.table("audit", "freshness")],
    )
    nothing = pipeline.sl_dummy_op("nothing")
    done = pipeline.sl_dummy_op("all_done")
    after = pipeline.post_tasks()
    end = pipeline.end_task()
    if before is not None:
        start >> before >> sales
    start >> sales >> [overview, details] >> nothing >> end
    [overview, details] >> other >> end
    nothing >> done
    if after is not None:
        done >> after >> end
