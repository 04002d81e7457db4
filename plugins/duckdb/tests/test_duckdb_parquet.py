"""Files of the format PARQUET, whose columns have types of their own."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from datetime import date, datetime
from typing import TYPE_CHECKING

import duckdb
import pytest

if TYPE_CHECKING:
    from conftest import Result, Sandbox

ITEMS = """
    table:
      pattern: "items.*"
      attributes:
        - {name: id, type: int, required: true}
        - {name: value, type: TYPE}
      metadata: {format: PARQUET, METADATA}
"""
TYPES = """
    types:
      - {name: french, primitiveType: date, pattern: dd/MM/yyyy}
      - {name: moment, primitiveType: timestamp, pattern: "yyyy-MM-dd HH:mm:ss", ddlMapping: {duckdb: TIMESTAMP}}
      - {name: oui, primitiveType: boolean, pattern: "oui<-TF->non"}
      - {name: letters, primitiveType: string, pattern: "[a-z]+"}
"""


def write(sandbox: Sandbox, query: str, name: str = "items.parquet") -> bytes:
    path = sandbox.staged(name, "")
    path.unlink()
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
    return path.read_bytes()


def load(
    sandbox: Sandbox, query: str, kind: str = "string", metadata: str = "withHeader: false", **environ: str
) -> Result:
    sandbox.table("items", ITEMS.replace("TYPE", kind).replace("METADATA", metadata))
    sandbox.write("metadata/types/types.sl.yml", TYPES)
    write(sandbox, query)
    return sandbox.run("load", **environ)


def rejected(sandbox: Sandbox) -> list[tuple[object, ...]]:
    return sandbox.query("SELECT file, row_number, record, errors FROM starlake_core.rejected ORDER BY ALL")


@pytest.mark.parametrize(
    ("kind", "stored", "expected"),
    [
        ("string", "'x'", "x"),
        ("string", "''", None),
        ("string", "12", "12"),
        ("string", "DATE '2024-01-31'", "2024-01-31"),
        ("int", "7::BIGINT", 7),
        ("int", "'7'", 7),
        ("double", "1e300", 1e300),
        ("double", "0.1::FLOAT", 0.1),
        ("date", "DATE '2024-01-31'", date(2024, 1, 31)),
        ("date", "TIMESTAMP '2024-01-31'", date(2024, 1, 31)),
        ("french", "DATE '2024-01-31'", date(2024, 1, 31)),
        ("french", "'31/01/2024'", date(2024, 1, 31)),
        ("moment", "TIMESTAMP '2024-01-31 10:00:00.123456'", datetime(2024, 1, 31, 10, 0, 0, 123456)),
        ("moment", "TIMESTAMPTZ '2024-01-31 10:00:00+02'", datetime(2024, 1, 31, 8)),
        ("moment", "'2024-01-31 10:00:00'", datetime(2024, 1, 31, 10)),
        ("oui", "true", True),
        ("oui", "'non'", False),
        ("variant", "{a: 1, b: [2]}", '{"a":1,"b":[2]}'),
        ("variant", """'{"a":1}'""", '{"a":1}'),
        ("variant", "'plain'", '"plain"'),
        ("string", "NULL::INTEGER", None),
    ],
)
def test_values(kind: str, stored: str, expected: object, sandbox: Sandbox) -> None:
    result = load(sandbox, f"SELECT 1 AS id, {stored} AS value", kind)
    assert "1 row(s) from 1 file(s), 0 rejected" in result.out, (result.err, result.out)
    assert sandbox.query("SELECT value FROM shop.items") == [(expected,)]


@pytest.mark.parametrize(
    ("kind", "stored", "shown"),
    [
        ("int", "1.5", "1.5"),
        ("int", "'x'", "x"),
        ("int", "3000000000", "3000000000"),
        ("double", "'nan'", "nan"),
        ("int", "'nan'::DOUBLE", "nan"),
        ("date", "TIMESTAMP '2024-01-31 10:00:00'", "at 2024-01-31 10:00:00"),
        ("french", "'2024-01-31'", "2024-01-31"),
        ("letters", "'A'", "A"),
        ("int", "[1]", "[1]"),
    ],
)
def test_a_value_of_another_type_is_rejected(kind: str, stored: str, shown: str, sandbox: Sandbox) -> None:
    result = load(sandbox, f"SELECT 1 AS id, NULL AS value UNION ALL SELECT 2, {stored}", kind)
    assert "1 row(s) from 1 file(s), 1 rejected" in result.out, (result.err, result.out)
    ((file, number, record, errors),) = rejected(sandbox)
    assert (file, number) == ("items.parquet", 2)
    assert '"id":2' in str(record)
    assert shown in str(errors)
    assert sandbox.query("SELECT * FROM shop.items") == [(1, None)]


def test_numbers_that_are_not_finite_are_kept(sandbox: Sandbox) -> None:
    sandbox.write("metadata/types/types.sl.yml", TYPES)
    sandbox.table(
        "items",
        """
        table:
          pattern: "items.*"
          attributes:
            - {name: n, type: double}
            - {name: f, type: double}
            - {name: s, type: struct, attributes: [{name: x, type: double}]}
            - {name: l, type: double, array: true}
          metadata: {format: PARQUET}
        """,
    )
    numbers = "'nan'::DOUBLE AS n, '-inf'::FLOAT AS f"
    write(sandbox, f"SELECT {numbers}, {{x: 'inf'::DOUBLE}} AS s, ['nan'::DOUBLE, '-inf'::DOUBLE, 1.5] AS l")
    assert "1 row(s) from 1 file(s), 0 rejected" in sandbox.run("load").out
    found = "SELECT n::VARCHAR, f::VARCHAR, s.x::VARCHAR, l::VARCHAR[] FROM shop.items"
    assert sandbox.query(found) == [("nan", "-inf", "inf", ["nan", "-inf", "1.5"])]


def test_a_missing_column_is_null_and_one_that_is_not_declared_is_left_out(sandbox: Sandbox) -> None:
    assert load(sandbox, "SELECT 1 AS id, 'x' AS extra").code == 0
    assert sandbox.query("SELECT * FROM shop.items") == [(1, None)]


def test_a_required_column_that_is_missing_rejects_every_row(sandbox: Sandbox) -> None:
    assert "0 row(s) from 1 file(s), 2 rejected" in load(sandbox, "SELECT 'x' AS value FROM range(2)").out


def test_a_file_with_none_of_the_columns_fails_by_name(sandbox: Sandbox) -> None:
    result = load(sandbox, "SELECT 1 AS other, 2 AS another")
    assert result.code == 1
    assert "items.parquet has none of the columns of shop.items: found other, another" in result.err


def test_nested_columns(sandbox: Sandbox) -> None:
    sandbox.table(
        "items",
        """
        table:
          pattern: "items.*"
          attributes:
            - {name: id, type: int}
            - {name: tags, type: string, array: true}
            - {name: maker, type: struct, attributes: [{name: name, type: string}, {name: since, type: date}]}
          metadata: {format: PARQUET}
        """,
    )
    write(
        sandbox,
        "SELECT 1 AS id, ['a', 'b'] AS tags, {name: 'x', since: DATE '2024-01-31', more: 1} AS maker UNION ALL SELECT 2, NULL, NULL",
    )
    assert sandbox.run("load").code == 0
    maker = {"name": "x", "since": date(2024, 1, 31)}
    missing = dict.fromkeys(maker)  # as in Starlake, a structure that is missing has fields that are
    assert sandbox.query("SELECT * FROM shop.items") == [(1, ["a", "b"], maker), (2, None, missing)]


def test_rows_keep_the_order_of_the_file(sandbox: Sandbox) -> None:
    query = (
        "SELECT CASE WHEN range % 10000 = 9999 THEN NULL ELSE range END AS id, 'v' || range AS value FROM range(300000)"
    )
    assert "299970 row(s) from 1 file(s), 30 rejected" in load(sandbox, query).out
    assert all(json.loads(str(row[2]))["value"] == f"v{row[1] - 1}" for row in rejected(sandbox))  # type: ignore[operator]


@pytest.mark.parametrize("ending", ["gz", "zip"])
def test_a_compressed_file(ending: str, sandbox: Sandbox) -> None:
    load(sandbox, "SELECT 1 AS id")
    data = write(sandbox, "SELECT 2 AS id")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.parquet", data)
    (sandbox.root / "datasets/stage/shop/items.parquet").unlink()
    sandbox.staged(f"items.{ending}", "").write_bytes(gzip.compress(data) if ending == "gz" else packed.getvalue())
    assert sandbox.run("load").code == 0
    assert sandbox.query("SELECT id FROM shop.items ORDER BY ALL") == [(1,), (2,)]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1 AS id, repeat('x', 1000) AS value FROM range(20000)",
        "SELECT 1 AS id, NULL::INTEGER AS value FROM range(2000000)",
    ],
)
def test_what_a_dictionary_becomes_is_bounded(query: str, sandbox: Sandbox) -> None:
    result = load(sandbox, query, SL_DUCKDB_MAX_DECOMPRESSED="1M")
    assert result.code == 1
    assert "items.parquet becomes larger than 1048576 bytes" in result.err
    assert sandbox.files("stage") == ["shop/items.parquet"]


def test_a_broken_file_fails_by_name(sandbox: Sandbox) -> None:
    load(sandbox, "SELECT 1 AS id")
    for data in (b"", b"no parquet", write(sandbox, "SELECT 2 AS id")[:-20]):
        sandbox.staged("items.parquet", "").write_bytes(data)
        result = sandbox.run("load")
        assert result.code == 1
        assert "items.parquet cannot be loaded into shop.items" in result.err
    assert sandbox.query("SELECT id FROM shop.items") == [(1,)]


@pytest.mark.parametrize("kind", ["orc", "avro", "delta"])
def test_what_spark_reads_in_the_same_way_is_refused_by_name(kind: str, sandbox: Sandbox) -> None:
    result = load(sandbox, "SELECT 1 AS id", metadata=f"options: {{format: {kind}}}")
    assert result.code == 1
    assert f"metadata.options.format '{kind}' of the format PARQUET" in result.err
