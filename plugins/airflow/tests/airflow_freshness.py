"""Scenarios of data-aware scheduling on Airflow: a DAG for each of them, and its events in the database."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow.utils.session import create_session
from airflow_runs import AIRFLOW_3, draw, known
from freshness_cases import date, options_of, table_of, uri_of
from sqlalchemy import delete, event, func, select
from starlake_core_airflow import deciding
from starlake_core_airflow.questions import RECORD

from starlake_core import DataInterval, StarlakeDependencies, StarlakeDependency, StarlakePipeline
from starlake_core.freshness import Previous

if AIRFLOW_3:
    from airflow.models.asset import AssetEvent as Published
    from airflow.models.asset import AssetModel as Model
else:
    from airflow.models.dataset import DatasetEvent as Published
    from airflow.models.dataset import DatasetModel as Model


def lineage(datasets: Mapping[str, Mapping[str, Any]]) -> StarlakeDependencies:
    """A transform of the datasets of a scenario."""
    tables = [StarlakeDependency(table_of(name), "table", **about) for name, about in datasets.items()]
    return StarlakeDependencies([StarlakeDependency("kpi.total", dependencies=tables)])


def transforms(pipeline: StarlakePipeline) -> None:
    """Start, the transform, end."""
    pipeline.add_lineage()


def pipeline_of(root: Path, scenario: Mapping[str, Any], given: Mapping[str, Any], **keywords: Any) -> StarlakePipeline:
    """The pipeline of a scenario.

    Args:
        root: a folder for it.
        scenario: the scenario.
        given: further options.
        **keywords: see :func:`airflow_runs.draw`.
    """
    return draw(
        root,
        transforms,
        {**options_of(scenario), **given},
        dependencies=lineage(scenario["datasets"]),
        **keywords,
    )


def publish(uri: str, published: datetime, extra: Mapping[str, Any], dag_id: str = "", run_id: str = "") -> int:
    """Store an event; return its id."""
    with create_session() as session:
        key = session.scalars(select(Model.id).where(func.lower(Model.uri) == uri.lower())).one()
        row = Published(
            **{"asset_id" if AIRFLOW_3 else "dataset_id": key},
            timestamp=published,
            extra=dict(extra),
            source_dag_id=dag_id or None,
            source_run_id=run_id or None,
        )
        session.add(row)
        session.flush()
        return int(row.id)


def extra_of(item: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of an event of a scenario."""
    made: dict[str, Any] = {}
    if "scheduled" in item:
        made["sl_scheduled_date"] = date(item["scheduled"]).isoformat()
    if "interval" in item:
        start, end = map(date, item["interval"])
        made |= {"sl_data_interval_start": start.isoformat(), "sl_data_interval_end": end.isoformat()}
    if "zone" in item:
        made["sl_timezone"] = item["zone"]
    if "variables" in item:
        made["sl_options"] = {"all": item["variables"]}
    return made


def prepare(scenario: Mapping[str, Any], pipeline: StarlakePipeline) -> None:
    """Store the DAG and the events of a scenario, only those, and what the run before it has recorded."""
    known(pipeline.native)
    with create_session() as session:
        session.execute(delete(Published))
    ids: dict[str, dict[int, int]] = {}
    published: dict[str, dict[int, datetime]] = {}
    for item in sorted(scenario["events"], key=lambda item: int(item["id"])):
        name, when = uri_of(item["dataset"]), date(item["published"])
        if name not in map(uri_of, scenario["datasets"]):
            continue  # no task reads it
        ids.setdefault(name, {})[item["id"]] = publish(name, when, extra_of(item))
        published.setdefault(name, {})[item["id"]] = when
    found = scenario["previous"]
    if found is None:
        return
    seen, since = {}, {}
    for dataset, last in found["seen"].items():
        name = uri_of(dataset)
        before = [key for key in ids.get(name, {}) if key <= last]
        seen[name] = ids[name][max(before)] if before else min(ids.get(name, {0: 1}).values()) - 1
        if before:
            since[name] = min(published[name][max(before)], *(published[name].values())).isoformat()
    start, end = map(date, found["interval"])
    left = Previous(DataInterval(start, end), date(found["decided"]), seen)
    record = {"previous": left.to_json(), "since": since}
    publish(pipeline.id, left.decided, {RECORD: record}, pipeline.id, "before")


def conf_of(scenario: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of the run of a scenario."""
    asked = scenario.get("by_hand", {})
    made: dict[str, Any] = {}
    if "interval" in asked:
        start, end = map(date, asked["interval"])
        made |= {"sl_data_interval_start": start.isoformat(), "sl_data_interval_end": end.isoformat()}
    if "variables" in asked:
        made["sl_options"] = {"all": asked["variables"]}
    if "by_hand" not in scenario and "by_hand_for" not in scenario:
        made["sl_check_freshness"] = True
    return made


def run(scenario: Mapping[str, Any], pipeline: StarlakePipeline, clock: Any, whole: bool) -> Any:
    """Run the DAG of a scenario at its time.

    Args:
        scenario: the scenario.
        pipeline: its pipeline.
        clock: pytest's ``monkeypatch``.
        whole: whether more than its start runs.
    """
    moment = date(scenario["now"])
    clock.setattr(deciding, "now", lambda: moment)
    asked = scenario.get("by_hand_for") or scenario.get("by_hand", {}).get("date")
    return pipeline.native.test(
        **{"logical_date" if AIRFLOW_3 else "execution_date": date(asked) if asked else None},
        run_conf=conf_of(scenario),
        mark_success_pattern=None if whole else "kpi_total|end",
    )


@dataclass
class Reads:
    """How often events were read from the database."""

    count: int = 0


@contextlib.contextmanager
def counting() -> Iterator[Reads]:
    """While this block is open, reads of events are counted."""
    from airflow import settings

    reads = Reads()

    def seen(connection: Any, cursor: Any, statement: str, *others: Any) -> None:
        reads.count += bool(re.search(r"FROM (asset|dataset)_event JOIN", statement))

    event.listen(settings.engine, "before_cursor_execute", seen)
    try:
        yield reads
    finally:
        event.remove(settings.engine, "before_cursor_execute", seen)
