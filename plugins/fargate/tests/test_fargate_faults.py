"""The submitting process dies between any two calls, and calls go wrong: no run twice at once, none lost, none repeated for a restart."""

from __future__ import annotations

from typing import Any

import pytest
from emulators.ecs import Ecs
from emulators.faults import Fault, Kind, When
from emulators.schedules import PROGRAM, Schedule, check, play
from fargate_lab import Lab

PRELOAD = ("starlake_core_fargate.runner", "boto3")
# List what runs, list what stopped, start, look, and look again: whatever there is at the start has been killed by then.
CALLS = range(5)


def played(lab: Lab, schedule: Schedule) -> Any:
    with Ecs(PROGRAM) as ecs:
        lab.options.update(ecs.options)
        job = lab.job(env={"PLAY_SECONDS": str(schedule.seconds)})
        return play(schedule, ecs, job, PRELOAD)


@pytest.mark.parametrize("new", [False, True], ids=["same attempt", "new attempt"])
@pytest.mark.parametrize("when", When, ids=lambda when: when.name)
@pytest.mark.parametrize("call", CALLS)
def test_a_process_that_dies_leaves_one_run(lab: Lab, call: int, when: When, new: bool) -> None:
    result = played(lab, Schedule(call, {call: Fault(Kind.KILL, when)}, (new,), 0.3))
    check(result)
    assert result.kills == 1
    if not new:
        assert len(result.runs) == 1
