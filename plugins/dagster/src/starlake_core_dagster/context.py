"""Turns what Dagster says about a step into the core's :class:`Attempt`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from dagster import AssetExecutionContext, AssetKey, DagsterRunStatus, TimeWindowPartitionsDefinition

from starlake_core import (
    Attempt,
    DataInterval,
    Pipeline,
    Run,
    RunError,
    TriggerPolicy,
    data_interval,
    previous_fire,
)
from starlake_core.model.run import unsafe_word
from starlake_core.model.run_options import OPTIONS, Sections, overlay, read_sections
from starlake_core.orchestrators.events import INTERVAL_END, INTERVAL_START
from starlake_core.runtime import RunnerSource

from . import observer
from .decisions import settled_tags
from .options import DagsterOptions
from .watching import Watch

__all__ = [
    "PARTITION_FORMAT",
    "RESUMED",
    "RUN_ID",
    "TEARS_DOWN",
    "TICK",
    "VARIABLES",
    "Facts",
    "Variables",
    "attempt_of",
    "fires",
    "op_context",
    "same_work",
]

PARTITION_FORMAT = "%Y-%m-%dT%H:%M:%S%z"
"""With the offset: without it, two hours would have the same name when the clock is put back."""
VARIABLES = "sl_variables"
RUN_ID = "starlake/run_id"
"""Tag of a run that the command line started, with the run id that the user asked for."""
TICK = "starlake/scheduled_date"
"""Tag of a run of a schedule without partitions: when the schedule fired."""
TEARS_DOWN = "starlake/tears_down"
"""Tag of a run that tears down what another run left: the id of that run."""
_RETRY = "dagster/retry_number"
UNSAFE = "starlake/retry_unsafe"
"""Tag of a run whose user accepts that work is repeated although that is not safe: ``doubtful`` or ``blind``."""
RESUMED = "dagster/is_resume_retry"
"""Dagster's tag of a run that continues after the failure of another."""
_RESUMED_ASSETS = "dagster/is_asset_resume_retry"
_PARTITION = "dagster/partition"
_RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
"""Tags of one run for several partitions: a backfill that is launched as a single run."""


@dataclass(frozen=True)
class Facts:
    """What the steps of a pipeline must know about it at run time.

    Attributes:
        pipeline_id: the id of the pipeline; empty for an op in a job that is not ours.
        cron: the cron expression of the schedule, or the cycle of its datasets.
        zone: the time zone of the schedule.
        policy: when datasets start it.
        source: the pipeline file.
        plugins: the plugins that the pipeline was built with.
        partitions: Dagster's partitions; None without any.
        windows: the windows between the times at which Dagster fires the schedule; None without a schedule.
        deployment: the deployment, for the names of jobs. Dagster never reuses run ids, so it need not contain the instance.
        parallelism: how many steps of a run run at once.
        watch: the datasets that start it; None if none do.
        own: the assets of its whole job, once that is made.
        steps: maps the key of each step to the path of its task, or of the group whose tasks share it, once the definitions are made.
    """

    pipeline_id: str
    cron: str | None
    zone: tzinfo
    policy: TriggerPolicy
    source: str
    plugins: RunnerSource
    partitions: Any = None
    windows: Any = None
    deployment: str = ""
    parallelism: int = 0
    watch: Watch | None = None
    own: set[AssetKey] = field(default_factory=set, compare=False)
    steps: dict[str, str] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, pipeline: Pipeline, partitions: Any, job: str) -> Facts:
        """The facts of a pipeline.

        Args:
            pipeline: the pipeline.
            partitions: Dagster's partitions; None without any.
            job: the name of its job.
        """
        trigger = pipeline.trigger
        cron = pipeline.cron or (trigger.cron if trigger is not None else None)
        plugins = pipeline.plugins
        windows = partitions
        if windows is None and pipeline.cron is not None:
            windows = TimeWindowPartitionsDefinition(
                start=pipeline.start_date,
                fmt=PARTITION_FORMAT,
                cron_schedule=pipeline.cron,
                timezone=pipeline.zone_name,
            )
        return cls(
            pipeline.id,
            cron,
            pipeline.zone,
            pipeline.policy,
            pipeline.source,
            plugins,
            partitions,
            windows,
            pipeline.deployment_at(),
            pipeline.options[DagsterOptions].parallelism,
            Watch.of(pipeline, job),
        )

    def window(self, moment: datetime) -> DataInterval:
        """The last window that had ended when the schedule fired.

        Dagster fires at another instant than the core if the clock changes at that time of day. Its windows still follow one another;
        the core's interval for each such instant would leave out data, or include some twice.
        """
        return self.interval(self.windows.get_prev_partition_window(moment, respect_bounds=False))

    def interval(self, window: Any) -> DataInterval:
        """A window with the plain types of the standard library, with which the core computes."""
        start, end = (datetime.fromtimestamp(date.timestamp(), self.zone) for date in (window.start, window.end))
        return DataInterval(start, end)


