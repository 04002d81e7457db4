"""The declared model of the files below ``metadata/load``, ``transform``, ``types``, ``dags`` and of ``env`` and ``refs``.

Names and types of the keys are those of Starlake's JSON schema, https://json.schemastore.org/starlake.json. Annotations are not postponed, because
evaluating string annotations would cost every command some milliseconds.
"""

from typing import TYPE_CHECKING, Literal

from msgspec import field
from msgspec.structs import force_setattr

from .keys import Keys, Text, TextList, TextMap, one_of, texts

__all__ = [
    "AccessControl",
    "Attribute",
    "DagFile",
    "DagKeys",
    "DataType",
    "DomainFile",
    "DomainKeys",
    "EnvFile",
    "Expectation",
    "File",
    "Freshness",
    "InputRef",
    "JobFile",
    "JobKeys",
    "MetadataKeys",
    "MigratedDomainFile",
    "OutputRef",
    "Position",
    "Ref",
    "RefsFile",
    "RowLevelSecurity",
    "Sink",
    "TableFile",
    "TableKeys",
    "TaskFile",
    "TaskKeys",
    "TypesFile",
    "WriteStrategy",
]

if TYPE_CHECKING:
    _Word = str
    _Words = tuple[str, ...]
    _Ddl = dict[str, str]
    FileFormat = str
    PrimitiveType = str
    Trim = str
    MergeOn = str
    Materialization = str
    MetricType = str
    SyncStrategy = str
else:
    # Type checkers see the types after __post_init__.
    _Word, _Words, _Ddl = Text, TextList, TextMap
    FileFormat = one_of(
        "DATAFRAME", "DSV", "POSITION", "JSON", "JSON_ARRAY", "JSON_FLAT", "XML", "TEXT_XML", "KAFKA", "KAFKASTREAM",
        "GENERIC", "PARQUET",
    )  # fmt: skip
    PrimitiveType = one_of(
        "string", "long", "int", "short", "double", "boolean", "byte", "date", "timestamp", "decimal", "variant", "struct",
        None,
    )  # fmt: skip
    Trim = one_of("LEFT", "RIGHT", "BOTH", "NONE")
    MergeOn = one_of("TARGET", "SOURCE_AND_TARGET")
    Materialization = one_of("TABLE", "VIEW", "MATERIALIZED_VIEW", "HYBRID")
    MetricType = one_of("DISCRETE", "CONTINUOUS", "TEXT", "NONE")
    SyncStrategy = one_of("NONE", "ADD", "ALL")


class Freshness(Keys, frozen=True):
    """How old a table may be, as written in the project (``"1 day"``)."""

    warn: Text = None
    error: Text = None


class WriteStrategy(Keys, frozen=True):
    """How new rows are combined with existing rows; ``type`` is in upper case."""

    type: Text = None
    key: _Words = ()
    timestamp: Text = None
    on: MergeOn | None = None
    start_ts: Text = None
    end_ts: Text = None
    types: TextMap = None
    query_filter: Text = None

    def __post_init__(self) -> None:
        if self.type:
            force_setattr(self, "type", self.type.upper())
        if not isinstance(self.key, tuple):
            force_setattr(self, "key", texts(self.key))


class Sink(Keys, frozen=True):
    """Where rows are written."""

    connection_ref: Text = None
    clustering: TextList = None
    days: float | None = None
    require_partition_filter: bool | None = None
    materialized_view: Materialization | None = None
    enable_refresh: bool | None = None
    refresh_interval_ms: float | None = None
    id: Text = None
    format: Text = None
    extension: Text = None
    sharding: TextList = None
    partition: TextList = None
    coalesce: bool | None = None
    path: Text = None
    options: TextMap = None


class MetadataKeys(Keys, frozen=True):
    """The ``metadata`` of a domain or table, as written."""

    format: FileFormat | None = None
    encoding: Text = None
    multiline: bool | None = None
    array: bool | None = None
    with_header: bool | None = None
    separator: Text = None
    quote: Text = None
    escape: Text = None
    sink: Sink | None = None
    directory: Text = None
    extensions: TextList = None
    ack: Text = None
    options: TextMap = None
    loader: Text = None
    empty_is_null: bool | None = None
    dag_ref: Text = None
    freshness: Freshness | None = None
    null_value: Text = None
    schedule: Text = None
    write_strategy: WriteStrategy | None = None


class Position(Keys, frozen=True):
    """The position of an attribute in a fixed-width record; both ends count from 0."""

    first: int
    last: int


class Attribute(Keys, frozen=True):
    """A column of a table, or a field of a nested one."""

    name: str
    type: _Word = "string"
    array: bool | None = None
    required: bool | None = None
    privacy: Text = None
    comment: Text = None
    rename: Text = None
    sample: Text = None
    metric_type: MetricType | None = None
    attributes: "tuple[Attribute, ...] | None" = None
    position: Position | None = None
    default: Text = None
    tags: TextList = None
    trim: Trim | None = None
    script: Text = None
    foreign_key: Text = None
    ignore: bool | None = None
    access_policy: Text = None

    @property
    def final_name(self) -> str:
        """The name of the column in the database."""
        return self.rename or self.name

    def __post_init__(self) -> None:
        if not self.type:
            force_setattr(self, "type", "string")


