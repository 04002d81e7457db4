"""The sensor of a pipeline that datasets start: when it asks for a run, for which interval, and that no event counts twice or never."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from dagster import (
    AssetKey,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    DefaultSensorStatus,
    MetadataValue,
    TimestampMetadataValue,
    TimeWindowPartitionsDefinition,
)
from dagster._core.utils import make_new_run_id
from dagster_events import Daemon, materialise, span
from dagster_runs import draw, instance_in, job, launch, materializations, repository, resolved, run, states
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlake_core_dagster import definitions, triggers, watching

from starlake_core import DataInterval, RunError, StarlakePipeline
from starlake_core.freshness import Event, Kind, Previous, decide
from starlake_core.orchestrators.requests import request_run
from starlake_core.runtime import Verdict
from starlake_core.testing import FakeEnvironment

UTC = timezone.utc
DAY = timedelta(days=1)
FIRST = datetime(2025, 10, 20, tzinfo=UTC)
BOTH = ("sales.customers", "sales.orders")
DAILY = "0 0 * * *"
RECORD = "starlake/freshness"


def lineage(tables: tuple[str, ...], cron: str | None) -> str:
    children = [{"data": {"name": name, "typ": "table", **({"cron": cron} if cron else {})}} for name in tables]
    return json.dumps([{"data": {"name": "kpi.summary", "typ": "task"}, "children": children}])


def waiting(
    options: Mapping[str, Any] | None = None,
    tables: tuple[str, ...] = BOTH,
    environment: FakeEnvironment | None = None,
    cron: str | None = DAILY,
) -> StarlakePipeline:
    environment = environment or FakeEnvironment()
    return draw(StarlakePipeline.add_lineage, options, environment=environment, dependencies=lineage(tables, cron))


class Played(Daemon):
    """A daemon whose runs end as they are told to, without doing anything."""

    def __init__(self, instance: Any, pipeline: StarlakePipeline | None = None, cursor: str | None = None) -> None:
        self.pipeline = pipeline if pipeline is not None else waiting()
        super().__init__(instance, definitions(self.pipeline), "p", cursor)

    def play(self, status: DagsterRunStatus = DagsterRunStatus.SUCCESS) -> tuple[datetime, datetime] | str:
        """The interval of the run that is asked for, or the message."""
        request = self.look()
        if isinstance(request, str):
            return request
        self.ends(request.tags, status)
        return span(request)

    def ends(self, tags: Mapping[str, str], status: DagsterRunStatus = DagsterRunStatus.SUCCESS) -> str:
        """A run with tags ends; returns its id."""
        run_id = make_new_run_id()
        self.instance.add_run(DagsterRun("p", run_id, status=status, tags=dict(tags)))
        return run_id


@pytest.fixture
def instance() -> Iterator[Any]:
    with DagsterInstance.ephemeral() as made:
        yield made


def emit(
    instance: Any,
    name: str,
    start: datetime | None = None,
    end: datetime | None = None,
    published: datetime | None = None,
    **metadata: Any,
) -> int:
    """Materialise an asset as a run of ours would; returns the storage id."""
    about = dict(metadata)
    if start is not None:
        about["sl_data_interval_start"] = start.isoformat()
        about["sl_data_interval_end"] = (end or start + DAY).isoformat()
    return materialise(instance, AssetKey(name.split(".")), published or datetime.now(UTC), about)


def load(instance: Any, day: int, *names: str, **metadata: Any) -> None:
    for name in names or BOTH:
        emit(instance, name, FIRST + day * DAY, **metadata)


def days(first: int, last: int) -> tuple[datetime, datetime]:
    return FIRST + first * DAY, FIRST + last * DAY


# -- waiting, running, and what is told


def test_it_waits_until_all_data_is_there_and_says_for_what(instance: Any) -> None:
    daemon = Played(instance)
    assert daemon.look().splitlines()[0] == "SKIP: nothing new was loaded since the last run"
    load(instance, 0, "sales.orders")
    said = daemon.look().splitlines()
    assert said[0].startswith("WAIT: it waits for its data: starlake://sales/customers: ")
    assert said[1].startswith("  starlake://sales/customers: missing, ")
    assert said[2] == "  starlake://sales/orders: present, loaded for 2025-10-21 00:00+00:00"
    assert daemon.cursor is None
    load(instance, 0, "sales.customers")
    request = daemon.look()
    assert span(request) == days(0, 1)
    assert request.tags["starlake/started_by"] == "all data up to 2025-10-21 00:00+00:00 is there"
    assert daemon.cursor is None  # until the run has succeeded


def test_a_sensor_is_on_unless_somebody_says_otherwise() -> None:
    sensor = resolved(definitions(waiting()), "sensor", "p_sensor")
    assert sensor.default_status == DefaultSensorStatus.RUNNING
    assert sensor.minimum_interval_seconds == 30
    off = resolved(definitions(waiting({"default_status": "stopped", "sensor_interval": 7})), "sensor", "p_sensor")
    assert (off.default_status, off.minimum_interval_seconds) == (DefaultSensorStatus.STOPPED, 7)
    scheduled = draw(lambda p: p.sl_load("load", "sales", "orders"), cron=DAILY)
    assert repository(definitions(scheduled)).sensor_defs == []


def test_a_message_for_many_datasets_is_shortened(instance: Any) -> None:
    tables = tuple(f"sales.t{number:03d}" for number in range(120))
    daemon = Played(instance, waiting(tables=tables))
    load(instance, 0, "sales.t000")
    said = daemon.look().splitlines()
    assert len(said) == 101
    assert said[-1] == "  and 21 more"


# -- what counts, and only once


def test_what_a_successful_run_had_is_seen_and_the_cursor_keeps_it(instance: Any) -> None:
    daemon = Played(instance)
    load(instance, 0)
    assert daemon.play() == days(0, 1)
    assert str(daemon.look()).startswith("SKIP: nothing new")
    kept = daemon.cursor
    assert Previous.from_json(kept).interval == DataInterval(*days(0, 1))
    daemon.look()
    assert daemon.cursor == kept
    load(instance, 1)
    assert daemon.play() == days(1, 2)
    # A cursor that is lost, or a sensor with a new name, starts nothing again; nor does a run that was deleted.
    daemon.cursor = None
    assert str(daemon.look()).startswith("SKIP: nothing new")
    instance.delete_run(instance.get_runs()[0].run_id)
    assert str(daemon.look()).startswith("SKIP: nothing new")


@pytest.mark.parametrize("status", [DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED])
def test_a_run_that_fails_moves_nothing_and_is_not_repeated_by_itself(instance: Any, status: DagsterRunStatus) -> None:
    daemon = Played(instance)
    load(instance, -1)
    assert daemon.play() == days(-1, 0)
    load(instance, 0)
    failed = daemon.look()
    run_id = daemon.ends(failed.tags, status)
    said = daemon.look()
    assert said.startswith(f"run {run_id} for the same data ended with {status.value}; execute it again, or a new run ")
    load(instance, 1)
    request = daemon.look()
    assert span(request) == days(0, 2)
    assert request.run_key != failed.run_key
    daemon.ends(request.tags)
    # The one that failed is executed again after the other: the interval does not go back.
    daemon.ends(failed.tags)
    load(instance, 2)
    assert daemon.play() == days(2, 3)


@pytest.mark.parametrize("status", ["NOT_STARTED", "STARTING", "STARTED", "CANCELING"])
def test_one_run_at_a_time_and_what_arrives_meanwhile_is_for_the_next(instance: Any, status: str) -> None:
    daemon = Played(instance, waiting({"max_active_runs": 3}))
    load(instance, 0)
    request = daemon.look()
    run_id = daemon.ends(request.tags, DagsterRunStatus(status))
    load(instance, 1)
    assert daemon.look() == f"run {run_id} is {status}; what is loaded meanwhile is looked at when it has ended"
    instance.delete_run(run_id)
    daemon.ends(request.tags)
    assert daemon.play() == days(1, 2)


def test_a_run_that_dagster_repeats_is_waited_for(instance: Any) -> None:
    daemon = Played(instance)
    load(instance, 0)
    request = daemon.look()
    failed = daemon.ends({**request.tags, "dagster/will_retry": "true"}, DagsterRunStatus.FAILURE)
    load(instance, 1)
    assert daemon.look() == f"run {failed} failed, and Dagster starts it again"
    again = daemon.ends({**request.tags, "dagster/retry_number": "1"})
    instance.add_run_tags(failed, {"dagster/auto_retry_run_id": again})
    assert daemon.play() == days(1, 2)


def test_a_repetition_that_never_comes_is_not_waited_for_for_good(
    instance: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = Played(instance)
    load(instance, 0)
    request = daemon.look()
    daemon.ends({**request.tags, "dagster/will_retry": "true"}, DagsterRunStatus.FAILURE)
    load(instance, 1)
    monkeypatch.setattr(triggers, "clock", lambda: datetime.now(UTC) + timedelta(hours=2))
    assert not isinstance(daemon.look(), str)


def test_a_repetition_of_the_assets_that_failed_completes_the_run(instance: Any) -> None:
    daemon = Played(instance)
    load(instance, 0)
    request = daemon.look()
    failed = daemon.ends(request.tags, DagsterRunStatus.FAILURE)
    again = DagsterRun(
        "p",
        make_new_run_id(),
        status=DagsterRunStatus.SUCCESS,
        tags={**request.tags, "dagster/is_asset_resume_retry": "true"},
        asset_selection=frozenset({AssetKey(["kpi", "summary"])}),
        root_run_id=failed,
        parent_run_id=failed,
    )
    instance.add_run(again)
    assert str(daemon.look()).startswith("SKIP: nothing new")
    load(instance, 1)
    assert daemon.play() == days(1, 2)


def test_a_daemon_that_died_asks_under_the_same_key(instance: Any) -> None:
    daemon = Played(instance)
    load(instance, 0)
    first, second = daemon.look(dies=True), daemon.look()
    assert first.run_key == second.run_key
    assert span(first) == span(second)


def test_what_an_earlier_run_had_made_is_no_news(instance: Any) -> None:
    """A run that goes on after a failure materialises it again, and says so."""
    daemon = Played(instance)
    load(instance, 0)
    assert daemon.play() == days(0, 1)
    done = {"starlake/done_before": "an earlier run"}
    load(instance, 0, **done)
    assert str(daemon.look()).startswith("SKIP: nothing new")
    load(instance, 1)
    load(instance, 0, "sales.orders", **done)
    assert daemon.play() == days(1, 2)


def test_assets_that_were_wiped_are_waited_for_again(tmp_path: Path) -> None:
    """SQLite uses ids again then: neither what was seen nor a key that Dagster knows may be in the way."""
    with instance_in(tmp_path) as instance:
        daemon = Played(instance)
        load(instance, 0)
        before = daemon.look()
        daemon.ends(before.tags)
        daemon.look()
        instance.wipe_assets([AssetKey(name.split(".")) for name in BOTH])
        load(instance, 1)
        after = daemon.look()
        assert span(after) == days(1, 2)
        assert after.run_key != before.run_key
        daemon.ends(after.tags)
        assert isinstance(daemon.look(), str)


def test_runs_from_before_runs_had_records_count(instance: Any) -> None:
    """Those of an earlier version, or of starlake-dagster: they have an interval, and the cursor ids of events."""
    ends = dict(
        zip(("sl_data_interval_start", "sl_data_interval_end"), map(datetime.isoformat, days(0, 1)), strict=True)
    )
    load(instance, 0)
    seen = {f'["sales", "{name[6:]}"]': materializations(instance, *name.split("."))[-1].storage_id for name in BOTH}
    for cursor in (None, json.dumps(seen)):
        daemon = Played(instance, cursor=cursor)
        made = instance.create_run_for_job(job(daemon.defs), status=DagsterRunStatus.STARTED, tags=ends)
        finish(instance, made)
        assert str(daemon.look()).startswith("SKIP: nothing new")
        assert daemon.cursor is not None
        instance.delete_run(made.run_id)
    load(instance, 1)
    assert daemon.play() == days(1, 2)


def finish(instance: Any, made: Any) -> None:
    from dagster import DagsterEvent, DagsterEventType

    for kind in (DagsterEventType.RUN_START, DagsterEventType.RUN_SUCCESS):
        instance.report_dagster_event(DagsterEvent(kind.value, made.job_name), made.run_id)


@pytest.mark.parametrize(
    "cursor", ["", "{}", "no json", "[1]", '"text"', '{"a": "b"}', '{"seen": null}', "7", '{"a": 1e400}', "[" * 5000]
)
def test_a_cursor_that_cannot_be_read_is_begun_anew(instance: Any, cursor: str) -> None:
    load(instance, 0)
    assert Played(instance, cursor=cursor).play() == days(0, 1)


SPRING, AUTUMN = (datetime(2025, 3, 29, 22, tzinfo=UTC), datetime(2025, 10, 25, 22, tzinfo=UTC))


@pytest.mark.parametrize("cron", ["30 2 * * *", "0 2 * * 0", "30 2,3 * * *", "20 */2 * * *", "*/30 * * * *"])
@pytest.mark.parametrize("begin", [SPRING, AUTUMN], ids=["spring", "autumn"])
def test_a_transform_takes_exactly_what_its_loads_bring_while_the_clock_changes(
    instance: Any, begin: datetime, cron: str
) -> None:
    """Dagster fires at a time that the clock skips, or that comes twice, by rules of its own."""
    daemon = Played(instance, waiting({"timezone": "Europe/Paris"}, ("sales.orders",), cron=cron))
    loads = TimeWindowPartitionsDefinition(
        start=begin - 99 * DAY, fmt="%s", cron_schedule=cron, timezone="Europe/Paris"
    )
    window = loads.get_prev_partition_window(begin)
    for _ in range(3 if cron.endswith("0") else 12):
        assert window is not None
        start, end = window.start.astimezone(UTC), window.end.astimezone(UTC)
        emit(instance, "sales.orders", start, end)
        assert daemon.play() == (start, end)
        window = loads.get_next_partition_window(window.end)


LOADS = st.lists(st.tuples(st.sampled_from(BOTH), st.integers(0, 5)), max_size=4)
ENDS = st.sampled_from([DagsterRunStatus.SUCCESS, DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE])


@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(batches=st.lists(st.tuples(LOADS, ENDS), min_size=1, max_size=5), cycle=st.sampled_from([None, DAILY]))
def test_it_decides_as_if_it_had_read_everything(batches: list[Any], cycle: str | None) -> None:
    pipeline = waiting({"min_timedelta_between_runs": 0}, cron=cycle)
    policy = pipeline.native.facts.watch.policy
    events: list[Event] = []
    previous: Previous | None = None
    failed: set[str] = set()
    with DagsterInstance.ephemeral() as instance:
        daemon = Played(instance, pipeline)
        for batch, status in batches:
            for name, day in batch:
                place = emit(instance, name, FIRST + day * DAY)
                published = materializations(instance, *name.split("."))[-1].timestamp
                interval = DataInterval(*days(day, day + 1))
                uri = f"starlake://{name.replace('.', '/')}"
                events.append(Event(uri, place, datetime.fromtimestamp(published, UTC), None, interval))
            expected = decide(policy, events, previous, datetime.now(UTC))
            request = daemon.look()
            if expected.kind is not Kind.RUN:
                assert isinstance(request, str)
                continue
            if isinstance(request, str):
                assert request.partition(" ")[2].partition(" ")[0] in failed
                continue
            assert span(request) == (expected.interval.start, expected.interval.end)
            run_id = daemon.ends(request.tags, status)
            if status is DagsterRunStatus.SUCCESS:
                previous = expected.after
            else:
                failed.add(run_id)


@pytest.mark.parametrize("stored", [False, True], ids=["ephemeral", "stored"])
def test_events_are_read_again_only_when_there_are_new_ones(
    tmp_path: Path, stored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch, read = DagsterInstance.fetch_materializations, []

    def counted(self: Any, *args: Any, **more: Any) -> Any:
        read.append(args)
        return fetch(self, *args, **more)

    monkeypatch.setattr(DagsterInstance, "fetch_materializations", counted)
    with instance_in(tmp_path) if stored else DagsterInstance.ephemeral() as instance:
        daemon = Played(instance)
        load(instance, 0)
        assert daemon.play() == days(0, 1)
        load(instance, 1, "sales.orders")
        for reads in (True, False, False):
            read.clear()
            assert str(daemon.look()).startswith("WAIT")
            assert bool(read) == reads
        load(instance, 1, "sales.customers")
        assert daemon.play() == days(1, 2)
        for reads in (True, False):
            read.clear()
            assert str(daemon.look()).startswith("SKIP: nothing new")
            assert bool(read) == reads
    with DagsterInstance.ephemeral() as another:
        daemon.instance, daemon.cursor = another, None
        read.clear()
        load(another, 2)
        assert span(daemon.look()) == days(2, 3)
        assert read


def test_more_events_than_a_page_all_count(instance: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_PAGES", (2, 3))
    monkeypatch.setattr(watching, "_FIRST_LOOK", 4)
    daemon = Played(instance)
    load(instance, 0)
    assert daemon.play() == days(0, 1)
    for day in (5, 2, 9, 1, 4, 7, 3, 6, 8):
        load(instance, day, "sales.orders")
    load(instance, 1, "sales.customers")
    assert daemon.play() == days(1, 2)


# -- runs that somebody starts

TYPED = {
    "starlake/run_id": "20251020T000000-abcdef",
    "sl_data_interval_start": FIRST.isoformat(),
    "sl_data_interval_end": (FIRST + 2 * DAY).isoformat(),
}
"""The tags of a run that somebody asked for, for two days."""


@pytest.mark.parametrize("looked", [False, True], ids=["new", "known"])
def test_what_a_run_by_hand_has_read_is_no_news(instance: Any, looked: bool) -> None:
    daemon = Played(instance)
    if looked:
        daemon.look()
    load(instance, 0)
    load(instance, 1)
    assert run(job(daemon.defs), instance, tags=TYPED).success
    assert str(daemon.look()).startswith("SKIP: nothing new")
    load(instance, 2)
    assert daemon.play() == days(2, 3)


def test_a_run_by_hand_beside_another_one_is_refused_unless_it_has_its_own_interval(instance: Any) -> None:
    daemon = Played(instance)
    load(instance, 0)
    request = daemon.look()
    other = daemon.ends(request.tags, DagsterRunStatus.STARTED)
    result = launch(job(daemon.defs), instance)
    assert not result.success
    (failure,) = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    assert f"run {other} of p is active" in str(failure.event_specific_data)
    assert launch(job(daemon.defs), instance, TYPED).success
    instance.delete_run(other)
    again = instance.get_run_by_id(result.run_id)
    assert launch(job(daemon.defs), instance, again=again, from_failure=True).success


@pytest.mark.parametrize("looks", list(itertools.product([False, True], repeat=2)), ids=str)
def test_a_look_between_two_tables_of_one_load_loses_nothing_and_takes_nothing_twice(
    instance: Any, looks: tuple[bool, bool]
) -> None:
    """A condition that any table meets starts a run for what is there, and another one for the rest of the load."""
    tables = ("sales.customers", "sales.orders", "sales.rates")
    daemon = Played(instance, waiting({"min_timedelta_between_runs": 0}, tables=tables))
    load(instance, 0, *tables)
    assert daemon.play() == days(0, 1)
    runs = 0
    for table, look in zip(tables, (*looks, True), strict=True):
        load(instance, 0, table)
        if not look:
            continue
        request = daemon.look()
        assert span(request) == days(0, 1)
        runs += 1
        daemon.ends(request.tags)
    assert runs == 1 + sum(looks)
    assert str(daemon.look()).startswith("SKIP: nothing new")


def test_a_dataset_that_is_added_later_does_not_bring_its_history(instance: Any) -> None:
    before = Played(instance)
    for day in range(3):
        load(instance, day)
        emit(instance, "sales.rates", FIRST + day * DAY)
    assert before.play() == days(2, 3)
    cursor = before.cursor
    after = Played(instance, waiting(tables=(*BOTH, "sales.rates")), cursor)
    assert str(after.look()).startswith("SKIP: nothing new")
    load(instance, 3, *BOTH, "sales.rates")
    assert after.play() == days(3, 4)


@pytest.mark.parametrize("which", ["failed", "partly", "one asset", "chosen steps"])
def test_a_run_that_did_not_read_it_all_takes_nothing_away(instance: Any, which: str) -> None:
    daemon = Played(instance)
    load(instance, 0)
    tags = {**TYPED, RECORD: json.dumps(decided(daemon))}
    if which == "failed":
        daemon.ends(tags, DagsterRunStatus.FAILURE)
    elif which == "partly":
        daemon.ends({**tags, "starlake/partly": "true"})
    elif which == "chosen steps":
        daemon.ends({**tags, "dagster/step_selection": "kpi_summary"})
    else:
        key = AssetKey(["kpi", "summary"])
        assert run(job(daemon.defs), instance, asset_selection=[key]).success
        assert RECORD not in instance.get_runs()[0].tags
    assert daemon.play() == days(0, 1)


def decided(daemon: Played) -> Any:
    """What the run that is asked for would leave."""
    return json.loads(daemon.look(dies=True).tags[RECORD])


def test_a_run_by_hand_without_an_interval_says_how_to_give_one(instance: Any) -> None:
    environment = FakeEnvironment()
    daemon = Played(instance, waiting(environment=environment, cron=None))
    result = run(job(daemon.defs), instance)
    assert not result.success
    (failure,) = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    text = str(failure.event_specific_data)
    assert "nothing says which interval a run by hand" in text
    assert "the tags sl_data_interval_start and sl_data_interval_end" in text
    empty = {name: FIRST.isoformat() for name in ("sl_data_interval_start", "sl_data_interval_end")}
    assert not run(job(daemon.defs), instance, tags=empty).success
    assert environment.submissions == []


def test_every_step_of_a_run_by_hand_has_one_interval_and_so_has_its_repetition(instance: Any) -> None:
    environment = FakeEnvironment()
    environment.script("transform:kpi.summary", Verdict.FAILED, Verdict.SUCCEEDED)
    daemon = Played(instance, waiting(environment=environment))
    load(instance, 0)
    defined = job(daemon.defs)
    first = launch(defined, instance)
    assert not first.success
    load(instance, 1)
    parent = instance.get_run_by_id(first.run_id)
    assert launch(defined, instance, again=parent, from_failure=True).success
    intervals = {submission.job.arguments[-1] for submission in environment.started("transform:kpi.summary")}
    assert len(intervals) == 1
    assert daemon.play() == days(1, 2)


def test_the_command_line_decides_as_the_sensor_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It explains, starts what datasets start, and what it ran is seen by the sensor, and the other way round."""
    home = tmp_path / "home"
    environment = FakeEnvironment()
    pipeline = waiting(environment=environment)
    plugins = pipeline.orchestration.plugins
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    assert plugins.read_recorded(pipeline) is None
    with instance_in(home) as instance:
        (home / "dagster.yaml").write_text("telemetry: {enabled: false}")
        monkeypatch.setenv("DAGSTER_HOME", str(home))
        daemon = Played(instance, pipeline)
        load(instance, 0, "sales.orders")
        request = replace(request_run(pipeline), triggered=True)
        report = plugins.run_pipeline(pipeline, request)
        assert report.reason.startswith("waiting: it waits for its data: starlake://sales/customers")
        assert environment.submissions == []
        load(instance, 0, "sales.customers")
        recorded = plugins.read_recorded(pipeline)
        assert {event.dataset for event in recorded.events} == {"starlake://sales/customers", "starlake://sales/orders"}
        report = plugins.run_pipeline(pipeline, request)
        assert (report.interval.start, report.interval.end) == days(0, 1)
        assert str(daemon.look()).startswith("SKIP: nothing new")
        load(instance, 1)
        other = daemon.ends({}, DagsterRunStatus.STARTED)
        assert f"run {other} of p is active" in plugins.run_pipeline(pipeline, request).reason
        with pytest.raises(RunError, match=f"run {other} of p is active"):
            plugins.run_pipeline(pipeline, request_run(pipeline))
        instance.delete_run(other)
        assert daemon.play() == days(1, 2)
        report = plugins.run_pipeline(pipeline, request)
        assert report.reason == "nothing to do: nothing new was loaded since the last run"
    assert plugins.read_recorded(pipeline).previous.interval == DataInterval(*days(1, 2))


