"""The columns of a table: their names and types in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import msgspec
from starlake_core_project import Attribute, DataType, Table
from starlake_core_project.types import BUILT_IN_TYPES, TYPE_FILES

from starlake_core.errors import did_you_mean

from .dates import strptime_format
from .errors import ProjectFault, unsupported
from .privacy import check_privacy
from .sql import identifier, sql_type
from .type_patterns import check_type_pattern

__all__ = ["PRIMITIVE_DDL", "Column", "columns_of", "has_privacy"]

PRIMITIVE_DDL = {
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


@dataclass(frozen=True)
class Column:
    """An attribute that becomes a column.

    Attributes:
        attribute: as the project declares it.
        name: the name in the database.
        type: the project's type, or None for a nested structure.
        ddl: the type in the database.
        fields: the parts of a structure.
        strict: a value that is right for the type, and too large for the database, fails the load, as in Starlake.
    """

    attribute: Attribute
    name: str
    type: DataType | None
    ddl: str
    strict: bool = False
    fields: tuple[Column, ...] = ()

    @property
    def masked(self) -> bool:
        """Whether its values must not be seen."""
        return _is_private(self.attribute)

    @property
    def nested(self) -> bool:
        """Whether its values are JSON, not text."""
        return self.type is None or self.attribute.array or self.type.primitive_type == "variant"


def _is_private(attribute: Attribute) -> bool:
    return (attribute.privacy or "NONE").upper() != "NONE"


def has_privacy(table: Table) -> bool:
    """Whether the files of a table have values that must not be seen, in attributes that are ignored too."""

    def private(attributes: Sequence[Attribute]) -> bool:
        return any(_is_private(item) or private(item.attributes or ()) for item in attributes)

    return private(table.attributes)


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
    if compat:
        types = {name: _as_starlake(kind, attribute.rename is not None) for name, kind in types.items()}
    kind = _type_of(attribute, types, where)
    check_type_pattern(kind, where)
    fields = tuple(_column(table, item, types, compat) for item in attribute.attributes or () if not item.ignore)
    column = Column(attribute, attribute.final_name, kind, _ddl(attribute, kind, fields, where), compat, fields)
    check_privacy(column.attribute.privacy, column.ddl, kind, where)
    if attribute.script and column.masked:
        raise unsupported(f"{where}: privacy of an attribute with script")
    if any(field.masked or field.attribute.script for field in fields):
        raise unsupported(f"{where}: privacy or script of a part of it")
    return column


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


def _ddl(attribute: Attribute, kind: DataType | None, fields: Sequence[Column], where: str) -> str:
    if kind is not None:
        ddl = kind.ddl_mapping.get("duckdb") or PRIMITIVE_DDL.get(kind.primitive_type)
        if ddl is None:
            raise unsupported(f"{where}: the primitive type {kind.primitive_type!r}")
        ddl = sql_type(ddl, where)
    elif fields:
        ddl = f"STRUCT({', '.join(f'{identifier(field.name)} {field.ddl}' for field in fields)})"
    else:
        ddl = "JSON"
    return f"{ddl}[]" if attribute.array and ddl != "JSON" else ddl
