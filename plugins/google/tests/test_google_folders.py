"""A load that failed in a service: its files are put back in Cloud Storage, with the real SDK against the emulator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from emulators.faults import Fault, Faults, Kind, When
from emulators.storage import Storage
from starlake_core_google import BucketFolders, Calls, Connection, Objects

from starlake_core.runtime import Storage as Contract

ROOT = "gs://bucket/project"


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    (tmp_path / "bucket" / "project").mkdir(parents=True)
    with Storage(tmp_path, Faults()) as serving:
        yield serving


@pytest.fixture
def folders(storage: Storage) -> Contract:
    return BucketFolders(
        Objects(Connection(None, storage.endpoint), storage.endpoint, Calls("Cloud Storage", first_pause=0.01))
    )


def test_files_of_a_folder(folders: Contract, storage: Storage) -> None:
    for name in ("a/1.csv", "a/2.csv", "a/.hidden", "a/below/3.csv", "b/4.csv"):
        folders.write(f"{ROOT}/{name}", name.encode())
    assert set(folders.list(f"{ROOT}/a")) == {"1.csv", "2.csv"}
    assert folders.list(f"{ROOT}/none") == {}
    before = folders.list(f"{ROOT}/a")
    folders.write(f"{ROOT}/a/1.csv", b"other")
    after = folders.list(f"{ROOT}/a")
    assert after["1.csv"] != before["1.csv"]
    assert after["2.csv"] == before["2.csv"]


def test_a_file_that_is_moved_stays_the_same(folders: Contract, storage: Storage) -> None:
    folders.write(f"{ROOT}/a/1.csv", b"rows")
    about = folders.list(f"{ROOT}/a")["1.csv"]
    folders.move(f"{ROOT}/a/1.csv", f"{ROOT}/b/1.csv")
    assert folders.list(f"{ROOT}/a") == {}
    assert folders.list(f"{ROOT}/b") == {"1.csv": about}
    assert folders.read(f"{ROOT}/b/1.csv") == b"rows"
    assert folders.read(f"{ROOT}/a/1.csv") is None
    folders.delete(f"{ROOT}/b/1.csv")
    folders.delete(f"{ROOT}/b/1.csv")
    assert folders.list(f"{ROOT}/b") == {}


@pytest.mark.parametrize("method", ["storage.rewrite", "storage.delete", "storage.upload"])
@pytest.mark.parametrize("when", list(When))
def test_a_fault_of_the_service_passes(folders: Contract, storage: Storage, method: str, when: When) -> None:
    storage.faults.plan(method, Fault(Kind.UNAVAILABLE, when))
    folders.write(f"{ROOT}/a/1.csv", b"rows")
    folders.move(f"{ROOT}/a/1.csv", f"{ROOT}/b/1.csv")
    assert storage.names("bucket") == ["project/b/1.csv"]
