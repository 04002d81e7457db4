"""What the engine tells who started it: rows, columns and the results of expectations, from its audit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from starlake_core import CheckResult, Written

if TYPE_CHECKING:
    from conftest import Sandbox

UNIQUE = "is_col_value_not_unique('id')"


def described(sandbox: Sandbox, *expectations: dict[str, Any]) -> None:
    attributes = [{"name": "id", "type": "int"}, {"name": "label", "type": "string"}]
    table = {"pattern": "items.*", "rename": "Things", "attributes": attributes, "expectations": expectations}
    sandbox.table("items", json.dumps({"version": 1, "table": table}))


def test_a_load_tells_rows_columns_and_expectations_again_when_it_is_repeated(sandbox: Sandbox) -> None:
    described(
        sandbox, {"expect": UNIQUE}, {"expect": "SELECT count(*) FROM SL_THIS => count == 1", "failOnError": True}
    )
    sandbox.staged("items1.csv", "id,label\n1,a\n1,b\nx,c\n")
    (first,) = sandbox.run("load", SL_RUN_KEY="k").told
    assert (first.table, first.place, first.accepted, first.rejected, first.rows) == (
        "shop.items",
        "shop.Things",
        2,
        1,
        2,
    )
    assert [column.name for column in first.columns] == ["id", "label"]
    assert {check.text: (check.passed, check.fails) for check in first.checks} == {
        UNIQUE: (False, False),
        "SELECT count(*) FROM SL_THIS => count == 1": (True, True),
    }
    assert sandbox.run("load", SL_RUN_KEY="k").told == (first,)
    sandbox.staged("items2.csv", "id,label\n7,d\n")
    (second,) = sandbox.run("load", SL_RUN_KEY="k2").told
    assert (second.accepted, second.rejected, second.rows) == (1, 0, 3)


@pytest.mark.parametrize("compat", ["", "starlake"])
def test_a_load_that_fails_tells_what_its_expectations_found(sandbox: Sandbox, compat: str) -> None:
    described(sandbox, {"expect": UNIQUE, "failOnError": True})
    sandbox.staged("items1.csv", "id,label\n1,a\n1,b\n")
    done = sandbox.run("load", SL_RUN_KEY="k", SL_DUCKDB_COMPAT=compat)
    assert done.code != 0
    (found,) = done.told
    assert [(check.text, check.passed, check.fails) for check in found.checks] == [(UNIQUE, False, True)]


@pytest.mark.parametrize("kind", ["TABLE", "VIEW"])
def test_a_transform_tells_too_and_counts_no_view(sandbox: Sandbox, kind: str) -> None:
    sandbox.write("metadata/transform/kpi/one.sql", "SELECT 1 AS a, 'x' AS b UNION ALL SELECT 2, 'y'")
    sandbox.write(
        "metadata/transform/kpi/one.sl.yml",
        f'task: {{sink: {{materializedView: {kind}}}, expectations: [{{expect: "SELECT count(*) FROM SL_THIS => count == 1"}}]}}',
    )
    (found,) = sandbox.run("transform", "--name", "kpi.one", SL_RUN_KEY="k").told
    rows = 2 if kind == "TABLE" else None
    assert (found.table, found.accepted, found.rows) == ("kpi.one", rows, rows)
    assert [column.name for column in found.columns] == ["a", "b"]
    assert [(check.passed, check.fails) for check in found.checks] == [(True, False)]
    assert sandbox.run("transform", "--name", "kpi.one", SL_RUN_KEY="k").told == (found,)


@pytest.mark.parametrize(
    ("settings", "rows"),
    [
        ("writeStrategy: {type: OVERWRITE}", [2, 2]),
        ("writeStrategy: {type: APPEND}", [2, 4]),
        ("writeStrategy: {type: OVERWRITE}, postsql: ['DELETE FROM kpi.one WHERE a = 1']", [1, 1]),
        ("writeStrategy: {type: OVERWRITE}, presql: ['CREATE OR REPLACE TABLE kpi.one AS SELECT 7 AS a']", [2, 2]),
    ],
)
def test_the_rows_of_the_table_are_those_after_the_command(sandbox: Sandbox, settings: str, rows: list[int]) -> None:
    sandbox.write("metadata/transform/kpi/one.sql", "SELECT 1 AS a UNION ALL SELECT 2")
    sandbox.write("metadata/transform/kpi/one.sl.yml", f"task: {{{settings}}}")
    told = [sandbox.run("transform", "--name", "kpi.one", SL_RUN_KEY=f"k{number}").told for number in range(2)]
    assert [(found.accepted, found.rows) for (found,) in told] == [(2, count) for count in rows]
    assert [found.rows for found in sandbox.run("transform", "--name", "kpi.one", SL_RUN_KEY="k0").told] == rows[1:]


def test_a_transform_that_fails_tells_what_its_expectations_found(sandbox: Sandbox) -> None:
    sandbox.write("metadata/transform/kpi/one.sql", "SELECT 1 AS a")
    sandbox.write(
        "metadata/transform/kpi/one.sl.yml", "task: {expectations: [{expect: 'SELECT 1', failOnError: true}]}"
    )
    done = sandbox.run("transform", "--name", "kpi.one", SL_RUN_KEY="k")
    assert done.code != 0
    assert done.told == (Written("kpi.one", checks=(CheckResult("SELECT 1", False, True, '["1"]'),)),)


def test_nobody_is_told_without_a_key(sandbox: Sandbox) -> None:
    described(sandbox)
    sandbox.staged("items1.csv", "id,label\n1,a\n")
    assert sandbox.run("load").told == ()


def test_a_wide_table_is_told_without_its_columns(sandbox: Sandbox) -> None:
    columns = ", ".join(f"{number} AS {'c' * 50}{number}" for number in range(1200))
    sandbox.write("metadata/transform/kpi/wide.sql", f"SELECT {columns}")
    (found,) = sandbox.run("transform", "--name", "kpi.wide", SL_RUN_KEY="k").told
    assert (found.rows, found.columns) == (1, ())