# -- what others wrote

STRANGE: list[dict[str, Any]] = [
    {"sl_data_interval_start": "yesterday", "sl_data_interval_end": "today"},
    {"sl_data_interval_start": "2025-10-20T00:00:00", "sl_data_interval_end": "2025-10-21T00:00:00"},
    {"sl_data_interval_start": "2025-10-21T00:00:00Z", "sl_data_interval_end": "2025-10-20T00:00:00Z"},
    {"sl_data_interval_start": "0001-01-01T00:00:00+14:00", "sl_data_interval_end": "2025-10-20T00:00:00Z"},
    {"sl_data_interval_start": 20251020, "sl_data_interval_end": 1.5},
    {"sl_data_interval_start": MetadataValue.json({"a": 1}), "sl_data_interval_end": MetadataValue.null()},
    {"sl_data_interval_start": MetadataValue.md("# no"), "rows": 3},
    {},
]


@pytest.mark.parametrize("metadata", STRANGE, ids=str)
def test_an_event_without_an_interval_that_can_be_read_counts_with_its_time(instance: Any, metadata: Any) -> None:
    daemon = Played(instance, waiting(tables=("sales.orders",), cron=None))
    emit(instance, "sales.orders", **metadata)
    moment = datetime.fromtimestamp(materializations(instance, "sales", "orders")[-1].timestamp, UTC)
    start, end = daemon.play()
    assert end == moment
    assert start < end


