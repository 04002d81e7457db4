"""The environment ``shell``: what its jobs say, and what its processes see."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from starlake_core_shell import plugin

from starlake_core import Job, Orchestration, RunKey, RunnerError, StarlakePipeline
from starlake_core.runtime import Outcome, Verdict, execute

# Prints its arguments, folder and environment as JSON, then ends as told.
PROGRAM = """#!{python}
import json, os, pathlib, sys
print(json.dumps({{"argv": sys.argv[1:], "cwd": os.getcwd(), "env": dict(os.environ)}}))
sys.exit(int(os.environ.get("SL_TEST_EXIT", "0")))
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "star lake"
    path.write_text(PROGRAM.format(python=sys.executable))
    path.chmod(0o755)
    return path


def job(program: Path, **options: object) -> Job:
    given = {"SL_STARLAKE_PATH": str(program), "sl_env_var": {"SL_ROOT": str(program.parent)}, **options}
    with Orchestration(
        given, orchestrator="local", environment="shell", filename="t.py", namespace={}
    ) as orchestration:
        pipeline: StarlakePipeline
        with orchestration.sl_create_pipeline(name="t") as pipeline:
            task = pipeline.sl_load(domain="d", table="t")
    assert task.job is not None
    return task.job


def run(job: Job) -> tuple[Outcome, dict[str, object]]:
    runner = plugin.sl_create_runner(job)
    lines: list[str] = []
    outcome = execute(job, runner, RunKey("p/r/t", "1"), on_line=lines.append)
    return outcome, json.loads(lines[0])


def test_the_process_gets_the_vector_the_folder_and_the_variables(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SL_ENV", "TEST")
    monkeypatch.setenv("SOMETHING_ELSE", "not named")
    monkeypatch.setenv("NAMED", "named")
    outcome, seen = run(job(program, sl_include_env_vars="NAMED"))
    env = seen["env"]
    assert isinstance(env, dict)
    assert outcome.succeeded
    assert seen["argv"] == ["load", "--scheduledDate", "${sl_scheduled_date}", "--domains", "d", "--tables", "t"]
    assert seen["cwd"] == str(program.parent)
    assert env["SL_ROOT"] == str(program.parent)
    assert env["SL_ENV"] == "TEST"
    assert env["NAMED"] == "named"
    assert env["SL_RUN_KEY"] == "p/r/t"
    assert "SOMETHING_ELSE" not in env
    assert "PATH" in env


@pytest.mark.parametrize("word", ["*", "_"])
def test_a_star_stands_for_the_whole_environment(program: Path, monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv("SOMETHING_ELSE", "kept")
    env = run(job(program, sl_include_env_vars=word))[1]["env"]
    assert isinstance(env, dict)
    assert env["SOMETHING_ELSE"] == "kept"


def test_variables_of_the_pipeline_win_over_those_of_the_worker(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SL_ENV", "WORKER")
    env = run(job(program, sl_env_var={"SL_ROOT": str(program.parent), "SL_ENV": "PIPELINE"}))[1]["env"]
    assert isinstance(env, dict)
    assert env["SL_ENV"] == "PIPELINE"


def test_an_exit_code_is_a_failure_with_the_end_of_the_output(program: Path) -> None:
    env = {"SL_ROOT": str(program.parent), "SL_TEST_EXIT": "9", "DB_PASSWORD": "hunter22"}
    outcome, seen = run(job(program, sl_env_var=env))
    assert outcome.verdict is Verdict.FAILED
    assert outcome.exit_code == 9
    assert '"argv"' in outcome.tail
    assert "hunter22" not in outcome.tail
    assert "***" in str(seen["env"])


def test_a_missing_executable_says_how_to_get_one(tmp_path: Path) -> None:
    made = job(tmp_path / "nope")
    with pytest.raises(RunnerError, match="was not found") as error:
        run(made)
    for words in ("Install the Starlake command line", "SL_STARLAKE_PATH", "pip install starlake-core-duckdb"):
        assert words in str(error.value)


def test_a_project_that_is_not_there_is_no_missing_executable(program: Path) -> None:
    with pytest.raises(RunnerError, match="SL_ROOT is '/no/such/project', which is not a folder"):
        run(job(program, sl_env_var={"SL_ROOT": "/no/such/project"}))


def test_secrets_are_not_shown(program: Path) -> None:
    made = job(program, sl_env_var={"SL_ROOT": "/r", "DB_PASSWORD": "hunter22"})
    assert "hunter22" not in repr(made)
    assert "hunter22" in made.to_json()
