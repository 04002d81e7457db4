"""transform --recursive and --tags: several transforms, each after those whose tables it reads."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from starlake_core_project.table_uses import tables_read

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Sandbox


def task(sandbox: Sandbox, name: str, sql: str, yaml: str = "{}") -> None:
    domain, _, short = name.partition(".")
    sandbox.write(f"metadata/transform/{domain}/{short}.sl.yml", f"task: {yaml}")
    sandbox.write(f"metadata/transform/{domain}/{short}.sql", sql)


def transformed(out: str) -> list[str]:
    return [line.split()[1].rstrip(":") for line in out.splitlines() if line.startswith("transformed")]


def test_sources_run_first_and_once(sandbox: Sandbox) -> None:
    task(sandbox, "kpi.last", "SELECT n FROM kpi.left_one UNION ALL SELECT n FROM Mart.Right_One")
    task(sandbox, "kpi.left_one", "WITH kpi AS (SELECT 1) SELECT n + 1 AS n FROM numbers")
    task(sandbox, "mart.right", "SELECT n + 2 AS n FROM raw.numbers", "{table: right_one}")
    task(sandbox, "raw.numbers", "SELECT 1 AS n")
    task(sandbox, "raw.unrelated", "SELECT 1 AS n")
    done = sandbox.run("transform", "--name", "kpi.last", "--recursive")
    assert done.code == 0, done.err
    assert transformed(done.out) == ["raw.numbers", "kpi.left_one", "mart.right", "kpi.last"]
    assert sandbox.query("SELECT n FROM kpi.last ORDER BY n") == [(2,), (3,)]
    done = sandbox.run("transform", "--name", "kpi.last", "--recursive", "--truncate", "true")
    assert sandbox.query("SELECT count(*) FROM kpi.last") == [(6,)]  # of sources that append, as in Starlake
    assert sandbox.query("SELECT count(*) FROM raw.numbers") == [(2,)]


def test_a_table_that_reads_itself_is_no_circle(sandbox: Sandbox) -> None:
    task(sandbox, "kpi.a", "SELECT 1 AS n WHERE NOT EXISTS (SELECT 1 FROM kpi.b)")
    task(sandbox, "kpi.b", "SELECT 1 AS n")
    task(sandbox, "kpi.a_again", "SELECT n FROM kpi.a")
    assert transformed(sandbox.run("transform", "--name", "kpi.a_again", "--recursive").out) == [
        "kpi.b",
        "kpi.a",
        "kpi.a_again",
    ]
    task(sandbox, "kpi.a", "SELECT n FROM kpi.a")
    assert transformed(sandbox.run("transform", "--name", "kpi.a", "--recursive").out) == ["kpi.a"]


@pytest.mark.parametrize(
    ("name", "sql", "message"),
    [
        ("kpi.c", "SELECT 1 FROM kpi.a", "these transforms read each other in a circle: kpi."),
        ("kpi.c", "SELECT FROM WHERE", "cannot be parsed, so the tables that it reads are not known"),
        ("kpi.c", "SELECT 1 FROM kpi.d", "the Python transform kpi.d is not supported"),
    ],
)
def test_what_is_refused_before_anything_runs(sandbox: Sandbox, name: str, sql: str, message: str) -> None:
    task(sandbox, "kpi.a", "SELECT 1 FROM kpi.b")
    task(sandbox, "kpi.b", "SELECT 1 FROM kpi.c")
    task(sandbox, name, sql)
    sandbox.write("metadata/transform/kpi/d.py", "")
    done = sandbox.run("transform", "--name", "kpi.a", "--recursive")
    assert done.code == 1
    assert message in done.err
    assert not (sandbox.root / "datasets" / "duckdb.db").exists()


def test_the_circle_is_shown_in_the_direction_of_reading(sandbox: Sandbox) -> None:
    for name, other in (("a", "b"), ("b", "c"), ("c", "a")):
        task(sandbox, f"kpi.{name}", f"SELECT 1 FROM kpi.{other}")
    circle = sandbox.run("transform", "--name", "kpi.a", "--recursive").err.partition("circle: ")[2].partition(";")[0]
    steps = circle.split(" -> ")
    assert len(steps) == 4
    assert set(pairwise(steps)) == {("kpi.a", "kpi.b"), ("kpi.b", "kpi.c"), ("kpi.c", "kpi.a")}


def test_a_repeated_command_continues_with_the_first_transform_that_is_not_done(sandbox: Sandbox) -> None:
    task(sandbox, "kpi.first", "SELECT 1 AS n")
    task(sandbox, "kpi.second", "SELECT n / {{by}} AS n FROM kpi.first, nowhere.at_all")
    command = ("transform", "--name", "kpi.second", "--recursive", "--options", "by=1")
    assert sandbox.run(*command, SL_RUN_KEY="k").code == 1
    task(sandbox, "kpi.second", "SELECT n FROM kpi.first")
    assert sandbox.run(*command, SL_RUN_KEY="k").code == 0
    assert sandbox.run(*command, SL_RUN_KEY="k").code == 0
    assert sandbox.query("SELECT * FROM kpi.first, kpi.second") == [(1, 1)]


def test_tags(sandbox: Sandbox) -> None:
    task(sandbox, "kpi.b", "SELECT n FROM kpi.c", "{tags: [daily, big]}")
    task(sandbox, "kpi.c", "SELECT 1 AS n", "{tags: [daily]}")
    task(sandbox, "kpi.d", "SELECT 1 AS n", "{tags: [weekly]}")
    assert transformed(sandbox.run("transform", "--name", "", "--tags", "daily").out) == ["kpi.c", "kpi.b"]
    assert transformed(sandbox.run("transform", "--name", "", "--tags", "big").out) == ["kpi.b"]
    assert transformed(sandbox.run("transform", "--name", "", "--tags", "big", "--recursive").out) == ["kpi.c", "kpi.b"]
    done = sandbox.run("transform", "--name", "", "--tags", "nothing")
    assert (done.code, done.out) == (0, "no transform has one of these tags\n")


@pytest.mark.parametrize(
    ("sql", "read"),
    [
        ("SELECT * FROM a.b JOIN c.d USING (x), LATERAL (SELECT 1 FROM e.f)", {"a.b", "c.d", "e.f"}),
        ('SELECT * FROM db."A"."B" WHERE x IN (SELECT y FROM c.d)', {"a.b", "c.d"}),
        ("INSERT INTO a.b SELECT * FROM c.d; UPDATE e.f SET x = 1 FROM g.h", {"c.d", "g.h"}),
        ("CREATE TEMP TABLE t AS SELECT * FROM a.b; SELECT * FROM t", {"a.b"}),
        ("SELECT 'x.y' AS \"FROM a.b\" -- FROM c.d", set()),
        ("MERGE INTO a.b USING c.d ON a.b.x = c.d.x WHEN MATCHED THEN DELETE", {"c.d"}),
        ("", set()),
    ],
)
def test_the_tables_that_sql_reads(sql: str, read: set[str], tmp_path: Path) -> None:
    assert {".".join(name) for name in tables_read(sql, tmp_path)} == read
