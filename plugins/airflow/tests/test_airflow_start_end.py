"""The two ends of a pipeline: a start that says no, and an end that knows what was done."""

from __future__ import annotations

from pathlib import Path

from airflow_runs import draw, events, program, run_dag, state, states, xcoms
from starlake_core_airflow.rendering import trigger_rule

from starlake_core import StarlakeDependencies, StarlakeDependency, StarlakePipeline, gates_before_work
from starlake_core.testing import StandIn, Step

pytest_plugins = ["starlake_core.testing.plugin"]


def lineage() -> StarlakeDependencies:
    # No other test emits an event of this table: the database of Airflow is one for all.
    orders = StarlakeDependency("ends.orders", "table", cron="0 * * * *")
    return StarlakeDependencies([StarlakeDependency("kpi.revenue", dependencies=[orders])])


def transforms(pipeline: StarlakePipeline) -> None:
    pipeline.add_lineage()


def test_a_start_that_says_no_skips_the_run_and_emits_nothing(tmp_path: Path, stand_in: StandIn) -> None:
    pipeline = draw(tmp_path / "no", transforms, program(stand_in), dependencies=lineage())
    run = run_dag(pipeline.native, conf={"sl_check_freshness": True})
    assert states(run) == dict.fromkeys(["start", "kpi_revenue", "end"], "skipped")
    assert xcoms(run)["start"]["reason"] == "nothing new was loaded since the last run"
    assert state(run) == "success"
    assert events(run) == {}
    assert not stand_in.calls()


def test_a_start_that_says_yes_keeps_the_interval_for_people(tmp_path: Path, stand_in: StandIn) -> None:
    run = run_dag(draw(tmp_path / "yes", transforms, program(stand_in), dependencies=lineage()).native)
    assert states(run) == dict.fromkeys(["start", "kpi_revenue", "end"], "success")
    told = xcoms(run)["start"]
    assert told["decision"] == "run"
    assert told["sl_data_interval_start"] < told["sl_data_interval_end"]
    assert "starlake://kpi/revenue" in events(run)


def test_work_that_tolerates_a_closed_gate_is_work_for_the_end(tmp_path: Path, stand_in: StandIn) -> None:
    """Also where the rule is given in Airflow's own words."""
    stand_in.script("preload:sales", Step(not_ready=True))

    def build(pipeline: StarlakePipeline) -> None:
        check = pipeline.sl_pre_load("sales", ["orders"], "pending")
        assert check is not None
        load = pipeline.sl_load("load", "sales", "orders", trigger_rule="all_done")
        pipeline.start_task() >> check >> load >> pipeline.end_task()

    pipeline = draw(tmp_path / "tolerant", build, program(stand_in))
    assert gates_before_work(pipeline, rule=trigger_rule) == [[]]
    run = run_dag(pipeline.native)
    assert states(run)["check_sales_pending_files"] == "skipped"
    assert (states(run)["load"], states(run)["end"]) == ("success", "success")
    assert pipeline.id in events(run)


def test_work_behind_a_task_that_tolerates_a_closed_gate_in_a_group_is_work(tmp_path: Path, stand_in: StandIn) -> None:
    def build(pipeline: StarlakePipeline) -> None:
        check = pipeline.sl_pre_load("sales", ["orders"], "pending")
        assert check is not None
        with pipeline.sl_create_task_group("loads") as loads:
            pipeline.sl_dummy_op("anyway", trigger="none_failed") >> pipeline.sl_load("load", "sales", "orders")
        check >> loads >> pipeline.end_task()

    assert gates_before_work(draw(tmp_path / "grouped", build, program(stand_in)), rule=trigger_rule) == [[]]


def test_a_configuration_that_cannot_be_read_fails_the_start_at_once(tmp_path: Path, stand_in: StandIn) -> None:
    """A second try would read the same configuration."""
    pipeline = draw(tmp_path / "bad", transforms, {**program(stand_in), "retries": 3}, dependencies=lineage())
    run = run_dag(pipeline.native, conf={"sl_data_interval_end": "tomorrow"})
    assert states(run) == {"start": "failed", "kpi_revenue": "upstream_failed", "end": "upstream_failed"}
    assert not stand_in.calls()


def test_a_pipeline_that_was_changed_a_moment_ago_runs_as_it_is_now(tmp_path: Path, stand_in: StandIn) -> None:
    """Airflow would write its DAG again after half a minute only, and find no task that is new."""
    for names in (["first"], ["first", "second"]):

        def build(pipeline: StarlakePipeline, names: list[str] = names) -> None:
            for name in names:
                pipeline.sl_transform(name, f"kpi.{name}")

        report = draw(tmp_path / "changed", build, program(stand_in)).run()
        assert [(task.id, task.state) for task in report.tasks] == [(name, "success") for name in names]
