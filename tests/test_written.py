"""What an attempt wrote, as a program tells it to its runner."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from starlake_core import CheckResult, Column, Job, RunKey, Written
from starlake_core.model.written import WrittenLines
from starlake_core.runtime import Outcome, ProcessRunner, Verdict, execute

ORDERS = Written(
    "sales.orders",
    "SALES.orders",
    5,
    0,
    12,
    (Column("id", "BIGINT"), Column("naïve \n name", "VARCHAR")),
    (CheckResult("is_unique('id')", False, True, '["1"]'),),
)
COUNTERS = 'IngestionCounters:{"inputCount": 7, "acceptedCount": 5, "rejectedCount": 2, "paths": [], "jobid": "j"}'


def told(*lines: str) -> tuple[Written, ...]:
    found = WrittenLines()
    for line in lines:
        found.take(line)
    return found.found


def test_a_line_says_the_same() -> None:
    assert told(ORDERS.to_line()) == (ORDERS,)
    assert "\n" not in ORDERS.to_line()
    assert told(Written().to_line()) == (Written(),)


def test_the_last_word_about_a_table_counts() -> None:
    again = Written("sales.orders", accepted=6)
    other = Written("sales.lines", accepted=1)
    assert told(ORDERS.to_line(), other.to_line(), again.to_line()) == (again, other)


def test_starlakes_counters_count_if_there_is_nothing_else() -> None:
    assert told(COUNTERS) == (Written(accepted=5, rejected=2),)
    assert told(COUNTERS, ORDERS.to_line()) == (ORDERS,)


@pytest.mark.parametrize(
    "line",
    [
        "IngestionCounters:",
        "IngestionCounters:{}",
        "IngestionCounters:[1]",
        'IngestionCounters:{"acceptedCount": "x", "rejectedCount": 1}',
        "starlake_core:written ",
        "starlake_core:written []",
        'starlake_core:written {"colour": "red"}',
        'starlake_core:written {"checks": [1]}',
        'starlake_core:written {"checks": [{"colour": 1}]}',
        'starlake_core:written {"columns": [["a", "b", "c", "d", "e", "f", "g", "h"]]}',
        'starlake_core:written {"rows": "many"}',
        "loaded sales.orders: 5 row(s)",
    ],
)
def test_other_lines_are_output(line: str) -> None:
    found = WrittenLines()
    assert found.take(line) is False
    assert found.found == ()


def test_an_outcome_keeps_it_between_processes() -> None:
    outcome = Outcome(Verdict.SUCCEEDED, 0, written=(ORDERS, Written("sales.lines")))
    assert Outcome.from_json(outcome.to_json()) == outcome


def test_a_process_tells_its_runner(tmp_path: Path) -> None:
    """The line is for the runner; people see the others."""
    program = f"print('first'); print({ORDERS.to_line()!r}); print({COUNTERS!r})"
    runner = ProcessRunner(lambda job: (sys.executable, "-c", program))
    lines: list[str] = []
    outcome = execute(
        Job("shell", ("load",), {"SL_ROOT": str(tmp_path)}), runner, RunKey("t", "1"), on_line=lines.append
    )
    assert outcome.written == (ORDERS,)
    assert lines == ["first", COUNTERS]
    assert "starlake_core:written" not in outcome.tail
