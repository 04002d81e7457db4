"""What a project says about the table that a task writes: for catalogues and user interfaces, never for a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Check", "Column", "TableDetails"]


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: the name in the warehouse.
        type: the type as the project names it; empty if unknown.
        description: what it means.
        tags: the tags of the column.
        required: whether it has no NULL.
        key: whether it belongs to the primary key.
        sources: the columns that it is computed from, as ``domain.table.column``, sorted; empty if unknown.
    """

    name: str
    type: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    required: bool = False
    key: bool = False
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Check:
    """A condition that the command checks on the rows of the table.

    Attributes:
        name: the name of the check, unique in its table.
        text: the condition as written.
        fails: whether the task fails if the condition is not met.
    """

    name: str
    text: str
    fails: bool = False


@dataclass(frozen=True)
class TableDetails:
    """A table, as the project describes it.

    Attributes:
        name: the logical name, ``domain.table``.
        table: the name in the warehouse, ``schema.table``.
        database: the database, catalogue or cloud project of the table; empty if the project does not say.
        kind: the kind of warehouse: ``duckdb``, ``bigquery``, ``snowflake`` ...; empty if unknown.
        description: what the table holds.
        columns: the columns, in order; empty if unknown.
        checks: the conditions on its rows.
        owners: who is responsible for it, as addresses or names of teams.
        tags: the tags of the table.
        strategy: how new rows are combined with existing ones, in capitals.
        warn_after, error_after: the seconds after which the table counts as old, for a warning and for an error; 0 for never.
        sql: the query with its variables filled in; empty for a load.
        template: the query as written, with Jinja.
        source: the file that describes the table.
        values: further values of the project by name.
    """

    name: str
    table: str = ""
    database: str = ""
    kind: str = ""
    description: str = ""
    columns: tuple[Column, ...] = ()
    checks: tuple[Check, ...] = ()
    owners: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    strategy: str = ""
    warn_after: int = 0
    error_after: int = 0
    sql: str = ""
    template: str = ""
    source: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
