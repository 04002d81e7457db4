"""What a run set up is torn down once, whatever became of the run."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from dagster import (
    AssetKey,
    DagsterInstance,
    DagsterRunStatus,
    DefaultSensorStatus,
    Definitions,
    define_asset_job,
    in_process_executor,
)
from dagster_runs import draw, instance_in, job, launch, repository, resolved, run, states, tick_of_sensor
from starlake_core_dagster import definitions
from starlake_core_dagster import teardown_sensor as tearing_down

from starlake_core import StarlakePipeline, TaskState
from starlake_core.runtime import Verdict
from starlake_core.short_names import short_hash
from starlake_core.testing import FakeEnvironment
from starlake_core.testing.fake import serving
from starlake_core.testing.lab import until

SENSOR = "p_tear_down_sensor"
DAY = "2025-10-26T00:00:00+0200"
NOTHING = "no run left anything"
CREATE, DELETE, LOAD = "job:create_cluster", "job:delete_cluster", "load:sales.orders"


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Any]:
    with instance_in(tmp_path / "dagster") as made:
        yield made


@pytest.fixture
def environment() -> FakeEnvironment:
    return FakeEnvironment(lifecycle=True)


def build(pipeline: StarlakePipeline) -> None:
    start, before, after, end = (
        pipeline.start_task(),
        pipeline.pre_tasks(),
        pipeline.post_tasks(),
        pipeline.end_task(),
    )
    assert before is not None
    assert after is not None
    done = pipeline.sl_dummy_op("all_done")
    start >> before >> pipeline.sl_load("orders", "sales", "orders") >> done >> after >> end


def drawn(environment: FakeEnvironment, options: Mapping[str, Any] | None = None, **native: Any) -> StarlakePipeline:
    given = {"timezone": "Europe/Paris", **(options or {})}
    return draw(build, given, environment=environment, cron="0 0 * * *", **native)


def requests(pipeline: Any, instance: Any, cursor: str | None = None) -> list[Any]:
    """What a look of the sensor asks for."""
    answer = tick_of_sensor(pipeline, instance, cursor, SENSOR)
    assert answer.run_requests or answer.skip_message == NOTHING
    return list(answer.run_requests)


def torn_down(pipeline: Any, instance: Any, request: Any) -> Any:
    result = launch(job(pipeline, "p_tear_down"), instance, request.tags)
    assert result.success
    return result


@pytest.mark.parametrize("executor", ["execute_in_process", "native keyword"])
def test_a_failed_run_that_stopped_at_its_failure_is_torn_down(
    instance: Any, environment: FakeEnvironment, executor: str
) -> None:
    environment.script(LOAD, Verdict.FAILED)
    pipeline = drawn(environment, **({"executor_def": in_process_executor} if executor == "native keyword" else {}))
    if executor == "native keyword":
        failed = launch(job(pipeline), instance, {"dagster/partition": DAY})
    else:
        failed = run(job(pipeline), instance, partition_key=DAY)
    assert not failed.success
    assert environment.started(DELETE) == []

    (request,) = requests(pipeline, instance)
    assert request.tags["starlake/tears_down"] == failed.run_id
    # Again and again: Dagster takes a run key once.
    assert [again.run_key for again in requests(pipeline, instance)] == [request.run_key]

    assert states(torn_down(pipeline, instance, request)) == {"delete_cluster": "success"}
    (create,), (delete,) = environment.started(CREATE), environment.started(DELETE)
    assert create.key.task.rpartition("/")[0] == delete.key.task.rpartition("/")[0] == f"p/{failed.run_id}"
    assert delete.key.task == f"p/{failed.run_id}/delete_cluster"
    assert create.key.attempt != delete.key.attempt


def test_what_a_tear_down_binds_is_of_the_run_that_was_left(instance: Any, environment: FakeEnvironment) -> None:
    from starlake_core_dagster.context import attempt_of

    pipeline = drawn(environment)
    left = instance.create_run_for_job(job(pipeline), tags={"dagster/partition": DAY})
    tearing = instance.create_run_for_job(job(pipeline, "p_tear_down"), tags={"starlake/tears_down": left.run_id})

    class Context:
        retry_number = 0
        op_config = None

        def __init__(self, run: Any) -> None:
            self.run, self.instance = run, instance

    facts = pipeline.native.facts
    ours, theirs = (attempt_of(Context(one), facts, "delete_cluster") for one in (tearing, left))
    for name in ("sl_run_hash", "sl_run_id", "sl_data_interval_start", "sl_data_interval_end", "sl_ds"):
        assert ours.value(name) == theirs.value(name)
    assert ours.value("sl_run_hash") == short_hash("p", left.run_id)
    assert ours.value("sl_data_interval_end") == "2025-10-27T00:00:00+01:00"
    assert ours.key.task == theirs.key.task
    assert ours.key.attempt != theirs.key.attempt


def test_a_tear_down_of_a_run_that_was_deleted_says_so(instance: Any, environment: FakeEnvironment) -> None:
    pipeline = drawn(environment)
    result = launch(job(pipeline, "p_tear_down"), instance, {"starlake/tears_down": "gone"})
    assert not result.success
    (failure,) = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    assert "run gone, which the tag starlake/tears_down names, is unknown" in str(failure.event_specific_data)
    assert environment.submissions == []


def test_a_run_that_tore_down_itself_leaves_nothing(instance: Any, environment: FakeEnvironment) -> None:
    environment.script(LOAD, Verdict.SUCCEEDED, Verdict.FAILED)
    pipeline = drawn(environment)
    assert launch(job(pipeline), instance, {"dagster/partition": DAY}).success
    assert not launch(job(pipeline), instance, {"dagster/partition": DAY}).success
    assert len(environment.started(CREATE)) == len(environment.started(DELETE)) == 2
    assert requests(pipeline, instance) == []


def test_a_tear_down_that_failed_is_done_again(instance: Any, environment: FakeEnvironment) -> None:
    environment.script(DELETE, Verdict.FAILED, Verdict.SUCCEEDED)
    pipeline = drawn(environment)
    assert not launch(job(pipeline), instance, {"dagster/partition": DAY}).success
    (request,) = requests(pipeline, instance)
    torn_down(pipeline, instance, request)


def test_a_run_that_was_stopped_is_torn_down(instance: Any, environment: FakeEnvironment) -> None:
    """As an interrupt of its worker leaves it: the step began, and nobody said how it ended."""
    environment.script(LOAD, Verdict.FAILED)
    pipeline = drawn(environment)
    stopped = run(job(pipeline), instance, partition_key=DAY).dagster_run
    instance.run_storage.handle_run_event(stopped.run_id, _canceled(stopped))
    assert instance.get_run_by_id(stopped.run_id).status == DagsterRunStatus.CANCELED
    (request,) = requests(pipeline, instance)
    torn_down(pipeline, instance, request)
    assert len(environment.started(DELETE)) == 1


def test_a_run_that_its_user_stopped_and_tore_down_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: FakeEnvironment
) -> None:
    """In a process of the user, whose events are kept in the instance of DAGSTER_HOME."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    environment.script(LOAD, None)
    pipeline = drawn(environment)

    def interrupt() -> None:
        until(lambda: bool(environment.started(LOAD)), "the job runs")
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with serving(pipeline.orchestration.plugins):
        assert pipeline.run().state == TaskState.CANCELLED
    thread.join()
    assert len(environment.started(DELETE)) == 1
    with DagsterInstance.get() as kept:
        (stopped,) = kept.get_runs()
        assert stopped.status == DagsterRunStatus.CANCELED
        assert requests(pipeline, kept) == []


