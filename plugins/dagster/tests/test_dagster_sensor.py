"""The sensor of a pipeline that datasets start: when it asks for a run, for which interval, and that no event counts twice or never."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from dagster import (
    AssetKey,
    AssetMaterialization,
    DagsterInstance,
    DagsterRunStatus,
    DefaultSensorStatus,
    MetadataValue,
    TimestampMetadataValue,
)
from dagster_runs import draw, job, materializations, repository, resolved, run, tick_of_sensor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlake_core_dagster import definitions
from starlake_core_dagster import triggers as starting

from starlake_core import DataInterval, RunError, StarlakePipeline
from starlake_core.orchestrators.freshness import Decision
from starlake_core.testing import FakeEnvironment

UTC = timezone.utc
DAY = timedelta(days=1)
FIRST = datetime(2025, 10, 20, tzinfo=UTC)


def lineage(*tables: str) -> str:
    return json.dumps([{"data": {"name": "kpi.summary", "typ": "task"}, "children": [table(name) for name in tables]}])


def table(name: str) -> dict[str, Any]:
    return {"data": {"name": name, "typ": "table"}, "children": []}


def waiting(
    options: dict[str, Any] | None = None,
    tables: tuple[str, ...] = ("sales.orders", "sales.customers"),
    environment: FakeEnvironment | None = None,
) -> Any:
    environment = environment or FakeEnvironment()
    return draw(StarlakePipeline.add_lineage, options, environment=environment, dependencies=lineage(*tables))


@dataclass
class Daemon:
    """Looks again and again, and keeps the cursor, as Dagster's daemon does."""

    instance: Any
    pipeline: StarlakePipeline
    cursor: str | None = None

    def look(self, *, dies: bool = False) -> Any:
        """The request of a run, or the message why there is none.

        Args:
            dies: after it asked for the run, and before it kept the cursor.
        """
        answer = tick_of_sensor(self.pipeline, self.instance, self.cursor, f"{self.pipeline.native.name}_sensor")
        if not dies:
            self.cursor = answer.cursor
        if not answer.run_requests:
            return answer.skip_message
        (request,) = answer.run_requests
        return request

    def asked(self) -> tuple[datetime, datetime] | str:
        """The interval of the run that is asked for, or the message."""
        request = self.look()
        return request if isinstance(request, str) else span(request)


def span(request: Any) -> tuple[datetime, datetime]:
    return tuple(datetime.fromisoformat(request.tags[f"sl_data_interval_{end}"]) for end in ("start", "end"))  # type: ignore[return-value]


@pytest.fixture
def instance() -> Iterator[Any]:
    with DagsterInstance.ephemeral() as made:
        yield made


def emit(instance: Any, name: str, start: datetime | None = None, end: datetime | None = None, **metadata: Any) -> int:
    """Materialise an asset as a run of ours would; returns the storage id."""
    about = dict(metadata)
    if start is not None:
        about["sl_data_interval_start"] = start.isoformat()
        about["sl_data_interval_end"] = (end or start + DAY).isoformat()
    key = AssetKey(name.split("."))
    instance.report_runless_asset_event(AssetMaterialization(key, metadata=about))
    return int(materializations(instance, *key.path)[-1].storage_id)


# -- any and all


def test_any_of_its_datasets_starts_it(instance: Any) -> None:
    daemon = Daemon(instance, waiting())
    assert daemon.look() == "waiting for any of sales/customers, sales/orders"
    emit(instance, "sales.orders", FIRST)
    request = daemon.look()
    assert span(request) == (FIRST, FIRST + DAY)
    assert request.tags["starlake/started_by"] == "started by starlake://sales/orders"
    assert daemon.look() == "waiting for any of sales/customers, sales/orders"
    emit(instance, "sales.customers", FIRST + DAY)
    assert daemon.asked() == (FIRST + DAY, FIRST + 2 * DAY)


def test_all_of_its_datasets_start_it_and_the_message_names_what_is_missing(instance: Any) -> None:
    daemon = Daemon(instance, waiting({"dataset_triggering_strategy": "all"}))
    assert daemon.look() == "waiting for sales/customers, sales/orders"
    emit(instance, "sales.orders", FIRST)
    assert daemon.look() == "waiting for sales/customers"
    emit(instance, "sales.orders", FIRST + DAY)
    emit(instance, "sales.customers", FIRST + 2 * DAY)
    request = daemon.look()
    # The first of the two events of one dataset waited as well.
    assert span(request) == (FIRST, FIRST + 3 * DAY)
    assert request.tags["starlake/started_by"] == "started by starlake://sales/customers, starlake://sales/orders"
    emit(instance, "sales.orders", FIRST + 3 * DAY)
    assert daemon.look() == "waiting for sales/customers"


