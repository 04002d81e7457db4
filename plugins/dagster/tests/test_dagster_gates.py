"""What a pipeline does before it loads, with a strict stand-in of Starlake: in our executor and in one of Dagster's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dagster import AssetKey, DagsterEventType, in_process_executor
from dagster_runs import draw, instance_in, job, program, run, states
from starlake_core_dagster.executor import InProcess, run_in_process
from starlake_core_dagster.steps import NOT_READY

from starlake_core import StarlakeDomain, StarlakePipeline, StarlakeSchedule, Task, Wait
from starlake_core.runtime import Verdict
from starlake_core.testing import FakeEnvironment, StandIn, Step
from starlake_core.testing.fake import serving

pytest_plugins = ["starlake_core.testing.plugin"]

PARTITION = "2026-11-03T02:00:00+0100"
SCHEDULED = "2026-11-04T02:00:00.000+0100"
SALES = StarlakeDomain("sales", tables=["orders", "customers"])
HR = StarlakeDomain("hr", tables=["people"])
DAILY = StarlakeSchedule("daily", "0 2 * * *", [SALES])
TWO = StarlakeSchedule("daily", "0 2 * * *", [SALES, HR])
CHECKS = {
    "imported": "check_sales_incoming_files",
    "pending": "check_sales_pending_files",
    "ack": "check_sales_ack_file",
}
MISSING = {
    "imported": "sales has no incoming files",
    "pending": "sales has no pending files",
    "ack": "sales has no acknowledgement file",
}
LOADS = ["load_sales_orders", "load_sales_customers"]
EMPTY = Step(not_ready=True)


class Ran:
    """A run, whatever executor it had."""

    def __init__(self, instance: Any, run_id: str) -> None:
        logs = instance.all_logs(run_id)
        self.all_events = [log.dagster_event for log in logs if log.dagster_event is not None]
        self.success = instance.get_run_by_id(run_id).is_success
        self.text = "\n".join(log.message for log in logs)

    @property
    def assets(self) -> set[str]:
        """The assets that were materialised, by their keys."""
        found = [event for event in self.all_events if event.event_type is DagsterEventType.ASSET_MATERIALIZATION]
        return {event.asset_key.to_user_string() for event in found}

    def metadata(self, key: str) -> dict[str, Any]:
        """What is written at the one materialisation of an asset."""
        (event,) = (
            event
            for event in self.all_events
            if event.event_type is DagsterEventType.ASSET_MATERIALIZATION and event.asset_key.to_user_string() == key
        )
        return {name: value.value for name, value in event.materialization.metadata.items()}

    def reasons(self) -> list[str]:
        """The reasons that are visible on checks."""
        outputs = [event for event in self.all_events if event.event_type is DagsterEventType.STEP_OUTPUT]
        found = [event.step_output_data.metadata.get(NOT_READY) for event in outputs]
        return [value.value for value in found if value is not None]


@pytest.fixture(params=["threads", "in process"])
def runs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """Runs the job of a pipeline for the partition of the day."""
    with instance_in(tmp_path / "dagster") as instance:

        def ran(pipeline: StarlakePipeline) -> Ran:
            if request.param == "threads":
                tags = {"dagster/partition": PARTITION} if pipeline.cron else {}
                run_in_process(job(pipeline), instance, tags, 4, InProcess())
                (record,) = instance.get_run_records(limit=1)
                return Ran(instance, record.dagster_run.run_id)
            keywords = {"partition_key": PARTITION} if pipeline.cron else {}
            return Ran(instance, run(job(pipeline), instance, **keywords).run_id)

        yield ran


def scheduled(pipeline: StarlakePipeline) -> None:
    pipeline.add_schedule()


def drawn(tmp_path: Path, stand_in: StandIn, strategy: str, schedule: StarlakeSchedule = DAILY, **options: Any) -> Any:
    # An acknowledgement that is not waited for; waiting has tests of its own.
    given = {
        **program(stand_in),
        "timezone": "Europe/Paris",
        "pre_load_strategy": strategy,
        "ack_wait_timeout": 0,
        **options,
    }
    return draw(scheduled, given, environment="shell", root=tmp_path / "project", schedule=schedule)


def work_of(strategy: str) -> list[str]:
    return [*(["import_sales_daily"] if strategy == "imported" else []), *LOADS]


def commands(stand_in: StandIn) -> list[list[str]]:
    """The calls, without the marker in which a check says that it is not ready."""
    found = []
    for call in stand_in.calls():
        words = list(call.arguments)
        if "--notReadySentinel" in words:
            at = words.index("--notReadySentinel")
            del words[at : at + 2]
        found.append(words)
    return found


@pytest.mark.parametrize("strategy", ["none", "imported", "pending", "ack"])
def test_ready(tmp_path: Path, stand_in: StandIn, runs: Any, strategy: str) -> None:
    ran = runs(drawn(tmp_path, stand_in, strategy))
    assert ran.success
    checks = [CHECKS[strategy]] if strategy in CHECKS else []
    assert states(ran) == dict.fromkeys([*checks, *work_of(strategy), "end_daily"], "success")
    assert ran.assets == {"sales/orders", "sales/customers", "p"}
    written = ran.metadata("sales/orders")
    assert written["sl_data_interval_start"] == "2026-11-03T02:00:00+01:00"
    assert written["sl_data_interval_end"] == "2026-11-04T02:00:00+01:00"
    assert written["exit code"] == 0
    assert written["duration (s)"] >= 0
    assert written["command"].startswith("starlake load --scheduledDate")
    tables = ["--tables", "customers,orders"]
    root = tmp_path / "project"
    ack = ["--globalAckFilePath", f"{root}/datasets/pending/sales/2026-11-04.ack"] if strategy == "ack" else []
    check = ["preload", "--domain", "sales", *tables, "--strategy", strategy, *ack]
    stage = [["stage", "--domains", "sales", *tables]] if strategy == "imported" else []
    before = [*([check] if checks else []), *stage]
    called = commands(stand_in)
    assert called[: len(before)] == before
    assert sorted(called[len(before) :]) == [
        ["load", "--scheduledDate", SCHEDULED, "--domains", "sales", "--tables", table]
        for table in ("customers", "orders")
    ]
    assert {call.folder for call in stand_in.calls()} == {str(root)}


@pytest.mark.parametrize("strategy", ["imported", "pending", "ack"])
def test_not_ready(tmp_path: Path, stand_in: StandIn, runs: Any, strategy: str) -> None:
    stand_in.script("preload:sales", EMPTY)
    ran = runs(drawn(tmp_path, stand_in, strategy, retries=2))
    assert ran.success, "a domain that is not ready is not a failure"
    assert {name: state for name, state in states(ran).items() if name in work_of(strategy)} == dict.fromkeys(
        work_of(strategy), "skipped"
    )
    assert [call.subject for call in stand_in.calls()] == ["preload:sales"], "no retry, and nothing behind the gate"
    assert ran.assets == set()
    assert ran.reasons() == [MISSING[strategy]]
    assert f"nothing was loaded or transformed: {MISSING[strategy]}" in ran.text


@pytest.mark.parametrize("code", [1, 3, 126, 127, 137])
@pytest.mark.parametrize("strategy", ["imported", "ack"])
def test_a_check_that_crashes_fails_the_run(
    tmp_path: Path, stand_in: StandIn, runs: Any, strategy: str, code: int
) -> None:
    stand_in.script("preload:sales", Step(lines=("java.lang.OutOfMemoryError",), exit_code=code))
    ran = runs(drawn(tmp_path, stand_in, strategy))
    assert not ran.success
    found = states(ran)
    assert found[CHECKS[strategy]] == "failure"
    assert not {"success", "skipped"} & {found.get(name) for name in (*work_of(strategy), "end_daily")}
    assert [call.subject for call in stand_in.calls()] == ["preload:sales"]
    assert ran.assets == set()
    assert "java.lang.OutOfMemoryError" in ran.text


@pytest.mark.parametrize("strategy", ["none", "imported", "pending", "ack"])
def test_a_missing_program_fails_the_run_at_once(
    tmp_path: Path, stand_in: StandIn, runs: Any, strategy: str, capfd: Any
) -> None:
    path = stand_in.path
    path.unlink()
    ran = runs(drawn(tmp_path, stand_in, strategy, retries=2))
    assert not ran.success
    assert "up_for_retry" not in ran.text.lower()
    failures = [event for event in ran.all_events if event.is_step_failure]
    assert all("was not found" in str(event.step_failure_data.error_display_string) for event in failures)
    assert ran.assets == set()


def test_one_of_two_domains_is_not_ready(tmp_path: Path, stand_in: StandIn, runs: Any) -> None:
    stand_in.script("preload:sales", EMPTY)
    ran = runs(drawn(tmp_path, stand_in, "imported", TWO))
    assert ran.success
    assert states(ran) == {
        **dict.fromkeys(["check_sales_incoming_files", "check_hr_incoming_files"], "success"),
        **dict.fromkeys(work_of("imported"), "skipped"),
        **dict.fromkeys(["import_hr_daily", "load_hr_people", "end_daily"], "success"),
    }
    assert ran.assets == {"hr/people", "p"}
    assert ran.reasons() == ["sales has no incoming files"]
    assert "Skipped: sales has no incoming files" in ran.text


def test_no_domain_is_ready(tmp_path: Path, stand_in: StandIn, runs: Any) -> None:
    stand_in.script("preload:sales", EMPTY)
    stand_in.script("preload:hr", EMPTY)
    ran = runs(drawn(tmp_path, stand_in, "pending", TWO))
    assert ran.success
    assert ran.assets == set()
    observed = [event for event in ran.all_events if event.event_type is DagsterEventType.ASSET_OBSERVATION]
    (event,) = observed
    assert event.asset_key == AssetKey(["p"]), "the end says on its asset why there is nothing new"
    description = event.asset_observation_data.asset_observation.description
    assert "sales has no pending files" in description
    assert "hr has no pending files" in description


def test_not_ready_and_crashed_together_fail(tmp_path: Path, stand_in: StandIn, runs: Any) -> None:
    stand_in.script("preload:sales", EMPTY)
    stand_in.script("preload:hr", Step(exit_code=3))
    ran = runs(drawn(tmp_path, stand_in, "pending", TWO))
    assert not ran.success
    assert states(ran).get("end_daily") != "success"
    assert ran.assets == set()


# -- waiting


def waiting(tmp_path: Path, stand_in: StandIn, wait: Wait) -> StarlakePipeline:
    def build(p: StarlakePipeline) -> None:
        check = p.sl_pre_load("sales", ["orders"], "pending")
        assert isinstance(check, Task)
        check.wait = wait
        p.start_task() >> check >> p.sl_load("load", "sales", "orders") >> p.end_task()

    options = {**program(stand_in), "retries": 2}
    return draw(build, options, environment="shell", root=tmp_path / "project")


def test_wait_until_ready(tmp_path: Path, stand_in: StandIn, runs: Any) -> None:
    stand_in.script("preload:sales", EMPTY, EMPTY, Step())
    ran = runs(waiting(tmp_path, stand_in, Wait(0, 3600)))
    assert ran.success
    assert states(ran) == dict.fromkeys(["check_sales_pending_files", "load", "end"], "success")
    calls = stand_in.calls("preload:sales")
    assert len(calls) == 3
    markers = {call.arguments[call.arguments.index("--notReadySentinel") + 1] for call in calls}
    assert len(markers) == 3, "every look has a marker of its own"
    assert "sales has no pending files; checking again in 0 s" in ran.text


def test_wait_in_vain(tmp_path: Path, stand_in: StandIn, runs: Any) -> None:
    stand_in.script("preload:sales", EMPTY)
    ran = runs(waiting(tmp_path, stand_in, Wait(0, 0)))
    assert not ran.success
    assert len(stand_in.calls()) == 1, "the time is over: trying again would wait twice as long"
    (failure,) = (event for event in ran.all_events if event.is_step_failure)
    assert "sales has no pending files within 0 s" in failure.step_failure_data.error_display_string


def test_wait_in_vain_with_soft_fail(tmp_path: Path, stand_in: StandIn, runs: Any) -> None:
    stand_in.script("preload:sales", EMPTY)
    ran = runs(waiting(tmp_path, stand_in, Wait(0, 0, soft_fail=True)))
    assert ran.success
    assert states(ran)["load"] == "skipped"
    assert ran.reasons() == ["sales has no pending files within 0 s"]
    assert ran.assets == set()


def test_wait_that_crashes(tmp_path: Path, stand_in: StandIn, runs: Any) -> None:
    stand_in.script("preload:sales", EMPTY, Step(exit_code=3))
    ran = runs(waiting(tmp_path, stand_in, Wait(0, 3600, soft_fail=True)))
    assert not ran.success
    assert stand_in.calls("load:sales.orders") == []


def test_a_waiting_check_that_crashes_is_tried_again(tmp_path: Path, runs: Any) -> None:
    """Also where the environment knows no exit codes."""
    environment = FakeEnvironment()
    environment.script("preload:sales", Verdict.LOST, Verdict.SUCCEEDED)

    def build(p: StarlakePipeline) -> None:
        check = p.sl_pre_load("sales", ["orders"], "pending", retries=1, retry_delay=0)
        assert isinstance(check, Task)
        check.wait = Wait(0, 3600)
        check >> p.sl_load("load", "sales", "orders")

    pipeline = draw(build, environment=environment)
    with serving(pipeline.orchestration.plugins):
        assert runs(pipeline).success
    assert len(environment.started("preload:sales")) == 2


def test_the_user_may_choose_another_executor(tmp_path: Path, stand_in: StandIn) -> None:
    pipeline = draw(
        scheduled,
        program(stand_in),
        environment="shell",
        root=tmp_path / "project",
        schedule=DAILY,
        executor_def=in_process_executor,
    )
    assert job(pipeline).executor_def is in_process_executor


@pytest.mark.parametrize("code", [0, 3])
def test_a_secret_that_a_command_writes_is_in_no_event(tmp_path: Path, stand_in: StandIn, runs: Any, code: int) -> None:
    stand_in.script("load:sales.orders", Step(tells=("DB_PASSWORD",), exit_code=code))
    pipeline = drawn(tmp_path, stand_in, "none", sl_env_var={"DB_PASSWORD": "hunter2-and-more"})
    ran = runs(pipeline)
    assert stand_in.calls("load:sales.orders")[0].env["DB_PASSWORD"] == "hunter2-and-more"
    assert "hunter2" not in ran.text
    assert "hunter2" not in repr(ran.all_events)
    assert "hunter2" not in repr([made.specs_by_key for made in pipeline.native.assets()])
