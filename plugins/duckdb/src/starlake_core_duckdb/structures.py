"""Columns that hold structures: DuckDB drops the fields that a column lacks without a word, so the column gets them first."""

from __future__ import annotations

from typing import Any

from .driver import duckdb
from .errors import EngineError
from .sql import identifier, qualified

__all__ = ["add_fields"]


def add_fields(
    connection: duckdb.DuckDBPyConnection, target: tuple[str, str], name: str, present: str, wanted: str
) -> None:
    """Add the fields to a column that it lacks, also those inside other structures, lists and maps; it never loses one.

    Args:
        target: schema and table.
        name: the column.
        present: its type.
        wanted: the type of the new values.

    Raises:
        EngineError: this version of DuckDB cannot add them.
    """
    if "STRUCT" not in present.upper():
        return
    changed = _merged(connection.sqltype(present), connection.sqltype(wanted))
    if changed is None:
        return
    try:
        connection.execute(f"ALTER TABLE {qualified(*target)} ALTER COLUMN {identifier(name)} TYPE {changed}")
    except duckdb.Error as error:
        reason = str(error).partition("\n")[0]
        raise EngineError(
            f"{'.'.join(target)}: the column {name} is {present}, its new values are {wanted}, and the new fields cannot be "
            f"added: {reason}; change the column with ALTER TABLE, or install a newer duckdb"
        ) from error


def _merged(present: Any, wanted: Any) -> str | None:
    """The type with the fields of both, in SQL; None if the present type has all of them."""
    if present.id != wanted.id:
        return None
    if present.id == "list":
        element = _merged(present.children[0][1], wanted.children[0][1])
        return None if element is None else f"{element}[]"
    if present.id == "map":
        key, value = (
            _merged(kind, other) for (_, kind), (_, other) in zip(present.children, wanted.children, strict=True)
        )
        if key is None and value is None:
            return None
        old = [kind for _, kind in present.children]
        return f"MAP({key or old[0]}, {value or old[1]})"
    if present.id != "struct":
        return None
    new = {name.lower(): (name, kind) for name, kind in wanted.children}
    fields, grown = [], False
    for name, kind in present.children:
        _, other = new.pop(name.lower(), ("", None))
        merged = None if other is None else _merged(kind, other)
        grown = grown or merged is not None
        fields.append(f"{identifier(name)} {merged or kind}")
    fields += [f"{identifier(name)} {kind}" for name, kind in new.values()]
    return f"STRUCT({', '.join(fields)})" if grown or new else None
