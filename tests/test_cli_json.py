"""JSON for scripts: one document on the standard output, whatever pipeline files print; and what can be forgotten."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from command_line import orchestrate

PIPELINES = """
import pathlib
from starlake_core import Orchestration
print("a pipeline file says hello")
project = pathlib.Path({root!r})
options = {{"SL_STARLAKE_PATH": str(project / "starlake"), "sl_env_var": {{"SL_ROOT": str(project)}}, "retries": 0}}
with Orchestration(options, environment="shell", orchestrator="local") as orchestration:
    with orchestration.sl_create_pipeline(name="first", cron="0 0 * * *") as pipeline:
        pipeline.sl_load(domain="d", table="t") >> pipeline.add_native("mine", lambda: lambda run: print("a node says hello"))
"""

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "json.md"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "starlake").write_text('#!/bin/sh\nprintf "\\033[2Jpassword=hunter22\\n"\nexit $(cat code)\n')
    (tmp_path / "starlake").chmod(0o755)
    (tmp_path / "code").write_text("0")
    (tmp_path / "pipelines.py").write_text(PIPELINES.format(root=str(tmp_path)))
    return tmp_path


def document(*arguments: object, code: int = 0) -> dict[str, Any]:
    done = orchestrate(*arguments, "--format", "json")
    assert done.returncode == code, done
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["version"] == 1
    assert found["command"] == arguments[0]
    assert "hunter22" not in done.stdout + done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    return found


def _documented(table: str) -> set[str]:
    """The keys that the page has for a kind of thing."""
    part = PAGE.read_text().split(f"| *{table}* |")[1].split("\n\n")[0]
    return {
        key
        for line in part.splitlines()
        if line.startswith("| `")
        for key in re.findall(r"`(\w+)`", line.split("|")[1])
    }


def test_a_run_and_its_record(project: Path) -> None:
    ran = document("run", project)
    (run,) = ran["runs"]
    assert (run["pipeline"], run["state"]) == ("first", "success")
    assert [task["state"] for task in run["tasks"]] == ["success", "success"]
    listed = document("runs", project)["runs"]
    assert [found["run"] for found in listed] == [run["run"]]
    assert listed[0]["started"]
    assert set(run) == _documented("run")
    assert set(run["tasks"][0]) == _documented("task")
    assert document("resume", project)["runs"] == []


def test_a_failure_that_is_resumed_and_a_run_that_is_forgotten(project: Path) -> None:
    (project / "code").write_text("3")
    (run,) = document("run", project, code=1)["runs"]
    assert run["tasks"][0]["exit_code"] == 3
    (project / "pipelines.py").write_text((project / "pipelines.py").read_text().replace('table="t"', 'table="u"'))
    refused = orchestrate("resume", project)
    assert refused.returncode == 1
    assert f"--forget {run['run']}" in refused.stderr
    assert document("runs", project, "--forget", run["run"])["runs"] == []
    assert orchestrate("resume", project).stdout.startswith("nothing to resume")
    again = orchestrate("runs", project, "--forget", run["run"])
    assert again.returncode == 2
    assert "there is no run" in again.stderr


def test_a_dry_run_has_the_lines_for_a_shell(project: Path) -> None:
    (run,) = document("dry-run", project)["runs"]
    assert "load" in run["tasks"][0]["shell"]
    assert not (project / ".starlake-core").exists()


def test_a_backfill_is_one_document(project: Path) -> None:
    found = document("backfill", project, "--start", "2026-01-01", "--end", "2026-01-03")
    assert [run["interval_end"][:10] for run in found["runs"]] == ["2026-01-01", "2026-01-02", "2026-01-03"]


def test_a_check_names_problems(project: Path) -> None:
    (project / "bad.py").write_text("from starlake_core import Orchestration\nraise ValueError('\\x1b[2J')\n")
    found = document("check", project, code=1)
    assert not found["ok"]
    bad, good = found["files"]
    assert (bad["ok"], good["ok"]) == (False, True)
    assert set(good) == _documented("file")
    empty = project / "empty.py"
    empty.write_text("")
    assert "no pipeline" in document("check", empty, code=1)["files"][0]["problems"][0]


def test_plugins_and_options() -> None:
    plugins = document("plugins")["plugins"]
    assert {"local", "shell"} <= {plugin["name"] for plugin in plugins}
    assert set(plugins[0]) == _documented("plugin")
    options = document("options", "--environment", "shell")["options"]
    assert set(options[0]) == _documented("option")
    assert next(o for o in options if o["option"] == "retries")["default"] == 1


@pytest.mark.parametrize("command", ["graph", "dry-run", "run"])
def test_what_a_pipeline_file_prints_is_on_the_standard_error(command: str, project: Path) -> None:
    done = orchestrate(command, project)
    assert "a pipeline file says hello" in done.stderr
    assert "a pipeline file says hello" not in done.stdout


def test_two_pipelines_of_one_id_in_one_file_are_refused(project: Path) -> None:
    text = (project / "pipelines.py").read_text()
    (project / "pipelines.py").write_text(text + text[text.index("    with orchestration") :])
    found = document("check", project, code=1)
    assert "have the id 'first'" in found["files"][0]["problems"][0]
    assert orchestrate("run", project).returncode == 1


def test_every_escape_of_a_terminal_is_spelt_out_in_a_failure(project: Path) -> None:
    (project / "code").write_text("1")
    done = orchestrate("run", project)
    assert "\\x1b[2J" in done.stdout
    assert "\x1b" not in done.stdout
    assert "hunter22" not in done.stdout
