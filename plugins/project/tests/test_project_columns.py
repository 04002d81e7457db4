"""The columns of transforms, and the columns that they are computed from: expectations written by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlake_core_project import publish
from starlake_core_project.bakery import write_bakery
from starlake_core_project.column_lineage import Known, query_columns

KNOWN = Known()
KNOWN.add("raw.Orders", {"id": "long", "Amount": "decimal", "day": "date", "at": "timestamp", "paid": "boolean"})
KNOWN.add("raw.items", {"id": "long", "price": "double", "name": "string", "odd": "", "tiny": "byte"})


@pytest.mark.parametrize(
    ("dialect", "sql", "expected"),
    [
        ("duckdb", "SELECT id FROM raw.orders", {"id": "raw.Orders.id"}),
        (
            "duckdb",
            "SELECT o.amount * i.price AS total FROM raw.orders o JOIN raw.items i USING (id)",
            {"total": "raw.Orders.Amount raw.items.price"},
        ),
        (
            "duckdb",
            "WITH a AS (SELECT id, amount + 1 AS z FROM raw.orders) SELECT sum(z) AS s FROM a",
            {"s": "raw.Orders.Amount"},
        ),
        (
            "duckdb",
            "SELECT * FROM raw.items",
            {name: f"raw.items.{name}" for name in ("id", "price", "name", "odd", "tiny")},
        ),
        (
            "duckdb",
            "SELECT id FROM raw.orders UNION ALL SELECT price FROM raw.items",
            {"id": "raw.Orders.id raw.items.price"},
        ),
        (
            "duckdb",
            "SELECT (SELECT max(price) FROM raw.items) AS m, 1 AS one FROM raw.orders",
            {"m": "raw.items.price", "one": ""},
        ),
        ("bigquery", "SELECT o.id AS k FROM `raw`.`orders` AS o", {"k": "raw.Orders.id"}),
        ("snowflake", 'SELECT NAME AS "Label" FROM RAW.ITEMS', {"Label": "raw.items.name"}),
        ("postgres", "SELECT upper(name) AS n FROM raw.items", {"n": "raw.items.name"}),
        ("spark", "SELECT name AS n FROM raw.items LATERAL VIEW explode(array(1)) t AS x", {"n": "raw.items.name"}),
        ("duckdb", "SELECT * FROM unknown.things", {}),
        ("duckdb", "SELECT ( FROM raw.items", {}),
    ],
)
def test_columns_of_a_query(dialect: str, sql: str, expected: dict[str, str]) -> None:
    assert {column.name: " ".join(column.sources) for column in query_columns(sql, dialect, KNOWN)} == expected


EXPRESSIONS = {
    "id": "long",
    "name": "string",
    "odd": "",
    "upper(name)": "string",
    "name || 'x'": "string",
    "count(*)": "long",
    "sum(price)": "double",
    "avg(id)": "double",
    "sum(id)": "long",
    "max(tiny)": "byte",
    "id + 1": "long",
    "id * price": "double",
    "price > 1": "boolean",
    "CAST(name AS DATE)": "date",
    "CAST(id AS DECIMAL(10, 2))": "decimal",
    "CAST(name AS VARCHAR(3))": "string",
    "coalesce(price, 0)": "double",
    "CASE WHEN id > 1 THEN 'a' ELSE 'b' END": "string",
    "row_number() OVER ()": "long",
    "[id, id]": "",
    "{'a': id}": "",
    "current_date": "date",
    "id / 2": "double",
}
_AS_IN_DUCKDB = {"HUGEINT": "long", "BIGINT": "long", "VARCHAR": "string", "INTEGER": "int", "TINYINT": "byte"}


@pytest.mark.parametrize(("sql", "expected"), EXPRESSIONS.items())
def test_a_type_is_that_of_duckdb_or_unknown(sql: str, expected: str) -> None:
    import duckdb

    query = f"SELECT {sql} AS c FROM raw.items GROUP BY ALL"
    (column,) = query_columns(query, "duckdb", KNOWN)
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA raw")
        connection.execute(
            "CREATE TABLE raw.items (id BIGINT, price DOUBLE, name VARCHAR, odd STRUCT(a INT), tiny TINYINT)"
        )
        (told,) = connection.execute(f"DESCRIBE {query}").fetchall()
    actual = _AS_IN_DUCKDB.get(told[1], told[1].partition("(")[0].lower())
    assert column.type == expected
    assert column.type in ("", actual)


def test_two_types_in_one_column_are_none() -> None:
    assert [
        one.type for one in query_columns("SELECT id FROM raw.items UNION ALL SELECT id FROM raw.orders", "", KNOWN)
    ] == ["long"]
    assert [
        one.type for one in query_columns("SELECT id FROM raw.items UNION ALL SELECT name FROM raw.items", "", KNOWN)
    ] == [""]


def test_columns_of_a_project_when_asked_for(tmp_path: Path) -> None:
    write_bakery(tmp_path, days=1)
    for asked in (False, True):
        made = publish(tmp_path, orchestrator="local", environment="duckdb", columns=asked)
        about = {task.details.name: task.details for pipeline in made for task in pipeline.tasks() if task.details}
        columns = {column.name: column.sources for column in about["kpi.overview"].columns}
        if not asked:
            assert columns == {}
    assert columns["revenue"] == ("kpi.product_sales.revenue",)
    types = {column.name: column.type for column in about["kpi.product_sales"].columns}
    assert types == {
        "product_id": "int",
        "product": "string",
        "category": "string",
        "orders": "long",
        "sold": "long",
        "revenue": "decimal",  # from a type of the project
    }
    sales = {column.name: column.sources for column in about["kpi.product_sales"].columns}
    assert sales["revenue"] == ("starbake.Orders.quantity", "starbake.Orders.unit_price")
