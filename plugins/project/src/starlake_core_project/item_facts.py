"""What the pipelines need to know about a table, apart from its names: small, so that a cache can keep it for a whole project."""

from __future__ import annotations

from msgspec import Struct, msgpack

from starlake_core import TableDetails

__all__ = ["ItemFacts"]


class ItemFacts(Struct, frozen=True, array_like=True):
    """Facts about a table or transform.

    Attributes:
        strategy: its write strategy, in capitals.
        triggering: its condition on datasets, as written.
        dialect: the SQL of the connection that it uses.
        warn, error: the seconds after which it counts as old; 0 for never.
        sql_path: the file of its query.
        fingerprint: changes when it changes.
        packed: the details of the table; empty if it cannot be read.
    """

    strategy: str = ""
    triggering: str = ""
    dialect: str = ""
    warn: int = 0
    error: int = 0
    sql_path: str = ""
    fingerprint: str = ""
    packed: bytes = b""

    @property
    def any_or_all(self) -> str | None:
        """The condition on datasets if it is ``any`` or ``all``."""
        word = self.triggering.lower()
        return word if word in ("any", "all") else None

    def details(self) -> TableDetails | None:
        """Return the details of the table."""
        return msgpack.decode(self.packed, type=TableDetails) if self.packed else None
