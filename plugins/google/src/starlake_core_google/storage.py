"""Objects of Cloud Storage: the markers of checks, and the output of drivers."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

from starlake_core import RunnerError

from .calls import Calls
from .connection import Connection

__all__ = ["BucketFolders", "Objects", "split_path"]


def split_path(path: str) -> tuple[str, str]:
    """Split a path into the bucket and the name of the object.

    >>> split_path("gs://bucket/folder/name")
    ('bucket', 'folder/name')

    Args:
        path: ``gs://bucket/name``.

    Raises:
        RunnerError: the path has another form.
    """
    bucket, slash, name = path.removeprefix("gs://").partition("/")
    if not path.startswith("gs://") or not bucket or not slash:
        raise RunnerError(f"{path!r} is not a Cloud Storage path; write gs://bucket/name")
    return bucket, name


class Objects:
    """Reads and deletes objects: see :class:`starlake_core.runtime.ObjectStore`. The client is created on first use.

    Args:
        connection: the connection, with credentials.
        endpoint: the address of a storage emulator, ``http://host:port``, or of a private endpoint, ``https://host``; empty for Google's own.
        calls: how the service is called.
    """

    def __init__(self, connection: Connection, endpoint: str = "", calls: Calls | None = None) -> None:
        self._connection = connection
        self._endpoint = endpoint.rstrip("/")
        self._made: Any = None
        self._lock = threading.Lock()
        self._calls = calls or Calls("Cloud Storage")

    def _client(self) -> Any:
        with self._lock:
            if self._made is None:
                if self._connection.plain and not self._endpoint:
                    raise RunnerError(
                        f"the service is at {self._connection.endpoint}, which is not Google; set the option for the endpoint of Cloud Storage "
                        "to the address of its storage"
                    )
                from google.auth.credentials import AnonymousCredentials
                from google.cloud import storage

                options = {"api_endpoint": self._endpoint} if self._endpoint else None
                plain = self._endpoint.startswith("http://")
                credentials = AnonymousCredentials() if plain else self._connection.credentials
                self._made = storage.Client(project="-", credentials=credentials, client_options=options)
            return self._made

    def _run(self, path: str, doing: str, call: Callable[[Any], Any]) -> Any:
        bucket, name = split_path(path)

        def tried() -> Any:
            return call(self._client().bucket(bucket).blob(name))

        return self._calls.run(
            tried,
            f"{doing} {path}",
            f"Create the bucket {bucket}, and grant this worker the role roles/storage.objectUser on it",
        )

    def _how(self) -> dict[str, Any]:
        return {"timeout": self._calls.attempt_seconds, "retry": None}

    def exists(self, path: str) -> bool:
        """Whether an object exists.

        Args:
            path: ``gs://bucket/name``.
        """
        return bool(self._run(path, "looking for", lambda blob: blob.exists(**self._how())))

    def written(self, path: str) -> datetime | None:
        """When an object was written, by the clock of the storage; None if it does not exist.

        Args:
            path: ``gs://bucket/name``.
        """

        def told(blob: Any) -> datetime | None:
            found = blob.bucket.get_blob(blob.name, **self._how())
            return None if found is None else found.updated

        moment: datetime | None = self._run(path, "looking for", told)
        return moment

    def size(self, path: str) -> int | None:
        """The size of an object in bytes; None if it does not exist.

        Args:
            path: ``gs://bucket/name``.
        """

        def measured(blob: Any) -> int | None:
            found = blob.bucket.get_blob(blob.name, **self._how())
            return None if found is None else int(found.size)

        size: int | None = self._run(path, "looking for", measured)
        return size

    def read(self, path: str, start: int, end: int | None = None) -> bytes:
        """Read bytes of an object; none if the object ends before ``start``.

        Args:
            path: ``gs://bucket/name``.
            start: the offset of the first byte.
            end: the offset after the last byte; the end of the object by default.
        """
        if end is not None and end <= start:
            return b""
        last = None if end is None else end - 1

        def read(blob: Any) -> Any:
            from google.api_core.exceptions import RequestRangeNotSatisfiable

            try:
                return blob.download_as_bytes(start=start, end=last, **self._how())
            except RequestRangeNotSatisfiable:
                return b""

        content: bytes = self._run(path, "reading", read)
        return content

    def sizes(self, prefix: str) -> dict[str, int]:
        """The sizes in bytes of the objects whose path starts with a prefix, by path, in the order of their names.

        Args:
            prefix: ``gs://bucket/folder/prefix``.
        """
        bucket, name = split_path(prefix)

        def listed(_: Any) -> dict[str, int]:
            blobs = self._client().list_blobs(bucket, prefix=name, **self._how())
            return {f"gs://{bucket}/{blob.name}": int(blob.size) for blob in blobs}

        found: dict[str, int] = self._run(prefix, "listing", listed)
        return found

    def folder(self, path: str) -> dict[str, str]:
        """The objects of a folder, without those in subfolders: maps the last part of the name to a value that changes with the content.

        Args:
            path: ``gs://bucket/folder``.
        """
        bucket, name = split_path(path.rstrip("/") + "/")

        def listed(_: Any) -> dict[str, str]:
            blobs = self._client().list_blobs(bucket, prefix=name, delimiter="/", **self._how())
            return {blob.name[len(name) :]: f"{blob.size}:{blob.crc32c}" for blob in blobs if blob.name != name}

        found: dict[str, str] = self._run(path, "listing", listed)
        return found

    def write(self, path: str, content: bytes) -> None:
        """Write an object, or replace it.

        Args:
            path: ``gs://bucket/name``.
            content: the whole content.
        """
        self._run(path, "writing", lambda blob: blob.upload_from_string(content, **self._how()))

    def move(self, source: str, target: str) -> None:
        """Rename an object; for a moment it has both names.

        Args:
            source: ``gs://bucket/name``.
            target: ``gs://bucket/name``.
        """
        bucket, name = split_path(target)

        def copied(blob: Any) -> None:
            from google.api_core.exceptions import NotFound

            made, token = self._client().bucket(bucket).blob(name), None
            try:
                while True:
                    token, _, _ = made.rewrite(blob, token=token, **self._how())
                    if token is None:
                        return
            except NotFound:
                # The answer to an earlier attempt was lost.
                if not made.exists(**self._how()):
                    raise

        self._run(source, f"copying to {target}", copied)
        self.delete(source)

    def delete(self, path: str) -> None:
        """Delete an object, if it exists.

        Args:
            path: ``gs://bucket/name``.

        Raises:
            RunnerError: the bucket does not exist, or cannot be used.
        """

        def delete(blob: Any) -> None:
            from google.api_core.exceptions import NotFound

            try:
                blob.delete(**self._how())
            except NotFound as error:
                if "bucket does not exist" in str(error):
                    raise

        self._run(path, "deleting", delete)

    def delete_older(self, folder: str, before: datetime, named: re.Pattern[str]) -> None:
        """Delete old empty objects of a folder.

        Args:
            folder: ``gs://bucket/folder``.
            before: only objects written before this time, by the clock of the storage and with a time zone.
            named: only objects whose whole name in the folder matches.
        """
        bucket, name = split_path(folder.rstrip("/") + "/")

        def sweep() -> None:
            from google.api_core.exceptions import NotFound

            # One page is enough: the rest is swept next time.
            for blob in self._client().list_blobs(bucket, prefix=name, delimiter="/", max_results=1000, **self._how()):
                old = blob.updated is not None and blob.updated < before
                if old and not blob.size and named.fullmatch(blob.name[len(name) :]):
                    try:
                        blob.delete(**self._how())
                    except NotFound:
                        continue  # another worker was faster

        # Someone waits for what the folder was read for; sweeping can wait until another time.
        self._calls.brief(0.0).run(sweep, f"sweeping {folder}")


class BucketFolders:
    """Folders of Cloud Storage, for the runtime: see :class:`starlake_core.runtime.Storage`.

    Args:
        objects: the objects of the storage.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def list(self, folder: str) -> dict[str, str]:
        """The files of a folder, without those whose name starts with a dot."""
        return {name: about for name, about in self._objects.folder(folder).items() if not name.startswith(".")}

    def move(self, source: str, target: str) -> None:
        """Move a file."""
        self._objects.move(source, target)

    def read(self, path: str) -> bytes | None:
        """Read a small file; None if it does not exist."""
        return self._objects.read(path, 0) if self._objects.exists(path) else None

    def write(self, path: str, content: bytes) -> None:
        """Write a small file."""
        self._objects.write(path, content)

    def delete(self, path: str) -> None:
        """Delete a file, if it exists."""
        self._objects.delete(path)
