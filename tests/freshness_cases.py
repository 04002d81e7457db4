"""The scenarios of data-aware scheduling, for the pure function and for every host."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml

from starlake_core import DataInterval, StarlakeDataset, StarlakeDependency
from starlake_core.freshness import ByHand, Decision, Event, FreshnessPolicy, Previous, decide
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


def events_of(scenario: Mapping[str, Any], uri: Callable[[str], str] = str) -> list[Event]:
    return [
        Event(
            uri(item["dataset"]),
            item["id"],
            date(item["published"]),
            date(item["scheduled"]) if "scheduled" in item else None,
            interval(item.get("interval")),
            item.get("zone", ""),
            sections(item.get("variables")),
        )
        for item in scenario["events"]
    ]


def previous_of(scenario: Mapping[str, Any], uri: Callable[[str], str] = str) -> Previous | None:
    found = scenario["previous"]
    if found is None:
        return None
    before = interval(found["interval"])
    assert before is not None
    return Previous(before, date(found["decided"]), {uri(name): last for name, last in found["seen"].items()})


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


# For hosts: the same scenario as a pipeline.


def table_of(name: str) -> str:
    """The table of a dataset of a scenario in a pipeline."""
    return name if "." in name else f"x.{name}"


def uri_of(name: str) -> str:
    """The URI of that table."""
    return f"starlake://{table_of(name).replace('.', '/')}".lower()


def lineage_of(scenario: Mapping[str, Any]) -> list[StarlakeDependency]:
    """A transform that reads the datasets of a scenario."""
    tables = [
        StarlakeDependency(table_of(name), "table", cron=about.get("cron"), freshness=about.get("freshness", 0))
        for name, about in scenario["datasets"].items()
    ]
    return [StarlakeDependency("kpi.t", dependencies=tables)]


def options_of(scenario: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a pipeline with the policy of a scenario."""
    given = scenario["policy"]
    options = {
        "timezone": given.get("zone", "UTC"),
        "dataset_triggering_strategy": re.sub(r"\b([a-z])\b", r"x.\1", given.get("wake", "any").lower()),
        "optional_dataset_enabled": given.get("optional", False),
        "beyond_data_cycle_enabled": given.get("beyond", True),
        "data_cycle_enabled": "cycle" in given,
        "data_cycle": given.get("cycle", "none"),
        "freshness_check": given.get("check", True),
        "min_timedelta_between_runs": given.get("min_delta", 900),
        "sl_options_merge": {"all": {name: {"policy": "union"} for name in given.get("merge") or ()}},
    }
    return {**options, "start_date": given["start"].replace("Z", "+00:00")} if "start" in given else options
