"""Runs, keys, reports, and what starts a run on events."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from starlake_core import DataInterval, Report, Run, RunKey, StarlakeDataset, TaskReport
from starlake_core.model.run import generation_of
from starlake_core.model.schedule import time_zone
from starlake_core.orchestrators.events import event_metadata

UTC = timezone.utc
START, END = datetime(2024, 7, 1, 22, tzinfo=UTC), datetime(2024, 7, 2, 22, tzinfo=UTC)
PARIS = Run("p", "r", DataInterval(START, END), ZoneInfo("Europe/Paris"))
IN_PARIS = PARIS.attempt("t")
TEXTS = st.text(max_size=8)


def test_values_are_in_the_zone_of_the_schedule() -> None:
    assert PARIS.scheduled_date == END
    assert IN_PARIS.value("sl_scheduled_date") == "2024-07-03T00:00:00.000+0200"
    assert IN_PARIS.value("sl_ds") == "2024-07-03"
    assert IN_PARIS.value("sl_data_interval_start") == "2024-07-02T00:00:00+02:00"
    assert IN_PARIS.value("sl_data_interval_end") == "2024-07-03T00:00:00+02:00"
    assert IN_PARIS.value("sl_run_id") == "r"
    assert Run("p", "r", DataInterval(START, END)).attempt("t").value("sl_ds") == "2024-07-02"


@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_hashes_are_legal_in_the_name_of_a_cluster(pipeline: str, run_id: str, task: str, number: str) -> None:
    attempt = Run(pipeline, run_id, DataInterval(START, END)).attempt(task, number)
    key = attempt.key
    for text in (attempt.value("sl_run_hash"), attempt.value("sl_attempt_hash"), key.task_hash, key.attempt_hash):
        assert re.fullmatch(r"[0-9a-f]{12}", text)
    assert attempt.value("sl_attempt_hash") == key.attempt_hash


def test_a_hash_is_the_same_in_every_process_and_version() -> None:
    assert RunKey("p/r/t", "1").task_hash == "fcaf16790cdc"


@given(st.tuples(TEXTS, TEXTS), st.tuples(TEXTS, TEXTS))
@example(("a", "bc"), ("ab", "c"))
def test_two_attempts_have_two_hashes(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (RunKey(*one).attempt_hash == RunKey(*other).attempt_hash) == (one == other)


def test_a_key_is_stable_over_attempts_and_re_executions() -> None:
    first = PARIS.attempt("g.t", "1")
    again = PARIS.attempt("g.t", "2")
    re_execution = Run("p", "r2", DataInterval(START, END), root_run_id="r").attempt("g.t", "r2:0")
    assert first.key == RunKey("p/r/g.t", "1")
    assert first.key.task == again.key.task == re_execution.key.task
    assert len({attempt.key.attempt_hash for attempt in (first, again, re_execution)}) == 3
    assert len({attempt.value("sl_run_hash") for attempt in (first, again, re_execution)}) == 1
    assert PARIS.attempt("other", "1").key.task != first.key.task


def test_an_attempt_names_its_partition_and_its_generation() -> None:
    attempt = PARIS.attempt("t", "2", partition="3", generation=1)
    assert (attempt.run, attempt.task, attempt.number) == (PARIS, "t", "2")
    assert (attempt.key.task, attempt.key.work) == ("p/r/t[3]", "p/r/t[3]~1")


def test_a_generation_makes_another_attempt() -> None:
    keys = [PARIS.attempt("t", "1", generation=generation).key for generation in (0, 1, 2)]
    assert [key.attempt for key in keys] == ["1", "1~1", "2~1"]
    assert len({key.attempt_hash for key in keys}) == 3
    assert [generation_of(key.attempt) for key in keys] == [0, 1, 2]
    # The name of an attempt is a number that can be passed on.
    assert PARIS.attempt("t", keys[1].attempt, generation=1).key == keys[1]


@pytest.mark.parametrize(
    ("state", "succeeded"),
    [("success", True), ("dry run", True), ("failed", False), ("cancelled", False), ("running", False)],
)
def test_when_a_report_is_a_success(state: str, succeeded: bool) -> None:
    assert Report("p", "r", state).succeeded is succeeded


def test_a_task_of_a_report_is_found_by_path_or_by_an_id_that_one_task_has() -> None:
    a, b, c = (TaskReport(path, "success") for path in ("g.a", "h.a", "h.c"))
    report = Report("p", "r", "success", (a, b, c))
    assert report.task("g.a") is a
    assert report.task("c") is c
    with pytest.raises(KeyError, match="a: 2 tasks of p"):
        report.task("a")
    with pytest.raises(KeyError, match="x: 0 tasks of p"):
        report.task("x")


def test_an_interval_may_be_empty() -> None:
    value: Any = DataInterval(END, END)
    assert value.start == value.end


@pytest.mark.parametrize(
    ("zone", "end", "start"),
    [
        ("UTC", "2026-03-05T10:17:00+00:00", "2026-03-05T00:00:00+00:00"),
        ("UTC", "2026-03-05T00:00:00+00:00", "2026-03-04T00:00:00+00:00"),
        ("Europe/Paris", "2026-03-05T23:30:00+00:00", "2026-03-06T00:00:00+01:00"),
        ("Europe/Paris", "2026-03-29T22:00:00+00:00", "2026-03-29T00:00:00+01:00"),
    ],
)
def test_a_command_never_gets_an_empty_interval(zone: str, end: str, start: str) -> None:
    moment = datetime.fromisoformat(end)
    run = Run("p", "r", DataInterval(moment, moment), time_zone(zone))
    attempt = run.attempt("t")
    assert attempt.value("sl_data_interval_start") == start
    assert datetime.fromisoformat(attempt.value("sl_data_interval_end")) == moment
    assert run.covered.start < run.covered.end == moment
    assert event_metadata(StarlakeDataset("a"), attempt, "p")["sl_data_interval_start"] == attempt.value(
        "sl_data_interval_end"
    )
