"""The output of drivers: objects of Cloud Storage that Dataproc's agent appends to, or else Cloud Logging."""

from __future__ import annotations

import json
from collections.abc import Sequence

from starlake_core_google import CloudLogs, Objects

from .state import DriverRun

__all__ = ["Output"]

_PIECE = 1_000_000
_TAIL = 64 * 1024


class Output:
    """Reads the output of drivers.

    Args:
        objects: the storage in which Dataproc keeps output.
        logs: the logs for output that is not kept.
    """

    def __init__(self, objects: Objects, logs: CloudLogs) -> None:
        self._objects = objects
        self._logs = logs

    def after(self, told: DriverRun, cursor: str | None) -> tuple[Sequence[str], str | None]:
        """Lines after a cursor.

        Args:
            told: the job or batch.
            cursor: the cursor that the last call returned; None at first.
        """
        place = json.loads(cursor) if cursor else None
        if isinstance(place, dict):  # so far it was read from Cloud Logging
            return self._from_logs(told, place["logs"])
        if _is_kept(told):
            lines, cursor = self._from_objects(told, place or [0, 0])
            if lines or place or told.verdict is None:
                return lines, cursor
        elif told.verdict is None and not told.output:
            return (), cursor  # it has not started, so it is not known yet where its output will be
        return self._from_logs(told, None)

    def last(self, told: DriverRun, count: int) -> Sequence[str]:
        """The last lines.

        Args:
            told: the job or batch.
            count: how many lines.
        """
        if not _is_kept(told):
            lines = self._from_tail_of_logs(told, count)
            return lines or self._from_tail_of_objects(told, count)
        return self._from_tail_of_objects(told, count) or self._from_tail_of_logs(told, count)

    def _from_tail_of_logs(self, told: DriverRun, count: int) -> Sequence[str]:
        return [told.masked(line) for line in self._logs.last(_condition(told), count)]

    def _from_tail_of_objects(self, told: DriverRun, count: int) -> Sequence[str]:
        rest = b""
        if told.output:
            for path, size in reversed(self._objects.sizes(_prefix(told)).items()):
                rest = self._objects.read(path, max(0, size - _TAIL), size) + rest
                if rest.count(b"\n") > count or size > _TAIL:
                    break
        return _lines(told, rest)[-count:] if rest else ()

    def _from_logs(self, told: DriverRun, cursor: str | None) -> tuple[Sequence[str], str | None]:
        lines, cursor = self._logs.after(_condition(told), cursor)
        return [told.masked(line) for line in lines], json.dumps({"logs": cursor}) if cursor else None

    def _from_objects(self, told: DriverRun, place: list[int]) -> tuple[Sequence[str], str | None]:
        """Whole lines from a position: the number of an object, and the offset in it."""
        number, offset = place
        content = b""
        # Where each object starts in what was read, to turn an offset into a position.
        begins: list[tuple[int, int, int]] = []
        sizes = list(self._objects.sizes(_prefix(told)).items())
        for index, (path, size) in enumerate(sizes):
            if index < number or len(content) >= _PIECE:
                continue
            start = offset if index == number else 0
            end = min(size, start + _PIECE - len(content))
            begins.append((len(content), index, start))
            content += self._objects.read(path, start, end)
        whole = content.rfind(b"\n") + 1
        read_all = not sizes or not begins or (begins[-1][1] == len(sizes) - 1 and len(content) < _PIECE)
        if (told.verdict is not None and read_all) or (not whole and len(content) >= _PIECE):
            whole = len(content)
        if not whole:
            return (), json.dumps(place)
        begin, index, start = next(found for found in reversed(begins) if found[0] <= whole)
        return _lines(told, content[:whole]), json.dumps([index, start + whole - begin])


def _is_kept(told: DriverRun) -> bool:
    """Whether what Dataproc keeps is the output of the driver. For a driver in YARN, it is only what the YARN client wrote."""
    return bool(told.output) and told.properties.get("spark.submit.deployMode") != "cluster"


def _prefix(told: DriverRun) -> str:
    return f"{told.output.removesuffix('*').rstrip('.')}."


def _lines(told: DriverRun, content: bytes) -> list[str]:
    return [
        told.masked(line)
        for line in content.decode("utf-8", "replace").replace("\r\n", "\n").removesuffix("\n").split("\n")
    ]


def _condition(told: DriverRun) -> str:
    _, project, _, _, kind, name = told.handle.split("/")
    resource, label = ("cloud_dataproc_job", "job_id") if kind == "jobs" else ("cloud_dataproc_batch", "batch_id")
    return f'resource.type="{resource}" AND resource.labels.{label}="{name}" AND resource.labels.project_id="{project}"'
