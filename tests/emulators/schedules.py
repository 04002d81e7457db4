"""Random faults around one task: errors before and after the work was done, replies that get lost, and a submitting process that is killed.

A *schedule* is drawn from a seed. It runs one task by what an orchestrator does, ``execute`` in a process of its own;
when a fault kills that
process, another one is started, for the same attempt or for a new one. What the containers of the emulator then tell is
what really ran.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any, Protocol

from starlake_core import DataInterval, Job, Run, RunKey
from starlake_core.model.identity import instance_of
from starlake_core.runtime import Outcome, execute, runner_for, start

from .containers import Container, Containers
from .faults import Fault, Faults, Kind, When

__all__ = ["PROGRAM", "Emulator", "Result", "Schedule", "at_once", "check", "crowd", "draw", "play", "seeds"]

PATIENCE = 120.0
_CALLS = 10
_LONG_SECONDS = 1.5

_ERRORS = (
    Fault(Kind.UNAVAILABLE),
    Fault(Kind.UNAVAILABLE, When.AFTER),
    Fault(Kind.THROTTLED),
    Fault(Kind.LOST),
    Fault(Kind.LOST, When.AFTER),
)
_KILLS = (Fault(Kind.KILL), Fault(Kind.KILL, When.AFTER))

LAG_SECONDS = 0.3
"""How long lists of a lagging service do not show what was started."""
DEADLINE_SECONDS = 1.0
"""The deadline of a call, where replies are slower than it."""

PROGRAM = (
    "/bin/sh",
    "-c",
    'trap "sleep ${PLAY_LINGERS:-0}; exit 143" TERM; sleep "${PLAY_SECONDS:-0}"; exit "${PLAY_EXIT:-0}"',
    "starlake",
)
"""A program for the emulators that takes a while and ends as its variables say; it also takes a while to end when it is stopped."""


class Emulator(Protocol):
    """What an emulator offers to schedules."""

    faults: Faults
    containers: Containers
    options: dict[str, Any]
    lag: float
    skew: float
    page: int
    repeats: bool
    goes_back: float

    def cancel_all(self) -> None:
        """Cancel everything that is running."""

    def forget_ended(self) -> None:
        """Know no longer what has ended."""


@dataclass(frozen=True)
class Schedule:
    """What goes wrong with one task.

    Attributes:
        seed: that it was drawn from.
        faults: number of a call (counted over all processes) to what happens to it.
        new_attempt: for each kill in turn, whether what starts next is a new attempt.
        seconds: how long the work takes.
        lags: whether lists do not show at once what was started.
        burst: what happens to the calls about a run that was started, one after the other: refusals, and that it is not
            known.
        skew: seconds by which the clock of the service is ahead.
        page: most entries of a page; pages repeat the end of the one before.
        goes_back: whether earlier states are reported.
        at_kill: what somebody else does when the submitting process has died: nothing, ``cancel`` the run, or
            ``delete`` it when it has ended.
        other: whose run of the same name there is already: nobody's, that of another ``deployment``, or that of the run
            that was deleted and is made
            again here, which has ended (``remade``) or is still running (``remade going``).
    """

    seed: int
    faults: dict[int, Fault]
    new_attempt: tuple[bool, ...]
    seconds: float
    lags: bool = False
    burst: tuple[Fault, ...] = ()
    skew: float = 0.0
    page: int = 0
    goes_back: bool = False
    at_kill: str = ""
    other: str = ""

    def key(self, attempt: str, other: bool = False) -> RunKey:
        """The key of an attempt.

        Args:
            attempt: its number.
            other: of the run that was there already.
        """
        end = datetime(2026, 3, 30, tzinfo=timezone.utc)
        run = Run("play", str(self.seed), DataInterval(end, end), instance=instance_of("2026-03-30T00:00:02"))
        if self.other == "deployment":
            run = replace(run, deployment="STAGING" if other else "PROD")
        elif other:
            run = replace(run, instance=instance_of("2026-03-30T00:00:01"))
        return run.attempt("task", attempt).key

    @property
    def hides(self) -> bool:
        """Whether something may be started that no list shows yet: lists lag behind, or the service carries out a request only after its deadline,
        when the process that made it may have died.
        """
        late = any(fault.kind is Kind.SLOW and fault.when is When.BEFORE for fault in self.faults.values())
        return self.lags or (late and any(fault.kind is Kind.KILL for fault in self.faults.values()))

    @property
    def traits(self) -> tuple[str, ...]:
        """What is special about it, in words."""
        kinds = {fault.kind for fault in self.faults.values()}
        found = {
            "kill": Kind.KILL in kinds,
            "slow reply": Kind.SLOW in kinds,
            "list lag": self.lags,
            "list lag + kill": self.lags and Kind.KILL in kinds,
            "refused polls": bool(self.burst),
            "skew": bool(self.skew),
            "pages": bool(self.page),
            "goes back": self.goes_back,
            "stopping": self.at_kill == "cancel" and Kind.KILL in kinds,
            "deleted": self.at_kill == "delete" and Kind.KILL in kinds,
            "two deployments": self.other == "deployment",
            "re-made": self.other.startswith("remade"),
        }
        return tuple(name for name, has in found.items() if has)


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
        deleted: how often what had ended was deleted.
        others: what ran of the run that was there already.
        other_outcome: how that one ended, as seen by those who started it.
        moments: when the service was called, by the clock of the containers.
    """

    schedule: Schedule
    outcome: Outcome | None = None
    kills: int = 0
    attempts: list[str] = field(default_factory=lambda: ["1"])
    runs: list[Container] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    deleted: int = 0
    others: list[Container] = field(default_factory=list)
    other_outcome: Outcome | None = None
    moments: list[float] = field(default_factory=list, repr=False)

    def of_attempts(self) -> dict[str, list[Container]]:
        """What ran for each attempt, without what was stopped."""
        found: dict[str, list[Container]] = {}
        for run in self.runs:
            if not run.stopped:
                found.setdefault(run.env.get("SL_RUN_ATTEMPT", ""), []).append(run)
        return found

    @property
    def doubled(self) -> int:
        """How many runs of an attempt ended in addition to another one, without a deletion that explains it."""
        return max(0, sum(len(runs) - 1 for runs in self.of_attempts().values()) - self.deleted)

    @property
    def unattended(self) -> int:
        """How many runs beside an older one of their attempt nobody could have stopped: no process lived from when lists showed the run until
        shortly before its end. On a busy machine the next process may need that long to begin.
        """
        younger = [run for runs in self.of_attempts().values() for run in runs[1:]]
        spans = [(run.started + 2 * LAG_SECONDS, (run.ended or run.started) - LAG_SECONDS) for run in younger]
        return sum(not any(began <= moment <= ended for moment in self.moments) for began, ended in spans)

    @property
    def beside(self) -> int:
        """How many pairs of runs of different attempts ran at once."""
        pairs = at_once([run for run in self.runs if not run.stopped])
        return pairs - sum(at_once(runs) for runs in self.of_attempts().values())

    @property
    def repeated(self) -> int:
        """How many runs began after another one had ended well, without a kill or a deletion that explains it."""
        done = [run for run in self.runs if not run.stopped and run.exit_code == 0]
        return max(0, len(done) - 1 - self.doubled - self.beside - self.deleted - self.kills)


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
    seconds = source.choice([0.0, 0.1, 0.4])
    # What follows makes a schedule wider; what is above is what it was.
    if source.random() < 0.2:
        faults[source.randrange(_CALLS)] = Fault(Kind.SLOW, source.choice(list(When)))
    lags = source.random() < 0.4
    if lags and source.random() < 0.5:
        seconds = _LONG_SECONDS
    kind = source.choice([Kind.DENIED, Kind.NOT_FOUND])
    burst = (Fault(kind),) * source.randrange(1, 6) if source.random() < 0.4 else ()
    drawn = Schedule(
        seed,
        faults,
        chosen,
        seconds,
        lags,
        burst,
        source.choice([0.0, 0.0, 300.0, -300.0]),
        source.choice([0, 0, 1, 2, 3]),
        source.random() < 0.2,
        source.choice(["", "", "cancel", "delete"]),
    )
    if drawn.at_kill:
        return drawn  # whoever cancels or deletes there does it to all that he sees
    # A run that is not yet visible is not stopped.
    return replace(drawn, other=source.choice(["", "deployment", "remade", *(() if lags else ("remade going",))]))


