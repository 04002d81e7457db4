"""Expectations of transforms: macros and conditions, failures, and what is recorded."""

from __future__ import annotations

import json
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlake_core_duckdb.conditions import ConditionError, Rows, condition

if TYPE_CHECKING:
    from conftest import Sandbox

SQL = "SELECT * FROM (VALUES (1, 'a'), (2, 'a'), (3, NULL)) v(id, label)"


def transform(sandbox: Sandbox, *expectations: str | dict[str, Any], sql: str = SQL, **environ: str) -> Any:
    entries = [{"expect": entry, "failOnError": True} if isinstance(entry, str) else entry for entry in expectations]
    sandbox.write("metadata/transform/kpi/t.sql", sql)
    sandbox.write("metadata/transform/kpi/t.sl.yml", json.dumps({"version": 1, "task": {"expectations": entries}}))
    return sandbox.run("transform", "--name", "kpi.t", **environ)


def tables(sandbox: Sandbox) -> list[tuple[Any, ...]]:
    return sandbox.query("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'kpi'")


HOLD = [
    "is_col_value_not_unique('id')",
    "is_col_value_not_unique('id') => result(0) == 1",
    "is_col_value_not_unique('label') => result(0) == 2",
    "is_row_count_to_be_between(1, 3)",
    "is_row_count_to_be_between(4, 5) => result(0) == 0",
    "col_value_count_greater_than('label', 2)",
    "col_value_count_greater_than('label', 1) => count == 1 && result(0) == 'a'",
    "count_by_value('label', 'b')",
    "count_by_value('label', 'a') => result(0) >= 2",
    "count_by_value('id', 7)",
    "count_by_value('id', '1') => result(0) == 1",
    "count_by_value('label', \"it's\")",
    "column_occurs('label', 2)",
    "column_occurs('label', 3) => result(0) == null",
    "quality.is_col_value_not_unique('id')",
    "SELECT count(*) FROM SL_THIS WHERE label IS NULL => result(0) == 1",
    "SELECT id FROM SL_THIS ORDER BY id => count == 3 && results(2)(0) == 3 && results.size == 3",
    "SELECT 0 FROM sl_this LIMIT 1",
    "SELECT NULL",
    "SELECT count(*) FROM pragma_table_info('SL_THIS') => result(0) == 2",
    "own('id')",
    "own(col='id')",
]
FAIL = [
    "is_col_value_not_unique('label')",
    "is_row_count_to_be_between(4, 5)",
    "col_value_count_greater_than('label', 1)",
    "count_by_value('label', 'a')",
    "column_occurs('label', 3)",
    "SELECT id FROM SL_THIS",
    "SELECT 1 WHERE false",
    "SELECT 'x'",
    "SELECT nothing FROM SL_THIS",
    "SELECT CAST(label AS INTEGER) FROM SL_THIS",
    "SELECT 1 => result(0)",
    "own('label')",
]


@pytest.fixture
def project(sandbox: Sandbox) -> Sandbox:
    sandbox.write(
        "metadata/expectations/more/own.j2",
        "{% macro own(col, table='SL_THIS') %}-- all different\nSELECT count({{ col }}) - count(DISTINCT {{ col }}) FROM {{ table }};{% endmacro %}",
    )
    return sandbox


@pytest.mark.parametrize("expectation", HOLD)
def test_what_holds(project: Sandbox, expectation: str) -> None:
    done = transform(project, expectation)
    assert done.code == 0, done.err
    assert project.query("SELECT expectation, success, fails FROM starlake_core.expectations") == [
        (expectation, True, True)
    ]


@pytest.mark.parametrize("expectation", FAIL)
def test_what_fails_writes_nothing(project: Sandbox, expectation: str) -> None:
    done = transform(project, expectation)
    assert done.code == 1
    assert f"kpi.t: 1 expectation(s) fail, so nothing is written\n  {expectation!r} does not hold: " in done.err
    assert tables(project) == []
    assert project.query("SELECT expectation, success FROM starlake_core.expectations") == [(expectation, False)]
    assert project.query("SELECT success FROM starlake_core.log") == [(False,)]


@pytest.mark.parametrize("expectation", FAIL)
def test_what_may_fail_is_recorded(project: Sandbox, expectation: str, caplog: pytest.LogCaptureFixture) -> None:
    done = transform(project, {"expect": expectation}, {"expect": HOLD[0], "failOnError": False}, HOLD[1])
    assert done.code == 0, done.err
    assert tables(project) == [("t",)]
    assert f"kpi.t: the expectation {expectation!r} does not hold" in caplog.text
    assert project.query("SELECT expectation, success, fails FROM starlake_core.expectations ORDER BY ALL") == sorted(
        [(expectation, False, False), (HOLD[0], True, False), (HOLD[1], True, True)]
    )


