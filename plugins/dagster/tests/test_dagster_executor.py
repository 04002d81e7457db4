"""The executor that runs steps in threads, and one step for a whole domain."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance, DagsterRunStatus, failure_hook, in_process_executor, op, success_hook
from dagster import executor as dagster_executor
from dagster._core.execution.api import execute_run
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster_runs import draw, instance_in, job, states
from starlake_core_dagster import executor
from starlake_core_dagster.executor import InProcess, run_in_process, thread_executor
from starlake_core_dagster.watching import DONE

from starlake_core import RunError, StarlakePipeline, TaskState, request_run
from starlake_core.runtime import Verdict, runner_for
from starlake_core.testing import FakeEnvironment
from starlake_core.testing.fake import serving
from starlake_core.testing.lab import until

pytest_plugins = ["starlake_core.testing.plugin"]


class Ran:
    """A run of a job, in the instance where it is kept."""

    def __init__(self, instance: Any) -> None:
        (record,) = instance.get_run_records(limit=1)
        self.run = record.dagster_run
        logs = instance.all_logs(self.run.run_id)
        self.all_events = [log.dagster_event for log in logs if log.dagster_event is not None]
        self.success = self.run.is_success
        self.text = "\n".join(log.message for log in logs)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Any]:
    with instance_in(tmp_path / "dagster") as made:
        yield made


def ran(pipeline: StarlakePipeline, instance: Any, tags: dict[str, str] | None = None, most: int | None = 4) -> Ran:
    with serving(pipeline.orchestration.plugins):
        run_in_process(job(pipeline), instance, tags or {}, most, InProcess())
    return Ran(instance)


class Together:
    """Ops of the user that say how many of them ran at once."""

    def __init__(self, wait_for: int = 1) -> None:
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()
        self._barrier = threading.Barrier(wait_for)

    def make(self, name: str, **keywords: Any) -> Any:
        @op(name=name, **keywords)
        def body() -> None:
            with self._lock:
                self._now += 1
                self.most = max(self.most, self._now)
            self._barrier.wait(60)
            with self._lock:
                self._now -= 1

        return body


def side_by_side(seen: Together, count: int, **keywords: Any) -> StarlakePipeline:
    def build(p: StarlakePipeline) -> None:
        start = p.start_task()
        for number in range(count):
            name = f"step_{number}"
            start >> p.add_native(name, lambda name=name: seen.make(name, **keywords))

    return draw(build, **({"executor_def": keywords.pop("executor_def")} if "executor_def" in keywords else {}))


def test_steps_run_side_by_side(instance: Any) -> None:
    seen = Together(wait_for=4)
    assert ran(side_by_side(seen, 8), instance).success
    assert seen.most == 4, "they met, and no more than four at once"


def test_a_tag_may_have_a_limit(instance: Any) -> None:
    seen = Together()
    limited = thread_executor(8).configured(
        {"max_concurrent": 8, "tag_concurrency_limits": [{"key": "warehouse", "limit": 1}]}, name="limited"
    )
    pipeline = side_by_side(seen, 6, tags={"warehouse": "small"}, executor_def=limited)
    assert ran(pipeline, instance, most=None).success
    assert seen.most == 1


def test_a_pool_has_the_slots_that_the_instance_gives_it(instance: Any) -> None:
    seen = Together()
    instance.event_log_storage.set_concurrency_slots("warehouse", 1)
    assert ran(side_by_side(seen, 4, pool="warehouse"), instance).success
    assert seen.most == 1
    assert not instance.event_log_storage.get_concurrency_info("warehouse").claimed_slots


def test_only_what_failed_is_tried_again(instance: Any) -> None:
    environment = FakeEnvironment()
    environment.script("transform:kpi.a", Verdict.FAILED, Verdict.SUCCEEDED)

    def build(p: StarlakePipeline) -> None:
        start, end = p.start_task(), p.end_task()
        for name in "abc":
            start >> p.sl_transform(name, f"kpi.{name}", retries=1, retry_delay=0) >> end

    result = ran(draw(build, environment=environment), instance)
    assert result.success
    assert sorted(s.subject for s in environment.submissions) == [f"transform:kpi.{name}" for name in "aabc"]
    assert len({s.key.task for s in environment.started("transform:kpi.a")}) == 1
    assert len({s.key.attempt for s in environment.started("transform:kpi.a")}) == 2


def test_a_step_is_not_tried_again_before_the_thread_of_its_last_attempt_has_ended(
    instance: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    looked = threading.Condition()

    def look(steps: Any, *arguments: Any, **keywords: Any) -> Any:
        nonlocal looks
        with looked:
            looks += 1
            looked.notify_all()
        return find(steps, *arguments, **keywords)

    def linger(step_context: Any) -> Iterator[Any]:
        for event in events(step_context):
            yield event
            if event.is_step_up_for_retry:
                with looked:
                    assert looked.wait_for(lambda seen=looks: looks >= seen + 3, 60), "the loop does not look any more"

    find, events = executor._Steps.get_steps_to_execute, executor.dagster_event_sequence_for_step
    monkeypatch.setattr(executor._Steps, "get_steps_to_execute", look)
    monkeypatch.setattr(executor, "dagster_event_sequence_for_step", linger)
    environment = FakeEnvironment()
    environment.script("transform:kpi.a", Verdict.FAILED, Verdict.SUCCEEDED)
    pipeline = draw(lambda p: p.sl_transform("a", "kpi.a", retries=1, retry_delay=0), environment=environment)
    result = ran(pipeline, instance)
    assert result.success, result.text
    assert len(environment.submissions) == 2


def test_what_comes_after_a_failure_and_a_skip_has_failed(instance: Any) -> None:
    environment = FakeEnvironment()
    environment.script("preload:sales", Verdict.NOT_READY)
    environment.script("transform:kpi.a", Verdict.FAILED)

    def build(p: StarlakePipeline) -> None:
        check = p.sl_pre_load("sales", ["orders"], "pending")
        assert check is not None
        broken, both = p.sl_transform("a", "kpi.a"), p.sl_transform("both", "kpi.both")
        p.start_task() >> [check, broken] >> both >> p.end_task()

    pipeline = draw(build, environment=environment)
    result = ran(pipeline, instance)
    assert not result.success
    assert "both" not in states(result)
    assert "end" not in states(result), "an end tolerates skips, and no failure"


def test_what_cannot_be_said_again_is_no_step_of_the_run(instance: Any) -> None:
    """An exception that no step should raise fails the run, and nothing hangs."""

    @op
    def broken() -> None:
        raise SystemExit(3)

    assert not ran(draw(lambda p: p.add_native("broken", lambda: broken)), instance).success


def test_no_job_goes_on_behind_a_run_that_fails_in_its_main_loop(
    instance: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = FakeEnvironment()
    environment.script("transform:kpi.a", None)

    def build(p: StarlakePipeline) -> None:
        p.sl_transform("a", "kpi.a")
        p.sl_dummy_op("first") >> p.sl_transform("b", "kpi.b", pool="warehouse")

    def locked(*_: Any, **__: Any) -> Any:
        until(lambda: bool(environment.started("transform:kpi.a")), "the job runs")
        raise OSError("database is locked")

    instance.event_log_storage.set_concurrency_slots("warehouse", 1)
    monkeypatch.setattr(instance.event_log_storage, "claim_concurrency_slot", locked)
    result = ran(draw(build, environment=environment), instance)
    assert not result.success
    (attempt,) = environment.attempts.values()
    assert attempt.submission.handle in environment.cancelled
    assert attempt.ended is not None
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("starlake-")] == []


def test_the_loop_rests_while_everything_waits_for_a_pool(instance: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = instance.event_log_storage
    storage.set_concurrency_slots("warehouse", 1)
    storage.claim_concurrency_slot("warehouse", "another run", "step")
    looks = []

    def looked(steps: Any) -> float:
        looks.append(1)
        return original(steps)

    original = executor._Steps.sleep_interval
    monkeypatch.setattr(executor._Steps, "sleep_interval", looked)
    timer = threading.Timer(2, storage.free_concurrency_slot_for_step, ("another run", "step"))
    timer.start()
    pipeline = draw(lambda p: p.sl_transform("a", "kpi.a", pool="warehouse"))
    assert ran(pipeline, instance).success
    timer.join()
    assert len(looks) < 200, "it looked a thousand times a second"


def test_who_wants_the_exception_of_a_step_gets_it(instance: Any) -> None:
    @op
    def broken() -> None:
        raise LookupError("the exception of the step")

    job_def = job(draw(lambda p: p.add_native("broken", lambda: broken)))
    made = instance.create_run_for_job(job_def=job_def)
    with pytest.raises(LookupError, match="the exception of the step"):
        execute_run(executor.InMemoryJob(job_def), made, instance, raise_on_error=True)
    assert not instance.get_run_by_id(made.run_id).is_success


def test_a_hook_of_a_step_sees_what_became_of_it(instance: Any) -> None:
    seen: list[Any] = []

    @failure_hook
    def failed(context: Any) -> None:
        seen.append(str(context.op_exception))

    @success_hook
    def made(context: Any) -> None:
        seen.append(sorted(context.op_output_values))

    environment = FakeEnvironment()
    environment.script("transform:kpi.b", Verdict.FAILED)

    def build(p: StarlakePipeline) -> None:
        p.sl_transform("a", "kpi.a") >> p.sl_transform("b", "kpi.b")

    assert not ran(draw(build, environment=environment, hooks={failed, made}), instance).success
    outputs, reason = seen
    assert outputs == ["result"]
    assert "kpi.b" in reason


def test_the_files_of_events_stay_open_during_a_run(instance: Any) -> None:
    logs: dict[str, list[bool]] = {}

    def look(name: str, run_id: str) -> None:
        store = instance.event_log_storage
        logs[name] = [Path(f"{store.path_for_shard(shard)}-wal").exists() for shard in (run_id, "index")]

    @op
    def during(context) -> None:
        look("during", context.run_id)

    result = ran(draw(lambda p: p.add_native("during", lambda: during)), instance)
    look("after", result.run.run_id)
    assert logs == {"during": [True, True], "after": [False, False]}, "SQLite deletes a log that nobody has open"


def test_a_run_needs_no_open_files(instance: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A newer Dagster may keep its events elsewhere."""
    monkeypatch.setitem(sys.modules, SqliteEventLogStorage.__module__, None)
    assert ran(draw(lambda p: p.sl_transform("a", "kpi.a")), instance).success


