"""The output of drivers: whole lines, none twice and none left out, wherever Dataproc keeps it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dataproc_lab import KEY, job_of, runner_of, sh
from emulators.dataproc import Dataproc
from emulators.storage import Storage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlake_core_dataproc.output import Output
from starlake_core_dataproc.state import DriverRun
from starlake_core_google import Calls, CloudLogs, Connection, Objects

from starlake_core.runtime import Runner, Verdict, execute, start
from starlake_core.testing.lab import settle, until

RUNNING = DriverRun(
    "projects/p/regions/r/jobs/j", "RUNNING", None, "", (), {}, {}, 0.0, 0.0, "gs://bucket/folder/driveroutput"
)
DONE = replace(RUNNING, state="DONE", verdict=Verdict.SUCCEEDED)


def read_all(runner: Runner, handle: str) -> list[str]:
    lines: list[str] = []
    cursor: str | None = None
    while True:
        more, cursor = runner.logs(handle, cursor)
        if not more:
            return lines
        lines += more


@pytest.mark.parametrize("chunk", [7, 1_000_000])
@pytest.mark.parametrize("kept", [True, False], ids=["Cloud Storage", "Cloud Logging"])
@pytest.mark.parametrize("options", [{}, {"dataproc_serverless": True, "dataproc_cluster": None}], ids=["job", "batch"])
def test_output_is_read_from_where_it_is(emulator: Dataproc, chunk: int, kept: bool, options: dict[str, Any]) -> None:
    emulator.chunk, emulator.keeps_output = chunk, kept
    sh(emulator, "for n in 1 2 3 4 5 6 7 8 9; do echo Zeile-$n-ü; done", "printf 'no newline at the end'", "exit 1")
    job = job_of({**emulator.options, **options})
    runner = runner_of(job)
    outcome = execute(job, runner, KEY)
    expected = [*(f"Zeile-{n}-ü" for n in range(1, 10)), "no newline at the end"]
    assert outcome.tail.splitlines() == expected
    handle = start(job, runner, KEY)
    until(lambda: len(read_all(runner, handle)) == 10, "all is there")
    assert read_all(runner, handle) == expected
    assert list(runner.tail(handle, 3)) == expected[-3:]  # type: ignore[attr-defined]


def test_a_driver_in_yarn_writes_to_cloud_logging(emulator: Dataproc) -> None:
    sh(emulator, "echo from the driver", "exit 2")
    job = job_of({**emulator.options, "dataproc_deploy_mode": "cluster"})
    runner = runner_of(job)
    assert execute(job, runner, KEY).tail == "from the driver"
    handle = start(job, runner, KEY)
    emulator.lag = 3600
    # Until it has arrived there, what the client of YARN wrote is better than nothing.
    assert "Application report" in runner.tail(handle, 5)[0]  # type: ignore[attr-defined]


def test_lines_come_while_the_driver_runs(emulator: Dataproc) -> None:
    sh(emulator, "echo one; printf tw", 'while [ ! -e "$GO" ]; do sleep 0.02; done', "echo o; echo three")
    go = emulator.buckets / "go"
    job = job_of({**emulator.options, "sl_env_var": {"GO": str(go)}, "dataproc_follow_logs": True})
    runner = runner_of(job)
    assert runner.follows is True  # type: ignore[attr-defined]
    handle = start(job, runner, KEY)
    until(
        lambda: list(runner.logs(handle, None)[0]) == ["one"], "the first line is there, and no half of the second one"
    )
    _, cursor = runner.logs(handle, None)
    go.touch()
    settle(runner, handle)
    assert list(runner.logs(handle, cursor)[0]) == ["two", "three"]


def test_output_that_cannot_be_read_changes_nothing(emulator: Dataproc) -> None:
    from emulators.faults import Fault, Kind

    sh(emulator, "exit 3")
    emulator.faults.plan("storage.list", Fault(Kind.DENIED), Fault(Kind.DENIED))
    job = job_of(emulator.options)
    outcome = execute(job, runner_of(job), KEY)
    assert (outcome.verdict, outcome.exit_code) == (Verdict.FAILED, 3)


# -- pieces


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    folder = tmp_path_factory.mktemp("buckets")
    (folder / "bucket" / "folder").mkdir(parents=True)
    with Storage(folder) as serving:
        yield serving


@pytest.fixture(scope="module")
def output(storage: Storage) -> Output:
    connection = Connection(None, storage.endpoint)
    calls = Calls("Cloud Storage", first_pause=0.01)
    return Output(Objects(connection, storage.endpoint, calls), CloudLogs(connection, "p"))


def put(folder: Path, content: bytes, chunk: int) -> None:
    for file in folder.iterdir():
        file.unlink()
    for number, begin in enumerate(range(0, len(content), chunk)):
        (folder / f"driveroutput.{number:09}").write_bytes(content[begin : begin + chunk])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12), min_size=1, max_size=12),
    chunk=st.integers(1, 40),
    cuts=st.lists(st.integers(0, 200), max_size=4),
    ends=st.booleans(),
)
def test_whatever_is_written_between_two_looks_is_told_once(
    storage: Storage, output: Output, lines: list[str], chunk: int, cuts: list[int], ends: bool
) -> None:
    content = "\n".join(lines).encode() + b"\n" * ends
    folder = storage.buckets / "bucket" / "folder"
    told: list[str] = []
    cursor: str | None = None
    for cut in sorted({min(cut, len(content)) for cut in cuts}):
        put(folder, content[:cut], chunk)
        more, cursor = output.after(RUNNING, cursor)
        told += more
    put(folder, content, chunk)
    more, cursor = output.after(DONE, cursor or "[0, 0]")
    told += more
    expected = content.decode().removesuffix("\n").split("\n")
    assert told == (expected if content else [])
    assert list(output.after(DONE, cursor)[0]) == []
    if content.strip():
        assert list(output.last(DONE, 4)) == expected[-4:]
