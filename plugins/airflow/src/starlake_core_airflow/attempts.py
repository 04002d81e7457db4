"""Decides which attempt an execution of a task waits for: its own, an older one that is still running, or a new one.

Airflow executes a ``try`` several times if it is rescheduled, and a process remembers nothing between two executions. What remains is
what the environment knows: the attempts of a task, by name. A try is named by its number; a look of a waiting check by its try and the time at
which it started.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from starlake_core import Job, OutageError, RunKey, RunnerError
from starlake_core.logs import get_logger
from starlake_core.runtime import (
    AttemptInfo,
    OlderAttempt,
    Outcome,
    Runner,
    Verdict,
    ask,
    attempts_of,
    check_work,
    end_all,
    pause,
    start,
)

__all__ = ["Look", "start_own", "take", "take_look"]

logger = get_logger(__name__)


_PATIENCE_SECONDS = 600.0
"""For how many seconds the search for attempts may be refused in a repeated execution of a try. In the first one a refusal is final at once."""
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0


def _try(attempt: str) -> int:
    number = attempt.rpartition("~")[2].partition(".")[0]  # without the generation
    return int(number) if number.isdigit() else 0


def _found(job: Job, runner: Runner, key: RunKey, again: bool) -> Sequence[AttemptInfo]:
    """The attempts of a task. While one of them runs, a service that cannot be queried is no reason to fail it."""
    deadline, waiting = time.monotonic() + _PATIENCE_SECONDS, _FIRST_PAUSE
    while True:
        try:
            return attempts_of(job, runner, key)
        except (RunnerError, OutageError) as error:
            if not again or time.monotonic() + waiting > deadline:
                raise
            logger.warning("%s: the search for its attempts failed, retrying: %s", key.task, error)
            if not pause(waiting):
                raise
            waiting = min(_LONGEST_PAUSE, 2 * waiting)


def _since_clear(job: Job, runner: Runner, key: RunKey, cleared: int, again: bool) -> Sequence[AttemptInfo]:
    """The attempts that count. Those from before a clear are stopped first, because a clear means that the work is to be done again."""
    found = _found(job, runner, key, again)
    end_all(runner, key.task, [attempt for attempt in found if _try(attempt.attempt) <= cleared])
    return [attempt for attempt in found if _try(attempt.attempt) > cleared]


def _answer(runner: Runner, attempt: AttemptInfo) -> Outcome | None:
    """How a look ended; the search may only say that it has ended."""
    outcome = attempt.status.outcome
    if outcome is None or outcome.verdict is not Verdict.SUCCEEDED:
        return outcome
    return ask(runner, [attempt.handle])[attempt.handle].outcome


def take(job: Job, runner: Runner, key: RunKey, *, cleared: int, again: bool) -> str:
    """Start an attempt, take it back, or take over an older one.

    Args:
        job: a bound job.
        runner: the runner of its endpoint.
        key: the key of the try.
        cleared: the last try from before the task was cleared.
        again: whether this try was executed before: if it has no attempt of its own, it took over the latest one, which may have ended since.

    Returns:
        The handle to wait for.
    """
    found = _since_clear(job, runner, key, cleared, again)
    if again and found and all(attempt.attempt != key.attempt for attempt in found):
        check_work(job, key, found[-1])
        return found[-1].handle
    # If only attempts from before the clear may still be running, there is none to take over.
    live = any(attempt.status.going for attempt in found)
    return start_own(job, runner, key, OlderAttempt.ADOPT if live else OlderAttempt.CANCEL, cleared=cleared)


def start_own(job: Job, runner: Runner, key: RunKey, older: OlderAttempt, *, cleared: int) -> str:
    """Start an attempt as :func:`starlake_core.runtime.start` does, with what Airflow knows of earlier tries.

    Args:
        job, runner, key, older: as for :func:`starlake_core.runtime.start`.
        cleared: as for :func:`take`.
    """
    return start(
        job,
        runner,
        key,
        older,
        again=_try(key.attempt) > 1,
        counts=lambda attempt: _try(attempt) > cleared,
    )


@dataclass(frozen=True)
class Look:
    """One look of a waiting check.

    Attributes:
        job: a bound job.
        key: its key; not that of the attempt if an older try started it.
        handle: the handle to wait for.
        began: when it started, in seconds since the epoch.
    """

    job: Job
    key: RunKey
    handle: str
    began: float


def take_look(bind: Callable[[str], Job], runner: Runner, key: RunKey, *, cleared: int, again: bool) -> Look:
    """Start a look of a waiting check, or continue one: a look that has a result is not repeated.

    Args:
        bind: creates the job of an attempt.
        runner: the runner of its endpoint.
        key: the key of the try.
        cleared, again: as for :func:`take`.
    """
    now = time.time_ns() // 1_000_000
    look = replace(key, attempt=f"{key.attempt}.{now}")
    job = bind(look.attempt)
    found = _since_clear(job, runner, key, cleared, again)
    mine = [attempt for attempt in found if _try(attempt.attempt) == _try(key.attempt)]
    going = [attempt for attempt in found if attempt.status.going]
    # A try that was executed before and has no look of its own took over the latest one.
    answered = [attempt for attempt in (found if again and not mine else mine)[-1:] if attempt.status.ended]
    for attempt in (*going[-1:], *answered):
        outcome = _answer(runner, attempt)
        if outcome is None or outcome.verdict is not Verdict.NOT_READY:
            check_work(job, key, attempt)
            own = replace(key, attempt=attempt.attempt) if attempt in mine else look
            return Look(job, own, attempt.handle, _began(attempt.attempt, now))
    return Look(job, look, start_own(job, runner, look, OlderAttempt.CANCEL, cleared=cleared), now / 1000)


def _began(attempt: str, now: int) -> float:
    moment = attempt.partition(".")[2]
    return (int(moment) if moment.isdigit() else now) / 1000