# -- stopping


def test_an_interrupt_stops_the_jobs(tmp_path: Path) -> None:
    told, path = tmp_path / "pid", tmp_path / "starlake"
    path.write_text(f"#!/bin/sh\necho $$ > {told}.new && mv {told}.new {told}\nexec sleep 600\n", encoding="utf-8")
    path.chmod(0o755)

    def build(p: StarlakePipeline) -> None:
        p.start_task() >> p.sl_transform("a", "kpi.a") >> p.end_task()

    options = {"SL_STARLAKE_PATH": str(path)}
    pipeline = draw(build, options, environment="shell", root=tmp_path / "project")

    def interrupt() -> None:
        until(told.exists, "the job runs")
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    report = pipeline.start_run(request_run(pipeline, run_id="stopped"))
    thread.join()
    assert report.state == TaskState.CANCELLED
    assert (report.task("a").state, report.task("end").state) == (TaskState.CANCELLED, TaskState.CANCELLED)
    pid = int(told.read_text(encoding="utf-8"))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_tear_down_runs_though_the_user_stopped_the_run() -> None:
    environment = FakeEnvironment(lifecycle=True)
    environment.script("transform:kpi.a", None)

    def build(p: StarlakePipeline) -> None:
        before, after, done = p.pre_tasks(), p.post_tasks(), p.sl_dummy_op("all_done")
        assert before is not None
        assert after is not None
        before >> p.sl_transform("a", "kpi.a") >> done >> after

    pipeline = draw(build, environment=environment)

    def interrupt() -> None:
        until(lambda: bool(environment.started("transform:kpi.a")), "the job runs")
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with serving(pipeline.orchestration.plugins):
        report = pipeline.start_run(request_run(pipeline, run_id="stopped"))
    thread.join()
    assert report.state == TaskState.CANCELLED
    assert len(environment.started("job:delete_cluster")) == 1
    assert report.task("delete_cluster").state == TaskState.SUCCEEDED
    assert len(environment.cancelled) == 1


