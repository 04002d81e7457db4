"""Files of the format POSITION: values at fixed places of a line."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Sandbox

ITEMS = """
    table:
      pattern: "items.*"
      attributes:
        - {name: id, type: int, required: true, position: {first: 0, last: 2}}
        - {name: label, type: string, position: {first: 3, last: 7}}
      metadata: {format: POSITION, METADATA}
"""


def load(sandbox: Sandbox, data: bytes, name: str = "items.txt", metadata: str = "quote: ''", **environ: str) -> str:
    sandbox.table("items", ITEMS.replace("METADATA", metadata))
    path = sandbox.staged(name, "")
    path.write_bytes(data)
    result = sandbox.run("load", **environ)
    assert result.code == 0, result.err
    return result.out


def rows(sandbox: Sandbox) -> list[tuple[object, ...]]:
    return sandbox.query("SELECT * FROM shop.items")


def rejected(sandbox: Sandbox) -> list[tuple[object, ...]]:
    return sandbox.query("SELECT file, row_number, record FROM starlake_core.rejected ORDER BY ALL")


def test_padding_is_kept_and_a_wrong_value_rejects_its_line(sandbox: Sandbox) -> None:
    out = load(sandbox, b"001Ann  \n002Bob  \nxx3Cy   \n")
    assert "2 row(s) from 1 file(s), 1 rejected" in out
    assert rows(sandbox) == [(1, "Ann  "), (2, "Bob  ")]
    assert rejected(sandbox) == [("items.txt", 3, "xx3Cy   ")]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_line_that_is_cut_off_keeps_what_it_has(end: bytes, sandbox: Sandbox) -> None:
    load(sandbox, end.join([b"001Ann", b"002", b"", b"003Long enough"]))
    assert rows(sandbox) == [(1, "Ann"), (2, None), (3, "Long ")]
    assert rejected(sandbox) == []


def test_starlake_drops_a_value_that_is_cut_off_and_an_empty_line_is_a_row(sandbox: Sandbox) -> None:
    load(sandbox, b"001Ann\n\n003Long enough\n", SL_DUCKDB_COMPAT="starlake")
    assert rows(sandbox) == [(1, None), (3, "Long ")]
    assert rejected(sandbox) == [("items.txt", 2, "")]


def test_mixed_line_ends_count_as_one_line_each(sandbox: Sandbox) -> None:
    load(sandbox, b"001Ann\r\n\nxx2Bob\r\n003Cy\nxx4")
    assert rows(sandbox) == [(1, "Ann"), (3, "Cy")]
    assert rejected(sandbox) == [("items.txt", 3, "xx2Bob"), ("items.txt", 5, "xx4")]


def test_positions_count_characters_in_the_encoding_of_the_table(sandbox: Sandbox) -> None:
    load(sandbox, "001Zoéà!x\n".encode("latin-1"), metadata="encoding: ISO-8859-1")
    assert rows(sandbox) == [(1, "Zoéà!")]


def test_a_line_in_another_encoding_is_rejected(sandbox: Sandbox) -> None:
    load(sandbox, b"001Ann  \n002\xff\xfe\n003Cy   \nxx4Di   \n")
    assert rows(sandbox) == [(1, "Ann  "), (3, "Cy   ")]
    assert [row[:2] for row in rejected(sandbox)] == [("items.txt", 2), ("items.txt", 4)]


def test_control_characters_are_data(sandbox: Sandbox) -> None:
    load(sandbox, b"001a\x01b\"'\n")
    assert rows(sandbox) == [(1, "a\x01b\"'")]


def test_a_compressed_file(sandbox: Sandbox) -> None:
    load(sandbox, gzip.compress(b"001Ann\n"), name="items.txt.gz")
    assert rows(sandbox) == [(1, "Ann")]


@pytest.mark.parametrize("metadata", ["emptyIsNull: false", "nullValue: '-'"])
def test_empty_and_null_values(metadata: str, sandbox: Sandbox) -> None:
    load(sandbox, b"001\n002-\n", metadata=metadata)
    assert rows(sandbox) == ([(1, ""), (2, "-")] if "empty" in metadata else [(1, None), (2, None)])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (", position: {first: 3, last: 7}", "", "attribute 'label' has no position"),
        ("first: 3, last: 7", "first: 3, last: 2", "last is not before first"),
        ("first: 3, last: 7", "first: -3, last: 2", "position.first is -3"),
        ("METADATA", "withHeader: true", "have no header"),
        ("type: string", "type: string, array: true", "plain values only"),
    ],
)
def test_what_is_no_position(old: str, new: str, message: str, sandbox: Sandbox) -> None:
    sandbox.table("items", ITEMS.replace(old, new).replace("METADATA", "quote: ''"))
    sandbox.staged("items.txt", "001Ann\n")
    result = sandbox.run("load")
    assert result.code == 1
    assert message in result.err


def test_the_filter_is_about_the_columns(sandbox: Sandbox) -> None:
    table = ITEMS.replace("METADATA", "quote: ''") + """      filter: "label like 'A%' and id > 1"\n"""
    sandbox.table("items", table)
    sandbox.staged("items.txt", "001Ann  \n002Bob  \n003Al   \n")
    assert "3 row(s) from 1 file(s), 0 rejected" in sandbox.run("load").out
    assert rows(sandbox) == [(3, "Al   ")]
