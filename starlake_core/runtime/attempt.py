"""Starts, waits for and finishes an attempt of a task.

``execute`` does all three. A deferrable operator calls ``start`` and, for a short time, ``watch`` in the worker, waits
in the trigger (``shared_poller``, and ``expire`` at the deadline), and calls ``finish`` on resume. The orchestrator is
responsible for retries of a task. The module ``waiting`` waits for the end.
"""

from __future__ import annotations

import contextlib
import copy
import enum
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from ..errors import OutageError, RunnerError, StarlakeError
from ..logs import get_logger, log_fields
from ..masking import mask_text, secret_arguments, secret_values
from ..model.exit_codes import may_pass
from ..model.identity import Kinship, first_difference, kinship
from ..model.job import Job
from ..model.outcome import AttemptInfo, Outcome, Status, Verdict
from ..model.run import RunKey, generation_of
from ..plugins.blame import blaming, told
from ..plugins.pausing import pausing, unless_stopped
from ..plugins.runner import Runner
from ..processes.exclusive import exclusively
from .guarded import Guarded
from .poller import ask
from .repeating import guarded
from .waiting import Heard, OnLine, forward, settled, wait

__all__ = [
    "OlderAttempt",
    "attempts_of",
    "check_work",
    "end_all",
    "execute",
    "finish",
    "start",
    "tell_end",
]

logger = get_logger(__name__)

_TAIL_LINES = 20
_STOPPING_SECONDS = 600.0
"""Seconds for which a new attempt waits until an older one has stopped."""


class OlderAttempt(str, enum.Enum):
    """What a new attempt does with an older one that is still running: take it over, or stop it first."""

    ADOPT = "adopt"
    CANCEL = "cancel"


def start(
    job: Job,
    runner: Runner,
    key: RunKey,
    older: OlderAttempt = OlderAttempt.ADOPT,
    *,
    again: bool = False,
    counts: Callable[[str], bool] | None = None,
) -> str:
    """Start an attempt, or find it already running.

    The environment is asked first. If it knows this very attempt, that one is used, even if it has ended: an attempt
    with another number or generation is other work. A live older attempt of the task is adopted or cancelled. If an
    older attempt is being stopped, the new one waits for its end.
    The result of an older attempt that has ended is never used. Work that cannot safely be done twice starts only if
    what an earlier attempt left behind was put back, or if a person allows it.

    Args:
        job: the bound job.
        runner: the runner of the job's endpoint.
        key: the key of the attempt.
        older: what to do with a live older attempt.
        again: whether an earlier attempt may have started, as far as the orchestrator knows.
        counts: returns whether an attempt, by its name, belongs to this work, rather than to a time before somebody
            requested a repetition; by default, whether it has the generation of the key. One that does not is stopped if
            it is still running, and never taken over.

    Returns:
        The handle to wait for.

    Raises:
        RunnerError: the environment cannot start it, or it must not be repeated before a person has checked.
        OutageError: the environment does not answer, or an older attempt does not end; nothing was started.
    """
    with log_fields(**_fields(job, key)), _telling_errors(job, runner, key):
        return _start(job, runner, key, older, again, counts, lambda: guarded(job, runner, key))


_TOLD = "_starlake_told"
"""The attribute of an error that names the attempt of which plugins have heard."""


def tell_end(job: Job, runner: Runner, key: RunKey, end: Outcome | BaseException) -> None:
    """Tell plugins how an attempt ended (``sl_task_ended``). ``execute``, ``start`` and ``finish`` do so themselves; an
    orchestrator that calls ``start`` and ``watch`` does so for what happens between them.

    Args:
        job: the bound job.
        runner: the runner of the job's endpoint.
        key: the key of the attempt.
        end: how it ended, or the error or interrupt that ended it. Plugins hear of each error once.
    """
    if isinstance(end, Outcome):
        outcome = end
    elif getattr(end, _TOLD, None) == (key.task, key.attempt):
        return
    elif isinstance(end, Exception):
        outcome = Outcome(Verdict.FAILED, reason=str(end), final=not may_pass(end))
    else:
        outcome = Outcome(Verdict.CANCELLED, reason="interrupted", stopped=True)
    if isinstance(end, BaseException):
        with contextlib.suppress(AttributeError, TypeError):  # an error with slots
            setattr(end, _TOLD, (key.task, key.attempt))
    told(runner, job, key, outcome)


