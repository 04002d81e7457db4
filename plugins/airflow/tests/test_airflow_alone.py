"""A task that is wanted by itself, as a part of a DAG that somebody writes by hand."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from airflow_runs import events, program, run_dag, state, states, unique
from starlake_core_airflow.versions import DAG, TaskGroup

from starlake_core import Orchestration, StarlakePipeline
from starlake_core.testing import StandIn, Step

pytest_plugins = ["starlake_core.testing.plugin"]

DATE = datetime(2026, 11, 3, 4, 30, tzinfo=timezone.utc)


def alone(root: Path, stand_in: StandIn, **keywords: Any) -> StarlakePipeline:
    options = {**program(stand_in), "retries": 0, "sl_env_var": {"SL_ROOT": str(root)}}
    orchestration = Orchestration(
        options, orchestrator="airflow", environment="shell", filename=str(root / "by_hand.py"), namespace={}
    )
    return orchestration.sl_create_pipeline(name="never_rendered", **keywords)


def operator(pipeline: StarlakePipeline, task: Any) -> Any:
    return pipeline.orchestration.plugins.create_task(task)


def by_hand(tmp_path: Path, name: str) -> Any:
    dag = DAG(f"{unique(tmp_path)}_{name}", schedule=None, start_date=datetime(2024, 1, 1, tzinfo=timezone.utc))
    (tmp_path / "by_hand.py").write_text("# a file that 2.11 keeps the text of\n", encoding="utf-8")
    dag.fileloc = str(tmp_path / "by_hand.py")
    return dag


def test_it_runs_under_the_name_of_the_dag_around_it(tmp_path: Path, stand_in: StandIn) -> None:
    """Two DAGs of one file may have the same tasks and the same runs: neither takes over what the other began."""
    for name in ("one", "two"):
        with by_hand(tmp_path, name) as dag, TaskGroup("loads"):
            pipeline = alone(tmp_path, stand_in, cron="0 2 * * *")
            operator(pipeline, pipeline.sl_load("load_orders", "sales", "orders"))
        run = run_dag(dag, DATE)
        assert state(run) == "success"
        call = stand_in.calls()[-1]
        assert call.env["SL_RUN_KEY"].startswith(f"{dag.dag_id}/{run.run_id}/loads.load_orders")
        assert call.arguments[call.arguments.index("--scheduledDate") + 1].startswith("2026-11-03T02:00:00")
        ((uri, extra),) = events(run).items()
        assert uri == "starlake://sales/orders"
        assert extra["source"] == dag.dag_id
        assert extra["sl_data_interval_start"].startswith("2026-11-02T02:00:00")
    assert len(stand_in.calls()) == 2


def test_a_check_skips_what_is_behind_it(tmp_path: Path, stand_in: StandIn) -> None:
    stand_in.script("preload:sales", Step(not_ready=True))
    with by_hand(tmp_path, "gated") as dag:
        pipeline = alone(tmp_path, stand_in)
        check = operator(pipeline, pipeline.sl_pre_load("sales", ["orders"], "imported"))
        check >> operator(pipeline, pipeline.sl_load("load_orders", "sales", "orders"))
    assert states(run_dag(dag, DATE)) == {"check_sales_incoming_files": "skipped", "load_orders": "skipped"}
