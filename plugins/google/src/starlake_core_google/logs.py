"""Output that a service sends to Cloud Logging."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Sequence
from typing import Any

from .calls import Calls
from .connection import Connection

__all__ = ["CloudLogs"]

logger = logging.getLogger(__name__)

_PAGE = 1000


class CloudLogs:
    """Reads entries of Cloud Logging. Needs the extra ``logs``; without it there are no lines, and a warning says so once.

    Args:
        connection: with the credentials.
        project: that has the entries.
        endpoint: of an emulator, ``http://host:port``; empty for Google's own.
    """

    def __init__(self, connection: Connection, project: str, endpoint: str = "") -> None:
        self._connection = Connection(connection.credentials, endpoint) if endpoint else connection
        self._project = project
        self._made: Any = None
        self._lock = threading.Lock()
        self._off = False
        self._calls = Calls("Cloud Logging", total_seconds=30.0)

    def _client(self) -> Any:
        with self._lock:
            if self._made is None and not self._off:
                try:
                    from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
                except ImportError:
                    self._off = True
                    logger.warning("the output of jobs is not read: pip install 'starlake-core-google[logs]'")
                    return None
                self._made = self._connection.client(LoggingServiceV2Client)
            return self._made

    def _list(self, condition: str, order: str, size: int) -> list[Any]:
        client = self._client()
        if client is None:
            return []
        request = {
            "resource_names": [f"projects/{self._project}"],
            "filter": condition,
            "order_by": order,
            "page_size": size,
        }
        # Of the pager only the first page is taken: it is one call.
        pager = self._calls(
            client.list_log_entries, request, "reading output", "See that the API logging.googleapis.com is enabled"
        )
        return list(next(iter(pager.pages)).entries)

    def after(self, condition: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
        """Lines after a cursor, the oldest first; one page at most.

        Args:
            condition: filter of Cloud Logging.
            cursor: what the last call returned; None at first.
        """
        # Entries of one instant come in any order: those that were told are remembered by their ids.
        since, told = json.loads(cursor) if cursor else ("", [])
        if since:
            condition += f' AND timestamp>="{since}"'
        entries = [entry for entry in self._list(condition, "timestamp asc", _PAGE) if entry.insert_id not in told]
        if not entries:
            return (), cursor
        last = entries[-1].timestamp.rfc3339()
        same = [entry.insert_id for entry in entries if entry.timestamp.rfc3339() == last]
        return [_line(entry) for entry in entries], json.dumps([last, same + (told if last == since else [])])

    def last(self, condition: str, count: int) -> Sequence[str]:
        """The last lines.

        Args:
            condition: filter of Cloud Logging.
            count: how many.
        """
        return [_line(entry) for entry in reversed(self._list(condition, "timestamp desc", count))]


def _line(entry: Any) -> str:
    if entry.text_payload:
        return str(entry.text_payload).rstrip("\n")
    if entry.json_payload:
        payload = dict(entry.json_payload)
        return str(payload.get("message") or json.dumps(payload, sort_keys=True, default=str)).rstrip("\n")
    return ""
