"""Structures and lists in JSON: their values are checked and converted like those of columns."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Sandbox

ORDERS = """
table:
  pattern: "orders.*"
  attributes:
    - {name: id, type: int}
    - name: buyer
      type: struct
      attributes:
        - {name: name, type: string, required: true, rename: full_name, trim: BOTH}
        - {name: since, type: day}
        - {name: kind, type: string, default: guest}
        - {name: note, type: string, ignore: true}
    - name: lines
      type: struct
      array: true
      attributes: [{name: sku, type: code}, {name: tags, type: string, array: true}]
    - {name: marks, type: int, array: true}
  metadata: {format: JSON}
"""
TYPES = "types: [{name: day, primitiveType: date, pattern: dd/MM/yyyy}, {name: code, primitiveType: string, pattern: '[A-Z]+'}]"
BUYER = {"name": " Ann ", "since": "31/01/2024", "note": "x"}


def load(sandbox: Sandbox, *orders: dict[str, Any], **environ: str) -> list[str]:
    """Load orders; return what was wrong with the rejected ones."""
    sandbox.write("metadata/types/types.sl.yml", TYPES)
    sandbox.table("orders", ORDERS)
    sandbox.staged("orders.json", "".join(json.dumps(order) + "\n" for order in orders))
    result = sandbox.run("load", **environ)
    assert result.code == 0, result.err
    return [errors for (errors,) in sandbox.query("SELECT errors FROM starlake_core.rejected ORDER BY row_number")]


def test_values_are_converted_and_named(sandbox: Sandbox) -> None:
    assert (
        load(sandbox, {"id": 1, "buyer": BUYER, "lines": [{"sku": "AB", "tags": ["x", None]}, {}], "marks": [1, "2"]})
        == []
    )
    columns = sandbox.query(
        "SELECT buyer.full_name, CAST(buyer.since AS VARCHAR), buyer.kind, lines, marks FROM shop.orders"
    )
    assert columns == [
        ("Ann", "2024-01-31", "guest", [{"sku": "AB", "tags": ["x", None]}, {"sku": None, "tags": None}], [1, 2])
    ]
    assert sandbox.query("SELECT typeof(buyer) FROM shop.orders") == [
        ("STRUCT(full_name VARCHAR, since DATE, kind VARCHAR)",)
    ]


@pytest.mark.parametrize(
    ("order", "fault"),
    [
        ({"buyer": {"since": "31/01/2024"}}, "buyer.name: a value is required"),
        ({"buyer": None}, "buyer.name: a value is required"),
        ({}, "buyer.name: a value is required"),
        ({"buyer": "Ann"}, "buyer: '\"Ann\"' is not a valid struct"),
        ({"buyer": {"name": {"first": "A"}}}, 'buyer.name: \'{"first":"A"}\' is not a valid string'),
        ({"buyer": {**BUYER, "since": "2024-01-31"}}, "buyer.since: '2024-01-31' is not a valid day"),
        ({"buyer": BUYER, "lines": [{"sku": "AB"}, {"sku": "ab"}]}, "lines.sku: 'ab' is not a valid code"),
        ({"buyer": BUYER, "lines": {"sku": "AB"}}, 'lines: \'{"sku":"AB"}\' is not a valid struct list'),
        ({"buyer": BUYER, "marks": [1, "x"]}, "marks: 'x' is not a valid int"),
    ],
)
def test_a_wrong_value_rejects_the_record(sandbox: Sandbox, order: dict[str, Any], fault: str) -> None:
    assert load(sandbox, order, {"id": 2, "buyer": BUYER}) == [fault]
    assert sandbox.query("SELECT id FROM shop.orders") == [(2,)]


def test_a_missing_structure_has_missing_values(sandbox: Sandbox) -> None:
    sandbox.table(
        "orders",
        "table: {pattern: orders.*, attributes: [{name: a, type: struct, attributes: [{name: b}]}], metadata: {format: JSON}}",
    )
    sandbox.staged("orders.json", '{"a": null}\n{}\n{"a": {}}\n')
    assert sandbox.run("load").code == 0
    assert sandbox.query("SELECT a FROM shop.orders") == [({"b": None},)] * 3


@pytest.mark.parametrize(("environ", "wanted"), [({}, [(1,), (2,)]), ({"SL_DUCKDB_COMPAT": "starlake"}, [(1,)])])
def test_lines_where_an_array_is_wanted(sandbox: Sandbox, environ: dict[str, str], wanted: list[tuple[int]]) -> None:
    """Starlake reads the first object only."""
    sandbox.table(
        "orders",
        "table: {pattern: orders.*, attributes: [{name: id, type: int}], metadata: {format: JSON, array: true}}",
    )
    sandbox.staged("orders.json", '{"id": 1}\n{"id": 2}\n')
    assert sandbox.run("load", **environ).code == 0
    assert sandbox.query("SELECT id FROM shop.orders") == wanted


@pytest.mark.parametrize(
    ("empty", "wanted"),
    [("true", [(None, "D", {"x": None}, [None, "a"])]), ("false", [(None, "", {"x": ""}, ["", "a"])])],
)
def test_an_empty_text_is_null_as_in_other_formats(
    sandbox: Sandbox, empty: str, wanted: list[tuple[object, ...]]
) -> None:
    sandbox.table(
        "empty",
        f"""
        table:
          pattern: empty.*
          attributes:
            - {{name: n, type: int}}
            - {{name: a, type: string, default: D}}
            - {{name: s, type: struct, attributes: [{{name: x, type: string}}]}}
            - {{name: l, type: string, array: true}}
          metadata: {{format: JSON, emptyIsNull: {empty}}}
        """,
    )
    number = '""' if empty == "true" else "null"
    sandbox.staged("empty.json", f'{{"n": {number}, "a": "", "s": {{"x": ""}}, "l": ["", "a"]}}\n')
    assert sandbox.run("load").code == 0
    assert sandbox.query("SELECT * FROM shop.empty") == wanted


@pytest.mark.parametrize("environ", [{}, {"SL_DUCKDB_COMPAT": "starlake"}])
def test_a_message_has_the_name_that_the_file_came_with(sandbox: Sandbox, environ: dict[str, str]) -> None:
    sandbox.table(
        "broken",
        "table: {pattern: broken.*, attributes: [{name: n, type: int}], metadata: {format: JSON, array: true}}",
    )
    sandbox.staged("broken.json", '[{"n": 1}, {"n": 2}')
    result = sandbox.run("load", **environ)
    assert result.code == 1
    assert 'Malformed JSON in file "broken.json"' in result.err
    assert "LINE 1" not in result.err
    assert str(sandbox.root) not in result.err


@pytest.mark.parametrize("environ", [{}, {"SL_DUCKDB_COMPAT": "starlake"}])
@pytest.mark.parametrize("layout", ["{}\n", "[{}]"])
def test_numbers_keep_all_their_digits(sandbox: Sandbox, layout: str, environ: dict[str, str]) -> None:
    sandbox.write("metadata/types/types.sl.yml", "types: [{name: exact, primitiveType: decimal, pattern: '-?[0-9.]+'}]")
    sandbox.table(
        "orders",
        """
        table:
          pattern: "orders.*"
          attributes:
            - {name: a, type: exact}
            - {name: s, type: struct, attributes: [{name: b, type: exact}, {name: l, type: exact, array: true}]}
            - {name: t, type: string}
            - {name: d, type: double}
            - {name: v, type: variant}
          metadata: {format: JSON}
        """,
    )
    number = "-12345678901234567890.123456789"
    text = r'a "quoted" 12345678901234567890.5, \\'
    record = (
        f'{{"a": {number}, "s": {{"b": {number}, "l": [{number},{number}]}}, "t": {json.dumps(text)}, '
        '"d": 1.2345678901234567890123e5, "v": {"x": 0.12345678901234567890}}'
    )
    sandbox.staged("orders.json", layout.replace("{}", record))
    result = sandbox.run("load", **environ)
    assert "1 row(s) from 1 file(s), 0 rejected" in result.out, result.err
    found = sandbox.query("SELECT a::VARCHAR, s.b::VARCHAR, s.l::VARCHAR[], t, d, json_type(v.x) FROM shop.orders")
    assert found == [(number, number, [number, number], text, 123456.78901234568, "DOUBLE")]
