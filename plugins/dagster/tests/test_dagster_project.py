"""``publish``: the jobs of a project from a module of one line."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from breadth import ON_EVERY_VERSION, in_the_matrix
from dagster_runs import repository
from starlake_core_project import ProjectError, publish
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


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SL_")]:
        monkeypatch.delenv(name)


def module_of(root: Path, *others: Path) -> dict[str, Any]:
    """What Dagster finds in a module that publishes a project, and others after it."""
    path = root / "definitions.py"
    calls = [f"publish({os.fspath(project)!r}, environment='duckdb')" for project in (root, *others)]
    text = "\n".join(["from starlake_core_project import publish", *calls])
    path.write_text(text, encoding="utf-8")
    namespace: dict[str, Any] = {"__name__": "definitions", "__file__": str(path)}
    exec(compile(text, str(path), "exec"), namespace)
    return namespace


def jobs(root: Path) -> set[str]:
    return {job.name for job in repository(module_of(root)["defs"]).get_all_jobs() if not job.name.startswith("__")}


def test_the_bakery(tmp_path: Path) -> None:
    write_bakery(tmp_path, days=1)
    defs = module_of(tmp_path)["defs"]
    graph = repository(defs).asset_graph
    parents = {
        "/".join(key.path): {"/".join(other.path) for other in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
    }
    assert parents["kpi/overview"] >= {"kpi/product_sales", "kpi/customer_value"}
    assert parents["kpi/product_sales"] >= {"starbake/orders", "starbake/products"}
    assert jobs(tmp_path) >= {"kpi_transform", "starbake_load"}


SHAPES = [case for case in CASES.CASES if case.dags and not case.arguments and case.application][
    :: 1 if ON_EVERY_VERSION else 6
]


@pytest.mark.parametrize("case", SHAPES, ids=lambda case: case.name)
def test_the_jobs_of_a_project(case: Any, tmp_path: Path) -> None:
    assert jobs(case.write(tmp_path)) == set(case.expected)


def broken(root: Path) -> dict[str, str]:
    """Three broken files beside pipelines that are well: what is reported for each."""
    CASES.Case(
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
    return {"t_load": "load/t/a.sl.yml:4: ", "m": "transform/m/a.sql:2: ", "bad": "dags/bad.sl.yml:3: "}


def test_three_broken_files_are_warnings_and_the_others_load(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    wanted = broken(tmp_path)
    assert jobs(tmp_path) == {"s_load", "k"}
    for name, place in wanted.items():
        assert any(
            line.startswith(f"{name} cannot be built: {tmp_path}/metadata/{place}") for line in caplog.messages
        ), (name, caplog.messages)


def test_of_two_pipelines_with_one_id_the_second_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one, two = (CASES.Case("", {}, tables={f"{n}.a": "", f"t.{n}": ""}).write(tmp_path / n) for n in ("one", "two"))
    found = repository(module_of(one, two)["defs"]).get_all_jobs()
    assert {job.name for job in found if not job.name.startswith("__")} == {"one_load", "t_load", "two_load"}
    assert any(
        line.startswith("t_load cannot be built: two pipelines of ") and "names={'t_load': ...}" in line
        for line in caplog.messages
    ), caplog.messages


def test_strict_raises_what_is_wrong_with_all_three(tmp_path: Path) -> None:
    wanted = broken(tmp_path)
    with pytest.raises(ProjectError) as caught:
        publish(tmp_path, environment="duckdb", strict=True)
    assert all(place in str(caught.value) for place in wanted.values())


@in_the_matrix
def test_the_code_location_shows_the_warnings(tmp_path: Path) -> None:
    wanted = broken(tmp_path)
    module_of(tmp_path)
    words = [sys.executable, "-m", "dagster", "definitions", "validate", "-f", str(tmp_path / "definitions.py")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    shown = done.stdout + done.stderr
    assert all(f"{name} cannot be built" in shown and place in shown for name, place in wanted.items()), shown


@in_the_matrix
def test_the_bakery_is_run_with_the_engine(tmp_path: Path) -> None:
    import duckdb

    write_bakery(tmp_path, days=1)
    (one,) = publish(tmp_path, environment="duckdb", by="project", options={"retries": 0})
    assert one.run().succeeded
    with duckdb.connect(str(tmp_path / "datasets/duckdb.db"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) > 0 FROM kpi.product_sales").fetchone() == (True,)


def test_the_steps_of_a_run_share_an_engine_that_does_not_stay(tmp_path: Path) -> None:
    import duckdb
    from dagster_runs import instance_in, launch
    from starlake_core_duckdb.engine import client

    folder = tmp_path / "project" / "metadata" / "transform" / "kpi"
    folder.mkdir(parents=True)
    for number in range(4):
        (folder / f"t{number}.sl.yml").write_text("task: {}\n", encoding="utf-8")
        (folder / f"t{number}.sql").write_text(f"SELECT {number} AS n", encoding="utf-8")
    (tmp_path / "project/metadata/application.sl.yml").write_text("version: 1\napplication: {}\n", encoding="utf-8")
    before = set(client._engines)
    (pipeline,) = publish(tmp_path / "project", environment="duckdb", by="project", options={"retries": 0})
    with instance_in(tmp_path / "dagster") as instance:
        assert launch(pipeline.native.alone, instance).success
    # The run has ended, so nothing waits for the database.
    with duckdb.connect(str(tmp_path / "project/datasets/duckdb.db"), read_only=True) as connection:
        keys = connection.execute("SELECT count(DISTINCT run_key), count(*) FROM starlake_core.run_keys").fetchone()
    assert keys == (4, 4)
    (path,) = set(client._engines) - before
    deadline = time.monotonic() + 60
    while os.path.exists(f"{path}.lock"):
        assert time.monotonic() < deadline, "the engine stays"
        time.sleep(0.05)
