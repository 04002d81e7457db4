"""How far back a host must look for events."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from .clocks import Clock
from .crons import DAY, period_of, period_start
from .policy import FreshnessPolicy, Watched
from .reasons import moment
from .types import Previous

__all__ = ["history_since"]

_FIRST = datetime(1970, 1, 1, tzinfo=timezone.utc)
_ZONES = timedelta(days=1)
"""A dataset may live in another zone than the pipeline."""


def history_since(policy: FreshnessPolicy, previous: Previous | None) -> dict[str, datetime | None]:
    """Return for each dataset (by identity) the date from which its events matter, besides those that no run has seen.

    Args:
        policy: what the pipeline asks of its datasets.
        previous: what the last successful run left; None if there was none.

    Returns:
        For each dataset a date; None if its newest event is enough, because it has no schedule.
    """
    if previous is None:
        return {item.identity: policy.start or _FIRST for item in policy.watched}
    clock = Clock(policy.zone, policy.fires)
    return {item.identity: _since(item, clock, previous.end.timestamp()) for item in policy.watched}


def _since(item: Watched, clock: Clock, end: float) -> datetime | None:
    cron = item.schedule
    if cron is None:
        return None
    last = clock.fire(cron, end)
    before = None if last is None else clock.fire(cron, last, strictly=True)
    if before is None:
        return _FIRST
    if cron.unit:
        before = clock.instant(period_start(period_of(clock.wall(before) // DAY, cron.unit), cron.unit) * DAY)
    return moment(before) - timedelta(seconds=item.freshness) - _ZONES
