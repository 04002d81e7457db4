"""Random faults around loads, on Dagster: retries of steps, re-executions from failure, run workers that are killed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance, DagsterRunStatus
from dagster_runs import draw, instance_in, job, launch, program
from load_fault_runs import batches, in_a_process, seeds_of, told
from starlake_core_dagster.context import UNSAFE

from starlake_core import StarlakePipeline
from starlake_core.testing import StandIn, Step
from starlake_core.testing.load_faults import draw_loads, draw_schedule, play, prepare


class Dagster:
    """A run worker for each run; a run whose worker was killed is marked as failed, as Dagster's monitoring does."""

    def __init__(self, root: Path, stand_in: StandIn, home: Path, seeds: Sequence[int]) -> None:
        def drawn(pipeline: StarlakePipeline) -> None:
            draw_loads(pipeline, seeds)

        self.job = job(
            draw(drawn, {**program(stand_in), "retries": 1, "retry_unsafe": "no"}, environment="shell", root=root)
        )
        self.home = home

    def _launch(self, again: str | None) -> bool:
        def work() -> bool:
            with instance_in(self.home) as instance:
                before = None if again is None else instance.get_run_by_id(again)
                return bool(launch(self.job, instance, again=before, from_failure=before is not None).success)

        return in_a_process(work)

    def run(self) -> bool:
        return self._launch(None)

    def again(self) -> bool:
        with instance_in(self.home) as instance:
            latest = self._latest(instance)
            if latest.status is not DagsterRunStatus.FAILURE:
                instance.report_run_failed(latest, "its worker was killed")
        return self._launch(latest.run_id)

    def _latest(self, instance: DagsterInstance) -> Any:
        return instance.get_runs(limit=1)[0]


@pytest.mark.faults
@pytest.mark.parametrize("batch", batches("dagster"))
def test_loads_are_green_with_their_rows_and_never_twice(
    batch: int, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    schedules = [draw_schedule(seed) for seed in seeds_of(batch)]
    root, stand_in = tmp_path / "project", StandIn(tmp_path / "bin")
    prepare(schedules, root, stand_in)
    played = play(schedules, Dagster(root, stand_in, tmp_path / "home", seeds_of(batch)), root)
    record_property("summary", f"loads on Dagster: {told(played)}")
    assert not [one for one in played if one.wrong], played


def test_who_has_to_decide_is_told_how_in_dagster(tmp_path: Path) -> None:
    """A transform whose end is not known is not repeated; the step says which tag permits it, and the tag does."""
    stand_in = StandIn(tmp_path / "bin")
    stand_in.script("transform:kpi.day", Step(exit_code=137), Step())
    options = {**program(stand_in), "retry_unsafe": "no"}
    drawn = draw(lambda p: p.sl_transform("day", "kpi.day"), options, environment="shell", root=tmp_path / "project")
    with instance_in(tmp_path / "home") as instance:
        first = launch(job(drawn), instance)
        second = launch(job(drawn), instance, again=first.dagster_run, from_failure=True)
        for result in (first, second):
            assert not result.success
            (failure,) = (event for event in result.all_events if event.is_step_failure)
            said = str(failure.step_failure_data.error)
            assert (
                "mark the task as succeeded. In Dagster, re-execute with the tag starlake/retry_unsafe=doubtful; "
                in said
            )
        third = launch(job(drawn), instance, {UNSAFE: "doubtful"}, again=second.dagster_run, from_failure=True)
        assert third.success
