"""What a pipeline does before it loads: every strategy, with nothing but Airflow's own test run and a strict stand-in of Starlake."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from airflow_runs import (
    CRASHED,
    NOT_READY,
    draw,
    events,
    program,
    run_dag,
    scheduled,
    state,
    states,
    tries,
    unique,
    variables,
    xcoms,
)

from starlake_core import StarlakeDomain, StarlakePipeline, StarlakeSchedule, Task, Wait, data_interval
from starlake_core.testing import StandIn, Step

pytest_plugins = ["starlake_core.testing.plugin"]

DATE = datetime(2026, 11, 4, 1, tzinfo=timezone.utc)  # 02:00 in Paris
SCHEDULED = "2026-11-04T02:00:00.000+0100"
PARIS = {"timezone": "Europe/Paris"}
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


def options_of(strategy: str) -> dict[str, Any]:
    # An acknowledgement that is not waited for; waiting has tests of its own.
    return {**PARIS, "pre_load_strategy": strategy, "ack_wait_timeout": 0}


def work_of(strategy: str) -> list[str]:
    return [*(["import_sales_daily"] if strategy == "imported" else []), *LOADS]


def all_of(strategy: str, check: str, work: str, end: str) -> dict[str, str]:
    checks = {CHECKS[strategy]: check} if strategy in CHECKS else {}
    return {"start_daily": "success", **checks, **dict.fromkeys(work_of(strategy), work), "end_daily": end}


def extra_of(uri: str, sink: str, dag_id: str) -> Mapping[str, Any]:
    return {
        "source": dag_id,
        "sl_uri": uri,
        "sl_sink": sink,
        "sl_cron": "0 2 * * *",
        "sl_freshness": 0,
        "ts": "2026-11-04T02:00:00+01:00",
        "sl_scheduled_date": SCHEDULED,
        "sl_data_interval_start": "2026-11-03T02:00:00+01:00",
        "sl_data_interval_end": "2026-11-04T02:00:00+01:00",
        "sl_timezone": "Europe/Paris",
    }


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
def test_ready(tmp_path: Path, stand_in: StandIn, strategy: str) -> None:
    pipeline = draw(tmp_path, scheduled, {**program(stand_in), **options_of(strategy)}, schedule=DAILY)
    run = run_dag(pipeline.native, DATE)
    assert states(run) == all_of(strategy, "success", "success", "success")
    assert state(run) == "success"
    succeeded = {"outcome": "succeeded", "exit_code": 0}
    jobs = [*([CHECKS[strategy]] if strategy in CHECKS else []), *work_of(strategy)]
    assert xcoms(run) == dict.fromkeys(jobs, succeeded)
    dag_id = unique(tmp_path)
    assert events(run) == {
        "starlake://sales/orders": extra_of("starlake://sales/orders", "sales.orders", dag_id),
        "starlake://sales/customers": extra_of("starlake://sales/customers", "sales.customers", dag_id),
        dag_id: extra_of(dag_id, "", dag_id),
    }
    ack = ["--globalAckFilePath", f"{tmp_path}/datasets/pending/sales/2026-11-04.ack"] if strategy == "ack" else []
    check = ["preload", "--domain", "sales", "--tables", "customers,orders", "--strategy", strategy, *ack]
    before = {
        "none": [],
        "imported": [check, ["stage", "--domains", "sales", "--tables", "customers,orders"]],
        "pending": [check],
        "ack": [check],
    }[strategy]
    called = commands(stand_in)
    assert called[: len(before)] == before
    assert sorted(called[len(before) :]) == [
        ["load", "--scheduledDate", SCHEDULED, "--domains", "sales", "--tables", table]
        for table in ("customers", "orders")
    ]
    assert {call.folder for call in stand_in.calls()} == {str(tmp_path)}


@pytest.mark.parametrize("strategy", ["imported", "pending", "ack"])
def test_not_ready(tmp_path: Path, stand_in: StandIn, strategy: str) -> None:
    stand_in.script("preload:sales", NOT_READY)
    options = {**program(stand_in), **options_of(strategy), "retries": 2}
    run = run_dag(draw(tmp_path, scheduled, options, schedule=DAILY).native, DATE)
    assert states(run) == all_of(strategy, "skipped", "skipped", "skipped")
    assert state(run) == "success"
    assert [call.subject for call in stand_in.calls()] == ["preload:sales"], "no retry, and nothing behind the gate"
    assert events(run) == {}
    reason = f"{MISSING[strategy]} ({CHECKS[strategy]})"
    assert xcoms(run) == {
        CHECKS[strategy]: {"outcome": "not ready", "exit_code": 0, "reason": reason},
        "end_daily": {"outcome": "not ready", "reason": f"nothing was loaded or transformed: {reason}"},
    }


@pytest.mark.parametrize("strategy", ["imported", "pending", "ack"])
def test_crashed_check(tmp_path: Path, stand_in: StandIn, strategy: str) -> None:
    stand_in.script("preload:sales", CRASHED)
    options = {**program(stand_in), **options_of(strategy)}
    run = run_dag(draw(tmp_path, scheduled, options, schedule=DAILY).native, DATE)
    assert states(run) == all_of(strategy, "failed", "upstream_failed", "upstream_failed")
    assert state(run) == "failed"
    assert [call.subject for call in stand_in.calls()] == ["preload:sales"]
    assert events(run) == {}
    assert xcoms(run) == {CHECKS[strategy]: {"outcome": "failed", "exit_code": 3, "reason": "exit code 3"}}


@pytest.mark.parametrize("strategy", ["none", "imported", "pending", "ack"])
def test_missing_executable(tmp_path: Path, strategy: str, caplog: pytest.LogCaptureFixture, capfd: Any) -> None:
    options = {"SL_STARLAKE_PATH": str(tmp_path / "nope"), **options_of(strategy), "retries": 2}
    run = run_dag(draw(tmp_path, scheduled, options, schedule=DAILY).native, DATE)
    work = "failed" if strategy == "none" else "upstream_failed"
    assert states(run) == all_of(strategy, "failed", work, "upstream_failed")
    assert state(run) == "failed"
    first = LOADS[0] if strategy == "none" else CHECKS[strategy]
    assert tries(run, first) == 1, "what is missing is not found by trying again"
    assert events(run) == {}
    out = caplog.text + "".join(capfd.readouterr())
    assert f"the program '{tmp_path / 'nope'}' was not found" in out
    assert "Install the Starlake command line" in out


def test_crashed_load(tmp_path: Path, stand_in: StandIn) -> None:
    stand_in.script("load:sales.orders", CRASHED)
    run = run_dag(draw(tmp_path, scheduled, {**program(stand_in), **PARIS}, schedule=DAILY).native, DATE)
    assert states(run) == {
        "start_daily": "success",
        "load_sales_orders": "failed",
        "load_sales_customers": "success",
        "end_daily": "upstream_failed",
    }
    assert state(run) == "failed"
    assert list(events(run)) == ["starlake://sales/customers"]
    assert xcoms(run)["load_sales_orders"] == {"outcome": "failed", "exit_code": 3, "reason": "exit code 3"}


def test_one_of_two_domains_is_not_ready(tmp_path: Path, stand_in: StandIn) -> None:
    stand_in.script("preload:sales", NOT_READY)
    run = run_dag(draw(tmp_path, scheduled, {**program(stand_in), **options_of("imported")}, schedule=TWO).native, DATE)
    assert states(run) == {
        **all_of("imported", "skipped", "skipped", "success"),
        **dict.fromkeys(["check_hr_incoming_files", "import_hr_daily", "load_hr_people"], "success"),
    }
    assert state(run) == "success"
    assert sorted(call.subject for call in stand_in.calls()) == [
        "load:hr.people",
        "preload:hr",
        "preload:sales",
        "stage:hr",
    ]
    assert set(events(run)) == {"starlake://hr/people", unique(tmp_path)}
    assert xcoms(run)["end_daily"] == {
        "outcome": "succeeded",
        "skipped": ["sales has no incoming files (check_sales_incoming_files)"],
    }


def test_no_domain_is_ready(tmp_path: Path, stand_in: StandIn) -> None:
    stand_in.script("preload:sales", NOT_READY)
    stand_in.script("preload:hr", NOT_READY)
    run = run_dag(draw(tmp_path, scheduled, {**program(stand_in), **options_of("pending")}, schedule=TWO).native, DATE)
    assert set(states(run).values()) == {"success", "skipped"}
    assert [name for name, found in states(run).items() if found == "success"] == ["start_daily"]
    assert state(run) == "success"
    assert events(run) == {}
    reason = xcoms(run)["end_daily"]["reason"]
    assert "sales has no pending files" in reason
    assert "hr has no pending files" in reason


def test_not_ready_and_crashed_together_fail(tmp_path: Path, stand_in: StandIn) -> None:
    stand_in.script("preload:sales", NOT_READY)
    stand_in.script("preload:hr", CRASHED)
    run = run_dag(draw(tmp_path, scheduled, {**program(stand_in), **options_of("pending")}, schedule=TWO).native, DATE)
    assert states(run) == {
        **all_of("pending", "skipped", "skipped", "upstream_failed"),
        "check_hr_pending_files": "failed",
        "load_hr_people": "upstream_failed",
    }
    assert state(run) == "failed"
    assert events(run) == {}


# -- retries


def test_a_crash_is_retried(tmp_path: Path, stand_in: StandIn) -> None:
    stand_in.script("load:sales.orders", CRASHED, Step())
    run = run_dag(draw(tmp_path, scheduled, {**program(stand_in), **PARIS, "retries": 1}, schedule=DAILY).native, DATE)
    assert set(states(run).values()) == {"success"}
    assert tries(run, "load_sales_orders") == 2
    calls = stand_in.calls("load:sales.orders")
    assert len(calls) == 2
    assert len({call.env["SL_RUN_KEY"] for call in calls}) == 1, "a retry is the same work"
    assert len(events(run)) == 3


def test_a_crashed_check_is_retried(tmp_path: Path, stand_in: StandIn) -> None:
    stand_in.script("preload:sales", CRASHED, NOT_READY)
    options = {**program(stand_in), **options_of("imported"), "retries": 1}
    run = run_dag(draw(tmp_path, scheduled, options, schedule=DAILY).native, DATE)
    assert states(run) == all_of("imported", "skipped", "skipped", "skipped")
    assert len(stand_in.calls()) == 2


# -- waiting


def waiting(tmp_path: Path, stand_in: StandIn, wait: Wait | None = None, **options: Any) -> StarlakePipeline:
    """One domain whose check waits; an interval of 0 is for tests only, so it is set on the task."""

    def build(p: StarlakePipeline) -> None:
        strategy = options.get("pre_load_strategy", "pending")
        check = p.sl_pre_load("sales", ["orders"], strategy)
        assert isinstance(check, Task)
        if wait is not None:
            check.wait = wait
        p.start_task() >> check >> p.sl_load("load", "sales", "orders") >> p.end_task()

    return draw(tmp_path, build, {**program(stand_in), **options}, cron="0 2 * * *")


@pytest.mark.parametrize("strategy", ["pending", "ack"])
def test_wait_until_ready(tmp_path: Path, stand_in: StandIn, strategy: str) -> None:
    stand_in.script("preload:sales", NOT_READY, NOT_READY, Step())
    pipeline = waiting(tmp_path, stand_in, Wait(0, 3600), pre_load_strategy=strategy, retries=0)
    run = run_dag(pipeline.native, DATE)
    assert states(run) == dict.fromkeys(["start", CHECKS[strategy], "load", "end"], "success")
    calls = stand_in.calls("preload:sales")
    assert len(calls) == 3
    markers = {call.arguments[call.arguments.index("--notReadySentinel") + 1] for call in calls}
    assert len(markers) == 3, "every look has a marker of its own"
    assert tries(run, CHECKS[strategy]) == 1, "checking again is no retry"


def test_wait_in_vain(tmp_path: Path, stand_in: StandIn) -> None:
    stand_in.script("preload:sales", NOT_READY)
    run = run_dag(waiting(tmp_path, stand_in, Wait(0, 0), retries=2).native, DATE)
    assert states(run) == {
        "start": "success",
        "check_sales_pending_files": "failed",
        "load": "upstream_failed",
        "end": "upstream_failed",
    }
    assert len(stand_in.calls()) == 1, "the time is over: trying again would wait twice as long"
    assert xcoms(run)["check_sales_pending_files"]["reason"] == (
        "sales has no pending files (check_sales_pending_files) within 0 s"
    )


def test_wait_in_vain_with_soft_fail(tmp_path: Path, stand_in: StandIn) -> None:
    stand_in.script("preload:sales", NOT_READY)
    run = run_dag(waiting(tmp_path, stand_in, Wait(0, 0, soft_fail=True)).native, DATE)
    assert states(run) == {"start": "success", **dict.fromkeys(["check_sales_pending_files", "load", "end"], "skipped")}
    assert state(run) == "success"
    assert events(run) == {}


def test_wait_that_crashes(tmp_path: Path, stand_in: StandIn) -> None:
    stand_in.script("preload:sales", NOT_READY, CRASHED)
    run = run_dag(waiting(tmp_path, stand_in, Wait(0, 3600, soft_fail=True)).native, DATE)
    assert states(run)["check_sales_pending_files"] == "failed"
    assert state(run) == "failed"
    assert len(stand_in.calls()) == 2


def test_waiting_reaches_the_operator_from_the_options(tmp_path: Path, stand_in: StandIn) -> None:
    options = {"pre_load_sensor": True, "pre_load_poke_interval": 60, "pre_load_timeout": 600}
    pipeline = waiting(tmp_path, stand_in, pre_load_strategy="ack", ack_wait_timeout=30, pre_load_poke_interval=60)
    assert pipeline.native.get_task("check_sales_ack_file").wait_policy == Wait(30, 30, True)
    pipeline = waiting(tmp_path / "b", stand_in, **options, pre_load_sensor_soft_fail=True)
    assert pipeline.native.get_task("check_sales_pending_files").wait_policy == Wait(60, 600, True)


# -- run-time values


def test_the_path_of_the_acknowledgement_has_the_date_of_the_run(tmp_path: Path, stand_in: StandIn) -> None:
    options = {
        **program(stand_in),
        **options_of("ack"),
        "global_ack_file_path": str(tmp_path / "acks" / "{domain}-{{ds}}.ack"),
        "timezone": "Pacific/Auckland",
    }
    pipeline = draw(tmp_path, scheduled, options, schedule=StarlakeSchedule("daily", "0 2 * * *", [SALES]))
    # Two o'clock in Auckland is still yesterday in UTC.
    for day in (2, 3):
        run_dag(pipeline.native, datetime(2026, 11, day, 13, tzinfo=timezone.utc))
    paths = [
        call.arguments[call.arguments.index("--globalAckFilePath") + 1] for call in stand_in.calls("preload:sales")
    ]
    assert paths == [str(tmp_path / "acks" / f"sales-2026-11-0{day}.ack") for day in (3, 4)]


@pytest.mark.parametrize("late", [timedelta(0), timedelta(hours=5, minutes=17)], ids=["scheduled", "manual"])
def test_the_interval_is_that_of_the_core(tmp_path: Path, stand_in: StandIn, late: timedelta) -> None:
    pipeline = draw(
        tmp_path, scheduled, {**program(stand_in), **PARIS}, schedule=StarlakeSchedule("d", "0 2 * * *", [HR])
    )
    run = run_dag(pipeline.native, DATE + late)
    wanted = data_interval("0 2 * * *", DATE + late, pipeline.zone)
    extra = events(run)["starlake://hr/people"]
    assert datetime.fromisoformat(extra["sl_data_interval_start"]) == wanted.start
    assert datetime.fromisoformat(extra["sl_data_interval_end"]) == wanted.end
    assert stand_in.calls()[0].arguments[2] == SCHEDULED


def test_the_configuration_of_a_run_may_bring_interval_and_variables(tmp_path: Path, stand_in: StandIn) -> None:
    def build(p: StarlakePipeline) -> None:
        p.sl_transform("t", "kpi.revenue", {"country": "${var:COUNTRY}", "until": "${sl_data_interval_end}"})

    conf = {
        "sl_data_interval_start": "2026-01-01T00:00:00Z",
        "sl_data_interval_end": "2026-02-01T00:00:00Z",
        "sl_variables": {"COUNTRY": "FR"},
    }
    run = run_dag(draw(tmp_path, build, program(stand_in)).native, DATE, conf)
    assert state(run) == "success"
    assert variables(stand_in.calls()[0]) == "country=FR,until=2026-02-01T00:00:00+00:00"
    (extra,) = events(run).values()
    assert extra["sl_data_interval_start"] == "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        (
            {"sl_data_interval_end": "tomorrow"},
            "'tomorrow' is not a valid date for sl_data_interval_end in the run's configuration",
        ),
        ({"sl_data_interval_end": "2026-01-01T00:00:00"}, "write it with an offset"),
        ({"sl_variables": ["x"]}, "must be an object of names and values"),
    ],
    ids=["no date", "no offset", "no object"],
)
def test_a_configuration_that_cannot_be_read_fails_at_once(
    tmp_path: Path, stand_in: StandIn, conf: dict[str, Any], message: str, caplog: pytest.LogCaptureFixture, capfd: Any
) -> None:
    pipeline = draw(tmp_path, lambda p: p.sl_load("load", "sales", "orders"), {**program(stand_in), "retries": 2})
    run = run_dag(pipeline.native, DATE, conf)
    assert states(run) == {"load": "failed"}
    assert tries(run, "load") == 1
    assert stand_in.calls() == []
    assert message in caplog.text + "".join(capfd.readouterr())


def test_a_variable_of_airflow_is_read_when_the_task_runs(
    tmp_path: Path, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = draw(tmp_path, lambda p: p.sl_transform("t", "kpi.revenue", {"c": "${var:COUNTRY}"}), program(stand_in))
    monkeypatch.setenv("AIRFLOW_VAR_COUNTRY", "IT")
    assert state(run_dag(pipeline.native, DATE)) == "success"
    assert variables(stand_in.calls()[0]) == "c=IT"


def test_what_the_command_keeps_of_the_environment(
    tmp_path: Path, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "JAVA_HOME": "/jdk",
        "WANTED": "yes",
        "SL_ENV": "BQ",
        "UNWANTED": "no",
        "QUOTED": "$(id) `id` \"'",
    }.items():
        monkeypatch.setenv(name, value)

    options = {
        **program(stand_in),
        "sl_include_env_vars": "WANTED,QUOTED",
        "sl_env_var": {"SL_DATASETS": "/data $(id)"},
    }
    pipeline = draw(tmp_path, lambda p: p.sl_load("load", "sales", "orders"), options)
    assert state(run_dag(pipeline.native, DATE)) == "success"
    env = stand_in.calls()[0].env
    for name in ("PATH", "HOME", "JAVA_HOME", "WANTED", "QUOTED", "SL_ENV"):
        assert env[name] == os.environ[name]
    assert env["SL_DATASETS"] == "/data $(id)", "there is no shell that could expand it"
    assert "UNWANTED" not in env
    assert not [name for name in env if name.startswith("AIRFLOW")]
    assert env["SL_RUN_KEY"].startswith(f"{pipeline.id}/manual__")
    assert env["SL_RUN_KEY"].endswith("/load")


def test_a_command_that_reads_a_template_is_left_alone(tmp_path: Path, stand_in: StandIn) -> None:
    """Nothing is rendered with Jinja: what looks like a template reaches Starlake as it is."""
    text = "{% if x %}{{ params.y }}${HOME}"
    pipeline = draw(tmp_path, lambda p: p.sl_transform("t", "kpi.revenue", {"q": text}), program(stand_in))
    assert state(run_dag(pipeline.native, DATE)) == "success"
    assert variables(stand_in.calls()[0]) == f"q={text}"
