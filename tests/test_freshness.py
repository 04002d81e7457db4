"""The rules of data-aware scheduling, as scenarios: one call of ``decide`` each."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from freshness_backends import BackEnd, Found, FreshnessScenarios, compare
from freshness_cases import decision_of

from starlake_core import DataInterval, StarlakeDataset
from starlake_core.errors import DatasetError, RunError, ScheduleError
from starlake_core.freshness import (
    ByHand,
    Decision,
    Event,
    FreshnessPolicy,
    Kind,
    Previous,
    crons,
    decide,
    history_since,
)
from starlake_core.masking import MASK


class Function(BackEnd):
    """The pure function."""

    def uri(self, name: str) -> str:
        return name

    def found(self, scenario: Mapping[str, Any]) -> Found:
        return Found.of(decision_of(scenario))


class TestFunction(FreshnessScenarios):
    @pytest.fixture
    def back_end(self) -> BackEnd:
        return Function()


PAGE = Path(__file__).parent.parent / "docs" / "concepts" / "data-aware-scheduling.md"
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_the_documentation(example: str) -> None:
    scenario = yaml.safe_load(example)
    compare(scenario, Found.of(decision_of(scenario)), Function())


def test_the_documentation_has_examples() -> None:
    assert len(EXAMPLES) == 6


CRONS = ["0 0 * * *", "30 2 * * 1-5", "*/15 8-18 * * *", "0 0 L * *", "0 0 1,15 * 1", "0 5 31 * *", "0 0 * * 5#3"]
CRONS += ["0 0 * * 0,6", "15 3 29 2 *", "@weekly", "@hourly", "0 0 */2 * *", "0 0 13 * 5", "0 0 L * 2", "0 0 * * L5"]
CRONS += ["0 0 * 2-3 7", "5,50 0-23/7 2-9 */5 mon-wed", "0 12 1 jan,jul *"]


@pytest.mark.parametrize("text", CRONS)
def test_a_cron_fires_when_the_library_says(text: str) -> None:
    from croniter import croniter

    cron = crons.read(text)
    assert cron is not None
    for year, month, day, hour in ((2026, 3, 1, 0), (2024, 2, 29, 12), (2027, 12, 31, 23), (2025, 5, 31, 2)):
        moment = datetime(year, month, day, hour, 30)
        wall = moment.toordinal() * crons.DAY + hour * 3600 + 1800
        expected = croniter(text, moment, ret_type=datetime)
        for _ in range(40):
            found = cron.before(wall)
            before = expected.get_prev(datetime)
            assert found == before.toordinal() * crons.DAY + before.hour * 3600 + before.minute * 60
            wall = found


@pytest.mark.parametrize(
    ("text", "unit", "hours"),
    [
        ("0 6 * * 1-5", "day", 24),
        ("0 0 * * 1,4", "day", 72),
        ("0 0 1,15 * *", "week", 14 * 24),
        ("0 0 L * *", "month", 28 * 24),
        ("0 0 1 1,4,7,10 *", "month", 90 * 24),
        ("0 0 1 1 *", "year", 365 * 24),
        ("0 0 * * 1", "week", 7 * 24),
        ("0 0 1 * *", "month", 28 * 24),
        ("*/15 8-18 * * *", "", 0.25),
        ("0 2,14 * * *", "", 12),
    ],
)
def test_the_unit_and_the_gap_of_a_cron(text: str, unit: str, hours: float) -> None:
    cron = crons.read(text)
    assert cron is not None
    assert (cron.unit, cron.gap) == (unit, hours * 3600)


@pytest.mark.parametrize(
    ("wake", "problem"),
    [
        ("a & d", "'d', which does not start the pipeline"),
        ("a &", "a dataset is missing before its end"),
        ("(a | b", "')' is missing before its end"),
        ("a b | c", "'&' or '|' is missing before 'b'"),
    ],
)
def test_a_condition_that_cannot_be_read_is_refused(wake: str, problem: str) -> None:
    with pytest.raises(DatasetError, match=re.escape(problem)):
        FreshnessPolicy(tuple(map(StarlakeDataset, "abc")), wake)


def test_a_cycle_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(ScheduleError, match="neither one of hourly, daily"):
        FreshnessPolicy((StarlakeDataset("a"),), cycle="often")


def test_a_policy_is_plain_data() -> None:
    policy = FreshnessPolicy((StarlakeDataset("a", "0 0 * * *"), StarlakeDataset("b")), "a & b", cycle="daily")
    assert policy.unit == "day"
    assert copy.deepcopy(policy) == policy


def decide_now(policy: FreshnessPolicy, events: list[Event], previous: Previous | None = None) -> Decision:
    return decide(policy, events, previous, datetime(2026, 3, 5, 9, tzinfo=timezone.utc))


@pytest.mark.parametrize("cron", ["0 0 * * *", None])
def test_what_was_loaded_before_the_start_date_is_not_processed_after_the_first_run(cron: str | None) -> None:
    old, new = (datetime(2026, 3, day, tzinfo=timezone.utc) for day in (1, 5))
    start = new - timedelta(days=1)
    policy = FreshnessPolicy(
        (StarlakeDataset("a", "0 0 * * *"), StarlakeDataset("b", cron)), "a | b", start=start, min_seconds=0
    )
    events = [Event("b", 1, old), Event("a", 2, new)]
    first = decide_now(policy, events)
    assert first.interval == DataInterval(start, new)
    assert decide_now(policy, events, first.after).kind is Kind.SKIP
    again = decide_now(policy, [*events, Event("b", 3, new + timedelta(hours=1), new)], first.after)
    assert again.interval == DataInterval(start, new)


def test_a_first_run_says_that_nothing_was_loaded_after_the_start_date() -> None:
    start = datetime(2026, 3, 4, tzinfo=timezone.utc)
    policy = FreshnessPolicy((StarlakeDataset("a", "0 0 * * *"),), start=start)
    found = decide_now(policy, [Event("a", 1, start)])
    assert (found.kind, found.why) == (
        Kind.SKIP,
        "nothing was loaded yet for a date after the start date 2026-03-04 00:00+00:00",
    )


def test_what_a_run_leaves_is_kept_as_json() -> None:
    event = Event("a", 3, datetime(2026, 3, 5, tzinfo=timezone.utc))
    after = decide_now(FreshnessPolicy((StarlakeDataset("a", "0 0 * * *"),)), [event]).after
    assert after is not None
    assert after.seen == {"a": 3}
    assert Previous.from_json(after.to_json()) == Previous.from_json(json.dumps(after.to_json())) == after
    endless = {**after.to_json(), "seen": {"a": float("inf")}}
    for broken in (
        "no",
        "[]",
        "[" * 5000,
        endless,
        {"seen": {}},
        {**after.to_json(), "decided": "2026-03-05T00:00:00"},
    ):
        with pytest.raises(RunError, match=r"the record of the last run|no time zone"):
            Previous.from_json(broken)


def test_a_decision_in_words_and_as_json_shows_no_secret() -> None:
    policy = FreshnessPolicy((StarlakeDataset("a", "0 0 * * *"), StarlakeDataset("b", "0 0 * * *")))
    moment = datetime(2026, 3, 5, tzinfo=timezone.utc)
    events = [Event(name, 1, moment, variables={"all": {"db_password": "hunter2", "day": "5"}}) for name in "ab"]
    found = decide_now(policy, events)
    assert found.variables == {"all": {"db_password": "hunter2", "day": "5"}}
    assert found.to_json()["variables"] == {"all": {"db_password": MASK, "day": "5"}}
    assert found.describe().splitlines() == [
        "RUN: all data up to 2026-03-05 00:00+00:00 is there",
        "  interval: 2026-03-04T00:00:00+00:00 to 2026-03-05T00:00:00+00:00",
        "  a: present, loaded for 2026-03-05 00:00+00:00",
        "  b: present, loaded for 2026-03-05 00:00+00:00",
    ]
    contradiction = decide_now(policy, [events[0], Event("b", 1, moment, variables={"all": {"db_password": "other2"}})])
    assert contradiction.kind is Kind.RUN
    assert contradiction.after is None
    assert "'db_password' of the section 'all'" in contradiction.error
    for shown in (contradiction.error, contradiction.describe(), json.dumps(contradiction.to_json())):
        assert "hunter2" not in shown
        assert "other2" not in shown


def loaded(name: str, place: int, end: datetime, days: int = 1) -> Event:
    return Event(name, place, end + timedelta(hours=1), end, DataInterval(end - timedelta(days=days), end))


def test_what_is_from_before_the_start_date_is_never_loaded_again() -> None:
    days = [datetime(2026, 3, number, tzinfo=timezone.utc) for number in range(1, 13)]
    datasets = StarlakeDataset("a", "0 0 * * *"), StarlakeDataset("b", "0 0 1 * *")
    policy = FreshnessPolicy(datasets, cycle="daily", optional=True, start=days[9])
    events = [loaded("b", 1, days[0], 28), *(loaded("a", day.day + 1, day) for day in days)]
    first = decide(policy, events[:-1], None, days[10] + timedelta(hours=2))
    assert first.interval == DataInterval(days[9], days[10])
    second = decide(policy, events, first.after, days[11] + timedelta(hours=2))
    assert (second.interval, second.replay) == (DataInterval(days[10], days[11]), False)


def test_a_first_run_for_an_interval_says_where_the_pipeline_starts() -> None:
    days = [datetime(2026, 3, number, tzinfo=timezone.utc) for number in range(1, 13)]
    policy = FreshnessPolicy((StarlakeDataset("a", "0 0 * * *"),))
    events = [loaded("a", day.day, day) for day in days]
    asked = ByHand(interval=DataInterval(days[8], days[9]))
    first = decide(policy, events[:-1], None, days[10] + timedelta(hours=2), asked)
    second = decide(policy, events, first.after, days[11] + timedelta(hours=2))
    assert (second.interval, second.replay) == (DataInterval(days[9], days[11]), False)


def test_how_far_back_a_host_must_look() -> None:
    names = {"daily": "0 0 * * *", "monthly": "0 0 L * *", "hourly": "0 * * * *", "never": None}
    policy = FreshnessPolicy(tuple(StarlakeDataset(name, cron) for name, cron in names.items()))
    end = datetime(2026, 3, 5, tzinfo=timezone.utc)
    day = timedelta(days=1)
    assert history_since(policy, Previous(DataInterval(end - day, end), end)) == {
        "daily": end - 2 * day,
        "monthly": datetime(2026, 1, 1, tzinfo=timezone.utc) - day,
        "hourly": end - day - timedelta(hours=1),
        "never": None,
    }


DAYS = [datetime(2026, 3, day, tzinfo=timezone.utc) for day in range(1, 11)]


def loads(dataset: str, days: list[datetime], first: int = 1) -> list[Event]:
    """A dataset was loaded just after the end of each day."""
    return [
        Event(dataset, first + place, day + timedelta(minutes=20), day, DataInterval(day - timedelta(days=1), day))
        for place, day in enumerate(days)
    ]


@pytest.mark.parametrize("cron", ["0 0 * * *", None])
def test_a_dataset_that_is_added_later_brings_only_what_is_loaded_for_later(cron: str | None) -> None:
    daily = StarlakeDataset("a", "0 0 * * *")
    events = loads("a", DAYS[:5])
    before = decide(FreshnessPolicy((daily,)), events, None, DAYS[4] + timedelta(hours=1)).after
    assert before is not None
    policy = FreshnessPolicy((daily, StarlakeDataset("b", cron)))
    events += loads("b", DAYS[:5])
    nothing = decide(policy, events, before, DAYS[4] + timedelta(hours=2))
    assert (nothing.kind, nothing.why) == (Kind.SKIP, "nothing new was loaded since the last run")
    events += [*loads("a", [DAYS[5]], 6), *loads("b", [DAYS[5]], 6)]
    found = decide(policy, events, Previous.from_json(before.to_json()), DAYS[5] + timedelta(hours=1))
    assert (found.interval, found.replay) == (DataInterval(DAYS[4], DAYS[5]), False)
    # One that was watched and brought nothing is another matter.
    watched = decide(policy, loads("a", DAYS[:5]), None, DAYS[4] + timedelta(hours=1), ByHand()).after
    assert watched is not None
    assert watched.seen == {"a": 5, "b": -1}
    late = decide(policy, events[:10], watched, DAYS[4] + timedelta(hours=2))
    assert (late.kind, late.replay) == (Kind.RUN, True)


def test_a_dataset_that_is_added_later_stays_so_after_a_run_for_an_interval() -> None:
    daily = StarlakeDataset("a", "0 0 * * *")
    before = decide(FreshnessPolicy((daily,)), loads("a", DAYS[:5]), None, DAYS[4] + timedelta(hours=1)).after
    policy = FreshnessPolicy((daily, StarlakeDataset("b", "0 0 * * *")))
    events = loads("a", DAYS[:5]) + loads("b", DAYS[:6])
    asked = ByHand(interval=DataInterval(DAYS[0], DAYS[1]))
    after = decide(policy, events, before, DAYS[5] + timedelta(hours=1), asked).after
    assert after is not None
    assert after.seen == {"a": 5, "b": 5}
    assert decide(policy, events, after, DAYS[5] + timedelta(hours=1)).kind is Kind.WAIT


def test_an_event_dated_in_the_future_is_covered_by_the_run_after_its_date() -> None:
    policy = FreshnessPolicy((StarlakeDataset("a", "0 0 * * *"),))
    early = replace(loads("a", [DAYS[2]], 3)[0], published=DAYS[0])
    events = [*loads("a", DAYS[:1]), early, *loads("a", [DAYS[1]], 4)]
    now = DAYS[1] + timedelta(hours=1)
    first = decide(policy, events, None, now)
    assert [reason.state.value for reason in first.reasons] == ["present", "future"]
    # Its id is smaller than one that was seen, so it starts nothing itself.
    assert decide(policy, events, first.after, DAYS[2] + timedelta(hours=1)).kind is Kind.SKIP
    events += loads("a", [DAYS[3]], 5)
    second = decide(policy, events, first.after, DAYS[3] + timedelta(hours=1))
    assert (second.interval, second.replay) == (DataInterval(DAYS[1], DAYS[3]), False)