def _impatient() -> None:
    """Let calls have a short deadline, so that a reply can be slower than it."""
    google: Any = sys.modules.get("starlake_core_google.calls")
    amazon: Any = sys.modules.get("starlake_core_fargate.client")
    if google is not None:
        google.Calls._bound = lambda self, method, request: (
            lambda: method(request=request, retry=None, timeout=min(self.attempt_seconds, DEADLINE_SECONDS))
        )
    if amazon is not None:
        amazon.READ_SECONDS = DEADLINE_SECONDS


def _attempt(job: str, key: RunKey, impatient: bool, waits: bool, answers: Any, env: Mapping[str, str]) -> None:
    """The submitting process, with the variables that its parent has now: the process from which it is forked may be older."""
    os.environ.update(env)
    made = Job.from_json(job)
    if impatient:
        _impatient()
    try:
        if waits:
            answers.send(("ended", execute(made, runner_for(made), key).to_json()))
        else:
            answers.send(("started", start(made, runner_for(made), key)))
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


def play(
    schedule: Schedule,
    emulator: Emulator,
    job: Job,
    preload: Sequence[str],
    submit: str = "",
    polls: Sequence[str] = (),
) -> Result:
    """Run one task under a schedule, again and again until a process ends by itself.

    Args:
        schedule: what goes wrong. An emulator plays one schedule at a time.
        emulator: of the service.
        job: bound; its program is :data:`PROGRAM`.
        preload: modules to import once for all processes.
        submit: method that starts a run.
        polls: methods with which a run is asked about.
    """
    result = Result(schedule)
    _prepare(schedule, emulator)
    impatient = any(fault.kind is Kind.SLOW for fault in schedule.faults.values())
    at_first = len(emulator.containers.all)
    if schedule.other:
        _whole(result, _Process(job, schedule.key("1", other=True), preload, waits=schedule.other == "remade"))
    before = len(emulator.containers.all)
    if schedule.burst:
        emulator.faults.plan_after(submit, polls, list(schedule.burst))
    for number, fault in schedule.faults.items():
        emulator.faults.plan_call(number, fault)
    choices = list(schedule.new_attempt)
    while True:
        process = _Process(job, schedule.key(result.attempts[-1]), preload, impatient=impatient)
        emulator.faults.kill = process.kill
        if process.ends(schedule):
            result.outcome = _whole(result, process)
            break
        result.kills += 1
        # What refuses to be asked about would be refused to be started, and that is final.
        emulator.faults.calm()
        new = bool(choices and choices.pop(0))
        ran = emulator.containers.all[before:]
        if schedule.at_kill == "cancel":
            emulator.cancel_all()
            new = new or bool(ran)  # what was cancelled stays so for its own attempt
        elif schedule.at_kill == "delete" and ran:
            for container in ran:
                container.wait(PATIENCE)
            emulator.forget_ended()
            result.deleted += 1
        if new:
            result.attempts.append(str(len(result.attempts) + 1))
    emulator.faults.forget()
    if schedule.other == "deployment":
        result.other_outcome = _whole(result, _Process(job, schedule.key("1", other=True), preload))
    for container in emulator.containers.all[at_first:]:
        container.wait(PATIENCE)
    result.runs = emulator.containers.all[before:]
    result.others = emulator.containers.all[at_first:before]
    result.moments = emulator.faults.moments
    return result


