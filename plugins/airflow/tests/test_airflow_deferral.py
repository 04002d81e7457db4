"""Jobs that go on without the process that started them: deferred, taken back, taken over, stopped."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.triggers.base import TriggerEvent
from airflow_runs import CRASHED, NOT_READY, draw, events, run_dag, state, states, tries, unique, xcoms
from starlake_core_airflow.context import attempt_of
from starlake_core_airflow.trigger import StarlakeTrigger
from starlake_core_airflow.versions import (
    VERSION,
    AirflowException,
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSkipException,
)

from starlake_core import StarlakePipeline, Task, Wait
from starlake_core.plugins import rescan
from starlake_core.runtime import Outcome, Verdict, runner_for
from starlake_core.testing import StandIn, Step

if VERSION >= (3, 2):
    from airflow.sdk.exceptions import TaskDeferred
else:
    from airflow.exceptions import TaskDeferred

pytest_plugins = ["starlake_core.testing.plugin"]

HERE = Path(__file__).parent
DATE = datetime(2026, 11, 4, 1, tzinfo=timezone.utc)
GOES_ON = Step(lines=("begun",), goes_on=True)
DEFERRED = "running trigger in line"  # what dag.test logs when a task defers


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The environment ``detached`` is installed, and a trigger may fire at once, because no executor of Airflow takes part."""
    monkeypatch.syspath_prepend(str(HERE / "detached_environment"))
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "-2")
    rescan()
    yield
    monkeypatch.undo()
    rescan()


def load(p: StarlakePipeline) -> None:
    p.sl_transform("load", "sales.orders")


@dataclass
class Place:
    """A folder with the environment in it."""

    root: Path
    stand_in: StandIn

    @property
    def attempts(self) -> Path:
        return self.root / "attempts"

    def draw(self, build: Callable[[StarlakePipeline], object] = load, **options: Any) -> StarlakePipeline:
        given = {
            "detached_folder": str(self.attempts),
            "detached_program": str(self.stand_in.path),
            "deferrable": True,
            "defer_after": 0,
            "plugins": "ends",
            **options,
        }
        return draw(self.root, build, given, environment="detached")

    def ends(self) -> list[str]:
        """How attempts ended, as an add-on has heard it in whatever process."""
        return Path(os.environ["ACME_ENDS"]).read_text().splitlines()

    def handles(self) -> list[str]:
        return sorted(str(path.parent) for path in self.attempts.glob("*/key.json"))

    def runner(self, pipeline: StarlakePipeline) -> Any:
        (task,) = (task for task in pipeline.tasks() if task.job is not None)
        return runner_for(task.job)

    def verdict(self, pipeline: StarlakePipeline, handle: str) -> Verdict | None:
        outcome = self.runner(pipeline).poll([handle])[handle].outcome
        return None if outcome is None else outcome.verdict