@pytest.mark.parametrize("name", ["sl_scheduled_date", "scheduled_date"])
def test_an_event_of_starlake_dagster_has_its_date_and_the_interval_of_its_cron(instance: Any, name: str) -> None:
    daemon = Played(instance, waiting(tables=("sales.orders",)))
    date = MetadataValue.timestamp(FIRST + DAY)
    emit(instance, "sales.orders", sl_cron=DAILY, sl_freshness=0, **{name: date})
    assert daemon.play() == days(0, 1)


# -- run variables


def test_variables_of_events_reach_the_run_and_are_passed_on(instance: Any) -> None:
    environment = FakeEnvironment()
    union = {"sl_options_merge": {"all": {"days": {"policy": "union"}}}}
    daemon = Played(instance, waiting(union, environment=environment))
    load(instance, 0, "sales.orders", sl_options={"all": {"days": "1", "batch": "old"}})
    load(instance, 1, "sales.orders", sl_options={"all": {"days": "2", "batch": "b7"}})
    load(
        instance,
        1,
        "sales.customers",
        sl_options=json.dumps({"kpi.summary": {"region": "EU", "api_token": "hush-hush"}, "all": {"batch": "b7"}}),
    )
    request = daemon.look()
    assert json.loads(request.tags["sl_options"]) == {
        "all": {"days": "1|2", "batch": "b7"},
        "kpi.summary": {"region": "EU", "api_token": "hush-hush"},
    }
    config = {"ops": {"p__kpi_summary": {"config": {"sl_options": {"all": {"region": "US"}}}}}}
    done = run(job(daemon.defs), instance, tags=request.tags, run_config=config)
    assert done.success
    (transform,) = environment.started("transform:kpi.summary")
    assert {"days=1|2", "batch=b7", "region=EU", "api_token=hush-hush"} <= set(transform.job.arguments[-1].split(","))
    about = materializations(instance, "kpi", "summary")[-1].asset_materialization.metadata
    assert "batch=b7" in about["command"].value
    assert "hush" not in about["command"].value
    assert about["sl_options_merge"].value == {"all": {"days": {"policy": "union", "separator": "|"}}}
    assert isinstance(about["sl_scheduled_date"], TimestampMetadataValue)  # what a sensor of starlake-dagster reads


