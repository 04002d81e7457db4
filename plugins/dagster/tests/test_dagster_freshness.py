"""The scenarios of data-aware scheduling, played to the sensor and to runs by hand, in a real instance."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from dagster import AssetKey, DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.test_utils import freeze_time
from dagster._core.utils import make_new_run_id
from dagster_events import Daemon, materialise
from dagster_runs import draw, job, launch
from freshness_backends import BackEnd, Found, FreshnessScenarios
from freshness_cases import SCENARIOS, date, events_of, lineage_of, options_of, previous_of, table_of, uri_of
from starlake_core_dagster import definitions
from starlake_core_dagster import triggers as starting

from starlake_core import DataInterval, StarlakeDependencies, StarlakePipeline
from starlake_core.freshness import Kind
from starlake_core.orchestrators.events import written_event
from starlake_core.testing import FakeEnvironment

TRANSFORM = "transform:kpi.t"


def key_of(number: int, dataset: str) -> AssetKey:
    return AssetKey([f"s{number}", *table_of(dataset).casefold().split(".")])


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


def interval_of(tags: Mapping[str, str]) -> DataInterval:
    return DataInterval(*(date(tags[f"sl_data_interval_{edge}"]) for edge in ("start", "end")))


class Dagster(BackEnd):
    """The sensor, and the steps of a run by hand.

    Args:
        defs: the definitions of all scenarios.
        instance: the instance.
        environment: where commands run.
        patch: sets the clock.
    """

    def __init__(self, defs: Any, instance: Any, environment: FakeEnvironment, patch: pytest.MonkeyPatch) -> None:
        self._defs, self._instance, self._environment, self._patch = defs, instance, environment, patch

    def found(self, scenario: Mapping[str, Any]) -> Found:
        number = SCENARIOS.index(scenario)
        stored(self._instance, number, scenario)
        if "by_hand" in scenario or "by_hand_for" in scenario:
            return self._by_hand(number, scenario)
        self._patch.setattr(starting, "clock", lambda: date(scenario["now"]))
        daemon = Daemon(self._instance, self._defs, f"s{number}_p{number}")
        request = daemon.look()
        if isinstance(request, str):
            assert (daemon.cursor is None) == (scenario["previous"] is None)
            missing = re.findall(r"^  (starlake://\S+): missing, ", request, re.MULTILINE)
            return Found(Kind(request.partition(":")[0].lower()), missing=missing)
        failed = "starlake/refused" in request.tags
        assert ("starlake/freshness" in request.tags) == (not failed)
        variables = json.loads(request.tags.get("sl_options", "{}"))
        return Found(Kind.RUN, interval_of(request.tags), variables, failed)

    def _by_hand(self, number: int, scenario: Mapping[str, Any]) -> Found:
        """Somebody launches the job, and its steps find out."""
        asked, tags = scenario.get("by_hand", {}), {}
        if "interval" in asked:
            edges = ("sl_data_interval_start", "sl_data_interval_end")
            tags = dict(zip(edges, map(str, asked["interval"]), strict=True))
        elif "date" in asked or "by_hand_for" in scenario:
            tags = {"sl_data_interval_end": date(asked.get("date") or scenario["by_hand_for"]).isoformat()}
        if asked.get("variables"):
            tags["sl_options"] = json.dumps({"all": asked["variables"]})
        before = len(self._environment.started(TRANSFORM))
        with freeze_time(date(scenario["now"])):
            result = launch(job(self._defs, f"s{number}_p{number}"), self._instance, tags)
        commands = self._environment.started(TRANSFORM)[before:]
        if not result.success:
            assert not commands
            return Found(Kind(scenario["expect"]["decision"].lower()), failed=True)
        (command,) = commands
        found = self._instance.get_run_by_id(result.run_id).tags
        assert "starlake/freshness" in found  # what it leaves counts for the next one
        text = command.job.arguments[-1]
        shown = [re.findall(rf"sl_data_interval_{edge}='([^']*)'", text) for edge in ("start", "end")]
        assert DataInterval(*(date(one) for (one,) in shown)) == interval_of(found)
        variables = json.loads(found.get("sl_options", "{}"))
        for name, value in variables.get("all", {}).items():
            assert f"{name}={value}" in text.split(",")
        return Found(Kind.RUN, interval_of(found), variables)


class TestDagster(FreshnessScenarios):
    @pytest.fixture
    def back_end(
        self, defs: Any, instance: Any, environment: FakeEnvironment, monkeypatch: pytest.MonkeyPatch
    ) -> BackEnd:
        return Dagster(defs, instance, environment, monkeypatch)