def interrupted(pipeline: StarlakePipeline, when: Any, **keywords: Any) -> Any:
    """The report of a run that is interrupted as soon as something is so."""

    def interrupt() -> None:
        until(when, "it is time to stop")
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with serving(pipeline.orchestration.plugins):
        report = pipeline.run(**keywords)
    thread.join()
    return report


@pytest.mark.parametrize("executor_def", [None, in_process_executor])
def test_what_a_stopped_run_did_not_end_was_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executor_def: Any
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    environment = FakeEnvironment()
    environment.script("transform:kpi.b", None)

    def build(p: StarlakePipeline) -> None:
        tasks = [p.sl_transform(name, f"kpi.{name}") for name in "abc"]
        p.start_task() >> tasks[0] >> tasks[1] >> tasks[2] >> p.end_task()
        tasks[0] >> p.sl_transform("d", "kpi.d")

    native = {} if executor_def is None else {"executor_def": executor_def}
    pipeline = draw(build, {"parallelism": 1}, environment=environment, **native)
    report = interrupted(pipeline, lambda: bool(environment.started("transform:kpi.b")))
    assert (report.state, report.reason) == (TaskState.CANCELLED, "stopped by the user")
    assert report.task("a").state == TaskState.SUCCEEDED
    ends = {(report.task(name).state, report.task(name).reason) for name in ("b", "c", "end")}
    assert ends == {(TaskState.CANCELLED, "stopped by the user")}
    if executor_def is None:
        with DagsterInstance.get() as instance:
            assert Ran(instance).run.status == DagsterRunStatus.CANCELED


