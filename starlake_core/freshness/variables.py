"""The run variables of a decision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import RunError
from ..model.run_options import POLICIES, Carried, Sections, merge, overlay
from .history import History, is_ahead
from .periods import Periods
from .types import Event

__all__ = ["Merged", "merge_variables"]

Merged = tuple[Sections, Mapping[str, Mapping[str, Any]], str]
"""The sections, the policies of the names in them, and an error."""


def merge_variables(
    histories: Iterable[History],
    periods: Periods,
    previous_end: float | None,
    end: float,
    policies: Mapping[str, Any],
    by_hand: Sections,
) -> Merged:
    """Merge the variables of the events that a run takes into account.

    Of each dataset, the newest of these events counts; of a name that holds a union of values, all of them do, so that
    no value is lost. Two datasets must agree on a value.

    Args:
        histories: the events of the required and the other datasets.
        periods: the candidates.
        previous_end: the end of the previous run; None for a first run.
        end: the end of the run.
        policies: how the pipeline merges values.
        by_hand: values that somebody asked for; they win.

    Returns:
        The sections and their policies; or an error that names both datasets.
    """
    carried = [Carried(f"the option {POLICIES}", {}, policies)]
    for history in histories:
        events = _taken(history, periods, previous_end, end)
        carried += [
            Carried(event.dataset, _without(event.variables, by_hand), event.policies, superseded=place > 0)
            for place, event in enumerate(events)
        ]
    try:
        sections, kept = merge(carried, "Start a run by hand with the value that you want, or load one of them again.")
    except RunError as error:
        return {}, {}, str(error)
    return overlay(sections, by_hand), kept, ""


def _taken(history: History, periods: Periods, previous_end: float | None, end: float) -> list[Event]:
    """The events of a dataset that a run takes into account, the newest first."""
    if not any(event.variables or event.policies for event in history.known):
        return []
    behind = set(history.behind)
    found = [
        event
        for place, event in enumerate(history.known)
        if place in behind or is_ahead(history, periods, previous_end, place, end)
    ]
    return sorted(found, key=lambda event: event.id, reverse=True)


def _without(sections: Sections, given: Sections) -> Sections:
    """The values that nobody gave by hand."""
    return {
        section: {name: value for name, value in items.items() if name not in given.get(section, {})}
        for section, items in sections.items()
    }
