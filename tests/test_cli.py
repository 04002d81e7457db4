"""The command line, as a person uses it: each command in a process of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import command_line
import pytest
from click.testing import CliRunner
from starlake_core_project.bakery import expected_tables, write_bakery

from starlake_core.cli.app import app


@pytest.fixture
def example(tmp_path: Path) -> Path:
    root = tmp_path / "starbake"
    write_bakery(root)
    return root


def orchestrate(*arguments: object, **env: str) -> subprocess.CompletedProcess[str]:
    return command_line.orchestrate(*arguments, env={**command_line.inherited(), **env})


def test_help_lists_every_command() -> None:
    done = CliRunner().invoke(app, ["--help"], prog_name="starlake-orchestrate")
    assert done.exit_code == 0
    for name in (
        "run",
        "dry-run",
        "backfill",
        "resume",
        "runs",
        "graph",
        "check",
        "new-plugin",
        "plugins",
        "options",
        "deploy",
        "delete",
    ):
        assert f"  {name} " in done.stdout
        assert CliRunner().invoke(app, [name, "--help"]).exit_code == 0
    assert command_line.fresh("--help").stdout.startswith("Usage: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["nope"],
        ["run"],
        ["run", ".", "--option", "x"],
        ["run", ".", "--date", "tomorrow"],
        ["run", ".", "--parallelism", "0"],
    ],
    ids=str,
)
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    assert orchestrate(*arguments).returncode == 2


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    done = orchestrate("run", tmp_path / "nope")
    assert done.returncode == 2
    assert done.stderr == f"error: there is no file or folder {tmp_path / 'nope'}\n"


def test_a_folder_without_pipelines(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("print('not a pipeline')")
    done = orchestrate("check", tmp_path)
    assert done.returncode == 2
    assert "no pipeline file in" in done.stderr
    assert "not a pipeline" not in done.stdout


def rows(database: Path, table: str, columns: list[str]) -> list[list[str]]:
    import duckdb

    with duckdb.connect(str(database), read_only=True) as connection:
        cast = ", ".join(f'CAST("{column}" AS VARCHAR)' for column in columns)
        return sorted(map(list, connection.execute(f"SELECT {cast} FROM {table}").fetchall()), key=str)


def test_a_date_may_end_with_z(example: Path) -> None:
    """Also on Python 3.10, whose library does not read it."""
    shown = [orchestrate("dry-run", example, "--date", f"2026-03-05T00:00:00{zone}").stdout for zone in ("Z", "+00:00")]
    assert shown[0] == shown[1] != ""


def test_the_example_runs_twice(example: Path) -> None:
    expected = expected_tables()
    database = example / "datasets" / "duckdb.db"
    first = orchestrate("run", example)
    assert first.returncode == 0, first.stdout + first.stderr
    assert first.stdout.count(": success (") == 3
    for table, content in expected.items():
        assert rows(database, table, content["columns"]) == sorted(content["rows"], key=str), table
    second = orchestrate("run", example)
    assert second.returncode == 0
    assert "skipped: starbake has no incoming files (check_starbake_incoming_files)" in second.stdout
    assert "starbake_kpi: success (5 skipped)" in second.stdout
    for table, content in expected.items():
        assert rows(database, table, content["columns"]) == sorted(content["rows"], key=str), table
    listed = orchestrate("runs", example)
    assert listed.stdout.count("success") >= 6
    assert orchestrate("resume", example).stdout == "nothing to resume: every recorded run succeeded\n"


def test_a_failure_is_exit_code_1_with_the_end_of_its_output(example: Path) -> None:
    (example / "metadata" / "transform" / "kpi" / "overview.sql").write_text("SELECT * FROM no.such_table")
    done = orchestrate("run", example, "--option", "retries=0")
    assert done.returncode == 1
    assert "kpi_overview failed: exit code 1" in done.stdout
    assert "such_table" in done.stdout
    log = next(line for line in done.stdout.splitlines() if line.strip().startswith("log: ")).split("log: ")[1]
    assert "such_table" in Path(log).read_text()
    (example / "metadata" / "transform" / "kpi" / "overview.sql").write_text("SELECT 1 AS one")
    resumed = orchestrate("resume", example, "--option", "retries=0")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert "load_starbake" not in resumed.stdout
    assert "kpi_overview success" in resumed.stdout


def test_a_pipeline_is_not_started_when_one_that_feeds_it_failed(example: Path) -> None:
    (example / "metadata" / "load" / "starbake" / "orders.sl.yml").write_text("version: 1\ntable: [broken\n")
    done = orchestrate("run", example, "--option", "retries=0")
    assert done.returncode == 1
    assert "starbake_kpi: not started, because starbake_load_hourly failed" in done.stdout


def test_a_backfill_and_a_selection(example: Path) -> None:
    file = example / "dags" / "starbake_load.py"
    done = orchestrate(
        "backfill", file, "--start", "2026-11-01", "--end", "2026-11-03", "--select", "load_starbake_customers"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("starbake_load_daily: run ") == 3
    assert "starbake_load_hourly" not in done.stdout
    assert done.stdout.count("load_starbake_customers success") == 3
    none = orchestrate("backfill", example / "dags" / "starbake_kpi.py", "--start", "2026-11-01", "--end", "2026-11-03")
    assert none.returncode == 1
    assert "has no cron schedule" in none.stderr


def test_variables_reach_the_commands(tmp_path: Path) -> None:
    file = tmp_path / "vars.py"
    file.write_text(
        "from starlake_core import Orchestration\n"
        'with Orchestration(environment="duckdb", orchestrator="local") as o, o.sl_create_pipeline() as p:\n'
        '    p.sl_transform(transform_name="k.t", transform_options={"who": "${var:WHO}"})\n'
    )
    assert "who=me" in orchestrate("dry-run", file, "--var", "WHO=me").stdout
    missing = orchestrate("dry-run", file)
    assert missing.returncode == 1
    assert "variable 'WHO' is not set" in missing.stderr
    assert "--var WHO=VALUE" in missing.stderr


BROKEN = {
    "options.py": 'Orchestration({"retries": -1, "pre_load_strategy": "importd", "retry_dely": 3}, environment="duckdb")',  # codespell:ignore importd
    "syntax.py": "Orchestration(",
    "crash.py": "Orchestration(environment='duckdb'); 1 / 0",
    "plugin.py": 'Orchestration(environment="duckbd")',
    "cycle.py": (
        'with Orchestration(environment="duckdb") as o, o.sl_create_pipeline() as p:\n'
        '    a, b = p.sl_dummy_op("a"), p.sl_dummy_op("b")\n'
        "    a >> b >> a\n"
    ),
}


def test_check_reports_all_problems_of_all_files(tmp_path: Path, example: Path) -> None:
    folder = tmp_path / "pipelines"
    folder.mkdir()
    for name, text in BROKEN.items():
        (folder / name).write_text(f"from starlake_core import Orchestration\n{text}\n")
    shutil.copy(example / "dags" / "starbake_kpi.py", folder)
    done = orchestrate("check", folder)
    assert done.returncode == 1
    for words in (
        "-1 is not a valid value for option 'retries' of plugin 'core'; use a whole number, at least 0",
        "'importd' is not a valid value for option 'pre_load_strategy' of plugin 'core'; use one of none, imported, pending, ack",
        "unknown option 'retry_dely'. Did you mean 'retry_delay'",
        "syntax.py, line 2",
        "crash.py, line 2: ZeroDivisionError",
        "no environment 'duckbd'",
        "Did you mean 'duckdb'?",
        "wait for each other: a >> b >> a",
        "starbake_kpi.py: starbake_kpi (5 tasks)",
    ):
        assert words in done.stdout, words
    assert "7 problems in 6 files" in done.stdout


def test_an_unknown_option_is_a_warning_and_strictly_an_error(tmp_path: Path) -> None:
    file = tmp_path / "file.py"
    file.write_text(
        "from starlake_core import Orchestration\n"
        'with Orchestration({"cloud_run_job_name": "x"}, environment="duckdb") as o, o.sl_create_pipeline() as p:\n'
        '    p.sl_dummy_op("a")\n'
    )
    lenient = orchestrate("check", file)
    assert lenient.returncode == 0
    assert "warning: file.py: option 'cloud_run_job_name' is ignored" in lenient.stdout
    strict = orchestrate("check", "--strict", file)
    assert strict.returncode == 1
    assert "unknown option 'cloud_run_job_name'" in strict.stdout


def test_the_command_line_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "file.py"
    file.write_text(
        "from starlake_core import Orchestration\n"
        'with Orchestration({"retries": 1}, environment="duckdb") as o, o.sl_create_pipeline() as p:\n'
        '    p.sl_load(domain="d", table="t")\n'
    )
    done = orchestrate("graph", file, "--format", "json", "--environment", "shell", "--option", "retries=0")
    (task,) = json.loads(done.stdout)["nodes"]
    assert task["job"]["environment"] == "shell"
    assert task["retries"] == 0
    by_variable = orchestrate("graph", file, "--format", "json", SL_RETRIES="7")
    assert json.loads(by_variable.stdout)["nodes"][0]["retries"] == 1


def test_a_pipeline_whose_commands_do_not_know_their_project_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "metadata").mkdir()
    (tmp_path / "sales.py").write_text(
        "# airflow dag\nfrom starlake_core import Orchestration\n"
        "with Orchestration(orchestrator='local', environment='shell') as orchestration:\n"
        "    with orchestration.sl_create_pipeline(name='sales') as pipeline:\n"
        "        pipeline.sl_transform('work', 'kpi.work')\n"
    )
    told = f"type: export SL_ROOT={tmp_path}"
    checked, shown = orchestrate("check", tmp_path / "sales.py"), orchestrate("dry-run", tmp_path / "sales.py")
    assert (checked.returncode, shown.returncode) == (0, 0)
    assert told in checked.stdout
    assert told in shown.stderr
    assert "export SL_ROOT" not in shown.stdout  # which is pasted into a shell
    assert told not in orchestrate("check", tmp_path / "sales.py", SL_ROOT=str(tmp_path)).stdout
    (tmp_path / "metadata" / "application.sl.yml").write_text("version: 1\n")
    assert told not in orchestrate("check", tmp_path / "sales.py").stdout


def test_two_processes_build_the_same_bytes(example: Path) -> None:
    outputs = {
        command_line.fresh(
            "graph", example, "--format", "json", env={**command_line.inherited(), "PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("0", "1", "4711")
    }
    assert len(outputs) == 1
    assert len(json.loads(outputs.pop())) == 3


@pytest.mark.parametrize(
    ("form", "start"),
    [("mermaid", "flowchart LR"), ("dot", 'digraph "starbake_load_daily" {'), ("tree", "starbake_load_daily")],
)
def test_the_graph_has_every_task_in_every_format(example: Path, form: str, start: str) -> None:
    done = orchestrate("graph", example / "dags" / "starbake_load.py", "--format", form)
    assert done.returncode == 0
    assert done.stdout.startswith(start)
    for task in (
        "start_daily",
        "import_starbake_daily",
        "load_starbake_customers",
        "end_daily",
        "load_starbake_orders",
    ):
        assert task in done.stdout


def test_plugins_are_listed_with_their_distribution() -> None:
    done = orchestrate("plugins")
    lines = [line.split() for line in done.stdout.splitlines()[1:]]
    assert ["environment", "duckdb", "starlake-core-duckdb", version("starlake-core"), "loads"] in lines
    assert ["orchestrator", "local", "starlake-core-local", version("starlake-core"), "loads"] in lines


def test_options_are_listed_with_type_default_and_variable() -> None:
    done = orchestrate("options", "--environment", "shell")
    line = next(line for line in done.stdout.splitlines() if line.split()[:1] == ["retries"])
    assert line.split()[:5] == ["retries", "core", "int", "1", "SL_RETRIES"]
    assert "SL_STARLAKE_PATH" in done.stdout
    assert "state_dir" in done.stdout


@pytest.mark.parametrize("verb", ["deploy", "delete"])
def test_the_local_orchestrator_has_nothing_to_deploy(example: Path, verb: str) -> None:
    done = orchestrate(verb, example)
    assert done.returncode == 1
    label = f"orchestrator 'local' (starlake-core-local {version('starlake-core')})"
    assert f"{label} has nothing to {verb}: it does not implement sl_{verb}" in done.stderr


def test_an_id_that_two_files_use_is_a_problem(tmp_path: Path) -> None:
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text(
            "from starlake_core import Orchestration\n"
            'with Orchestration(environment="duckdb") as o, o.sl_create_pipeline(name="same") as p:\n'
            '    p.sl_dummy_op("a")\n'
        )
    done = orchestrate("check", tmp_path)
    assert done.returncode == 1
    assert "the pipeline id 'same' is taken by a.py" in done.stdout
