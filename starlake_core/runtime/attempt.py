"""One attempt of one task: start it, wait for its end, finish it.

``execute`` is the three in a row. A deferrable operator calls ``start`` in the worker, looks for a moment with ``watch``, waits in the
trigger (``shared_poller``, and ``expire`` at the deadline), and calls ``finish`` on resume. Retries of a task belong to the orchestrator. How
an end is waited for is in ``waiting``.
"""

from __future__ import annotations

import copy
import enum
import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..errors import OutageError, RunnerError, StarlakeError
from ..logs import get_logger, log_fields
from ..masking import mask_text, secret_arguments, secret_values
from ..model.identity import Kinship, first_difference, kinship
from ..model.job import Job
from ..model.outcome import AttemptInfo, Outcome, Status, Verdict
from ..model.run import RunKey
from ..plugins.pausing import pausing, unless_stopped
from ..plugins.runner import Runner
from ..processes.exclusive import exclusively
from .guarded import Guarded
from .poller import ask
from .repeating import guarded
from .waiting import OnLine, forward, settled, wait

__all__ = [
    "OlderAttempt",
    "attempts_of",
    "check_work",
    "end_all",
    "execute",
    "finish",
    "start",
]

logger = get_logger(__name__)

_TAIL_LINES = 20
_STOPPING_SECONDS = 600.0
"""How long a new attempt waits for the end of an older one that is being stopped."""


class OlderAttempt(str, enum.Enum):
    """What a new attempt does with an older one that is still going: take it over, or stop it first."""

    ADOPT = "adopt"
    CANCEL = "cancel"


def start(
    job: Job,
    runner: Runner,
    key: RunKey,
    older: OlderAttempt = OlderAttempt.ADOPT,
    *,
    again: bool = False,
    counts: Callable[[str], bool] = lambda attempt: True,
) -> str:
    """Start an attempt, or find that it is going already.

    The environment is asked first. A run of this very attempt is taken back, also when it has ended. A live older attempt
    of the task is adopted or cancelled; one that is being stopped is not adopted: this one waits for its end. An older attempt that has
    ended is never taken for the result of this one. Work that is not safely done twice is started
    only when what an earlier attempt left behind was put back, or a person has said so.

    Args:
        job: bound.
        runner: of the job's endpoint.
        key: of the attempt.
        older: what to do with a live older attempt.
        again: an earlier attempt may have begun, as far as the orchestrator knows.
        counts: whether an attempt, by its name, is of this work: not from before somebody asked for the work to be done anew.

    Returns:
        The handle to wait for.

    Raises:
        RunnerError: the environment cannot start it, or it must not be done again before a person has looked.
        OutageError: it does not answer, or an older attempt does not end; nothing was started.
    """
    with log_fields(**_fields(job, key)):
        return _start(job, runner, key, older, again, counts, lambda: guarded(job, runner, key))


def _fields(job: Job, key: RunKey) -> dict[str, str]:
    """What log records say of the attempt that they are about."""
    return {"starlake_environment": job.environment, "starlake_task": key.task, "starlake_attempt": key.attempt}


def _start(
    job: Job,
    runner: Runner,
    key: RunKey,
    older: OlderAttempt,
    again: bool,
    counts: Callable[[str], bool],
    guard: Callable[[], Guarded | None],
) -> str:
    key = replace(key, digest=job.digest)
    found = attempts_of(job, runner, key)
    for attempt in found:
        if _is_own(attempt, key) and not _is_gone(runner, attempt):
            check_work(job, key, attempt)
            logger.info("%s attempt %s was started before; taking it back (%s)", key.task, key.attempt, attempt.handle)
            return attempt.handle
    live = [attempt for attempt in found if not attempt.status.ended]
    going = [attempt for attempt in live if attempt.status.going]
    keep = going[-1] if going and older is OlderAttempt.ADOPT else None
    if keep is not None:
        check_work(job, key, keep)
    # Beside one that is taken over nothing begins: the others are only told to end.
    end_all(runner, key.task, [attempt for attempt in live if attempt is not keep], wait=keep is None)
    if keep is not None:
        logger.info(
            "%s: attempt %s takes over attempt %s, still going (%s)", key.task, key.attempt, keep.attempt, keep.handle
        )
        return keep.handle
    work = guard()
    if work is None:
        return runner.submit(job, key)
    if live:
        found = attempts_of(job, runner, key)  # how those that were stopped have ended
    taken = work.begin(
        [_certain(attempt, key) if counts(attempt.attempt) else attempt for attempt in found], again, counts
    )
    if taken is not None:
        check_work(job, key, next(attempt for attempt in found if attempt.handle == taken))
        return taken
    try:
        return runner.submit(job, key)
    except Exception as error:
        # Where a service did not answer, it may have started it all the same, and says so when it is asked.
        if isinstance(error, RunnerError) or not runner.detached:
            work.undo()
        raise


