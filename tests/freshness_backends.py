"""The one test of data-aware scheduling over the scenarios. The core and every host inherit it, and say what they decide."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timezone
from typing import Any, ClassVar

import pytest
from freshness_cases import SCENARIOS, interval, sections, uri_of

from starlake_core import DataInterval
from starlake_core.freshness import Decision, Kind

__all__ = ["BackEnd", "Found", "FreshnessScenarios", "compare"]


@dataclass(frozen=True)
class Found:
    """What a back end decides.

    Attributes:
        kind: whether it runs, waits, or does nothing.
        interval: the interval of the run.
        variables: the variables of the run, in sections.
        failed: whether the run must fail.
        missing: the URIs of the datasets that it waits for; None if a run that fails does not show them.
        replay: whether it processes data again; None if the host does not show it.
        states: by state the URIs of the datasets; None if the host does not show them.
    """

    kind: Kind
    interval: DataInterval | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    failed: bool = False
    missing: Sequence[str] | None = None
    replay: bool | None = None
    states: Mapping[str, Sequence[str]] | None = None

    @classmethod
    def of(cls, decision: Decision) -> Found:
        """What a decision says."""
        states: dict[str, list[str]] = {}
        for reason in decision.reasons:
            states.setdefault(reason.state.value, []).append(reason.dataset)
        return cls(
            decision.kind,
            decision.interval,
            decision.variables,
            bool(decision.error),
            decision.missing,
            decision.replay,
            states,
        )


class BackEnd(ABC):
    """Something that decides.

    Attributes:
        without: the scenarios that it cannot be given, and why.
    """

    without: ClassVar[Mapping[str, str]] = {}

    def uri(self, name: str) -> str:
        """The URI of a dataset of a scenario."""
        return uri_of(name)

    @abstractmethod
    def found(self, scenario: Mapping[str, Any]) -> Found:
        """What it decides for a scenario."""


def _in_utc(interval: DataInterval | None) -> DataInterval | None:
    """Python compares the wall clocks of two times in one zone, and an hour may come twice."""
    if interval is None:
        return None
    return DataInterval(interval.start.astimezone(timezone.utc), interval.end.astimezone(timezone.utc))


def compare(scenario: Mapping[str, Any], found: Found, back_end: BackEnd) -> None:
    """Compare what a back end decides with what is expected.

    Args:
        scenario: the scenario.
        found: what it decides.
        back_end: the back end.
    """
    expected = scenario["expect"]
    assert found.failed == ("error" in expected), found
    assert found.kind is Kind(expected["decision"].lower()), found
    if found.interval is not None or not found.failed:  # a run that fails need not show one
        assert _in_utc(found.interval) == _in_utc(interval(expected.get("interval"))), found
    if found.kind is Kind.WAIT:
        assert found.missing is not None
        assert list(found.missing) == [back_end.uri(name) for name in expected.get("missing", [])], found
    if found.replay is not None:
        assert found.replay == expected.get("replay", False), found
    if "variables" in expected:
        wanted = {
            name: "|".join(value) if isinstance(value, list) else value for name, value in expected["variables"].items()
        }
        assert found.variables == sections(wanted), found
    for state, names in (expected.get("states", {}) if found.states is not None else {}).items():
        assert sorted(found.states.get(state, ())) == sorted(map(back_end.uri, names)), found


class FreshnessScenarios:
    """The test. A subclass has, or its module, a fixture ``back_end``."""

    @pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["name"])
    def test_the_decision_of_a_scenario(self, scenario: Mapping[str, Any], back_end: BackEnd) -> None:
        if scenario["name"] in back_end.without:
            pytest.skip(back_end.without[scenario["name"]])
        compare(scenario, back_end.found(scenario), back_end)

    def test_there_are_enough_scenarios(self) -> None:
        names = [scenario["name"] for scenario in SCENARIOS]
        assert len(names) == len(set(names)) >= 102