@pytest.fixture
def place(tmp_path: Path, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    found = Place(tmp_path, stand_in)
    (tmp_path / "ends.txt").touch()
    monkeypatch.setenv("ACME_ENDS", str(tmp_path / "ends.txt"))
    # Work that may be done again, as the project says: these tests are about attempts and not about loads.
    transform = tmp_path / "metadata" / "transform" / "sales"
    transform.mkdir(parents=True)
    (transform / "orders.sl.yml").write_text("task: { name: orders, writeStrategy: { type: OVERWRITE } }")
    (transform / "orders.sql").write_text("SELECT 1 AS id")
    yield found
    for pid in found.attempts.glob("*/pid"):
        if not (pid.parent / "exit").exists() and not (pid.parent / "cancelled").exists():
            os.killpg(int(pid.read_text()), signal.SIGKILL)


def until(true: Callable[[], Any]) -> None:
    """Wait for something that another process does; the end is only there so that no test hangs."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "it never came to this"
        time.sleep(0.02)


# -- one task instance, as an operator sees it


class Instance(SimpleNamespace):
    """A task instance of which no database knows."""

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value

    def get_first_reschedule_date(self, context: Any) -> datetime | None:
        return None


class Extras(dict[str, Any]):
    """The accessors of the outlets; an asset has no hash on 3.1."""

    def __getitem__(self, outlet: Any) -> Any:
        return self.setdefault(outlet.uri, SimpleNamespace(extra={}))


def seen_by(operator: Any, attempt: int = 1, max_tries: int | None = None) -> dict[str, Any]:
    ti = Instance(
        dag_id=operator.dag_id,
        task_id=operator.task_id,
        run_id="r1",
        map_index=-1,
        try_number=attempt,
        max_tries=operator.retries if max_tries is None else max_tries,
        start_date=datetime.now(timezone.utc),
        pushed={},
    )
    dag_run = SimpleNamespace(run_id="r1", logical_date=DATE, run_after=DATE, conf={}, start_date=None)
    return {"ti": ti, "dag_run": dag_run, "task": operator, "outlet_events": Extras()}


def deferred(operator: Any, context: dict[str, Any]) -> Any:
    """The trigger that an operator leaves behind, as it comes back from the database."""
    with pytest.raises(TaskDeferred) as caught:
        operator.execute(context)
    assert caught.value.method_name == "resume"
    path, keywords = caught.value.trigger.serialize()
    module, _, name = path.rpartition(".")
    trigger = getattr(importlib.import_module(module), name)(**json.loads(json.dumps(keywords)))
    assert trigger.serialize() == (path, keywords)
    return trigger


def fired(trigger: Any) -> dict[str, Any]:
    async def first() -> TriggerEvent:
        return await anext(trigger.run())

    event = asyncio.run(first())
    return dict(json.loads(json.dumps(event.payload)))


# -- whole runs, with nothing but Airflow


def test_a_short_job_does_not_defer(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    run = run_dag(place.draw(defer_after=60).native, DATE)
    assert state(run) == "success"
    assert DEFERRED not in caplog.text
    assert len(place.handles()) == 1
    assert xcoms(run) == {"load": {"outcome": "succeeded", "exit_code": 0, "log": f"{place.handles()[0]}/log"}}


def test_a_long_job_defers_and_emits(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    run = run_dag(place.draw(timezone="Europe/Paris").native, DATE)
    assert state(run) == "success"
    assert caplog.text.count(DEFERRED) == 1
    assert len(place.stand_in.calls()) == 1
    assert events(run) == {
        "starlake://sales/orders": {
            "source": unique(place.root),
            "sl_uri": "starlake://sales/orders",
            "sl_sink": "sales.orders",
            "sl_cron": None,
            "sl_freshness": 0,
            "ts": "2026-11-04T02:00:00+01:00",
            "sl_scheduled_date": "2026-11-04T02:00:00.000+0100",
            "sl_data_interval_start": "2026-11-04T02:00:00+01:00",
            "sl_data_interval_end": "2026-11-04T02:00:00+01:00",
            "sl_timezone": "Europe/Paris",
        }
    }
    assert xcoms(run)["load"]["outcome"] == "succeeded"


def test_a_long_job_that_fails(place: Place, caplog: pytest.LogCaptureFixture, capfd: Any) -> None:
    place.stand_in.script("transform:sales.orders", CRASHED)
    run = run_dag(place.draw().native, DATE)
    assert states(run) == {"load": "failed"}
    assert caplog.text.count(DEFERRED) == 1
    assert events(run) == {}
    kept = xcoms(run)["load"]
    assert (kept["outcome"], kept["exit_code"], kept["reason"]) == ("failed", 3, "exit code 3")
    assert "java.lang.OutOfMemoryError" in caplog.text + "".join(capfd.readouterr())


def test_a_deferred_task_is_retried_under_a_key_of_its_own(place: Place) -> None:
    place.stand_in.script("transform:sales.orders", CRASHED, Step())
    run = run_dag(place.draw(retries=1).native, DATE)
    assert state(run) == "success"
    assert tries(run, "load") == 2
    keys = [json.loads((Path(handle) / "key.json").read_text()) for handle in place.handles()]
    assert sorted(key["SL_RUN_ATTEMPT"] for key in keys) == ["1", "2"]
    assert len({key["SL_RUN_TASK"] for key in keys}) == 1


def test_a_check_that_waits(place: Place) -> None:
    place.stand_in.script("preload:sales", NOT_READY, NOT_READY, Step())

    def build(p: StarlakePipeline) -> None:
        check = p.sl_pre_load("sales", ["orders"], "pending")
        assert isinstance(check, Task)
        check.wait = Wait(1, 3600)
        check >> p.sl_transform("load", "sales.orders")

    run = run_dag(place.draw(build).native, DATE)
    assert set(states(run).values()) == {"success"}
    assert len(place.stand_in.calls("preload:sales")) == 3


def test_where_no_triggerer_runs_the_slot_is_given_back_between_two_polls(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    run = run_dag(place.draw(deferrable=False).native, DATE)
    assert state(run) == "success"
    assert DEFERRED not in caplog.text
    assert len(place.stand_in.calls()) == 1, "an execution after a reschedule takes its own attempt back"
    assert tries(run, "load") == 1


# -- an attempt in the hands of the operator and the trigger


def test_the_trigger_comes_back_and_resume_ends_the_task(place: Place) -> None:
    place.stand_in.script("transform:sales.orders", Step(lines=("first", "second")))
    secrets = {"sl_env_var": {"DB_PASSWORD": "hunter2"}, "detached_settings": {"api.token": "tok-4711"}}
    operator = place.draw(**secrets).native.get_task("load")
    context = seen_by(operator)
    trigger = deferred(operator, context)
    for secret in ("hunter2", "tok-4711"):
        assert secret not in json.dumps(trigger.serialize()), "the database gets a secret"
    assert "--tables" not in trigger.job, "what is run has done its work"
    event = fired(trigger)
    assert Outcome.from_json(event["outcome"]).verdict is Verdict.SUCCEEDED
    assert operator.resume(context, event)["outcome"] == "succeeded"
    (accessor,) = context["outlet_events"].values()
    assert accessor.extra["sl_uri"] == "starlake://sales/orders"


def test_resume_reads_the_output_that_the_worker_has_not_read(
    place: Place, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    place.stand_in.script("transform:sales.orders", Step(lines=("the first line", "the second line")))
    operator = place.draw().native.get_task("load")
    context = seen_by(operator)
    event = fired(deferred(operator, context))
    caplog.set_level("INFO")
    operator.resume(context, event)
    said = caplog.text + "".join(capfd.readouterr())
    assert "the first line" in said
    assert "the second line" in said


def test_a_failure_of_the_service_ends_the_task_with_what_it_says(place: Place) -> None:
    operator = place.draw().native.get_task("load")
    context = seen_by(operator)
    trigger = deferred(operator, context)
    broken = StarlakeTrigger(
        **{
            **trigger.serialize()[1],
            "job": trigger.job.replace('"detached"', '"detatched"'),  # codespell:ignore detatched
        }
    )
    event = fired(broken)
    assert "detatched" in event["error"]  # codespell:ignore detatched
    with pytest.raises(AirflowException, match="detatched"):  # codespell:ignore detatched
        operator.resume(context, event)
    assert place.ends() == ["load 1: failed"]


def test_the_deadline_is_kept_in_the_trigger(place: Place) -> None:
    place.stand_in.script("transform:sales.orders", GOES_ON)
    pipeline = place.draw(task_timeout=3600)
    operator = pipeline.native.get_task("load")
    context = seen_by(operator)
    before = time.time()
    trigger = deferred(operator, context)
    assert before + 3590 < trigger.deadline < time.time() + 3610
    until(place.stand_in.calls)
    event = fired(StarlakeTrigger(**{**trigger.serialize()[1], "deadline": before}))
    assert place.verdict(pipeline, trigger.handle) is Verdict.CANCELLED
    with pytest.raises(AirflowException, match="stopped after its time-out of 3600 s"):
        operator.resume(context, event)
    assert place.ends() == ["load 1: failed"]


def test_a_deferral_has_a_net_below_its_deadline(place: Place) -> None:
    place.stand_in.script("transform:sales.orders", GOES_ON)
    operator = place.draw(task_timeout=3600).native.get_task("load")
    with pytest.raises(TaskDeferred) as caught:
        operator.execute(seen_by(operator))
    assert caught.value.timeout > timedelta(seconds=3600)


def test_a_kill_of_a_deferred_task_cancels(place: Place) -> None:
    place.stand_in.script("transform:sales.orders", GOES_ON)
    pipeline = place.draw()
    trigger = deferred(pipeline.native.get_task("load"), seen_by(pipeline.native.get_task("load")))
    asyncio.run(trigger.on_kill())
    assert place.verdict(pipeline, trigger.handle) is Verdict.CANCELLED
    assert place.ends() == ["load 1: cancelled"]


def stopped(trigger: Any) -> None:
    """Stop a trigger as a triggerer does, when it waits."""

    async def stop() -> None:
        task = asyncio.ensure_future(anext(trigger.run()))
        await asyncio.sleep(0)
        await asyncio.to_thread(lambda: None)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(stop())


def test_a_restart_of_the_triggerer_cancels_nothing(place: Place) -> None:
    """3.3 tells a trigger of kills itself; before, a trigger without a task instance cannot know, and leaves the attempt alone."""
    place.stand_in.script("transform:sales.orders", GOES_ON)
    pipeline = place.draw()
    trigger = deferred(pipeline.native.get_task("load"), seen_by(pipeline.native.get_task("load")))
    stopped(trigger)
    assert place.verdict(pipeline, trigger.handle) is None


@pytest.mark.skipif(VERSION >= (3, 0), reason="from 3.0 on triggers have no database")
@pytest.mark.parametrize(
    ("now", "same_trigger", "cancelled"),
    [("deferred", True, False), ("deferred", False, True), ("failed", True, True), (None, True, True)],
    ids=["restart", "deferred again", "failed", "cleared"],
)
def test_2_11_asks_the_database_whether_the_task_still_waits(
    place: Place, now: str | None, same_trigger: bool, cancelled: bool
) -> None:
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session

    pipeline = place.draw()
    run = run_dag(pipeline.native, DATE)
    place.stand_in.script("transform:sales.orders", GOES_ON)
    operator = pipeline.native.get_task("load")
    trigger = deferred(operator, seen_by(operator))
    with create_session() as session:
        rows = [Trigger(classpath="x", kwargs={}), Trigger(classpath="x", kwargs={})]
        session.add_all(rows)
        session.flush()
        ti = session.query(TaskInstance).filter_by(dag_id=run.dag_id, run_id=run.run_id, task_id="load").one()
        ti.state = now
        ti.trigger_id = rows[0].id
        trigger.trigger_id = rows[0 if same_trigger else 1].id
    trigger.task_instance = SimpleNamespace(dag_id=run.dag_id, task_id="load", run_id=run.run_id, map_index=-1)
    stopped(trigger)
    assert place.verdict(pipeline, trigger.handle) is (Verdict.CANCELLED if cancelled else None)


def test_triggers_share_one_poll_per_tick(place: Place) -> None:
    tables = [f"t{number}" for number in range(5)]
    for table in tables:
        place.stand_in.script(f"load:sales.{table}", GOES_ON)
    pipeline = place.draw(lambda p: [p.sl_load(table, "sales", table) for table in tables] and None)
    triggers = [deferred(pipeline.native.get_task(table), seen_by(pipeline.native.get_task(table))) for table in tables]
    polls = place.attempts / "polls"
    polls.touch()
    runner = runner_for(next(iter(pipeline.tasks())).job)

    def ticks() -> list[str]:
        return polls.read_text().split()

    async def wait_for_all() -> list[Any]:
        waiting = [asyncio.ensure_future(anext(trigger.run())) for trigger in triggers]
        await asyncio.to_thread(until, lambda: ticks().count("5") >= 3)
        seen = ticks()
        assert set(seen[seen.index("5") :]) == {"5"}, "some triggers are polled for alone"
        for trigger in triggers:
            await asyncio.to_thread(runner.cancel, trigger.handle)
        return list(await asyncio.gather(*waiting))

    fired_events = asyncio.run(wait_for_all())
    assert {Outcome.from_json(e.payload["outcome"]).verdict for e in fired_events} == {Verdict.CANCELLED}


# -- tries that follow


def test_a_retry_takes_over_what_still_goes_on(place: Place) -> None:
    place.stand_in.script("transform:sales.orders", GOES_ON)
    operator = place.draw().native.get_task("load")
    first = deferred(operator, seen_by(operator, attempt=1))
    second = deferred(operator, seen_by(operator, attempt=2))
    assert second.handle == first.handle
    assert (first.attempt, second.attempt) == ("1", "2")
    assert len(place.handles()) == 1


def test_a_retry_does_not_take_an_ended_attempt_for_its_own(place: Place) -> None:
    place.stand_in.script("transform:sales.orders", CRASHED, Step())
    operator = place.draw(defer_after=60).native.get_task("load")
    with pytest.raises(AirflowException):
        operator.execute(seen_by(operator, attempt=1))
    assert operator.execute(seen_by(operator, attempt=2))["outcome"] == "succeeded"
    assert len(place.handles()) == 2


def test_an_adopted_attempt_that_its_old_owner_cancels_leads_to_one_of_its_own(place: Place) -> None:
    place.stand_in.script("transform:sales.orders", GOES_ON, Step())
    pipeline = place.draw()
    operator = pipeline.native.get_task("load")
    first = deferred(operator, seen_by(operator, attempt=1))
    context = seen_by(operator, attempt=2)
    second = deferred(operator, context)
    until(place.stand_in.calls)
    asyncio.run(first.on_kill())
    event = fired(second)
    assert Outcome.from_json(event["outcome"]).verdict is Verdict.CANCELLED
    with pytest.raises(TaskDeferred) as caught:
        operator.resume(context, event)
    own = caught.value.trigger
    assert own.handle != first.handle
    assert operator.resume(context, fired(own))["outcome"] == "succeeded"
    assert place.ends() == ["load 1: cancelled", "load 2: succeeded"]


def test_an_attempt_of_its_own_that_somebody_cancels_fails_the_task(place: Place) -> None:
    place.stand_in.script("transform:sales.orders", GOES_ON)
    pipeline = place.draw()
    operator = pipeline.native.get_task("load")
    context = seen_by(operator)
    trigger = deferred(operator, context)
    place.runner(pipeline).cancel(trigger.handle)
    with pytest.raises(AirflowException, match="cancelled"):
        operator.resume(context, fired(trigger))
    assert context["ti"].pushed["return_value"]["outcome"] == "cancelled"
    assert len(place.handles()) == 1
    assert place.ends() == ["load 1: cancelled"]


def test_a_rescheduled_task_takes_its_own_attempt_back(place: Place) -> None:
    operator = place.draw(deferrable=False).native.get_task("load")
    for _ in range(2):
        with pytest.raises(AirflowRescheduleException) as caught:
            operator.execute(seen_by(operator))
        assert caught.value.reschedule_date <= datetime.now(timezone.utc) + timedelta(seconds=1)
        if (Path(place.handles()[0]) / "exit").exists():
            break
    until((Path(place.handles()[0]) / "exit").exists)
    assert operator.execute(seen_by(operator))["outcome"] == "succeeded"
    assert len(place.handles()) == 1


def check_of(place: Place, wait: Wait, **options: Any) -> Any:
    def build(p: StarlakePipeline) -> None:
        check = p.sl_pre_load("sales", ["orders"], "pending", task_id="check")
        assert isinstance(check, Task)
        check.wait = wait

    return place.draw(build, **{"defer_after": 60, **options}).native.get_task("check")


def look(operator: Any, monkeypatch: pytest.MonkeyPatch, waited: float | None) -> Any:
    """Execute a check that began to wait some seconds ago."""
    began = None if waited is None else datetime.now(timezone.utc) - timedelta(seconds=waited)
    monkeypatch.setattr("starlake_core_airflow.operator.first_look", lambda context: began)
    return operator.execute(seen_by(operator))


def test_every_look_of_a_check_is_an_attempt_of_its_own(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.stand_in.script("preload:sales", NOT_READY, NOT_READY, Step())
    operator = check_of(place, Wait(300, 3600))
    for waited in (None, 301):
        with pytest.raises(AirflowRescheduleException) as caught:
            look(operator, monkeypatch, waited)
        pause = (caught.value.reschedule_date - datetime.now(timezone.utc)).total_seconds()
        assert 290 < pause <= 300
    assert look(operator, monkeypatch, 602)["outcome"] == "succeeded"
    assert len(place.handles()) == 3


def test_the_last_look_looks(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.stand_in.script("preload:sales", NOT_READY, NOT_READY, Step())
    operator = check_of(place, Wait(300, 400))
    for waited in (None, 301):
        with pytest.raises(AirflowRescheduleException):
            look(operator, monkeypatch, waited)
    assert look(operator, monkeypatch, 400)["outcome"] == "succeeded"


def test_a_look_that_outlasts_its_interval_counts(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    operator = check_of(place, Wait(300, 3600), defer_after=0, deferrable=False)
    with pytest.raises(AirflowRescheduleException):
        look(operator, monkeypatch, 290)
    until((Path(place.handles()[0]) / "exit").exists)
    assert look(operator, monkeypatch, 310)["outcome"] == "succeeded"
    assert len(place.handles()) == 1


def moments(operator: Any, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When a check that is never ready is looked at again, in seconds since the first look, until it is skipped."""
    found = [0.0]
    while True:
        began = datetime.now(timezone.utc) - timedelta(seconds=found[-1])
        try:
            look(operator, monkeypatch, found[-1])
        except AirflowRescheduleException as again:
            found.append((again.reschedule_date - began).total_seconds())
        except AirflowSkipException:
            return found


@pytest.mark.skipif(VERSION < (3,), reason="2.11 waits for the end of the worker")
@pytest.mark.parametrize(
    ("wait", "looks", "last"),
    [
        (Wait(10, 32, True), 4, 32),
        (Wait(2, 20, True), 3, 20),
        (Wait(10, 3, True), 2, 7),
        (Wait(300, 600, True), 3, 600),
    ],
)
def test_a_task_never_comes_back_before_airflow_knows_that_it_left(
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    wait: Wait,
    looks: int,
    last: int,
) -> None:
    """apache/airflow#71172: one that is queued again by then fails. The floor is five seconds of Airflow's and two."""
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "5")
    place.stand_in.script("preload:sales", NOT_READY)
    found = moments(check_of(place, wait), monkeypatch)
    assert len(found) == looks, found
    assert all(later - earlier >= 7 for earlier, later in pairwise(found)), found
    assert last <= found[-1] < last + 3, found
    assert ("fails a task that comes back within 7 s" in "".join(capsys.readouterr())) == (wait.interval < 7)