@pytest.mark.parametrize("policy", ["any", "all"])
def test_what_an_earlier_run_had_made_is_no_news(instance: Any, policy: str) -> None:
    """A run that goes on after a failure materialises it again, and says so."""
    daemon = Daemon(instance, waiting({"dataset_triggering_strategy": policy}))
    emit(instance, "sales.orders", FIRST)
    emit(instance, "sales.customers", FIRST)
    assert daemon.asked() == (FIRST, FIRST + DAY)
    done = {"starlake/done_before": "an earlier run"}
    emit(instance, "sales.orders", FIRST, **done)
    emit(instance, "sales.customers", FIRST, **done)
    assert isinstance(daemon.look(), str)
    emit(instance, "sales.orders", FIRST + DAY)
    emit(instance, "sales.customers", FIRST + DAY)
    emit(instance, "sales.orders", FIRST, **done)
    assert daemon.asked() == (FIRST + DAY, FIRST + 2 * DAY)
    assert isinstance(daemon.look(), str)


def test_a_sensor_is_on_unless_somebody_says_otherwise() -> None:
    sensor = resolved(definitions(waiting()), "sensor", "p_sensor")
    assert sensor.default_status == DefaultSensorStatus.RUNNING
    assert sensor.minimum_interval_seconds == 30
    off = resolved(definitions(waiting({"default_status": "stopped", "sensor_interval": 7})), "sensor", "p_sensor")
    assert (off.default_status, off.minimum_interval_seconds) == (DefaultSensorStatus.STOPPED, 7)
    scheduled = draw(lambda p: p.sl_load("load", "sales", "orders"), cron="0 0 * * *")
    assert repository(definitions(scheduled)).sensor_defs == []


# -- the events of a run

NAMES = ["sales.orders", "sales.customers"]
EVENTS = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 9), st.integers(0, 3)), max_size=4)


@settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(batches=st.lists(EVENTS, min_size=1, max_size=3), policy=st.sampled_from(["any", "all"]))
def test_every_event_counts_once(instance: Any, batches: list[Any], policy: str) -> None:
    """Whenever the sensor looks: a run spans exactly the events since the last one."""
    instance.wipe_assets([AssetKey(name.split(".")) for name in NAMES])
    daemon = Daemon(instance, waiting({"dataset_triggering_strategy": policy}))
    daemon.look()
    waits: list[tuple[str, datetime, datetime]] = []
    keys = set()
    for batch in batches:
        for name, start, days in batch:
            begin, end = FIRST + start * DAY, FIRST + (start + days) * DAY
            emit(instance, name, begin, end)
            waits.append((name, begin, end))
        request = daemon.look()
        names = {name for name, _, _ in waits}
        if not names or (policy == "all" and len(names) < 2):
            assert isinstance(request, str)
            continue
        assert span(request) == (min(begin for _, begin, _ in waits), max(end for _, _, end in waits))
        assert request.run_key not in keys
        keys.add(request.run_key)
        waits = []


def test_more_events_than_one_page_are_one_run(instance: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "_MOST_EVENTS", 2)
    daemon = Daemon(instance, waiting())
    daemon.look()
    for day in (5, 1, 9, 2, 0, 7, 3):
        emit(instance, "sales.orders", FIRST + day * DAY)
    assert daemon.asked() == (FIRST, FIRST + 10 * DAY)
    assert isinstance(daemon.look(), str)


def test_a_new_sensor_asks_for_nothing_before_the_last_event(instance: Any) -> None:
    for day in range(3):
        emit(instance, "sales.orders", FIRST + day * DAY)
    assert Daemon(instance, waiting()).asked() == (FIRST + 2 * DAY, FIRST + 3 * DAY)
    # Of two, where it has to wait: from the last event on that was there at the first look.
    daemon = Daemon(instance, waiting({"dataset_triggering_strategy": "all"}))
    assert daemon.look() == "waiting for sales/customers"
    emit(instance, "sales.orders", FIRST + 3 * DAY)
    emit(instance, "sales.customers", FIRST + 3 * DAY)
    assert daemon.asked() == (FIRST + 2 * DAY, FIRST + 4 * DAY)