def fires(cron: str, zone: str, start: datetime, end: datetime) -> Iterator[datetime]:
    """When Dagster fires a schedule. Around a change of the clock, that is mostly at the end of a gap, and at the second of two equal times.

    Args:
        cron: the cron expression.
        zone: the name of its time zone.
        start: the earliest time.
        end: the latest time, excluded.
    """
    # From some time before: the first windows depend on whether the clock repeats the very time at which they begin.
    first = start - timedelta(hours=4)
    windows = TimeWindowPartitionsDefinition(start=first, fmt="%s", cron_schedule=cron, timezone=zone)
    window = windows.get_next_partition_window(first, respect_bounds=False)
    while window is not None and window.start < end:
        if window.start >= start:
            yield window.start
        window = windows.get_next_partition_window(window.end, respect_bounds=False)


class Variables(Mapping[str, str]):
    """The value of ``${var:NAME}``: a value from the run's tag ``sl_variables``, or else the environment variable.

    Args:
        given: the values of the run.
    """

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given

    def __getitem__(self, name: str) -> str:
        return self._given[name] if name in self._given else os.environ[name]

    def __contains__(self, name: object) -> bool:
        return name in self._given or name in os.environ

    def __iter__(self) -> Iterator[str]:
        return iter({**os.environ, **self._given})

    def __len__(self) -> int:
        return len({**os.environ, **self._given})


def op_context(given: Any) -> Any:
    """The context of an op, also of one that is the definition of an asset, whose own context only passes on most of it.

    Args:
        given: the context that Dagster passes to the body.
    """
    return given.op_execution_context if isinstance(given, AssetExecutionContext) else given


def attempt_of(context: Any, facts: Facts, path: str) -> Attempt:
    """The attempt of a step.

    The data interval is the one that the run's tags set (``sl_data_interval_start`` and ``sl_data_interval_end``), or that of its
    partition, or the one that the core computes from the schedule and the time of the run.

    Args:
        context: the context of the op.
        facts: the facts of its pipeline.
        path: the path of the task.

    Raises:
        RunError: a tag of the run cannot be read.
    """
    run = context.run
    number = f"{run.run_id}:{context.retry_number}"
    asked = observer.run()
    if asked is not None:
        return asked.attempt(path, number)
    left = run.tags.get(TEARS_DOWN)
    if left is not None:
        run = context.instance.get_run_by_id(left)
        if run is None:
            raise RunError(
                f"run {left}, which the tag {TEARS_DOWN} names, is unknown; tear down by hand what it set up"
            )
    tags = run.tags
    if facts.watch is not None:
        try:
            tags = settled_tags(context.instance, facts.watch, facts.own, run)
        except RunError:
            if left is None:  # what is set up is torn down anyway
                raise
    found = Run(
        facts.pipeline_id or run.job_name,
        run.run_id,
        _interval(context.instance, run, tags, facts),
        facts.zone,
        root_run_id=run.root_run_id or run.run_id,
        deployment=facts.deployment,
        variables=Variables(_variables(run.tags)),
        retry_unsafe=unsafe_word(context.run.tags.get(UNSAFE), f"the tag {UNSAFE} of the run"),
        options=overlay(
            read_sections(tags.get(OPTIONS), f"the tag {OPTIONS} of the run"), _configured(context.op_config, path)
        ),
    )
    # A job that is written by hand may use an op several times.
    task = path if facts.pipeline_id else str(context.op_handle)
    return found.attempt(task, number, generation=_generation(context.instance, run))


def _configured(config: Any, path: str) -> Sections:
    """The run variables in the configuration of a step; they are for this step only."""
    if not config:
        return {}
    if not isinstance(config, Mapping) or set(config) != {OPTIONS}:
        raise RunError(
            f"the configuration of the step {path} is {config!r}; it may have {OPTIONS}, sections of variables for this step. The interval, and "
            f"variables for all steps, are tags of the run: {INTERVAL_START}, {INTERVAL_END}, {OPTIONS}"
        )
    return read_sections(config[OPTIONS], f"{OPTIONS} in the configuration of the step {path}")