@pytest.mark.skipif(VERSION < (3,), reason="2.11 waits for the end of the worker")
@pytest.mark.parametrize(("timeout", "expected"), [(None, 7), (3600, 7), (10, 10), (1, 7)])
def test_nor_does_one_that_waits_for_a_job(
    place: Place, monkeypatch: pytest.MonkeyPatch, timeout: int | None, expected: int
) -> None:
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "5")
    place.stand_in.script("transform:sales.orders", GOES_ON)
    given = {} if timeout is None else {"task_timeout": timeout}
    operator = place.draw(deferrable=False, **given).native.get_task("load")
    with pytest.raises(AirflowRescheduleException) as caught:
        operator.execute(seen_by(operator))
    assert round((caught.value.reschedule_date - datetime.now(timezone.utc)).total_seconds()) == expected


@pytest.mark.parametrize("soft_fail", [False, True])
def test_the_end_of_the_waiting(place: Place, monkeypatch: pytest.MonkeyPatch, soft_fail: bool) -> None:
    place.stand_in.script("preload:sales", NOT_READY)
    operator = check_of(place, Wait(300, 600, soft_fail))
    with pytest.raises(AirflowSkipException if soft_fail else AirflowFailException, match="within 600 s"):
        look(operator, monkeypatch, 601)


