"""``starlake-orchestrate demo``, as a newcomer uses it: in an empty folder, each command in a process of its own."""

from __future__ import annotations

import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path

import command_line
import duckdb
import pytest
import yaml
from breadth import in_the_matrix
from starlake_core_project.bakery import INCOMING, data_files, expected_tables, write_bakery

from starlake_core.testing import StandIn
from starlake_core.testing.areas import TableModel, Warehouse

PROGRAM = Path(sys.executable).with_name("starlake-orchestrate")


def environment(**more: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SL_")}
    return {**inherited, "PATH": f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}", **more}


def orchestrate(folder: Path, *words: object, **env: str) -> subprocess.CompletedProcess[str]:
    return command_line.orchestrate(*words, cwd=folder, env=environment(**env))


def shell(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment(), text=True, capture_output=True, check=False
    )


def rows(root: Path, days: int) -> None:
    """See that every table holds what it should after some days."""
    with duckdb.connect(str(root / "datasets" / "duckdb.db"), read_only=True) as connection:
        for table, content in expected_tables(days).items():
            columns = ", ".join(f'CAST("{column}" AS VARCHAR)' for column in content["columns"])
            found = connection.execute(f"SELECT {columns} FROM {table}").fetchall()
            assert sorted(map(list, found), key=str) == sorted(content["rows"], key=str), table


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def typed_next(output: str) -> list[str]:
    """The commands that the demo offers."""
    offered = output.partition("Try next\n")[2].partition("\n\n")[0]
    return [line.strip() for line in offered.splitlines() if not line.strip().startswith("#")]


def test_it_shows_the_tables_of_the_bakery_and_what_to_try_next(tmp_path: Path) -> None:
    done = orchestrate(tmp_path, "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert [path.name for path in tmp_path.iterdir()] == ["starbake"]
    rows(tmp_path / "starbake", 2)
    for table, count in (("starbake.Customers", 200), ("starbake.Orders", 1996), ("kpi.overview", 1)):
        assert re.search(rf"^ {re.escape(table)} +{count} *$", done.stdout, re.MULTILINE), done.stdout
    assert "FROM kpi.product_sales" in done.stdout
    assert re.search(r"^ Cinnamon Bun +pastry +210 +6247\.50", done.stdout, re.MULTILINE)
    assert len(done.stdout.splitlines()) < 45
    offered = typed_next(done.stdout)
    assert [shlex.split(command)[1] for command in offered] == ["demo", "graph", "run"]
    for command in offered:
        assert shell(tmp_path, command).returncode == 0, command


def test_a_day_comes_again_and_a_third_time_there_is_nothing_to_do(tmp_path: Path) -> None:
    root = tmp_path / "starbake"
    orchestrate(tmp_path, "demo")
    (root / "README.md").write_text("my own words")
    before = tree(root)
    came = orchestrate(tmp_path, "demo", "--again")
    assert came.returncode == 0, came.stderr
    assert "starbake/datasets/incoming/starbake/orders-2026-11-03.json" in came.stdout
    assert {name for name, content in tree(root).items() if before.get(name) != content} == {
        *(f"{INCOMING}/{name}" for name in data_files(3)),
        ".starlake-demo",
    }
    loaded = orchestrate(tmp_path, "demo")
    assert loaded.returncode == 0, loaded.stdout
    assert re.search(r"^ starbake.Orders +2981 +\+985", loaded.stdout, re.MULTILINE), loaded.stdout
    rows(root, 3)
    nothing = orchestrate(tmp_path, "demo")
    assert nothing.returncode == 0
    assert "all delivered files are loaded: nothing to do" in nothing.stdout
    assert "starbake_load_daily" not in nothing.stdout
    rows(root, 3)
    assert (root / "README.md").read_text() == "my own words"


def test_a_folder_of_somebody_else_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").touch()
    done = orchestrate(tmp_path, "demo", "mine")
    assert done.returncode == 2
    assert "the folder mine is not empty and was not created by the demo" in done.stderr
    assert list(tree(tmp_path)) == ["mine/a.txt"]


@pytest.mark.faults
@pytest.mark.parametrize(
    "moment",
    [
        ".starlake-demo",
        pytest.param("datasets/stage", marks=in_the_matrix),
        pytest.param("datasets/archive", marks=in_the_matrix),
        "datasets/duckdb.db",
    ],
)
def test_a_demo_that_was_killed_goes_on(tmp_path: Path, moment: str) -> None:
    root = tmp_path / "starbake"
    process = subprocess.Popen(
        [PROGRAM, "demo"], cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL, start_new_session=True
    )
    while not (root / moment).exists() and process.poll() is None:
        os.sched_yield()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = orchestrate(tmp_path, "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    rows(root, 2)


def test_a_demo_that_failed_goes_on_when_the_reason_is_gone(tmp_path: Path) -> None:
    first = orchestrate(tmp_path, "demo", "--environment", "shell", SL_STARLAKE_PATH="/nowhere/starlake")
    assert first.returncode == 1
    assert "continue with: starlake-orchestrate demo --environment shell" in first.stdout
    done = orchestrate(tmp_path, "demo")  # in another environment, so the runs cannot be resumed
    assert done.returncode == 0, done.stdout + done.stderr
    assert "so new ones start" in done.stdout
    rows(tmp_path / "starbake", 2)
    assert "nothing to do" in orchestrate(tmp_path, "demo").stdout


def test_it_ends_sensibly_where_nobody_can_show_the_tables(tmp_path: Path) -> None:
    program = StandIn(tmp_path / "program")
    done = orchestrate(tmp_path, "demo", "bakery", "--environment", "shell", SL_STARLAKE_PATH=str(program.path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "starbake_kpi: success" in done.stdout
    assert "keeps its tables where" in done.stdout
    assert typed_next(done.stdout)[1] == "starlake-orchestrate graph bakery --environment shell"
    assert {call.env["SL_ROOT"] for call in program.calls()} == {str(tmp_path / "bakery")}


def models(root: Path, keys: str = "key") -> list[TableModel]:
    """The tables of the bakery as the command line sees them."""
    found = []
    for file in sorted((root / "metadata" / "load" / "starbake").glob("[!_]*.yml")):
        table = yaml.safe_load(file.read_text(encoding="utf-8"))["table"]
        strategy = table["metadata"]["writeStrategy"]
        found.append(TableModel("starbake", table["name"], table["pattern"], strategy["type"], keys in strategy))
    return found


def test_two_days_on_the_modelled_command_line(tmp_path: Path) -> None:
    root, program = tmp_path / "bakery", StandIn(tmp_path / "program")
    given = {"SL_STARLAKE_PATH": str(program.path)}
    write_bakery(root)
    program.keep(*models(root))
    shutil.rmtree(root)
    words = ("demo", "bakery", "--environment", "shell")
    for day in (2, 3):
        done = orchestrate(tmp_path, *words, **given)
        assert done.returncode == 0, done.stdout + done.stderr
        if day == 2:
            assert orchestrate(tmp_path, *words, "--again", **given).returncode == 0
    files = [data for number in range(1, 4) for data in data_files(number).items()]
    for model in models(root):
        texts = [text.decode().splitlines() for name, text in files if model.fits(name)]
        if model.strategy == "APPEND":
            wanted = [row for text in texts for row in text]
        elif model.strategy == "OVERWRITE":
            wanted = texts[-1]
        else:
            wanted = list({row.partition(",")[0]: row for text in texts for row in text}.values())
        assert sorted(Warehouse(root).rows("starbake", model.table) or []) == sorted(wanted), model
    left = [file for area in ("incoming", "stage", "ingesting") for file in (root / "datasets" / area).rglob("*.*")]
    assert not left


def test_the_modelled_command_line_knows_no_key_but_that_of_the_strategy(tmp_path: Path) -> None:
    """As the real one: with nothing but a ``primaryKey`` the first day goes well and the second does not."""
    root, program = tmp_path / "bakery", StandIn(tmp_path / "program")
    given = {"SL_STARLAKE_PATH": str(program.path)}
    write_bakery(root)
    program.keep(*models(root, keys="primaryKey"))
    shutil.rmtree(root)
    words = ("demo", "bakery", "--environment", "shell")
    assert orchestrate(tmp_path, *words, **given).returncode == 0
    orchestrate(tmp_path, *words, "--again", **given)
    done = orchestrate(tmp_path, *words, **given)
    assert done.returncode == 1
    assert re.search(r"starbake_load_daily: failed .*2 failed", done.stdout), done.stdout


def test_it_never_runs_on_the_project_of_the_shell(tmp_path: Path) -> None:
    """The demo must not write a bakery into a user's own project."""
    own = tmp_path / "own"
    own.mkdir()
    elsewhere: Mapping[str, str] = {
        "SL_ROOT": str(own),
        "SL_DATASETS": str(own / "data"),
        "SL_AREA_ARCHIVE": "old",
        "SL_DUCKDB_PATH": str(own / "own.db"),
        "SL_ENV": "PROD",
    }
    done = orchestrate(tmp_path, "demo", **elsewhere)
    assert done.returncode == 0, done.stdout + done.stderr
    rows(tmp_path / "starbake", 2)
    assert tree(own) == {}
    assert f"unset {' '.join(sorted(elsewhere))}\n" in done.stdout
    same = orchestrate(tmp_path, "demo", SL_ROOT=str(tmp_path / "starbake"))
    assert "unset" not in same.stdout


def test_what_is_missing_is_named_at_once_with_what_to_install(tmp_path: Path) -> None:
    """Only the core is there: its own distribution, and those that it needs."""
    hiding = tmp_path / "hiding"
    hiding.mkdir()
    (hiding / "sitecustomize.py").write_text(
        "import importlib.metadata as m\n"
        "real = m.distributions\n"
        "m.distributions = lambda **k: [d for d in real(**k) if not (d.metadata['Name'] or '').startswith('starlake-core-')]\n"
    )
    assert [d for d in distributions() if (d.metadata["Name"] or "").startswith("starlake-core-")]
    work = tmp_path / "work"
    work.mkdir()
    done = command_line.fresh("demo", cwd=work, env=environment(PYTHONPATH=str(hiding)))
    assert done.returncode == 2
    assert "pip install starlake-core-duckdb starlake-core-local starlake-core-project" in done.stderr
    assert list(work.iterdir()) == []
    typo = orchestrate(work, "demo", "--orchestrator", "airflw")
    assert (typo.returncode, list(work.iterdir())) == (2, [])
    assert "no orchestrator 'airflw'" in typo.stderr


@pytest.mark.parametrize("typed", [pytest.param("module", marks=in_the_matrix), "path"])
def test_the_commands_that_it_offers_are_typed_as_it_was_itself(tmp_path: Path, typed: str) -> None:
    words = [sys.executable, "-m", "starlake_core"] if typed == "module" else [str(PROGRAM)]
    env = {**environment(), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [*words, "demo", "my bakery"], cwd=tmp_path, env=env, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    offered = typed_next(done.stdout)
    assert offered[0] == f"{shlex.join(words)} demo 'my bakery' --again"
    for command in offered:
        ran = subprocess.run(
            ["/bin/bash", "-c", command], cwd=tmp_path, env=env, text=True, capture_output=True, check=False
        )
        assert ran.returncode == 0, ran.stderr


def test_on_a_terminal_the_live_tables_go_and_the_result_stays(tmp_path: Path) -> None:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [PROGRAM, "demo"], cwd=tmp_path, env=environment(TERM="xterm"), stdout=follower, stderr=follower
    )
    os.close(follower)
    said = b""
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:  # the other side is closed
            break
        if not piece:
            break
        said += piece
    assert process.wait() == 0
    os.close(leader)
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said.decode())
    assert re.search(r"\d/7 tasks", shown)
    assert shown.rpartition("starbake_kpi: success")[2].count("Try next") == 1
