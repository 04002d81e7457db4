"""Queries and the tables that they read, written by hand before the code.

The project of the cases loads ``raw.orders``, ``raw.customers``, ``raw.items``, ``geo.cities`` and ``geo.lands``, and computes ``kpi.daily``,
``kpi.total`` (by the transform ``kpi.sum``) and ``mart.best``. An expected name is that of a table of the project; what is not listed is no edge.
"""

# ruff: noqa: E501 - queries as people write them
from __future__ import annotations

from typing import NamedTuple

__all__ = ["CASES", "COMMAND_LINE", "CONSTRUCTS", "LOADS", "TASKS", "Case"]

LOADS = ("raw.orders", "raw.customers", "raw.items", "geo.cities", "geo.lands")
TASKS = {"kpi.daily": "kpi.daily", "kpi.sum": "kpi.total", "mart.best": "mart.best"}
"""The table that each transform writes."""


class Case(NamedTuple):
    construct: str
    dialect: str
    sql: str
    reads: str


DUCKDB, BIGQUERY, SNOWFLAKE, POSTGRES, SPARK = "duckdb", "bigquery", "snowflake", "postgres", "spark"

CASES = [
    # -- common table expressions
    Case("cte", DUCKDB, "WITH x AS (SELECT * FROM raw.orders) SELECT * FROM x", "raw.orders"),
    Case(
        "cte",
        DUCKDB,
        "WITH orders AS (SELECT * FROM raw.items) SELECT * FROM orders JOIN raw.customers ON true",
        "raw.items raw.customers",
    ),
    Case(
        "cte",
        DUCKDB,
        "WITH a AS (SELECT * FROM raw.orders), b AS (SELECT * FROM a JOIN raw.items ON true) SELECT * FROM b",
        "raw.orders raw.items",
    ),
    Case(
        "cte",
        DUCKDB,
        "WITH RECURSIVE r AS (SELECT id, 1 AS n FROM raw.orders UNION ALL SELECT id, n + 1 FROM r WHERE n < 3) SELECT * FROM r",
        "raw.orders",
    ),
    Case(
        "cte",
        DUCKDB,
        "WITH daily AS (SELECT id FROM raw.orders) SELECT * FROM kpi.daily JOIN daily AS d ON true",
        "raw.orders kpi.daily",
    ),
    Case(
        "cte",
        DUCKDB,
        "SELECT * FROM (WITH x AS (SELECT * FROM raw.items) SELECT * FROM x) AS y JOIN geo.cities AS x ON true",
        "raw.items geo.cities",
    ),
    Case("cte", DUCKDB, "WITH cities AS (SELECT * FROM cities) SELECT * FROM cities", "geo.cities"),
    Case(
        "cte",
        POSTGRES,
        "WITH x AS MATERIALIZED (SELECT * FROM raw.orders) SELECT * FROM x, raw.items",
        "raw.orders raw.items",
    ),
    Case("cte", POSTGRES, 'WITH "Orders" AS (SELECT 1 AS id) SELECT * FROM "Orders", orders', "raw.orders"),
    Case(
        "cte",
        SNOWFLAKE,
        "WITH r AS (SELECT id, 1 n FROM raw.orders UNION ALL SELECT id, n + 1 FROM r) SELECT * FROM r",
        "raw.orders",
    ),
    Case("cte", BIGQUERY, "WITH Orders AS (SELECT * FROM raw.items) SELECT * FROM orders", "raw.items"),
    Case(
        "cte",
        SPARK,
        "WITH x AS (SELECT * FROM raw.orders) INSERT OVERWRITE TABLE kpi.daily SELECT * FROM x",
        "raw.orders",
    ),
    # -- subqueries
    Case("subquery", DUCKDB, "SELECT * FROM (SELECT * FROM raw.orders) AS o", "raw.orders"),
    Case("subquery", DUCKDB, "SELECT (SELECT max(id) FROM raw.items) AS m FROM raw.orders", "raw.items raw.orders"),
    Case(
        "subquery",
        DUCKDB,
        "SELECT * FROM raw.orders WHERE id IN (SELECT id FROM raw.customers)",
        "raw.orders raw.customers",
    ),
    Case(
        "subquery",
        DUCKDB,
        "SELECT * FROM raw.orders AS o WHERE EXISTS (SELECT 1 FROM raw.items AS i WHERE i.id = o.id)",
        "raw.orders raw.items",
    ),
    Case(
        "subquery",
        DUCKDB,
        "SELECT * FROM raw.orders QUALIFY row_number() OVER (ORDER BY id) > (SELECT count(*) FROM geo.cities)",
        "raw.orders geo.cities",
    ),
    Case(
        "subquery",
        DUCKDB,
        "SELECT CASE WHEN EXISTS (SELECT 1 FROM kpi.daily) THEN 1 ELSE (SELECT count(*) FROM kpi.total) END AS x",
        "kpi.daily kpi.total",
    ),
    Case("subquery", BIGQUERY, "SELECT ARRAY(SELECT id FROM raw.items) AS a FROM raw.orders", "raw.items raw.orders"),
    Case(
        "subquery",
        SNOWFLAKE,
        "SELECT * FROM raw.orders WHERE id = ANY (SELECT id FROM raw.items)",
        "raw.orders raw.items",
    ),
    Case(
        "subquery",
        POSTGRES,
        "SELECT * FROM raw.orders HAVING count(*) > (SELECT avg(id) FROM raw.items)",
        "raw.orders raw.items",
    ),
    Case(
        "subquery",
        SPARK,
        "SELECT * FROM (SELECT * FROM raw.orders) o LEFT ANTI JOIN raw.items i ON o.id = i.id",
        "raw.orders raw.items",
    ),
    # -- unions
    Case("union", DUCKDB, "SELECT id FROM raw.orders UNION SELECT id FROM raw.items", "raw.orders raw.items"),
    Case(
        "union",
        DUCKDB,
        "SELECT id FROM raw.orders UNION ALL BY NAME SELECT id FROM raw.items UNION ALL SELECT id FROM geo.cities",
        "raw.orders raw.items geo.cities",
    ),
    Case(
        "union", DUCKDB, "(SELECT id FROM raw.orders) EXCEPT (SELECT id FROM raw.customers)", "raw.orders raw.customers"
    ),
    Case(
        "union",
        DUCKDB,
        "SELECT id FROM raw.orders INTERSECT SELECT id FROM kpi.daily ORDER BY id",
        "raw.orders kpi.daily",
    ),
    Case(
        "union",
        DUCKDB,
        "SELECT * FROM (SELECT id FROM raw.orders UNION SELECT id FROM raw.items) AS u JOIN geo.lands ON true",
        "raw.orders raw.items geo.lands",
    ),
    Case("union", DUCKDB, "FROM raw.orders UNION ALL FROM raw.items", "raw.orders raw.items"),
    Case(
        "union", BIGQUERY, "SELECT id FROM raw.orders UNION DISTINCT SELECT id FROM raw.items", "raw.orders raw.items"
    ),
    Case("union", SNOWFLAKE, "SELECT id FROM raw.orders MINUS SELECT id FROM raw.items", "raw.orders raw.items"),
    Case("union", POSTGRES, "TABLE raw.orders UNION ALL SELECT * FROM raw.items", "raw.orders raw.items"),
    Case("union", SPARK, "SELECT id FROM raw.orders MINUS SELECT id FROM raw.items", "raw.orders raw.items"),
    # -- lateral
    Case(
        "lateral",
        DUCKDB,
        "SELECT * FROM raw.orders AS o, LATERAL (SELECT * FROM raw.items AS i WHERE i.id = o.id) AS l",
        "raw.orders raw.items",
    ),
    Case(
        "lateral",
        DUCKDB,
        "SELECT * FROM raw.orders AS o LEFT JOIN LATERAL (SELECT max(id) FROM geo.cities AS c WHERE c.id < o.id) AS l ON true",
        "raw.orders geo.cities",
    ),
    Case("lateral", DUCKDB, "SELECT o.id, u.x FROM raw.orders AS o, unnest([o.id]) AS u(x)", "raw.orders"),
    Case("lateral", DUCKDB, "SELECT * FROM raw.orders AS orders, (SELECT orders.id + 1 AS y) AS z", "raw.orders"),
    Case("lateral", BIGQUERY, "SELECT * FROM raw.orders AS o, o.lines AS l", "raw.orders"),
    Case(
        "lateral",
        BIGQUERY,
        "SELECT * FROM raw.orders, UNNEST(orders.lines) AS l JOIN raw.items ON true",
        "raw.orders raw.items",
    ),
    Case("lateral", BIGQUERY, "SELECT * FROM raw.customers AS kpi, kpi.daily AS d", "raw.customers"),
    Case("lateral", SNOWFLAKE, "SELECT * FROM raw.orders o, LATERAL FLATTEN(INPUT => o.lines) f", "raw.orders"),
    Case(
        "lateral",
        SNOWFLAKE,
        "SELECT * FROM raw.orders o, TABLE(FLATTEN(o.lines)) f, LATERAL (SELECT * FROM raw.items i WHERE i.id = o.id) l",
        "raw.orders raw.items",
    ),
    Case(
        "lateral",
        POSTGRES,
        "SELECT * FROM raw.orders o CROSS JOIN LATERAL jsonb_array_elements(o.lines) AS e",
        "raw.orders",
    ),
    Case("lateral", SPARK, "SELECT * FROM raw.orders LATERAL VIEW explode(lines) t AS line", "raw.orders"),
    Case(
        "lateral",
        SPARK,
        "SELECT * FROM raw.orders o, LATERAL (SELECT * FROM raw.items i WHERE i.id = o.id)",
        "raw.orders raw.items",
    ),
    # -- quoted names
    Case("quoted", DUCKDB, 'SELECT * FROM "raw"."orders"', "raw.orders"),
    Case("quoted", DUCKDB, 'SELECT * FROM raw."Orders" AS "from geo.cities"', "raw.orders"),
    Case("quoted", DUCKDB, 'SELECT "FROM kpi.daily" FROM (SELECT id AS "FROM kpi.daily" FROM raw.items)', "raw.items"),
    Case("quoted", DUCKDB, 'SELECT * FROM memory."raw".items', "raw.items"),
    Case(
        "quoted",
        DUCKDB,
        'WITH "cities" AS (SELECT 1 AS id) SELECT * FROM "cities" JOIN "geo"."lands" ON true',
        "geo.lands",
    ),
    Case("quoted", BIGQUERY, "SELECT * FROM `my-project.raw.orders`", "raw.orders"),
    Case("quoted", BIGQUERY, "SELECT * FROM `raw`.`orders` JOIN my-project.raw.items ON TRUE", "raw.orders raw.items"),
    Case("quoted", SNOWFLAKE, 'SELECT * FROM "DB"."RAW"."ORDERS"', "raw.orders"),
    Case("quoted", POSTGRES, 'SELECT * FROM "raw"."orders" JOIN raw.items USING (id)', "raw.orders raw.items"),
    Case("quoted", SPARK, "SELECT * FROM `raw`.`orders`", "raw.orders"),
    # -- bare names
    Case("bare", DUCKDB, "SELECT * FROM cities", "geo.cities"),
    Case("bare", DUCKDB, "SELECT * FROM total JOIN orders ON true", "kpi.total raw.orders"),
    Case("bare", DUCKDB, "SELECT * FROM nobody", ""),
    Case(
        "bare", DUCKDB, "SELECT * FROM raw.orders AS cities JOIN lands ON cities.id = lands.id", "raw.orders geo.lands"
    ),
    Case("bare", DUCKDB, "SELECT best FROM (SELECT 1 AS best)", ""),
    Case("bare", DUCKDB, "FROM best", "mart.best"),
    Case("bare", BIGQUERY, "SELECT * FROM orders, items", "raw.orders raw.items"),
    Case("bare", SNOWFLAKE, "SELECT * FROM ORDERS", "raw.orders"),
    Case("bare", POSTGRES, "SELECT * FROM ONLY orders", "raw.orders"),
    Case("bare", SPARK, "SELECT * FROM orders TABLESAMPLE (10 PERCENT)", "raw.orders"),
    # -- table functions
    Case("function", DUCKDB, "SELECT * FROM read_csv('kpi.daily') JOIN raw.orders ON true", "raw.orders"),
    Case("function", DUCKDB, "SELECT * FROM range(10) AS orders(i)", ""),
    Case("function", DUCKDB, "SELECT * FROM generate_series(1, (SELECT count(*) FROM raw.items))", "raw.items"),
    Case("function", DUCKDB, "SELECT * FROM 'kpi.daily.parquet', raw.orders", "raw.orders"),
    Case("function", DUCKDB, "SELECT * FROM query_table('raw.orders')", "raw.orders"),
    Case("function", DUCKDB, "SELECT * FROM unnest([1, 2]) AS cities(x), geo.lands", "geo.lands"),
    Case("function", BIGQUERY, "SELECT * FROM UNNEST([1, 2]) AS orders", ""),
    Case("function", BIGQUERY, "SELECT * FROM ML.PREDICT(MODEL raw.m, (SELECT * FROM raw.orders))", "raw.orders"),
    Case("function", SNOWFLAKE, "SELECT * FROM TABLE(GENERATOR(ROWCOUNT => 10)), raw.orders", "raw.orders"),
    Case("function", SNOWFLAKE, "SELECT * FROM IDENTIFIER('raw.orders')", "raw.orders"),
    Case("function", POSTGRES, "SELECT * FROM generate_series(1, 10) AS orders(i), raw.items", "raw.items"),
    Case("function", SPARK, "SELECT * FROM range(10) JOIN raw.orders", "raw.orders"),
    # -- MERGE, INSERT, UPDATE, DELETE
    Case("write", DUCKDB, "INSERT INTO kpi.daily SELECT * FROM raw.orders", "raw.orders"),
    Case(
        "write",
        DUCKDB,
        "INSERT INTO kpi.total (id) SELECT id FROM raw.orders WHERE id NOT IN (SELECT id FROM kpi.total)",
        "raw.orders kpi.total",
    ),
    Case("write", DUCKDB, "UPDATE kpi.daily SET id = i.id FROM raw.items AS i WHERE i.id = daily.id", "raw.items"),
    Case("write", DUCKDB, "DELETE FROM kpi.daily USING raw.items AS i WHERE i.id = daily.id", "raw.items"),
    Case(
        "write",
        DUCKDB,
        "CREATE TEMP TABLE lands AS SELECT * FROM raw.orders; SELECT * FROM lands JOIN raw.items ON true",
        "raw.orders raw.items",
    ),
    Case(
        "write",
        BIGQUERY,
        "MERGE INTO kpi.daily AS d USING (SELECT * FROM raw.orders) AS s ON d.id = s.id WHEN MATCHED THEN UPDATE SET d.x = s.x",
        "raw.orders",
    ),
    Case(
        "write",
        BIGQUERY,
        "MERGE kpi.daily d USING raw.items s ON d.id = s.id WHEN NOT MATCHED THEN INSERT ROW",
        "raw.items",
    ),
    Case(
        "write",
        SNOWFLAKE,
        "MERGE INTO kpi.daily USING raw.items s ON daily.id = s.id WHEN MATCHED AND EXISTS (SELECT 1 FROM geo.cities) THEN DELETE",
        "raw.items geo.cities",
    ),
    Case(
        "write",
        POSTGRES,
        "WITH gone AS (DELETE FROM kpi.daily RETURNING id) INSERT INTO kpi.total SELECT id FROM gone JOIN raw.orders USING (id)",
        "raw.orders",
    ),
    Case(
        "write",
        POSTGRES,
        "INSERT INTO kpi.daily SELECT * FROM raw.orders ON CONFLICT (id) DO UPDATE SET x = (SELECT max(id) FROM raw.items)",
        "raw.orders raw.items",
    ),
    Case("write", SPARK, "INSERT OVERWRITE TABLE kpi.daily PARTITION (d = 1) SELECT * FROM raw.orders", "raw.orders"),
    Case(
        "write",
        SPARK,
        "MERGE INTO kpi.daily t USING raw.orders s ON t.id = s.id WHEN MATCHED THEN UPDATE SET *",
        "raw.orders",
    ),
    # -- comments and literals
    Case("comment", DUCKDB, "SELECT * -- was FROM kpi.daily\nFROM raw.orders", "raw.orders"),
    Case(
        "comment",
        DUCKDB,
        "SELECT * FROM raw.orders /* JOIN geo.cities ON true */ JOIN raw.items ON true",
        "raw.orders raw.items",
    ),
    Case("comment", DUCKDB, "SELECT ' FROM kpi.daily ' AS x FROM raw.orders", "raw.orders"),
    Case(
        "comment",
        DUCKDB,
        "SELECT extract(year FROM d) FROM (SELECT DATE '2026-01-01' AS d FROM raw.items)",
        "raw.items",
    ),
    Case(
        "comment",
        DUCKDB,
        "SELECT $$ FROM kpi.daily $$ AS x FROM raw.orders WHERE 'it''s FROM kpi.total' <> ''",
        "raw.orders",
    ),
    Case("comment", DUCKDB, "SELECT trim(BOTH ' ' FROM 'x') AS x FROM/* FROM kpi.total */raw.items", "raw.items"),
    Case(
        "comment",
        BIGQUERY,
        "SELECT r'\\d' AS x, \"FROM kpi.daily\" AS y # FROM kpi.total\nFROM raw.orders",
        "raw.orders",
    ),
    Case("comment", SNOWFLAKE, "SELECT 1 // FROM kpi.daily\nFROM raw.orders", "raw.orders"),
    Case(
        "comment",
        POSTGRES,
        "SELECT E'it\\'s FROM kpi.daily' AS x /* a /* FROM kpi.total */ b */ FROM raw.orders",
        "raw.orders",
    ),
    Case(
        "comment",
        SPARK,
        "SELECT /*+ BROADCAST(i) */ * FROM raw.orders o JOIN raw.items i ON o.id = i.id -- JOIN kpi.daily",
        "raw.orders raw.items",
    ),
]

