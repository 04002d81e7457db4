"""What the scheduler of an orchestrator sees and does, as the author of its test describes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

__all__ = ["NativeRun", "NativeSettings"]


@dataclass(frozen=True)
class NativeSettings:
    """What the scheduler reads from the native object of a pipeline. Leave out what the orchestrator does not have.

    Attributes:
        cron: the cron expression.
        zone: the name of the time zone in which it applies.
        start_date: the first date.
        catchup: whether missed intervals are run.
        max_active_runs: how many runs may be active at once.
        tags: the tags.
        pools: the pool of each task, by path.
        retries: the retries of each task, by path.
        retry_delays: the seconds between two attempts of each task, by path.
        keywords: the orchestrator's own keywords of each task, by path.
        next_fire: returns the first time after a time at which the scheduler starts a run by its schedule.
    """

    cron: str | None = None
    zone: str | None = None
    start_date: datetime | None = None
    catchup: bool | None = None
    max_active_runs: int | None = None
    tags: tuple[str, ...] | None = None
    pools: Mapping[str, str] | None = None
    retries: Mapping[str, int] | None = None
    retry_delays: Mapping[str, float] | None = None
    keywords: Mapping[str, Mapping[str, Any]] | None = None
    next_fire: Callable[[datetime], datetime] | None = None


@dataclass(frozen=True)
class NativeRun:
    """How a run of the scheduler ended, as the scheduler records it.

    Attributes:
        run_id: the id that the scheduler gave it.
        succeeded: whether it is green there.
        states: the state of each task, by path, in the scheduler's own words.
        datasets: the URIs of the datasets whose events it emitted; None if the orchestrator has no such events.
    """

    run_id: str
    succeeded: bool
    states: Mapping[str, str] = field(default_factory=dict)
    datasets: tuple[str, ...] | None = None
