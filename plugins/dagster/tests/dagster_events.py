"""Materialisations as they were at another time, and a daemon that looks at them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dagster import AssetKey, AssetMaterialization, DagsterEvent, DagsterEventType, EventLogEntry
from dagster._core.events import StepMaterializationData
from dagster_runs import resolved, tick_of_sensor

__all__ = ["Daemon", "materialise", "span"]


def materialise(instance: Any, key: AssetKey, published: datetime, metadata: Mapping[str, Any]) -> int:
    """Store a materialisation as of a time, and return its storage id.

    Args:
        instance: where it is stored.
        key: the asset.
        published: when it happened.
        metadata: what is told about it.
    """
    made = AssetMaterialization(key, metadata=metadata)
    event = DagsterEvent(
        DagsterEventType.ASSET_MATERIALIZATION.value,
        "runless",
        event_specific_data=StepMaterializationData(made),
    )
    entry = EventLogEntry(
        error_info=None,
        level="debug",
        user_message="",
        run_id="",
        timestamp=published.timestamp(),
        step_key=None,
        job_name="runless",
        dagster_event=event,
    )
    instance.handle_new_event(entry)
    return int(instance.fetch_materializations(key, limit=1).records[0].storage_id)


def span(request: Any) -> tuple[datetime, datetime]:
    """The data interval of the run that is asked for."""
    start, end = (datetime.fromisoformat(request.tags[f"sl_data_interval_{end}"]) for end in ("start", "end"))
    return start, end


@dataclass
class Daemon:
    """Looks again and again, and keeps the cursor, as Dagster's daemon does."""

    instance: Any
    defs: Any
    name: str = "p"
    cursor: str | None = None

    def look(self, *, dies: bool = False) -> Any:
        """The request of a run, or the message why there is none.

        Args:
            dies: after it asked for the run, and before it kept the cursor.
        """
        answer = tick_of_sensor(self.defs, self.instance, self.cursor, f"{self.name}_sensor")
        if not dies:
            self.cursor = answer.cursor
        if not answer.run_requests:
            return answer.skip_message
        (request,) = answer.run_requests
        assert resolved(self.defs, "sensor", f"{self.name}_sensor").minimum_interval_seconds
        return request
