"""The schedules of a project: presets, raw cron expressions and their names, and durations as Starlake writes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from starlake_core.errors import StarlakeError, did_you_mean
from starlake_core.model.schedule import cron_frequency, read_cron

from .errors import ProjectError

__all__ = ["NO_SCHEDULE", "Schedule", "Schedules", "most_frequent", "seconds_of"]

NO_SCHEDULE = "None"
"""The name of the schedule of what has none, in the names of files."""

_UNITS = {
    1: ("s", "sec", "secs", "second", "seconds"),
    60: ("m", "min", "mins", "minute", "minutes"),
    3600: ("h", "hr", "hrs", "hour", "hours"),
    86400: ("d", "day", "days"),
}
_FINE = {
    1e-3: ("ms", "milli", "millis", "millisecond", "milliseconds"),
    1e-6: ("µs", "micro", "micros", "microsecond", "microseconds"),
    1e-9: ("ns", "nano", "nanos", "nanosecond", "nanoseconds"),
}
_SECONDS: Mapping[str, float] = {
    word: factor for units in (_UNITS, _FINE) for factor, words in units.items() for word in words
}
_DURATION = re.compile(r"([-+]?\d+(?:\.\d+)?)\s*([a-zµ]+)", re.IGNORECASE)


def seconds_of(duration: str | None) -> int:
    """Return the seconds of a duration, such as ``2 days`` or ``1h``; 0 for none.

    Args:
        duration: a duration of Scala.

    Raises:
        ProjectError: it cannot be read.
    """
    if not duration or duration.strip().lower() in ("none", "inf", "plusinf"):
        return 0
    found = _DURATION.fullmatch(duration.strip())
    factor = _SECONDS.get(found[2]) or _SECONDS.get(found[2].lower()) if found else None
    if found is None or factor is None:
        raise ProjectError(
            f"{duration!r} is not a duration; write a number and a unit, such as 2 days, 12 hours or 30 minutes"
        )
    return max(0, int(float(found[1]) * factor))


@dataclass(frozen=True)
class Schedule:
    """A schedule.

    Attributes:
        name: the key of the preset, ``cron1``, ``cron2`` ... for a raw expression, or ``None``.
        cron: the expression; None for no schedule.
    """

    name: str = NO_SCHEDULE
    cron: str | None = None


class Schedules:
    """Names the schedules of one dag, in the order of their first appearance.

    Args:
        presets: ``application.schedulePresets``.
    """

    def __init__(self, presets: Mapping[str, str]) -> None:
        self._presets = presets
        self._raw: dict[str, str] = {}

    def of(self, text: str | None) -> Schedule:
        """Return the schedule that a table or transform names.

        Args:
            text: the key of a preset or a cron expression; None for no schedule.

        Raises:
            ProjectError: it is neither, or its cron expression cannot be read.
        """
        text = " ".join((text or "").split())
        if text in ("", NO_SCHEDULE):
            return Schedule()
        preset = self._presets.get(text)
        raw = preset is None
        if raw and " " not in text and not text.startswith("@"):
            hint = did_you_mean(text, self._presets)
            known = ", ".join(sorted(self._presets)) or "none"
            raise ProjectError(
                f"the schedule {text!r} is neither a cron expression nor one of schedulePresets (defined: {known}).{hint}".removesuffix(
                    "."
                )
            )
        try:
            cron = read_cron(text if preset is None else preset)
        except StarlakeError as error:
            raise ProjectError(f"the schedule {text!r}: {error}") from error
        return Schedule(self._raw.setdefault(text, f"cron{len(self._raw) + 1}") if raw else text, cron)


def most_frequent(crons: Mapping[str, None] | set[str]) -> str | None:
    """Return the cron expression that fires most often; None if there is none."""
    return max(sorted(crons), key=cron_frequency, default=None)
