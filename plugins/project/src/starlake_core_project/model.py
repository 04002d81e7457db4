"""What a Starlake project says, as frozen data.

Names follow the YAML keys in snake case. A value that the YAML does not give is ``None`` or empty: defaults
belong to whoever uses the value, except where Starlake documents one default for everybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = [
    "Application",
    "Areas",
    "Attribute",
    "Connection",
    "DataType",
    "Domain",
    "Format",
    "Freshness",
    "Metadata",
    "Table",
    "Task",
    "WriteStrategy",
]


@dataclass(frozen=True)
class Connection:
    """A named connection of the application."""

    name: str
    type: str
    options: Mapping[str, str] = field(default_factory=dict)
    loader: str | None = None


@dataclass(frozen=True)
class Areas:
    """The names of the folders below the datasets folder."""

    incoming: str = "incoming"
    stage: str = "stage"
    unresolved: str = "unresolved"
    archive: str = "archive"
    ingesting: str = "ingesting"
    replay: str = "replay"


@dataclass(frozen=True)
class Application:
    """``metadata/application.sl.yml``, with the folders resolved to absolute paths."""

    datasets: Path
    metadata: Path
    areas: Areas = field(default_factory=Areas)
    connections: Mapping[str, Connection] = field(default_factory=dict)
    connection_ref: str | None = None
    load_connection_ref: str | None = None
    transform_connection_ref: str | None = None
    schedule_presets: Mapping[str, str] = field(default_factory=dict)
    dag_ref_load: str | None = None
    dag_ref_transform: str | None = None
    ack: str | None = None
    loader: str | None = None
    duckdb_path: str | None = None


@dataclass(frozen=True)
class DataType:
    """One entry of ``metadata/types``: what a value looks like and what it is stored as."""

    name: str
    primitive_type: str = "string"
    pattern: str | None = None
    ddl_mapping: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Freshness:
    """How old a table may be, as the project writes it (``"1 day"``)."""

    warn: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class WriteStrategy:
    """How new rows meet the rows that are there."""

    type: str | None = None
    key: tuple[str, ...] = ()
    timestamp: str | None = None
    on: str | None = None
    start_ts: str | None = None
    end_ts: str | None = None
    types: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Format:
    """How the files of a table are written."""

    format: str | None = None
    encoding: str | None = None
    with_header: bool | None = None
    separator: str | None = None
    quote: str | None = None
    escape: str | None = None
    null_value: str | None = None
    empty_is_null: bool | None = None
    array: bool | None = None
    multiline: bool | None = None


@dataclass(frozen=True)
class Metadata:
    """The ``metadata`` of a domain or of a table; a table's is already merged over its domain's."""

    directory: str | None = None
    ack: str | None = None
    schedule: str | None = None
    dag_ref: str | None = None
    loader: str | None = None
    freshness: Freshness = field(default_factory=Freshness)
    connection_ref: str | None = None
    write_strategy: WriteStrategy = field(default_factory=WriteStrategy)
    format: Format = field(default_factory=Format)


@dataclass(frozen=True)
class Attribute:
    """A column of a table, or a field of a nested one."""

    name: str
    type: str = "string"
    array: bool = False
    required: bool = False
    rename: str | None = None
    default: str | None = None
    trim: str | None = None
    ignore: bool = False
    script: str | None = None
    privacy: str | None = None
    attributes: tuple[Attribute, ...] = ()

    @property
    def final_name(self) -> str:
        """The name of the column in the database."""
        return self.rename or self.name


@dataclass(frozen=True)
class Domain:
    """A folder below ``metadata/load``.

    Attributes:
        name: what the command line calls it.
        final_name: what the database calls it.
        table_names: the logical names of its tables, sorted; no table file has been read for them.
    """

    name: str
    final_name: str
    path: Path
    table_names: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    database: str | None = None
    metadata: Metadata = field(default_factory=Metadata)


@dataclass(frozen=True)
class Table:
    """A table that is loaded from files.

    Attributes:
        name: what the command line calls it.
        final_name: what the database calls it.
        pattern: a regular expression of Java that a file's whole name has to match.
        has_expectations: whether something is asked of its rows once they are in.
        metadata: the table's over the domain's.
    """

    name: str
    final_name: str
    domain: str
    final_domain: str
    path: Path
    pattern: str
    attributes: tuple[Attribute, ...] = ()
    primary_key: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    presql: tuple[str, ...] = ()
    postsql: tuple[str, ...] = ()
    streams: Mapping[str, str] = field(default_factory=dict)
    has_expectations: bool = False
    metadata: Metadata = field(default_factory=Metadata)


@dataclass(frozen=True)
class Task:
    """A transform.

    Attributes:
        name, domain: together the name of the command line, ``kpi.overview``.
        table: the table that it writes.
        sql_path: its query, or None.
        python_path: its Python program, or None.
        path: the file that describes it; the query's when there is no YAML file.
        has_expectations: whether something is asked of its rows once they are in.
    """

    name: str
    domain: str
    table: str
    path: Path
    sql_path: Path | None = None
    python_path: Path | None = None
    inline_sql: str | None = None
    schedule: str | None = None
    dag_ref: str | None = None
    freshness: Freshness = field(default_factory=Freshness)
    tags: tuple[str, ...] = ()
    write_strategy: WriteStrategy = field(default_factory=WriteStrategy)
    connection_ref: str | None = None
    sink_connection_ref: str | None = None
    parse_sql: bool | None = None
    presql: tuple[str, ...] = ()
    postsql: tuple[str, ...] = ()
    streams: Mapping[str, str] = field(default_factory=dict)
    task_timeout_ms: int | None = None
    has_expectations: bool = False

    @property
    def full_name(self) -> str:
        """``domain.name``, what ``transform --name`` takes."""
        return f"{self.domain}.{self.name}"
