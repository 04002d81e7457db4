"""Write strategies: how the rows of a temporary table change the rows of the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlake_core_project import Application, WriteStrategy

from .columns import ensure_table, insert_rows, types_explained
from .driver import duckdb
from .errors import ProjectFault, unsupported
from .history import write_versions
from .sql import identifier, qualified
from .upserts import INCOMING, newest_rows, replace_by_key, replace_by_timestamp, replace_partitions

__all__ = ["Strategy", "checked_strategy", "ensure_table", "period_of", "write"]

_NEEDS_KEY = ("UPSERT_BY_KEY", "UPSERT_BY_KEY_AND_TIMESTAMP", "DELETE_THEN_INSERT", "SCD2")
_KNOWN = ("APPEND", "OVERWRITE", "OVERWRITE_BY_PARTITION", *_NEEDS_KEY)
_PERIOD = ("sl_start_ts", "sl_end_ts")


@dataclass(frozen=True)
class Strategy:
    """A write strategy that this engine supports, with the columns it needs.

    Attributes:
        type: its name, in capitals.
        key: the columns that identify a row.
        timestamp: the column that tells which of two rows is newer.
        partition: the columns of a partition.
        period: the columns that hold the start and the end of a version; only SCD2 has them.
        on_source: whether the new rows are reduced to one of each key first (``on: SOURCE_AND_TARGET``).
        compat: whether to keep several rows of one key, and old rows with NULL in their partition, where Starlake does.
    """

    type: str
    key: tuple[str, ...] = ()
    timestamp: str | None = None
    partition: tuple[str, ...] = ()
    period: tuple[str, str] | None = None
    on_source: bool = False
    compat: bool = False

    def columns_of_table(self, columns: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """The columns of the table, with those that the strategy adds.

        Args:
            columns: names and types of the columns of the new rows.
        """
        own = [(name, "TIMESTAMP") for name in self.period or ()]
        return [*(column for column in columns if not self._owns(column[0])), *own]

    def columns_of_rows(self, names: Sequence[str]) -> list[str]:
        """The names without those that the strategy fills itself."""
        return [name for name in names if not self._owns(name)]

    def _owns(self, name: str) -> bool:
        return name.lower() in [own.lower() for own in self.period or ()]


def period_of(application: Application) -> tuple[str, str]:
    """The names of the columns of SCD2 for a whole project."""
    return application.scd2_start_timestamp or _PERIOD[0], application.scd2_end_timestamp or _PERIOD[1]


def checked_strategy(
    declared: WriteStrategy,
    default: str,
    primary_key: Sequence[str],
    renamed: Mapping[str, str],
    what: str,
    *,
    partition: Sequence[str] = (),
    period: tuple[str, str] = _PERIOD,
    compat: bool = False,
) -> Strategy:
    """What a project asks for, complete.

    Args:
        declared: what the YAML says.
        default: the strategy if it declares none.
        primary_key: the key when the strategy has none of its own.
        renamed: attribute name to column name.
        what: what the strategy is for, for messages.
        partition: the columns of ``sink.partition``.
        period: the columns of SCD2 if the strategy does not name its own.
        compat: whether to keep several rows of one key where Starlake does.

    Raises:
        ProjectFault: this engine cannot do it, or the key, the timestamp or the partition is missing.
    """
    if declared.types:
        raise unsupported(f"writeStrategy.types of {what}, which is not loaded from files,")
    kind = declared.type or default
    if kind not in _KNOWN:
        raise unsupported(f"the write strategy {kind} of {what}")
    columns = {name.lower(): column for name, column in renamed.items()}

    def column(name: str) -> str:
        return columns.get(name.lower(), name)

    key: tuple[str, ...] = ()
    if kind in _NEEDS_KEY:
        key = tuple(column(name) for name in declared.key or primary_key)
        if not key:
            raise ProjectFault(f"{what}: the write strategy {kind} needs writeStrategy.key or primaryKey")
    if kind == "UPSERT_BY_KEY_AND_TIMESTAMP" and not declared.timestamp:
        raise ProjectFault(f"{what}: the write strategy {kind} needs writeStrategy.timestamp")
    dated = kind in ("UPSERT_BY_KEY_AND_TIMESTAMP", "SCD2") and declared.timestamp
    if kind == "OVERWRITE_BY_PARTITION" and not partition:
        raise ProjectFault(f"{what}: the write strategy {kind} needs sink.partition, the columns of a partition")
    own = (declared.start_ts or period[0], declared.end_ts or period[1])
    if own[0].lower() == own[1].lower():
        raise ProjectFault(f"{what}: startTs and endTs of the write strategy are both {own[0]!r}; name two columns")
    return Strategy(
        kind,
        key,
        column(declared.timestamp) if dated and declared.timestamp else None,
        tuple(column(name) for name in partition) if kind == "OVERWRITE_BY_PARTITION" else (),
        own if kind == "SCD2" else None,
        declared.on == "SOURCE_AND_TARGET",
        compat,
    )


def _check_columns(strategy: Strategy, names: Sequence[str], what: str) -> None:
    known = {name.lower() for name in names}
    wanted = [*strategy.key, *strategy.partition, *([strategy.timestamp] if strategy.timestamp else [])]
    missing = [name for name in wanted if name.lower() not in known]
    if missing:
        raise ProjectFault(
            f"{what}: the write strategy {strategy.type} names {', '.join(missing)}, "
            f"which is not a column (columns: {', '.join(names)})"
        )


def write(
    connection: duckdb.DuckDBPyConnection,
    strategy: Strategy,
    target: tuple[str, str],
    source: str,
    names: Sequence[str],
    order: Sequence[str],
    *,
    created: bool = False,
) -> None:
    """Write the rows of a temporary table into an existing target.

    Args:
        target: schema and table.
        source: the temporary table.
        names: the columns to write.
        order: columns of the source; of two rows with one key the last one stays.
        created: whether the target is new.

    Raises:
        ProjectFault: the strategy names a column that is not there.
        EngineError: a value cannot become the type of its column.
    """
    names = strategy.columns_of_rows(names)
    _check_columns(strategy, names, f"{target[0]}.{target[1]}")
    listed = ", ".join(identifier(name) for name in names)
    with types_explained(connection, target, names, f"SELECT {listed} FROM {source}"):
        _write(connection, strategy, target, source, names, order, created)


def _write(
    connection: duckdb.DuckDBPyConnection,
    strategy: Strategy,
    target: tuple[str, str],
    source: str,
    names: Sequence[str],
    order: Sequence[str],
    created: bool,
) -> None:
    if strategy.period:
        write_versions(
            connection,
            target,
            source,
            names,
            order,
            key=strategy.key,
            timestamp=strategy.timestamp,
            period=strategy.period,
            only_newest=strategy.on_source,
            created=created,
            compat=strategy.compat,
        )
        return
    listed = ", ".join(identifier(name) for name in names)
    # The rows of a batch are in order already; to sort them would take memory for all of them.
    rows = f"SELECT {listed} FROM {source}"
    if strategy.type == "OVERWRITE":
        connection.execute(f"DELETE FROM {qualified(*target)}")
    elif strategy.type == "OVERWRITE_BY_PARTITION":
        replace_partitions(connection, target, strategy.partition, source, strategy.compat)
    elif strategy.type == "DELETE_THEN_INSERT":
        replace_by_key(connection, target, strategy.key, source)
    elif strategy.key:
        _reduce(connection, strategy, source, names, order)
        if strategy.timestamp:
            replace_by_timestamp(connection, target, strategy.key, strategy.timestamp, strategy.compat)
        else:
            replace_by_key(connection, target, strategy.key, INCOMING)
        rows = f"SELECT {listed} FROM {INCOMING}"
    insert_rows(connection, target, names, rows)


def _reduce(
    connection: duckdb.DuckDBPyConnection, strategy: Strategy, source: str, names: Sequence[str], order: Sequence[str]
) -> None:
    """Copy the new rows, one of each key, or all of them where Starlake keeps all."""
    if strategy.on_source or not strategy.compat:
        newest_rows(connection, source, names, strategy.key, order, strategy.timestamp)
        return
    listed = ", ".join(identifier(name) for name in names)
    ordered = ", ".join(identifier(name) for name in order)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE sl_incoming AS SELECT {listed} FROM {source} ORDER BY {ordered}")
