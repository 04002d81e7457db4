"""The example pipelines, unchanged, as a real DagBag loads them and as a user runs them."""

from __future__ import annotations

import os
import warnings
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from airflow_forks import Forks
from breadth import once_on_airflow
from click.testing import CliRunner
from starlake_core_airflow.versions import AIRFLOW_3, VERSION, AssetAny
from starlake_core_project.bakery import expected_tables, write_bakery

from starlake_core import Orchestration, StarlakeDomain, StarlakePipeline, StarlakeSchedule
from starlake_core.cli.app import app

PARIS = ZoneInfo("Europe/Paris")
TABLES = {"daily": ["customers", "ingredients", "products"], "hourly": ["orders"]}


@pytest.fixture
def example(tmp_path: Path) -> Path:
    root = tmp_path / "starbake"
    write_bakery(root)
    return root


def load(folder: Path) -> Any:
    if VERSION >= (3, 2):
        from airflow.dag_processing.dagbag import DagBag
    else:
        from airflow.models.dagbag import DagBag
    return DagBag(dag_folder=str(folder))


@pytest.fixture
def bag(example: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in [name for name in os.environ if name.startswith("SL_")]:
        monkeypatch.delenv(name)
    return load(example / "dags")


def test_nothing_is_said_while_the_files_load(
    example: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name in [name for name in os.environ if name.startswith("SL_")]:
        monkeypatch.delenv(name)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = load(example / "dags")
    assert found.import_errors == {}
    assert sorted(found.dags) == ["starbake_kpi", "starbake_load_daily", "starbake_load_hourly"]
    assert not getattr(found, "captured_warnings", {})
    # 3.1 warns of what its own provider of standard operators imports.
    messages = [str(warning.message) for warning in caught]
    assert [message for message in messages if not message.startswith("The `airflow.operators.")] == []
    assert [record.getMessage() for record in caplog.records if record.levelname not in ("DEBUG", "INFO")] == []
    # Airflow logs that it fills its bag; nothing of ours is printed.
    assert [line for line in "".join(capfd.readouterr()).splitlines() if "illing up the DagBag" not in line] == []


@pytest.mark.parametrize("schedule", ["daily", "hourly"])
def test_ids_groups_and_edges_of_a_schedule(bag: Any, schedule: str) -> None:
    dag = bag.dags[f"starbake_load_{schedule}"]
    group = f"starbake_{schedule}"
    check = f"{group}.pre_load_{group}.check_starbake_incoming_files"
    move = f"{group}.pre_load_{group}.import_{group}"
    loads = [f"{group}.load_{group}.load_starbake_{table}" for table in TABLES[schedule]]
    start, end = f"start_{schedule}", f"end_{schedule}"
    assert {task.task_id: set(task.downstream_task_ids) for task in dag.tasks} == {
        start: {check},
        check: {move},
        move: set(loads),
        **{load: {end} for load in loads},
        end: set(),
    }
    for task in dag.tasks:
        assert task.upstream_task_ids == {t.task_id for t in dag.tasks if task.task_id in t.downstream_task_ids}
    assert set(dag.task_group.get_task_group_dict()) == {
        None,
        group,
        f"{group}.pre_load_{group}",
        f"{group}.load_{group}",
    }
    assert dag.task_dict[end].trigger_rule == "none_failed"
    assert {task.trigger_rule for task in dag.tasks if task.task_id != end} == {"all_success"}
    assert {task.retries for task in dag.tasks if task.task_id != start} == {1}
    assert dag.task_dict[check].retry_delay.total_seconds() == 5
    assert {task.pool for task in dag.tasks} == {"default_pool"}


def test_ids_and_edges_of_the_lineage(bag: Any) -> None:
    dag = bag.dags["starbake_kpi"]
    assert {task.task_id: set(task.downstream_task_ids) for task in dag.tasks} == {
        "start": {"kpi_customer_value", "kpi_product_sales"},
        "kpi_customer_value": {"kpi_overview"},
        "kpi_product_sales": {"kpi_overview"},
        "kpi_overview": {"end"},
        "end": set(),
    }


def uris(assets: Any) -> list[str]:
    return sorted(asset.uri for asset in assets)


def test_assets(bag: Any) -> None:
    daily = bag.dags["starbake_load_daily"]
    tables = [f"starlake://starbake/{table}" for table in TABLES["daily"]]
    assert uris(outlet for task in daily.tasks for outlet in task.outlets) == ["starbake_load_daily", *tables]
    kpi = bag.dags["starbake_kpi"]
    assert uris(kpi.get_task("kpi_overview").inlets) == [
        "starlake://kpi/customer_value",
        "starlake://kpi/product_sales",
    ]
    assert uris(kpi.get_task("kpi_overview").outlets) == ["starlake://kpi/overview"]


@pytest.mark.parametrize(("schedule", "cron"), [("daily", "0 0 * * *"), ("hourly", "0 * * * *")])
def test_schedule_of_a_load(bag: Any, example: Path, schedule: str, cron: str) -> None:
    dag = bag.dags[f"starbake_load_{schedule}"]
    timetable = dag.timetable
    assert type(timetable).__name__ == "CronTriggerTimetable"
    assert timetable.summary == cron
    zone = getattr(timetable, "timezone", None) or timetable._timezone
    assert str(getattr(zone, "name", zone)) == "Europe/Paris"
    assert set(dag.tags) == {"starbake"}
    assert dag.catchup is False
    assert dag.max_active_runs == 3
    assert dag.start_date == datetime(2024, 1, 1, tzinfo=PARIS)
    assert dag.end_date is None
    assert Path(dag.fileloc) == example / "dags" / "starbake_load.py"


def test_schedule_of_the_lineage(bag: Any) -> None:
    dag = bag.dags["starbake_kpi"]
    condition = dag.timetable.asset_condition if AIRFLOW_3 else dag.timetable.dataset_condition
    assert type(condition).__name__ == AssetAny.__name__
    assert uris(condition.objects) == [f"starlake://starbake/{table}" for table in ("customers", "orders", "products")]
    assert dag.max_active_runs == 1
    assert dag.catchup is False


# -- running them


def rows(database: Path, table: str, columns: list[str]) -> list[list[str]]:
    import duckdb

    with duckdb.connect(str(database), read_only=True) as connection:
        cast = ", ".join(f'CAST("{column}" AS VARCHAR)' for column in columns)
        return sorted(map(list, connection.execute(f"SELECT {cast} FROM {table}").fetchall()), key=str)


def check_rows(example: Path) -> None:
    for table, content in expected_tables().items():
        found = rows(example / "datasets" / "duckdb.db", table, content["columns"])
        assert found == sorted(content["rows"], key=str), table


# On 2.11, test_compat_examples.py runs the same project from the command line.
@once_on_airflow
def test_the_example_runs_twice_from_the_command_line(
    example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("SL_")]:
        monkeypatch.delenv(name)
    forks = Forks(tmp_path / "warm")

    def command() -> bool:
        done = CliRunner().invoke(app, ["run", str(example), "--orchestrator", "airflow"])
        (tmp_path / "told").write_text(done.output, encoding="utf-8")
        return done.exit_code == 0

    def orchestrate() -> str:
        good = forks.run(command)
        told = (tmp_path / "told").read_text(encoding="utf-8")
        assert good, told[-6000:]
        return told

    first = orchestrate()
    assert first.count(": success (") == 3
    check_rows(example)
    second = orchestrate()
    assert "skipped: starbake has no incoming files (check_starbake_incoming_files)" in second
    check_rows(example)


CUSTOMERS = StarlakeSchedule("daily", "0 0 * * *", [StarlakeDomain("starbake", tables=["customers"])])


def customers(example: Path, name: str, **env: str) -> StarlakePipeline:
    options = {"sl_env_var": env, "pre_load_strategy": "imported", "retries": 0}
    file = str(example / "dags" / "starbake_load.py")
    with (
        Orchestration(
            options, orchestrator="airflow", environment="duckdb", filename=file, namespace={}
        ) as orchestration,
        orchestration.sl_create_pipeline(schedule=CUSTOMERS, name=name) as pipeline,
    ):
        pipeline.add_schedule()
    return pipeline


def test_the_project_of_the_pipeline_file_is_the_root(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SL_ROOT", raising=False)
    assert customers(example, "without_root").run().succeeded


def test_a_pipeline_object_runs(example: Path) -> None:
    """``pipeline.run()``, as in a script or a notebook."""
    pipeline = customers(example, "with_root", SL_ROOT=str(example))
    scheduled = datetime(2026, 11, 4, tzinfo=timezone.utc)
    report = pipeline.run(scheduled, run_id="first")
    assert report.succeeded, report
    assert (report.run_id, report.interval.end) == ("first", scheduled)
    assert {task.state for task in report.tasks} == {"success"}
    assert sorted(report.datasets) == ["starlake://starbake/customers", "with_root"]
    again = pipeline.run(scheduled)
    assert again.succeeded
    assert again.datasets == ()
    assert again.task("end_daily").state == "skipped"
    assert "starbake has no incoming files" in again.reason
    dry = pipeline.dry_run(scheduled)
    assert "--tables customers" in dry.task("load_starbake_customers").reason
    content = expected_tables()["starbake.Customers"]
    assert rows(example / "datasets" / "duckdb.db", "starbake.Customers", content["columns"]) == sorted(
        content["rows"], key=str
    )