CONSTRUCTS = tuple(dict.fromkeys(case.construct for case in CASES))

COMMAND_LINE = [
    # The nine cases in which the rule of the command line and the query differ, or not: the names that the rule finds, and the tables that the query reads.
    (
        "WITH best AS (SELECT o.id FROM raw.orders o JOIN raw.customers c ON true) SELECT * FROM best JOIN raw.items i ON true",
        "raw.orders raw.customers raw.items best",
        "raw.orders raw.customers raw.items",
    ),
    (
        "WITH lines AS (SELECT * FROM raw.orders) SELECT * FROM lines JOIN raw.items ON true",
        "raw.orders lines raw.items",
        "raw.orders raw.items",
    ),
    (
        "WITH a AS (SELECT * FROM kpi.daily), b AS (SELECT * FROM mart.best) SELECT * FROM a, b",
        "kpi.daily mart.best a b",
        "kpi.daily mart.best",
    ),
    ("SELECT 1\n-- was FROM kpi.daily\nFROM raw.orders", "kpi.daily", "raw.orders"),
    ("SELECT ' FROM kpi.daily ' FROM raw.orders", "kpi.daily raw.orders", "raw.orders"),
    ("SELECT extract(year FROM cities) FROM raw.orders", "cities raw.orders", "raw.orders"),
    ('SELECT * FROM "raw"."orders"', "", "raw.orders"),
    ("FROM raw.orders SELECT id", "", "raw.orders"),
    ("SELECT * FROM read_csv('x.csv')", "", ""),
]
"""Query, what the rule of the command line names, and what the query reads."""
