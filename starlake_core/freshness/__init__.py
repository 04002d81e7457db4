"""Decides when a pipeline that datasets start runs, and for which interval. No other package knows these rules.

``types`` are events and decisions, ``policy`` is what a pipeline asks for, ``wake`` are conditions such as
``a & (b | c)``, ``crons`` and ``clocks`` say when schedules fire, ``periods`` which loads belong together, ``history``
sorts the events, ``presence`` finds complete periods, ``variables`` merges run variables, ``reasons`` explains,
``rules`` has ``decide``, and ``bounds`` says how far back a host must look for events.
"""

from __future__ import annotations

from .bounds import history_since
from .policy import FreshnessPolicy
from .rules import decide
from .types import ByHand, Decision, Event, Kind, Previous, Reason, Recorded, State

__all__ = [
    "ByHand",
    "Decision",
    "Event",
    "FreshnessPolicy",
    "Kind",
    "Previous",
    "Reason",
    "Recorded",
    "State",
    "decide",
    "history_since",
]
