"""XML files as a SQL source: each row becomes a line of JSON in a copy, which is read like a JSON file."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from starlake_core_project import Table

from .compressed import open_bytes
from .dialect import open_text
from .errors import EngineError, ProjectFault
from .json_files import json_source
from .reading import Reading
from .sql import Parameters
from .xml_rows import BROKEN, XmlRules, rows_of

__all__ = ["XML_OPTIONS", "as_json_lines", "check_xml", "xml_source"]

XML_OPTIONS = frozenset(
    {
        "rowTag", "attributePrefix", "valueTag", "excludeAttribute", "ignoreSurroundingSpaces", "ignoreNamespace",
        "nullValue", "treatEmptyValuesAsNulls", "inferSchema", "samplingRatio",
    }
)  # fmt: skip
"""The options of Spark's reader of XML that are honoured, or that make no difference."""

_CHUNK = 256 * 1024


def check_xml(table: Table) -> None:
    """Refuse a table that does not say which elements are rows.

    Raises:
        ProjectFault: the option ``rowTag`` is missing.
    """
    given = table.metadata.options
    if not given.get("rowTag"):
        raise ProjectFault(
            f"{table.path}: files of the format XML need the name of the element that is a row; "
            "add metadata.options: {rowTag: NAME}"
        )


def _rules(table: Table) -> XmlRules:
    given = table.metadata.options

    def is_set(name: str) -> bool:
        return given.get(name, "false").lower() == "true"

    null_values = {given.get("nullValue"), table.metadata.format.null_value}
    if table.metadata.format.empty_is_null is not False or is_set("treatEmptyValuesAsNulls"):
        null_values.add("")
    return XmlRules(
        # Spark accepts the tag with its brackets, too.
        row_tag=given["rowTag"].strip("<>"),
        attribute_prefix=given.get("attributePrefix", "_"),
        value_tag=given.get("valueTag", "_VALUE"),
        exclude_attributes=is_set("excludeAttribute"),
        strip=is_set("ignoreSurroundingSpaces"),
        null_values=frozenset(filter(lambda value: value is not None, null_values)),  # type: ignore[arg-type]
        plain_names=is_set("ignoreNamespace"),
    )


def _chunks(reading: Reading) -> Iterator[bytes]:
    """The bytes of a file: as they are, or in UTF-8 if the table names another encoding."""
    encoding = _encoding(reading.table)
    try:
        if encoding is None:
            with open_bytes(reading.path) as source:
                while data := source.read(_CHUNK):
                    yield data
        else:
            with open_text(reading.path, encoding) as text:
                while characters := text.read(_CHUNK):
                    yield characters.encode()
    except UnicodeError as error:
        raise EngineError(f"{reading.name} is not written in {encoding}: {error}") from error


def _encoding(table: Table) -> str | None:
    """The encoding that the table names. For UTF-8, the default, the document may declare another one."""
    wanted = table.metadata.format.encoding or "UTF-8"
    try:
        found = codecs.lookup(wanted).name
    except LookupError:
        raise ProjectFault(
            f"{table.path}: metadata.encoding {wanted!r} is unknown; write it as UTF-8 or ISO-8859-1"
        ) from None
    return None if found in ("utf-8", "utf-8-sig", "ascii") else found


@contextmanager
def as_json_lines(reading: Reading) -> Iterator[Reading]:
    """A reading of a copy that holds each row as a line of JSON.

    Raises:
        EngineError: the file is not well-formed, has entities, or is not written in its encoding.
    """
    table = reading.table
    variants = (
        column.type.name for column in reading.columns if column.type and column.type.primitive_type == "variant"
    )
    free = frozenset({"struct", "variant", *variants})
    encoding = None if _encoding(table) is None else "utf-8"
    rows = rows_of(_chunks(reading), table.attributes, free, _rules(table), reading.name, encoding)
    plain = msgspec.structs.replace(table.metadata.format, encoding=None, array=False, multiline=False)
    lines = msgspec.structs.replace(table, metadata=msgspec.structs.replace(table.metadata, format=plain))
    reading.rules.directory.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=reading.rules.directory) as own:
        copy = Path(own) / "rows.json"
        longest = 0
        with copy.open("wb") as target:
            for line in chain.from_iterable(rows):
                longest = max(longest, target.write(line + b"\n"))
        yield replace(reading, path=copy, table=lines, longest_line=longest)


def xml_source(reading: Reading, parameters: Parameters) -> str:
    """A query with ``n`` (1 is the first row), ``record``, ``broken`` and ``v0``, ``v1`` ... for the columns."""
    rows = json_source(reading, parameters)
    wrong = f"json_extract_string(record, {parameters.add('/' + BROKEN)})"
    without = f"CAST(json_merge_patch(record, {parameters.add(json.dumps({BROKEN: None}))}) AS VARCHAR)"
    return (
        f"SELECT * EXCLUDE (wrong) REPLACE (coalesce(broken, wrong) AS broken, CASE WHEN wrong IS NULL THEN record ELSE {without} END AS record) "
        f"FROM (SELECT *, {wrong} AS wrong FROM ({rows}))"
    )