@contextlib.contextmanager
def _telling_errors(job: Job, runner: Runner, key: RunKey) -> Iterator[None]:
    """Tell plugins of an attempt that this block could not start, watch or finish."""
    try:
        yield
    except BaseException as error:
        tell_end(job, runner, key, error)
        raise


def _fields(job: Job, key: RunKey) -> dict[str, str]:
    """Return the fields of log records about an attempt."""
    return {"starlake_environment": job.environment, "starlake_task": key.task, "starlake_attempt": key.attempt}


def _start(
    job: Job,
    runner: Runner,
    key: RunKey,
    older: OlderAttempt,
    again: bool,
    counts: Callable[[str], bool] | None,
    guard: Callable[[], Guarded | None],
) -> str:
    key = replace(key, digest=job.digest)
    generation = generation_of(key.attempt)
    belongs = counts or (lambda attempt: generation_of(attempt) == generation)
    found = attempts_of(job, runner, key)
    for attempt in found:
        if _is_own(attempt, key) and not _is_gone(runner, attempt):
            check_work(job, key, attempt)
            logger.info("%s attempt %s was already started; using it (%s)", key.task, key.attempt, attempt.handle)
            return attempt.handle
    live = [attempt for attempt in found if not attempt.status.ended]
    going = [attempt for attempt in live if attempt.status.going and belongs(attempt.attempt)]
    keep = going[-1] if going and older is OlderAttempt.ADOPT else None
    if keep is not None:
        check_work(job, key, keep)
    # Nothing starts next to an attempt that is taken over, so there is no need to wait for the others to end.
    end_all(runner, key.task, [attempt for attempt in live if attempt is not keep], wait=keep is None)
    if keep is not None:
        logger.info(
            "%s: attempt %s takes over attempt %s, which is still running (%s)",
            key.task,
            key.attempt,
            keep.attempt,
            keep.handle,
        )
        return keep.handle
    work = guard()
    if work is None:
        return _submit(job, runner, key)
    if live:
        found = attempts_of(job, runner, key)  # how the stopped attempts ended
    taken = work.begin(
        [_certain(attempt, key) if belongs(attempt.attempt) else attempt for attempt in found], again, belongs
    )
    if taken is not None:
        check_work(job, key, next(attempt for attempt in found if attempt.handle == taken))
        return taken
    try:
        return _submit(job, runner, key)
    except Exception as error:
        # A service that did not answer may have started it anyway. A later call finds out.
        if isinstance(error, RunnerError) or not runner.detached:
            work.undo()
        raise


def _submit(job: Job, runner: Runner, key: RunKey) -> str:
    if job.labels and not runner.labelled:
        logger.warning(
            "%s: the labels %s have no effect, because environment '%s' cannot label its jobs",
            key.task,
            ", ".join(sorted(job.labels)),
            job.environment,
        )
    with blaming(runner, "submit"):
        return runner.submit(job, key)


def attempts_of(job: Job, runner: Runner, key: RunKey) -> list[AttemptInfo]:
    """Return the attempts of a task that belong to this very run, oldest first.

    Attempts of a deleted run with the same name are left out; if they are still running, they are stopped first.
    Attempts that the previous version started are found under their former name.

    Args:
        job: the bound job.
        runner: the runner of the job's endpoint.
        key: the key of the current attempt.

    Raises:
        RunnerError, OutageError: they cannot be looked up, or an attempt of another run does not end.
    """
    with blaming(runner, "find"):
        found = list(runner.find(job, key.task))
        if key.former:
            # Until 0.2.0: an attempt with a digest is of this version and of a deployment without a name.
            found = [attempt for attempt in runner.find(job, key.former) if not attempt.digest] + found
    others = [attempt for attempt in found if kinship(attempt.instance, key.instance) is Kinship.OTHER]
    live = [attempt for attempt in others if not attempt.status.ended]
    if live:
        logger.warning(
            "%s: %s of another run with this name is still running and is stopped first. If it belongs to another deployment, give each a name with "
            "the option deployment",
            key.task,
            ", ".join(attempt.handle for attempt in live),
        )
        end_all(runner, key.task, live)
    return [attempt for attempt in found if attempt not in others]