def test_the_configuration_of_a_step_has_variables_for_it_and_nothing_else(instance: Any) -> None:
    environment = FakeEnvironment()
    daemon = Played(instance, waiting(environment=environment))
    load(instance, 0, sl_options={"all": {"region": "EU", "batch": "b7"}})
    tags = daemon.look().tags

    def config(**values: Any) -> Any:
        return {"ops": {"p__kpi_summary": {"config": values}}}

    assert run(job(daemon.defs), instance, tags=tags, run_config=config(sl_options={"all": {"region": "US"}})).success
    (transform,) = environment.started("transform:kpi.summary")
    assert {"region=US", "batch=b7"} <= set(transform.job.arguments[-1].split(","))
    result = run(job(daemon.defs), instance, tags=tags, run_config=config(logical_datetime="2025-10-20"))
    (failure,) = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    assert "it may have sl_options" in str(failure.event_specific_data)


def test_events_that_disagree_fail_the_run_which_leaves_nothing(instance: Any) -> None:
    environment = FakeEnvironment()
    daemon = Played(instance, waiting(environment=environment))
    load(instance, 0, "sales.orders", sl_options={"all": {"batch": "a", "db_password": "one-secret"}})
    load(instance, 0, "sales.customers", sl_options={"all": {"batch": "a", "db_password": "two-secret"}})
    request = daemon.look()
    assert "secret'" not in str(request.tags.get("starlake/refused"))
    assert RECORD not in request.tags
    result = run(job(daemon.defs), instance, tags=request.tags)
    assert "failure" in states(result).values()
    assert environment.submissions == []
    said = [str(e.event_specific_data) for e in result.all_events if e.event_type_value == "STEP_FAILURE"]
    assert "of the section" in said[0]
    assert "secret" not in said[0].replace("db_password", "")
    assert daemon.look().startswith(f"run {result.run_id} for the same data ended with FAILURE")
    # One of them is loaded again, with the value of the other.
    load(instance, 0, "sales.orders", sl_options={"all": {"batch": "a", "db_password": "two-secret"}})
    assert daemon.play() == days(0, 1)


