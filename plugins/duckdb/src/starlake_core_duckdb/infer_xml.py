"""Infers the element that is a row, and the attributes, of XML files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.parsers import expat

from starlake_core_project import Attribute

from .compressed import open_bytes
from .driver import duckdb
from .errors import EngineError
from .infer_json import infer_json
from .inferred import Inferred
from .xml_rows import XmlRules, rows_of

__all__ = ["infer_xml"]

_CHUNK = 256 * 1024
_PREFIX = "_"
_TEXT = "_VALUE"
_ANYTHING = "struct"


def infer_xml(
    connection: duckdb.DuckDBPyConnection, path: Path, name: str, row_tag: str | None, directory: Path
) -> Inferred:
    """What a file says about its table. Rows are the most frequent children of the root, unless their name is given.

    Args:
        path: the file, compressed or not.
        name: the name of the file, for messages.
        row_tag: the name of the elements that are rows, or None to find out.
        directory: where a copy may be.

    Raises:
        EngineError: the file is not well-formed, has entities, or no rows.
    """
    survey = _Survey(name, row_tag)
    survey.read(_chunks(path))
    rows = row_tag or next(iter(survey.rows.most_common(1)), ("", 0))[0]
    if not survey.rows[rows]:
        known = ", ".join(f"<{tag}>" for tag, _ in survey.rows.most_common(5)) or "none"
        raise EngineError(
            f"{name} has no element <{rows or '...'}> that could be a row (elements below the root: {known}); use --rowTag"
        )
    attributes = [Attribute(name=key, type=_ANYTHING, array=most > 1) for key, most in survey.parts[rows].items()]
    attributes.append(Attribute(name=_TEXT, type="string"))  # some rows hold text, with parts or without
    rules = XmlRules(row_tag=rows, value_tag=_TEXT, attribute_prefix=_PREFIX, null_values=frozenset({""}))
    copy = directory / "rows.json"
    with copy.open("wb") as target:
        for lines in rows_of(_chunks(path), attributes, frozenset({_ANYTHING}), rules, name):
            target.writelines(line + b"\n" for line in lines)
    try:
        found = infer_json(connection, copy, name, typed=False)
    finally:
        copy.unlink()
    return replace(found, metadata={"format": "XML", "options": {"rowTag": rows}})


def _chunks(path: Path) -> Iterator[bytes]:
    with open_bytes(path) as source:
        while data := source.read(_CHUNK):
            yield data


class _Survey:
    """Counts the elements that may be rows, and how often each of their parts occurs in one of them.

    Attributes:
        rows: the number of rows by the name of their element.
        parts: the largest number of occurrences of each part, by the name of the row's element.
    """

    def __init__(self, name: str, row_tag: str | None) -> None:
        self.rows: Counter[str] = Counter()
        self.parts: dict[str, dict[str, int]] = {}
        self._name = name
        self._row_tag = row_tag
        self._depth = 0
        self._row: tuple[str, int] | None = None
        self._found: Counter[str] = Counter()

    def read(self, chunks: Iterable[bytes]) -> None:
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.EntityDeclHandler = parser.ExternalEntityRefHandler = parser.SkippedEntityHandler = self._refuse
        parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        try:
            for chunk in chunks:
                parser.Parse(chunk, False)
            parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise EngineError(f"{self._name} is not well-formed XML: {error}") from error
        except (LookupError, ValueError) as error:
            raise EngineError(f"{self._name} is not written in the encoding that it declares: {error}") from error

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        is_row = tag == self._row_tag if self._row_tag is not None else self._depth == 1
        if self._row is None and is_row:
            self._row = (tag, self._depth)
            self._found = Counter(f"{_PREFIX}{key}" for key in attributes if not key.startswith(("xmlns", "xsi:")))
        elif self._row is not None and self._depth == self._row[1] + 1:
            self._found[tag] += 1
        self._depth += 1

    def _end(self, tag: str) -> None:
        self._depth -= 1
        if self._row == (tag, self._depth):
            self.rows[tag] += 1
            parts = self.parts.setdefault(tag, {})
            for key, number in self._found.items():
                parts[key] = max(number, parts.get(key, 0))
            self._row = None

    def _refuse(self, *_: Any) -> int:
        raise EngineError(
            f"{self._name} declares or uses entities, which this engine does not expand; write their text instead"
        )
