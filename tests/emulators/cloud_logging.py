"""Cloud Logging over gRPC: ``ListLogEntries``, whose entries are the output of containers.

A part of other emulators: they say where the output of a container belongs (:class:`Source`), and serve
:func:`logging_service` next to their own services. Filters are comparisons joined by ``AND``; one that is not
understood is refused, as a misspelt one would be.
"""

from __future__ import annotations

import operator
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import grpc
from google.cloud.logging_v2.types import ListLogEntriesRequest, ListLogEntriesResponse, LogEntry
from google.protobuf.timestamp_pb2 import Timestamp

from .containers import Container, Containers
from .grpc_server import Method, Refused

__all__ = ["Source", "logging_service"]

_CLAUSE = re.compile(r'([A-Za-z_.]+(?:\."[^"]+")*)\s*(=|!=|>=|<=|>|<|:)\s*"((?:[^"\\]|\\.)*)"')
_FIELD = re.compile(r"timestamp$|logName$|resource\.type$|resource\.labels\.|labels\.")
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    ":": lambda value, part: part.lower() in value.lower(),
}
_PAGE = 1000


@dataclass(frozen=True)
class Source:
    """Where the output of a container belongs.

    Attributes:
        project: that owns it.
        log: name of the log, such as ``run.googleapis.com/stdout``.
        type: of the resource, such as ``cloud_run_job``.
        resource: labels of the resource.
        labels: of the entries.
    """

    project: str
    log: str
    type: str
    resource: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


def logging_service(
    containers: Containers, source_of: Callable[[Container], Source], lag: Callable[[], float] = lambda: 0.0
) -> dict[str, dict[str, Method]]:
    """The service, for :class:`~emulators.grpc_server.GrpcServer`.

    Args:
        containers: whose lines are the entries.
        source_of: says where the output of a container belongs.
        lag: seconds that it takes until a line can be read.
    """

    def listed(request: ListLogEntriesRequest) -> ListLogEntriesResponse:
        wanted = _read(request.filter)
        entries = [
            (moment, number, line, source)
            for source, number, moment, line in _lines(containers, source_of, time.time() - lag())
            if f"projects/{source.project}" in request.resource_names and _matches(wanted, source, moment)
        ]
        # Entries of one moment are ordered by their ids.
        entries.sort(key=lambda entry: entry[:2], reverse=request.order_by == "timestamp desc")
        start = int(request.page_token or 0)
        end = start + min(request.page_size or 50, _PAGE)
        return ListLogEntriesResponse(
            entries=[
                LogEntry(
                    log_name=f"projects/{source.project}/logs/{source.log.replace('/', '%2F')}",
                    resource={"type": source.type, "labels": dict(source.resource)},
                    labels=dict(source.labels),
                    timestamp=moment,
                    insert_id=number,
                    text_payload=line,
                )
                for moment, number, line, source in entries[start:end]
            ],
            next_page_token=str(end) if end < len(entries) else "",
        )

    method = Method(listed, ListLogEntriesRequest, ListLogEntriesResponse)
    return {"google.logging.v2.LoggingServiceV2": {"ListLogEntries": method}}


def _lines(
    containers: Containers, source_of: Callable[[Container], Source], until: float
) -> Iterator[tuple[Source, str, datetime, str]]:
    for number, container in enumerate(list(containers.all)):
        source = source_of(container)
        for place, (written, line) in enumerate(list(container.lines)):
            if written <= until:
                yield source, f"{number:06}-{place:08}", datetime.fromtimestamp(written, timezone.utc), line


def _read(condition: str) -> list[tuple[str, str, str]]:
    clauses = []
    for part in re.split(r"\s+AND\s+|\n", condition.strip()):
        found = _CLAUSE.fullmatch(part.strip())
        if found is None:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"Unparseable filter: {part}")
        if not _FIELD.match(found[1]):
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"Field not found: {found[1]}")
        clauses.append((found[1], found[2], re.sub(r"\\(.)", r"\1", found[3])))
    return clauses


def _matches(clauses: list[tuple[str, str, str]], source: Source, moment: datetime) -> bool:
    for name, sign, text in clauses:
        if name == "timestamp":
            bound = Timestamp()
            bound.FromJsonString(text)
            if not _COMPARE[sign](moment, bound.ToDatetime(timezone.utc)):
                return False
            continue
        value = _value(name, source)
        if value is None or not _COMPARE[sign](value, text):
            return False
    return True


def _value(name: str, source: Source) -> str | None:
    if name == "resource.type":
        return source.type
    if name == "logName":
        return f"projects/{source.project}/logs/{source.log.replace('/', '%2F')}"
    for prefix, labels in (("resource.labels.", source.resource), ("labels.", source.labels)):
        if name.startswith(prefix):
            return labels.get(name.removeprefix(prefix).strip('"'))
    return None
