"""The rules of data-aware scheduling, as scenarios: one call of ``decide`` each."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from starlake_core import DataInterval, StarlakeDataset
from starlake_core.errors import DatasetError, ScheduleError
from starlake_core.freshness import ByHand, Decision, Event, FreshnessPolicy, Kind, Previous, crons, decide
from starlake_core.model.schedule import time_zone

HERE = Path(__file__).parent
SCENARIOS = [
    scenario
    for name in ("freshness_scenarios.yaml", "freshness_scenarios_own.yaml")
    for scenario in yaml.safe_load((HERE / name).read_text(encoding="utf-8"))
]


def date(text: str | datetime) -> datetime:
    if isinstance(text, datetime):
        return text if text.tzinfo else text.replace(tzinfo=timezone.utc)
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def interval(pair: list[str] | None) -> DataInterval | None:
    return None if pair is None else DataInterval(date(pair[0]), date(pair[1]))


def sections(variables: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"all": dict(variables)} if variables else {}


def policy_of(scenario: Mapping[str, Any]) -> FreshnessPolicy:
    given = scenario["policy"]
    return FreshnessPolicy(
        datasets=tuple(StarlakeDataset(uri, **about) for uri, about in scenario["datasets"].items()),
        wake=given.get("wake", "any").lower(),
        zone=time_zone(given.get("zone", "UTC")),
        cycle=given.get("cycle"),
        optional=given.get("optional", False),
        beyond=given.get("beyond", True),
        start=date(given["start"]) if "start" in given else None,
        check=given.get("check", True),
        merge={"all": {name: {"policy": "union", "separator": "|"} for name in given.get("merge") or ()}},
        min_seconds=given.get("min_delta", 900),
    )


def events_of(scenario: Mapping[str, Any]) -> list[Event]:
    return [
        Event(
            item["dataset"],
            item["id"],
            date(item["published"]),
            date(item["scheduled"]) if "scheduled" in item else None,
            interval(item.get("interval")),
            item.get("zone", ""),
            sections(item.get("variables")),
        )
        for item in scenario["events"]
    ]


def previous_of(scenario: Mapping[str, Any]) -> Previous | None:
    found = scenario["previous"]
    if found is None:
        return None
    before = interval(found["interval"])
    assert before is not None
    return Previous(before, date(found["decided"]), found["seen"])


def by_hand_of(scenario: Mapping[str, Any]) -> ByHand | None:
    if "by_hand" in scenario:
        asked = scenario["by_hand"]
        return ByHand(
            date(asked["date"]) if "date" in asked else None,
            interval(asked.get("interval")),
            sections(asked.get("variables")),
        )
    return ByHand(date(scenario["by_hand_for"])) if "by_hand_for" in scenario else None


def decision_of(scenario: Mapping[str, Any]) -> Decision:
    return decide(
        policy_of(scenario),
        events_of(scenario),
        previous_of(scenario),
        date(scenario["now"]),
        by_hand_of(scenario),
    )


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["name"])
def test_the_decision_of_a_scenario(scenario: Mapping[str, Any]) -> None:
    expected = scenario["expect"]
    found = decision_of(scenario)
    assert found.kind is Kind(expected["decision"].lower()), found
    assert found.interval == interval(expected.get("interval")), found
    assert found.replay == expected.get("replay", False), found
    if found.kind is Kind.WAIT:
        assert list(found.missing) == expected.get("missing", []), found
    assert bool(found.error) == ("error" in expected), found
    if "variables" in expected:
        wanted = {
            name: "|".join(value) if isinstance(value, list) else value for name, value in expected["variables"].items()
        }
        assert found.variables == sections(wanted)
    for state, names in expected.get("states", {}).items():
        assert sorted(reason.dataset for reason in found.reasons if reason.state.value == state) == names, found


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
