"""Reads what a server has recorded for a pipeline that datasets start: the events of its datasets, and what its last runs left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from typing import Any

from starlake_core import Pipeline
from starlake_core.freshness import FreshnessPolicy, Recorded

from .questions import new_question, read_events, records_of
from .rest_client import PAGE, Api
from .rest_runs import find_dag, moment_of

__all__ = ["read_recorded"]


@dataclass(frozen=True)
class _Published:
    """An event, with the names that it has in Airflow."""

    id: int
    timestamp: datetime
    extra: Mapping[str, Any] | None
    source_dag_id: str | None
    source_run_id: str | None


def read_recorded(api: Api, pipeline: Pipeline) -> Recorded:
    """The events that a run would read if it started now, and what the runs before it left.

    Args:
        api: the API of the server that has the DAG.
        pipeline: the pipeline that the DAG was created from.

    Raises:
        RunError: the server does not have the DAG, or does not show its events.
    """
    find_dag(api, pipeline)
    policy, served = FreshnessPolicy.of(pipeline), _Served(api, pipeline.id)
    question = new_question(policy, records_of(served.read, pipeline.id), datetime.now(timezone.utc))
    events, problem = read_events(served.read, policy, question)
    return Recorded(tuple(event for found in events.values() for event in found), question.previous, problem)


class _Served:
    """The events of a server.

    Args:
        api: its API.
        dag_id: the DAG that reads them.
    """

    def __init__(self, api: Api, dag_id: str) -> None:
        self._api, self._dag_id = api, dag_id
        self._assets, self._key = ("assets", "asset") if api.v2 else ("datasets", "dataset")  # the names of 2.11

    @cached_property
    def _known(self) -> dict[str, int]:
        """The ids of the assets that the DAG names, by URI."""
        return self._ids(dag_ids=self._dag_id)

    def _ids(self, **asked: str) -> dict[str, int]:
        rows = self._api.pages(f"/{self._assets}", self._assets, **asked)
        return {str(row["uri"]).casefold(): int(row["id"]) for row in rows}

    def _id(self, uri: str) -> int | None:
        # 2.11 tells which datasets a DAG waits for, and not which others its tasks read.
        name = uri.casefold()
        return self._known[name] if name in self._known else self._ids(uri_pattern=uri).get(name)

    def read(
        self, name: str, uri: str, *, since: datetime | None = None, newest: int | None = None
    ) -> Iterator[_Published]:
        """See :class:`~starlake_core_airflow.questions.Reader`."""
        found = self._id(uri)
        if found is None:
            return
        asked: dict[str, Any] = {f"{self._key}_id": found, "order_by": "-timestamp"}
        if since is not None and self._api.v2:  # 2.11 has no such filter
            asked["timestamp_gte"] = since.isoformat()
        shown: set[int] = set()
        offset = 0
        while True:
            page = self._api.follow(f"/{self._assets}/events", limit=PAGE, offset=offset, **asked)
            rows = page[f"{self._key}_events"]
            for row in rows:
                made = _published(row)
                if (since is not None and made.timestamp < since) or len(shown) == newest:
                    return
                if made.id not in shown:  # what is published meanwhile moves the pages
                    shown.add(made.id)
                    yield made
            offset += len(rows)
            if not rows or offset >= page["total_entries"]:
                return


def _published(row: Mapping[str, Any]) -> _Published:
    timestamp = moment_of(row["timestamp"])
    assert timestamp is not None
    return _Published(row["id"], timestamp, row["extra"], row["source_dag_id"], row["source_run_id"])