def _is_own(attempt: AttemptInfo, key: RunKey) -> bool:
    """Return whether an attempt is the one of a key. An attempt that has ended is used only if it certainly belongs to
    the run."""
    return attempt.is_of(key) or (attempt.attempt == key.attempt and not attempt.status.ended)


def _certain(attempt: AttemptInfo, key: RunKey) -> AttemptInfo:
    """Return an attempt without its outcome, unless it certainly belongs to this run and not to another with the same
    name."""
    if not attempt.status.ended or kinship(attempt.instance, key.instance) is Kinship.SAME:
        return attempt
    return replace(attempt, status=Status(Outcome(Verdict.LOST, reason="it may belong to another run with this name")))


def check_work(job: Job, key: RunKey, attempt: AttemptInfo) -> None:
    """Refuse an attempt with this key if it does different work.

    Args:
        job: the bound job.
        key: the key of the current attempt.
        attempt: the attempt with this key.

    Raises:
        RunnerError: the work is different; the message says how, and how to start again.
    """
    difference = first_difference(attempt.digest, key.digest or job.digest, job.environment, job.arguments, job.env)
    if difference:
        going = "is still running; stop it, or wait for its end" if not attempt.status.ended else "has ended"
        raise RunnerError(
            f"attempt {attempt.attempt} of {key.task} was started with other arguments or variables ({difference}), so its result is not "
            f"used: {attempt.handle}. It {going}. To start again, clear the task if the orchestrator can do that, or start another run"
        )


def _is_gone(runner: Runner, attempt: AttemptInfo) -> bool:
    """Return whether an ended attempt is no longer known, because it was deleted since. Then its end is unknown."""
    if not attempt.status.ended:
        return False
    outcome = ask(runner, [attempt.handle])[attempt.handle].outcome
    return outcome is not None and outcome.verdict is Verdict.LOST


def end_all(runner: Runner, task: str, attempts: Sequence[AttemptInfo], *, wait: bool = True) -> None:
    """Stop the running attempts of a task, and wait until they, and those already being stopped, have ended.

    Args:
        runner: the runner that found them.
        task: the stable part of the key, for messages.
        attempts: the attempts; those that have ended stay as they are.
        wait: whether to wait until they have ended.

    Raises:
        OutageError: one has not ended after ten minutes, or the wait was stopped.
    """
    live = [attempt for attempt in attempts if not attempt.status.ended]
    for attempt in live:
        doing = "waiting for" if attempt.status.stopping else "stopping"
        logger.warning("%s: %s attempt %s, which has not ended (%s)", task, doing, attempt.attempt, attempt.handle)
        if not attempt.status.stopping:
            with blaming(runner, "cancel"):
                runner.cancel(attempt.handle)
    deadline = time.monotonic() + _STOPPING_SECONDS
    for attempt in live if wait else ():
        if settled(runner, attempt.handle, max(0.0, deadline - time.monotonic()), stoppable=True) is None:
            raise OutageError(
                f"{task}: attempt {attempt.attempt} is being stopped and has not ended ({attempt.handle}); nothing was started next to it"
            )


def finish(runner: Runner, handle: str, outcome: Outcome, job: Job | None = None, key: RunKey | None = None) -> Outcome:
    """Complete the outcome of an ended attempt. A failure gets the end of the output, and whether another attempt may
    follow. A load that succeeded but left files unloaded becomes a failure.

    Args:
        runner: the runner that started it.
        handle: the handle of the attempt.
        outcome: how it ended.
        job: the bound job; None to add only the output.
        key: the key of the attempt.
    """
    if job is None or key is None:
        return _finish(runner, handle, outcome, job, None)
    work, name = job, key
    with log_fields(**_fields(work, name)), _telling_errors(work, runner, name):
        ended = _finish(runner, handle, outcome, work, lambda: guarded(work, runner, name))
        # If an attempt that was taken over has ended, this one starts its own.
        if not _was_cancelled_outside(ended) or not _is_of_another(work, runner, name, handle):
            tell_end(work, runner, name, ended)
        return ended


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
    """Return the output of a failure, as far as it is cheap to read."""
    if not runner.follows:
        return outcome.tail.splitlines()
    lines: list[str] = []
    forward(runner, handle, None, lines.append)
    return lines


