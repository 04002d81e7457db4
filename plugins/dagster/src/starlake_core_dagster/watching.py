"""Reads from an instance what a decision needs, in queries whose number and size do not depend on how much is stored."""

from __future__ import annotations

import json
import weakref
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from dagster import AssetKey, AssetRecordsFilter, DagsterRunStatus, RunsFilter

from starlake_core import DataInterval, Pipeline, RunError, StarlakeDataset
from starlake_core.freshness import Event, FreshnessPolicy, Previous, history_since
from starlake_core.logs import get_logger
from starlake_core.model.run_options import OPTIONS, POLICIES
from starlake_core.orchestrators.events import INTERVAL_END, INTERVAL_START, read_event

from .translator import key_of, translator_of

__all__ = ["DONE", "PARTLY", "RECORD", "Look", "Memory", "Watch", "active_run", "is_whole", "look", "moment_of"]

logger = get_logger(__name__)

RECORD = "starlake/freshness"
"""Tag of a run that datasets start: what it leaves for the next decision, if it succeeds."""
DONE = "starlake/done_before"
"""Name of the metadata of a table that an earlier run had loaded, if a run continues after a failure: the id of that run."""
PARTLY = "starlake/partly"
"""Tag of a run of the command line if only some of its tasks were selected."""

_ACTIVE = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
_STEPS = "dagster/step_selection"
_RESUMED_ASSETS = "dagster/is_asset_resume_retry"
_EARLY = timedelta(days=1)
"""How long before its date an event may be published."""
_MOST_RUNS = 25
_FIRST_LOOK = 500
_PAGES = (20, 100, 500)


@dataclass(frozen=True)
class Watch:
    """What a pipeline watches.

    Attributes:
        policy: what it asks of its datasets.
        datasets: its datasets, by asset.
        job: the name of its job.
    """

    policy: FreshnessPolicy
    datasets: Mapping[AssetKey, StarlakeDataset]
    job: str

    @classmethod
    def of(cls, pipeline: Pipeline, job: str) -> Watch | None:
        """What a pipeline watches; None if datasets do not start it.

        Args:
            pipeline: the pipeline.
            job: the name of its job.
        """
        if pipeline.trigger is None:
            return None
        translator = translator_of(pipeline)
        datasets = {key_of(translator, dataset, pipeline): dataset for dataset in pipeline.trigger.datasets}
        return cls(FreshnessPolicy.of(pipeline), datasets, job)


@dataclass(frozen=True)
class Look:
    """What an instance has for a decision.

    Attributes:
        previous: what successful runs left.
        events: the events of the datasets that matter.
        unreadable: why the run variables of an event cannot be read, by dataset; only if it is the newest one.
    """

    previous: Previous | None
    events: tuple[Event, ...]
    unreadable: Mapping[str, str]


class Memory:
    """What a sensor found last, so that an evaluation does not read again what cannot have changed.

    Events never change. What an evaluation reads depends on what the runs before left and on how far the events of each dataset go, both
    of which it reads every time. Events that go with a run that somebody deletes count until the next one comes.
    """

    def __init__(self) -> None:
        self._kept: tuple[Any, Look] | None = None

    def recall(self, key: Any) -> Look | None:
        """What was found for a key; None if that is not the last one."""
        kept = self._kept
        return kept[1] if kept is not None and kept[0] == key else None

    def keep(self, key: Any, found: Look) -> None:
        """Remember what was found, instead of what was found before."""
        self._kept = (key, found)


def look(
    instance: Any,
    watch: Watch,
    own: Collection[AssetKey],
    cursor: str | None = None,
    memory: Memory | None = None,
) -> Look:
    """Read what an instance has for a decision.

    Args:
        instance: the instance.
        watch: what the pipeline watches.
        own: the assets of the whole job.
        cursor: the cursor of the sensor; a run that somebody starts has none.
        memory: of the sensor, always of the same pipeline; a run that somebody starts has none.
    """
    entries = {
        record.asset_entry.asset_key: record.asset_entry for record in instance.get_asset_records(list(watch.datasets))
    }
    wiped = _wiped(watch, entries.values())
    previous = _previous(instance, watch, own, cursor, wiped)
    if memory is None:
        return _read(instance, watch, entries, previous)
    newest = {key: entry.last_materialization_record for key, entry in entries.items()}
    # Storage ids begin again in a new database, and after a wipe.
    reach = {key: record and (record.storage_id, record.timestamp) for key, record in newest.items()}
    place = instance.get_ref() if instance.is_persistent else weakref.ref(instance)
    key = (place, previous, reach, wiped)
    found = memory.recall(key)
    if found is None:
        found = _read(instance, watch, entries, previous)
        memory.keep(key, found)
    return found


