"""The submitting process dies between any two calls, and calls go wrong: no run twice at once, none lost, none repeated for a restart."""

from __future__ import annotations

from typing import Any

import pytest
from emulators.ecs import Ecs
from emulators.faults import Fault, Kind, When
from emulators.schedules import PROGRAM, Schedule, check, crowd, draw, play, seeds
from fargate_lab import Lab

from starlake_core.runtime import Verdict

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


@pytest.mark.parametrize("seed", seeds(3))
def test_a_random_schedule(lab: Lab, seed: int) -> None:
    check(played(lab, draw(seed)))


def test_without_the_token_a_lost_reply_starts_two(lab: Lab) -> None:
    """The negative control."""
    with Ecs(PROGRAM) as ecs:
        ecs.dedupe = False
        lab.options.update(ecs.options)
        job = lab.job(env={"PLAY_SECONDS": "0.3"})
        result = play(Schedule(1, {2: Fault(Kind.LOST, When.AFTER)}, (), 0.3), ecs, job, PRELOAD)
        assert len(result.runs) == 2
        with pytest.raises(AssertionError, match=r"twice at once|2 runs for 1 attempts"):
            check(result)


def test_many_tasks_while_a_third_of_all_calls_fails(lab: Lab) -> None:
    """A small one of the crowd of 300 that the tests of the emulators run."""
    with Ecs(PROGRAM) as ecs:
        lab.options.update(ecs.options)
        ecs.faults.at_random(
            0.3, [Fault(Kind.UNAVAILABLE), Fault(Kind.UNAVAILABLE, When.AFTER), Fault(Kind.THROTTLED)], 7
        )
        outcomes = crowd(lambda number: lab.job(env={"PLAY_EXIT": str(number % 3)}), 12, 6)
        codes = [outcome.exit_code for outcome in outcomes]
        assert codes == [number % 3 for number in range(12)]
        assert [outcome.verdict is Verdict.SUCCEEDED for outcome in outcomes] == [code == 0 for code in codes]
        assert len(ecs.containers.all) == 12
