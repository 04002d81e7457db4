"""Random faults around one task: errors before and after the work was done, replies that get lost, and a submitting process that is killed.

A *schedule* is drawn from a seed. It runs one task by what an orchestrator does, ``execute`` in a process of its own; when a fault kills that
process, another one is started, for the same attempt or for a new one. What the containers of the emulator then tell is what really ran.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

from starlake_core import Job, RunKey
from starlake_core.runtime import Outcome, execute, runner_for

from .containers import Container, Containers
from .faults import Fault, Faults, Kind, When

__all__ = ["PROGRAM", "Emulator", "Result", "Schedule", "at_once", "check", "crowd", "draw", "play", "seeds"]

PATIENCE = 120.0
_CALLS = 10
_ERRORS = (
    Fault(Kind.UNAVAILABLE),
    Fault(Kind.UNAVAILABLE, When.AFTER),
    Fault(Kind.THROTTLED),
    Fault(Kind.LOST),
    Fault(Kind.LOST, When.AFTER),
)
_KILLS = (Fault(Kind.KILL), Fault(Kind.KILL, When.AFTER))

PROGRAM = ("/bin/sh", "-c", 'sleep "${PLAY_SECONDS:-0}"; exit "${PLAY_EXIT:-0}"', "starlake")
"""A program for the emulators that takes a while and ends as its variables say."""


class Emulator(Protocol):
    """What an emulator offers to schedules."""

    faults: Faults
    containers: Containers
    options: dict[str, Any]


@dataclass(frozen=True)
class Schedule:
    """What goes wrong with one task.

    Attributes:
        seed: that it was drawn from.
        faults: number of a call (counted over all processes) to what happens to it.
        new_attempt: for each kill in turn, whether what starts next is a new attempt.
        seconds: how long the work takes.
    """

    seed: int
    faults: dict[int, Fault]
    new_attempt: tuple[bool, ...]
    seconds: float


@dataclass
class Result:
    """What a schedule led to.

    Attributes:
        schedule: that was played.
        outcome: of the last attempt.
        kills: how often the submitting process died.
        attempts: names of the attempts that were started.
        runs: what really ran, in order.
        errors: what processes ended with that were not killed.
    """

    schedule: Schedule
    outcome: Outcome | None = None
    kills: int = 0
    attempts: list[str] = field(default_factory=lambda: ["1"])
    runs: list[Container] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def seeds(count: int) -> list[int]:
    """Seeds of schedules, drawn from STARLAKE_SOAK_SEED.

    Args:
        count: how many.
    """
    source = random.Random(int(os.environ["STARLAKE_SOAK_SEED"]))
    return [source.randrange(10**6) for _ in range(count)]


def draw(seed: int) -> Schedule:
    """Draw a schedule.

    Args:
        seed: the same seed gives the same schedule.
    """
    source = random.Random(seed)
    faults = {source.randrange(_CALLS): source.choice(_ERRORS) for _ in range(source.randrange(4))}
    kills = source.randrange(3)
    faults.update({source.randrange(_CALLS): source.choice(_KILLS) for _ in range(kills)})
    chosen = tuple(source.random() < 0.5 for _ in range(2 * kills + 1))
    return Schedule(seed, faults, chosen, source.choice([0.0, 0.1, 0.4]))


def _attempt(job: str, task: str, attempt: str, answers: Any) -> None:
    """The submitting process."""
    made = Job.from_json(job)
    try:
        answers.send(("ended", execute(made, runner_for(made), RunKey(task, attempt)).to_json()))
    except Exception as error:
        answers.send(("raised", f"{type(error).__name__}: {error}"))


_context: Any = None
_context_lock = threading.Lock()


def _processes(preload: Sequence[str]) -> Any:
    """Processes that are forked from one that has imported the SDK and made nothing with it yet."""
    global _context
    with _context_lock:
        if _context is None:
            _context = multiprocessing.get_context("forkserver")
            _context.set_forkserver_preload([__name__, *preload])
        return _context


def play(schedule: Schedule, emulator: Emulator, job: Job, preload: Sequence[str]) -> Result:
    """Run one task under a schedule, again and again until a process ends by itself.

    Args:
        schedule: what goes wrong. An emulator plays one schedule at a time.
        emulator: of the service.
        job: bound; its program is :data:`PROGRAM`.
        preload: modules to import once for all processes.
    """
    result = Result(schedule)
    task = f"play/{schedule.seed}/task"
    before = len(emulator.containers.all)
    for number, fault in schedule.faults.items():
        emulator.faults.plan_call(number, fault)
    choices = list(schedule.new_attempt)
    while True:
        ours, theirs = _processes(preload).Pipe()
        process = _processes(preload).Process(
            target=_attempt, args=(job.to_json(), task, result.attempts[-1], theirs), daemon=True
        )
        emulator.faults.kill = lambda process=process: os.kill(process.pid, signal.SIGKILL)
        process.start()
        theirs.close()
        process.join(PATIENCE)
        if process.is_alive():
            process.kill()
            raise AssertionError(f"schedule {schedule} hangs")
        if process.exitcode == -signal.SIGKILL:
            result.kills += 1
            if choices and choices.pop(0):
                result.attempts.append(str(len(result.attempts) + 1))
            continue
        how, text = ours.recv()
        if how == "ended":
            result.outcome = Outcome.from_json(text)
        else:
            result.errors.append(text)
        break
    emulator.faults.forget()
    for container in emulator.containers.all[before:]:
        container.wait(PATIENCE)
    result.runs = emulator.containers.all[before:]
    return result


def at_once(runs: Sequence[Container]) -> int:
    """How many pairs of runs were going on at the same time.

    Args:
        runs: that have ended.
    """
    spans = sorted((run.started, run.ended or run.started) for run in runs)
    return sum(later[0] < earlier[1] for i, earlier in enumerate(spans) for later in spans[i + 1 :])


def check(result: Result, duplicates: bool = False) -> None:
    """Hold a result to what is promised: the work was done, never twice at once, and never again for an attempt that was only restarted.

    Args:
        result: of a schedule.
        duplicates: whether a run that was stopped by the one that goes on counts as none.

    Raises:
        AssertionError: with the schedule.
    """
    about = f"\n{result}"
    assert not result.errors, f"a process ended with an error{about}"
    assert result.outcome is not None
    assert result.outcome.succeeded, f"the task is {result.outcome.verdict}{about}"
    runs = [run for run in result.runs if not (duplicates and run.stopped)]
    assert runs, f"the work is lost{about}"
    assert at_once(runs) == 0, f"the work was done twice at once{about}"
    assert len(runs) <= len(result.attempts), f"{len(runs)} runs for {len(result.attempts)} attempts{about}"


def crowd(job_of: Callable[[int], Job], count: int, threads: int = 32) -> list[Outcome]:
    """Run many tasks side by side in this process.

    Args:
        job_of: the bound job of a number.
        count: how many.
        threads: how many at once.

    Returns:
        How each ended.
    """

    def one(number: int) -> Outcome:
        job = job_of(number)
        return execute(job, runner_for(job), RunKey(f"crowd/run/task-{number}", "1"))

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, range(count)))
