"""Reads files of events that users write by hand, for ``explain`` and ``run``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..errors import RunError, StarlakeError
from ..freshness import Event, Previous, Recorded
from ..model.dataset import StarlakeDataset
from .events import read_event, read_interval, read_moment

__all__ = ["read_event_file"]

_MEANT = {
    "scheduled": ("sl_scheduled_date", "scheduled_date"),
    "interval": ("sl_data_interval_start", "sl_data_interval_end"),
}
"""Keys that an event does not have, and the keys for the same."""
_DATES = ("sl_scheduled_date", "scheduled_date", "sl_data_interval_start", "sl_data_interval_end")


def read_event_file(path: Path, datasets: Iterable[StarlakeDataset], now: datetime) -> Recorded:
    """Read a file of events, see docs/reference/events.md.

    Args:
        path: a JSON file: a list of events, or an object with ``events`` and ``previous``.
        datasets: the datasets that an event may also name as ``domain.table``.
        now: when events happened that do not say so, aware.

    Raises:
        RunError: the file cannot be read, or an event in it.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunError(f"the events in {path} cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise RunError(f"the events in {path} cannot be read: {error}; use a JSON list of events") from None
    document = found if isinstance(found, Mapping) else {"events": found}
    items = document.get("events")
    if not isinstance(items, list) or set(document) - {"events", "previous"}:
        raise RunError(f'{path} must be a JSON list of events, or {{"events": [...], "previous": {{...}}}}')
    names = {name.casefold(): one.uri for one in datasets for name in (one.sink, one.uri) if name}
    events = tuple(
        _event(item, number, names, now, f"event {number} of {path}") for number, item in enumerate(items, 1)
    )
    return Recorded(events, _previous(document.get("previous"), names, path))


def _previous(data: Any, names: Mapping[str, str], path: Path) -> Previous | None:
    if data is None:
        return None
    try:
        found = Previous.from_json(data)
    except StarlakeError as error:
        raise RunError(f"previous of {path}: {error}") from None
    seen = {names.get(name.casefold(), name).casefold(): last for name, last in found.seen.items()}
    return replace(found, seen=seen)


def _event(item: Any, number: int, names: Mapping[str, str], now: datetime, where: str) -> Event:
    if not isinstance(item, Mapping) or not isinstance(item.get("dataset", item.get("sl_uri")), str):
        raise RunError(f'{where} is {item!r}; use an object such as {{"dataset": "sales.orders"}}')
    name = str(item.get("dataset", item.get("sl_uri")))
    place = item.get("id", number)
    if not isinstance(place, int) or isinstance(place, bool):
        raise RunError(f"{where}: its id is {place!r}; use a whole number, greater for events that came later")
    for key, meant in _MEANT.items():
        if key in item and not any(name in item for name in meant):
            used = " and ".join(name for name in meant if name.startswith("sl_"))
            raise RunError(f"{where} has {key!r}; use {used}")
    try:
        for key in _DATES:
            if item.get(key) not in (None, ""):
                read_moment(item[key], key)
        read_interval(item)
        published = read_moment(item["published"], "published") if "published" in item else now
        return read_event(names.get(name.casefold(), name), item, place, published.astimezone(timezone.utc))
    except StarlakeError as error:
        raise RunError(f"{where}: {error}") from None
