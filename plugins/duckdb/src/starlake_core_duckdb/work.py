"""What the database remembers about the work that was done in it."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from operator import itemgetter
from typing import Any

from starlake_core.model.identity import Kinship, kinship

from .context import Context
from .database import transaction
from .driver import duckdb
from .fingerprint import fingerprint
from .surroundings import found

__all__ = ["Work", "utc_now"]

_log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """The time for audit tables: UTC without a zone, as DuckDB's TIMESTAMP keeps it."""
    return datetime.now(timezone.utc).replace(tzinfo=None)


@dataclass(frozen=True)
class Work:
    """The work of one call, as the database remembers it.

    Attributes:
        run_key: its name, or None when a repeat is new work.
        instance: the instance of its run: under the same name, a recreated run is new work.
        former: its name in the previous version, which had no instances.
        command: ``load``.
        arguments_hash: distinguishes two pieces of work under one key.
        started_at: for the audit.
    """

    run_key: str | None
    instance: str
    former: str
    command: str
    arguments_hash: str
    started_at: datetime

    @classmethod
    def of(cls, context: Context) -> Work:
        """The work that a context describes."""
        return cls(
            context.run_key,
            context.instance,
            context.former,
            context.command,
            fingerprint(context.command, context.arguments),
            utc_now(),
        )

    def results(self, connection: duckdb.DuckDBPyConnection) -> list[Any]:
        """What earlier calls under this key reported, the first one first."""
        if self.run_key is None or not self._may_be_known(connection):
            return []
        former = {"former": self.former} if self.former else {}
        # A key has few rows, and a short query is planned in half the time of one that chooses and sorts them.
        rows = connection.execute(
            "SELECT run_key, command, arguments_hash, result, committed_at, coalesce(instance, '') FROM starlake_core.run_keys "
            f"WHERE run_key {'IN ($key, $former)' if former else '= $key'}",
            {"key": self.run_key, **former},
        ).fetchall()
        own = [
            (at, result)
            for key, command, arguments, result, at, instance in rows
            if (command, arguments) == (self.command, self.arguments_hash)
            and (key == self.run_key or not instance)
            and kinship(instance, self.instance) is not Kinship.OTHER
        ]
        return [json.loads(result) for _, result in sorted(own, key=itemgetter(0))]

    def _may_be_known(self, connection: duckdb.DuckDBPyConnection) -> bool:
        """Whether the key may be in the database."""
        surroundings = found()
        if surroundings is None:
            return True

        def read(begin: str) -> list[str]:
            rows = connection.execute(
                "SELECT run_key FROM starlake_core.run_keys WHERE starts_with(run_key, $begin)", {"begin": begin}
            )
            return [key for (key,) in rows.fetchall()]

        keys = filter(None, (self.run_key, self.former))
        return any(surroundings.memory.run_keys.may_have(key, read) for key in keys)

    def first_result(self, connection: duckdb.DuckDBPyConnection) -> Any:
        """What the first call under this key reported, or None."""
        return next(iter(self.results(connection)), None)

    def record(self, connection: duckdb.DuckDBPyConnection, result: object, part: str = "") -> None:
        """Remember the result, as part of the current transaction. A second result of the same work is refused by the database.

        Args:
            part: which part of the work it is the result of; empty for all of it.
        """
        if self.run_key is not None:
            surroundings = found()
            if surroundings is not None:
                surroundings.memory.run_keys.write(self.run_key)
            connection.execute(
                "INSERT INTO starlake_core.run_keys (run_key, instance, command, arguments_hash, result, committed_at, work) "
                "VALUES ($key, $instance, $command, $hash, $result, $now, $work)",
                {
                    "key": self.run_key,
                    "instance": self.instance,
                    "command": self.command,
                    "hash": self.arguments_hash,
                    "result": json.dumps(result),
                    "now": utc_now(),
                    "work": fingerprint(self.command, (self.run_key, self.instance, self.arguments_hash, part)),
                },
            )

    def log(
        self,
        connection: duckdb.DuckDBPyConnection,
        target: tuple[str, str],
        *,
        accepted: int | None = None,
        rejected: int | None = None,
        failure: str | None = None,
    ) -> None:
        """Write a line of ``starlake_core.log``.

        Args:
            target: domain and table.
            accepted, rejected: rows.
            failure: why it failed, or None.
        """
        connection.execute(
            "INSERT INTO starlake_core.log VALUES ($key, $command, $domain, $table, $success, $accepted, $rejected, $message, "
            "$started, $ended)",
            {
                "key": self.run_key,
                "command": self.command,
                "domain": target[0],
                "table": target[1],
                "success": failure is None,
                "accepted": accepted,
                "rejected": rejected,
                "message": failure,
                "started": self.started_at,
                "ended": utc_now(),
            },
        )

    def log_failure(
        self, connection: duckdb.DuckDBPyConnection, targets: Sequence[tuple[str, str]], message: str
    ) -> None:
        """Write the failure of the work to ``starlake_core.log``, in a transaction of its own."""
        try:
            with transaction(connection):
                for target in targets:
                    self.log(connection, target, failure=message)
        except duckdb.Error as error:
            # The failure itself is what has to be reported, not that it could not be written down.
            _log.warning("cannot write the failure to starlake_core.log: %s", error)
