"""transform: queries, variables, strategies, and what is refused."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Sandbox


def task(sandbox: Sandbox, sql: str, yaml: str = "{}", name: str = "t") -> None:
    sandbox.write(f"metadata/transform/kpi/{name}.sl.yml", f"task: {yaml}")
    sandbox.write(f"metadata/transform/kpi/{name}.sql", sql)


def rows(sandbox: Sandbox, table: str = "kpi.t") -> list[tuple[object, ...]]:
    return sandbox.query(f"SELECT * FROM {table} ORDER BY ALL")


OVERWRITE = "{writeStrategy: {type: OVERWRITE}}"


def test_append_is_the_default_as_in_starlake(sandbox: Sandbox) -> None:
    sandbox.write("metadata/transform/kpi/t.sql", "SELECT 1 AS a, 'x' AS b;\n-- the end")
    for _ in range(2):
        result = sandbox.run("transform", "--name", "kpi.t")
        assert (result.code, result.out) == (0, "transformed kpi.t: 1 row(s) into kpi.t\n")
    assert rows(sandbox) == [(1, "x"), (1, "x")]


def test_overwrite(sandbox: Sandbox) -> None:
    task(sandbox, "SELECT 1 AS a, 'x' AS b;\n-- the end", OVERWRITE)
    for _ in range(2):
        assert sandbox.run("transform", "--name", "kpi.t").code == 0
    assert rows(sandbox) == [(1, "x")]
    task(sandbox, "SELECT 2 AS other", OVERWRITE)
    sandbox.run("transform", "--name", "kpi.t")
    assert rows(sandbox) == [(2,)]


def test_variables_are_sql_literals_when_they_come_in_quotes(sandbox: Sandbox) -> None:
    task(
        sandbox,
        "SELECT {{sl_data_interval_start}} AS a, TIMESTAMPTZ {{ sl_data_interval_end }}::TIMESTAMP AS b, {{n}} AS n, "
        "'{{sl_scheduled_date}}' AS d, '{{sl_date}}' AS e {% if n == '7' %}, true AS f{% endif %}",
    )
    result = sandbox.run(
        "transform",
        "--scheduledDate",
        "2026-11-04T00:00:00+00:00",
        "--name",
        "kpi.t",
        "--options",
        "sl_data_interval_start='2026-11-03T00:00:00+00:00',sl_data_interval_end='2026-11-04T01:00:00+01:00',n=7",
    )
    assert result.code == 0
    assert rows(sandbox) == [
        ("2026-11-03T00:00:00+00:00", datetime(2026, 11, 4), 7, "2026-11-04 00:00:00+00:00", "20261104", True)
    ]


def test_dates_are_those_of_today_where_starlakes_own_answer_is_wanted(sandbox: Sandbox) -> None:
    task(sandbox, "SELECT '{{sl_date}}' = '20260305' AS d, '{{sl_scheduled_date}}' AS s", OVERWRITE)
    arguments = ("transform", "--name", "kpi.t", "--scheduledDate", "2026-03-05T00:00:00+00:00")
    assert sandbox.run(*arguments).code == 0
    assert rows(sandbox) == [(True, "2026-03-05 00:00:00+00:00")]
    assert sandbox.run(*arguments, SL_DUCKDB_COMPAT="starlake").code == 0
    assert rows(sandbox) == [(False, "")]


def test_append_and_upsert(sandbox: Sandbox) -> None:
    task(sandbox, "SELECT {{id}} AS id, '{{label}}' AS label", "{writeStrategy: {type: APPEND}}")
    for label in ("a", "b"):
        sandbox.run("transform", "--name", "kpi.t", "--options", f"id=1,label={label}")
    assert rows(sandbox) == [(1, "a"), (1, "b")]
    task(sandbox, "SELECT {{id}} AS id, '{{label}}' AS label", "{writeStrategy: {type: UPSERT_BY_KEY, key: [id]}}")
    sandbox.run("transform", "--name", "kpi.t", "--options", "id=1", "--options", "label=c")
    assert rows(sandbox) == [(1, "c")]
    sandbox.run("transform", "--name", "kpi.t", "--truncate", "true", "--options", "id=2,label=d")
    assert rows(sandbox) == [(2, "d")]


def test_a_transform_may_read_its_own_table(sandbox: Sandbox) -> None:
    task(sandbox, "SELECT 1 AS n")
    sandbox.run("transform", "--name", "kpi.t")
    task(sandbox, "SELECT n + 1 AS n FROM kpi.t", OVERWRITE)
    sandbox.run("transform", "--name", "kpi.t")
    assert rows(sandbox) == [(2,)]


def test_statements_around_the_query_share_its_transaction(sandbox: Sandbox) -> None:
    task(
        sandbox,
        "SELECT 1 AS n",
        "{presql: ['CREATE TABLE notes (n INT)'], postsql: ['INSERT INTO nowhere VALUES (1)']}",
    )
    result = sandbox.run("transform", "--name", "kpi.t")
    assert result.code == 1
    assert "t.sl.yml: 'INSERT INTO nowhere VALUES (1)' fails" in result.err
    assert (
        sandbox.query("SELECT table_name FROM duckdb_tables() WHERE schema_name NOT IN ('starlake_core', 'audit')")
        == []
    )
    assert sandbox.query('SELECT command, domain, "table", success FROM starlake_core.log') == [
        ("transform", "kpi", "t", False)
    ]


def test_the_schema_is_there_before_the_statements(sandbox: Sandbox) -> None:
    task(sandbox, "SELECT n FROM kpi.source", "{presql: ['CREATE TABLE kpi.source AS SELECT 1 AS n']}")
    assert sandbox.run("transform", "--name", "kpi.t").code == 0
    assert rows(sandbox) == [(1,)]


def test_statements_in_the_query_file(sandbox: Sandbox) -> None:
    task(sandbox, "CREATE TEMP TABLE x AS SELECT 5 AS n;\nSELECT n FROM x;")
    assert sandbox.run("transform", "--name", "kpi.t").code == 0
    assert rows(sandbox) == [(5,)]


@pytest.mark.parametrize("statement", ["COMMIT", "BEGIN", "rollback"])
def test_a_user_cannot_end_the_transaction(sandbox: Sandbox, statement: str) -> None:
    task(sandbox, f"{statement}; SELECT 1")
    result = sandbox.run("transform", "--name", "kpi.t")
    assert result.code == 1
    assert "a command is one transaction" in result.err


def test_names_of_its_own(sandbox: Sandbox) -> None:
    sandbox.write("metadata/transform/kpi/_config.sl.yml", "transform: {default: {writeStrategy: {type: APPEND}}}")
    task(sandbox, "SELECT 1 AS n", "{name: daily, domain: mart, table: numbers}")
    for _ in range(2):
        assert sandbox.run("transform", "--name", "mart.daily").code == 0
    assert rows(sandbox, "mart.numbers") == [(1,), (1,)]
    assert sandbox.run("transform", "--name", "kpi.t").code == 1


def test_a_query_without_yaml(sandbox: Sandbox) -> None:
    sandbox.write("metadata/transform/kpi/alone.sql.j2", "SELECT '{{ 'a' ~ 'b' }}' AS x")
    assert sandbox.run("transform", "--name", "kpi.alone").code == 0
    assert rows(sandbox, "kpi.alone") == [("ab",)]


def test_names_of_transforms_ignore_case_unless_they_differ_in_nothing_else(sandbox: Sandbox) -> None:
    task(sandbox, "SELECT 1 AS n", name="Daily")
    assert sandbox.run("transform", "--name", "KPI.DAILY").code == 0
    assert rows(sandbox, "kpi.Daily") == [(1,)]
    task(sandbox, "SELECT 2 AS n", name="daily")
    assert sandbox.run("transform", "--name", "KPI.DAILY").code == 1
    assert sandbox.run("transform", "--name", "kpi.daily").code == 0


def test_a_view_instead_of_a_table(sandbox: Sandbox) -> None:
    task(sandbox, "SELECT 1 AS n", name="source")
    sandbox.run("transform", "--name", "kpi.source")
    task(sandbox, "SELECT n FROM kpi.source -- all", "{sink: {materializedView: VIEW}}")
    for _ in range(2):
        result = sandbox.run("transform", "--name", "kpi.t")
        assert (result.code, result.out) == (0, "transformed kpi.t: the view kpi.t\n")
    task(sandbox, "SELECT 2 AS n", OVERWRITE, "source")
    sandbox.run("transform", "--name", "kpi.source")
    assert rows(sandbox) == [(2,)] == sandbox.query("SELECT n FROM kpi.source")
    task(sandbox, "SELECT 3 AS n")
    result = sandbox.run("transform", "--name", "kpi.t")
    assert result.code == 1
    wrong = "kpi.t is a view in the database, and the transform wants a table; remove it first (DROP VIEW kpi.t)"
    assert wrong in result.err
    assert wrong in str(sandbox.query("SELECT message FROM starlake_core.log WHERE NOT success"))
    task(sandbox, "SELECT 3 AS n", OVERWRITE)
    assert wrong in sandbox.run("transform", "--name", "kpi.t").err
    assert sandbox.query("SELECT n FROM kpi.t") == [(2,)]
    task(sandbox, "SELECT 3 AS n", "{sink: {materializedView: VIEW}}", "source")
    result = sandbox.run("transform", "--name", "kpi.source")
    assert "kpi.source is a table in the database, and the transform wants a view; remove it first" in result.err


def test_a_transform_describes_no_other_table(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """DuckDB describes all tables to find one, so each of many transforms would take longer than the one before."""
    from starlake_core_duckdb.engine import commands

    execute, seen = commands._Session.execute, []

    def noted(session: Any, query: Any, *more: Any) -> Any:
        seen.append(str(query))
        return execute(session, query, *more)

    monkeypatch.setattr(commands._Session, "execute", noted)
    sandbox.warm = True
    task(sandbox, "SELECT 1 AS n", OVERWRITE)
    task(sandbox, "SELECT n FROM kpi.t", "{sink: {materializedView: VIEW}}", "seen")
    for name in ("kpi.t", "kpi.seen", "kpi.t"):
        done = sandbox.run("transform", "--name", name, SL_RUN_KEY=f"{name} {len(seen)}")
        assert (done.code, [found.columns[0].name for found in done.told]) == (0, ["n"])
    assert any("CREATE OR REPLACE TABLE" in query for query in seen)
    assert [query for query in seen if "duckdb_" in query or "information_schema" in query] == []


def test_the_domain_may_make_all_its_transforms_views(sandbox: Sandbox) -> None:
    sandbox.write("metadata/transform/kpi/_config.sl.yml", "transform: {default: {sink: {materializedView: VIEW}}}")
    task(sandbox, "SELECT 1 AS n", "{sink: {format: parquet}}")
    assert sandbox.run("transform", "--name", "kpi.t").code == 0
    assert sandbox.query("SELECT view_name FROM duckdb_views() WHERE schema_name = 'kpi'") == [("t",)]


def test_a_query_of_the_command_replaces_that_of_the_file(sandbox: Sandbox) -> None:
    task(sandbox, "SELECT 1 AS n")
    assert sandbox.run("transform", "--name", "kpi.t", "--query", "SELECT {{n}} AS n", "--options", "n=5").code == 0
    assert rows(sandbox) == [(5,)]


def test_compile_prints_the_query_and_runs_nothing(sandbox: Sandbox) -> None:
    task(sandbox, "SELECT {{n}} AS n\n")
    result = sandbox.run("transform", "--name", "kpi.t", "--compile", "--options", "n=3")
    assert (result.code, result.out) == (0, "SELECT 3 AS n\n")
    assert not (sandbox.root / "datasets").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--name", "kpi.nothing"),
            "transform 'kpi.nothing' does not exist; a name is domain.task (known: kpi.py, kpi.t)",
        ),
        (("--name", "t"), "transform 't' does not exist"),
        (("--name", "../kpi.t"), "does not exist"),
        ((), "Missing option --name"),
        (("--name", "kpi.t", "--tags", "a"), "--name and --tags cannot be given together"),
        (("--name", "kpi.t", "--action", "create"), "transform --action create is not supported"),
        (("--name", "kpi.t", "--truncate"), "Missing value after --truncate"),
        (("--name", "kpi.t", "--sync-preview"), "transform --sync-preview is not supported"),
        (("--name", "kpi.t"), "t.sql: the SQL is broken"),
        (("--name", "kpi.t", "--options", "missing=nothing"), "t.sql: the query fails"),
        (("--name", "kpi.t", "--options", "missing=("), "t.sql: the SQL is broken"),
        (("--name", "kpi.t", "--scheduledDate", "'2026-11-03'"), "is not a date"),
        (("--name", "kpi.py"), "the Python transform kpi.py is not supported"),
    ],
)
def test_refusals(sandbox: Sandbox, arguments: tuple[str, ...], message: str) -> None:
    task(sandbox, "SELECT {{missing}}")
    sandbox.write("metadata/transform/kpi/py.py", "")
    result = sandbox.run("transform", *arguments)
    assert result.code == 1
    assert message in result.err
