"""Random faults around loads, on Airflow: its retries, clears of what failed, runs that are made again, and workers that are killed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest
from airflow import settings
from airflow_runs import AIRFLOW_3, draw, known, program, state
from load_fault_runs import in_a_process, numbers, seed_of

from starlake_core.testing import StandIn
from starlake_core.testing.load_faults import draw_loads, draw_schedule, play, prepare

DATE = datetime(2026, 11, 2, tzinfo=timezone.utc)


class Airflow:
    """``dag.test`` of one date in a process for each run: the run of that date is made again under its id."""

    def __init__(self, root: Path, stand_in: StandIn) -> None:
        options = {**program(stand_in), "retries": 1, "retry_delay": 0}
        self.dag = draw(root, draw_loads, options, cron="0 0 * * *").native

    def run(self) -> bool:
        def work() -> bool:
            # Connections to the database are those of the parent.
            settings.engine.dispose(close=False)
            named = {"logical_date": DATE, "run_after": DATE} if AIRFLOW_3 else {"execution_date": DATE}
            return state(known(self.dag).test(**named)) == "success"

        return in_a_process(work)

    def again(self) -> bool:
        return self.run()


@pytest.mark.faults
@pytest.mark.parametrize("number", numbers())
def test_loads_are_green_with_their_rows_and_never_twice(
    number: int, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    schedule = draw_schedule(seed_of(number))
    root = tmp_path / "project"
    stand_in = StandIn(tmp_path / "bin")
    prepare(schedule, root, stand_in)
    played = play(schedule, Airflow(root, stand_in), root)
    assert not played.wrong, played
    if played.persons:
        record_property("summary", f"airflow: schedule {schedule.seed} needed a person: {', '.join(played.persons)}")
