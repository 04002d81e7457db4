"""What a run key promises: the work is done once, wherever a process dies and however often it is repeated."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from breadth import in_the_matrix
from starlake_core_duckdb import driver

if TYPE_CHECKING:
    from conftest import Sandbox

LOAD = ("load", "--domains", "shop", "--tables", "items")
NOTE = ("transform", "--name", "kpi.notes")


class Crash(BaseException):
    """Stands for the end of the process: nothing catches it."""


CRASH = Crash()
GONE = OSError("the disk is gone")


def prepare(sandbox: Sandbox) -> None:
    sandbox.write("metadata/transform/kpi/notes.sl.yml", "task: {writeStrategy: {type: APPEND}}")
    sandbox.write("metadata/transform/kpi/notes.sql", "SELECT count(*) AS n FROM shop.items")


def arrive(sandbox: Sandbox) -> None:
    sandbox.incoming("items1.csv", "id,label\n1,a\n2,b\n")
    sandbox.incoming("items2.csv", "id,label\n3,c\nx,rejected\n")
    sandbox.write("go.ack", "")


def commands(sandbox: Sandbox) -> list[tuple[str, ...]]:
    ack = ("preload", "--domain", "shop", "--strategy", "ack", "--globalAckFilePath", str(sandbox.root / "go.ack"))
    return [ack, ("stage", "--domains", "shop"), LOAD, NOTE]


def state(sandbox: Sandbox) -> dict[str, Any]:
    return {
        "items": sandbox.query("SELECT * FROM shop.items ORDER BY ALL"),
        "notes": sandbox.query("SELECT * FROM kpi.notes ORDER BY ALL"),
        "rejected": sandbox.query("SELECT file, row_number, record FROM starlake_core.rejected ORDER BY ALL"),
        "archive": sandbox.files("archive"),
        "left": sandbox.files("stage") + sandbox.files("ingesting") + sandbox.files("unresolved"),
        "ack": (sandbox.root / "go.ack").exists(),
    }


def expected(rounds: int) -> dict[str, Any]:
    names = [
        f"shop/items{number}{'' if again == 0 else f'.{again}'}.csv" for number in (1, 2) for again in range(rounds)
    ]
    return {
        "items": sorted([(1, "a"), (2, "b"), (3, "c")] * rounds),
        "notes": [(3 * number,) for number in range(1, rounds + 1)],
        "rejected": [("items2.csv", 2, "x,rejected")] * rounds,
        "archive": sorted(names),
        "left": [],
        "ack": False,
    }


@pytest.mark.parametrize("warm", [False, True])
def test_a_repeat_reports_the_first_result(sandbox: Sandbox, warm: bool) -> None:
    sandbox.warm = warm
    prepare(sandbox)
    arrive(sandbox)
    for command in commands(sandbox):
        first = sandbox.run(*command, SL_RUN_KEY="k")
        again = sandbox.run(*command, SL_RUN_KEY="k")
        assert (first.code, again.code) == (0, 0)
        if command[0] in ("load", "transform"):
            assert again.out == f"already done under this run key\n{first.out}"
    assert state(sandbox) == expected(1)


def test_a_run_that_was_made_again_under_its_id_is_new_work(sandbox: Sandbox) -> None:
    """It has the same run key and another instance. One that may be the same run, begun anew, is not done twice; nor is one that says nothing."""
    prepare(sandbox)
    arrive(sandbox)
    assert [
        sandbox.run(*command, SL_RUN_KEY="k", SL_RUN_INSTANCE="~monday~0").code for command in commands(sandbox)
    ] == [0] * 4
    assert state(sandbox) == expected(1)
    for instance in ("~monday~0", "~later~1", ""):
        assert sandbox.run(*NOTE, SL_RUN_KEY="k", SL_RUN_INSTANCE=instance).out.startswith("already done")
        assert sandbox.run(*commands(sandbox)[0], SL_RUN_KEY="k", SL_RUN_INSTANCE=instance).code == 0
    assert sandbox.run(*commands(sandbox)[0], SL_RUN_KEY="k", SL_RUN_INSTANCE="~tuesday~0").code != 0, (
        "its file is used up"
    )
    arrive(sandbox)
    assert [
        sandbox.run(*command, SL_RUN_KEY="k", SL_RUN_INSTANCE="~tuesday~0").code for command in commands(sandbox)
    ] == [0] * 4
    assert state(sandbox) == expected(2)


def test_what_an_earlier_version_did_is_known_by_the_name_that_it_had(sandbox: Sandbox) -> None:
    """It knew no deployments. What this version did in a deployment without a name is somebody else's."""
    prepare(sandbox)
    sandbox.write("metadata/transform/kpi/notes.sql", "SELECT 1 AS n")
    for instance, known in (("", True), ("~monday~0", False)):
        sandbox.run(*NOTE, SL_RUN_KEY=f"p/r{instance}/t~1", SL_RUN_INSTANCE=instance)
        now = {"SL_RUN_KEY": f"PROD:p/r{instance}/t~1", "SL_RUN_FORMER": f"p/r{instance}/t~1"}
        again = sandbox.run(*NOTE, **now, SL_RUN_INSTANCE="~monday~0")
        assert again.out.startswith("already done") == known


