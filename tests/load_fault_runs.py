"""What the fault suites of loads share: seeds, a process for each run, and the counts that a suite shows."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from breadth import ON_EVERY_VERSION

from starlake_core.testing.load_faults import Played

__all__ = ["BATCHES", "batches", "in_a_process", "seeds_of", "told"]

_AT_ONCE = 5
BATCHES = 200 // _AT_ONCE
_ALWAYS = range(20 // _AT_ONCE)
_SHARES = {"local": (0, 1), "airflow": (2,), "dagster": (3,)}
"""The batches that are always played, each with one orchestrator: what a load promises is in the core, whoever starts it."""
_PATIENCE = 300.0


def batches(orchestrator: str) -> list[Any]:
    """The numbers of the batches of schedules.

    All orchestrators together play 20 schedules, each of them 20 with STARLAKE_ON_EVERY_VERSION, as the matrix has it, and 200 with ``-m soak``.

    Args:
        orchestrator: that plays them.
    """
    always = _ALWAYS if ON_EVERY_VERSION else _SHARES[orchestrator]
    return [pytest.param(n, marks=() if n in always else pytest.mark.soak) for n in range(BATCHES)]


def seeds_of(batch: int) -> list[int]:
    """The seeds of the schedules of a batch, from STARLAKE_SOAK_SEED."""
    return random.Random(f"{os.environ['STARLAKE_SOAK_SEED']}/{batch}").sample(range(10**9), _AT_ONCE)


def in_a_process(work: Callable[[], bool]) -> bool:
    """What a function answers in a forked process; False where a fault kills it."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)

    def answer() -> None:
        # A session of its own: what pytest does with signals is not its business.
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        theirs.send(work())

    process = context.Process(target=answer)
    process.start()
    theirs.close()
    process.join(_PATIENCE)
    if process.is_alive():
        process.kill()
        raise AssertionError("the run hangs")
    if process.exitcode == -signal.SIGKILL:
        return False
    assert process.exitcode == 0, f"the run ended with {process.exitcode}"
    return bool(ours.recv())


def told(results: Iterable[Played]) -> str:
    """The counts of a suite, as a line."""
    played = list(results)
    faults = Counter(f"{step.how} {step.at}" for one in played for step in one.schedule.faults)
    persons = sum(bool(one.persons) for one in played)
    wrong = sum(bool(one.wrong) for one in played)
    return (
        f"{len(played)} schedules, {sum(faults.values())} faults ({', '.join(f'{n} {name}' for name, n in sorted(faults.items()))}), "
        f"{persons} needed a person, {wrong} wrong"
    )
