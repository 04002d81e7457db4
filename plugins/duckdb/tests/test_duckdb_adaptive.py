"""Adaptive write strategies: conditions, and the files that choose."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path

import pytest
from starlake_core_duckdb.adaptive import facts_of
from starlake_core_duckdb.errors import ProjectFault
from starlake_core_duckdb.file_conditions import FileFacts, parse_condition

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
