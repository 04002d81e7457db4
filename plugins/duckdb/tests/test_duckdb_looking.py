"""transform --interactive: the rows of a query are printed, and nothing is written."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Sandbox

SQL = """SELECT * FROM (VALUES (1, 'a,"b"', 1.50, DATE '2026-11-03', true), (2, NULL, NULL, NULL, NULL)) v(id, label, price, day, ok) ORDER BY id"""


@pytest.fixture
def project(sandbox: Sandbox) -> Sandbox:
    sandbox.write("metadata/transform/kpi/t.sql", SQL)
    return sandbox


def show(sandbox: Sandbox, form: str, *arguments: str, name: str = "kpi.t", **environ: str) -> str:
    done = sandbox.run("transform", "--name", name, "--interactive", form, *arguments, **environ)
    assert done.code == 0, done.err
    return done.out


def test_csv(project: Sandbox) -> None:
    assert list(csv.reader(io.StringIO(show(project, "csv")))) == [
        ["id", "label", "price", "day", "ok"],
        ["1", 'a,"b"', "1.50", "2026-11-03", "true"],
        ["2", "", "", "", ""],
    ]


def test_json(project: Sandbox) -> None:
    wanted = [
        {"id": 1, "label": 'a,"b"', "price": "1.50", "day": "2026-11-03", "ok": True},
        {"id": 2, "label": None, "price": None, "day": None, "ok": None},
    ]
    assert [json.loads(line) for line in show(project, "json").splitlines()] == wanted
    assert json.loads(show(project, "json-array")) == wanted
    assert json.loads(
        show(project, "json-array", "--query", "SELECT 1 AS a, 2 AS a, [1, NULL] AS l, {'x': 'y'} AS o")
    ) == [{"a": 1, "a_1": 2, "l": [1, None], "o": {"x": "y"}}]
    assert json.loads(show(project, "json-array", "--query", "SELECT 1 AS a WHERE false")) == []


def test_a_table(project: Sandbox) -> None:
    project.write(
        "metadata/transform/kpi/t.sql", "SELECT 10 AS id, 'a' AS label UNION ALL SELECT NULL, 'long' ORDER BY label"
    )
    assert show(project, "table") == (
        "+------+-------+\n| id   | label |\n+------+-------+\n| 10   | a     |\n| NULL | long  |\n+------+-------+\n"
    )


def test_moments(project: Sandbox) -> None:
    found = show(project, "csv", "--query", "SELECT TIMESTAMPTZ '2026-01-31 12:00:00+01' AS t", SL_TIMEZONE="UTC")
    assert found.splitlines()[1].startswith("2026-01-31 11:00:00")


def test_pages(project: Sandbox) -> None:
    numbers = ("--query", "SELECT i FROM range(25) r(i) ORDER BY i DESC")

    def rows(*arguments: str, **environ: str) -> list[int]:
        return [row["i"] for row in json.loads(show(project, "json-array", *numbers, *arguments, **environ))]

    assert rows() == list(range(24, -1, -1))
    assert rows("--pageSize", "10", "--pageNumber", "3") == [4, 3, 2, 1, 0]
    assert rows("--pageSize", "10", "--pageNumber", "4") == []
    assert rows(SL_MAX_INTERACTIVE_RECORDS="2") == [24, 23]
    project.write("metadata/application.sl.yml", "application: {maxInteractiveRecords: 3}")
    assert rows("--pageNumber", "2") == [21, 20, 19]


def test_nothing_is_written(project: Sandbox) -> None:
    project.run("transform", "--name", "kpi.t")
    before = (project.root / "datasets" / "duckdb.db").read_bytes()
    statements = "CREATE TEMP TABLE x AS SELECT id FROM kpi.t; SELECT count(*) AS n FROM x"
    assert json.loads(show(project, "json", "--query", statements)) == {"n": 2}
    assert json.loads(show(project, "json", "--query", "SELECT max(id) AS n FROM kpi.t", name="KPI.T")) == {"n": 2}
    for statement in ("INSERT INTO kpi.t (id) VALUES (3); SELECT 1", "DROP TABLE kpi.t", "CREATE TABLE y AS SELECT 1"):
        assert project.run("transform", "--name", "kpi.t", "--interactive", "csv", "--query", statement).code == 1
    target = project.root / "out.csv"
    done = project.run("transform", "--name", "kpi.t", "--interactive", "csv", "--query", f"COPY kpi.t TO '{target}'")
    assert done.code == 1
    assert "--interactive only shows rows" in done.err
    assert not target.exists()
    assert (project.root / "datasets" / "duckdb.db").read_bytes() == before


def test_a_query_without_a_transform(project: Sandbox) -> None:
    assert (
        show(project, "csv", "--query", "SELECT {{n}} AS n", "--options", "n=7", name="__ignore__.__ignore__")
        == "n\n7\n"
    )
    assert not (project.root / "datasets" / "duckdb.db").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--name", "kpi.t", "--interactive", "xml"), "expected one of csv, json, table, json-array, found 'xml'"),
        (("--name", "kpi.t", "--interactive", "csv", "--pageSize", "0"), "transform --pageSize 0: use a number from 1"),
        (("--name", "kpi.t", "--pageSize", "5"), "transform --pageSize is for --interactive"),
        (("--name", "kpi.t", "--interactive", "csv", "--recursive"), "drop one of them"),
        (("--name", "__ignore__.__ignore__", "--interactive", "csv"), "needs --query"),
        (("--name", "kpi.t", "--interactive", "csv", "--query", "SELECT x"), "the query fails"),
        (("--name", "kpi.u", "--interactive", "csv"), "transform 'kpi.u' does not exist"),
    ],
)
def test_what_is_refused(project: Sandbox, arguments: tuple[str, ...], message: str) -> None:
    done = project.run("transform", *arguments)
    assert done.code == 1
    assert message in done.err