def test_a_repeat_leaves_new_files_for_the_next_load(sandbox: Sandbox) -> None:
    sandbox.staged("items1.csv", "id\n1\n")
    sandbox.run(*LOAD, SL_RUN_KEY="k")
    sandbox.staged("items1.csv", "id\n1\n")
    assert sandbox.run(*LOAD, SL_RUN_KEY="k").out.startswith("already done")
    assert sandbox.files("stage") == ["shop/items1.csv"]
    assert sandbox.run(*LOAD, SL_RUN_KEY="k2").code == 0
    assert sandbox.query("SELECT id FROM shop.items") == [(1,), (1,)]


def test_other_arguments_under_the_same_key_are_other_work(sandbox: Sandbox) -> None:
    prepare(sandbox)
    sandbox.staged("items1.csv", "id\n1\n")
    sandbox.run(*LOAD, SL_RUN_KEY="k")
    assert sandbox.run(*NOTE, SL_RUN_KEY="k").code == 0
    assert sandbox.run(*NOTE, "--options", "a=b", SL_RUN_KEY="k").code == 0
    assert len(sandbox.query("FROM kpi.notes")) == 2


def test_a_failure_is_not_remembered(sandbox: Sandbox) -> None:
    prepare(sandbox)
    assert sandbox.run(*NOTE, SL_RUN_KEY="k").code == 1
    sandbox.staged("items1.csv", "id\n1\n")
    sandbox.run(*LOAD)
    assert sandbox.run(*NOTE, SL_RUN_KEY="k").code == 0


class Faults:
    """Raises at the n-th of the steps that change a file or the database."""

    def __init__(self, at: int, error: BaseException) -> None:
        self.at = at
        self.error = error
        self.seen = 0

    def step(self) -> None:
        self.seen += 1
        if self.seen == self.at:
            raise self.error

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **keywords: Any) -> Any:
            self.step()
            result = function(*arguments, **keywords)
            self.step()
            return result

        return wrapped


class FaultyConnection:
    def __init__(self, connection: duckdb.DuckDBPyConnection, faults: Faults) -> None:
        self._connection = connection
        self._faults = faults
        self.commit = faults.around(connection.commit)

    def cursor(self) -> FaultyConnection:
        return FaultyConnection(self._connection.cursor(), self._faults)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def run_with_faults(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, faults: Faults, command: tuple[str, ...], **environ: str
) -> int | None:
    """The exit code, or None after a crash."""
    connect = driver.duckdb.connect
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", faults.around(os.rename))
        patch.setattr(Path, "unlink", faults.around(Path.unlink))
        patch.setattr(driver.duckdb, "connect", lambda *a, **k: FaultyConnection(connect(*a, **k), faults))
        try:
            return sandbox.run(*command, **environ).code
        except Crash:
            return None


