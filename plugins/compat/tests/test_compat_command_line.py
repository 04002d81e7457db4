"""``python -m ai.starlake.orchestration`` in its documented words."""

from __future__ import annotations

from pathlib import Path

import pytest
from breadth import hostless
from compat_runs import example, run
from starlake_core_compat.command_line import translated


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("run --file a.py", ["run", "a.py"]),
        ("dry-run --file a.py --file b", ["dry-run", "a.py", "b"]),
        ("deploy --file d --options k=v,url=x=y", ["deploy", "d", "--option", "k=v", "--option", "url=x=y"]),
        (
            'run --file a.py --options {"retries":2,"sl_env_var":{"SL_ROOT":"/r"},"tags":"x,y"}',
            [
                "run",
                "a.py",
                "--option",
                "retries=2",
                "--option",
                'sl_env_var={"SL_ROOT": "/r"}',
                "--option",
                "tags=x,y",
            ],
        ),
        (
            "backfill --file a.py --options start_date=2026-11-01,end_date=2026-11-03,retries=0",
            ["backfill", "a.py", "--start", "2026-11-01", "--end", "2026-11-03", "--option", "retries=0"],
        ),
        ("delete --file a.py", ["delete", "a.py"]),
    ],
)
def test_words(words: str, expected: list[str]) -> None:
    assert translated(words.split(" ")) == (expected, {})


def test_homes_are_variables_of_the_process() -> None:
    words, variables = translated(["run", "--file", "a.py", "--options", "AIRFLOW_HOME=/home/a,retries=1"])
    assert words == ["run", "a.py", "--option", "retries=1"]
    assert variables == {"AIRFLOW_HOME": "/home/a"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("run", "--file"),
        ("fly --file a.py", "invalid choice: 'fly'"),
        ("run --file a.py --options retries", "neither JSON nor name=value"),
        ("run --file a.py --options {x}", "is not valid JSON"),
        ("backfill --file a.py --options start_date=2026-11-01", "start_date=...,end_date=..."),
    ],
)
def test_wrong_words(words: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        translated(words.split(" "))
    assert raised.value.code == 2
    assert told in capsys.readouterr().err


@hostless
def test_a_dry_run(project: Path) -> None:
    file = project / "dags" / "starbake_load.py"
    file.write_text(example("starbake_load"), encoding="utf-8")
    done = run("-m", "ai.starlake.orchestration", "dry-run", "--file", str(file), "--options", "pre_load_strategy=none")
    assert done.returncode == 0, done.stderr
    assert "--domains starbake --tables customers" in done.stdout
    assert "preload" not in done.stdout


@hostless
def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    done = run("-m", "ai.starlake.orchestration", "run", "--file", str(tmp_path / "nothing.py"))
    assert done.returncode == 2
    assert "there is no file or folder" in done.stderr