def _read(instance: Any, watch: Watch, entries: Mapping[AssetKey, Any], previous: Previous | None) -> Look:
    since = history_since(watch.policy, previous)
    events: list[Event] = []
    unreadable: dict[str, str] = {}
    for key, dataset in watch.datasets.items():
        if key not in entries or entries[key].last_materialization_record is None:
            continue
        last = None if previous is None else previous.seen.get(dataset.identity)
        last = None if last == -1 else last  # no run has seen any
        for place, record in enumerate(_history(instance, key, last, since[dataset.identity])):
            event, problem = _event(dataset, record)
            events.append(event)
            if problem and place == 0:
                unreadable[dataset.identity] = problem
    return Look(previous, tuple(events), unreadable)


def _event(dataset: StarlakeDataset, record: Any) -> tuple[Event, str]:
    """An event, and why its run variables cannot be read: anybody may write there, and must not stop the pipeline for good."""
    metadata = {name: getattr(item, "value", item) for name, item in record.asset_materialization.metadata.items()}
    published = datetime.fromtimestamp(record.timestamp, timezone.utc)
    try:
        return read_event(dataset.uri, metadata, record.storage_id, published), ""
    except RunError as error:
        kept = {name: value for name, value in metadata.items() if name not in (OPTIONS, POLICIES)}
        return read_event(dataset.uri, kept, record.storage_id, published), str(error)


def _history(instance: Any, key: AssetKey, last: int | None, since: datetime | None) -> Iterator[Any]:
    """The materialisations that matter, the newest first: that one, those that no run has seen, and those from a date on.

    Args:
        instance: the instance.
        key: the asset.
        last: the storage id of the last one that a run has seen; None if none has, and then only the newest few hundred matter.
        since: the date; None if the newest one is enough.
    """
    page, newest, first = None, True, -1.0 if since is None else (since - _EARLY).timestamp()
    pages = iter((_FIRST_LOOK,) if last is None else _PAGES)
    size = _FIRST_LOOK
    while True:
        size = next(pages, size)
        found = instance.fetch_materializations(key, limit=size, cursor=page)
        for record in found.records:
            if DONE in record.asset_materialization.metadata:  # the run before reported it
                continue
            seen = last is not None and record.storage_id <= last
            past = since is None or record.timestamp < first
            if not newest and past and (seen or (last is None and since is not None)):
                return
            newest = False
            yield record
        if last is None or not found.has_more:
            return
        page = found.cursor


def active_run(instance: Any, job: str, run_id: str = "") -> Any:
    """A run of a job that is queued or has started; None if there is none.

    Args:
        instance: the instance.
        job: the name of the job.
        run_id: a run of it; then only others count, and of those only the ones that were created before it.
    """
    newest_first = instance.get_run_records(RunsFilter(job_name=job, statuses=_ACTIVE), limit=_MOST_RUNS)
    places = [place for place, record in enumerate(newest_first) if record.dagster_run.run_id == run_id]
    older = newest_first[places[0] + 1 :] if places else newest_first
    return older[0].dagster_run if older else None


# -- what successful runs left


def is_whole(run: Any, own: Collection[AssetKey]) -> bool:
    """Whether a run does all that its job does, so that the events before it are dealt with when it succeeds.

    Args:
        run: a run of the job.
        own: the assets of the whole job.
    """
    return not _has_steps(run) and (not run.asset_selection or run.asset_selection >= set(own))


def _has_steps(run: Any) -> bool:
    return bool(PARTLY in run.tags or _STEPS in run.tags or run.op_selection or run.resolved_op_selection)