def test_a_retry_that_was_still_to_come_was_cancelled() -> None:
    environment = FakeEnvironment()
    environment.script("transform:kpi.a", Verdict.FAILED)
    told = threading.Event()

    def listen(event: Any) -> None:
        if event.task == "b" and event.state == TaskState.SUCCEEDED:
            told.set()

    def build(p: StarlakePipeline) -> None:
        p.sl_transform("a", "kpi.a", retries=1, retry_delay=600)
        p.sl_transform("b", "kpi.b")

    pipeline = draw(build, {"parallelism": 1}, environment=environment)
    report = interrupted(pipeline, told.is_set, listener=listen)
    assert (report.task("a").state, report.task("a").reason) == (TaskState.CANCELLED, "stopped by the user")
    assert report.task("b").state == TaskState.SUCCEEDED


def test_a_good_run_of_a_selection_has_no_reason() -> None:
    pipeline = draw(lambda p: p.start_task() >> p.sl_transform("a", "kpi.a") >> p.end_task())
    with serving(pipeline.orchestration.plugins):
        report = pipeline.run(select=["a"])
    assert (report.state, report.reason) == (TaskState.SUCCEEDED, "")


def test_the_values_of_variables_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    pipeline = draw(lambda p: p.sl_transform("a", "kpi.a"))
    with serving(pipeline.orchestration.plugins):
        assert pipeline.start_run(request_run(pipeline, variables={"PASSWORD": "hush"})).state == TaskState.SUCCEEDED
    with DagsterInstance.get() as instance:
        assert "hush" not in str(Ran(instance).run.tags)


@pytest.mark.parametrize(("parallelism", "used"), [(None, 1), (2, 0)])
def test_a_run_in_this_process_takes_the_executor_of_the_user(parallelism: int | None, used: int) -> None:
    made = []

    @dagster_executor(name="mine")
    def mine(context: Any) -> Any:
        made.append(context)
        return executor.ThreadExecutor(1, None, executor.RetryMode.ENABLED)

    pipeline = draw(lambda p: p.sl_transform("a", "kpi.a"), executor_def=mine)
    keywords = {} if parallelism is None else {"parallelism": parallelism}
    with serving(pipeline.orchestration.plugins):
        assert pipeline.run(**keywords).state == TaskState.SUCCEEDED
    assert bool(made) == bool(used)