@pytest.mark.parametrize(
    ("warm", "first", "error"),
    [
        (False, False, CRASH),
        (False, False, GONE),
        (False, True, CRASH),
        pytest.param(False, True, GONE, marks=in_the_matrix),
        (True, False, GONE),
        pytest.param(True, False, CRASH, marks=pytest.mark.soak),
        pytest.param(True, True, CRASH, marks=pytest.mark.soak),
        pytest.param(True, True, GONE, marks=pytest.mark.soak),
    ],
)
def test_a_fault_at_every_step(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, warm: bool, first: bool, error: BaseException
) -> None:
    """Both in a new project, where the database is made, and in one that has run before; as processes, and in the warm engine."""
    sandbox.warm = warm
    if first:
        sandbox.made = None
    rounds, at, hit = 0, 0, True
    prepare(sandbox)
    while hit:
        at += 1
        if first:
            for name in ("datasets", "incoming"):
                _remove(sandbox.root / name)
            rounds = 0
        rounds += 1
        arrive(sandbox)
        faults, hit = Faults(at, error), False
        for command in commands(sandbox):
            key = f"{at}-{command[0]}"
            code = run_with_faults(sandbox, monkeypatch, faults, command, SL_RUN_KEY=key)
            if code != 0:
                hit = True
                assert sandbox.run(*command, SL_RUN_KEY=key).code == 0
        assert state(sandbox) == expected(rounds), f"after a fault at step {at}"
    assert at > 12


@pytest.mark.parametrize("error", [Crash(), OSError("the disk is gone")], ids=["crash", "error"])
def test_a_load_without_a_key_loads_no_file_twice_either(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    at, hit = 0, True
    while hit:
        at += 1
        sandbox.staged("items1.csv", f"id\n{at}\n")
        faults = Faults(at, error)
        hit = run_with_faults(sandbox, monkeypatch, faults, LOAD) != 0
        assert sandbox.run(*LOAD).code == 0
    assert sandbox.query("SELECT id FROM shop.items ORDER BY id") == [(number,) for number in range(1, at + 1)]
    assert len(sandbox.files("archive")) == at


@pytest.mark.parametrize("how", ["link", "moved"])
def test_a_load_goes_on_in_a_project_that_is_somewhere_else(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """A container mounts the project at another path than the one before it, which ended between the commit and the archive."""
    folder, other = sandbox.root / "here", sandbox.root / "there"
    folder.mkdir()
    os.rename(sandbox.root / "metadata", folder / "metadata")
    sandbox.root = folder
    sandbox.staged("items1.csv", "id\n1\n")
    for at in range(1, 30):
        run_with_faults(sandbox, monkeypatch, Faults(at, Crash()), LOAD)
        if sandbox.files("ingesting"):
            with duckdb.connect(str(folder / "datasets" / "duckdb.db")) as connection:
                named = connection.execute("FROM duckdb_tables() WHERE table_name = 'items'").fetchall()
            if named:
                break
    if how == "link":
        other.symlink_to(folder)
    else:
        os.rename(folder, other)
    sandbox.root = other
    assert sandbox.run(*LOAD).code == 0
    assert sandbox.query("SELECT id FROM shop.items") == [(1,)]
    assert sandbox.files("archive") == ["shop/items1.csv"]
    sandbox.staged("items1.csv", "id\n2\n")
    assert sandbox.run(*LOAD).code == 0
    assert sandbox.query("SELECT count(*) FROM starlake_core.loaded_files") == [(1,)]


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("wanted", [20, pytest.param(200, marks=pytest.mark.soak)])
def test_killed_at_random_moments(sandbox: Sandbox, wanted: int) -> None:
    """SIGKILL: the tables and the files are those of an undisturbed run."""
    seed = random.SystemRandom().randrange(1_000_000)
    print(f"seed {seed}")  # noqa: T201
    rng = random.Random(seed)
    prepare(sandbox)
    usual: dict[str, float] = {}
    kills = rounds = 0
    while kills < wanted:
        rounds += 1
        arrive(sandbox)
        for command in commands(sandbox):
            key = f"{rounds}-{command[0]}"
            duration = usual.get(command[0])
            for _ in range(rng.randrange(4) if duration else 0):
                process = sandbox.process(*command, SL_RUN_KEY=key)
                time.sleep(rng.uniform(0.4, 1.05) * (duration or 0))
                process.send_signal(signal.SIGKILL)
                process.communicate()
                kills += 1
            began = time.monotonic()
            result = sandbox.finish(sandbox.process(*command, SL_RUN_KEY=key))
            usual[command[0]] = min(usual.get(command[0], 9), time.monotonic() - began)
            assert result.code == 0, f"seed {seed}: {command}: {result.err}"
    assert state(sandbox) == expected(rounds), f"seed {seed}"
