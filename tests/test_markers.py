"""Markers of checks, in a storage that is a dictionary."""

from __future__ import annotations

import logging
import re
from datetime import datetime, timedelta, timezone

import pytest

from starlake_core import RunnerError
from starlake_core.runtime import Markers

NOW = datetime(2026, 1, 10, tzinfo=timezone.utc)
FOLDER = "gs://bucket/not-ready"
MARKER = f"{FOLDER}/0123456789ab"


class Store:
    """Objects by their paths, with the moments at which they were written."""

    def __init__(self) -> None:
        self.objects = {MARKER: NOW}
        self.sweeps: list[str] = []
        self.broken = False

    def written(self, path: str) -> datetime | None:
        return self.objects.get(path)

    def delete(self, path: str) -> None:
        self.objects.pop(path, None)

    def delete_older(self, folder: str, before: datetime, named: re.Pattern[str]) -> None:
        self.sweeps.append(folder)
        if self.broken:
            raise RunnerError("no permission")
        for path, moment in list(self.objects.items()):
            if moment < before and named.fullmatch(path.removeprefix(f"{folder}/")):
                del self.objects[path]


def test_a_marker_stays_when_it_was_seen() -> None:
    markers = Markers(Store())
    assert markers.seen(MARKER)
    assert markers.seen(MARKER)
    markers.clear(MARKER)
    assert not markers.seen(MARKER)


def test_those_of_earlier_days_are_swept_when_one_is_seen() -> None:
    store = Store()
    old, young, other = f"{FOLDER}/aaaaaaaaaaaa.notready", f"{FOLDER}/bbbbbbbbbbbb", f"{FOLDER}/notes.txt"
    store.objects |= {old: NOW - timedelta(days=2), young: NOW - timedelta(hours=23), other: NOW - timedelta(days=2)}
    assert not Markers(store).seen(f"{FOLDER}/cccccccccccc")
    assert Markers(store).exists(MARKER)
    assert store.sweeps == []
    assert Markers(store).seen(MARKER)
    assert store.objects.keys() == {MARKER, young, other}


@pytest.mark.parametrize(("interval", "sweeps"), [(0.0, 3), (3600.0, 1)])
def test_a_folder_is_swept_no_more_often_than_asked_for(interval: float, sweeps: int) -> None:
    store = Store()
    markers = Markers(store, interval)
    for _ in range(3):
        assert markers.seen(MARKER)
    assert store.sweeps == [FOLDER] * sweeps


def test_sweeping_changes_no_verdict(caplog: pytest.LogCaptureFixture) -> None:
    store = Store()
    store.broken = True
    with caplog.at_level(logging.WARNING):
        assert Markers(store).seen(MARKER)
    assert f"old markers in {FOLDER} cannot be deleted: no permission" in caplog.text
