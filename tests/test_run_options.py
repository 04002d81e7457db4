"""Variables that a run brings, and what events tell: of ours, and of starlake-orchestration."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from starlake_core import BindError, CommandError, DataInterval, Job, Run, RunError, StarlakeDataset
from starlake_core.freshness import Event
from starlake_core.model.run_options import Carried, merge, overlay, read_policies, read_sections
from starlake_core.orchestrators.events import event_metadata, read_carried, read_event, read_interval, read_moment

INTERVAL = DataInterval(datetime(2026, 11, 1, tzinfo=timezone.utc), datetime(2026, 11, 2, tzinfo=timezone.utc))
SECTIONS = {"all": {"batch": "b7"}, "shop.total": {"batch": "b8", "year": 2026}, "shop_day": {"deep": True}}


def bound(*arguments: str, task: str = "group.shop_day", **sections: Any) -> list[str]:
    run = Run("p", "r", INTERVAL, options=sections or SECTIONS)
    return list(Job("shell", arguments).bind(run.attempt(task)).arguments)


def test_a_run_brings_variables_for_all_and_by_name() -> None:
    assert bound("transform", "--name", "shop.total", "--options", "a=1,batch=b1") == [
        "transform", "--name", "shop.total", "--options", "a=1,batch=b8,year=2026,deep=true",
    ]  # fmt: skip
    assert bound("load", "--domains", "raw", "--tables", "sale", task="t")[-2:] == ["--options", "batch=b7"]
    by_table = {"raw.sale": {"x": "1"}, "raw": {"y": "2"}}
    assert bound("load", "--domains", "raw", "--tables", "sale", task="t", **by_table)[-1] == "x=1"
    assert bound("stage", "--domains", "raw", task="t", **by_table)[-1] == "y=2"
    assert bound("preload", "--domain", "raw", task="t", **by_table)[-1] == "y=2"


def test_other_commands_take_none() -> None:
    assert bound("freshness", "--tables", "raw.sale") == ["freshness", "--tables", "raw.sale"]
    assert bound() == []


def test_what_a_run_brings_has_no_placeholders_and_no_commas() -> None:
    assert bound("transform", "--name", "a.b", all={"x": "${var:secret}"})[-1] == "x=${var:secret}"
    with pytest.raises(BindError, match="comma"):
        bound("transform", "--name", "a.b", all={"x": "1,2"})


def test_the_variables_of_a_run_are_a_part_of_its_work() -> None:
    job = Job("shell", ("transform", "--name", "a.b"))
    plain, other = (Run("p", "r", INTERVAL, options=one).attempt("t") for one in ({}, {"all": {"x": "1"}}))
    assert job.bind(plain).digest != job.bind(other).digest


@pytest.mark.parametrize("value", [None, "", {}, "{}"])
def test_no_sections(value: Any) -> None:
    assert read_sections(value, "x") == {}


@pytest.mark.parametrize("value", ["{", "[1]", [1], {"all": "x=1"}, {"x": 1}])
def test_sections_that_are_none_are_refused(value: Any) -> None:
    with pytest.raises(RunError, match=r"sl_options of the run.*\"all\""):
        read_sections(value, "sl_options of the run")


@pytest.mark.parametrize(
    "policy",
    [
        "union",
        {"policy": "last"},
        {"policy": "union", "seperator": "|"},  # codespell:ignore seperator
        {"policy": "union", "separator": ","},
        {},
    ],
)
def test_a_policy_that_is_none_is_refused(policy: Any) -> None:
    with pytest.raises(RunError, match="'days' of the section 'all' of x"):
        read_policies({"all": {"days": policy}}, "x")


def event(source: str, value: Any, policy: Any = None, superseded: bool = False) -> Carried:
    policies = read_policies({"all": {"days": policy}} if policy else None, "x")
    return Carried(source, {"all": {"days": value}}, policies, superseded)


def test_events_that_agree_are_one_and_others_are_refused() -> None:
    assert merge([event("a", 1), event("b", "1")]) == ({"all": {"days": 1}}, {})
    with pytest.raises(RunError, match=r"is '1' for a and '2' for b; one run has one value\. One by one\..*union"):
        merge([event("a", "1"), event("b", "2")], "One by one.")


def test_a_union_that_one_event_declares_holds_for_all() -> None:
    union = {"policy": "union"}
    found = merge([event("a", "3|1"), event("b", [2, 1], union), event("c", None), event("d", "0", superseded=True)])
    assert found == ({"all": {"days": "0|1|2|3"}}, {"all": {"days": {"policy": "union", "separator": "|"}}})
    with pytest.raises(RunError, match="use the same one for both"):
        merge([event("a", "1", union), event("b", "2", {"policy": "strict"})])


def test_of_one_dataset_the_last_values_count() -> None:
    assert merge([event("a", "1", superseded=True), event("a", "2")])[0] == {"all": {"days": "2"}}


def test_sections_over_sections() -> None:
    assert overlay({"all": {"a": 1, "b": 1}}, {"all": {"b": 2}, "x": {}}) == {"all": {"a": 1, "b": 2}, "x": {}}


# -- events


def test_an_event_of_ours_is_read_by_both() -> None:
    extra = {"sl_options": {"all": {"days": "1"}}, "owner": "me"}
    dataset = StarlakeDataset("raw_sale", "0 0 * * *", "raw.sale", 60, extra=extra)
    policies = {"all": {"days": {"policy": "strict"}, "other": {"policy": "strict"}}}
    made = event_metadata(dataset, Run("p", "r", INTERVAL).attempt("t"), "dag", policies, {"x": {"y": "2"}})
    assert made == {
        "owner": "me",
        "source": "dag",
        "sl_uri": "raw_sale",
        "sl_sink": "raw.sale",
        "sl_cron": "0 0 * * *",
        "sl_freshness": 60,
        "sl_data_interval_start": "2026-11-01T00:00:00+00:00",
        "sl_data_interval_end": "2026-11-02T00:00:00+00:00",
        "sl_scheduled_date": "2026-11-02T00:00:00.000+0000",
        "ts": "2026-11-02T00:00:00+00:00",
        "sl_timezone": "UTC",
        "sl_options": {"all": {"days": "1"}, "x": {"y": "2"}},
        "sl_options_merge": {"all": {"days": {"policy": "strict"}}},
    }
    assert read_interval(made) == INTERVAL
    read = read_event("raw_sale", made, 7, INTERVAL.end)
    assert read == Event(
        "raw_sale", 7, INTERVAL.end, INTERVAL.end, INTERVAL, "UTC", made["sl_options"], made["sl_options_merge"]
    )
    theirs = {name: made[name] for name in ("sl_scheduled_date", "sl_cron")}  # what starlake-orchestration reads
    assert read_interval(theirs) == INTERVAL
    assert read_carried("raw_sale", made).sections == {"all": {"days": "1"}, "x": {"y": "2"}}


@pytest.mark.parametrize(
    "date",
    [
        "2026-11-02T00:00:00+00:00",
        "2026-11-02 00:00:00+00:00",
        "2026-11-02T00:00:00+0000",
        "2026-11-02T00:00:00Z",
        "2026-11-02T00:00:00",
        1793577600.0,
        datetime(2026, 11, 2, tzinfo=timezone.utc),
    ],
)
def test_an_event_of_the_replaced_package_has_its_date_and_the_interval_of_its_cron(date: Any) -> None:
    assert read_interval({"sl_scheduled_date": date, "sl_cron": "0 0 * * *"}) == INTERVAL
    assert read_interval({"scheduled_date": date, "sl_cron": "0 0 * * *"}) == INTERVAL


def test_an_event_without_a_cron_has_a_date_and_one_without_a_date_nothing() -> None:
    moment = "2026-11-02T00:00:00+00:00"
    for cron in (None, "None", "whenever", 5):
        assert read_interval({"sl_scheduled_date": moment, "sl_cron": cron}) == DataInterval(INTERVAL.end, INTERVAL.end)
    assert read_interval({"ts": moment, "source": "x"}) is None
    assert read_interval({"sl_scheduled_date": None}) is None


@pytest.mark.parametrize("date", ["soon", True, 1e30, []])
def test_a_date_that_cannot_be_read(date: Any) -> None:
    with pytest.raises(RunError, match=r"sl_scheduled_date is .* use a date with offset"):
        read_moment(date, "sl_scheduled_date")


def test_a_date_of_ours_has_an_offset() -> None:
    for wrong in ("2026-11-02T00:00:00", 1793577600):
        with pytest.raises(RunError, match="sl_data_interval_end is"):
            read_interval({"sl_data_interval_end": wrong})


def test_extra_is_checked_where_it_is_given() -> None:
    from starlake_core.dsl.task_arguments import read_task_arguments

    def read(extra: Any) -> Any:
        return read_task_arguments("sl_load()", {"extra": extra}, frozenset(), "airflow", lambda keyword: "").extra

    assert read({"sl_options": {"all": {"a": 1}}}) == {"sl_options": {"all": {"a": 1}}}
    assert read(None) == {}
    for wrong in (
        "x",
        [1],
        {"when": datetime.now(timezone.utc)},
        {"sl_options": {"a": 1}},
        {"sl_options_merge": {"all": {"a": 1}}},
    ):
        with pytest.raises(CommandError, match=r"extra=.* is not allowed; use names and JSON values"):
            read(wrong)


def test_what_cannot_be_read_in_an_event_counts_as_not_given() -> None:
    broken = {
        "sl_scheduled_date": "soon",
        "sl_data_interval_start": 7,
        "sl_data_interval_end": "x",
        "sl_timezone": None,
    }
    assert read_event("a", broken, 1, INTERVAL.end) == Event("a", 1, INTERVAL.end)
    far = {"sl_data_interval_start": "0001-01-01T00:00:00+00:00", "sl_data_interval_end": "9999-12-31T00:00:00+00:00"}
    assert read_event("a", far, 1, INTERVAL.end) == Event("a", 1, INTERVAL.end)
    old = {"sl_scheduled_date": "0001-01-01T00:00:00+00:00", "sl_cron": "0 0 * * *"}
    assert read_event("a", old, 1, INTERVAL.end) == Event("a", 1, INTERVAL.end)
    with pytest.raises(RunError, match="the event of a"):
        read_event("a", {"sl_options": "no"}, 1, INTERVAL.end)


def test_an_empty_interval_in_an_event_is_only_a_date() -> None:
    date = "2026-11-02T00:00:00+00:00"
    event = read_event("a", {"sl_data_interval_start": date, "sl_data_interval_end": date}, 1, INTERVAL.end)
    assert (event.scheduled, event.interval, event.date) == (INTERVAL.end, None, INTERVAL.end)