def _completes(instance: Any, run: Any, own: Collection[AssetKey]) -> bool:
    """Whether a run does all that its job does, together with the runs before it that failed and whose other assets it repeats."""
    for _ in range(_MOST_RUNS):
        if is_whole(run, own):
            return True
        if _has_steps(run) or run.tags.get(_RESUMED_ASSETS) != "true" or not run.parent_run_id:
            return False
        run = instance.get_run_by_id(run.parent_run_id)
        if run is None or run.status == DagsterRunStatus.SUCCESS:
            return False
    return False


def _wiped(watch: Watch, entries: Iterable[Any]) -> dict[str, float]:
    """When the events of datasets were wiped, after which SQLite counts them from the start again."""
    return {
        watch.datasets[entry.asset_key].identity: entry.asset_details.last_wipe_timestamp
        for entry in entries
        if entry.asset_details is not None and entry.asset_details.last_wipe_timestamp
    }


def _previous(
    instance: Any, watch: Watch, own: Collection[AssetKey], cursor: str | None, wiped: Mapping[str, float]
) -> Previous | None:
    """What successful runs left: the tags of the latest ones, and what the cursor keeps of those before them."""
    left, former = _read_cursor(cursor)
    found = [] if left is None else [left]
    wanted = RunsFilter(job_name=watch.job, statuses=[DagsterRunStatus.SUCCESS])
    latest = instance.get_run_records(wanted, limit=_MOST_RUNS)
    records = [record for record in latest if _completes(instance, record.dagster_run, own)]
    for record in records:
        text = record.dagster_run.tags.get(RECORD)
        if text is not None:
            try:
                found.append(Previous.from_json(text))
            except RunError as error:
                logger.warning("the tag %s of run %s is ignored: %s", RECORD, record.dagster_run.run_id, error)
    if not found:
        return _former(instance, watch, records, former)
    seen: dict[str, int] = {}
    for one in found:
        for identity, last in one.seen.items():
            kept = last if wiped.get(identity, 0.0) <= one.decided.timestamp() else -1
            seen[identity] = max(kept, seen.get(identity, kept))
    # A run that was decided early may end late, or be repeated after others.
    forward = max(found, key=lambda one: (one.end, one.decided))
    complete = any(one.complete for one in found)
    return Previous(forward.interval, max(one.decided for one in found), seen, complete)


def _former(instance: Any, watch: Watch, records: Iterable[Any], former: Mapping[str, int]) -> Previous | None:
    """What a run left that was started before runs had records: with this package, or with starlake-dagster."""
    found = []
    for record in records:
        tags = record.dagster_run.tags
        start, end = (moment_of(tags.get(name)) for name in (INTERVAL_START, INTERVAL_END))
        if record.start_time and start is not None and end is not None and start <= end:
            found.append((end, record.start_time, start))
    if not found:
        return None
    end, began, start = max(found)
    seen: dict[str, int] = {}
    for key, dataset in watch.datasets.items():
        if key.to_string() in former:
            seen[dataset.identity] = former[key.to_string()]
            continue
        before = instance.fetch_materializations(AssetRecordsFilter(asset_key=key, before_timestamp=began), limit=1)
        if before.records:
            seen[dataset.identity] = before.records[0].storage_id
    return Previous(DataInterval(start, end), datetime.fromtimestamp(began, timezone.utc), seen)


def _read_cursor(cursor: str | None) -> tuple[Previous | None, Mapping[str, int]]:
    """What a cursor keeps; in the form of earlier versions, the storage ids of the last events. Users can write anything into it."""
    if not cursor:
        return None, {}
    try:
        found = json.loads(cursor)
        if "seen" in found:
            return Previous.from_json(found), {}
        return None, {str(key): int(value) for key, value in found.items()}
    except (AttributeError, TypeError, ValueError, OverflowError, RecursionError, RunError):
        logger.warning("the cursor %.200r cannot be read; what the last runs left counts", cursor)
        return None, {}


def moment_of(value: Any) -> datetime | None:
    """A date with an offset, from a string that anyone may have written; None for anything else.

    Args:
        value: the string.
    """
    try:
        date = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
        return date.astimezone(timezone.utc) if date.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
