"""Random faults around loads, on Airflow: its retries, clears of what failed, runs that are made again, and workers that are killed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path

import pytest
from airflow_forks import Forks
from airflow_runs import AIRFLOW_3, draw, known, program, state
from breadth import once_on_airflow
from load_fault_runs import batches, seeds_of, told

from starlake_core.testing import StandIn
from starlake_core.testing.load_faults import draw_loads, draw_schedule, play, prepare

DATE = datetime(2026, 11, 2, tzinfo=timezone.utc)


class Airflow:
    """``dag.test`` of one date in a process for each run: the run of that date is made again under its id."""

    def __init__(self, root: Path, stand_in: StandIn, seeds: Sequence[int]) -> None:
        options = {**program(stand_in), "retries": 1, "retry_delay": 0}
        self.dag = draw(root, lambda p: draw_loads(p, seeds), options, cron="0 0 * * *").native
        self.forks = Forks(root / "warm")

    def run(self) -> bool:
        named = {"logical_date": DATE, "run_after": DATE} if AIRFLOW_3 else {"execution_date": DATE}
        return self.forks.run(lambda: state(known(self.dag).test(**named)) == "success")

    def again(self) -> bool:
        return self.run()


@once_on_airflow
@pytest.mark.faults
@pytest.mark.parametrize("batch", batches("airflow"))
def test_loads_are_green_with_their_rows_and_never_twice(
    batch: int, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    schedules = [draw_schedule(seed) for seed in seeds_of(batch)]
    root, stand_in = tmp_path / "project", StandIn(tmp_path / "bin")
    prepare(schedules, root, stand_in)
    played = play(schedules, Airflow(root, stand_in, seeds_of(batch)), root)
    record_property("summary", f"loads on Airflow: {told(played)}")
    assert not [one for one in played if one.wrong], played