def executed(pipeline: StarlakePipeline, instance: Any, before: Any, **tags: str) -> Any:
    """A run that Dagster, or a person, makes after another one."""
    job_def = job(pipeline)
    again = instance.create_run_for_job(
        job_def=job_def,
        parent_run_id=before.run_id,
        root_run_id=before.run_id,
        tags={"dagster/parent_run_id": before.run_id, "dagster/root_run_id": before.run_id, **tags},
    )
    with serving(pipeline.orchestration.plugins):
        list(executor.execute_run_iterator(executor.InMemoryJob(job_def), again, instance))
    return instance.get_run_by_id(again.run_id)


def test_a_retry_after_a_dead_worker_takes_over_the_job_that_goes_on(instance: Any) -> None:
    environment = FakeEnvironment()
    environment.delay("transform:kpi.a", 3)
    pipeline = draw(lambda p: p.sl_transform("a", "kpi.a"), environment=environment)
    dead = instance.create_run_for_job(job_def=job(pipeline))
    (task,) = pipeline.tasks()
    assert task.job is not None
    begun = request_run(pipeline, run_id=dead.run_id).run.attempt("a", f"{dead.run_id}:0")
    with serving(pipeline.orchestration.plugins):
        bound = task.job.bind(begun)
        runner_for(bound, pipeline.orchestration.plugins).submit(bound, begun.key)
    assert executed(pipeline, instance, dead, **{"dagster/retry_number": "1"}).is_success
    assert len(environment.submissions) == 1, "the job was started a second time"


# -- where Dagster does not let us


def test_without_what_it_needs_steps_run_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "supports_threads", False)
    thread_executor.cache_clear()
    try:
        pipeline = draw(lambda p: p.sl_transform("a", "kpi.a"))
        assert job(pipeline).executor_def is in_process_executor
        with pytest.raises(RunError, match="cannot run from here with this version of Dagster"):
            pipeline.run()
    finally:
        thread_executor.cache_clear()


def test_fewer_than_one_step_at_once_is_refused(instance: Any) -> None:
    nothing = thread_executor(8).configured({"max_concurrent": 0}, name="nothing")
    pipeline = draw(lambda p: p.sl_transform("a", "kpi.a"), executor_def=nothing)
    with pytest.raises(ValueError, match="0 is not a valid value for max_concurrent; it must be at least 1"):
        ran(pipeline, instance, most=None)


# -- a domain in one step


def one_step(environment: FakeEnvironment, **options: Any) -> StarlakePipeline:
    def build(p: StarlakePipeline) -> None:
        with p.sl_create_task_group("loads") as loads:
            for table in ("a", "b", "c"):
                p.sl_load(f"load_{table}", "sales", table)
        p.start_task() >> loads >> p.sl_transform("kpi", "kpi.x") >> p.end_task()

    return draw(build, {"load_domain_in_one_step": "true", **options}, environment=environment)


def test_a_domain_in_one_step_is_all_its_tables(instance: Any) -> None:
    environment = FakeEnvironment()
    pipeline = one_step(environment)
    result = ran(pipeline, instance)
    assert states(result) == dict.fromkeys(["loads", "kpi", "end"], "success")
    keys = {e.asset_key.to_user_string() for e in result.all_events if e.event_type_value == "ASSET_MATERIALIZATION"}
    assert keys == {"sales/a", "sales/b", "sales/c", "kpi/x", "p"}
    assert {s.key.task.rpartition("/")[2] for s in environment.submissions} == {
        "loads.load_a",
        "loads.load_b",
        "loads.load_c",
        "kpi",
    }


def test_a_retry_of_a_domain_in_one_step_runs_what_failed(instance: Any) -> None:
    environment = FakeEnvironment()
    environment.script("load:sales.b", Verdict.FAILED, Verdict.SUCCEEDED)
    result = ran(one_step(environment, retries=1), instance)
    assert result.success
    loads = [s.subject for s in environment.submissions if s.subject.startswith("load")]
    assert sorted(loads) == ["load:sales.a", "load:sales.b", "load:sales.b", "load:sales.c"]
    written = [e.asset_key for e in result.all_events if e.event_type_value == "ASSET_MATERIALIZATION"]
    assert len(written) == len(set(written))


