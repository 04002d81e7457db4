"""Output that a service sends to Cloud Logging."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from starlake_core.logs import get_logger

from .calls import Calls
from .connection import Connection

__all__ = ["CloudLogs"]

logger = get_logger(__name__)

_PAGE = 1000
_PAGES = 5


class CloudLogs:
    """Reads entries of Cloud Logging. Without the extra ``logs``, it returns no lines and logs one warning.

    Args:
        connection: the connection, with credentials.
        project: the project that has the entries.
        endpoint: the address of an emulator, ``http://host:port``; empty for Google's own.
        calls: how the service is called.
    """

    def __init__(self, connection: Connection, project: str, endpoint: str = "", calls: Calls | None = None) -> None:
        self._connection = Connection(connection.credentials, endpoint) if endpoint else connection
        self._project = project
        self._made: Any = None
        self._lock = threading.Lock()
        self._off = False
        calls = calls or Calls("Cloud Logging", total_seconds=30.0)
        self._calls = replace(calls, roles={"list_log_entries": "roles/logging.viewer", **calls.roles})

    @property
    def available(self) -> bool:
        """Whether the library is installed, as far as is known."""
        return not self._off

    def _client(self) -> Any:
        with self._lock:
            if self._made is None and not self._off:
                try:
                    from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
                except ImportError:
                    self._off = True
                    logger.warning(
                        "the output of jobs cannot be read; install the library with: pip install 'starlake-core-google[logs]'"
                    )
                    return None
                self._made = self._connection.client(LoggingServiceV2Client)
            return self._made

    def _list(self, condition: str, order: str, size: int) -> Iterator[Sequence[Any]]:
        """Pages of entries; each page is one call."""
        client = self._client()
        token: str | None = ""
        while client is not None and token is not None:
            request = {
                "resource_names": [f"projects/{self._project}"],
                "filter": condition,
                "order_by": order,
                "page_size": size,
                "page_token": token,
            }
            pager = self._calls(
                client.list_log_entries, request, "reading output", "Enable the API logging.googleapis.com"
            )
            page = next(iter(pager.pages))
            yield list(page.entries)
            token = page.next_page_token or None

    def after(self, condition: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
        """Lines after a cursor, oldest first; a few thousand at most.

        Args:
            condition: a filter of Cloud Logging.
            cursor: the cursor that the last call returned; None at first.
        """
        # Entries of the same time come in any order, so the ids of those already returned are remembered.
        since, told = json.loads(cursor) if cursor else ("", [])
        if since:
            condition += f' AND timestamp>="{since}"'
        entries: list[Any] = []
        for number, page in enumerate(self._list(condition, "timestamp asc", _PAGE), 1):
            entries += [entry for entry in page if entry.insert_id not in told]
            # Entries of the same time may fill whole pages.
            if number >= _PAGES and entries:
                break
        if not entries:
            return (), cursor
        last = entries[-1].timestamp.rfc3339()
        same = [entry.insert_id for entry in entries if entry.timestamp.rfc3339() == last]
        return _lines(entries), json.dumps([last, same + (told if last == since else [])])

    def last(self, condition: str, count: int) -> Sequence[str]:
        """The last lines.

        Args:
            condition: a filter of Cloud Logging.
            count: how many lines.
        """
        for page in self._list(condition, "timestamp desc", count):
            return _lines(reversed(page))
        return ()


def _lines(entries: Any) -> list[str]:
    """The texts of entries; entries of the service itself, such as the audit log, have none."""
    found = []
    for entry in entries:
        if "text_payload" in entry:
            found.append(str(entry.text_payload).rstrip("\n"))
        elif "json_payload" in entry:
            payload = dict(entry.json_payload)
            found.append(str(payload.get("message") or json.dumps(payload, sort_keys=True, default=str)).rstrip("\n"))
    return found
