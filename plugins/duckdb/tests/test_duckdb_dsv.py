"""DSV files that are not regular: rows of other widths, quotes that do not fit, line breaks, blank lines, encodings, headers.

Every rule is held against a naive reader, which knows nothing of DuckDB and looks at one character at a time.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import duckdb
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from starlake_core_duckdb.casting import Column
from starlake_core_duckdb.dsv import as_copy, dsv_source, expected_rows
from starlake_core_duckdb.reading import Reading, ReadingRules
from starlake_core_duckdb.sql import Parameters
from starlake_core_project.model import Format, Metadata, Table
from starlake_core_project.schema import Attribute, DataType

if TYPE_CHECKING:
    from conftest import Sandbox

Row = tuple["str | None", ...]


class Style(NamedTuple):
    """How a file is written."""

    separator: str = ";"
    quote: str = '"'
    escape: str = "\\"
    encoding: str = "UTF-8"
    with_header: bool = True


def table(sandbox: Sandbox, style: Style, width: int = 3, metadata: str = "") -> None:
    attributes = "".join(f"\n    - {{name: a{index}}}" for index in range(width))
    sandbox.table(
        "rows",
        f"""
table:
  pattern: rows.*
  attributes:{attributes}
  metadata:
    separator: {style.separator!r}
    quote: {_yaml(style.quote)}
    escape: {_yaml(style.escape)}
    encoding: {style.encoding}
    withHeader: {str(style.with_header).lower()}
    writeStrategy: {{type: OVERWRITE}}
{metadata}""",
    )


def _yaml(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def load(sandbox: Sandbox, content: bytes, name: str = "rows1.csv", **environ: str) -> list[Row]:
    folder = sandbox.root / "datasets" / "stage" / "shop"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    result = sandbox.run("load", "--domains", "shop", "--tables", "rows", **environ)
    assert result.code == 0, result.err
    return sandbox.query("SELECT * FROM shop.rows")


def lines_of(text: str) -> Iterator[str]:
    line = ""
    for character in text.replace("\r\n", "\n").replace("\r", "\n"):
        if character == "\n":
            yield line
            line = ""
        else:
            line += character
    yield line


def naive_fields(line: str, style: Style) -> list[str | None]:
    """The fields of a line, one character at a time."""
    fields: list[str | None] = []
    while True:
        value, line, more = naive_field(line, style)
        fields.append(value)
        if not more:
            return fields


def naive_field(line: str, style: Style) -> tuple[str | None, str, bool]:
    """The value of the first field, what is left of the line, and whether there is another field."""
    unquoted, separator, rest = line.partition(style.separator)
    if not style.quote or not line.startswith(style.quote):
        return unquoted or None, rest, bool(separator)
    if line == style.quote:
        return line, "", False
    content, line = "", line[1:]
    while line:
        first, second = line[0], line[1:2]
        if first == style.escape and second and second in (style.quote, style.escape):
            content, line = content + second, line[2:]
        elif first == style.quote:
            after = line[1:]
            while after.startswith(style.quote):
                content, after = content + style.quote, after[1:]
            blank = after
            while blank and blank[0] <= " " and not blank.startswith(style.separator):
                blank = blank[1:]
            if not blank:
                return content, "", False
            if blank.startswith(style.separator):
                return content, blank[len(style.separator) :], True
            tail, separator, rest = after.partition(style.separator)
            return f"{style.quote}{content}{style.quote}{tail}", rest, bool(separator)
        else:
            content, line = content + first, line[1:]
    return content, "", False


def naive(text: str, style: Style, width: int) -> list[Row]:
    """The rows of a file in which every line is a record, without the ones that hold nothing."""
    records = [naive_fields(line, style) for line in lines_of(text) if line.strip(" \t")]
    rows = [tuple(value or None for value in record[:width]) for record in records[style.with_header :]]
    return [row + (None,) * (width - len(row)) for row in rows]


STYLES = [
    Style(),
    Style(separator=","),
    Style(separator="||"),
    Style(separator="\t"),
    Style(separator=",", escape='"'),
    Style(quote="'"),
    Style(quote="'", escape="'"),
    Style(quote="", escape=""),
    Style(separator="|", escape="", encoding="ISO-8859-1"),
    Style(separator=",", encoding="UTF-16", with_header=False),
]


def _lines(style: Style) -> st.SearchStrategy[list[str]]:
    pieces = [
        "a",
        "b c",
        " ",
        "",
        "é",
        "12",
        style.separator,
        style.separator,
        style.quote,
        style.escape,
        "'",
        '"',
        "\\",
    ]
    return st.lists(st.lists(st.sampled_from(pieces), max_size=9).map("".join), max_size=6)


class Reader:
    """Reads files without a project: as they are where that is allowed, and as a copy; both have to agree."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.connection = duckdb.connect()

    def read(
        self, content: bytes, style: Style, width: int, name: str = "rows.csv", multiline: bool | None = None
    ) -> list[Row]:
        path = self.root / name
        path.write_bytes(content)
        attributes = tuple(Attribute(f"a{index}") for index in range(width))
        file_format = Format(
            encoding=style.encoding,
            with_header=style.with_header,
            separator=style.separator,
            quote=style.quote,
            escape=style.escape,
            multiline=multiline,
        )
        table = Table(
            "rows", "rows", "shop", "shop", path, "rows.*", metadata=Metadata(format=file_format), attributes=attributes
        )
        columns = [
            Column(attribute, attribute.name, DataType("string", "string"), "VARCHAR") for attribute in attributes
        ]
        reading = Reading(table, columns, path, name, "refused", ReadingRules(2**30, False, self.root / "copies"))
        with as_copy(reading) as copy:
            found = self._rows(copy, width)
            assert len(found) == copy.records
        expected = expected_rows(self.connection, reading)
        if expected is not None:
            itself = self._rows(reading, width)
            assert len(itself) != expected or itself == found
            self.connection.execute("DROP TABLE IF EXISTS refused")
            self.connection.execute("DROP TABLE IF EXISTS refused_scan")
        return found

    def _rows(self, reading: Reading, width: int) -> list[Row]:
        parameters = Parameters()
        query = dsv_source(reading, parameters)
        values = ", ".join(f"v{index}" for index in range(width))
        return self.connection.execute(f"SELECT {values} FROM ({query}) ORDER BY n", parameters.values).fetchall()


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    found = Reader(tmp_path)
    yield found
    found.connection.close()