def _interval(instance: Any, run: Any, tags: Mapping[str, str], facts: Facts) -> DataInterval:
    if INTERVAL_START in tags or INTERVAL_END in tags:
        if INTERVAL_END not in tags:
            raise RunError(f"the run has the tag {INTERVAL_START} but no tag {INTERVAL_END}; set both")
        end = _date(tags[INTERVAL_END], INTERVAL_END)
        if INTERVAL_START in tags:
            start = _date(tags[INTERVAL_START], INTERVAL_START)
            if start.astimezone(timezone.utc) == end.astimezone(timezone.utc):
                raise RunError(
                    f"the tags {INTERVAL_START} and {INTERVAL_END} of the run are both {end.isoformat()}, an empty interval"
                )
            return DataInterval(start, end)
        return DataInterval(previous_fire(facts.cron, end, facts.zone, fires) if facts.cron else end, end)
    if facts.partitions is not None and _PARTITION in tags:
        return _window(tags[_PARTITION], run, facts)
    if facts.partitions is not None and _RANGE[0] in tags and _RANGE[1] in tags:
        first, last = (_window(tags[name], run, facts) for name in _RANGE)
        return DataInterval(first.start, last.end)
    if TICK in tags and facts.windows is not None:
        return facts.window(_date(tags[TICK], TICK))
    return data_interval(
        facts.cron, _created(instance, run).astimezone(timezone.utc).replace(microsecond=0), facts.zone, fires
    )


_known: dict[str, datetime] = {}
"""When runs were created, by their ids: every step asks, and reading a run from the database takes as long as a small step."""
_MOST_KNOWN = 1000


def _created(instance: Any, run: Any) -> datetime:
    """When the first of the runs was created that this run continues."""
    created = _known.get(run.run_id)
    if created is None:
        records = (instance.get_run_record_by_id(run_id) for run_id in (run.root_run_id or run.run_id, run.run_id))
        record = next(filter(None, records), None)
        if record is None:  # a run without a database
            return datetime.now(timezone.utc)
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        created = _known[run.run_id] = record.create_timestamp
    return created


def _window(partition: str, run: Any, facts: Facts) -> DataInterval:
    """The window of a partition. Dagster takes any time for the next time at which it fires, and the schedule may have changed."""
    try:
        start = datetime.strptime(partition, facts.partitions.fmt)
        window = facts.interval(facts.partitions.time_window_for_partition_key(partition))
    except (ValueError, OverflowError):
        window = None
    if window is not None and start.tzinfo is None:  # partitions of the user, in their own format
        start = start.replace(tzinfo=ZoneInfo(facts.partitions.timezone))
    if window is None or window.start.astimezone(timezone.utc) != start:
        raise RunError(
            f"partition {partition!r} of run {run.run_id} is not a time at which the schedule {facts.cron!r} of pipeline "
            f"{facts.pipeline_id} fires; launch a run of a partition that Dagster lists"
        )
    return window


def _date(text: str, name: str) -> datetime:
    date: datetime | None
    try:
        date = datetime.fromisoformat(text.replace("Z", "+00:00"))
        date.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        date = None
    if date is None or date.tzinfo is None:
        raise RunError(
            f"{text!r} is not a valid date for the tag {name} of the run; write it with an offset, such as 2026-01-31T00:00:00+01:00"
        )
    return date


def _variables(tags: Mapping[str, str]) -> dict[str, str]:
    text = tags.get(VARIABLES)
    if text is None:
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise RunError(f'the tag {VARIABLES} of the run must be a JSON object such as {{"region": "EU"}}, not {text!r}')
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in found.items()}


def _generation(instance: Any, run: Any) -> int:
    """How often a user asked to repeat work that was done: re-executions that neither continue after a failure nor come from Dagster itself."""
    count, seen = 0, 0
    while run is not None and run.parent_run_id and seen < 1000:
        parent = instance.get_run_by_id(run.parent_run_id)
        if _RETRY not in run.tags and not _goes_on(run, parent):
            count += 1
        run = parent
        seen += 1
    return count


def same_work(instance: Any, run: Any) -> frozenset[str]:
    """The runs whose work a run continues: itself, and those before it up to the first one that was asked to do everything again.

    Args:
        instance: the Dagster instance.
        run: the run that continues.
    """
    found: set[str] = set()
    while run is not None and run.run_id not in found:
        found.add(run.run_id)
        parent = instance.get_run_by_id(run.parent_run_id) if run.parent_run_id else None
        if parent is None or (_RETRY not in run.tags and not _goes_on(run, parent)):
            break
        run = parent
    return frozenset(found)


def _goes_on(run: Any, parent: Any) -> bool:
    """Whether a re-execution leaves alone what its parent did.

    A re-execution inherits the tag of its parent in one of the two cases; only a parent that succeeded shows that everything was requested.
    """
    if run.tags.get(RESUMED) == "true":
        return True
    return run.tags.get(_RESUMED_ASSETS) == "true" and (parent is None or parent.status != DagsterRunStatus.SUCCESS)
