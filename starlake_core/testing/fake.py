"""An environment in memory, in which a test decides how jobs end. It needs no process, clock or sleep."""

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
    """A call of ``submit`` that started an attempt.

    Attributes:
        subject: what the job is about; ``job:NAME`` if it is not a Starlake command.
        key: the key of the attempt.
        job: the job as submitted.
        handle: the handle that the runner returned.
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
    """A plugin object. By default all jobs succeed at once.

    Args:
        lifecycle: whether there are a set-up and a tear-down job, ``job:create_cluster`` and ``job:delete_cluster``.

    Attributes:
        submissions: all started attempts, in order.
        history: ``start`` or ``end`` and the subject, in order (an end is recorded when a poll first reports it).
        cancelled: the handles for which ``cancel`` was called.
        hopeless: why jobs can never succeed, by subject; ``sl_check_jobs`` returns it.
        no_runner: an exception to raise instead of returning a runner, as if an SDK were missing.
        patience: the seconds after which an attempt that never ends is lost, so that no test hangs.
    """

    name = "fake"

    def __init__(self, *, lifecycle: bool = False) -> None:
        self.lifecycle = lifecycle
        self.submissions: list[Submission] = []
        self.cancelled: list[str] = []
        self.history: list[tuple[str, str]] = []
        self.patience = 20.0
        self.no_runner: Exception | None = None
        self.hopeless: dict[str, str] = {}
        self.attempts: dict[str, _Attempt] = {}
        self.changed = threading.Condition()
        self._ends: dict[str, tuple[Outcome | None, ...]] = {}
        self._polls: dict[str, int] = {}
        self._lines: dict[str, tuple[str, ...]] = {}
        self._together: frozenset[str] = frozenset()
        self._refusals: dict[str, list[Exception]] = {}

    # -- for tests

    def script(self, about: str, *ends: Verdict | Outcome | None) -> None:
        """Set how the attempts of a subject end, one after the other. The last value also applies to all further
        attempts.

        Args:
            about: the subject, such as ``load:sales.orders``; see :func:`starlake_core.testing.subject`.
            ends: a verdict, an outcome, or None for an attempt that runs until it is cancelled.
        """
        self._ends[about] = tuple(
            Outcome(end, _EXIT_CODES.get(end), "" if end is Verdict.SUCCEEDED else f"scripted: {end}")
            if isinstance(end, Verdict)
            else end
            for end in ends
        )

    def delay(self, about: str, polls: int) -> None:
        """Set how many polls find the attempts of a subject (``*``: of every other subject) still running."""
        self._polls[about] = polls

    def says(self, about: str, *lines: str) -> None:
        """Set what the attempts of a subject write."""
        self._lines[about] = lines

    def together(self, *abouts: str) -> None:
        """Let the attempts of these subjects end only when all of them have started."""
        self._together = frozenset(abouts)

    def times(self, about: str) -> list[float]:
        """Return when the attempts of a subject started, by the monotonic clock."""
        return [self.attempts[submission.handle].started for submission in self.started(about)]

    def refuse(self, about: str, *errors: Exception) -> None:
        """Set what the next submissions of a subject raise, one after the other. Later submissions are accepted."""
        self._refusals[about] = list(errors)

    def started(self, about: str) -> list[Submission]:
        """Return the attempts of a subject, in order."""
        return [submission for submission in self.submissions if submission.subject == about]

    def subject_of(self, job: Job) -> str:
        """Return the subject of a job."""
        return subject(job.arguments) or f"job:{job.spec.get('task', '')}"

    # -- hooks

    @hookimpl
    def sl_create_job(self, command: Command, options: Options) -> Job:
        """Create a job for the environment ``fake``."""
        return Job("fake", command.vector, options[GeneralOptions].sl_env_var, {"task": command.task_id})

    @hookimpl
    def sl_create_lifecycle(self, pipeline: Pipeline, options: Options) -> Lifecycle | None:
        """Return the jobs of a cluster, if ``lifecycle`` is set."""
        if not self.lifecycle:
            return None
        create, delete = (Job("fake", spec={"task": f"{verb}_cluster"}) for verb in ("create", "delete"))
        return Lifecycle((("create_cluster", create),), (("delete_cluster", delete),))

    @hookimpl
    def sl_check_jobs(self, jobs: Sequence[Job]) -> Sequence[str]:
        """Return why jobs can never succeed, as ``hopeless`` says."""
        abouts = dict.fromkeys(self.subject_of(job) for job in jobs if job.environment == "fake")
        return [self.hopeless[about] for about in abouts if about in self.hopeless]

    @hookimpl
    def sl_create_runner(self, job: Job) -> Runner:
        """Return a runner that uses the state of this object."""
        if self.no_runner is not None:
            raise self.no_runner
        return FakeRunner(self)

    # -- the service

    def begin(self, job: Job, key: RunKey) -> str:
        """Start an attempt, or return the one with this key."""
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
        """Return the state of an attempt. With ``look``, it counts as a poll."""
        with self.changed:
            attempt = self.attempts.get(handle)
            if attempt is None:
                return Status(Outcome(Verdict.LOST, reason="the fake environment does not know it"), "lost")
            about = attempt.submission.subject
            waits = about in self._together and not self._together <= {one.subject for one in self.submissions}
            if attempt.ended is None and attempt.polls <= 0 and attempt.end is not None and not waits:
                self._end(attempt, attempt.end)
            elif attempt.ended is None and time.monotonic() - attempt.started > self.patience:
                self._end(attempt, Outcome(Verdict.LOST, reason="an attempt that never ends was not stopped"))
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
        """Return what an attempt wrote, without secrets."""
        attempt = self.attempts.get(handle)
        if attempt is None:
            return []
        secrets = secret_values(attempt.submission.job.env)
        return [mask_text(line, secrets) for line in self._lines.get(attempt.submission.subject, ())]


class FakeRunner(Runner):
    """The runner of a :class:`FakeEnvironment`.

    Args:
        environment: the environment.
    """

    interval = 0.01

    def __init__(self, environment: FakeEnvironment) -> None:
        self._environment = environment

    def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
        """Return every attempt of a task."""
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
        """Return the states of attempts."""
        return {handle: self._environment.status(handle) for handle in handles}

    def wait(self, handles: Sequence[str], timeout: float) -> None:
        """Return at once, unless all attempts run until they are cancelled."""
        environment = self._environment
        with environment.changed:
            attempts = [environment.attempts[handle] for handle in handles if handle in environment.attempts]
            if attempts and all(attempt.end is None and attempt.ended is None for attempt in attempts):
                environment.changed.wait(min(timeout, environment.patience))

    def cancel(self, handle: str) -> None:
        """Stop an attempt."""
        self._environment.stop(handle)

    def logs(self, handle: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
        """Return what an attempt wrote after a cursor."""
        lines = self._environment.written(handle)
        return lines[int(cursor or 0) :], str(len(lines))


@contextmanager
def serving(plugins: Plugins) -> Generator[None, None, None]:
    """In this block, workers in this process that load an environment by name get the one of these plugins.

    Args:
        plugins: the plugins of the orchestration.
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
