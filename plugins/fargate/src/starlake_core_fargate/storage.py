"""Objects of S3: the markers of checks, and the folders of what a failed load has moved."""

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
        aws: whose S3 it is.
    """

    def __init__(self, aws: AwsClient) -> None:
        self._aws = aws

    def written(self, path: str) -> datetime | None:
        """When a marker was written, by the clock of S3; None where there is none.

        Args:
            path: ``s3://bucket/name``.
        """
        bucket, name = _split_marker(path)
        # A list needs one permission and knows for sure; without the right to list, HEAD says 403 for what is not there.
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
        """Delete a marker, if it is there.

        Args:
            path: ``s3://bucket/name``.
        """
        bucket, name = _split_marker(path)
        self._aws.call(
            "s3", "delete_object", f"deleting the marker {path}", total=_TOTAL_SECONDS, Bucket=bucket, Key=name
        )

    def delete_older(self, folder: str, before: datetime, named: re.Pattern[str]) -> None:
        """Delete the empty objects of a folder that were written long ago, of the first page of a list.

        Args:
            folder: ``s3://bucket/folder``.
            before: only those that were written before this moment, by the clock of S3.
            named: only those whose name in the folder is like that as a whole.
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
        aws: whose S3 it is.
    """

    def __init__(self, aws: AwsClient) -> None:
        self._aws = aws

    def _call(self, operation: str, doing: str, path: str, **parameters: Any) -> Any:
        bucket, key = _split(path)
        return self._aws.call(
            "s3", operation, f"{doing} {path}", total=_TOTAL_SECONDS, Bucket=bucket, **{"Key": key, **parameters}
        )

    def _listed(self, path: str, **parameters: Any) -> dict[str, str]:
        """Names below a prefix, without it, to what tells their contents apart; page by page."""
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
        """The files of a folder; those whose name begins with a dot, and those in folders below it, are left out."""
        found = self._listed(folder.rstrip("/") + "/", Delimiter="/")
        return {name: about for name, about in found.items() if name and name[0] != "." and "/" not in name}

    def move(self, source: str, target: str) -> None:
        """Copy a file, then delete it; it is at both places for a moment."""
        bucket, key = _split(source)
        if "" in self._listed(source):
            self._call("copy_object", f"copying {source} to", target, CopySource={"Bucket": bucket, "Key": key})
            self.delete(source)
        elif "" not in self._listed(target):
            raise RunnerError(f"{source} is gone, and {target} is not there")

    def read(self, path: str) -> bytes | None:
        """The content of a small file; None where there is none."""
        # A list needs one permission and knows for sure; without the right to list, S3 says 403 for what is not there.
        if "" not in self._listed(path):
            return None
        content: bytes = self._call("get_object", "reading", path)["Body"].read()
        return content

    def write(self, path: str, content: bytes) -> None:
        """Write a small file."""
        self._call("put_object", "writing", path, Body=content)

    def delete(self, path: str) -> None:
        """Delete a file, if it is there."""
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