ONCE = [HealthCheck.function_scoped_fixture]


@settings(deadline=None, max_examples=50, suppress_health_check=ONCE)
@pytest.mark.parametrize("style", STYLES, ids=repr)
@given(data=st.data(), end=st.sampled_from(["\n", "\r\n", "\r"]), last=st.booleans())
def test_every_line_is_read_as_the_naive_reader_does(
    reader: Reader, style: Style, data: st.DataObject, end: str, last: bool
) -> None:
    header = [style.separator.join(["a0", "a1", "a2"])] if style.with_header else []
    text = end.join([*header, *data.draw(_lines(style))]) + end * last
    assert reader.read(text.encode(style.encoding), style, 3, multiline=False) == naive(text, style, 3)


@settings(deadline=None, max_examples=200, suppress_health_check=ONCE)
@given(
    rows=st.lists(st.tuples(*[st.text(st.sampled_from("ab;\"'\\\n\r é"), max_size=5)] * 3), max_size=8),
    style=st.sampled_from([Style(), Style(escape='"'), Style(separator=",", quote="'")]),
    end=st.sampled_from(["\n", "\r\n"]),
    multiline=st.sampled_from([None, True]),
    compressed=st.booleans(),
)
@example(rows=[("\r\n", "", '"')], style=Style(), end="\r\n", multiline=None, compressed=True)
def test_what_is_written_rightly_arrives_unchanged(
    reader: Reader, rows: Sequence[tuple[str, ...]], style: Style, end: str, multiline: bool | None, compressed: bool
) -> None:
    def written(value: str) -> str:
        for special in sorted({style.escape, style.quote}):
            value = value.replace(special, "\0" + special)
        return style.quote + value.replace("\0", style.escape) + style.quote

    text = "".join(style.separator.join(map(written, row)) + end for row in [("a0", "a1", "a2"), *rows])
    name, content = ("rows.gz", gzip.compress(text.encode())) if compressed else ("rows.csv", text.encode())
    assert reader.read(content, style, 3, name, multiline) == [tuple(value or None for value in row) for row in rows]


BROKEN = 'a0;a1\n1;"open\n2;b\n3;c\n4;"closed"\n5;"two\nlines"\n'


@pytest.mark.parametrize(
    ("metadata", "environ", "wanted"),
    [
        ("", {}, [("1", "open"), ("2", "b"), ("3", "c"), ("4", "closed"), ("5", "two\nlines")]),
        ("    multiline: true", {}, [("1", "open"), ("2", "b"), ("3", "c"), ("4", "closed"), ("5", "two\nlines")]),
        (
            "    multiline: false",
            {},
            [("1", "open"), ("2", "b"), ("3", "c"), ("4", "closed"), ("5", "two"), ('lines"', None)],
        ),
        (
            "",
            {"SL_DUCKDB_COMPAT": "starlake"},
            [("1", "open"), ("2", "b"), ("3", "c"), ("4", "closed"), ("5", "two"), ('lines"', None)],
        ),
        (
            "    multiline: true",
            {"SL_DUCKDB_COMPAT": "starlake"},
            [("1", '"open\n2;b\n3;c\n4;"closed"'), ("5", "two\nlines")],
        ),
    ],
)
def test_a_quote_that_is_never_closed(
    sandbox: Sandbox, metadata: str, environ: dict[str, str], wanted: list[Row]
) -> None:
    """By default it spoils one line; Starlake reads every line alone, or reads on to the next quote."""
    table(sandbox, Style(), width=2, metadata=metadata)
    assert load(sandbox, BROKEN.encode(), **environ) == wanted