def test_going_on_after_a_failure_of_a_domain_in_one_step_runs_what_failed(instance: Any) -> None:
    environment = FakeEnvironment()
    environment.script("load:sales.b", Verdict.FAILED, Verdict.SUCCEEDED)
    pipeline = one_step(environment)
    first = ran(pipeline, instance)
    assert not first.success
    assert "1 of 3 failed" in first.text or any(
        "1 of 3 failed" in str(e.step_failure_data.error_display_string) for e in first.all_events if e.is_step_failure
    )
    # As Dagster marks a run that goes on after the failure of another.
    assert executed(pipeline, instance, first.run, **{"dagster/is_resume_retry": "true"}).is_success
    loads = [s.subject for s in environment.submissions if s.subject.startswith("load")]
    assert sorted(loads) == ["load:sales.a", "load:sales.b", "load:sales.b", "load:sales.c"]
    kept = Ran(instance)
    assert kept.success
    done = [
        e
        for e in kept.all_events
        if e.event_type_value == "ASSET_MATERIALIZATION" and DONE in e.materialization.metadata
    ]
    assert sorted(e.asset_key.to_user_string() for e in done) == ["sales/a", "sales/c"]
    for event in done:
        metadata = dict(event.materialization.metadata)
        assert metadata.pop(DONE).value == first.run.run_id
        (earlier,) = [e for e in first.all_events if e.is_step_materialization and e.asset_key == event.asset_key]
        assert metadata == dict(earlier.materialization.metadata)


def test_what_any_run_of_a_chain_had_loaded_is_not_loaded_again(instance: Any) -> None:
    """The run in the middle died before the step began."""
    environment = FakeEnvironment()
    environment.script("load:sales.b", Verdict.FAILED, Verdict.SUCCEEDED)
    pipeline = one_step(environment)
    first = ran(pipeline, instance).run
    resumed = {"dagster/is_resume_retry": "true"}
    dead = instance.create_run_for_job(
        job_def=job(pipeline), parent_run_id=first.run_id, root_run_id=first.run_id, tags=resumed
    )
    instance.report_run_failed(dead)
    assert executed(pipeline, instance, dead, **resumed).is_success
    loads = [s.subject for s in environment.submissions if s.subject.startswith("load")]
    assert sorted(loads) == ["load:sales.a", "load:sales.b", "load:sales.b", "load:sales.c"]


def test_one_of_several_tables_in_one_step_cannot_be_selected_in_this_process() -> None:
    pipeline = one_step(FakeEnvironment())
    with pytest.raises(RunError, match="the tables of loads are loaded in one step and cannot be selected one by one"):
        pipeline.run(select=["load_a"])


def stopped_in_one_step(executor_def: Any, instance: Any, environment: FakeEnvironment) -> Any:
    """A run of a domain of 20 tables, two at once, that is interrupted as soon as it has begun."""
    for number in range(20):
        environment.script(f"load:sales.t{number}", None)

    def build(p: StarlakePipeline) -> None:
        with p.sl_create_task_group("loads"):
            for number in range(20):
                p.sl_load(f"load_{number}", "sales", f"t{number}")

    pipeline = draw(build, {"load_domain_in_one_step": True, "parallelism": 2}, environment=environment)
    job_def = job(pipeline) if executor_def is None else job(pipeline).with_executor_def(executor_def)

    def interrupt() -> None:
        until(lambda: len(environment.submissions) == 2, "two jobs run")
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    made = instance.create_run_for_job(job_def=job_def)
    with serving(pipeline.orchestration.plugins):
        execute_run(executor.InMemoryJob(job_def), made, instance, raise_on_error=False)
    thread.join()
    return instance.get_run_by_id(made.run_id)


@pytest.mark.parametrize("executor_def", [None, in_process_executor])
def test_a_domain_in_one_step_that_is_stopped_cancels_what_runs_and_begins_nothing(
    instance: Any, executor_def: Any
) -> None:
    environment = FakeEnvironment()
    assert not stopped_in_one_step(executor_def, instance, environment).is_success
    assert len(environment.submissions) == len(environment.cancelled) == 2
    assert all(attempt.ended is not None for attempt in environment.attempts.values())
