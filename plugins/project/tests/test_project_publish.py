"""``publish``: the pipelines of a project in one line, isolated from each other."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest
from grouping_cases import CASES, DAILY, LOADS, Case
from starlake_core_project import ProjectError, publish
from starlake_core_project.bakery import write_bakery

from starlake_core import OptionsError, StarlakePipeline
from starlake_core.dsl.orchestration import Overrides
from starlake_core.dsl.pipeline_files import load_file


def published(root: Path, **arguments: Any) -> dict[str, StarlakePipeline]:
    return {
        pipeline.id: pipeline
        for pipeline in publish(root, **{"orchestrator": "local", "environment": "duckdb", **arguments})
    }


def members(pipeline: StarlakePipeline) -> str:
    return " ".join(
        f"{task.command.domain}.{task.command.tables[0]}" if task.command.tables else task.command.transform
        for task in pipeline.tasks()
        if task.command is not None and task.is_work
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_pipelines_are_those_of_the_table(case: Case, tmp_path: Path) -> None:
    found = published(case.write(tmp_path), **case.arguments)
    assert {name: pipeline.cron for name, pipeline in found.items()} == {
        name: cron for name, (cron, _) in case.expected.items()
    }
    assert {name: set(members(p).split()) for name, p in found.items()} == {
        name: set(text.split()) for name, (_, text) in case.expected.items()
    }


@pytest.fixture
def bakery(tmp_path: Path) -> Path:
    root = tmp_path / "bakery"
    write_bakery(root, days=1)
    return root


def test_the_bakery(bakery: Path) -> None:
    found = published(bakery)
    assert list(found) == ["kpi_transform", "starbake_load"]
    kpi = found["kpi_transform"]
    assert {(before, after) for before, afters in kpi.edges.items() for after in afters} == {
        ("start", "kpi_customer_value"),
        ("start", "kpi_product_sales"),
        ("kpi_customer_value", "kpi_overview"),
        ("kpi_product_sales", "kpi_overview"),
        ("kpi_overview", "end"),
    }
    loads = [task for task in found["starbake_load"].tasks() if task.details is not None]
    assert [task.outlets[0].sink for task in loads] == [
        f"starbake.{name}" for name in ("Customers", "Ingredients", "Orders", "Products")
    ]
    assert [task.command.tables[0] for task in loads if task.command] == [
        "customers",
        "ingredients",
        "orders",
        "products",
    ]
    assert all(task.job.env["SL_ROOT"] == str(bakery) for task in loads if task.job)


def test_details_of_tables_and_transforms(bakery: Path) -> None:
    path = bakery / "metadata/load/starbake/customers.sl.yml"
    text = path.read_text(encoding="utf-8").replace(
        'rename: "Customers"',
        'rename: "Customers"\n  comment: "Who buys"\n  tags: ["owner:ann@example.org", pii]\n'
        '  expectations: [{expect: "is_unique(id)", failOnError: true}]',
    )
    path.write_text(text, encoding="utf-8")
    found = published(bakery)
    about = {
        task.details.name: task.details for pipeline in found.values() for task in pipeline.tasks() if task.details
    }
    customers = about["starbake.customers"]
    assert (customers.table, customers.kind, customers.description, customers.strategy) == (
        "starbake.Customers",
        "duckdb",
        "Who buys",
        "UPSERT_BY_KEY",
    )
    assert (customers.owners, customers.tags) == (("ann@example.org",), ("pii",))
    assert (customers.warn_after, customers.error_after) == (86400, 172800)
    assert [(column.name, column.type, column.required, column.key) for column in customers.columns][:2] == [
        ("id", "int", True, True),
        ("first_name", "string", True, False),
    ]
    (check,) = customers.checks
    assert (check.name, check.text, check.fails) == ("is_unique", "is_unique(id)", True)
    overview = about["kpi.overview"]
    assert "TIMESTAMPTZ {{ sl_data_interval_start }}" in overview.template
    assert "TIMESTAMPTZ '${sl_data_interval_start}'" in overview.sql


def test_transforms_without_a_schedule_are_started_by_what_they_read(tmp_path: Path) -> None:
    root = Case(
        "",
        {},
        dags={"all": "{{domain}}.py"},
        tables={"s.a": "schedule: daily, freshness: {error: 2 days}", "s.b": "schedule: hourly"},
        tasks={"k.a": "", "m.a": "dataset_triggering_strategy: 's.A2 & s.b'"},
        rename={"s.a": "A2"},
        application="  dagRef: {load: all, transform: all}\n",
    ).write(tmp_path)
    (root / "metadata/transform/k/a.sql").write_text("SELECT * FROM s.A2 JOIN s.b ON true", encoding="utf-8")
    (root / "metadata/transform/m/a.sql").write_text("SELECT * FROM s.a2 JOIN s.b ON true", encoding="utf-8")
    found = published(root)
    trigger = found["k"].trigger
    assert trigger is not None
    assert [(one.uri, one.cron, one.freshness) for one in trigger.datasets] == [
        ("starlake://s/a2", DAILY, 172800),
        ("starlake://s/b", "0 * * * *", 0),
    ]
    assert (trigger.policy, trigger.cron) == ("any", DAILY)
    assert found["m"].trigger is not None
    assert found["m"].trigger.policy == "s.a2 & s.b"
    (load,) = [task for task in found["s_daily"].tasks() if task.details]
    assert load.outlets[0].uri == "starlake://s/a2"


def test_loads_and_transforms_in_one_with_a_gate(bakery: Path) -> None:
    (one,) = published(bakery, by="project", names={"project": "bakery"}).values()
    edges = {(before, after) for before, afters in one.edges.items() for after in afters}
    assert one.id == "bakery"
    assert {("start", "check_starbake_incoming_files"), ("check_starbake_incoming_files", "starbake_import")} <= edges
    assert ("starbake_orders", "kpi_product_sales") in edges
    assert ("starbake_import", "starbake_orders") in edges
    assert ("kpi_overview", "end") in edges


def test_options_of_the_call_win_over_those_of_the_dag(tmp_path: Path) -> None:
    root = Case(
        "", {}, dags={"all": "x.py"}, tables={"s.a": ""}, application=LOADS + "  timezone: Europe/Paris\n"
    ).write(tmp_path)
    plain = published(root)["x"]
    assert (plain.pre_load_strategy, plain.zone_name) == ("none", "Europe/Paris")
    given = published(root, options={"pre_load_strategy": "pending", "timezone": "UTC", "retries": 4})["x"]
    assert (given.pre_load_strategy, given.zone_name, given.options["retries"]) == ("pending", "UTC", 4)


def broken(root: Path) -> dict[str, str]:
    """A project with three broken files and two pipelines that are well: what has to be reported for each."""
    Case(
        "",
        {},
        dags={"loads": "{{domain}}_load.py", "bad": "bad.py", "tasks": "{{domain}}.py"},
        tables={"s.a": "", "t.a": "", "u.a": "dagRef: bad"},
        tasks={"k.a": "", "m.a": ""},
        application="  dagRef: {load: loads, transform: tasks}\n",
    ).write(root)
    metadata = root / "metadata"
    (metadata / "load/t/a.sl.yml").write_text("version: 1\ntable:\n  pattern: a\n  colour: red\n", encoding="utf-8")
    (metadata / "transform/m/a.sql").write_text("SELECT 1\nFROM {{ x\n", encoding="utf-8")
    (metadata / "dags/bad.sl.yml").write_text("version: 1\ndag:\n  template: [\n", encoding="utf-8")
    return {"t_load": "load/t/a.sl.yml:4: ", "m": "transform/m/a.sql:2", "bad": "dags/bad.sl.yml:"}


def test_three_broken_files_are_reported_and_the_other_pipelines_work(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = broken(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert sorted(published(tmp_path)) == ["k", "s_load"]
    for name, place in wanted.items():
        assert any(name in line and f"{tmp_path}/metadata/{place}" in line for line in caplog.messages), name


def test_strict_raises_all_of_them(tmp_path: Path) -> None:
    wanted = broken(tmp_path)
    with pytest.raises(ProjectError) as caught:
        published(tmp_path, strict=True)
    assert all(place in str(caught.value) for place in wanted.values())


def test_wrong_options_of_one_dag_are_its_own_fault(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = Case(
        "", {}, dags={"one": "one.py", "two": "two.py"}, tables={"s.a": "dagRef: one", "s.b": "dagRef: two"}
    ).write(tmp_path)
    path = root / "metadata/dags/one.sl.yml"
    path.write_text(
        path.read_text(encoding="utf-8").replace("pre_load_strategy: none", "pre_load_strategy: often"),
        encoding="utf-8",
    )
    assert list(published(root)) == ["two"]
    assert any("one cannot be built" in line and "pre_load_strategy" in line for line in caplog.messages)
    with pytest.raises(OptionsError):
        published(root, strict=True)


def test_a_circle_of_transforms_is_the_fault_of_their_pipeline(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = Case("", {}, tasks={"k.a": "", "k.b": "", "m.a": ""}).write(tmp_path)
    for one, other in (("a", "b"), ("b", "a")):
        (root / f"metadata/transform/k/{one}.sql").write_text(f"SELECT * FROM k.{other}", encoding="utf-8")
    assert list(published(root)) == ["m_transform"]
    assert any("k.a -> k.b" in line or "k.b -> k.a" in line for line in caplog.messages)


def test_pipelines_that_start_each_other_are_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = Case("", {}, tasks={"k.a": "", "k.b": "", "m.a": "", "n.a": ""}).write(tmp_path)
    for name, sql in {"m/a": "SELECT * FROM k.a", "k/b": "SELECT * FROM m.a", "n/a": "SELECT * FROM k.b"}.items():
        (root / f"metadata/transform/{name}.sql").write_text(sql, encoding="utf-8")
    assert len(published(root)) == 3
    assert "the pipelines k_transform -> m_transform -> k_transform start each other without end" in caplog.text
    caplog.clear()
    (root / "metadata/transform/m/a.sl.yml").write_text("version: 1\ntask: {schedule: daily}\n", encoding="utf-8")
    published(root)
    assert "start each other" not in caplog.text


def test_a_project_that_schedules_nothing_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = Case("", {}, dags={"x": "x.py"}, tables={"s.a": ""}).write(tmp_path)
    assert published(root) == {}
    assert "1 tables or transforms have no dagRef" in caplog.text


def test_an_environment_that_there_is_not_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    template = "load/airflow__scheduled_table__nomad.py.j2"
    root = Case("", {}, dags={"x": "x.py"}, tables={"s.a": "dagRef: x"}, template=template).write(tmp_path)
    assert list(published(root, environment=None)) == ["x"]
    assert "x.sl.yml: the template names the environment 'nomad', which there is not" in caplog.text


def test_what_is_not_selected_is_not_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    broken(tmp_path)
    assert list(published(tmp_path, select="s.*", strict=True)) == ["s_load"]
    assert caplog.messages == []


def test_a_pipeline_file_of_one_line(bakery: Path, tmp_path: Path) -> None:
    file = tmp_path / "all.py"
    file.write_text(f"from starlake_core_project import publish\npublish({os.fspath(bakery)!r})\n", encoding="utf-8")
    loaded = load_file(file, Overrides(orchestrator="local", environment="duckdb"))
    assert (loaded.problems, loaded.faults) == ([], [])
    assert [pipeline.id for pipeline in loaded.pipelines] == ["kpi_transform", "starbake_load"]
    assert {pipeline.source for pipeline in loaded.pipelines} == {str(file)}


def test_two_projects_of_one_file_with_pipelines_of_one_id(bakery: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    write_bakery(other, days=1)
    path = tmp_path / "both.py"
    text = "from starlake_core_project import publish\nfor root in ('bakery', 'other'):\n    publish({}, environment='duckdb')\n"
    path.write_text(text.format(f"{str(tmp_path)!r} + '/' + root"), encoding="utf-8")
    loaded = load_file(path, Overrides(orchestrator="local"))
    assert sorted(pipeline.id for pipeline in loaded.pipelines) == ["kpi_transform", "starbake_load"]
    assert [fault.pipeline for fault in loaded.faults] == ["kpi_transform", "starbake_load"]
    assert "both.py have the id 'kpi_transform'; give one of them another name" in loaded.faults[0].message
    names = ", names={name: f'{root}_{name}' for name in ('kpi_transform', 'starbake_load')}"
    path.write_text(text.format(f"{str(tmp_path)!r} + '/' + root{names}"), encoding="utf-8")
    loaded = load_file(path, Overrides(orchestrator="local"))
    assert (loaded.problems, loaded.faults) == ([], [])
    assert len(loaded.pipelines) == 4


def test_the_bakery_is_run_with_the_engine(bakery: Path, tmp_path: Path) -> None:
    import duckdb

    (one,) = published(bakery, by="project", options={"retries": 0}).values()
    report = one.run()
    assert report.succeeded, report
    with duckdb.connect(str(bakery / "datasets/duckdb.db"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) > 0 FROM kpi.product_sales").fetchone() == (True,)
