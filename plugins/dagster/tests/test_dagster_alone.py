"""A task that is wanted by itself, as a part of a job that somebody writes by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dagster import AssetKey, GraphDefinition, job
from dagster_runs import instance_in, program, run, states

from starlake_core import Orchestration, StarlakePipeline
from starlake_core.testing import StandIn, Step

pytest_plugins = ["starlake_core.testing.plugin"]


def alone(root: Path, stand_in: StandIn) -> StarlakePipeline:
    options = {**program(stand_in), "retries": 0, "sl_env_var": {"SL_ROOT": str(root)}}
    orchestration = Orchestration(
        options, orchestrator="dagster", environment="shell", filename=str(root / "by_hand.py"), namespace={}
    )
    return orchestration.sl_create_pipeline(name="never_rendered", cron="0 2 * * *")


def op_of(pipeline: StarlakePipeline, task: Any) -> Any:
    return pipeline.orchestration.plugins.create_task(task)


def by_hand(root: Path, stand_in: StandIn) -> Any:
    pipeline = alone(root, stand_in)
    check = op_of(pipeline, pipeline.sl_pre_load("sales", ["orders"], "imported"))
    load = op_of(pipeline, pipeline.sl_load("load_orders", "sales", "orders"))
    kpi = op_of(pipeline, pipeline.sl_transform("kpi", "kpi.sales"))

    @job
    def sales() -> None:
        checked = check()
        kpi(after=[load(after=checked), load.alias("again")(after=checked)])

    return sales


def test_its_op_waits_for_what_the_job_says(tmp_path: Path, stand_in: StandIn) -> None:
    with instance_in(tmp_path / "instance") as instance:
        result = run(by_hand(tmp_path, stand_in), instance)
        assert result.success
        assert states(result) == dict.fromkeys(["check_sales_incoming_files", "load_orders", "again", "kpi"], "success")
        keys = [call.env["SL_RUN_KEY"] for call in stand_in.calls() if call.arguments[0] == "load"]
        # An op that is used twice is two tasks.
        assert sorted(key.partition("#")[0] for key in keys) == [
            f"sales/{result.run_id}/again", f"sales/{result.run_id}/load_orders",
        ]  # fmt: skip
        (record, _) = instance.fetch_materializations(AssetKey(["sales", "orders"]), limit=5).records
        assert record.asset_materialization.metadata["source"].value == "sales"


def test_a_check_that_is_not_ready_skips_what_is_behind_it(tmp_path: Path, stand_in: StandIn) -> None:
    stand_in.script("preload:sales", Step(not_ready=True))
    with instance_in(tmp_path / "instance") as instance:
        result = run(by_hand(tmp_path, stand_in), instance)
    assert result.success
    assert states(result) == {
        "check_sales_incoming_files": "success", "load_orders": "skipped", "again": "skipped", "kpi": "skipped",
    }  # fmt: skip


def test_it_joins_a_graph_in_the_api_of_dagster(tmp_path: Path, stand_in: StandIn) -> None:
    pipeline = alone(tmp_path, stand_in)
    load = op_of(pipeline, pipeline.sl_load("load_orders", "sales", "orders"))
    assert load.name == "load_orders"
    assert list(load.ins) == ["after"]
    assert GraphDefinition(name="g", node_defs=[load]).to_job().name == "g"
