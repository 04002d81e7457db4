"""The output of commands, where Dagster shows the output of a step: in our threads, and in its own executor (see test_dagster_processes, too)."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dagster import AssetKey, Definitions, asset, in_process_executor
from dagster_runs import draw, instance_in, launch, output_of, resolved, states
from starlake_core_dagster import definitions, steps

from starlake_core import StarlakePipeline
from starlake_core.runtime import Verdict
from starlake_core.testing import FakeEnvironment


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Any]:
    with instance_in(tmp_path / "dagster") as found:
        yield found


def tables(p: StarlakePipeline) -> None:
    [p.sl_load("x", "g", "x"), p.sl_load("y", "g", "y")] >> p.end_task("end")


def run_of(instance: Any, executor: Any = None, options: dict[str, Any] | None = None) -> Any:
    environment = FakeEnvironment()
    environment.says("load:g.x", "a line of x", "password=hunter22")
    environment.says("load:g.y", "a line of y")
    environment.script("load:g.y", Verdict.FAILED, Verdict.SUCCEEDED)
    given = {"retries": 1, **(options or {})}
    made = draw(tables, given, environment=environment, executor_def=executor)
    return launch(resolved(definitions(made), "job", "p"), instance)


def test_each_step_has_its_own_output(instance: Any) -> None:
    """Although both ran in one process; a second attempt is below the first."""
    result = run_of(instance)
    assert result.success
    x, y = output_of(instance, result, "x"), output_of(instance, result, "y")
    assert x.startswith("$ starlake load ")
    assert "a line of x" in x
    assert "hunter22" not in x
    assert "a line of y" not in x
    assert y.count("a line of y") == 2
    assert "line" not in output_of(instance, result, "end")


def test_tables_in_one_step_share_its_output(instance: Any) -> None:
    def grouped(p: StarlakePipeline) -> None:
        with p.sl_create_task_group("g") as group:
            p.sl_load("x", "g", "x")
            p.sl_load("y", "g", "y")
        group >> p.end_task("end")

    environment = FakeEnvironment()
    environment.says("load:g.x", "a line of x")
    environment.says("load:g.y", "a line of y")
    made = draw(grouped, {"load_domain_in_one_step": True}, environment=environment)
    result = launch(resolved(definitions(made), "job", "p"), instance)
    # Side by side, so each line says of which table it is.
    output = output_of(instance, result, "g").splitlines()
    assert "g.x: a line of x" in output
    assert "g.y: a line of y" in output
    assert any(line.startswith("g.y: $ starlake load ") for line in output)
    told = "\n".join(one.user_message for one in instance.all_logs(result.run_id)).splitlines()
    assert {"g.x: a line of x", "g.y: a line of y"} <= set(told)


def test_the_output_says_how_a_step_ended_that_did_nothing_wrong_aloud(instance: Any) -> None:
    """A command may fail without a word; that a check is not ready, and that it is looked at again, is not said by its command either."""

    def build(p: StarlakePipeline) -> None:
        check = p.sl_pre_load("g", ["x"], "imported")
        assert check is not None
        check >> p.sl_load("x", "g", "x")
        p.sl_load("y", "h", "y")

    environment = FakeEnvironment()
    environment.script("preload:g", Verdict.NOT_READY)
    environment.script("load:h.y", Verdict.FAILED)
    options = {
        "pre_load_sensor": True,
        "pre_load_sensor_soft_fail": True,
        "pre_load_poke_interval": 1,
        "pre_load_timeout": 1,
    }
    made = draw(build, options, environment=environment)
    result = launch(resolved(definitions(made), "job", "p"), instance)
    assert not result.success
    first, *rest = output_of(instance, result, "y").splitlines()
    assert first.startswith("$ starlake load ")
    assert rest[-1].startswith("# failed: ")
    (check,) = (name for name in states(result) if name not in ("x", "y"))
    said = output_of(instance, result, check)
    assert said.count("$ starlake preload ") == 2
    assert "; checking again in 1 s\n" in said
    assert said.splitlines()[-1].startswith("# not ready: ")


def test_a_very_long_line_is_whole_in_the_output_but_not_in_the_log(instance: Any) -> None:
    """Each record of the log is a row in the database of Dagster."""
    environment = FakeEnvironment()
    environment.says("load:g.x", "a" * 50_000)
    made = draw(lambda p: p.sl_load("x", "g", "x"), environment=environment)
    result = launch(resolved(definitions(made), "job", "p"), instance)
    assert "a" * 50_000 in output_of(instance, result, "x")
    (line,) = [text for one in instance.all_logs(result.run_id) if (text := one.user_message).startswith("aaa")]
    assert line == f"{'a' * 10_000} [40000 characters left out]"


def test_the_executor_of_dagster_keeps_it_too(instance: Any, capfd: pytest.CaptureFixture[str]) -> None:
    with capfd.disabled():  # Dagster keeps what is written to the descriptors of the process
        result = run_of(instance, in_process_executor)
    assert result.success
    assert "a line of x" in output_of(instance, result, "x")


def test_what_others_print_is_kept_for_their_steps(instance: Any, capfd: pytest.CaptureFixture[str]) -> None:
    @asset(deps=[AssetKey(["g", "x"])])
    def report() -> None:
        print("a report")  # noqa: T201 - what is tested

    made = draw(lambda p: p.sl_load("x", "g", "x"), environment=FakeEnvironment())
    defs = Definitions.merge(Definitions(assets=[report]), definitions(made))
    resolve = getattr(defs, "resolve_implicit_global_asset_job_def", None) or defs.get_implicit_global_asset_job_def
    with capfd.disabled():
        result = launch(resolve(), instance)
    assert "a report" in output_of(instance, result, "report")


def test_a_log_that_cannot_be_kept_stops_nothing(instance: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any) -> Any:
        raise OSError("the disk is full")

    monkeypatch.setattr(instance.compute_log_manager, "open_log_stream", full)
    assert run_of(instance).success


def test_a_run_stores_little_more_than_dagster_itself(instance: Any) -> None:
    """Storing an event is most of what a run costs: the command is told by the event of the log."""

    def build(p: StarlakePipeline) -> None:
        check = p.sl_pre_load("g", ["x"], "imported")
        assert check is not None
        check >> p.sl_load("x", "g", "x") >> p.end_task("end")

    result = launch(resolved(definitions(draw(build)), "job", "p"), instance)
    assert result.success
    records = instance.all_logs(result.run_id)
    assert [one.user_message for one in records if one.dagster_event is None] == []
    told = {one.dagster_event.message for one in records if one.dagster_event.event_type_value == "LOGS_CAPTURED"}
    assert {line.split(" --")[0] for line in told} == {"starlake preload", "starlake load"}
    assert all(line.endswith("  # fake") for line in told)
    kinds = Counter(one.dagster_event.event_type_value for one in records)
    assert kinds["STEP_START"] == kinds["STEP_SUCCESS"] == len(["check", "x", "end", "waits_1", "anyway"])
    outputs = [one.dagster_event for one in records if one.dagster_event.event_type_value == "STEP_OUTPUT"]
    assert all(event.step_output_data.type_check_data.success for event in outputs), "or the page of the run is empty"


def records(instance: Any, run_id: str) -> list[str]:
    """The records of the log of a run that are about commands and their output."""
    found = [(entry.dagster_event, entry.user_message) for entry in instance.all_logs(run_id)]
    told = [message if event is None else event.message or "" for event, message in found]
    return [message for message in told if message.startswith(("starlake ", "a line"))]


@pytest.mark.parametrize("executor", [None, in_process_executor], ids=["threads", "in process"])
def test_the_log_of_a_step_has_the_command_and_its_output_in_few_records(
    instance: Any, executor: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """Where the output of the step has an event, it tells the command."""
    environment = FakeEnvironment()
    environment.says("load:g.x", "a line of x", "password=hunter22")
    made = draw(lambda p: p.sl_load("x", "g", "x"), environment=environment, executor_def=executor)
    with capfd.disabled():
        result = launch(resolved(definitions(made), "job", "p"), instance)
    found = records(instance, result.run_id)
    assert len(found) == (2 if executor is None else 1)
    command, *lines = "\n".join(found).splitlines()
    assert command.startswith("starlake load ")
    assert command.endswith("  # fake")
    assert lines == ["a line of x", "password=***"]


@pytest.mark.parametrize("executor", [None, in_process_executor], ids=["threads", "in process"])
def test_the_log_of_a_step_has_a_silent_command_before_it_ends(
    instance: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executor: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(steps, "_LINES_SECONDS", 0.01)
    program = tmp_path / "waits"
    program.write_text(f"#!/bin/sh\nuntil [ -e {tmp_path}/seen ]; do sleep 0.05; done\n")
    program.chmod(0o755)
    made = draw(
        lambda p: p.sl_load("x", "g", "x"),
        {"SL_STARLAKE_PATH": str(program)},
        environment="shell",
        root=tmp_path / "project",
        executor_def=executor,
    )
    seen: list[str] = []

    def look() -> None:
        deadline = time.monotonic() + 60
        while not seen and time.monotonic() < deadline:
            seen.extend(message for run in instance.get_runs() for message in records(instance, run.run_id))
        (tmp_path / "seen").touch()

    watching = threading.Thread(target=look, daemon=True)
    watching.start()
    with capfd.disabled():
        assert launch(resolved(definitions(made), "job", "p"), instance).success
    watching.join()
    assert len(seen) == 1
