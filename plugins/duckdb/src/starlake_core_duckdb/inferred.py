"""What can be inferred from data files: their format, and fields with the types that all their values fit."""

from __future__ import annotations

import codecs
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .compressed import open_bytes
from .driver import duckdb
from .errors import EngineError, ProjectFault

__all__ = ["TEXT", "Field", "Inferred", "best_types", "merged", "plain_file"]

_log = logging.getLogger(__name__)
_CHUNK = 1024 * 1024
_FALLBACK = "ISO-8859-1"
TEXT = "string"

_CHECKS: Mapping[str, str] = {
    "int": "regexp_full_match({v}, '[-+]?(0|[1-9][0-9]*)') AND TRY_CAST({v} AS INTEGER) IS NOT NULL",
    "long": "regexp_full_match({v}, '[-+]?(0|[1-9][0-9]*)') AND TRY_CAST({v} AS BIGINT) IS NOT NULL",
    "double": r"regexp_full_match({v}, '[-+]?(0|[1-9][0-9]*|[0-9]*\.[0-9]+)([eE][-+]?[0-9]+)?') AND TRY_CAST({v} AS DOUBLE) IS NOT NULL",
    "boolean": "lower({v}) IN ('true', 'false')",
    "date": "regexp_full_match({v}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}') AND TRY_CAST({v} AS DATE) IS NOT NULL",
    "timestamp": "regexp_full_match({v}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}} [0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}') "
    "AND TRY_CAST({v} AS TIMESTAMP) IS NOT NULL",
    "iso_date_time": r"regexp_full_match({v}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(\.[0-9]{{1,6}})?"
    "(Z|[-+][0-9]{{2}}:[0-9]{{2}})?') AND TRY_CAST({v} AS TIMESTAMPTZ) IS NOT NULL",
}
"""SQL that is true of a value of a type; the better type comes first. Numbers with leading zeros are names, not numbers."""


@dataclass(frozen=True)
class Field:
    """A column, or a part of one.

    Attributes:
        types: the types that fit all values, the best one first.
        array: whether it is a list of such values.
        fields: the parts of a structure.
    """

    name: str
    types: tuple[str, ...]
    array: bool = False
    fields: tuple[Field, ...] = ()


@dataclass(frozen=True)
class Inferred:
    """What is known about the files of a table.

    Attributes:
        metadata: the keys of ``metadata``.
        fields: the columns.
    """

    metadata: Mapping[str, Any] = field(default_factory=dict)
    fields: tuple[Field, ...] = ()


def best_types(
    connection: duckdb.DuckDBPyConnection, values: Sequence[str], source: str, parameters: dict[str, Any]
) -> list[tuple[str, ...]]:
    """The types that fit all values of some columns, the best one first; text always fits.

    Args:
        values: SQL for the text of each column.
        source: the query that has the columns.
        parameters: the values that the SQL needs.
    """
    if not values:
        return []
    checks = [
        f"count({value}), "
        + ", ".join(
            f"coalesce(bool_and({check.format(v=value)}) FILTER ({value} IS NOT NULL), false)"
            for check in _CHECKS.values()
        )
        for value in values
    ]
    row = connection.execute(f"SELECT {', '.join(checks)} FROM ({source})", parameters).fetchone() or ()
    width = len(_CHECKS) + 1
    found = []
    for start in range(0, len(row), width):
        count, *fits = row[start : start + width]
        names = tuple(name for name, fit in zip(_CHECKS, fits, strict=True) if fit)
        found.append((*names, TEXT) if count else ())
    return found


def merged(parts: Sequence[Inferred], names: Sequence[str]) -> Inferred:
    """What holds for several files of one table: the fields of all of them, with the types that fit everywhere.

    Args:
        parts: what was inferred from each file; at least one.
        names: the names of the files, for messages.

    Raises:
        EngineError: the files have different formats.
    """
    first = parts[0]
    for part, name in zip(parts[1:], names[1:], strict=True):
        keys = {*first.metadata, *part.metadata} - {"multiline"}
        different = sorted(key for key in keys if first.metadata.get(key) != part.metadata.get(key))
        if different:
            raise EngineError(
                f"{name} differs from {names[0]} in {', '.join(different)}, but both are for one table; infer them one by one with --table"
            )
    metadata = dict(first.metadata)
    if any(part.metadata.get("multiline") for part in parts):
        metadata["multiline"] = True
    return Inferred(metadata, _merged_fields([part.fields for part in parts]))


def _merged_fields(parts: Sequence[Sequence[Field]]) -> tuple[Field, ...]:
    found: dict[str, Field] = {}
    for fields in parts:
        for entry in fields:
            found[entry.name] = _both(found[entry.name], entry) if entry.name in found else entry
    return tuple(found.values())


def _both(one: Field, other: Field) -> Field:
    if not one.types or not other.types:  # no value in one of the files
        return other if not one.types else one
    if one.array != other.array or bool(one.fields) != bool(other.fields):
        return Field(one.name, ("variant",))
    types = tuple(name for name in one.types if name in other.types)
    return replace(one, types=types or (TEXT,), fields=_merged_fields([one.fields, other.fields]))


@contextmanager
def plain_file(path: Path, encoding: str | None, directory: Path) -> Iterator[tuple[Path, str]]:
    """A file in UTF-8 that is not compressed, and the encoding of the original.

    Args:
        encoding: the encoding, or None to find out.
        directory: where a copy may be.

    Raises:
        EngineError: the file is not written in the encoding.
    """
    wanted = encoding or _found_encoding(path)
    if encoding is None and wanted == _FALLBACK:
        _log.warning("%s is not written in UTF-8, and is read as %s; use --encoding if that is wrong", path, _FALLBACK)
    try:
        name = codecs.lookup(wanted).name
    except LookupError:
        raise ProjectFault(f"--encoding {wanted!r} is unknown; write it as UTF-8 or ISO-8859-1") from None
    if name == "utf-8" and path.suffix != ".gz" and (encoding is None or _is_utf8(path)):
        yield path, wanted
        return
    copy = directory / "plain"
    try:
        with open_bytes(path) as source, copy.open("w", encoding="utf-8", newline="") as target:
            decoder = codecs.getincrementaldecoder(name)()
            while data := source.read(_CHUNK):
                target.write(decoder.decode(data))
            target.write(decoder.decode(b"", final=True))
    except UnicodeError as error:
        raise EngineError(f"{path.name} is not written in {wanted}: {error}") from error
    try:
        yield copy, wanted
    finally:
        copy.unlink()


def _found_encoding(path: Path) -> str:
    """The encoding that a byte order mark names; otherwise UTF-8 if the file is written in it, or else the one that fits any text."""
    with open_bytes(path) as source:
        beginning = source.read(_CHUNK)
    if beginning.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "UTF-32"
    if beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "UTF-16"
    if _is_utf8(path):
        return "UTF-8"
    if b"\0" in beginning:
        raise EngineError(
            f"{path.name} is not text: it has bytes that are zero; name its encoding with --encoding, or remove the file"
        )
    return _FALLBACK


def _is_utf8(path: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with open_bytes(path) as source:
            while data := source.read(_CHUNK):
                decoder.decode(data)
            decoder.decode(b"", final=True)
    except UnicodeError:
        return False
    return True
