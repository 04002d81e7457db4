"""The resolved content of a Starlake project: merged files, complete names and folders.

Attributes are named after the YAML keys, in snake case. What is neither merged nor resolved uses the structures of :mod:`.schema`, to which the YAML
files are converted. A value that is missing in the YAML is ``None`` or empty. The code that uses a value chooses its default, unless Starlake uses
the same default everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from .schema import Attribute, DomainKeys, Expectation, Freshness, Sink, TableKeys, TaskKeys, WriteStrategy
from .schema_application import ApplicationKeys

__all__ = ["Application", "Areas", "Connection", "Domain", "Format", "Metadata", "Table", "Task"]


class Connection(Struct, frozen=True):
    """A named connection of the application."""

    name: str
    type: str
    options: Mapping[str, str] = {}
    loader: str | None = None


class Areas(Struct, frozen=True):
    """The names of the folders below the datasets folder."""

    incoming: str = "incoming"
    stage: str = "stage"
    unresolved: str = "unresolved"
    archive: str = "archive"
    ingesting: str = "ingesting"
    replay: str = "replay"


class Application(Struct, frozen=True):
    """``metadata/application.sl.yml`` and the corresponding ``SL_*`` variables, with folders as absolute paths.

    Attributes:
        keys: the file as written; empty for a project without one.
        variables: the values that came from environment variables, by the key of the setting.
    """

    datasets: Path
    metadata: Path
    areas: Areas = Areas()
    connections: Mapping[str, Connection] = {}
    connection_ref: str | None = None
    load_connection_ref: str | None = None
    transform_connection_ref: str | None = None
    schedule_presets: Mapping[str, str] = {}
    dag_ref_load: str | None = None
    dag_ref_transform: str | None = None
    ack: str | None = None
    loader: str | None = None
    duckdb_path: str | None = None
    timezone: str | None = None
    env: str | None = None
    empty_is_null: bool | None = None
    reject_all_on_error: bool | None = None
    archive: bool | None = None
    grouped: bool | None = None
    grouped_max: str | None = None
    load_strategy: str | None = None
    max_interactive_records: str | None = None
    dsv_options: Mapping[str, str] = {}
    scd2_start_timestamp: str | None = None
    scd2_end_timestamp: str | None = None
    keys: ApplicationKeys = ApplicationKeys()
    variables: Mapping[str, str] = {}


class Format(Struct, frozen=True):
    """The format of the files of a table."""

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


class Metadata(Struct, frozen=True):
    """The ``metadata`` of a domain or table; that of a table is already merged over that of its domain."""

    directory: str | None = None
    ack: str | None = None
    schedule: str | None = None
    dag_ref: str | None = None
    loader: str | None = None
    freshness: Freshness = Freshness()
    connection_ref: str | None = None
    write_strategy: WriteStrategy = WriteStrategy()
    format: Format = Format()
    sink: Sink = Sink()
    options: Mapping[str, str] = {}
    extensions: tuple[str, ...] = ()


class Domain(Struct, frozen=True):
    """A folder below ``metadata/load``.

    Attributes:
        name: its name on the command line.
        final_name: its name in the database.
        table_names: the logical names of its tables, sorted; they do not require reading the table files.
        keys: ``_config.sl.yml`` as written.
        inline_tables: the tables inside an old ``_config.sl.yml``, by name.
    """

    name: str
    final_name: str
    path: Path
    table_names: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    database: str | None = None
    metadata: Metadata = Metadata()
    keys: DomainKeys = DomainKeys()
    inline_tables: Mapping[str, TableKeys] = {}


class Table(Struct, frozen=True):
    """A table that is loaded from files.

    Attributes:
        name: its name on the command line.
        final_name: its name in the database.
        pattern: a regular expression of Java that must match the whole name of a file.
        metadata: the metadata of the table, merged over that of the domain.
        keys: the table as written.
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
    streams: tuple[str, ...] = ()
    expectations: tuple[Expectation, ...] = ()
    filter: str | None = None
    metadata: Metadata = Metadata()
    keys: TableKeys = TableKeys()
    domain_keys: DomainKeys = DomainKeys()

    @property
    def has_expectations(self) -> bool:
        """Whether something is asked of its rows once they are in."""
        return bool(self.expectations)


class Task(Struct, frozen=True):
    """A transform.

    Attributes:
        name, domain: together the name of the command line, ``kpi.overview``.
        table: the table that it writes.
        sql_path: its query, or None.
        python_path: its Python program, or None.
        path: the file that describes it; the query's when there is no YAML file.
        sink: the sink of its domain, and its own for the keys that the domain does not set.
        keys: the transform as it is written.
        default_keys: the ``default`` of its domain as it is written.
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
    freshness: Freshness = Freshness()
    tags: tuple[str, ...] = ()
    write_strategy: WriteStrategy = WriteStrategy()
    connection_ref: str | None = None
    sink_connection_ref: str | None = None
    sink: Sink = Sink()
    parse_sql: bool | None = None
    presql: tuple[str, ...] = ()
    postsql: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    task_timeout_ms: int | None = None
    primary_key: tuple[str, ...] = ()
    partition: tuple[str, ...] = ()
    expectations: tuple[Expectation, ...] = ()
    keys: TaskKeys = TaskKeys()
    default_keys: TaskKeys = TaskKeys()

    @property
    def full_name(self) -> str:
        """``domain.name``, what ``transform --name`` takes."""
        return f"{self.domain}.{self.name}"

    @property
    def has_expectations(self) -> bool:
        """Whether something is asked of its rows once they are in."""
        return bool(self.expectations)