# -- asked for again


def test_a_clear_asks_for_the_work_again_and_a_retry_does_not(place: Place) -> None:
    """With the rows of a real run: Airflow's own clear is what counts."""
    from airflow.models.taskinstance import TaskInstance, clear_task_instances
    from airflow.utils.session import create_session
    from sqlalchemy import select

    place.stand_in.script("transform:sales.orders", CRASHED, Step())
    pipeline = place.draw(retries=1)
    operator = pipeline.native.get_task("load")
    run = run_dag(pipeline.native, DATE)
    assert tries(run, "load") == 2

    def generation() -> int:
        with create_session() as session:
            ti = session.scalars(
                select(TaskInstance).where(TaskInstance.dag_id == run.dag_id, TaskInstance.run_id == run.run_id)
            ).one()
            context = seen_by(operator, attempt=ti.try_number, max_tries=ti.max_tries)
        return attempt_of(context, operator.facts, "load").generation

    assert generation() == 0
    found = []
    for _ in range(2):
        with create_session() as session:
            tis = list(
                session.scalars(
                    select(TaskInstance).where(TaskInstance.dag_id == run.dag_id, TaskInstance.run_id == run.run_id)
                )
            )
            clear_task_instances(tis, session)
        found.append(generation())
        with create_session() as session:  # as the scheduler does before the next try, which succeeds
            ti = session.scalars(
                select(TaskInstance).where(TaskInstance.dag_id == run.dag_id, TaskInstance.run_id == run.run_id)
            ).one()
            ti.try_number += 1
            ti.state = "success"
    assert 0 < found[0] < found[1]


