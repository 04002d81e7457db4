"""Which tables a query reads: by its SQL, and by the rule of the command line."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import duckdb
import pytest
from lineage_cases import CASES, COMMAND_LINE, CONSTRUCTS, LOADS, TASKS, Case
from lineage_more_cases import BY_HAND
from lineage_more_cases import EXPLAINED as ALSO_EXPLAINED
from starlake_core_project import Connection, Project, ProjectError
from starlake_core_project.catalogue import Item, read_catalogue
from starlake_core_project.lineage import read_lineage
from starlake_core_project.sql_rule import names_by_rule
from starlake_core_project.sql_tables import TableName, dialect_of, tables_of
from starlake_core_project.table_resolution import Resolver


def item(name: str, sink: str, is_task: bool) -> Item:
    (domain, _, table), (final_domain, _, final) = name.partition("."), sink.partition(".")
    return Item(domain, table, final_domain, final, Path(f"{name}.sl.yml"), is_task)


RESOLVER = Resolver(
    [*(item(name, name, False) for name in LOADS), *(item(name, sink, True) for name, sink in TASKS.items())]
)


def resolved(names: list[TableName]) -> set[str]:
    return {found.sink for name in names if (found := RESOLVER.find(name)) is not None}


def compare(case: Case) -> None:
    found = tables_of(case.sql, case.dialect)
    assert found.problem == ""
    assert resolved(list(found.tables)) == set(case.reads.split())


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.construct}-{case.dialect}-{case.sql[:50]}")
def test_what_a_query_reads(case: Case) -> None:
    compare(case)


def test_there_are_enough_cases() -> None:
    assert all(count >= 8 for count in Counter(case.construct for case in CASES).values())
    assert all(
        {case.dialect for case in CASES if case.construct == name} >= {"duckdb", "bigquery", "snowflake"}
        for name in CONSTRUCTS
    )
    assert len({case.dialect for case in CASES}) == 5


@pytest.mark.parametrize("construct", CONSTRUCTS)
def test_a_planted_wrong_edge_fails(construct: str) -> None:
    for case in (case for case in CASES if case.construct == construct):
        for wrong in ({*case.reads.split()} ^ {"kpi.daily"}, {*case.reads.split()} ^ {"geo.lands"}):
            with pytest.raises(AssertionError):
                compare(case._replace(reads=" ".join(wrong)))


@pytest.fixture(scope="module")
def database() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:")
    for name in [*LOADS, *TASKS.values()]:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {name.partition('.')[0]}")
        connection.execute(f"CREATE TABLE {name} (id INTEGER, x INTEGER, y VARCHAR, d DATE)")
    connection.execute("CREATE MACRO raw.twice(a) AS a * 2")
    connection.execute("SET search_path = 'raw,geo,kpi,mart'")
    connection.execute("PRAGMA disable_optimizer")
    return connection


EXPLAINED = [
    case
    for case in CASES
    if case.dialect == "duckdb" and case.construct in ("cte", "subquery", "union", "lateral", "bare")
]


@pytest.mark.parametrize("case", EXPLAINED, ids=lambda case: case.sql[:50])
def test_duckdb_reads_the_same_tables(case: Case, database: duckdb.DuckDBPyConnection) -> None:
    if "nobody" in case.sql:
        pytest.skip("DuckDB knows no such table either")
    ((_, plan),) = database.execute(f"EXPLAIN (FORMAT json) {case.sql}").fetchall()
    assert set(scans(json.loads(plan))) == set(case.reads.split())


def test_duckdb_scans_what_further_queries_read(database: duckdb.DuckDBPyConnection) -> None:
    wrong = []
    for sql in ALSO_EXPLAINED:
        ((_, plan),) = database.execute(f"EXPLAIN (FORMAT json) {sql}").fetchall()
        found = tables_of(sql, "duckdb")
        read = set(scans(json.loads(plan))) - ({"kpi.daily"} if "kpi.daily" in sql else set())
        if found.problem or resolved(list(found.tables)) != read:
            wrong.append((sql, read, found))
    assert wrong == []


@pytest.mark.parametrize("dialect", dict.fromkeys(dialect for dialect, _, _ in BY_HAND))
def test_what_further_queries_read(dialect: str) -> None:
    wrong = []
    for sql, reads in ((sql, reads) for other, sql, reads in BY_HAND if other == dialect):
        found = tables_of(sql, dialect)
        if found.problem or resolved(list(found.tables)) != set(reads.split()):
            wrong.append((sql, reads, found))
    assert wrong == []


def test_statements_that_are_not_understood_have_a_line_and_leave_sqlglot_silent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sql = "SELECT 1;\n\nCREATE TEMPORARY TABLE orders ON COMMIT DROP AS SELECT * FROM raw.items;\nSELECT * FROM orders"
    found = tables_of(sql, "postgres")
    assert resolved(list(found.tables)) == {"raw.items"}
    assert (found.problem, found.line) == ("the statement CREATE is not understood", 3)
    assert caplog.messages == []


def test_whatever_sqlglot_raises_the_query_is_read_by_the_rule() -> None:
    found = tables_of("SELECT * FROM raw.orders FOR SYSTEM_TIME AS OF TIMESTAMP_SUB(CURR", "bigquery")
    assert resolved(list(found.tables)) == {"raw.orders"}
    assert found.problem


def scans(node: object) -> list[str]:
    """The tables that a plan scans."""
    if isinstance(node, list):
        return [name for one in node for name in scans(one)]
    assert isinstance(node, dict)
    table = node.get("extra_info", {}).get("Table")
    return [*([".".join(str(table).split(".")[-2:])] if table else []), *scans(node.get("children", []))]


def test_half_of_the_queries_of_duckdb_are_explained() -> None:
    assert 2 * len(EXPLAINED) >= len([case for case in CASES if case.dialect == "duckdb"])


def oracle(sql: str) -> set[tuple[str, ...]]:
    """The rule of the command line, as its specification has it."""
    names = [
        part.strip()
        for found in re.findall(r"(?ia)\s+FROM\s+([_\-a-z0-9`./(]+\s*[ _,a-z0-9`./(]*)", sql)
        for part in found.split(",")
    ]
    names = [name.split(" ")[0].split("\n")[0].split("\t")[0] for name in names if name]
    names = [name for name in names if "(" not in name] + re.findall(r"(?ia)\s+JOIN\s+([_\-a-z0-9`./]+)", sql)
    return {tuple(filter(None, name.replace("`", "").split("."))) for name in names} - {()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.construct}-{case.dialect}-{case.sql[:50]}")
def test_the_rule_of_the_command_line(case: Case) -> None:
    assert set(names_by_rule(case.sql)) == oracle(case.sql)


@pytest.mark.parametrize(("sql", "by_rule", "reads"), COMMAND_LINE)
def test_where_the_rule_of_the_command_line_differs(sql: str, by_rule: str, reads: str) -> None:
    assert {".".join(name) for name in names_by_rule(sql)} == set(by_rule.split())
    assert resolved(list(tables_of(sql, "duckdb").tables)) == set(reads.split())


def test_sql_that_cannot_be_parsed_is_read_by_the_rule() -> None:
    found = tables_of("SELECT 1,\n  ( FROM raw.orders JOIN geo.cities", "duckdb")
    assert resolved(list(found.tables)) == {"raw.orders", "geo.cities"}
    assert found.problem
    assert found.line == 2


def project(root: Path, queries: dict[str, str], yaml: dict[str, str] | None = None, application: str = "") -> Path:
    files = {"application.sl.yml": f"version: 1\napplication:\n  schedulePresets: {{}}\n{application}"}
    for name in LOADS:
        domain, _, table = name.partition(".")
        files[f"load/{domain}/{table}.sl.yml"] = "version: 1\ntable: {pattern: x}\n"
    files["load/raw/_config.sl.yml"] = "version: 1\nload: {rename: raw}\n"
    for name, sql in queries.items():
        files[f"transform/{name.replace('.', '/')}.sql"] = sql
    for name, keys in (yaml or {}).items():
        files[f"transform/{name.replace('.', '/')}.sl.yml"] = f"version: 1\ntask: {{{keys}}}\n"
    for file, text in files.items():
        path = root / "metadata" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def edges(root: Path, mode: str = "sql") -> dict[str, list[str]]:
    opened = Project.load(root, environ={})
    found = read_lineage(opened, read_catalogue(opened), mode)
    return {name: [parent.full_name for parent in parents] for name, parents in found.parents.items()}


def test_jinja_is_rendered_first(tmp_path: Path) -> None:
    root = project(
        tmp_path,
        {
            "kpi.daily": "{% set source = 'orders' %}SELECT * FROM raw.{{ source }}\n{# FROM raw.items #}{% if false %} JOIN geo.cities{% endif %}",
            "kpi.sum": "{% for t in ['daily', 'daily'] %}SELECT * FROM kpi.{{ t }} {{ 'UNION ALL ' if not loop.last }}{% endfor %}",
        },
    )
    assert edges(root) == {"kpi.daily": ["raw.orders"], "kpi.sum": ["kpi.daily"]}


def test_a_transform_reads_tables_by_their_final_and_transforms_by_both_names(tmp_path: Path) -> None:
    root = project(
        tmp_path,
        {
            "kpi.sum": "SELECT * FROM raw.orders",
            "kpi.last": "SELECT * FROM kpi.total JOIN kpi.sum ON true JOIN kpi.LAST ON true",
        },
        {"kpi.sum": "table: total"},
    )
    (root / "metadata/load/raw/orders.sl.yml").write_text(
        "version: 1\ntable: {rename: Orders2, pattern: x}\n", encoding="utf-8"
    )
    assert edges(root) == {"kpi.last": ["kpi.sum"], "kpi.sum": []}
    (root / "metadata/transform/kpi/sum.sql").write_text("SELECT * FROM RAW.ORDERS2", encoding="utf-8")
    assert edges(root)["kpi.sum"] == ["raw.orders"]


def test_every_transform_that_writes_a_table_comes_before_what_reads_it(tmp_path: Path) -> None:
    root = project(
        tmp_path,
        {"kpi.a": "SELECT 1", "kpi.b": "SELECT * FROM kpi.both", "kpi.daily": "SELECT * FROM kpi.both"},
        {"kpi.a": "table: both", "kpi.b": "table: both"},
    )
    assert edges(root) == {"kpi.a": [], "kpi.b": [], "kpi.daily": ["kpi.a", "kpi.b"]}
    assert edges(root, "compat")["kpi.daily"] == ["kpi.a"]


def test_references_complete_names(tmp_path: Path) -> None:
    root = project(tmp_path, {"kpi.daily": 'SELECT * FROM old.things JOIN "old"."things" ON true'})
    refs = "version: 1\nrefs:\n  - {input: {domain: old, table: things}, output: {domain: raw, table: items}}\n"
    (root / "metadata/refs.sl.yml").write_text(refs, encoding="utf-8")
    assert edges(root) == {"kpi.daily": ["raw.items"]}


def test_the_dialect_is_that_of_the_connection(tmp_path: Path) -> None:
    root = project(
        tmp_path,
        {"kpi.daily": "SELECT * FROM `p.raw.orders` # FROM raw.items"},
        application="  connectionRef: bq\n  connections: {bq: {type: bigquery}}\n",
    )
    assert edges(root) == {"kpi.daily": ["raw.orders"]}


@pytest.mark.parametrize(
    ("kind", "url", "dialect"),
    [
        ("jdbc", "jdbc:duckdb:x.db", "duckdb"),
        ("JDBC", "jdbc:postgresql://h/d", "postgres"),
        ("jdbc", "jdbc:snowflake://h", "snowflake"),
        ("jdbc", "jdbc:redshift://h", "redshift"),
        ("bigquery", "", "bigquery"),
        ("databricks", "", "databricks"),
        ("fs", "", "spark"),
        ("acme", "", ""),
    ],
)
def test_the_dialect_of_a_connection(kind: str, url: str, dialect: str) -> None:
    assert dialect_of(Connection("c", kind.lower(), {"url": url} if url else {})) == dialect
    assert dialect_of(None) == "duckdb"


def test_what_cannot_be_parsed_is_reported_with_file_and_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = project(
        tmp_path, {"kpi.daily": "-- SL_PRESQL\nSELECT 1\n-- SL_SQL\nSELECT 1,\n  ( FROM raw.orders JOIN geo.cities"}
    )
    assert edges(root) == {"kpi.daily": ["raw.orders", "geo.cities"]}
    assert f"{root}/metadata/transform/kpi/daily.sql:5: the query of kpi.daily cannot be parsed" in caplog.text


def test_the_graph_of_the_command_line(tmp_path: Path) -> None:
    root = project(
        tmp_path,
        {"kpi.daily": "SELECT 1 -- FROM raw.items\n FROM raw.orders", "kpi.sum": "SELECT * FROM kpi.daily"},
        {"kpi.sum": "parseSQL: false"},
    )
    assert edges(root, "compat") == {"kpi.daily": ["raw.items"], "kpi.sum": []}
    assert edges(root) == {"kpi.daily": ["raw.orders"], "kpi.sum": ["kpi.daily"]}


def test_a_template_that_cannot_be_rendered_is_a_fault_of_its_transform(tmp_path: Path) -> None:
    root = project(tmp_path, {"kpi.daily": "SELECT *\nFROM {{ raw", "kpi.sum": "SELECT * FROM raw.orders"})
    opened = Project.load(root, environ={})
    found = read_lineage(opened, read_catalogue(opened))
    assert list(found.faults) == ["kpi.daily"]
    assert f"{root}/metadata/transform/kpi/daily.sql" in found.faults["kpi.daily"].message
    assert [parent.full_name for parent in found.parents["kpi.sum"]] == ["raw.orders"]


def test_an_unknown_lineage_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="Did you mean 'compat'"):
        edges(project(tmp_path, {}), "compatible")
