"""SQL expressions that convert the values of a column to its type, and say what is wrong with them."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from starlake_core_project import Attribute, DataType, Table
from starlake_core_project.types import BUILT_IN_TYPES

from .casting import PRIMITIVE_DDL, Column
from .dates import NAMED, fixed_length, is_iso_name, readable, shape, strptime_format
from .errors import unsupported
from .java_dates import as_java_reads
from .privacy import masked
from .sql import Parameters, identifier
from .type_patterns import TRUE_FALSE, matches_pattern, patterns_without_re2

__all__ = ["NO_FAULT", "Checked", "column_checks"]

_TEMPORAL = ("date", "timestamp")
# DuckDB ignores the offset of a string that it casts to TIMESTAMP.
_WITH_OFFSET = r"[T ].*(Z|[+-]\d{2}(:?\d{2})?)$"
_BUILT_IN_BOOLEAN = BUILT_IN_TYPES["boolean"].pattern
# What strptime reads with every format, by length: epoch, infinity, -infinity.
_SPECIAL = (5, 8, 9)
NO_FAULT = "CAST(NULL AS VARCHAR)"
"""What is wrong with a value that cannot be wrong."""
_WHOLE = BUILT_IN_TYPES["long"].pattern
_WHOLE_TYPES = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")
_USUAL = {"yyyy-MM-dd": ("DATE", 10), "yyyy-MM-dd HH:mm:ss": ("TIMESTAMP", 19)}
"""Patterns of the texts that DuckDB makes of a type of its own, with their length."""
_TRIM = {"left": "ltrim", "right": "rtrim", "both": "trim"}


class Checked(NamedTuple):
    """SQL expressions for the value of a column.

    Attributes:
        value: the typed value.
        fault: what is wrong with it, or NULL.
        good: a condition that is true if nothing is wrong; empty if nothing can be. It costs less than the fault.
    """

    value: str
    fault: str
    good: str


def _boolean(value: str, pattern: str, parameters: Parameters) -> str:
    # The words that nearly all files have are compared, which takes a fifth of the time of a pattern.
    words = "WHEN {0} = 'true' THEN true WHEN {0} = 'false' THEN false " if pattern == _BUILT_IN_BOOLEAN else ""
    matches = [matches_pattern(value, part, parameters) for part in pattern.split(TRUE_FALSE, 1)]
    return f"CASE {words.format(value)}WHEN {matches[0]} THEN true WHEN {matches[1]} THEN false END"


def _usual(value: str, column: Column, kind: DataType, otherwise: str) -> str:
    """A date or a timestamp, written as nearly all are: then DuckDB makes the same text of it again, and nothing has to be parsed."""
    own, length = _USUAL.get(kind.pattern or "", ("", 0))
    if not own or kind.zone:
        return otherwise
    found = f"TRY_CAST({value} AS {own})"
    written = f"strlen({value}) = {length} AND CAST({found} AS VARCHAR) = {value}"
    typed = found if own == column.ddl else f"TRY_CAST({found} AS {column.ddl})"
    if own == "TIMESTAMP" and column.ddl == "TIMESTAMPTZ":
        # The local times of UTC need no calendar.
        typed = f"CASE WHEN current_setting('TimeZone') = 'UTC' THEN TRY_CAST(concat({value}, 'Z') AS TIMESTAMPTZ) ELSE {typed} END"
    return f"CASE WHEN {written} THEN {typed} ELSE {otherwise} END"


def _temporal(value: str, column: Column, kind: DataType, parameters: Parameters, where: str) -> str:
    pattern = kind.pattern
    if pattern in ("epoch_second", "epoch_milli"):
        factor = 1_000_000 if pattern == "epoch_second" else 1_000
        return f"TRY_CAST(make_timestamp(TRY_CAST({value} AS BIGINT) * {factor}) AS {column.ddl})"
    value = f"trim({value})"
    raw, value = value, readable(value, pattern) if pattern else value
    if pattern is None or is_iso_name(pattern):
        fits = f"regexp_full_match({raw}, {parameters.add(shape(pattern))})" if pattern else "true"
        plain = f"TRY_CAST({value} AS {column.ddl})"
        if column.ddl != "TIMESTAMP":
            return f"CASE WHEN {fits} THEN {plain} END"
        zoned = f"CAST(TRY_CAST({value} AS TIMESTAMP WITH TIME ZONE) AS TIMESTAMP)"
        offset = f"regexp_matches({value}, {parameters.add(_WITH_OFFSET)})"
        return f"CASE WHEN NOT {fits} THEN NULL WHEN {offset} THEN {zoned} ELSE {plain} END"
    date_format = strptime_format(pattern)
    if date_format is None:
        raise unsupported(f"{where}: the date pattern {pattern!r}")
    parsed = f"try_strptime({value}, {parameters.add(date_format)})"
    # strptime takes 2024-1-3 for yyyy-MM-dd, and Java does not.
    length = fixed_length(pattern)
    if length is None:
        fits = f"regexp_full_match({raw}, {parameters.add(shape(pattern))})"
    else:
        fits = f"strlen({value}) = {parameters.add(length)}"
        if length in _SPECIAL:
            fits += f" AND regexp_full_match({value}, '[^A-Za-z]*')"
    parsed = f"CASE WHEN {fits} THEN {parsed} END"
    if column.strict and pattern.upper() not in NAMED:
        lenient = kind.primitive_type == "timestamp" and (kind.zone or "UTC").upper() == "UTC"
        parsed = f"coalesce({', '.join([parsed, *as_java_reads(value, pattern, parameters, lenient=lenient)])})"
    if kind.zone:
        parsed = f"timezone({parameters.add(kind.zone)}, {parsed})"
    return f"TRY_CAST({parsed} AS {column.ddl})"


def _plain(value: str, column: Column, kind: DataType, parameters: Parameters) -> str:
    if column.ddl == "VARCHAR":
        return value
    cast = f"TRY_CAST({value} AS {column.ddl})"
    own = PRIMITIVE_DDL.get(kind.primitive_type, column.ddl)
    if not column.strict or own in (column.ddl, "VARCHAR"):
        return cast
    fits = f"TRY_CAST({value} AS {own}) IS NOT NULL"
    if kind.pattern:
        fits += f" AND {matches_pattern(value, kind.pattern, parameters)}"
    return f"CASE WHEN {fits} THEN CAST({value} AS {column.ddl}) ELSE {cast} END"


def column_checks(
    table: Table,
    column: Column,
    value: str,
    parameters: Parameters,
    *,
    hidden: bool = False,
    done: bool = False,
    name: str | None = None,
) -> Checked:
    """SQL expressions for the value of a column.

    Args:
        value: the SQL name of the text, or of the JSON for a nested column; it is NULL if there is no value.
        parameters: collects the values that the expressions need.
        hidden: whether what is wrong must not show the value.
        done: whether a column with ``privacy`` was already checked and masked.
        name: the SQL name that the typed value has in the other expressions, which are then made for speed; None to compute it there again.

    Raises:
        ProjectFault: the type's pattern has no equivalent.
    """
    if column.masked and done:
        if not column.attribute.required:
            return Checked(value, NO_FAULT, "")
        missing = parameters.add(f"{column.attribute.name}: a value is required")
        return Checked(value, f"CASE WHEN {value} IS NULL THEN {missing} END", f"{value} IS NOT NULL")
    if column.nested and not _is_json(column):
        typed, fault = _Nested(table, parameters, hidden).column(column, value)
        return Checked(typed, fault, f"({fault}) IS NULL")
    found = _leaf(table, column, value, column.attribute.name, parameters, hidden, name)
    return found._replace(value=masked(column.attribute.privacy, found.value))


def _is_json(column: Column) -> bool:
    return column.ddl == "JSON" and not column.fields


def _leaf(
    table: Table, column: Column, value: str, label: str, parameters: Parameters, hidden: bool, name: str | None = None
) -> Checked:
    where = f"{table.path}: attribute {column.attribute.name!r}"
    kind = column.type
    fits: list[str] = []
    if kind is None or _is_json(column):
        typed = f"TRY_CAST({value} AS {column.ddl})"
        shown = f"left(CAST({value} AS VARCHAR), 100)"
    else:
        shown = f"left({value}, 100)"
        if kind.primitive_type == "boolean" and kind.pattern and TRUE_FALSE in kind.pattern:
            typed = _boolean(value, kind.pattern, parameters)
        elif kind.primitive_type in _TEMPORAL:
            typed = _temporal(value, column, kind, parameters, where)
            if name is not None:
                typed = _usual(value, column, kind, typed)
        else:
            typed = _plain(value, column, kind, parameters)
            if kind.pattern:
                fits.append(matches_pattern(value, kind.pattern, parameters))
                if name is not None and kind.pattern == _WHOLE and column.ddl in _WHOLE_TYPES:
                    # Nearly all numbers are written as DuckDB writes them, which is found sooner than that they match.
                    fits = [f"({value} = CAST({name} AS VARCHAR) OR {fits[0]})"]
    if typed != value:
        fits.append(f"({name or typed}) IS NOT NULL")
    wrong, good = "", ""
    if fits:
        type_name = kind.name if kind else "struct"
        text = _message(label, shown, f"is not a valid {type_name}", parameters, hidden)
        wrong = f"WHEN {value} IS NOT NULL AND NOT ({' AND '.join(fits)}) THEN {text}"
        good = " AND ".join(reversed(fits))
    if column.attribute.required:
        missing = parameters.add(f"{label}: a value is required")
        wrong = f"WHEN {value} IS NULL THEN {missing} {wrong}"
        good = " AND ".join(filter(None, [f"{value} IS NOT NULL", good]))
    elif good:
        good = f"({value} IS NULL OR ({good}))"
    return Checked(typed, f"CASE {wrong} END" if wrong else NO_FAULT, good)


def _message(label: str, shown: str, fault: str, parameters: Parameters, hidden: bool) -> str:
    if hidden:
        return parameters.add(f"{label}: a value {fault}")
    return (
        f"concat({parameters.add(label + chr(58) + ' ' + chr(39))}, {shown}, {parameters.add(chr(39) + ' ' + fault)})"
    )


class _Nested:
    """Structures and lists in JSON: every value in them is converted and checked like that of a column.

    A structure that is missing is one whose values are all missing, as in Starlake.
    """

    def __init__(self, table: Table, parameters: Parameters, hidden: bool) -> None:
        self._table = table
        self._parameters = parameters
        self._hidden = hidden
        self._lists = 0

    def column(self, column: Column, root: str) -> tuple[str, str]:
        return self._value(column, root, "", column.attribute.name)

    def _value(self, column: Column, root: str, pointer: str, label: str) -> tuple[str, str]:
        """Typed value and fault of the value at a place below a JSON value.

        Args:
            root: the SQL name of the JSON value.
            pointer: the place; empty for the value itself.
            label: the name of the value in messages.
        """
        if column.attribute.array and column.ddl != "JSON":
            return self._list(column, root, pointer, label)
        if column.fields:
            return self._structure(column, root, pointer, label)
        if patterns_without_re2(column.type):
            raise unsupported(
                f"{self._table.path}: attribute {label!r}: its type has a pattern that RE2 does not match, in a nested value"
            )
        if _is_json(column):
            found = self._at(root, pointer)
            value = f"CASE WHEN json_type({found}) <> 'NULL' THEN {found} END"
            return _leaf(self._table, column, value, label, self._parameters, self._hidden)[:2]
        text = f"json_extract_string({root}, {self._parameters.add(pointer)})"
        trim = _TRIM.get((column.attribute.trim or "").lower())
        text = f"{trim}({text})" if trim else text
        if self._table.metadata.format.empty_is_null is not False:
            text = f"nullif({text}, '')"
        if column.attribute.default is not None:
            text = f"coalesce({text}, {self._parameters.add(column.attribute.default)})"
        typed, wrong, _ = _leaf(self._table, column, text, label, self._parameters, self._hidden)
        kind = f"json_type({self._at(root, pointer)})"
        fault = self._fault(label, root, pointer, column.type.name if column.type else "value")
        return typed, f"CASE WHEN {kind} IN ('OBJECT', 'ARRAY') THEN {fault} ELSE {wrong} END"

    def _at(self, root: str, pointer: str) -> str:
        return f"json_extract({root}, {self._parameters.add(pointer)})" if pointer else root

    def _fault(self, label: str, root: str, pointer: str, kind: str) -> str:
        shown = f"left(CAST({self._at(root, pointer)} AS VARCHAR), 100)"
        return _message(label, shown, f"is not a valid {kind}", self._parameters, self._hidden)

    def _structure(self, column: Column, root: str, pointer: str, label: str) -> tuple[str, str]:
        parts = [
            self._value(field, root, f"{pointer}/{_escaped(field.attribute.name)}", f"{label}.{field.attribute.name}")
            for field in column.fields
        ]
        named = ", ".join(
            f"{identifier(field.name)} := {typed}" for field, (typed, _) in zip(column.fields, parts, strict=True)
        )
        typed = f"CAST(struct_pack({named}) AS {column.ddl.removesuffix('[]')})"
        faults = f"nullif(concat_ws('; ', {', '.join(wrong for _, wrong in parts)}), '')"
        kind = f"json_type({self._at(root, pointer)})"
        wrong = f"CASE WHEN {kind} NOT IN ('OBJECT', 'NULL') THEN {self._fault(label, root, pointer, 'struct')} ELSE {faults} END"
        return typed, wrong

    def _list(self, column: Column, root: str, pointer: str, label: str) -> tuple[str, str]:
        self._lists += 1
        element = f"e{self._lists}"
        one = Column(
            _one(column), column.name, column.type, column.ddl.removesuffix("[]"), column.strict, column.fields
        )
        typed, wrong = self._value(one, element, "", label)
        found = self._at(root, pointer)
        kind = f"json_type({found})"
        values = f"CAST({found} AS JSON[])"
        listed = f"CASE WHEN {kind} = 'ARRAY' THEN CAST([{typed} FOR {element} IN {values}] AS {column.ddl}) END"
        faults = f"nullif(array_to_string([f FOR f IN [{wrong} FOR {element} IN {values}] IF f IS NOT NULL], '; '), '')"
        missing = f"WHEN {kind} IS NULL OR {kind} = 'NULL' THEN "
        missing += (
            self._parameters.add(f"{label}: a value is required")
            if column.attribute.required
            else "CAST(NULL AS VARCHAR)"
        )
        kind_name = f"{column.type.name if column.type else 'struct'} list"
        return (
            listed,
            f"CASE {missing} WHEN {kind} <> 'ARRAY' THEN {self._fault(label, root, pointer, kind_name)} ELSE {faults} END",
        )


def _one(column: Column) -> Attribute:
    return msgspec.structs.replace(column.attribute, array=None, required=None)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
