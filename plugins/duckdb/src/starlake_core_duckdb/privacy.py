"""Attributes whose values must not be seen: how they are masked, and where clear text must not remain."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from starlake_core_project import DataType

from .driver import duckdb
from .errors import unsupported
from .sql import Parameters
from .type_patterns import patterns_without_re2

__all__ = ["check_privacy", "mask_text", "masked", "needs_python", "remember_digests"]

_DIGESTS = "temp.main.sl_digests"
_ROWS = 10_000


class _Mask(NamedTuple):
    """How values are masked, in SQL and in Python."""

    sql: str
    text: Callable[[str], str]


def _digest(name: str) -> Callable[[str], str]:
    return lambda text: hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()


def _initials(text: str) -> str:
    return ".".join(part[0] for part in text.split(" ") if part) + "."


_MASKS: Mapping[str, _Mask] = {
    "HIDE": _Mask("CASE WHEN {value} IS NOT NULL THEN '' END", lambda text: ""),
    "HIDE10X": _Mask("CASE WHEN {value} IS NOT NULL THEN 'XXXXXXXXXX' END", lambda text: "X" * 10),
    "MD5": _Mask("md5({value})", _digest("md5")),
    "SHA1": _Mask("sha1({value})", _digest("sha1")),
    "SHA256": _Mask("sha256({value})", _digest("sha256")),
    "SHA512": _Mask(f"(SELECT digest FROM {_DIGESTS} WHERE key = sha256({{value}}))", _digest("sha512")),
    "INITIALS": _Mask(
        "(array_to_string([left(part, 1) FOR part IN string_split({value}, ' ') IF part <> ''], '.') || '.')", _initials
    ),
}
_IN_PYTHON = ("SHA512",)
"""What DuckDB has no function for."""


def check_privacy(privacy: str | None, ddl: str, kind: DataType | None, where: str) -> None:
    """Refuse what this engine cannot mask rightly.

    Raises:
        ProjectFault: the kind of privacy, or the type of the column, is not supported.
    """
    name = (privacy or "NONE").upper()
    if name == "NONE":
        return
    if name not in _MASKS:
        raise unsupported(f"{where}: privacy {privacy} (supported: {', '.join(_MASKS)})")
    if ddl != "VARCHAR" or kind is None:
        raise unsupported(f"{where}: privacy {privacy} of a value that is not a string")
    if patterns_without_re2(kind):
        raise unsupported(f"{where}: privacy {privacy} of a type whose pattern RE2 does not match")


def masked(privacy: str | None, value: str) -> str:
    """SQL for a value as it may be stored."""
    name = (privacy or "NONE").upper()
    return value if name == "NONE" else _MASKS[name].sql.format(value=value)


def mask_text(privacy: str | None, value: str) -> str:
    """A value as it may be stored."""
    name = (privacy or "NONE").upper()
    return value if name == "NONE" else _MASKS[name].text(value)


def needs_python(privacy: str | None) -> bool:
    """Whether :func:`remember_digests` has to be called before values can be masked in SQL."""
    return (privacy or "").upper() in _IN_PYTHON


def remember_digests(
    connection: duckdb.DuckDBPyConnection, source: tuple[str, Parameters], columns: Sequence[str]
) -> None:
    """Compute the digests for which DuckDB has no function. They are found by other digests, so that no value is stored.

    Args:
        source: the query that has the values, with its parameters.
        columns: the columns of the query.
    """
    query, parameters = source
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {_DIGESTS} (key VARCHAR, digest VARCHAR)")
    for column in columns:
        reader = connection.cursor()
        reader.execute(f"SELECT {column} FROM ({query}) WHERE {column} IS NOT NULL", parameters.values)
        while rows := reader.fetchmany(_ROWS):
            values = [value.encode() for value in dict.fromkeys(value for (value,) in rows)]
            keys, digests = (
                [hashlib.new(name, value, usedforsecurity=False).hexdigest() for value in values]
                for name in ("sha256", "sha512")
            )
            connection.execute(
                f"INSERT INTO {_DIGESTS} SELECT unnest($keys), unnest($digests)", {"keys": keys, "digests": digests}
            )
        reader.close()
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {_DIGESTS} AS SELECT DISTINCT * FROM {_DIGESTS}")