def test_variables_that_cannot_be_read_fail_the_run_until_the_dataset_is_loaded_again(instance: Any) -> None:
    daemon = Played(instance)
    load(instance, 0, "sales.orders")
    load(instance, 0, "sales.customers", sl_options='no JSON: {"password": "hunter2"}')
    request = daemon.look()
    assert "which is not JSON" in request.tags["starlake/refused"]
    assert "hunter2" not in request.tags["starlake/refused"]
    daemon.ends(request.tags, DagsterRunStatus.FAILURE)
    load(instance, 0, "sales.customers")
    request = daemon.look()
    assert "starlake/refused" not in request.tags
    assert span(request) == days(0, 1)


# -- from the load to the transform


@pytest.mark.parametrize("options", [{}, {"dataset_style": "flat"}, {"asset_key_prefix": "acme,prod"}], ids=str)
@pytest.mark.parametrize("partitions", [True, False])
def test_a_real_load_starts_a_real_transform_for_its_interval(
    instance: Any, options: dict[str, Any], partitions: bool
) -> None:
    given_ = {"timezone": "Europe/Paris", "dataset_triggering_strategy": "all", **options}

    def loads(pipeline: StarlakePipeline) -> None:
        pipeline.sl_load("orders", "sales", "orders")
        pipeline.sl_load("customers", "sales", "customers")

    source = draw(loads, {**given_, "partitions": partitions}, name="load", cron=DAILY)
    environment = FakeEnvironment()
    pipeline = waiting(given_, environment=environment)
    defs = definitions([source, pipeline])
    daemon = Daemon(instance, defs, pipeline.native.name)
    for day in ("2025-10-25T00:00:00+0200", "2025-10-26T00:00:00+0200"):
        tick = "2025-10-26T00:00:00+02:00" if "25T" in day else "2025-10-27T00:00:00+01:00"
        tags = {} if partitions else {"starlake/scheduled_date": tick}
        done = run(job(defs, source.native.name), instance, partition_key=day if partitions else None, tags=tags)
        assert done.success
        request = daemon.look()
        assert run(job(defs, pipeline.native.name), instance, tags=request.tags).success
        assert str(daemon.look()).startswith("SKIP: nothing new")
    first, second = (found.job.arguments[-1] for found in environment.started("transform:kpi.summary"))
    assert "sl_data_interval_start='2025-10-25T00:00:00+02:00'" in first
    assert "sl_data_interval_end='2025-10-26T00:00:00+02:00'" in first
    assert "sl_data_interval_start='2025-10-26T00:00:00+02:00'" in second
    assert "sl_data_interval_end='2025-10-27T00:00:00+01:00'" in second