class _Process:
    """A submitting process, and what it answers."""

    def __init__(
        self, job: Job, key: RunKey, preload: Sequence[str], *, impatient: bool = False, waits: bool = True
    ) -> None:
        self.answer, theirs = _processes(preload).Pipe()
        arguments = (job.to_json(), key, impatient, waits, theirs, dict(os.environ))
        self.process = _processes(preload).Process(target=_attempt, args=arguments, daemon=True)
        self.process.start()
        theirs.close()

    def kill(self) -> None:
        """End it as the machine does that runs out of memory."""
        os.kill(self.process.pid, signal.SIGKILL)

    def ends(self, about: object) -> bool:
        """Wait for its end; false where it was killed."""
        self.process.join(PATIENCE)
        if self.process.is_alive():
            self.process.kill()
            raise AssertionError(f"{about} hangs")
        return bool(self.process.exitcode != -signal.SIGKILL)


def _whole(result: Result, process: _Process) -> Outcome | None:
    """What a process answered that nobody kills."""
    process.ends(result.schedule)
    try:
        how, text = process.answer.recv()
    except EOFError:
        how, text = "raised", f"exit code {process.process.exitcode} without an answer"
    if how == "raised":
        result.errors.append(text)
    return Outcome.from_json(text) if how == "ended" else None