@pytest.mark.parametrize(
    ("expectation", "message"),
    [
        ("is_row_count_to_be(99)", "there is no macro 'is_row_count_to_be' (known: col_value_count_greater_than,"),
        ("is_col_value_not_uniqe('id')", "Did you mean 'is_col_value_not_unique'"),
        ("own('id') => result(0", "is not a condition, at 'its end'"),
        ("own('id') => __import__('os')", "is not a condition"),
        ("own", "write a call of a macro, such as"),
        ("", "write a call of a macro, such as"),
        ("own(", "write a call of a macro, such as"),
        ("own('id', 'kpi.t', 3)", "macro 'own' takes not more than 2 argument(s)"),
    ],
)
def test_what_cannot_be_checked_is_found_before_anything_is_written(
    project: Sandbox, expectation: str, message: str
) -> None:
    for fails in (True, False):
        done = transform(project, {"expect": expectation, "failOnError": fails})
        assert done.code == 1
        assert "t.sl.yml: the expectation" in done.err
        assert message in done.err
    assert transform(project, expectation, SL_RUN_KEY="k").code == 78
    assert not (project.root / "datasets" / "duckdb.db").exists()


def test_starlakes_own_answer_keeps_the_rows(project: Sandbox) -> None:
    for expectation in ("own('label')", "unknown('x')"):
        done = transform(project, expectation, SL_DUCKDB_COMPAT="starlake", SL_RUN_KEY=expectation)
        assert done.code == 1
        assert "1 expectation(s) fail, and the rows stay" in done.err
    assert project.query("SELECT count(*) FROM kpi.t") == [(6,)]
    assert project.query("SELECT DISTINCT success FROM starlake_core.log") == [(True,)]
    assert project.query("SELECT count(*) FROM starlake_core.run_keys") == [(0,)]


def test_the_settings_of_the_application(project: Sandbox) -> None:
    project.write("metadata/application.sl.yml", "application: {expectations: {failOnError: true}}")
    assert transform(project, {"expect": "own('label')"}).code == 1
    assert transform(project, {"expect": "own('label')", "failOnError": False}).code == 0
    project.write("metadata/application.sl.yml", "application: {expectations: {active: false}}")
    assert transform(project, "own('label')", "unknown()").code == 0
    project.write("metadata/application.sl.yml", "application: {}")
    assert transform(project, {"expect": "own('label')"}, SL_EXPECTATIONS_FAIL_ON_ERROR="true").code == 1
    assert transform(project, "own('label')", SL_EXPECTATIONS_ACTIVE="false").code == 0


def test_own_macros_take_precedence(project: Sandbox) -> None:
    project.write("metadata/macros/m.j2", "{% macro is_col_value_not_unique(c) %}SELECT 0{% endmacro %}")
    assert transform(project, "is_col_value_not_unique('label')").code == 0


def test_expectations_of_a_view(project: Sandbox) -> None:
    project.write("metadata/transform/kpi/_config.sl.yml", "transform: {default: {sink: {materializedView: VIEW}}}")
    assert transform(project, "own('label')").code == 1
    assert project.query("SELECT view_name FROM duckdb_views() WHERE schema_name = 'kpi'") == []
    assert transform(project, "own('id')").code == 0


ROWS = Rows(2, [(1, "x", Decimal("1.50"), None, True), (2, "y", Decimal(2), None, False)])


@pytest.mark.parametrize(
    "text",
    [
        "count == 2",
        "count = 2 and not (count > 2)",
        "result(0) == 1 && result(1) == 'x'",
        "result[0] + 1 == 2 * result(0)",
        "results(1)(0) >= 2 || false",
        'results[1][1] != "x"',
        "result(2) == 1.5",
        "result(3) == null",
        "result(9) == null && results(5)(0) == null",
        "result(4) && !results(1)(4)",
        "result.size == 5",
        "result.length == 5 && results.size == 2",
        "-1 < 0 && 7 % 4 == 3 && 1 / 4 == 0.25",
        "result(1) < 'y'",
        "(result(3) > 1) == false",
        "'it\\'s' == \"it's\"",
    ],
)
def test_conditions_that_hold(text: str) -> None:
    assert condition(text).holds(ROWS) is True


@pytest.mark.parametrize("text", ["result(0)", "1 / 0 == 1", "'a' + 1 == 2", "!1", "null && true", "result('x') == 1"])
def test_conditions_that_cannot_be_evaluated(text: str) -> None:
    with pytest.raises(ConditionError, match="condition"):
        condition(text).holds(ROWS)


@pytest.mark.parametrize(
    "text", ["", "count ==", "count = = 2", "results(0) == 1", "1 2", "x == 1", "count; 1", "result.x == 1", "§"]
)
def test_what_is_no_condition(text: str) -> None:
    with pytest.raises(ConditionError, match="is not a condition"):
        condition(text)


@given(st.text(alphabet="count result(0)[]=<>!&|+-*/%'\"1.x \\", max_size=40))
def test_any_text_is_a_condition_or_is_refused(text: str) -> None:
    with suppress(ConditionError):
        condition(text).holds(ROWS)


@given(st.integers(), st.integers(), st.sampled_from(["==", "!=", "<", "<=", ">", ">="]))
def test_numbers_compare_as_in_python(one: int, other: int, sign: str) -> None:
    import operator

    compare = {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}[sign]
    found = condition(f"result(0) {sign} result(1)").holds(Rows(1, [(one, other)]))
    assert found == getattr(operator, compare)(one, other)