def attempts_of(job: Job, runner: Runner, key: RunKey) -> list[AttemptInfo]:
    """The attempts of a task that are of this very run, the oldest first.

    Attempts of another run, which had the same name and was deleted, are none; those that still go on are stopped first. Attempts that the version
    before has started are found under the name that it gave them.

    Args:
        job: bound.
        runner: of its endpoint.
        key: of the attempt that asks.

    Raises:
        RunnerError, OutageError: they cannot be looked for, or one of another run does not end.
    """
    found = list(runner.find(job, key.task))
    if key.former:
        # Until 0.2.0: what has a digest is of this version, and of a deployment without a name.
        found = [attempt for attempt in runner.find(job, key.former) if not attempt.digest] + found
    others = [attempt for attempt in found if kinship(attempt.instance, key.instance) is Kinship.OTHER]
    live = [attempt for attempt in others if not attempt.status.ended]
    if live:
        logger.warning(
            "%s: %s of another run of this name still goes on and is stopped first. If that is the run of another deployment, give each a name: "
            "the option deployment",
            key.task,
            ", ".join(attempt.handle for attempt in live),
        )
        end_all(runner, key.task, live)
    return [attempt for attempt in found if attempt not in others]


def _is_own(attempt: AttemptInfo, key: RunKey) -> bool:
    """Whether an attempt is the one that a key names. One that has ended is only taken back where it is certain which run it is of."""
    return attempt.is_of(key) or (attempt.attempt == key.attempt and not attempt.status.ended)


def _certain(attempt: AttemptInfo, key: RunKey) -> AttemptInfo:
    """An attempt as far as it is certain how it ended: what may be of another run of the name says nothing about this one."""
    if not attempt.status.ended or kinship(attempt.instance, key.instance) is Kinship.SAME:
        return attempt
    return replace(attempt, status=Status(Outcome(Verdict.LOST, reason="it may be of another run of this name")))


def check_work(job: Job, key: RunKey, attempt: AttemptInfo) -> None:
    """Refuse to take an attempt for one of this work, if it does other work.

    Args:
        job: bound.
        key: of the attempt that asks.
        attempt: that has its name.

    Raises:
        RunnerError: they differ; the message says where, and how to start anew.
    """
    difference = first_difference(attempt.digest, key.digest or job.digest, job.environment, job.arguments, job.env)
    if difference:
        going = "goes on; stop it, or wait for its end" if not attempt.status.ended else "has ended"
        raise RunnerError(
            f"attempt {attempt.attempt} of {key.task} was started with other arguments or variables ({difference}), so that it is not taken for this "
            f"one: {attempt.handle}. It {going}. To start anew, clear the task where the orchestrator has that, or start another run"
        )


def _is_gone(runner: Runner, attempt: AttemptInfo) -> bool:
    """Whether an attempt that has ended is known no longer: it was deleted since it was seen, and nobody can tell how it ended."""
    if not attempt.status.ended:
        return False
    outcome = ask(runner, [attempt.handle])[attempt.handle].outcome
    return outcome is not None and outcome.verdict is Verdict.LOST


def end_all(runner: Runner, task: str, attempts: Sequence[AttemptInfo], *, wait: bool = True) -> None:
    """Stop attempts of a task that go on, and wait until they, and those that are being stopped already, have ended.

    Args:
        runner: that found them.
        task: stable part of the key, for messages.
        attempts: those that have ended stay as they are.
        wait: false only asks for their end.

    Raises:
        OutageError: one has not ended after ten minutes, or whoever waits was stopped.
    """
    live = [attempt for attempt in attempts if not attempt.status.ended]
    for attempt in live:
        doing = "waiting for" if attempt.status.stopping else "stopping"
        logger.warning("%s: %s attempt %s, which has not ended (%s)", task, doing, attempt.attempt, attempt.handle)
        if not attempt.status.stopping:
            runner.cancel(attempt.handle)
    deadline = time.monotonic() + _STOPPING_SECONDS
    for attempt in live if wait else ():
        if settled(runner, attempt.handle, max(0.0, deadline - time.monotonic()), stoppable=True) is None:
            raise OutageError(
                f"{task}: attempt {attempt.attempt} is being stopped and has not ended ({attempt.handle}); nothing was started beside it"
            )


def finish(runner: Runner, handle: str, outcome: Outcome, job: Job | None = None, key: RunKey | None = None) -> Outcome:
    """Complete what is known of an ended attempt: a failure gets the end of its output, and says whether another attempt may follow; the success
    of a load that left its files unloaded is a failure.

    Args:
        runner: that started it.
        handle: of the attempt.
        outcome: how it ended.
        job: bound; None where only the output is wanted.
        key: of the attempt.
    """
    if job is None or key is None:
        return _finish(runner, handle, outcome, job, None)
    work, name = job, key
    with log_fields(**_fields(work, name)):
        return _finish(runner, handle, outcome, work, lambda: guarded(work, runner, name))