def _last_lines(runner: Runner, handle: str) -> Sequence[str]:
    try:
        return list(runner.tail(handle, _TAIL_LINES))
    except Exception as error:  # output never changes a verdict
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
    counts: Callable[[str], bool] | None = None,
) -> Outcome:
    """Run an attempt of a task, and wait until it ends.

    Args:
        job: the bound job.
        runner: the runner of the job's endpoint.
        key: the key of the attempt.
        timeout, interval, on_line, stop: see :func:`wait`. The time-out begins when the job starts. While another
            process uses a resource of the job, the attempt has not started, and ``on_line`` gets a message that says
            what it waits for.
        on_start: called with the handle as soon as there is one. If an attempt that was taken over is cancelled from
            outside, this attempt starts its own job: then it is called again, and the time-out begins again.
        older, again, counts: see :func:`start`.

    Returns:
        How it ended.

    Raises:
        RunnerError: the environment cannot start or watch it, or it must not be repeated before a person has checked.
    """
    on_line = Heard.by(on_line, key.task)
    with (
        log_fields(**_fields(job, key)),
        _telling_errors(job, runner, key),
        exclusively(job, key, stop=stop, on_wait=on_line) as held,
    ):
        if not held:
            return _told(
                job, runner, key, Outcome(Verdict.CANCELLED, reason="cancelled before it started", stopped=True)
            )
        once_guarded = functools.cache(lambda: guarded(job, runner, key))

        def guard() -> Guarded | None:
            """Return what guards the work, with the state of the project at its start and without cached answers."""
            return copy.copy(once_guarded())

        def once(older: OlderAttempt) -> tuple[str, Outcome]:
            handle = _started(lambda: _start(job, runner, key, older, again, counts, guard), runner, key, stop)
            if isinstance(handle, Outcome):
                return "", handle
            if on_start is not None:
                on_start(handle)
            outcome = wait(runner, handle, timeout=timeout, interval=interval, on_line=on_line, stop=stop)
            if outcome.verdict is Verdict.CANCELLED and stop is not None and stop():
                return "", outcome  # do not make the user who stopped it wait for the end of its output
            return handle, _finish(runner, handle, outcome, job, guard)

        handle, outcome = once(older)
        if not handle or not _was_cancelled_outside(outcome):
            return _told(job, runner, key, outcome)
        with pausing(stop):
            if not _is_of_another(job, runner, key, handle):
                return _told(job, runner, key, outcome)
        # An older attempt that was taken over may be cancelled by its former owner, or was already being stopped while
        # the service still reported it as running.
        logger.warning(
            "%s: the attempt that attempt %s had taken over was cancelled; starting its own", key.task, key.attempt
        )
        return _told(job, runner, key, once(OlderAttempt.CANCEL)[1])


def _told(job: Job, runner: Runner, key: RunKey, outcome: Outcome) -> Outcome:
    """Return an outcome, after plugins heard of it."""
    tell_end(job, runner, key, outcome)
    return outcome


def _was_cancelled_outside(outcome: Outcome) -> bool:
    """Return whether somebody else cancelled an attempt."""
    return outcome.verdict is Verdict.CANCELLED and not outcome.stopped


def _is_of_another(job: Job, runner: Runner, key: RunKey, handle: str) -> bool:
    """Return whether a handle belongs to an older attempt than the key. If unknown, its end counts for the new one."""
    try:
        found = attempts_of(job, runner, replace(key, digest=job.digest))
    except StarlakeError as error:
        logger.warning("%s: cannot look up whose attempt was cancelled: %s", key.task, error)
        return False
    return any(attempt.handle == handle and attempt.attempt != key.attempt for attempt in found)


def _started(begin: Callable[[], str], runner: Runner, key: RunKey, stop: Callable[[], bool] | None) -> str | Outcome:
    """Return the handle of an attempt, or that it was cancelled, if it was stopped before the service answered."""
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