def test_work_that_is_asked_for_again_has_another_key(place: Place) -> None:
    operator = place.draw(defer_after=60, retries=1).native.get_task("load")
    operator.execute(seen_by(operator, attempt=1))
    operator.execute(seen_by(operator, attempt=2, max_tries=2))
    keys = [call.env["SL_RUN_KEY"] for call in place.stand_in.calls()]
    assert len(set(keys)) == 2
    assert keys[1].startswith(keys[0])


# -- killed while it runs

KILLED = """
import signal, sys
from datetime import datetime, timezone
from pathlib import Path

sys.path[:0] = [{here!r}, {detached!r}]
from airflow_runs import draw
from test_airflow_deferral import seen_by

pipeline = draw(Path({root!r}), lambda p: p.sl_transform("load", "sales.orders"), {options!r}, environment={environment!r})
operator = pipeline.native.get_task("load")
signal.signal(signal.SIGTERM, lambda *_: operator.on_kill())
try:
    operator.execute(seen_by(operator))
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("environment", ["detached", "shell"])
def test_a_kill_while_the_worker_waits_cancels(place: Place, environment: str) -> None:
    place.stand_in.script("transform:sales.orders", GOES_ON)
    options: dict[str, Any] = {"SL_STARLAKE_PATH": str(place.stand_in.path), "plugins": "ends"}
    if environment == "detached":
        options = {
            "detached_folder": str(place.attempts),
            "detached_program": str(place.stand_in.path),
            "defer_after": 3600,
            "plugins": "ends",
        }
    script = textwrap.dedent(KILLED).format(
        here=str(HERE),
        detached=str(HERE / "detached_environment"),
        root=str(place.root),
        options=options,
        environment=environment,
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        until(lambda: place.stand_in.calls() or worker.poll() is not None)
        if environment == "detached":
            until(lambda: (Path(place.handles()[0]) / "pid").exists())
        worker.send_signal(signal.SIGTERM)
        said, _ = worker.communicate(timeout=60)
    finally:
        worker.kill()
    assert "AirflowException" in said
    assert "cancelled" in said
    assert place.ends() == ["load 1: cancelled"]
    if environment == "detached":
        assert (Path(place.handles()[0]) / "cancelled").exists()
