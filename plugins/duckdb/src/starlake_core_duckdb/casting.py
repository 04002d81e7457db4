"""SQL expressions that convert the text of a value to its type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import msgspec
from starlake_core_project import Attribute, DataType, Table
from starlake_core_project.types import BUILT_IN_TYPES, TYPE_FILES

from starlake_core.errors import did_you_mean

from .dates import is_iso_name, readable, shape, strptime_format
from .errors import ProjectFault, unsupported
from .sql import Parameters, identifier, sql_type
from .type_patterns import TRUE_FALSE, check_type_pattern, matches_pattern

__all__ = ["Column", "column_checks", "columns_of"]

_DDL = {
    "string": "VARCHAR",
    "byte": "TINYINT",
    "short": "SMALLINT",
    "int": "INTEGER",
    "integer": "INTEGER",
    "long": "BIGINT",
    "float": "DOUBLE",
    "double": "DOUBLE",
    "decimal": "DECIMAL(38, 9)",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "variant": "JSON",
}
_TEMPORAL = ("date", "timestamp")
# DuckDB ignores the offset of a string that it casts to TIMESTAMP.
_WITH_OFFSET = r"[T ].*(Z|[+-]\d{2}(:?\d{2})?)$"


@dataclass(frozen=True)
class Column:
    """An attribute that becomes a column.

    Attributes:
        attribute: as the project declares it.
        name: the name in the database.
        type: the project's type, or None for a nested structure.
        ddl: the type in the database.
        strict: a value that is right for the type, and too large for the database, fails the load, as in Starlake.
    """

    attribute: Attribute
    name: str
    type: DataType | None
    ddl: str
    strict: bool = False

    @property
    def nested(self) -> bool:
        """Whether its values are JSON, not text."""
        return self.type is None or self.attribute.array or self.type.primitive_type == "variant"


def columns_of(table: Table, types: Mapping[str, DataType], compat: bool = False) -> tuple[Column, ...]:
    """The columns of a table.

    Args:
        types: the types of the project, by name.
        compat: whether the columns have the types that Starlake gives them, and a value that is too large for one fails the load.

    Raises:
        ProjectFault: a type is unknown, or an attribute needs something that this engine does not support.
    """
    if not table.attributes:
        raise ProjectFault(f"{table.path}: table.attributes is missing; the engine loads declared columns only")
    columns = tuple(_column(table, item, types, compat) for item in table.attributes if not item.ignore)
    seen: set[str] = set()
    for column in columns:
        if column.name.lower() in seen:
            raise ProjectFault(f"{table.path}: two attributes are named {column.name!r}; names are not case-sensitive")
        seen.add(column.name.lower())
    return columns


def _column(table: Table, attribute: Attribute, types: Mapping[str, DataType], compat: bool) -> Column:
    where = f"{table.path}: attribute {attribute.name!r}"
    if attribute.script:
        raise unsupported(f"{where}: script")
    if (attribute.privacy or "none").lower() != "none":
        raise unsupported(f"{where}: privacy {attribute.privacy}")
    if compat:
        types = {name: _as_starlake(kind, attribute.rename is not None) for name, kind in types.items()}
    ddl = _ddl(attribute, types, where)
    kind = _type_of(attribute, types, where)
    check_type_pattern(kind, where)
    return Column(attribute, attribute.final_name, kind, ddl, compat)


def _as_starlake(kind: DataType, renamed: bool) -> DataType:
    """A type as Starlake uses it: every decimal is the same in the database, and a renamed column gets the type of its values."""
    if kind == BUILT_IN_TYPES["byte"]:
        kind = msgspec.structs.replace(kind, pattern=".")
    if renamed or kind.primitive_type == "decimal":
        kind = msgspec.structs.replace(kind, ddl_mapping={})
    return kind


def _type_of(attribute: Attribute, types: Mapping[str, DataType], where: str) -> DataType | None:
    if attribute.attributes or attribute.type.lower() == "struct":
        return None
    found = types.get(attribute.type)
    if found is None:
        raise ProjectFault(
            f"{where}: the type {attribute.type!r} is not defined in metadata/types."
            f"{did_you_mean(attribute.type, types)} Starlake reads {' and '.join(TYPE_FILES)} there"
        )
    _check_zone(found, where)
    return found


def _check_zone(kind: DataType, where: str) -> None:
    if not kind.zone or kind.zone.upper() == "UTC":
        return
    pattern = kind.pattern or ""
    local = kind.primitive_type == "timestamp" and "%z" not in (strptime_format(pattern) or "%z")
    try:
        known = local and bool(ZoneInfo(kind.zone))
    except (KeyError, ValueError, OSError):
        known = False
    if not known:
        raise unsupported(f"{where}: the zone {kind.zone!r} of the type {kind.name}")


def _ddl(attribute: Attribute, types: Mapping[str, DataType], where: str) -> str:
    found = _type_of(attribute, types, where)
    if found is not None:
        ddl = found.ddl_mapping.get("duckdb") or _DDL.get(found.primitive_type)
        if ddl is None:
            raise unsupported(f"{where}: the primitive type {found.primitive_type!r}")
        ddl = sql_type(ddl, where)
    elif attribute.attributes:
        fields = (f"{identifier(item.name)} {_ddl(item, types, where)}" for item in attribute.attributes)
        ddl = f"STRUCT({', '.join(fields)})"
    else:
        ddl = "JSON"
    return f"{ddl}[]" if attribute.array and ddl != "JSON" else ddl


def _boolean(value: str, pattern: str, parameters: Parameters) -> str:
    matches = [matches_pattern(value, part, parameters) for part in pattern.split(TRUE_FALSE, 1)]
    return f"CASE WHEN {matches[0]} THEN true WHEN {matches[1]} THEN false END"


def _temporal(value: str, column: Column, kind: DataType, parameters: Parameters, where: str) -> str:
    pattern = kind.pattern
    if pattern in ("epoch_second", "epoch_milli"):
        factor = 1_000_000 if pattern == "epoch_second" else 1_000
        return f"TRY_CAST(make_timestamp(TRY_CAST({value} AS BIGINT) * {factor}) AS {column.ddl})"
    value = readable(value, pattern) if pattern else value
    if pattern is None or is_iso_name(pattern):
        plain = f"TRY_CAST({value} AS {column.ddl})"
        if column.ddl != "TIMESTAMP":
            return plain
        zoned = f"CAST(TRY_CAST({value} AS TIMESTAMP WITH TIME ZONE) AS TIMESTAMP)"
        return f"CASE WHEN regexp_matches({value}, {parameters.add(_WITH_OFFSET)}) THEN {zoned} ELSE {plain} END"
    date_format = strptime_format(pattern)
    if date_format is None:
        raise unsupported(f"{where}: the date pattern {pattern!r}")
    parsed = f"try_strptime({value}, {parameters.add(date_format)})"
    if kind.zone:
        parsed = f"timezone({parameters.add(kind.zone)}, {parsed})"
    # strptime takes 2024-1-3 for yyyy-MM-dd, and Java does not.
    return f"CASE WHEN regexp_full_match({value}, {parameters.add(shape(pattern))}) THEN TRY_CAST({parsed} AS {column.ddl}) END"


def _plain(value: str, column: Column, kind: DataType, parameters: Parameters) -> str:
    if column.ddl == "VARCHAR":
        return value
    cast = f"TRY_CAST({value} AS {column.ddl})"
    own = _DDL.get(kind.primitive_type, column.ddl)
    if not column.strict or own in (column.ddl, "VARCHAR"):
        return cast
    fits = f"TRY_CAST({value} AS {own}) IS NOT NULL"
    if kind.pattern:
        fits += f" AND {matches_pattern(value, kind.pattern, parameters)}"
    return f"CASE WHEN {fits} THEN CAST({value} AS {column.ddl}) ELSE {cast} END"


def column_checks(table: Table, column: Column, value: str, parameters: Parameters) -> tuple[str, str]:
    """Two SQL expressions for the value of a column: the typed value, and what is wrong with it (or NULL).

    Args:
        value: the SQL name of the text, or of the JSON for a nested column; it is NULL if there is no value.
        parameters: collects the values that the expressions need.

    Raises:
        ProjectFault: the type's pattern has no equivalent.
    """
    where = f"{table.path}: attribute {column.attribute.name!r}"
    kind = column.type
    checks: list[str] = []
    if column.nested or kind is None:
        typed = f"TRY_CAST({value} AS {column.ddl})"
        shown = f"left(CAST({value} AS VARCHAR), 100)"
    else:
        shown = f"left({value}, 100)"
        if kind.primitive_type == "boolean" and kind.pattern and TRUE_FALSE in kind.pattern:
            typed = _boolean(value, kind.pattern, parameters)
        elif kind.primitive_type in _TEMPORAL:
            typed = _temporal(value, column, kind, parameters, where)
        else:
            typed = _plain(value, column, kind, parameters)
            if kind.pattern:
                checks.append(f"NOT {matches_pattern(value, kind.pattern, parameters)}")
    type_name = kind.name if kind else "struct"
    wanted = parameters.add(f"' is not a valid {type_name}{' list' if column.attribute.array else ''}")
    label = parameters.add(f"{column.attribute.name}: '")
    checks.append(f"({typed}) IS NULL")
    wrong = f"WHEN {value} IS NOT NULL AND ({' OR '.join(checks)}) THEN concat({label}, {shown}, {wanted})"
    if column.attribute.required:
        missing = parameters.add(f"{column.attribute.name}: a value is required")
        wrong = f"WHEN {value} IS NULL THEN {missing} {wrong}"
    return typed, f"CASE {wrong} END"