TYPED = {
    "starlake/run_id": "20251020T000000-abcdef",
    "sl_data_interval_start": FIRST.isoformat(),
    "sl_data_interval_end": (FIRST + 2 * DAY).isoformat(),
}
"""The tags of a run that somebody asked for on the command line, for two days."""


@pytest.mark.parametrize("looked", [False, True], ids=["new", "known"])
@pytest.mark.parametrize("policy", ["any", "all"])
def test_what_a_run_of_the_command_line_has_read_is_no_news(instance: Any, policy: str, looked: bool) -> None:
    """Loads and transforms that were run in another process: the sensor does not run the transforms again for the same loads."""
    pipeline = waiting({"dataset_triggering_strategy": policy})
    daemon = Daemon(instance, pipeline)
    if looked:
        daemon.look()
    emit(instance, "sales.orders", FIRST)
    emit(instance, "sales.customers", FIRST + DAY)
    assert run(job(pipeline), instance, tags=TYPED).success
    assert isinstance(daemon.look(), str)
    # What came after it, or is of other days, is news.
    emit(instance, "sales.orders", FIRST)
    emit(instance, "sales.customers", FIRST + DAY)
    assert daemon.asked() == (FIRST, FIRST + 2 * DAY)
    emit(instance, "sales.orders", FIRST + 2 * DAY)
    emit(instance, "sales.customers", FIRST + 2 * DAY)
    assert run(job(pipeline), instance, tags=TYPED).success
    assert daemon.asked() == (FIRST + 2 * DAY, FIRST + 3 * DAY)


@pytest.mark.parametrize("which", ["failed", "partly", "another's", "no interval"])
def test_a_run_that_did_not_read_it_all_takes_nothing_away(instance: Any, which: str) -> None:
    pipeline = waiting()
    emit(instance, "sales.orders", FIRST)
    tags = dict(TYPED)
    if which == "partly":
        tags["starlake/partly"] = "true"
    if which == "another's":
        del tags["starlake/run_id"]
    if which == "no interval":
        tags["sl_data_interval_end"] = "soon"
    if which == "failed":
        made = instance.create_run_for_job(job(pipeline), status=DagsterRunStatus.STARTED, tags=tags)
        instance.report_run_failed(made)
    elif which == "no interval":
        instance.create_run_for_job(job(pipeline), status=DagsterRunStatus.SUCCESS, tags=tags)
    else:
        assert run(job(pipeline), instance, tags=tags).success
    assert Daemon(instance, pipeline).asked() == (FIRST, FIRST + DAY)


def test_a_daemon_that_died_before_it_kept_the_cursor_asks_under_the_same_key(instance: Any) -> None:
    daemon = Daemon(instance, waiting())
    daemon.look()
    emit(instance, "sales.orders", FIRST)
    emit(instance, "sales.customers", FIRST)
    first, second = daemon.look(dies=True), daemon.look()
    assert first.run_key == second.run_key
    assert first.tags == second.tags
    assert isinstance(daemon.look(), str)


def test_no_more_runs_at_once_than_allowed_and_no_event_is_lost(instance: Any) -> None:
    pipeline = waiting({"max_active_runs": 2})
    daemon = Daemon(instance, pipeline)
    daemon.look()
    made = [instance.create_run_for_job(job(pipeline), status=DagsterRunStatus.STARTED)]
    emit(instance, "sales.orders", FIRST)
    assert daemon.asked() == (FIRST, FIRST + DAY)
    made.append(instance.create_run_for_job(job(pipeline), status=DagsterRunStatus.STARTING))
    emit(instance, "sales.orders", FIRST + DAY)
    emit(instance, "sales.customers", FIRST + 4 * DAY)
    full = "2 of at most 2 runs (max_active_runs) are still running; the events wait"
    assert [daemon.look(), daemon.look()] == [full, full]
    instance.report_run_canceled(made[0])
    assert daemon.asked() == (FIRST + DAY, FIRST + 5 * DAY)


def test_datasets_start_one_run_at_a_time_unless_somebody_says_otherwise(instance: Any) -> None:
    pipeline = waiting()
    daemon = Daemon(instance, pipeline)
    daemon.look()
    instance.create_run_for_job(job(pipeline), status=DagsterRunStatus.STARTED)
    emit(instance, "sales.orders", FIRST)
    assert daemon.look() == "1 of at most 1 runs (max_active_runs) are still running; the events wait"