def _canceled(stopped: Any) -> Any:
    from dagster import DagsterEvent, DagsterEventType

    return DagsterEvent(DagsterEventType.RUN_CANCELED.value, stopped.job_name)


def test_a_run_that_never_began_leaves_nothing(instance: Any, environment: FakeEnvironment) -> None:
    pipeline = drawn(environment)
    queued = instance.create_run_for_job(job(pipeline), tags={"dagster/partition": DAY})
    instance.report_run_canceled(queued)
    failed = instance.create_run_for_job(job(pipeline), tags={"dagster/partition": DAY})
    instance.report_run_failed(failed)
    environment.script(CREATE, Verdict.SUCCEEDED)
    assert requests(pipeline, instance) == []


def test_a_run_that_dagster_tries_again_is_left_to_its_last_retry(instance: Any, environment: FakeEnvironment) -> None:
    environment.script(LOAD, Verdict.FAILED)
    pipeline = drawn(environment, executor_def=in_process_executor)
    first = launch(job(pipeline), instance, {"dagster/partition": DAY}).dagster_run
    instance.add_run_tags(first.run_id, {"dagster/will_retry": "true"})
    assert requests(pipeline, instance) == []

    first = instance.get_run_by_id(first.run_id)
    retry = launch(job(pipeline), instance, {"dagster/retry_number": "1"}, again=first, from_failure=True)
    assert "create_cluster" not in states(retry)
    (request,) = requests(pipeline, instance)
    assert request.tags == {**request.tags, "starlake/tears_down": retry.run_id}
    torn_down(pipeline, instance, request)
    (create,), (delete,) = environment.started(CREATE), environment.started(DELETE)
    assert delete.key.task == create.key.task.replace("create", "delete")


def test_what_somebody_goes_on_with_was_torn_down_with_the_run_before(
    instance: Any, environment: FakeEnvironment
) -> None:
    environment.script(LOAD, Verdict.FAILED)
    pipeline = drawn(environment, executor_def=in_process_executor)
    first = launch(job(pipeline), instance, {"dagster/partition": DAY}).dagster_run
    launch(job(pipeline), instance, again=instance.get_run_by_id(first.run_id), from_failure=True)
    assert [request.tags["starlake/tears_down"] for request in requests(pipeline, instance)] == [first.run_id]