def _prepare(schedule: Schedule, emulator: Emulator) -> None:
    emulator.lag = LAG_SECONDS if schedule.lags else 0.0
    if hasattr(emulator, "list_lag"):
        emulator.list_lag, emulator.lag = emulator.lag, 0.0
    emulator.skew = schedule.skew
    emulator.page = schedule.page or 100
    emulator.repeats = bool(schedule.page)
    emulator.goes_back = 0.3 if schedule.goes_back else 0.0


def at_once(runs: Sequence[Container]) -> int:
    """How many pairs of runs were going on at the same time.

    Args:
        runs: that have ended.
    """
    spans = sorted((run.started, run.ended or run.started) for run in runs)
    return sum(later[0] < earlier[1] for i, earlier in enumerate(spans) for later in spans[i + 1 :])


def check(result: Result, duplicates: bool = False) -> None:
    """Hold a result to what is promised.

    The work was done, never twice at once for one attempt, and never again for an attempt that was only restarted, or
    because of a poll that
    failed. Two things are counted and not promised: that a new attempt finds an older one that lists do not show yet
    (:attr:`Schedule.hides`),
    and, where a service cannot tell a second submission, that a run is stopped that is shorter than twice the time that
    lists lag behind, or during which none of our processes lived (:attr:`Result.unattended`).

    Args:
        result: of a schedule.
        duplicates: whether the service may start a second run of an attempt, which is stopped by the first one.

    Raises:
        AssertionError: with the schedule.
    """
    about, schedule = f"\n{result}", result.schedule
    assert not result.errors, f"a process ended with an error{about}"
    assert result.outcome is not None
    assert result.outcome.succeeded, f"the task is {result.outcome.verdict}{about}"
    cancelled = schedule.at_kill == "cancel" and result.kills
    runs = [run for run in result.runs if not ((duplicates or cancelled) and run.stopped)]
    assert runs, f"the work is lost{about}"
    assert any(run.exit_code == 0 for run in runs), f"nothing ended well{about}"
    late = duplicates and schedule.lags
    short = late and schedule.seconds < _LONG_SECONDS
    assert short or result.doubled <= (result.unattended if late else 0), (
        f"the work of an attempt was done twice{about}"
    )
    assert schedule.hides or result.beside == 0, f"the work was done twice at once{about}"
    assert result.repeated == 0, f"the work was repeated without a reason{about}"
    most = len(result.attempts) + result.deleted + result.doubled
    assert len(runs) <= most, f"{len(runs)} runs for {len(result.attempts)} attempts{about}"
    _check_others(result, about)
    if cancelled:
        everything = at_once(result.runs)
        assert schedule.hides or everything == 0, f"an attempt began beside one that was being stopped{about}"


def _check_others(result: Result, about: str) -> None:
    """Hold to what is promised of runs of one name: another deployment never notices, and a run that was made again does its own work."""
    other, others = result.schedule.other, result.others
    assert bool(others) == bool(other), f"the run that was there before was not started{about}"
    if other == "deployment":
        assert result.other_outcome is not None, f"the other deployment knows nothing of its run{about}"
        assert result.other_outcome.succeeded, (
            f"the run of the other deployment is {result.other_outcome.verdict}{about}"
        )
        ours = [run for run in result.runs if run.env["SL_RUN_TASK"] == result.schedule.key("1", other=True).task]
        assert not ours, f"the other deployment did not find its run{about}"
        assert not any(run.stopped for run in others), f"the run of the other deployment was stopped{about}"
    elif other == "remade going":
        both = [*others, *(run for run in result.runs if not run.stopped)]
        assert at_once(both) == at_once(both[len(others) :]), f"it began beside that of the deleted run{about}"


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