# -- what others wrote

STRANGE: list[dict[str, Any]] = [
    {"sl_data_interval_start": "yesterday", "sl_data_interval_end": "today"},
    {"sl_data_interval_start": "2025-10-20T00:00:00+00:00"},
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
    daemon = Daemon(instance, waiting())
    daemon.look()
    emit(instance, "sales.orders", **metadata)
    moment = datetime.fromtimestamp(materializations(instance, "sales", "orders")[-1].timestamp, UTC)
    assert daemon.asked() == (moment, moment)


@pytest.mark.parametrize("name", ["sl_scheduled_date", "scheduled_date"])
def test_an_event_of_starlake_dagster_has_its_date_and_the_interval_of_its_cron(instance: Any, name: str) -> None:
    daemon = Daemon(instance, waiting())
    daemon.look()
    date = MetadataValue.timestamp(FIRST + DAY)
    emit(instance, "sales.orders", sl_cron="0 0 * * *", sl_freshness=0, **{name: date})
    assert daemon.asked() == (FIRST, FIRST + DAY)


def test_variables_of_events_reach_the_run_and_are_passed_on(instance: Any) -> None:
    environment = FakeEnvironment()
    pipeline = waiting({"sl_options_merge": {"all": {"days": {"policy": "union"}}}}, environment=environment)
    daemon = Daemon(instance, pipeline)
    daemon.look()
    emit(instance, "sales.orders", FIRST, sl_options={"all": {"days": "1", "batch": "old"}})
    emit(instance, "sales.orders", FIRST + DAY, sl_options={"all": {"days": "2", "batch": "b7"}})
    emit(
        instance,
        "sales.customers",
        FIRST,
        sl_options=json.dumps({"kpi.summary": {"region": "EU"}, "all": {"batch": "b7"}}),
    )
    request = daemon.look()
    assert json.loads(request.tags["sl_options"]) == {
        "all": {"days": "1|2", "batch": "b7"},
        "kpi.summary": {"region": "EU"},
    }
    assert run(job(definitions([pipeline]), "p"), instance, tags=request.tags).success
    (transform,) = environment.started("transform:kpi.summary")
    assert {"days=1|2", "batch=b7", "region=EU"} <= set(transform.job.arguments[-1].split(","))
    about = materializations(instance, "kpi", "summary")[-1].asset_materialization.metadata
    assert about["sl_options"].value == json.loads(request.tags["sl_options"])
    assert about["sl_options_merge"].value == {"all": {"days": {"policy": "union", "separator": "|"}}}
    assert isinstance(about["sl_scheduled_date"], TimestampMetadataValue)  # what a sensor of starlake-dagster reads


def test_events_that_disagree_start_nothing_and_wait(instance: Any) -> None:
    daemon = Daemon(instance, waiting())
    daemon.look()
    emit(instance, "sales.orders", FIRST, sl_options={"all": {"batch": "a"}})
    emit(instance, "sales.customers", FIRST, sl_options={"all": {"batch": "b"}})
    with pytest.raises(
        RunError, match=r"'batch' of the section 'all' is 'b' for .* and 'a' for .*; one run has one value"
    ):
        daemon.look()


@pytest.mark.parametrize("cursor", ["", "{}", "no json", "[1]", '"text"', '{"a": "b"}', '{"a": null}', "7"])
def test_a_cursor_that_cannot_be_read_is_begun_anew(instance: Any, cursor: str) -> None:
    emit(instance, "sales.orders", FIRST)
    assert Daemon(instance, waiting(), cursor).asked() == (FIRST, FIRST + DAY)


def test_the_cursor_is_stable_and_forgets_what_nobody_waits_for(instance: Any) -> None:
    gone = json.dumps({'["sales", "orders"]': 0, '["sales", "gone"]': 5})
    daemon = Daemon(instance, waiting(), gone)
    last = emit(instance, "sales.orders", FIRST)
    daemon.look()
    kept = daemon.cursor
    assert kept == json.dumps({'["sales", "customers"]': 0, '["sales", "orders"]': last})
    daemon.look()
    assert daemon.cursor == kept


def test_assets_that_were_wiped_are_waited_for_again(instance: Any) -> None:
    """SQLite counts from 1 again then: neither the cursor nor a key that Dagster knows may be in the way."""
    daemon = Daemon(instance, waiting())
    emit(instance, "sales.orders", FIRST)
    before = daemon.look()
    instance.wipe_assets([AssetKey(["sales", "orders"])])
    assert isinstance(daemon.look(), str)
    emit(instance, "sales.orders", FIRST + DAY)
    after = daemon.look()
    assert span(after) == (FIRST + DAY, FIRST + 2 * DAY)
    assert after.run_key != before.run_key


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

    source = draw(loads, {**given_, "partitions": partitions}, name="load", cron="0 0 * * *")
    environment = FakeEnvironment()
    pipeline = waiting(given_, environment=environment)
    defs = definitions([source, pipeline])
    daemon = Daemon(instance, pipeline)
    wanted = "sales_customers, sales_orders" if "dataset_style" in options else "sales/customers, sales/orders"
    if "asset_key_prefix" in options:
        wanted = "acme/prod/sales/customers, acme/prod/sales/orders"
    assert daemon.look() == f"waiting for {wanted}"
    for day in ("2025-10-25T00:00:00+0200", "2025-10-26T00:00:00+0200"):
        tick = "2025-10-26T00:00:00+02:00" if "25T" in day else "2025-10-27T00:00:00+01:00"
        tags = {} if partitions else {"starlake/scheduled_date": tick}
        done = run(job(defs, source.native.name), instance, partition_key=day if partitions else None, tags=tags)
        assert done.success
    request = daemon.look()
    assert run(job(defs, pipeline.native.name), instance, tags=request.tags).success
    (transform,) = environment.started("transform:kpi.summary")
    text = transform.job.arguments[-1]
    assert "sl_data_interval_start='2025-10-25T00:00:00+02:00'" in text
    assert "sl_data_interval_end='2025-10-27T00:00:00+01:00'" in text
    assert daemon.look() == f"waiting for {wanted}"


def test_a_load_that_failed_or_was_skipped_starts_nothing(instance: Any) -> None:
    from starlake_core.runtime import Verdict

    environment = FakeEnvironment()
    environment.script("load:sales.orders", Verdict.FAILED)
    source = draw(lambda p: p.sl_load("orders", "sales", "orders"), environment=environment, name="load")
    daemon = Daemon(instance, waiting(tables=("sales.orders",)))
    assert not run(job(source, "load"), instance).success
    assert daemon.look() == "waiting for sales/orders"


# -- the function of the core has the last word


def test_the_core_may_say_no_and_the_events_wait(instance: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = Daemon(instance, waiting({"min_timedelta_between_runs": 60}))
    daemon.look()
    told: list[Any] = []

    def no(policy: Any, events: Any, now: datetime) -> Decision:
        told.append((policy, [(event.dataset, event.interval) for event in events], now.tzinfo))
        return Decision(False, DataInterval(now, now), "the data cycle is not complete")

    yes: Callable[..., Decision] = starting.decide
    monkeypatch.setattr(starting, "decide", no)
    emit(instance, "sales.orders", FIRST)
    assert daemon.look() == "the data cycle is not complete"
    emit(instance, "sales.orders", FIRST + DAY)
    assert daemon.look() == "the data cycle is not complete"
    event = DataInterval(FIRST, FIRST + DAY)
    assert told[0] == (daemon.pipeline.policy, [("starlake://sales/orders", event)], UTC)
    assert len(told[1][1]) == 2
    monkeypatch.setattr(starting, "decide", yes)
    assert daemon.asked() == (FIRST, FIRST + 2 * DAY)


def test_a_look_at_an_old_store_reads_only_what_is_new(instance: Any) -> None:
    """Whatever was stored before: one question for the last events, and one for what is new of each asset that has something new."""
    for day in range(20):
        emit(instance, "sales.orders", FIRST + day * DAY)
    daemon = Daemon(instance, waiting())
    daemon.look()
    emit(instance, "sales.orders", FIRST)
    asked: list[Any] = []

    def fetch(*arguments: Any, **keywords: Any) -> Any:
        found = instance.fetch_materializations(*arguments, **keywords)
        asked.append(len(found.records))
        return found

    watched = SimpleNamespace(
        get_asset_records=instance.get_asset_records,
        get_run_records=instance.get_run_records,
        fetch_materializations=fetch,
    )
    context = SimpleNamespace(instance=watched, cursor=daemon.cursor)
    sensor = resolved(definitions(daemon.pipeline), "sensor", "p_sensor")
    (request,) = sensor._raw_fn(context).run_requests
    assert span(request) == (FIRST, FIRST + DAY)
    assert asked == [1]
