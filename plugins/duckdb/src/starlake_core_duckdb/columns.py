"""The columns of a table in the database: creating it, adding what it lacks, and inserting rows of other types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from .driver import duckdb
from .errors import EngineError, caused_by
from .sql import identifier, qualified
from .structures import add_fields

__all__ = ["ensure_table", "in_the_way", "insert_rows", "types_explained"]

_UNKNOWN = '"NULL"'
"""The type of a column that is NULL in every row; it fits every column."""


def ensure_table(
    connection: duckdb.DuckDBPyConnection, schema: str, table: str, columns: Sequence[tuple[str, str]]
) -> bool:
    """Create the target, or add the columns that it lacks, and the fields of structures; it never loses one.

    Args:
        columns: name and type.

    Returns:
        Whether the table is new.
    """
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(schema)}")
    present = {name.lower(): kind for name, kind in _types(connection, schema, table).items()}
    if not present:
        declared = ", ".join(f"{identifier(name)} {ddl}" for name, ddl in columns)
        connection.execute(f"CREATE TABLE {qualified(schema, table)} ({declared})")
        return True
    for name, ddl in columns:
        if name.lower() not in present:
            connection.execute(f"ALTER TABLE {qualified(schema, table)} ADD COLUMN {identifier(name)} {ddl}")
        elif ddl != present[name.lower()]:
            add_fields(connection, (schema, table), name, present[name.lower()], ddl)
    return False


def in_the_way(connection: duckdb.DuckDBPyConnection, target: tuple[str, str], kind: str, error: BaseException) -> bool:
    """Whether a table or view could not be written because something of the other kind has its name.

    It is enough to ask after the failure, and quicker: DuckDB describes everything in the database for an answer.

    Args:
        target: schema and table.
        kind: VIEW or TABLE, what may have the name.
        error: why the target could not be written.
    """
    if not caused_by(error, duckdb.BinderException, duckdb.CatalogException):
        return False
    column, source = f"{kind.lower()}_name", f"duckdb_{kind.lower()}s()"
    try:
        found = connection.execute(
            f"SELECT 1 FROM {source} WHERE database_name = current_database() AND NOT internal AND NOT temporary "
            f"AND lower(schema_name) = lower($schema) AND lower({column}) = lower($name)",
            {"schema": target[0], "name": target[1]},
        ).fetchone()
    except duckdb.Error:  # then the failure has another reason
        return False
    return found is not None


def _types(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> dict[str, str]:
    rows = connection.execute(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = current_database() "
        "AND lower(schema_name) = lower($schema) AND lower(table_name) = lower($table)",
        {"schema": schema, "table": table},
    ).fetchall()
    return dict(rows)


def insert_rows(
    connection: duckdb.DuckDBPyConnection,
    target: tuple[str, str],
    names: Sequence[str],
    selected: str,
    values: Mapping[str, object] | None = None,
) -> None:
    """Insert the rows of a query into a table.

    Args:
        target: schema and table.
        names: the columns of the table, in the order of the query.
        selected: the query.
        values: the parameters of the query.

    Raises:
        EngineError: a value cannot become the type of its column.
    """
    listed = ", ".join(identifier(name) for name in names)
    with types_explained(connection, target, names, selected, values):
        connection.execute(f"INSERT INTO {qualified(*target)} ({listed}) {selected}", values or {})


@contextmanager
def types_explained(
    connection: duckdb.DuckDBPyConnection,
    target: tuple[str, str],
    names: Sequence[str],
    selected: str,
    values: Mapping[str, object] | None = None,
) -> Iterator[None]:
    """Say which columns have another type in the table if new rows cannot be compared with it or written into it.

    Args:
        target: schema and table.
        names: the columns of the table, in the order of the query.
        selected: the query of the new rows.
        values: the parameters of the query.

    Raises:
        EngineError: a value cannot become the type of its column, or cannot be compared with it.
    """
    # An error ends the transaction, so this is asked before.
    changed = _changed_types(connection, target, names, selected, values or {})
    try:
        yield
    except (duckdb.BinderException, duckdb.ConversionException, duckdb.OutOfRangeException) as error:
        if isinstance(error, duckdb.BinderException) and not changed:
            raise
        reason = str(error).partition("\n")[0]
        advice = "; change the type in the project, or the column with ALTER TABLE" if changed else ""
        raise EngineError(f"{'.'.join(target)}: {'; '.join([reason, *changed])}{advice}") from error


def _changed_types(
    connection: duckdb.DuckDBPyConnection,
    target: tuple[str, str],
    names: Sequence[str],
    selected: str,
    values: Mapping[str, object],
) -> list[str]:
    types = {name.lower(): kind for name, kind in _types(connection, *target).items()}
    written = [row[1] for row in connection.execute(f"DESCRIBE {selected}", values).fetchall()]
    return [
        f"the column {name} is {types[name.lower()]} in the table, and its new values are {kind}"
        for name, kind in zip(names, written, strict=True)
        if types.get(name.lower()) not in (None, kind) and kind != _UNKNOWN
    ]
