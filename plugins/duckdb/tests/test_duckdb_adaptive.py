"""Adaptive write strategies: conditions, and the files that choose."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from starlake_core_duckdb.adaptive import facts_of
from starlake_core_duckdb.errors import ProjectFault
from starlake_core_duckdb.file_conditions import FileFacts, parse_condition

if TYPE_CHECKING:
    from conftest import Sandbox

NAMES = {"fileSize": int, "dayOfWeek": int, "isFirstDayOfMonth": bool}
GROUPS = frozenset[int | str]((0, 1, 2, "mode"))
FACTS = FileFacts(
    {0: "t-F-1.csv", 1: "F", 2: None, "mode": "F"}, {"fileSize": 2048, "dayOfWeek": 7, "isFirstDayOfMonth": False}
)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ('group("mode") == "F"', True),
        (' group( 1 )=="F"', True),
        ('group(2) == "F"', False),
        ('group(2) != "F"', True),
        ('group(1) == "\\"" || "a\\\\b" == "a\\\\b"', True),
        ("group(2) == null && group(1) != null", True),
        ("dayOfWeek != 7", False),
        ("dayOfWeek>=6&&dayOfWeek<=7", True),
        ("fileSize > 1000L && !isFirstDayOfMonth", True),
        ("!(fileSize / 1024 == 2) || false", False),
        ("fileSize - 2 * 1000 == 48", True),
        ("-7 / 2 == -3 && -7 % 2 == -1", True),
        ("1 + 2 * 3 == 7 && (1 + 2) * 3 == 9", True),
        ("true || false && false", True),
        ("isFirstDayOfMonth == false", True),
        ("false && 1 / 0 == 1", False),
    ],
)
def test_a_condition(text: str, holds: bool) -> None:
    assert parse_condition(text, NAMES, GROUPS, "t").holds(FACTS) is holds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it ends too early"),
        ("dayOfWeek", "true or false is expected, not a number"),
        ("dayOfWeek == ", "it ends too early"),
        ("dayOfWeek = 7", "'= 7' cannot be read"),
        ('dayOfWeek == "7"', "'==' compares a number with a text"),
        ('group("mode") > "A"', "'>' compares numbers, not a text"),
        ('group("mood") == "F"', "the pattern has no group 'mood' (it has 'mode', 0, 1, 2)"),
        ('group(3) == "F"', "the pattern has no group 3"),
        ('group(mode) == "F"', "group takes the number of a group, or its name in double quotes"),
        ("dayOfMonth == 1", "'dayOfMonth' is unknown; use group, dayOfWeek, fileSize, isFirstDayOfMonth"),
        ("isFirstDayOfMonth isFirstDayOfMonth", "nothing may follow before 'isFirstDayOfMonth'"),
        ("(dayOfWeek == 1", "it ends too early"),
        ("1 + true == 2", "a number is expected, not true or false"),
        ("!dayOfWeek", "true or false is expected, not a number"),
        ("* 3 == 1", "'*' is not expected"),
        ("(" * 1000 + "true" + ")" * 1000, "it has too many parentheses"),
        ("!" * 1000 + "true", "it has too many signs"),
        ("'F' == 1", "\"'F' == 1\" cannot be read"),
        ("System.exit(1) == 1", "'.exit(1) == 1' cannot be read"),
    ],
)
def test_a_condition_that_is_wrong(text: str, message: str) -> None:
    with pytest.raises(ProjectFault) as raised:
        parse_condition(text, NAMES, GROUPS, "shop.items")
    assert message in str(raised.value)
    assert str(raised.value).startswith("shop.items: the condition ")


def test_a_condition_that_divides_by_zero() -> None:
    with pytest.raises(ProjectFault, match="divides by zero"):
        parse_condition("1 / (dayOfWeek - 7) == 1", NAMES, GROUPS, "t").holds(FACTS)


def test_what_is_known_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x" * 3_000_000)
    modified = datetime(2026, 2, 28, 23, 30, tzinfo=timezone.utc)  # a Saturday, and the last day of a month
    os.utime(path, (modified.timestamp(), modified.timestamp()))
    facts = facts_of(r"items-(?<mode>[FD])(-\d)?.*", "items-F.csv", path, datetime(2026, 3, 1, tzinfo=timezone.utc))
    assert facts.groups == {0: "items-F.csv", 1: "F", 2: None, "mode": "F"}
    assert facts.values == {
        "fileSize": 3_000_000,
        "fileSizeB": 3_000_000,
        "fileSizeKo": 2929,
        "fileSizeMo": 2,
        "fileSizeGo": 0,
        "fileSizeTo": 0,
        "dayOfWeek": 7,
        "isFirstDayOfMonth": True,
        "isLastDayOfMonth": False,
        "fileDayOfWeek": 6,
        "isFileFirstDayOfMonth": False,
        "isFileLastDayOfMonth": True,
    }


ADAPTIVE = """
    table:
      pattern: "items-(?<mode>[FDX])?.*"
      attributes: [{name: id, type: int}, {name: label}]
      metadata:
        writeStrategy:
          key: [id]
          types:
            OVERWRITE: 'group("mode") == "F"'
            UPSERT_BY_KEY: 'group("mode") == "D" || fileSizeMo > 1'
            SCD2: 'group("mode") == "S"'
            append: 'group("mode") == "X" && isFileFirstDayOfMonth'
            DELETE_THEN_INSERT: 'group("mode") == "X" && fileDayOfWeek == 7'