class Expectation(Keys, frozen=True):
    """A condition that is checked on the rows after they are written."""

    expect: Text = None
    fail_on_error: bool | None = None


class AccessControl(Keys, frozen=True):
    """Grants of a role on a table."""

    role: Text = None
    grants: TextList = None
    name: Text = None


class RowLevelSecurity(Keys, frozen=True):
    """Which rows are visible to whom."""

    name: Text = None
    predicate: Text = None
    grants: TextList = None
    description: Text = None


class TableKeys(Keys, frozen=True):
    """A table that is loaded from files, as written."""

    name: Text = None
    pattern: Text = None
    attributes: tuple[Attribute, ...] | None = None
    metadata: MetadataKeys | None = None
    comment: Text = None
    streams: TextList = None
    presql: TextList = None
    postsql: TextList = None
    tags: TextList = None
    rls: tuple[RowLevelSecurity, ...] | None = None
    expectations: tuple[Expectation, ...] | None = None
    primary_key: TextList = None
    acl: tuple[AccessControl, ...] | None = None
    rename: Text = None
    sample: Text = None
    filter: Text = None
    pattern_sample: Text = None


class DomainKeys(Keys, frozen=True):
    """A domain: ``load`` of ``_config.sl.yml``."""

    name: Text = None
    metadata: MetadataKeys | None = None
    comment: Text = None
    tags: TextList = None
    rename: Text = None
    database: Text = None


class TaskKeys(Keys, frozen=True):
    """A transform, or the ``default`` of the transforms of a domain."""

    name: Text = None
    sql: Text = None
    streams: TextList = None
    primary_key: TextList = None
    database: Text = None
    domain: Text = None
    table: Text = None
    partition: TextList = None
    presql: TextList = None
    postsql: TextList = None
    sink: Sink | None = None
    rls: tuple[RowLevelSecurity, ...] | None = None
    expectations: tuple[Expectation, ...] | None = None
    acl: tuple[AccessControl, ...] | None = None
    comment: Text = None
    freshness: Freshness | None = None
    attributes: tuple[Attribute, ...] | None = None
    python: Text = None
    tags: TextList = None
    write_strategy: WriteStrategy | None = None
    schedule: Text = None
    dag_ref: Text = None
    task_timeout_ms: int | None = None
    parse_sql: bool | None = field(name="parseSQL", default=None)
    connection_ref: Text = None
    sync_strategy: SyncStrategy | None = None
    dataset_triggering_strategy: Text = field(name="dataset_triggering_strategy", default=None)


class JobKeys(Keys, frozen=True):
    """The transforms of a domain: ``transform`` of ``_config.sl.yml``."""

    name: Text = None
    tasks: tuple[TaskKeys, ...] | None = None
    comment: Text = None
    default: TaskKeys | None = None


class DataType(Keys, frozen=True):
    """One entry of ``metadata/types``: the pattern of a value and the type it is stored as; engine names are in lower case."""

    name: str
    primitive_type: PrimitiveType = "string"
    pattern: Text = None
    ddl_mapping: _Ddl = {}  # noqa: RUF012
    zone: Text = None
    sample: Text = None
    comment: Text = None

    def __post_init__(self) -> None:
        force_setattr(self, "primitive_type", (self.primitive_type or "string").lower())
        named = (self.ddl_mapping or {}).items()
        force_setattr(self, "ddl_mapping", {engine.lower(): ddl for engine, ddl in named if ddl is not None})


class DagKeys(Keys, frozen=True):
    """How ``dag-generate`` writes pipeline files."""

    comment: Text = None
    template: Text = None
    filename: Text = None
    options: TextMap = None


class InputRef(Keys, frozen=True):
    """Patterns for the name that a query uses."""

    database: Text = None
    domain: Text = None
    table: Text = None


class OutputRef(Keys, frozen=True):
    """The table that is meant."""

    database: Text = None
    domain: Text = None
    table: Text = None


class Ref(Keys, frozen=True):
    """The table that a name in a query means."""

    input: InputRef | None = None
    output: OutputRef | None = None


class File(Keys, frozen=True):
    """The key that every file starts with."""

    version: Literal["1"]


class TableFile(File, frozen=True):
    """``load/<domain>/<table>.sl.yml``."""

    table: TableKeys | None


class DomainFile(File, frozen=True):
    """``load/<domain>/_config.sl.yml``."""

    load: DomainKeys | None


class MigratedDomainFile(DomainFile, frozen=True):
    """A domain file without ``version``, which may contain the tables of the domain."""

    tables: tuple[TableKeys, ...] | None = None


class JobFile(File, frozen=True):
    """``transform/<domain>/_config.sl.yml``."""

    transform: JobKeys | None


class TaskFile(File, frozen=True):
    """``transform/<domain>/<task>.sl.yml``."""

    task: TaskKeys | None


class TypesFile(File, frozen=True):
    """``types/*.sl.yml``."""

    types: tuple[DataType, ...] | None


class EnvFile(File, frozen=True):
    """``env.sl.yml`` and ``env.<SL_ENV>.sl.yml``."""

    env: TextMap


class DagFile(File, frozen=True):
    """``dags/*.sl.yml``."""

    dag: DagKeys | None


class RefsFile(File, frozen=True):
    """``refs.sl.yml``."""

    refs: tuple[Ref, ...] | None