def _finish(
    runner: Runner, handle: str, outcome: Outcome, job: Job | None, guard: Callable[[], Guarded | None] | None
) -> Outcome:
    succeeded = outcome.verdict in (Verdict.SUCCEEDED, Verdict.NOT_READY)
    if not succeeded and not outcome.tail:
        outcome = replace(outcome, tail="\n".join(_last_lines(runner, handle)))
    if job is not None:
        secrets = secret_values({**secret_arguments(job.arguments), **job.env})
        outcome = replace(outcome, reason=mask_text(outcome.reason, secrets), tail=mask_text(outcome.tail, secrets))
    work = guard() if guard is not None else None
    if work is None:
        return outcome
    return work.conclude(outcome, () if succeeded else _all_lines(runner, handle, outcome))


def _all_lines(runner: Runner, handle: str, outcome: Outcome) -> Sequence[str]:
    """The output of a failure, as far as it is cheap to read."""
    if not runner.follows:
        return outcome.tail.splitlines()
    lines: list[str] = []
    forward(runner, handle, None, lines.append)
    return lines


def _last_lines(runner: Runner, handle: str) -> Sequence[str]:
    try:
        return list(runner.tail(handle, _TAIL_LINES))
    except Exception as error:  # as with all output
        logger.warning("the end of the output of %s cannot be read: %s", handle, error)
        return ()


def execute(
    job: Job,
    runner: Runner,
    key: RunKey,
    *,
    timeout: float | None = None,
    interval: float | None = None,
    on_line: OnLine | None = None,
    stop: Callable[[], bool] | None = None,
    on_start: Callable[[str], None] | None = None,
    older: OlderAttempt = OlderAttempt.ADOPT,
    again: bool = False,
    counts: Callable[[str], bool] = lambda attempt: True,
) -> Outcome:
    """Run one attempt of one task and wait for its end.

    Args:
        job: bound.
        runner: of the job's endpoint.
        key: of the attempt.
        timeout, interval, on_line, stop: see :func:`wait`. The time-out begins when the job does: while a resource of the job is used by others, the
            attempt has not begun, and ``on_line`` is told for what it waits.
        on_start: called with the handle as soon as there is one, and with another one where what was taken over is cancelled by others and this
            attempt runs by itself; its time-out begins anew then.
        older, again, counts: see :func:`start`.

    Returns:
        How it ended.

    Raises:
        RunnerError: the environment cannot start or watch it, or it must not be done again before a person has looked.
    """
    with log_fields(**_fields(job, key)), exclusively(job, key, stop=stop, on_wait=on_line) as held:
        if not held:
            return Outcome(Verdict.CANCELLED, reason="cancelled before it began", stopped=True)
        once_guarded = functools.cache(lambda: guarded(job, runner, key))

        def guard() -> Guarded | None:
            """What watches over the work, as the project was when it began; with no memory of what came of an earlier question."""
            return copy.copy(once_guarded())

        def once(older: OlderAttempt) -> tuple[str, Outcome]:
            handle = _started(lambda: _start(job, runner, key, older, again, counts, guard), runner, key, stop)
            if isinstance(handle, Outcome):
                return "", handle
            if on_start is not None:
                on_start(handle)
            outcome = wait(runner, handle, timeout=timeout, interval=interval, on_line=on_line, stop=stop)
            if outcome.verdict is Verdict.CANCELLED and stop is not None and stop():
                return "", outcome  # who stopped it is not kept waiting for the end of its output
            return handle, _finish(runner, handle, outcome, job, guard)

        handle, outcome = once(older)
        cancelled = bool(handle) and outcome.verdict is Verdict.CANCELLED and not outcome.stopped
        if not cancelled:
            return outcome
        with pausing(stop):
            if not _is_of_another(job, runner, key, handle):
                return outcome
        # An older attempt that was taken over may be cancelled by those who remember it, or was being stopped while the service still told that it
        # runs.
        logger.warning("%s: what attempt %s had taken over was cancelled; it runs by itself", key.task, key.attempt)
        return once(OlderAttempt.CANCEL)[1]


def _is_of_another(job: Job, runner: Runner, key: RunKey, handle: str) -> bool:
    """Whether an attempt is an older one than that of a key. Where nobody can tell, its end stays that of the new one."""
    try:
        found = attempts_of(job, runner, replace(key, digest=job.digest))
    except StarlakeError as error:
        logger.warning("%s: whose attempt was cancelled cannot be looked up: %s", key.task, error)
        return False
    return any(attempt.handle == handle and attempt.attempt != key.attempt for attempt in found)


def _started(begin: Callable[[], str], runner: Runner, key: RunKey, stop: Callable[[], bool] | None) -> str | Outcome:
    """The handle of an attempt; that it was cancelled, where a stop came before the service had an answer."""
    try:
        return unless_stopped(
            begin,
            stop if runner.detached else None,
            f"starting {key.task}",
            late=runner.cancel,
        )
    except OutageError as error:
        if stop is None or not stop():
            raise
        logger.warning("%s was cancelled while it was being started: %s", key.task, error)
        return Outcome(Verdict.CANCELLED, reason=f"cancelled while it was being started: {error}")
