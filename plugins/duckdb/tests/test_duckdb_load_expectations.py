"""Expectations of loads: which rows and files stay, and what is recorded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Sandbox

UNIQUE = "is_col_value_not_unique('id')"


def load(sandbox: Sandbox, text: str, *expectations: dict[str, Any], name: str = "items1.csv", **environ: str) -> Any:
    attributes = [{"name": "id", "type": "int"}, {"name": "label", "type": "string"}]
    table = {"pattern": "items.*", "rename": "Things", "attributes": attributes, "expectations": expectations}
    sandbox.table("items", json.dumps({"version": 1, "table": table}))
    sandbox.staged(name, f"id,label\n{text}")
    return sandbox.run("load", **environ)


def places(sandbox: Sandbox) -> dict[str, list[str]]:
    return {area: found for area in ("stage", "ingesting", "archive") if (found := sandbox.files(area))}


def test_what_fails_loads_nothing_and_the_file_goes_back(sandbox: Sandbox) -> None:
    expectation = {"expect": UNIQUE, "failOnError": True}
    assert load(sandbox, "1,a\n", expectation).code == 0
    done = load(sandbox, "1,b\n2,c\n", expectation, name="items2.csv")
    assert done.code == 1
    assert (
        f"shop.Things: 1 expectation(s) fail, so nothing is written\n  {UNIQUE!r} does not hold: 1 row(s)" in done.err
    )
    assert sandbox.query("SELECT id, label FROM shop.Things") == [(1, "a")]
    assert places(sandbox) == {"stage": ["shop/items2.csv"], "archive": ["shop/items1.csv"]}
    sandbox.staged("items2.csv", "id,label\n2,c\n")
    assert sandbox.run("load").code == 0
    assert sandbox.query("SELECT id FROM shop.Things ORDER BY id") == [(1,), (2,)]


def test_what_may_fail_is_recorded_and_loads(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    assert load(sandbox, "1,a\n1,b\n", {"expect": UNIQUE}).code == 0
    assert f"shop.Things: the expectation {UNIQUE!r} does not hold" in caplog.text
    assert places(sandbox) == {"archive": ["shop/items1.csv"]}


def test_the_other_tables_of_the_load_are_loaded(sandbox: Sandbox) -> None:
    sandbox.table("others", "table: {pattern: 'others.*', attributes: [{name: id, type: int}]}")
    sandbox.staged("others.csv", "id\n7\n")
    assert load(sandbox, "1,a\n1,b\n", {"expect": UNIQUE, "failOnError": True}).code == 1
    assert sandbox.query("SELECT id FROM shop.others") == [(7,)]


def test_starlakes_own_answer_keeps_rows_and_leaves_the_file_in_ingesting(sandbox: Sandbox) -> None:
    done = load(sandbox, "1,a\n1,b\n", {"expect": UNIQUE, "failOnError": True}, SL_DUCKDB_COMPAT="starlake")
    assert done.code == 1
    assert sandbox.query("SELECT id, label FROM shop.Things") == [(1, "a"), (1, "b")]
    assert places(sandbox) == {"ingesting": ["shop/items1.csv"]}


def test_a_macro_that_does_not_exist_fails_before_a_file_moves(sandbox: Sandbox) -> None:
    done = load(sandbox, "1,a\n", {"expect": "unknown('id')"})
    assert done.code == 1
    assert "items.sl.yml: the expectation" in done.err
    assert "there is no macro 'unknown'" in done.err
    assert places(sandbox) == {"stage": ["shop/items1.csv"]}
