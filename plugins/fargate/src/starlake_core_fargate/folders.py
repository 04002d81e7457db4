"""Folders of S3, for what a failed load has moved."""

from __future__ import annotations

from typing import Any

from starlake_core import RunnerError

from .aws import Aws

__all__ = ["Folders"]

_TOTAL_SECONDS = 30.0


class Folders:
    """Folders of S3, for the runtime: see :class:`starlake_core.runtime.Storage`.

    Args:
        aws: whose S3 it is.
    """

    def __init__(self, aws: Aws) -> None:
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
