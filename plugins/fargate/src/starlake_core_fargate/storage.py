"""Objects of S3: the markers of checks, and the folders of files that a failed load has moved."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from starlake_core import RunnerError

from .client import AwsClient

__all__ = ["Folders", "MarkerStore"]

_TOTAL_SECONDS = 30.0


class MarkerStore:
    """The markers of checks in S3: see :class:`starlake_core.runtime.ObjectStore`.

    Args:
        aws: the client of the account that has the bucket.
    """

    def __init__(self, aws: AwsClient) -> None:
        self._aws = aws

    def written(self, path: str) -> datetime | None:
        """When a marker was written, by the clock of S3; None if it does not exist.

        Args:
            path: ``s3://bucket/name``.
        """
        bucket, name = _split_marker(path)
        # A list needs one permission and is certain; without the permission to list, HEAD answers 403 for a missing object.
        listed = self._aws.call(
            "s3",
            "list_objects_v2",
            f"looking for the marker {path}",
            total=_TOTAL_SECONDS,
            Bucket=bucket,
            Prefix=name,
            MaxKeys=1,
        )
        found: list[datetime] = [entry["LastModified"] for entry in listed.get("Contents", ()) if entry["Key"] == name]
        return found[0] if found else None

    def delete(self, path: str) -> None:
        """Delete a marker, if it exists.

        Args:
            path: ``s3://bucket/name``.
        """
        bucket, name = _split_marker(path)
        self._aws.call(
            "s3", "delete_object", f"deleting the marker {path}", total=_TOTAL_SECONDS, Bucket=bucket, Key=name
        )

    def delete_older(self, folder: str, before: datetime, named: re.Pattern[str]) -> None:
        """Delete old empty objects of a folder, from the first page of a list.

        Args:
            folder: ``s3://bucket/folder``.
            before: only objects written before this time, by the clock of S3.
            named: only objects whose whole name in the folder matches.
        """
        doing = f"sweeping {folder}/"
        bucket, _, prefix = f"{folder}/".partition("://")[2].partition("/")
        listed = self._aws.call("s3", "list_objects_v2", doing, total=0, Bucket=bucket, Prefix=prefix, Delimiter="/")
        old = [
            {"Key": entry["Key"]}
            for entry in listed.get("Contents", ())
            if entry["Size"] == 0 and entry["LastModified"] < before and named.fullmatch(entry["Key"][len(prefix) :])
        ]
        if old:
            objects = {"Objects": old, "Quiet": True}
            self._aws.call("s3", "delete_objects", doing, total=0, Bucket=bucket, Delete=objects)


class Folders:
    """Folders of S3, for the runtime: see :class:`starlake_core.runtime.Storage`.

    Args:
        aws: the client of the account that has the bucket.
    """

    def __init__(self, aws: AwsClient) -> None:
        self._aws = aws

    def _call(self, operation: str, doing: str, path: str, **parameters: Any) -> Any:
        bucket, key = _split(path)
        return self._aws.call(
            "s3", operation, f"{doing} {path}", total=_TOTAL_SECONDS, Bucket=bucket, **{"Key": key, **parameters}
        )

    def _listed(self, path: str, **parameters: Any) -> dict[str, str]:
        """Maps the names below a prefix, without the prefix, to values that change with the content; page by page."""
        bucket, prefix = _split(path)
        found: dict[str, str] = {}
        more: dict[str, Any] = {}
        while True:
            page = self._aws.call(
                "s3",
                "list_objects_v2",
                f"listing {path}",
                total=_TOTAL_SECONDS,
                Bucket=bucket,
                Prefix=prefix,
                **parameters,
                **more,
            )
            for entry in page.get("Contents", ()):
                found[entry["Key"][len(prefix) :]] = f"{entry['Size']}:{entry.get('ETag', '')}"
            if not page.get("IsTruncated"):
                return found
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def list(self, folder: str) -> dict[str, str]:
        """The files of a folder, without those in subfolders and those whose name starts with a dot."""
        found = self._listed(folder.rstrip("/") + "/", Delimiter="/")
        return {name: about for name, about in found.items() if name and name[0] != "." and "/" not in name}

    def move(self, source: str, target: str) -> None:
        """Copy a file, then delete it; for a moment it is in both places."""
        bucket, key = _split(source)
        if "" in self._listed(source):
            self._call("copy_object", f"copying {source} to", target, CopySource={"Bucket": bucket, "Key": key})
            self.delete(source)
        elif "" not in self._listed(target):
            raise RunnerError(f"{source} is gone, but {target} does not exist")

    def read(self, path: str) -> bytes | None:
        """Read a small file; None if it does not exist."""
        # A list needs one permission and is certain; without the permission to list, S3 answers 403 for a missing object.
        if "" not in self._listed(path):
            return None
        content: bytes = self._call("get_object", "reading", path)["Body"].read()
        return content

    def write(self, path: str, content: bytes) -> None:
        """Write a small file."""
        self._call("put_object", "writing", path, Body=content)

    def delete(self, path: str) -> None:
        """Delete a file, if it exists."""
        self._call("delete_object", "deleting", path)


def _split(path: str) -> tuple[str, str]:
    bucket, _, key = path.removeprefix("s3://").partition("/")
    if not path.startswith("s3://") or not bucket or not key:
        raise RunnerError(f"{path!r} is not an S3 path; write s3://bucket/name")
    return bucket, key


def _split_marker(path: str) -> tuple[str, str]:
    bucket, _, name = path.partition("://")[2].partition("/")
    if not bucket or not name:
        raise RunnerError(
            f"the marker {path!r} is not an object in S3; set pre_load_not_ready_sentinel_path to a folder such as s3://bucket/not-ready"
        )
    return bucket, name
