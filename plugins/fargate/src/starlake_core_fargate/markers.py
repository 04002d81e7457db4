"""The markers in S3 with which checks say *not ready*."""

from __future__ import annotations

import logging
import re
import threading
import time
from datetime import datetime, timedelta

from starlake_core import RunnerError, StarlakeError
from starlake_core.runtime import Recent

from .aws import Aws

__all__ = ["Markers"]

logger = logging.getLogger(__name__)

_TOTAL_SECONDS = 30.0
_OLD = timedelta(days=1)
_SWEEP_EVERY = 3600.0
# What the core calls a marker. Nothing else in the folder is ours.
_OURS = re.compile(r"[0-9a-f]{12}(\.notready)?")


class Markers:
    """Looks for markers, and sweeps those of long ago.

    A marker stays when it was seen: another process, or this one after a restart, may ask again and must get the same answer.

    Args:
        aws: whose S3 it is.
    """

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._written: Recent[str, datetime] = Recent()
        self._swept: dict[str, float] = {}
        self._lock = threading.Lock()

    def seen(self, marker: str) -> bool:
        """Whether there is a marker.

        Args:
            marker: ``s3://bucket/name``.

        Raises:
            RunnerError: the bucket cannot be read.
            OutageError: S3 does not answer.
        """
        bucket, name = _split(marker)
        # A list needs one permission and knows for sure; without the right to list, HEAD says 403 for what is not there.
        listed = self._aws.call(
            "s3",
            "list_objects_v2",
            f"looking for the marker {marker}",
            total=_TOTAL_SECONDS,
            Bucket=bucket,
            Prefix=name,
            MaxKeys=1,
        )
        found = [entry for entry in listed.get("Contents", ()) if entry["Key"] == name]
        for entry in found:
            self._written.put(marker, entry["LastModified"])
        return bool(found)

    def clear(self, marker: str) -> None:
        """Delete a marker.

        Args:
            marker: ``s3://bucket/name``.

        Raises:
            RunnerError: it cannot be deleted.
            OutageError: S3 does not answer.
        """
        bucket, name = _split(marker)
        self._aws.call(
            "s3", "delete_object", f"deleting the marker {marker}", total=_TOTAL_SECONDS, Bucket=bucket, Key=name
        )

    def sweep(self, marker: str) -> None:
        """Delete the markers of earlier days from the folder of a marker, once an hour at most, and as well as it can be done.

        Args:
            marker: that was seen.
        """
        folder = marker.rpartition("/")[0] + "/"
        written = self._written.get(marker)
        if written is None:
            return
        with self._lock:
            if time.monotonic() - self._swept.get(folder, float("-inf")) < _SWEEP_EVERY:
                return
            self._swept[folder] = time.monotonic()
        bucket, prefix = _split(folder)
        try:
            listed = self._aws.call(
                "s3", "list_objects_v2", f"sweeping {folder}", total=0, Bucket=bucket, Prefix=prefix, Delimiter="/"
            )
            # By the clock of S3 alone: the marker that was seen was written just now.
            before = written - _OLD
            old = [
                {"Key": entry["Key"]}
                for entry in listed.get("Contents", ())
                if entry["Size"] == 0
                and entry["LastModified"] < before
                and _OURS.fullmatch(entry["Key"][len(prefix) :])
            ]
            if old:
                self._aws.call(
                    "s3",
                    "delete_objects",
                    f"sweeping {folder}",
                    total=0,
                    Bucket=bucket,
                    Delete={"Objects": old, "Quiet": True},
                )
        except StarlakeError as error:  # housekeeping changes no verdict
            logger.warning("old markers in %s are not swept: %s", folder, error)


def _split(path: str) -> tuple[str, str]:
    bucket, _, name = path.partition("://")[2].partition("/")
    if not bucket or not name:
        raise RunnerError(
            f"the marker {path!r} is not an object in S3; set pre_load_not_ready_sentinel_path to a folder such as s3://bucket/not-ready"
        )
    return bucket, name