def test_a_load_that_failed_or_was_skipped_starts_nothing(instance: Any) -> None:
    environment = FakeEnvironment()
    environment.script("load:sales.orders", Verdict.FAILED)
    source = draw(lambda p: p.sl_load("orders", "sales", "orders"), environment=environment, name="load")
    daemon = Played(instance, waiting(tables=("sales.orders",)))
    assert not run(job(source, "load"), instance).success
    assert str(daemon.look()).startswith("SKIP: nothing new")


# -- the number of queries


def test_an_evaluation_of_a_large_store_asks_as_much_as_that_of_a_small_one(tmp_path: Path) -> None:
    found = []
    for stored in (100, 100_000):
        folder = tmp_path / str(stored)
        with instance_in(folder) as instance:
            old = FIRST - 1000 * DAY
            for name in BOTH:
                emit(instance, name, old, published=old + DAY)
            multiply(folder, stored)
            load(instance, -1)
            found.append(measured(instance, Played(instance)))
    assert found[0] == found[1]


def measured(instance: Any, daemon: Played) -> list[int]:
    """How many queries evaluations ask: the first one, one that waits, one that starts a run, and one with nothing new."""
    asked: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *more: Any) -> None:
        asked.append(statement)

    def count(wanted: str) -> int:
        asked.clear()
        answer = daemon.look()
        questions = len(asked)
        assert (answer if isinstance(answer, str) else "RUN").startswith(wanted)
        if not isinstance(answer, str):
            daemon.ends(answer.tags)
        return questions

    sqlalchemy.event.listen(sqlalchemy.engine.Engine, "before_cursor_execute", note)
    try:
        found = [count("RUN")]
        load(instance, 0, "sales.orders")
        found.append(count("WAIT"))
        load(instance, 0, "sales.customers")
        return [*found, count("RUN"), count("SKIP")]
    finally:
        sqlalchemy.event.remove(sqlalchemy.engine.Engine, "before_cursor_execute", note)


def multiply(folder: Path, count: int) -> None:
    """Store older materialisations, as copies of those that are there."""
    import sqlite3

    (file,) = folder.rglob("index.db")
    with sqlite3.connect(file) as connection:
        names = [row[1] for row in connection.execute("PRAGMA table_info(event_logs)") if row[1] != "id"]
        columns = ", ".join(names)
        stored = connection.execute("SELECT COUNT(*) FROM event_logs").fetchone()[0]
        connection.execute(
            f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count // stored}) "
            f"INSERT INTO event_logs ({columns}) SELECT {columns} FROM event_logs, numbers"
        )
        assert connection.execute("SELECT COUNT(*) FROM event_logs").fetchone()[0] > count
