"""The commands on the folder of a project: its own pipelines, or the pipeline files in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from grouping_cases import Case
from starlake_core_project.bakery import write_bakery

from starlake_core.cli.app import app


def call(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def bakery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_bakery(tmp_path / "bakery", days=1)
    return Path("bakery")


def test_pipeline_files_of_a_project_are_preferred(bakery: Path) -> None:
    done = call("graph", bakery, "--format", "json")
    assert done.exit_code == 0, done.output
    assert {pipeline["id"] for pipeline in json.loads(done.stdout)} == {
        "starbake_kpi",
        "starbake_load_daily",
        "starbake_load_hourly",
    }
    assert "note: bakery has pipeline files, and these are used; --from project uses" in done.stderr
    assert call("graph", bakery, "--from", "files", "--format", "json").stderr == ""


def test_the_pipelines_of_a_project(bakery: Path) -> None:
    done = call("graph", bakery, "--from", "project", "--format", "json")
    assert done.exit_code == 0, done.output
    assert {pipeline["id"] for pipeline in json.loads(done.stdout)} == {"starbake_load", "kpi_transform"}
    checked = call("check", bakery, "--from", "project")
    assert checked.exit_code == 0, checked.output
    assert "starbake_load (" in checked.output


def test_a_project_is_explained(tmp_path: Path) -> None:
    root = Case("", {}, tables={"s.a": "schedule: daily"}, tasks={"k.a": ""}).write(tmp_path)
    (root / "metadata/transform/k/a.sql").write_text("SELECT * FROM s.a", encoding="utf-8")
    done = call("explain", root)
    assert "k_transform: SKIP: nothing new was loaded" in done.stdout


def test_a_project_is_run(bakery: Path) -> None:
    done = call("run", bakery, "--from", "project", "--format", "json", "-o", "retries=0")
    assert done.exit_code == 0, done.output
    runs = json.loads(done.stdout)["runs"]
    assert [(run["pipeline"], run["state"]) for run in runs] == [
        ("starbake_load", "success"),
        ("kpi_transform", "success"),
    ]
    assert (bakery / ".starlake-core").is_dir()


def test_a_folder_that_is_no_project(tmp_path: Path) -> None:
    done = call("graph", tmp_path, "--from", "project")
    assert done.exit_code == 2
    assert "is not the folder of a Starlake project" in done.stderr


def test_broken_files_are_reported_and_the_rest_is_shown(tmp_path: Path) -> None:
    root = Case(
        "", {}, dags={"x": "{{domain}}.py"}, tables={"s.a": "", "t.a": ""}, application="  dagRef: {load: x}\n"
    ).write(tmp_path)
    (root / "metadata/load/t/a.sl.yml").write_text(
        "version: 1\ntable:\n  pattern: a\n  colour: red\n", encoding="utf-8"
    )
    done = call("graph", root, "--environment", "duckdb", "--format", "json")
    assert json.loads(done.stdout)["id"] == "s"
    assert f"pipeline t cannot be built: {root}/metadata/load/t/a.sl.yml:4: " in done.stderr
    checked = call("check", root, "--environment", "duckdb", "--format", "json")
    assert checked.exit_code == 1
    found = json.loads(checked.stdout)
    assert [pipeline["pipeline"] for pipeline in found["files"][0]["pipelines"]] == ["s"]
    assert found["files"][0]["problems"] == ["t cannot be built"]
    assert "a.sl.yml:4: " in found["projects"][0]["problems"][0]
    (root / "incoming").mkdir()
    ran = call("run", root, "--environment", "duckdb", "--format", "json", "-o", "retries=0")
    assert [(run["pipeline"], run["state"]) for run in json.loads(ran.stdout)["runs"]] == [("s", "success")]
    assert ran.exit_code == 1
    for command in (("resume",), ("watch", "--until-idle")):
        done = call(*command, root, "--environment", "duckdb")
        assert ("cannot be built" in done.stderr, done.exit_code) == (True, 1), command


def with_a_broken_table(folder: Path) -> Path:
    """A project with a pipeline for each of two tables, of which ``t.a`` cannot be read."""
    root = Case(
        "",
        {},
        dags={"x": "{{domain}}.py"},
        tables={"s.a": "schedule: '0 1 * * *'", "t.a": ""},
        application="  dagRef: {load: x}\n",
    ).write(folder)
    (root / "metadata/load/t/a.sl.yml").write_text("version: 1\ntable: [\n", encoding="utf-8")
    (root / "incoming").mkdir()
    return root


def test_a_backfill_of_a_project_fails_for_what_it_leaves_out(tmp_path: Path) -> None:
    root = with_a_broken_table(tmp_path)
    done = call(
        "backfill",
        root,
        "--environment",
        "duckdb",
        "--format",
        "json",
        "--start",
        "2026-01-01",
        "--end",
        "2026-01-01T02:00",
    )
    assert [(run["pipeline"], run["state"]) for run in json.loads(done.stdout)["runs"]] == [("s", "success")]
    assert done.exit_code == 1


@pytest.mark.parametrize(
    ("words", "code", "state"),
    [
        (("s.*",), 0, "warning"),
        (("t.a",), 1, "error"),
        (("*",), 1, "error"),
        ((), 1, "error"),
        (("s.*", "t.*"), 1, "error"),
    ],
)
def test_a_broken_pipeline_fails_a_run_that_selects_its_work(
    words: tuple[str, ...], code: int, state: str, tmp_path: Path
) -> None:
    root = with_a_broken_table(tmp_path)
    done = call("run", root, "--environment", "duckdb", *(part for word in words for part in ("--select", word)))
    assert (done.exit_code, f"{state}: " in done.stderr) == (code, True), done.stderr


def test_a_backfill_of_a_project_leaves_out_what_has_no_schedule(tmp_path: Path) -> None:
    root = Case("", {}, tables={"s.a": "schedule: '0 1 * * *'"}, tasks={"k.a": ""}).write(tmp_path)
    (root / "metadata/transform/k/a.sql").write_text("SELECT * FROM s.a", encoding="utf-8")
    period = ("--environment", "duckdb", "--format", "json", "--start", "2026-01-01", "--end", "2026-01-01T00:30")
    done = call("backfill", root, *period)
    assert "note: pipeline k_transform has no cron schedule, so it is left out" in done.stderr
    assert "no schedule fires from" in done.stderr
    none = call("backfill", root, *period, "--select", "k.a")
    assert "has no cron schedule, so there are no intervals to backfill" in none.stderr


def test_a_project_without_pipelines(tmp_path: Path) -> None:
    root = Case("", {}).write(tmp_path)
    done = call("run", root)
    assert done.exit_code == 1
    assert "no pipeline in the project" in done.stderr