@pytest.mark.parametrize(
    ("empty", "environ", "wanted"),
    [
        ("true", {}, [("1", None, None), ("2", None, None), ("3", None, None)]),
        ("false", {}, [("1", "", ""), ("2", "", ""), ("3", "", None)]),
        ("false", {"SL_DUCKDB_COMPAT": "starlake"}, [("1", None, None), ("2", "", None), ("3", None, None)]),
    ],
)
@pytest.mark.parametrize("short", [True, False])
def test_empty_fields(sandbox: Sandbox, empty: str, environ: dict[str, str], wanted: list[Row], short: bool) -> None:
    """A missing field is NULL; an empty one is what emptyIsNull says, which Starlake knows of fields in quotes only."""
    table(sandbox, Style(), metadata=f"    emptyIsNull: {empty}")
    content = 'a0;a1;a2\n1;;\n2;"";\n' + "3;\n" * short
    assert load(sandbox, content.encode(), **environ) == wanted[: 2 + short]


def test_a_record_that_is_not_utf_8_is_rejected(sandbox: Sandbox) -> None:
    table(sandbox, Style())
    content = b"a0;a1;a2\n1;a;b\n2;\xff;b\n3;a\n"
    assert load(sandbox, content) == [("1", "a", "b"), ("3", "a", None)]
    assert sandbox.query("SELECT row_number, record, errors FROM starlake_core.rejected") == [
        (2, "2;�;b", "the record is not valid UTF-8")
    ]
    assert load(sandbox, content, SL_DUCKDB_COMPAT="starlake") == [("1", "a", "b"), ("2", "�", "b"), ("3", "a", None)]


def test_a_row_that_is_rejected_is_kept_as_it_was(sandbox: Sandbox) -> None:
    sandbox.staged("items1.csv", 'id,label\nx,"b,c",more\ny\nz,"it""s\n1,a\n')
    assert sandbox.run("load").code == 0
    assert sandbox.query("SELECT row_number, record FROM starlake_core.rejected ORDER BY row_number") == [
        (1, 'x,"b,c",more'),
        (2, "y"),
        (3, 'z,"it""s'),
    ]


@pytest.mark.parametrize("width", [1, 2])
def test_blank_lines_are_no_records(sandbox: Sandbox, width: int) -> None:
    table(sandbox, Style(), width=width)
    wanted = [(str(number), *["x"] * (width - 1)) for number in range(3)]
    body = "\n \n\n\t\n".join(";".join(row) for row in wanted)
    header = ";".join(f"a{index}" for index in range(width))
    assert load(sandbox, f"\n  \n{header}\n\n{body}\n\n".encode()) == wanted


def test_a_long_value(sandbox: Sandbox) -> None:
    table(sandbox, Style(), width=2)
    text = "x" * 3_000_000
    assert load(sandbox, f"a0;a1\n1;{text}\n2\n".encode()) == [("1", text), ("2", None)]


def test_no_record_is_lost_in_many_blocks(sandbox: Sandbox) -> None:
    """Every thousandth row is short, long or badly quoted, and the file is larger than the blocks that are read at once."""
    table(sandbox, Style(), width=3)
    odd = ['{0};"open', "{0}", "{0};b;c;d", '{0};"it""s";c', '{0};"two\nlines";c']
    rows = [
        odd[number // 1000 % 5].format(number) if number % 1000 == 7 else f"{number};bbbbbbbbbb;cccccccccc"
        for number in range(100_000)
    ]
    found = load(sandbox, ("a0;a1;a2\n" + "\n".join(rows) + "\n").encode())
    assert [row[0] for row in found] == [str(number) for number in range(100_000)]


@pytest.mark.parametrize("environ", [{}, {"SL_DUCKDB_COMPAT": "starlake"}])
def test_a_number_that_is_empty_is_null_whatever_an_empty_text_is(sandbox: Sandbox, environ: dict[str, str]) -> None:
    sandbox.table(
        "numbers",
        "table: {pattern: numbers.*, attributes: [{name: n, type: int}, {name: d, type: date}, {name: i, type: int}], "
        "metadata: {emptyIsNull: false}}",
    )
    sandbox.staged("numbers.csv", "n,d,i\n,,1\n")
    assert sandbox.run("load", **environ).code == 0
    assert sandbox.query("SELECT * FROM shop.numbers") == [(None, None, 1)]


@pytest.mark.parametrize("environ", [{}, {"SL_DUCKDB_COMPAT": "starlake"}])
def test_a_column_without_a_name_in_the_header(sandbox: Sandbox, environ: dict[str, str]) -> None:
    attributes = "[{name: _c0, type: int}, {name: label}]"
    sandbox.table("rows", f"table: {{pattern: rows.*, attributes: {attributes}}}")
    sandbox.staged("rows.csv", ",label\n1,a\n")
    assert sandbox.run("load", **environ).code == 0
    assert sandbox.query("FROM shop.rows") == [(1, "a")]