"""


def rows(sandbox: Sandbox) -> list[tuple[object, ...]]:
    return sandbox.query("SELECT id, label FROM shop.items ORDER BY ALL")


@pytest.mark.parametrize("grouped", ["false", "true"])
def test_each_file_chooses(sandbox: Sandbox, grouped: str) -> None:
    sandbox.table("items", ADAPTIVE)
    for second, (name, text) in enumerate((("D1", "1,a"), ("F2", "2,b"), ("F3", "3,c"), ("D4", "3,d\n4,e"))):
        path = sandbox.staged(f"items-{name}.csv", f"id,label\n{text}\n")
        os.utime(path, (second, second))
    assert sandbox.run("load", SL_GROUPED=grouped).code == 0
    # Files that follow each other with one strategy are one batch in a grouped load.
    assert rows(sandbox) == [*([(2, "b")] if grouped == "true" else []), (3, "d"), (4, "e")]


@pytest.mark.parametrize(
    ("name", "day", "message"),
    [
        ("items-.csv", 2, "no condition of writeStrategy.types is true of the file items-.csv"),
        (
            "items-X.csv",
            1,
            "2 of the conditions of writeStrategy.types are true of the file items-X.csv (APPEND: group(",
        ),
    ],
)
def test_a_file_that_does_not_choose_one_fails(sandbox: Sandbox, name: str, day: int, message: str) -> None:
    sandbox.table("items", ADAPTIVE)
    path = sandbox.staged(name, "id,label\n1,a\n")
    moment = datetime(2026, 11, day, tzinfo=timezone.utc).timestamp()  # the first of this month is a Sunday
    os.utime(path, (moment, moment))
    result = sandbox.run("load")
    assert result.code == 1
    assert message in result.err
    assert sandbox.files("stage") == [f"shop/{name}"]


@pytest.mark.parametrize(
    ("types", "message"),
    [
        ('{APPEND: \'group("kind") == "F"\'}', "the pattern has no group 'kind' (it has 'mode', 0, 1)"),
        ("{UPSERT_BY_KEY_AND_TIMESTAMP: 'dayOfWeek > 0'}", "needs writeStrategy.timestamp"),
        ("{MINE: 'dayOfWeek > 0'}", "the write strategy MINE of shop.items is not supported"),
        ("{APPEND: }", "the condition '' is wrong: it ends too early"),
    ],
)
def test_what_is_wrong_is_said_before_a_file_moves(sandbox: Sandbox, types: str, message: str) -> None:
    text = ADAPTIVE[: ADAPTIVE.index("types:")] + f"types: {types}\n"
    sandbox.table("items", text)
    assert message in sandbox.run("load").err


def test_a_transform_has_no_files_to_choose(sandbox: Sandbox) -> None:
    sandbox.write("metadata/transform/kpi/t.sql", "SELECT 1 AS n")
    sandbox.write("metadata/transform/kpi/t.sl.yml", "task: {writeStrategy: {types: {APPEND: 'dayOfWeek > 0'}}}")
    result = sandbox.run("transform", "--name", "kpi.t")
    assert result.code == 1
    assert "writeStrategy.types of kpi.t, which is not loaded from files, is not supported" in result.err
