"""Write strategies, for loads and transforms: keys, partitions, versions, and columns that change."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Sandbox

COMPAT = {"SL_DUCKDB_COMPAT": "starlake"}
KEYED = ("UPSERT_BY_KEY", "DELETE_THEN_INSERT")


def declare(sandbox: Sandbox, strategy: str, attributes: str = "", sink: str = "{}", name: str = "items") -> None:
    sandbox.table(
        name,
        f"""
        table:
          pattern: "{name}.*"
          attributes:
            - {{name: id, type: int}}
            - {{name: label, type: string}}
            {attributes}
          metadata: {{writeStrategy: {strategy}, sink: {sink}}}
        """,
    )


def load(sandbox: Sandbox, text: str, **environ: str) -> None:
    sandbox.staged("items.csv", text)
    result = sandbox.run("load", **environ)
    assert result.code == 0, result.err


def rows(sandbox: Sandbox, columns: str = "id, label", table: str = "shop.items") -> list[tuple[object, ...]]:
    return sandbox.query(f"SELECT {columns} FROM {table} ORDER BY ALL")


def task(sandbox: Sandbox, sql: str, strategy: str, more: str = "") -> None:
    sandbox.write("metadata/transform/kpi/t.sql", sql)
    sandbox.write("metadata/transform/kpi/t.sl.yml", f"task: {{writeStrategy: {strategy}{more}}}")


def transform(sandbox: Sandbox, sql: str, strategy: str, more: str = "", *arguments: str) -> None:
    task(sandbox, sql, strategy, more)
    result = sandbox.run("transform", "--name", "kpi.t", *arguments)
    assert result.code == 0, result.err


@pytest.mark.parametrize("kind", KEYED)
def test_a_row_without_a_key_replaces_nothing(sandbox: Sandbox, kind: str) -> None:
    declare(sandbox, f"{{type: {kind}, key: [id, label]}}")
    load(sandbox, "id,label\n1,\n,a\n,a\n2,b\n")
    load(sandbox, "id,label\n1,\n,a\n2,b\n")
    assert rows(sandbox) == [(1, None), (1, None), (2, "b"), (None, "a"), (None, "a"), (None, "a")]


def test_delete_then_insert_keeps_every_new_row(sandbox: Sandbox) -> None:
    declare(sandbox, "{type: DELETE_THEN_INSERT, key: id}")
    load(sandbox, "id,label\n1,a\n2,b\n")
    load(sandbox, "id,label\n2,x\n2,y\n3,c\n")
    assert rows(sandbox) == [(1, "a"), (2, "x"), (2, "y"), (3, "c")]


@pytest.mark.parametrize(
    ("on", "environ", "expected"),
    [
        ("TARGET", {}, [(1, "b"), (2, "c")]),
        ("SOURCE_AND_TARGET", COMPAT, [(1, "b"), (2, "c")]),
        ("TARGET", COMPAT, [(1, "a"), (1, "b"), (2, "c")]),
    ],
)
def test_rows_with_one_key_in_a_file(
    sandbox: Sandbox, on: str, environ: dict[str, str], expected: list[tuple[object, ...]]
) -> None:
    declare(sandbox, f"{{type: UPSERT_BY_KEY, key: ID, on: {on}}}")
    load(sandbox, "id,label\n1,z\n", **environ)
    load(sandbox, "id,label\n1,a\n1,b\n2,c\n", **environ)
    assert rows(sandbox) == expected


def test_a_row_without_a_timestamp_is_the_oldest(sandbox: Sandbox) -> None:
    declare(sandbox, "{type: UPSERT_BY_KEY_AND_TIMESTAMP, key: id, timestamp: d}", "- {name: d, type: date}")
    load(sandbox, "id,label,d\n1,a,2026-01-01\n2,b,\n3,c,\n")
    load(sandbox, "id,label,d\n1,x,\n2,y,2026-01-01\n3,z,\n")
    assert rows(sandbox) == [(1, "a"), (2, "y"), (3, "z")]


def test_partitions_are_replaced(sandbox: Sandbox) -> None:
    declare(
        sandbox,
        "{type: OVERWRITE_BY_PARTITION}",
        "- {name: day, type: date, rename: Day}",
        "{partition: [day, label]}",
    )
    load(sandbox, "id,label,day\n1,a,2026-01-01\n2,a,2026-01-02\n3,b,2026-01-02\n4,a,\n")
    load(sandbox, "id,label,day\n5,a,2026-01-02\n6,a,2026-01-02\n7,a,\n8,c,2026-01-01\n")
    assert [row[0] for row in rows(sandbox)] == [1, 3, 5, 6, 7, 8]


def test_partitions_of_a_transform(sandbox: Sandbox) -> None:
    more, sql = ", sink: {partition: [day]}", "SELECT {{n}} AS n, DATE '{{day}}' AS day"
    for n, day in ((1, "2026-01-01"), (2, "2026-01-02"), (3, "2026-01-02")):
        transform(sandbox, sql, "{type: OVERWRITE_BY_PARTITION}", more, "--options", f"n={n},day={day}")
    assert rows(sandbox, "n", "kpi.t") == [(1,), (3,)]


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        ("{type: OVERWRITE_BY_PARTITION}", "needs sink.partition, the columns of a partition"),
        ("{type: DELETE_THEN_INSERT}", "needs writeStrategy.key or primaryKey"),
        ("{type: SCD2, timestamp: label}", "needs writeStrategy.key or primaryKey"),
        ("{type: SCD2, key: id, timestamp: day}", "names day, which is not a column (columns: id, label)"),
        ("{type: SCD2, key: id, startTs: x, endTs: X}", "startTs and endTs of the write strategy are both 'x'"),
        ("{type: MERGE_ALL}", "the write strategy MERGE_ALL of shop.items is not supported"),
    ],
)
def test_what_a_strategy_needs_is_said(sandbox: Sandbox, strategy: str, message: str) -> None:
    declare(sandbox, strategy)
    sandbox.staged("items.csv", "id,label\n1,a\n")
    result = sandbox.run("load")
    assert result.code == 1
    assert message in result.err


SCD2 = "{type: SCD2, key: [id], timestamp: d}"
DATED = "- {name: d, type: date}"
VERSIONS = "id, label, sl_start_ts IS NULL, sl_end_ts IS NULL"


@pytest.mark.parametrize("environ", [{}, COMPAT])
def test_a_newer_row_closes_the_current_version(sandbox: Sandbox, environ: dict[str, str]) -> None:
    declare(sandbox, SCD2, DATED)
    load(sandbox, "id,label,d\n1,a,2026-01-01\n2,b,2026-01-01\n3,c,2026-01-05\n4,d,2026-01-01\n", **environ)
    assert {row[2:] for row in rows(sandbox, VERSIONS)} == {(True, True)}, "nobody knows when the first ones began"
    before = datetime.now(timezone.utc).replace(tzinfo=None) - timedelta(seconds=1)
    load(sandbox, "id,label,d\n1,x,2026-01-02\n3,late,2026-01-04\n4,same,2026-01-01\n5,e,2026-01-01\n", **environ)
    assert rows(sandbox, VERSIONS) == [
        (1, "a", True, False),
        (1, "x", False, True),
        (2, "b", True, True),
        (3, "c", True, True),
        (4, "d", True, True),
        (5, "e", False, True),
    ]
    ((ended, started),) = sandbox.query("SELECT max(sl_end_ts), max(sl_start_ts) FROM shop.items WHERE id = 1")
    assert ended == started > before, "the time of the load, not of the row"
    types = sandbox.query("SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 'items'")
    assert types[-2:] == [("sl_start_ts", "TIMESTAMP"), ("sl_end_ts", "TIMESTAMP")]
    load(sandbox, "id,label,d\n1,y,2026-01-03\n", **environ)
    assert rows(sandbox, "label, sl_end_ts IS NULL", "shop.items WHERE id = 1") == [
        ("a", False),
        ("x", False),
        ("y", True),
    ]


def test_several_versions_in_one_file(sandbox: Sandbox) -> None:
    declare(sandbox, SCD2, DATED)
    text = "id,label,d\n1,c,2026-01-03\n1,a,2026-01-01\n1,b,2026-01-02\n1,b2,2026-01-02\n,x,\n,x,\n"
    load(sandbox, text)
    versions = [(1, "a", True, False), (1, "b2", False, False), (1, "c", False, True)]
    assert rows(sandbox, VERSIONS, "shop.items WHERE id = 1") == versions
    load(sandbox, text)
    assert rows(sandbox, VERSIONS, "shop.items WHERE id = 1") == versions, "the same file again changes nothing"
    assert rows(sandbox, "count(*)", "shop.items WHERE id IS NULL AND sl_end_ts IS NULL") == [(4,)]
    declare(sandbox, "{type: SCD2, key: [id], timestamp: d, on: SOURCE_AND_TARGET}", DATED)
    load(sandbox, "id,label,d\n1,e,2026-01-05\n1,d,2026-01-04\n")
    assert rows(sandbox, "label", "shop.items WHERE id = 1") == [("a",), ("b2",), ("c",), ("e",)]


def test_versions_without_a_timestamp(sandbox: Sandbox) -> None:
    declare(sandbox, "{type: SCD2, key: [id], startTs: valid_from, endTs: valid_to}")
    load(sandbox, "id,label\n1,a\n2,b\n")
    load(sandbox, "id,label\n1,a\n2,x\n2,y\n")
    assert rows(sandbox, "id, label, valid_to IS NULL") == [(1, "a", True), (2, "b", False), (2, "y", True)]


def test_the_project_may_name_the_columns_of_versions(sandbox: Sandbox) -> None:
    sandbox.write("metadata/application.sl.yml", "application: {scd2StartTimestamp: since}")
    declare(sandbox, SCD2, DATED)
    load(sandbox, "id,label,d\n1,a,2026-01-01\n", SL_SCD2_END_TIMESTAMP="until")
    assert rows(sandbox, "since, until") == [(None, None)]


def test_a_table_becomes_versioned(sandbox: Sandbox) -> None:
    declare(sandbox, "{type: APPEND}", DATED)
    load(sandbox, "id,label,d\n1,a,2026-01-01\n")
    # The columns of the versions may also be attributes; a file cannot set them.
    declare(sandbox, SCD2, f"{DATED}\n            - {{name: sl_end_ts, type: timestamp}}")
    load(sandbox, "id,label,d,sl_end_ts\n1,b,2026-01-02,2026-01-02 00:00:00\n")
    assert rows(sandbox, "label, sl_end_ts IS NULL") == [("a", False), ("b", True)]


def test_versions_of_a_transform(sandbox: Sandbox) -> None:
    sql = "SELECT 1 AS id, '{{label}}' AS label, DATE '{{day}}' AS d"
    for label, day in (("a", "2026-01-02"), ("late", "2026-01-01"), ("b", "2026-01-03")):
        transform(sandbox, sql, SCD2, "", "--options", f"label={label},day={day}")
    assert rows(sandbox, VERSIONS, "kpi.t") == [(1, "a", True, False), (1, "b", False, True)]
    transform(sandbox, sql, SCD2, "", "--truncate", "true", "--options", "label=c,day=2026-01-01")
    assert rows(sandbox, VERSIONS, "kpi.t") == [(1, "c", False, True)]


STRATEGIES = [
    "{type: APPEND}",
    "{type: OVERWRITE}",
    "{type: UPSERT_BY_KEY, key: id}",
    "{type: UPSERT_BY_KEY_AND_TIMESTAMP, key: id, timestamp: day}",
    "{type: DELETE_THEN_INSERT, key: id}",
    "{type: OVERWRITE_BY_PARTITION}",
    "{type: SCD2, key: id, timestamp: day}",
]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_new_column_and_one_that_is_gone(sandbox: Sandbox, strategy: str) -> None:
    declare(sandbox, strategy, "- {name: day, type: date}", "{partition: [id]}")
    load(sandbox, "id,label,day\n1,a,2026-01-01\n")
    sandbox.table(
        "items",
        f"""
        table:
          pattern: "items.*"
          attributes: [{{name: ID, type: int}}, {{name: day, type: date}}, {{name: city}}]
          metadata: {{writeStrategy: {strategy}, sink: {{partition: [id]}}}}
        """,
    )
    load(sandbox, "ID,day,city\n2,2026-01-02,Rome\n")
    old = [] if "OVERWRITE}" in strategy else [(1, "a", None)]
    assert rows(sandbox, "id, label, city") == [*old, (2, None, "Rome")]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_value_that_the_column_cannot_hold(sandbox: Sandbox, strategy: str) -> None:
    declare(sandbox, strategy, "- {name: day, type: date}", "{partition: [label]}")
    load(sandbox, "id,label,day\n1,a,2026-01-01\n")
    kept = sandbox.query("SELECT * FROM shop.items")
    declare(
        sandbox,
        strategy.replace("key: id", "key: label"),
        "- {name: day, type: date}\n            - {name: n, type: string, rename: id2}",
        "{partition: [label]}",
    )
    load(sandbox, "id,label,day,n\n1,a,2026-01-01,5\n")
    sandbox.query("ALTER TABLE shop.items ALTER id2 TYPE INTEGER USING NULL")
    sandbox.staged("items.csv", "id,label,day,n\n2,a,2026-01-03,x5\n")
    result = sandbox.run("load")
    assert result.code == 1
    assert "shop.items: Conversion Error: Could not convert string 'x5' to INT32" in result.err
    assert "the column id2 is INTEGER in the table, and its new values are VARCHAR" in result.err
    assert sandbox.query("SELECT id, label FROM shop.items WHERE id = 1")[:1] == [kept[0][:2]]
    assert sandbox.files("stage") == ["shop/items.csv"]


@pytest.mark.parametrize("environ", [{}, COMPAT], ids=["default", "compat"])
@pytest.mark.parametrize(
    ("strategy", "column"),
    [
        ("{type: UPSERT_BY_KEY, key: label}", "label"),
        ("{type: UPSERT_BY_KEY_AND_TIMESTAMP, key: id, timestamp: label}", "label"),
        ("{type: DELETE_THEN_INSERT, key: [id, label]}", "label"),
        ("{type: OVERWRITE_BY_PARTITION}", "label"),
        ("{type: SCD2, key: label}", "label"),
        ("{type: SCD2, key: id, timestamp: label}", "label"),
    ],
)
def test_a_column_of_the_strategy_with_another_type(
    sandbox: Sandbox, strategy: str, column: str, environ: dict[str, str]
) -> None:
    declare(sandbox, strategy, sink="{partition: [label]}")
    load(sandbox, "id,label\n1,2026-01-01\n", **environ)
    sandbox.query("ALTER TABLE shop.items ALTER label TYPE DATE")
    sandbox.staged("items.csv", "id,label\n1,x\n")
    result = sandbox.run("load", **environ)
    assert result.code == 1
    assert f"the column {column} is DATE in the table, and its new values are VARCHAR; change the type" in result.err
    assert rows(sandbox, "id") == [(1,)]


def test_rows_are_not_written_into_a_view(sandbox: Sandbox) -> None:
    sandbox.write("metadata/transform/shop/items.sl.yml", "task: {sink: {materializedView: VIEW}, sql: SELECT 1 AS id}")
    assert sandbox.run("transform", "--name", "shop.items").code == 0
    sandbox.staged("items.csv", "id,label\n1,a\n")
    result = sandbox.run("load")
    assert result.code == 1
    assert "shop.items is a view in the database" in result.err
    assert "DROP VIEW shop.items" in result.err
    assert sandbox.files("stage") == ["shop/items.csv"]


@pytest.mark.parametrize("strategy", ["{type: APPEND}", "{type: UPSERT_BY_KEY, key: id}", "{type: SCD2, key: id}"])
def test_a_structure_gets_the_fields_that_it_lacks(sandbox: Sandbox, strategy: str) -> None:
    def declare_fields(fields: str) -> None:
        sandbox.table(
            "items",
            f"""
            table:
              pattern: "items.*"
              attributes:
                - {{name: id, type: int}}
                - {{name: s, type: struct, attributes: [{fields}]}}
                - {{name: l, type: struct, array: true, attributes: [{{name: in, type: struct, attributes: [{fields}]}}]}}
              metadata: {{format: JSON, writeStrategy: {strategy}}}
            """,
        )

    declare_fields("{name: x, type: int}")
    load(sandbox, '{"id": 1, "s": {"x": 1}, "l": [{"in": {"x": 1}}]}\n{"id": 2}\n')
    declare_fields("{name: Order y, type: string}, {name: X, type: int}")
    load(sandbox, '{"id": 3, "s": {"X": 3, "Order y": "a"}, "l": [{"in": {"X": 3, "Order y": "b"}}]}\n')
    declare_fields("{name: Order y, type: string}")
    load(sandbox, '{"id": 4, "s": {"Order y": "c"}}\n')
    found = rows(sandbox, 'id, s.x, s."Order y", l[1]."in".x, l[1]."in"."Order y"')
    assert found == [
        (1, 1, None, 1, None),
        (2, None, None, None, None),
        (3, 3, "a", 3, "b"),
        (4, None, "c", None, None),
    ]


def test_a_structure_of_a_transform_gets_the_fields_that_it_lacks(sandbox: Sandbox) -> None:
    for sql in (
        "SELECT 1 AS id, {'x': 1} AS s",
        "SELECT 2 AS id, {'z': 5, 'x': 2} AS s",
        "SELECT 3 AS id, {'z': 6} AS s",
    ):
        sandbox.write("metadata/transform/kpi/t.sql", sql)
        assert sandbox.run("transform", "--name", "kpi.t").code == 0
    assert rows(sandbox, "id, s.x, s.z", "kpi.t") == [(1, 1, None), (2, 2, 5), (3, None, 6)]


def test_a_structure_in_a_map_gets_the_fields_that_it_lacks(sandbox: Sandbox) -> None:
    for sql in ("SELECT 1 AS id, MAP {'k': {'x': 1}} AS m", "SELECT 2 AS id, MAP {'k': {'z': 'a', 'x': 2}} AS m"):
        sandbox.write("metadata/transform/kpi/t.sql", sql)
        assert sandbox.run("transform", "--name", "kpi.t").code == 0
    assert rows(sandbox, "id, m['k'].x, m['k'].z", "kpi.t") == [(1, 1, None), (2, 2, "a")]
