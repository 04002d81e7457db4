"""``starlake-orchestrate check`` of a project: everything at once, with file and line."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent

import pytest
from click.testing import CliRunner, Result
from starlake_core_project import publish
from starlake_core_project.bakery import write_bakery

from starlake_core.cli.app import app


def check(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["check", *arguments])


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_bakery(tmp_path / "bakery", days=1)
    return tmp_path / "bakery"


def write(root: Path, name: str, text: str) -> None:
    path = root / "metadata" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text), encoding="utf-8")


def test_a_project_and_its_pipeline_files_are_well(root: Path) -> None:
    done = check("bakery")
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0].startswith("ok  bakery: project (")
    assert any(line.startswith("ok  bakery/dags/starbake_load.py: ") for line in lines)


def test_all_problems_of_all_files(root: Path) -> None:
    write(
        root,
        "load/starbake/bad.sl.yml",
        "version: 1\ntable:\n  pattern: x\n  colour: red\n  metadata: {separater: ','}\n",  # codespell:ignore separater
    )
    write(root, "load/starbake/worse.sl.yml", "version: 1\ntable: [\n")
    write(
        root,
        "load/starbake/types.sl.yml",
        "version: 1\ntable:\n  pattern: x\n  attributes:\n    - {name: a, type: strin}\n",  # codespell:ignore strin
    )
    write(root, "load/starbake/twin.sl.yml", "version: 1\ntable: {pattern: x, rename: ORDERS}\n")
    write(root, "transform/kpi/alone.sl.yml", "version: 1\ntask:\n  connectionRef: dukdb\n")
    write(root, "dags/load.sl.yml", "version: 1\ndag:\n  templat: x\n")  # codespell:ignore templat
    write(root, "refs.sl.yml", "version: 1\nrefs:\n  - {inptu: {table: a}}\n")
    write(root, "env.PROD.sl.yml", "version: 1\nenv:\n  a: [1]\n")
    write(root, "types/types.sl.yml", "version: 1\ntypes:\n  - {primitiveType: string}\n")
    write(root, "load/starbake/forgotten.yml", "version: 1\n")
    write(
        root,
        "load/starbake/old.sl.yml",
        "table:\n  pattern: o\n  metadata: {write: OVERWRITE, sink: {sharding: [a]}}\n",
    )
    done = check("bakery")
    assert done.exit_code == 1
    for problem in (
        "error: bakery/metadata/load/starbake/bad.sl.yml:4: table.colour is not a key of Starlake.",
        "error: bakery/metadata/load/starbake/bad.sl.yml:5: table.metadata.separater"  # codespell:ignore separater
        " is not a key of Starlake. Did you mean 'separator'?",
        "error: bakery/metadata/load/starbake/worse.sl.yml:2: is not valid YAML",
        "error: bakery/metadata/load/starbake/twin.sl.yml: defines the table ORDERS, and so does orders.sl.yml",
        "error: bakery/metadata/transform/kpi/alone.sl.yml: the transform kpi.alone has no query; write it to alone.sql in the same folder",
        "error: bakery/metadata/transform/kpi/alone.sl.yml:3: the connection 'dukdb' is not defined in application.sl.yml. Did you mean 'duckdb'?",
        "error: bakery/metadata/dags/load.sl.yml:3: dag.templat is not a key of Starlake. Did you mean 'template'?",  # codespell:ignore templat
        "error: bakery/metadata/refs.sl.yml:3: refs[0].inptu is not a key of Starlake. Did you mean 'input'?",
        "error: bakery/metadata/env.PROD.sl.yml:3: env.a must be a string, found a list",
        "error: bakery/metadata/types/types.sl.yml:3: types[0].name is missing",
        "warning: bakery/metadata/load/starbake/forgotten.yml: is not read, because its name does not end with .sl.yml; rename it",
        "warning: bakery/metadata/load/starbake/old.sl.yml: has no version",
        "warning: bakery/metadata/load/starbake/old.sl.yml:3: table.metadata.sink.sharding"
        " is refused by the DuckDB engine: several tables instead of one",
    ):
        assert problem in done.output
    assert done.output.splitlines()[-1].startswith("10 problems in ")
    (root / "metadata/types/types.sl.yml").unlink()
    assert (
        "types.sl.yml:5: the type 'strin' of the attribute 'a' is not defined in metadata/types. Did you mean 'string'?"
        in check("bakery").output
    )


def test_a_broken_application_does_not_hide_other_files(root: Path) -> None:
    write(root, "application.sl.yml", "version: 1\napplication:\n  conections: {}\n")  # codespell:ignore conections
    write(root, "load/starbake/bad.sl.yml", "version: 1\ntable:\n  pattern: x\n  colour: red\n")
    done = check("bakery")
    assert (
        "application.sl.yml:3: application.conections is not a key of Starlake. Did you mean 'connections'?"  # codespell:ignore conections
        in done.output
    )
    assert "bad.sl.yml:4: table.colour" in done.output


def test_the_same_as_json(root: Path) -> None:
    write(root, "load/starbake/bad.sl.yml", "version: 1\ntable:\n  pattern: x\n  colour: red\n")
    done = check("bakery", "--format", "json")
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert not found["ok"]
    (project,) = found["projects"]
    assert (project["folder"], project["ok"], len(project["problems"])) == (str(root), False, 1)


def test_a_project_without_pipeline_files(root: Path) -> None:
    for file in (root / "dags").iterdir():
        file.unlink()
    done = check("bakery")
    assert done.exit_code == 0, done.output
    assert done.output.startswith("ok  bakery: project (")


def test_a_variable_of_the_process_that_decides_rows(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SL_ARCHIVE_TABLE", "true")
    assert (
        "warning: SL_ARCHIVE_TABLE=true: the DuckDB engine refuses the setting archiveTable" in check("bakery").output
    )


def test_without_a_reader_it_says_what_to_install(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starlake_core.cli._projects.installed", lambda role: ())
    done = check("bakery")
    assert done.exit_code == 0
    assert (
        "its files below metadata are not checked. Install a reader with: pip install starlake-core-project"
        in done.output
    )


def test_files_that_are_not_read_are_warnings_everywhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    metadata = tmp_path / "shop/metadata"
    for name in (
        "application.sl.yml", "application.comet.yml", "load/s/a.comet.yml", "load/s/sub/b.sl.yml", "load/c.sl.yml",
        "transform/k/sub/d.sql", "transform/k/e.sql", "transform/k/notes.txt", "dags/sub/f.sl.yml", "macros/deep/g.sql",
    ):  # fmt: skip
        path = metadata / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("SELECT 1" if name.endswith("sql") else "", encoding="utf-8")
    wrong_name = "is not read, because its name does not end with .sl.yml; rename it"
    expected = {
        "application.comet.yml": wrong_name,
        "load/s/a.comet.yml": wrong_name,
        "load/s/sub/b.sl.yml": "is not read, because it is not in a folder load/DOMAIN itself; move it there",
        "load/c.sl.yml": "is not read, because it is not in a folder load/DOMAIN itself; move it there",
        "transform/k/sub/d.sql": "is not read, because it is not in a folder transform/DOMAIN itself; move it there",
        "dags/sub/f.sl.yml": "is not read, because it is not in a folder dags itself; move it there",
    }
    found = check("--format", "json", str(tmp_path / "shop"))
    warnings = json.loads(found.stdout)["projects"][0]["warnings"]
    assert {line for line in warnings if "not read" in line} == {
        f"{metadata}/{name}: {what}" for name, what in expected.items()
    }
    for _ in range(2):  # from the files, and from the cache
        caplog.clear()
        publish(tmp_path / "shop", orchestrator="local", environment="duckdb")
        assert {line for line in caplog.messages if "not read" in line} == {
            f"{metadata}/{name}: {what}" for name, what in expected.items()
        }


def test_undefined_variables_of_queries_are_warnings(tmp_path: Path) -> None:
    folder = tmp_path / "shop/metadata/transform/k"
    folder.mkdir(parents=True)
    (tmp_path / "shop/metadata/application.sl.yml").touch()
    (folder / "a.sql").write_text(
        "SELECT *\nFROM {{ nope }}.a WHERE d > {{ sl_data_interval_start }}", encoding="utf-8"
    )
    found = check(str(tmp_path / "shop"))
    assert f"{folder}/a.sql:2: variable 'nope' is not defined" in found.output
    assert "sl_data_interval_start" not in found.output