def test_what_a_single_table_needed_is_torn_down(instance: Any, environment: FakeEnvironment) -> None:
    """Dagster runs what is before a table that somebody materialises, and not what is behind it."""
    pipeline = drawn(environment)
    other = draw(build, environment=FakeEnvironment(lifecycle=True), name="other")
    defs = definitions([pipeline, other])
    everything = repository(defs).get_implicit_global_asset_job_def()
    single = everything.get_subset(asset_selection={AssetKey(["sales", "orders"])})
    done = run(single, instance, partition_key=DAY)
    assert done.success
    assert environment.started(DELETE) == []
    (request,) = requests(defs, instance)
    assert request.tags["starlake/tears_down"] == done.run_id
    torn_down(defs, instance, request)
    assert [end.key.task for end in environment.started(DELETE)] == [f"p/{done.run_id}/delete_cluster"]
    assert tick_of_sensor(defs, instance, None, "other_tear_down_sensor").run_requests == []


def test_what_a_job_of_the_user_set_up_is_torn_down(instance: Any, environment: FakeEnvironment) -> None:
    pipeline = drawn(environment, run_tags={"pool": "big"})
    mine = define_asset_job("mine", selection=["sales/orders"])
    defs = Definitions.merge(definitions(pipeline), Definitions(jobs=[mine]))
    done = launch(job(defs, "mine"), instance, {"dagster/partition": DAY})
    assert done.success
    (request,) = requests(defs, instance)
    assert request.tags["starlake/tears_down"] == done.run_id
    torn = torn_down(defs, instance, request)
    assert [end.key.task for end in environment.started(DELETE)] == [f"p/{done.run_id}/delete_cluster"]
    # It runs where the runs of the pipeline run, and what limits those does not hold it back.
    tags = instance.get_run_by_id(torn.run_id).tags
    assert tags["pool"] == "big"
    assert "starlake/pipeline" not in tags


def test_a_pipeline_whose_assets_are_defined_elsewhere_is_torn_down_too(
    instance: Any, environment: FakeEnvironment
) -> None:
    def no_end(pipeline: StarlakePipeline) -> None:
        before, after = pipeline.pre_tasks(), pipeline.post_tasks()
        assert before is not None
        assert after is not None
        before >> pipeline.sl_load("orders", "sales", "orders") >> after

    environment.script(LOAD, Verdict.FAILED)
    defs = definitions(
        [draw(no_end, environment=FakeEnvironment(lifecycle=True), name="first"), draw(no_end, environment=environment)]
    )
    failed = run(job(defs), instance)
    assert not failed.success
    (request,) = requests(defs, instance)
    assert request.tags["starlake/tears_down"] == failed.run_id


def test_the_cursor_moves_and_stays_readable(instance: Any, environment: FakeEnvironment) -> None:
    environment.script(LOAD, Verdict.FAILED)
    pipeline = drawn(environment)
    defs = definitions(pipeline)
    empty = tick_of_sensor(defs, instance, None, SENSOR)
    assert empty.skip_message == NOTHING
    begun = datetime.fromisoformat(json.loads(empty.cursor))
    assert timedelta(hours=23) < datetime.now(timezone.utc) - begun < timedelta(hours=25)
    failed = run(job(defs), instance, partition_key=DAY)
    moved = tick_of_sensor(defs, instance, empty.cursor, SENSOR)
    ended = instance.get_run_record_by_id(failed.run_id).update_timestamp
    until = datetime.fromisoformat(json.loads(moved.cursor))
    assert ended - timedelta(seconds=10) < until < ended
    assert tick_of_sensor(defs, instance, moved.cursor, SENSOR).cursor == moved.cursor
    later = json.dumps((datetime.now(timezone.utc) + timedelta(seconds=5)).isoformat())
    answer = tick_of_sensor(defs, instance, later, SENSOR)
    assert (answer.run_requests, answer.cursor) == ([], later)
    for strange in ("no json", "7", '"yesterday"', '"2025-01-01T00:00:00"', '"2999-01-01T00:00:00+00:00"'):
        assert len(requests(defs, instance, strange)) == 1


def test_more_runs_than_one_look_takes_are_all_torn_down(
    instance: Any, environment: FakeEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when all of them ended within the seconds that are looked at twice."""
    monkeypatch.setattr(tearing_down, "_MOST_RUNS", 2)
    environment.script(LOAD, Verdict.FAILED)
    pipeline = drawn(environment)
    defs = definitions(pipeline)
    failed = {run(job(defs), instance, partition_key=DAY).run_id for _ in range(5)}
    found, cursor = set(), None
    for _ in range(4):
        answer = tick_of_sensor(defs, instance, cursor, SENSOR)
        found |= {request.tags["starlake/tears_down"] for request in answer.run_requests}
        cursor = answer.cursor
    assert found == failed


def test_nothing_is_set_up_nothing_is_torn_down(environment: FakeEnvironment) -> None:
    plain = repository(definitions(draw(lambda p: p.sl_load("orders", "sales", "orders"))))
    assert (plain.sensor_defs, {one.name for one in plain.get_all_jobs()}) == ([], {"__ASSET_JOB", "p"})
    pipeline = drawn(environment, {"default_status": "stopped"})
    # Schedules may be off; what costs money is torn down all the same.
    assert resolved(definitions(pipeline), "sensor", SENSOR).default_status == DefaultSensorStatus.RUNNING
