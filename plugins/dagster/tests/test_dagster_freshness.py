"""The scenarios of data-aware scheduling, played to the sensor and to runs by hand, in a real instance."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from dagster import AssetKey, DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.test_utils import freeze_time
from dagster._core.utils import make_new_run_id
from dagster_events import Daemon, materialise
from dagster_runs import draw, job, launch
from freshness_cases import SCENARIOS, date, events_of, lineage_of, options_of, previous_of, uri_of
from starlake_core_dagster import definitions
from starlake_core_dagster import triggers as starting

from starlake_core import StarlakeDependencies, StarlakePipeline
from starlake_core.orchestrators.events import written_event
from starlake_core.testing import FakeEnvironment

TRANSFORM = "transform:kpi.t"


def key_of(number: int, dataset: str) -> AssetKey:
    return AssetKey([f"s{number}", "x", dataset.casefold()])


def drawn(number: int, scenario: Mapping[str, Any], environment: FakeEnvironment) -> StarlakePipeline:
    options = {**options_of(scenario), "asset_key_prefix": f"s{number}"}
    return draw(
        StarlakePipeline.add_lineage,
        options,
        environment=environment,
        dependencies=StarlakeDependencies(lineage_of(scenario)),
        name=f"p{number}",
    )


@pytest.fixture(scope="module")
def environment() -> FakeEnvironment:
    return FakeEnvironment()


@pytest.fixture(scope="module")
def defs(environment: FakeEnvironment) -> Any:
    return definitions([drawn(number, scenario, environment) for number, scenario in enumerate(SCENARIOS)])


@pytest.fixture(scope="module")
def instance() -> Iterator[Any]:
    with DagsterInstance.ephemeral() as made:
        yield made


def stored(instance: Any, number: int, scenario: Mapping[str, Any]) -> None:
    """Store what has happened: the events in their order, and the run that was before."""
    before = previous_of(scenario, uri_of)
    seen = dict.fromkeys({} if before is None else before.seen, 0)
    events = zip(events_of(scenario, uri_of), scenario["events"], strict=True)
    for event, about in sorted(events, key=lambda pair: pair[0].id):
        place = materialise(instance, key_of(number, about["dataset"]), event.published, written_event(event))
        identity = event.dataset.casefold()
        if before is not None and event.id <= before.seen.get(identity, 0):
            seen[identity] = place
    if before is not None:
        tags = {"starlake/freshness": json.dumps(replace(before, seen=seen).to_json())}
        job_name = f"s{number}_p{number}"
        instance.add_run(DagsterRun(job_name, make_new_run_id(), status=DagsterRunStatus.SUCCESS, tags=tags))


def wanted_variables(expected: Mapping[str, Any]) -> dict[str, Any]:
    found = expected.get("variables") or {}
    return {name: "|".join(value) if isinstance(value, list) else value for name, value in found.items()}


def interval_of(tags: Mapping[str, str]) -> list[datetime]:
    return [date(tags[f"sl_data_interval_{edge}"]) for edge in ("start", "end")]


@pytest.mark.parametrize("number", range(len(SCENARIOS)), ids=lambda number: SCENARIOS[number]["name"])
def test_the_decision_of_a_scenario(
    number: int, defs: Any, instance: Any, environment: FakeEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = SCENARIOS[number]
    expected, now = scenario["expect"], date(scenario["now"])
    stored(instance, number, scenario)
    if "by_hand" in scenario or "by_hand_for" in scenario:
        by_hand(number, scenario, defs, instance, environment)
        return
    monkeypatch.setattr(starting, "clock", lambda: now)
    daemon = Daemon(instance, defs, f"s{number}_p{number}")
    request = daemon.look()
    if expected["decision"] != "RUN":
        assert isinstance(request, str)
        assert request.startswith(f"{expected['decision']}: ")
        missing = re.findall(r"^  starlake://x/([\w.]+): missing, ", request, re.MULTILINE)
        if expected["decision"] == "WAIT":
            assert missing == expected.get("missing", [])
        before = scenario["previous"]
        assert (daemon.cursor is None) == (before is None)
        return
    assert not isinstance(request, str), request
    assert interval_of(request.tags) == [date(moment) for moment in expected["interval"]]
    assert ("starlake/refused" in request.tags) == ("error" in expected)
    assert ("starlake/freshness" in request.tags) == ("error" not in expected)
    if "variables" in expected:
        assert json.loads(request.tags.get("sl_options", "{}")).get("all", {}) == wanted_variables(expected)


def by_hand(number: int, scenario: Mapping[str, Any], defs: Any, instance: Any, environment: FakeEnvironment) -> None:
    """Somebody launches the job, and its steps find out."""
    expected, asked = scenario["expect"], scenario.get("by_hand", {})
    name = f"s{number}_p{number}"
    tags = {}
    if "interval" in asked:
        tags = dict(zip(("sl_data_interval_start", "sl_data_interval_end"), map(str, asked["interval"]), strict=True))
    elif "date" in asked or "by_hand_for" in scenario:
        tags = {"sl_data_interval_end": date(asked.get("date") or scenario["by_hand_for"]).isoformat()}
    if asked.get("variables"):
        tags["sl_options"] = json.dumps({"all": asked["variables"]})
    before = len(environment.started(TRANSFORM))
    with freeze_time(date(scenario["now"])):
        result = launch(job(defs, name), instance, tags)
    commands = environment.started(TRANSFORM)[before:]
    if "error" in expected:
        assert not result.success
        assert not commands
        return
    assert result.success
    (command,) = commands
    found = instance.get_run_by_id(result.run_id).tags
    assert interval_of(found) == [date(moment) for moment in expected["interval"]]
    text = command.job.arguments[-1]
    for edge, moment in zip(("start", "end"), expected["interval"], strict=True):
        (shown,) = re.findall(rf"sl_data_interval_{edge}='([^']*)'", text)
        assert date(shown) == date(moment)
    for variable, value in wanted_variables(expected).items():
        assert f"{variable}={value}" in text.split(",")
    # What it leaves counts for the next one.
    assert "starlake/freshness" in found
