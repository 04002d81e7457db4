"""A run of the local orchestrator finds what is broken in a project before it starts anything."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Sandbox

PIPELINE = """
from starlake_core import Orchestration

options = {"pre_load_strategy": "imported", "retries": 1, "retry_delay": 300}

with Orchestration(options=options, orchestrator="local", environment="duckdb") as orchestration:
    with orchestration.sl_create_pipeline(name="shop") as pipeline:
        check = pipeline.sl_pre_load("shop", tables=["items"])
        staged = pipeline.sl_import(domain="shop", tables=["items"])
        load = pipeline.sl_load(domain="shop", table="items")
        total = pipeline.sl_transform(task_id="kpi_total", transform_name="kpi.total")
        check >> staged >> load >> total
"""


@pytest.fixture
def project(sandbox: Sandbox) -> Sandbox:
    sandbox.write("metadata/application.sl.yml", "application: {}")
    sandbox.write("metadata/transform/kpi/total.sql", "SELECT count(*) AS n FROM shop.items")
    sandbox.write("pipe.py", PIPELINE)
    sandbox.incoming("items.csv", "id,label\n1,a\n")
    return sandbox


def ran(project: Sandbox, *words: str) -> tuple[int, dict[str, Any], str]:
    process = project.python("-m", "starlake_core", *words, "--format", "json")
    result = project.finish(process)
    assert result.out, result.err
    return result.code, json.loads(result.out)["runs"][0], result.err


def run(project: Sandbox, *words: str) -> tuple[int, dict[str, Any], str]:
    return ran(project, "run", str(project.root / "pipe.py"), *words)


def test_a_project_that_can_be_read_runs(project: Sandbox) -> None:
    code, report, _ = run(project)
    assert (code, report["state"]) == (0, "success")


@pytest.mark.parametrize(
    ("path", "text", "named"),
    [
        ("metadata/application.sl.yml", "application: {colours: {}}", "application.sl.yml:2"),
        ("metadata/env.sl.yml", "env: [", "env.sl.yml"),
        ("metadata/load/shop/_config.sl.yml", "load: {metadata: {colour: ','}}", "_config.sl.yml:2"),
        ("metadata/load/shop/items.sl.yml", "table: {colour: x}", "items.sl.yml:2"),
        ("metadata/transform/kpi/total.sl.yml", "task: {streems: []}", "total.sl.yml:2"),
        ("metadata/transform/kpi/total.sql", "SELECT {{ 1 + }}", "total.sql"),
    ],
)
def test_a_file_that_cannot_be_read_ends_the_run_before_it_starts(
    project: Sandbox, path: str, text: str, named: str
) -> None:
    project.write(path, text)
    code, report, _ = run(project)
    assert (code, report["state"]) == (1, "failed")
    assert named in report["reason"]
    assert "--options" not in report["reason"]
    assert all(task["attempts"] == 0 for task in report["tasks"])
    assert (project.root / "incoming/shop/items.csv").exists()


def test_all_faults_are_reported_at_once_and_the_run_can_be_resumed(project: Sandbox) -> None:
    good = (project.root / "metadata/load/shop/items.sl.yml").read_text()
    project.write("metadata/load/shop/items.sl.yml", "table: {colour: x}")
    project.write("metadata/transform/kpi/total.sl.yml", "task: {streems: []}")
    _, report, _ = run(project)
    assert "items.sl.yml:2" in report["reason"]
    assert "total.sl.yml:2" in report["reason"]
    project.write("metadata/load/shop/items.sl.yml", good)
    project.write("metadata/transform/kpi/total.sl.yml", "task: {}")
    code, report, _ = ran(project, "resume", str(project.root / "pipe.py"), "--run", report["run"])
    assert (code, report["state"]) == (0, "success")
    assert project.query("SELECT n FROM kpi.total") == [(1,)]


def test_the_reason_is_shown(project: Sandbox) -> None:
    project.write("metadata/load/shop/items.sl.yml", "table: {colour: x}")
    shown = project.finish(project.python("-m", "starlake_core", "run", str(project.root / "pipe.py")))
    assert "items.sl.yml:2: table.colour is not a key" in shown.out


def test_what_the_run_does_not_need_does_not_stop_it(project: Sandbox) -> None:
    project.table("others", "table: {colour: x}")
    project.write("metadata/transform/kpi/other.sl.yml", "task: {streems: []}")
    code, report, _ = run(project)
    assert (code, report["state"]) == (0, "success")


def test_what_is_not_selected_does_not_stop_it(project: Sandbox) -> None:
    project.write("metadata/transform/kpi/total.sl.yml", "task: {streems: []}")
    code, report, _ = run(project, "--exclude", "kpi_total")
    assert (code, report["state"]) == (0, "success")
