"""Objects and markers, with the real SDK against the emulator of Cloud Storage."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from emulators.faults import Fault, Faults, Kind, When
from emulators.storage import Storage
from google.auth.credentials import AnonymousCredentials
from starlake_core_google import Calls, Connection, Objects, split_path

from starlake_core import OutageError, RunnerError
from starlake_core.runtime import Markers

QUICK = Calls("Cloud Storage", attempt_seconds=5.0, total_seconds=0.2, first_pause=0.01)
PATIENT = Calls("Cloud Storage", first_pause=0.01)
NAME = "0123456789ab"


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    (tmp_path / "bucket").mkdir()
    with Storage(tmp_path, Faults()) as serving:
        yield serving


@pytest.fixture
def objects(storage: Storage) -> Objects:
    return Objects(Connection(None, storage.endpoint), storage.endpoint, PATIENT)


def write(storage: Storage, name: str, content: bytes = b"", age: timedelta = timedelta()) -> Path:
    path = storage.buckets / "bucket" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    then = datetime.now(timezone.utc).timestamp() - age.total_seconds()
    os.utime(path, (then, then))
    return path


def test_paths_are_taken_apart() -> None:
    assert split_path("gs://bucket/a folder/näme") == ("bucket", "a folder/näme")
    for wrong in ("s3://bucket/x", "gs://bucket", "gs:///x", "/x", ""):
        with pytest.raises(RunnerError, match="write gs://bucket/name"):
            split_path(wrong)


def test_objects_are_listed_by_the_beginning_of_their_names(storage: Storage, objects: Objects) -> None:
    for name in ("out/driveroutput.000000001", "out/driveroutput.000000000", "out/other", "elsewhere"):
        write(storage, name, b"x" * len(name))
    assert list(objects.sizes("gs://bucket/out/driveroutput.").items()) == [
        ("gs://bucket/out/driveroutput.000000000", 26),
        ("gs://bucket/out/driveroutput.000000001", 26),
    ]
    assert objects.sizes("gs://bucket/nothing") == {}


@pytest.mark.parametrize("name", ["x", "a folder/with näme?#%", "deep/er/x"])
def test_an_object_is_looked_for_read_and_deleted(storage: Storage, objects: Objects, name: str) -> None:
    path = f"gs://bucket/{name}"
    assert not objects.exists(path)
    assert objects.size(path) is None
    objects.delete(path)
    write(storage, name, b"0123456789")
    assert objects.exists(path)
    assert objects.size(path) == 10
    assert objects.read(path, 0) == b"0123456789"
    assert objects.read(path, 4) == b"456789"
    assert objects.read(path, 4, 6) == b"45"
    assert objects.read(path, 8, 100) == b"89"
    assert objects.read(path, 10) == b""
    assert objects.read(path, 4, 4) == b""
    objects.delete(path)
    assert not objects.exists(path)


def test_what_the_sdk_uploads_is_an_object(storage: Storage) -> None:
    client = Objects(Connection(None, storage.endpoint), storage.endpoint)._client()
    blob = client.bucket("bucket").blob("folder/uploaded")
    blob.upload_from_string(b"\x00\r\nbytes")
    assert storage.names("bucket") == ["folder/uploaded"]
    assert blob.download_as_bytes() == b"\x00\r\nbytes"
    for number in range(5):
        client.bucket("bucket").blob(f"many/{number}").upload_from_string("x")
    assert [found.name for found in client.list_blobs("bucket", prefix="many/", page_size=2)] == [
        f"many/{number}" for number in range(5)
    ]


def test_transient_errors_are_retried(storage: Storage, objects: Objects) -> None:
    write(storage, "x")
    storage.faults.plan(
        "storage.get", Fault(Kind.UNAVAILABLE), Fault(Kind.THROTTLED), Fault(Kind.LOST, When.AFTER), None
    )
    assert objects.exists("gs://bucket/x")
    assert storage.faults.calls["storage.get"] == 4


def test_a_delete_whose_answer_is_lost_is_a_delete(storage: Storage, objects: Objects) -> None:
    write(storage, "x")
    storage.faults.plan("storage.delete", Fault(Kind.UNAVAILABLE, When.AFTER))
    objects.delete("gs://bucket/x")
    assert storage.names("bucket") == []


def test_an_outage_is_an_outage(storage: Storage) -> None:
    storage.faults.at_random(1.0, [Fault(Kind.UNAVAILABLE)], 1)
    with pytest.raises(OutageError, match=r"Cloud Storage did not answer for 0[.]2 s"):
        Objects(Connection(None), storage.endpoint, QUICK).exists("gs://bucket/x")


def test_no_server_is_an_outage(tmp_path: Path) -> None:
    with Storage(tmp_path) as storage:
        endpoint = storage.endpoint
    with pytest.raises(OutageError):
        Objects(Connection(None), endpoint, QUICK).exists("gs://bucket/x")


def test_a_missing_permission_and_a_missing_bucket_say_what_to_do(storage: Storage, objects: Objects) -> None:
    storage.faults.plan("storage.get", Fault(Kind.DENIED))
    with pytest.raises(RunnerError, match=r"storage.objects.get access .* Grant the account"):
        objects.exists("gs://bucket/x")
    with pytest.raises(RunnerError, match=r"Create the bucket missing, and grant .* roles/storage.objectUser"):
        objects.delete("gs://missing/x")


def test_an_emulated_service_without_storage_says_so() -> None:
    with pytest.raises(RunnerError, match="set the option for the endpoint of Cloud Storage"):
        Objects(Connection(None, "http://127.0.0.1:1")).exists("gs://bucket/x")


def test_a_marker_stays_when_it_was_seen(storage: Storage, objects: Objects) -> None:
    markers, marker = Markers(objects), f"gs://bucket/not-ready/{NAME}"
    markers.clear(marker)
    assert not markers.seen(marker)
    write(storage, f"not-ready/{NAME}")
    assert markers.seen(marker)
    assert markers.seen(marker)
    markers.clear(marker)
    assert not markers.seen(marker)


def test_only_old_markers_are_swept(storage: Storage, objects: Objects) -> None:
    marker, old = f"not-ready/{NAME}", timedelta(days=2)
    kept = ["not-ready/README.md", "not-ready/deeper/0123456789ac", "other/0123456789ad", "not-ready/0123456789ae"]
    for name in kept[:3]:
        write(storage, name, b"", old)
    write(storage, kept[3], b"not empty", old)
    write(storage, "not-ready/0123456789af", b"", old)
    write(storage, "not-ready/0123456789b0.notready", b"", old)
    write(storage, "not-ready/0123456789b1", b"", timedelta(hours=23))
    write(storage, marker)
    assert Markers(objects).seen(f"gs://bucket/{marker}")
    assert storage.names("bucket") == sorted([*kept, "not-ready/0123456789b1", marker])


def test_sweeping_changes_no_verdict(storage: Storage, objects: Objects, caplog: pytest.LogCaptureFixture) -> None:
    write(storage, f"not-ready/{NAME}")
    storage.faults.plan("storage.list", Fault(Kind.DENIED))
    with caplog.at_level(logging.WARNING):
        assert Markers(objects).seen(f"gs://bucket/not-ready/{NAME}")
    assert "old markers in gs://bucket/not-ready cannot be deleted" in caplog.text


def test_only_an_emulator_is_called_without_credentials() -> None:
    known = AnonymousCredentials()
    private = Objects(Connection(known), "https://storage.example.com")._client()
    assert private._credentials is known
    assert private._connection.API_BASE_URL == "https://storage.example.com"
    assert Objects(Connection(known), "http://127.0.0.1:1")._client()._credentials is not known
