"""``publish``: every DAG of a project from a file of one line, as a real DagBag loads it."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from breadth import ON_EVERY_VERSION, once_on_airflow
from starlake_core_airflow.versions import VERSION
from starlake_core_project.bakery import write_bakery

HERE = Path(__file__).parent


def cases() -> Any:
    """The expectations of the tests of the reader of projects."""
    spec = importlib.util.spec_from_file_location("grouping_cases", HERE.parents[1] / "project/tests/grouping_cases.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


CASES = cases()


def load(folder: Path) -> Any:
    if VERSION >= (3, 2):
        from airflow.dag_processing.dagbag import DagBag
    else:
        from airflow.models.dagbag import DagBag
    return DagBag(dag_folder=str(folder))


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SL_")]:
        monkeypatch.delenv(name)


def bag(root: Path, arguments: str = "environment='duckdb'") -> Any:
    folder = root / "dags_of_test"
    folder.mkdir()
    text = f"# airflow dag\nfrom starlake_core_project import publish\npublish({os.fspath(root)!r}, {arguments})\n"
    (folder / "all.py").write_text(text, encoding="utf-8")
    return load(folder)


def edges(dag: Any) -> set[tuple[str, str]]:
    return {(task.task_id, after) for task in dag.tasks for after in task.downstream_task_ids}


def test_the_bakery(tmp_path: Path) -> None:
    write_bakery(tmp_path, days=1)
    found = bag(tmp_path)
    assert found.import_errors == {}
    assert sorted(found.dags) == ["kpi_transform", "starbake_load"]
    dag = found.dags["kpi_transform"]
    assert edges(dag) == {
        ("start", "kpi_customer_value"),
        ("start", "kpi_product_sales"),
        ("kpi_customer_value", "kpi_overview"),
        ("kpi_product_sales", "kpi_overview"),
        ("kpi_overview", "end"),
    }
    assert dag.fileloc.endswith("all.py")
    text = dag.get_task("kpi_overview").doc_md
    assert "Table: `kpi.overview`." in text
    assert "```sql\n-- One row for each run" in text


SHAPES = [case for case in CASES.CASES if case.dags and not case.arguments and case.application][
    :: 1 if ON_EVERY_VERSION else 6
]


@pytest.mark.parametrize("case", SHAPES, ids=lambda case: case.name)
def test_the_dags_of_a_project(case: Any, tmp_path: Path) -> None:
    found = bag(case.write(tmp_path))
    assert sorted(found.dags) == sorted(case.expected)
    for name, (_, members) in case.expected.items():
        assert sum(1 for task in found.dags[name].tasks if hasattr(task, "job")) == len(members.split())


def test_a_pipeline_that_cannot_be_built_is_an_import_error_of_its_own(tmp_path: Path) -> None:
    root = CASES.Case(
        "",
        {},
        dags={"loads": "{{domain}}_load.py", "bad": "bad.py", "tasks": "{{domain}}.py"},
        tables={"s.a": "", "t.a": "", "u.a": "dagRef: bad"},
        tasks={"k.a": "tags: ['owner:ann']", "m.a": ""},
        application="  dagRef: {load: loads, transform: tasks}\n",
    ).write(tmp_path)
    metadata = root / "metadata"
    (metadata / "load/t/a.sl.yml").write_text("version: 1\ntable:\n  pattern: a\n  colour: red\n", encoding="utf-8")
    (metadata / "transform/m/a.sql").write_text("SELECT 1\nFROM {{ x\n", encoding="utf-8")
    (metadata / "dags/bad.sl.yml").write_text("version: 1\ndag:\n  template: [\n", encoding="utf-8")
    found = bag(root)
    assert sorted(found.dags) == ["k", "s_load"]
    assert found.dags["k"].get_task("k_a").owner == "ann"
    errors = {name.rpartition(":")[2]: (name, text) for name, text in found.import_errors.items()}
    assert sorted(errors) == ["bad", "m", "t_load"]
    # Airflow stops every DAG of a file that has an import error: these are not of the file.
    assert all("all.py:" in name for name, _ in errors.values())
    assert "load/t/a.sl.yml:4: " in errors["t_load"][1]
    assert "transform/m/a.sql:2" in errors["m"][1]
    assert "dags/bad.sl.yml:" in errors["bad"][1]


def test_no_error_is_lost_if_two_projects_of_a_file_have_broken_pipelines_of_one_name(tmp_path: Path) -> None:
    folder = tmp_path / "dags"
    folder.mkdir()
    lines = ["# airflow dag", "from starlake_core_project import publish"]
    for name in ("one", "two"):
        root = CASES.Case("", {}, tables={f"{name}.a": "", "t.a": ""}).write(tmp_path / name)
        path = root / "metadata/load/t/a.sl.yml"
        path.write_text("version: 1\ntable: {pattern: a, colour: red}\n", encoding="utf-8")
        lines.append(f"publish({os.fspath(root)!r}, environment='duckdb')")
    (folder / "all.py").write_text("\n".join(lines), encoding="utf-8")
    found = load(folder)
    assert sorted(found.dags) == ["one_load", "two_load"]
    ((name, text),) = found.import_errors.items()
    assert name.endswith("all.py:t_load")
    assert all(f"{tmp_path}/{root}/metadata/load/t/a.sl.yml:2: " in text for root in ("one", "two"))


def test_of_two_pipelines_with_one_id_the_second_is_an_import_error(tmp_path: Path) -> None:
    folder = tmp_path / "dags"
    folder.mkdir()
    lines = ["# airflow dag", "from starlake_core_project import publish"]
    for name in ("one", "two"):
        root = CASES.Case("", {}, tables={f"{name}.a": "", f"t.{name}": ""}).write(tmp_path / name)
        lines.append(f"publish({os.fspath(root)!r}, environment='duckdb')")
    (folder / "all.py").write_text("\n".join(lines), encoding="utf-8")
    found = load(folder)
    assert sorted(found.dags) == ["one_load", "t_load", "two_load"]
    assert "load_t_one" in {task.task_id.rpartition(".")[2] for task in found.dags["t_load"].tasks}
    ((name, text),) = found.import_errors.items()
    assert name.endswith("all.py:t_load")
    assert "have the id 't_load'; give one of them another name" in text


def test_strict_is_an_import_error_of_the_file(tmp_path: Path) -> None:
    root = CASES.Case("", {}, dags={"x": "x.py"}, tables={"s.a": "dagRef: y", "s.b": "dagRef: x"}).write(tmp_path)
    found = bag(root, "environment='duckdb', strict=True")
    assert not found.dags
    assert len(found.import_errors) == 1


@once_on_airflow
def test_the_bakery_is_run_with_the_engine(tmp_path: Path) -> None:
    import duckdb
    from starlake_core_project import publish

    write_bakery(tmp_path, days=1)
    (one,) = publish(tmp_path, environment="duckdb", by="project", options={"retries": 0})
    assert one.run().succeeded
    with duckdb.connect(str(tmp_path / "datasets/duckdb.db"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) > 0 FROM kpi.product_sales").fetchone() == (True,)
