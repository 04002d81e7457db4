"""What a pipeline asks of the datasets that start it, read from its options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone, tzinfo
from functools import cached_property
from typing import Any

from ..errors import ScheduleError
from ..model.dataset import StarlakeDataset
from ..model.graph import Pipeline
from ..model.schedule import Fires
from ..options import GeneralOptions
from ..options.general import START_DATE
from .crons import CYCLES, UNITS, Cron, read
from .wake import Term, is_expression, parse, resolve

__all__ = ["FreshnessPolicy", "Watched"]

SLOWER = 1.5
"""How many times longer the gap of a slower schedule is, at least."""


@dataclass(frozen=True)
class Watched:
    """A dataset that a pipeline watches.

    Attributes:
        uri, identity: its names.
        cron: its own schedule; None if it has none.
        schedule: its own schedule, else the cycle of the pipeline; None if there is neither.
        freshness: the seconds for which it counts as fresh; 0 for unknown.
        required: whether the pipeline waits for it.
    """

    uri: str
    identity: str
    cron: Cron | None
    schedule: Cron | None
    freshness: int
    required: bool

    @property
    def by_cycle(self) -> bool:
        """Whether it lives by the cycle of the pipeline."""
        return self.cron is None and self.schedule is not None


@dataclass(frozen=True)
class FreshnessPolicy:
    """What a pipeline asks of its datasets. It is plain data: it can be compared by value, copied and pickled.

    Attributes:
        datasets: the datasets that start the pipeline.
        wake: ``any`` or ``all`` of them, or a condition such as ``a & (b | c)``.
        zone: the time zone of the pipeline.
        cycle: the data cycle: a word of :data:`CYCLES`, a cron expression, or None.
        optional: whether nothing waits for a dataset that is slower than the cycle.
        beyond: whether older data is good enough within the freshness of a dataset, if there is a cycle.
        start: the start of the first interval; None if it follows from the events.
        check: whether the pipeline waits for its data; False to run with whatever is there.
        merge: how run variables of several datasets are merged.
        min_seconds: the least number of seconds from a run to a replay.
        fires: when the host fires a schedule on a day on which the clock changes; None for the rules of this package.

    Raises:
        ScheduleError: a cron expression cannot be read.
        DatasetError: the condition cannot be read, or names an unknown dataset.
    """

    datasets: tuple[StarlakeDataset, ...]
    wake: str = "any"
    zone: tzinfo = timezone.utc
    cycle: str | None = None
    optional: bool = False
    beyond: bool = True
    start: datetime | None = None
    check: bool = True
    merge: Mapping[str, Any] = field(default_factory=dict)
    min_seconds: int = 900
    fires: Fires | None = None

    def __post_init__(self) -> None:
        if self.cycle is not None:
            try:
                self.cycle_cron  # noqa: B018 - reading it checks it
            except ScheduleError as error:
                words = ", ".join(CYCLES)
                raise ScheduleError(
                    f"the data cycle {self.cycle!r} is neither one of {words} nor a cron: {error}"
                ) from None
        self.condition  # noqa: B018 - reading it checks it

    @classmethod
    def of(cls, pipeline: Pipeline) -> FreshnessPolicy:
        """Return the policy of a pipeline that datasets start; without datasets for any other pipeline.

        Args:
            pipeline: the pipeline, with its options.

        Raises:
            ScheduleError, DatasetError: see the class.
        """
        general = pipeline.options[GeneralOptions]
        trigger = pipeline.trigger
        cycle = general.data_cycle if general.data_cycle_enabled and general.data_cycle != "none" else None
        return cls(
            datasets=trigger.datasets if trigger is not None else (),
            wake=trigger.policy if trigger is not None else "any",
            zone=pipeline.zone,
            cycle=cycle,
            optional=general.optional_dataset_enabled,
            beyond=general.beyond_data_cycle_enabled,
            start=pipeline.start_date if general.start_date != START_DATE else None,
            check=general.freshness_check,
            merge=pipeline.policy.merge,
            min_seconds=general.min_timedelta_between_runs,
            fires=pipeline.fires,
        )

    @cached_property
    def cycle_cron(self) -> Cron | None:
        """The data cycle as a schedule."""
        return None if self.cycle is None else read(CYCLES.get(self.cycle.strip().lower(), self.cycle))

    @cached_property
    def condition(self) -> Term | None:
        """The condition, with identities of datasets; None for ``any`` and ``all``."""
        return resolve(parse(self.wake), self.datasets) if is_expression(self.wake) else None

    @property
    def needs_all(self) -> bool:
        """Whether every required dataset must bring something new."""
        return self.wake == "all"

    @cached_property
    def watched(self) -> tuple[Watched, ...]:
        """The datasets, with their schedules, and whether the pipeline waits for them."""
        cycle = self.cycle_cron
        crons = [(dataset, read(dataset.cron)) for dataset in self.datasets]
        named = set(self.condition.names()) if self.condition is not None else None
        gaps = {dataset.identity: cron.gap if cron is not None else dataset.freshness for dataset, cron in crons}
        optional: set[str] = set()
        if named is None and cycle is not None and self.optional and gaps:
            optional = {name for name, gap in gaps.items() if gap >= SLOWER * cycle.gap}
            if len(optional) == len(gaps):
                least = min(gaps.values())
                optional = {name for name, gap in gaps.items() if gap >= SLOWER * least}
        return tuple(
            Watched(
                dataset.uri,
                dataset.identity,
                cron,
                cron if cron is not None else cycle,
                dataset.freshness,
                dataset.identity in named if named is not None else dataset.identity not in optional,
            )
            for dataset, cron in crons
        )

    @cached_property
    def required(self) -> tuple[Watched, ...]:
        """The datasets that the pipeline waits for."""
        return tuple(item for item in self.watched if item.required)

    @cached_property
    def unit(self) -> str:
        """The calendar period that is complete or not; empty if there is none."""
        units = [item.schedule.unit for item in self.required if item.schedule is not None]
        return min(units, key=UNITS.index) if units and all(units) else ""

    @cached_property
    def scheduled(self) -> bool:
        """Whether any required dataset has a schedule."""
        return any(item.schedule is not None for item in self.required)
