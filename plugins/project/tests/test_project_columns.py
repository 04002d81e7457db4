"""The columns of transforms, and the columns that they are computed from: expectations written by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlake_core_project import publish
from starlake_core_project.bakery import write_bakery
from starlake_core_project.column_lineage import Known, query_columns

KNOWN = Known()
KNOWN.add("raw.Orders", ["id", "Amount", "day"])
KNOWN.add("raw.items", ["id", "price", "name"])


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
            {"id": "raw.items.id", "price": "raw.items.price", "name": "raw.items.name"},
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


def test_columns_of_a_project_when_asked_for(tmp_path: Path) -> None:
    write_bakery(tmp_path, days=1)
    for asked in (False, True):
        made = publish(tmp_path, orchestrator="local", environment="duckdb", columns=asked)
        about = {task.details.name: task.details for pipeline in made for task in pipeline.tasks() if task.details}
        columns = {column.name: column.sources for column in about["kpi.overview"].columns}
        if not asked:
            assert columns == {}
    assert columns["revenue"] == ("kpi.product_sales.revenue",)
    sales = {column.name: column.sources for column in about["kpi.product_sales"].columns}
    assert sales["revenue"] == ("starbake.Orders.quantity", "starbake.Orders.unit_price")
