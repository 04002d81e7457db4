"""An environment in memory, whose jobs end as a test says. No process, no clock, no sleeping."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..masking import mask_text, secret_values
from ..model.command import Command
from ..model.graph import Pipeline
from ..model.job import Job
from ..model.run import RunKey
from ..options import GeneralOptions, Options
from ..plugins import Plugins
from ..plugins.hookspecs import Lifecycle, hookimpl
from ..runtime import AttemptInfo, Outcome, Runner, Status, Verdict
from ..runtime import runner_cache as _runners
from .subjects import subject

__all__ = ["FakeEnvironment", "FakeRunner", "Submission", "serving"]

_EXIT_CODES: Mapping[Verdict, int | None] = {Verdict.SUCCEEDED: 0, Verdict.NOT_READY: 0, Verdict.FAILED: 1}


@dataclass(frozen=True)
class Submission:
    """One call of ``submit`` that began something.

    Attributes:
        subject: what the job is about; ``job:NAME`` for one that is no Starlake command.
        key: of the attempt.
        job: as it arrived.
        handle: what the runner returned.
    """

    subject: str
    key: RunKey
    job: Job
    handle: str


@dataclass
class _Attempt:
    submission: Submission
    end: Outcome | None
    polls: int
    started: float = field(default_factory=time.monotonic)
    ended: Outcome | None = None


class FakeEnvironment:
    """A plugin object. Everything succeeds at once, unless it was told otherwise.

    Args:
        lifecycle: there are a set-up and a tear-down job, ``job:create_cluster`` and ``job:delete_cluster``.

    Attributes:
        submissions: everything that was started, in order.
        history: ``start`` or ``end`` and the subject, in the order in which it happened (an end when it was told to somebody).
        cancelled: handles for which ``cancel`` was called.
        no_runner: what is raised in place of a runner, as where an SDK is missing.
        patience: seconds after which an attempt that never ends is lost, so that no test hangs.
    """

    name = "fake"

    def __init__(self, *, lifecycle: bool = False) -> None:
        self.lifecycle = lifecycle
        self.submissions: list[Submission] = []
        self.cancelled: list[str] = []
        self.history: list[tuple[str, str]] = []
        self.patience = 20.0
        self.no_runner: Exception | None = None
        self.attempts: dict[str, _Attempt] = {}
        self.changed = threading.Condition()
        self._ends: dict[str, tuple[Outcome | None, ...]] = {}
        self._polls: dict[str, int] = {}
        self._lines: dict[str, tuple[str, ...]] = {}
        self._refusals: dict[str, list[Exception]] = {}

    # -- what a test says and asks

    def script(self, about: str, *ends: Verdict | Outcome | None) -> None:
        """Say how the attempts of a subject end, one after the other; the last one also holds for all further ones.

        Args:
            about: ``load:sales.orders``, see :func:`starlake_core.testing.subject`.
            ends: a verdict, an outcome, or None for an attempt that goes on until it is cancelled.
        """
        self._ends[about] = tuple(
            Outcome(end, _EXIT_CODES.get(end), "" if end is Verdict.SUCCEEDED else f"scripted: {end}")
            if isinstance(end, Verdict)
            else end
            for end in ends
        )

    def delay(self, about: str, polls: int) -> None:
        """Say how many polls find the attempts of a subject (``*``: of every other subject) still running."""
        self._polls[about] = polls

    def says(self, about: str, *lines: str) -> None:
        """Say what the attempts of a subject write."""
        self._lines[about] = lines

    def refuse(self, about: str, *errors: Exception) -> None:
        """Say what the next submissions of a subject raise, one after the other; those after them are accepted."""
        self._refusals[about] = list(errors)

    def started(self, about: str) -> list[Submission]:
        """The attempts of a subject, in order."""
        return [submission for submission in self.submissions if submission.subject == about]

    def subject_of(self, job: Job) -> str:
        """The subject of a job."""
        return subject(job.arguments) or f"job:{job.spec.get('task', '')}"

    # -- hooks

    @hookimpl
    def sl_create_job(self, command: Command, options: Options) -> Job:
        """A job for the environment ``fake``."""
        return Job("fake", command.vector, options[GeneralOptions].sl_env_var, {"task": command.task_id})

    @hookimpl
    def sl_create_lifecycle(self, pipeline: Pipeline, options: Options) -> Lifecycle | None:
        """A cluster, if it was asked for."""
        if not self.lifecycle:
            return None
        create, delete = (Job("fake", spec={"task": f"{verb}_cluster"}) for verb in ("create", "delete"))
        return Lifecycle((("create_cluster", create),), (("delete_cluster", delete),))

    @hookimpl
    def sl_create_runner(self, job: Job) -> Runner:
        """A runner on the state of this object."""
        if self.no_runner is not None:
            raise self.no_runner
        return FakeRunner(self)

    # -- the service

    def begin(self, job: Job, key: RunKey) -> str:
        """Start an attempt, or find it under its key."""
        handle = key.name
        with self.changed:
            if handle not in self.attempts:
                about = self.subject_of(job)
                if self._refusals.get(about):
                    raise self._refusals[about].pop(0)
                ends = self._ends.get(about, (Outcome(Verdict.SUCCEEDED, 0),))
                end = ends[min(len(self.started(about)), len(ends) - 1)]
                submission = Submission(about, key, job, handle)
                self.submissions.append(submission)
                self.history.append(("start", about))
                self.attempts[handle] = _Attempt(submission, end, self._polls.get(about, self._polls.get("*", 0)))
        return handle

    def status(self, handle: str, *, look: bool = True) -> Status:
        """The state of an attempt; with ``look`` it counts as a poll."""
        with self.changed:
            attempt = self.attempts.get(handle)
            if attempt is None:
                return Status(Outcome(Verdict.LOST, reason="the fake environment does not know it"), "lost")
            if attempt.ended is None and attempt.polls <= 0 and attempt.end is not None:
                self._end(attempt, attempt.end)
            elif attempt.ended is None and time.monotonic() - attempt.started > self.patience:
                self._end(attempt, Outcome(Verdict.LOST, reason="nobody stopped an attempt that never ends"))
            if look:
                attempt.polls -= 1
            return Status(attempt.ended, "ended" if attempt.ended else "running")

    def _end(self, attempt: _Attempt, outcome: Outcome) -> None:
        attempt.ended = outcome
        self.history.append(("end", attempt.submission.subject))

    def stop(self, handle: str) -> None:
        """Cancel an attempt."""
        with self.changed:
            self.cancelled.append(handle)
            attempt = self.attempts.get(handle)
            if attempt is not None and attempt.ended is None:
                self._end(attempt, Outcome(Verdict.CANCELLED, None, "cancelled"))
            self.changed.notify_all()

    def written(self, handle: str) -> list[str]:
        """What an attempt wrote, without secrets."""
        attempt = self.attempts.get(handle)
        if attempt is None:
            return []
        secrets = secret_values(attempt.submission.job.env)
        return [mask_text(line, secrets) for line in self._lines.get(attempt.submission.subject, ())]


class FakeRunner(Runner):
    """The runner of a :class:`FakeEnvironment`.

    Args:
        environment: whose attempts it serves.
    """

    interval = 0.01

    def __init__(self, environment: FakeEnvironment) -> None:
        self._environment = environment

    def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
        """Every attempt of a task."""
        environment = self._environment
        return [
            AttemptInfo.told(attempt.submission.key.variables, handle, environment.status(handle, look=False))
            for handle, attempt in list(environment.attempts.items())
            if attempt.submission.key.task == task
        ]

    def submit(self, job: Job, key: RunKey) -> str:
        """Start an attempt."""
        return self._environment.begin(job, key)

    def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
        """The states of attempts."""
        return {handle: self._environment.status(handle) for handle in handles}

    def wait(self, handles: Sequence[str], timeout: float) -> None:
        """Return at once, unless all that is left to do is to wait for a cancel."""
        environment = self._environment
        with environment.changed:
            attempts = [environment.attempts[handle] for handle in handles if handle in environment.attempts]
            if attempts and all(attempt.end is None and attempt.ended is None for attempt in attempts):
                environment.changed.wait(min(timeout, environment.patience))

    def cancel(self, handle: str) -> None:
        """Stop an attempt."""
        self._environment.stop(handle)

    def logs(self, handle: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
        """What an attempt wrote after a cursor."""
        lines = self._environment.written(handle)
        return lines[int(cursor or 0) :], str(len(lines))


@contextmanager
def serving(plugins: Plugins) -> Generator[None, None, None]:
    """While this block is open, workers of this process that load an environment by its name get the one of these plugins.

    Args:
        plugins: of the orchestration.
    """
    wanted = (plugins.environment, plugins.addons)
    before = _runners._selections.get(wanted)
    _runners._selections[wanted] = plugins
    try:
        yield
    finally:
        del _runners._selections[wanted]
        if before is not None:
            _runners._selections[wanted] = before
