"""What is known only at run time: a run, the key of an attempt of a task, and the report of a run."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta, timezone, tzinfo
from typing import Any

from ..errors import BindError, RunError, did_you_mean
from ..short_names import short_hash

__all__ = [
    "Attempt",
    "DataInterval",
    "Report",
    "Run",
    "RunKey",
    "RunRequest",
    "TaskEvent",
    "TaskReport",
    "TaskState",
    "generation_of",
    "unsafe_word",
]


@dataclass(frozen=True)
class DataInterval:
    """The period whose data a run processes: from ``start`` up to, but not including, ``end``. Both are aware."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise RunError(f"a data interval must have dates with a time zone, not {self.start} to {self.end}")
        # In UTC: Python compares the wall clocks of two times in one zone, and an hour may come twice.
        if self.start.astimezone(timezone.utc) > self.end.astimezone(timezone.utc):
            raise RunError(f"a data interval cannot end ({self.end}) before it starts ({self.start})")


def generation_of(attempt: str) -> int:
    """Return the generation of an attempt, by its name.

    >>> generation_of("2"), generation_of("1~2"), generation_of("run:0")
    (0, 1, 0)

    Args:
        attempt: the attempt part of a key.
    """
    generation, mark, _ = attempt.partition("~")
    return int(generation) if mark and generation.isascii() and generation.isdigit() else 0


@dataclass(frozen=True)
class RunKey:
    """The key of an attempt of a task.

    Attributes:
        task: stays the same when a run is repeated: pipeline, root run, task, and partition or map index.
        attempt: unique for this attempt: a try number or ``run_id:retry_number``, the poke number of a check that
            waits, and before them the generation, if it is not the first.
        generation: how often somebody deliberately repeated the task within its run; 0 at first. It is not part of
            ``task``, so attempts of earlier generations are found.
        instance: tells the run from others with the same id; see :func:`starlake_core.model.identity.instance_of`.
            Empty if ids are never reused.
        former: the name of the task in the previous version, if it was different.
        digest: the digest of the work, see :func:`starlake_core.model.identity.digest_of`; set when the attempt starts.
    """

    task: str
    attempt: str
    generation: int = 0
    instance: str = ""
    former: str = ""
    digest: str = ""

    @property
    def work(self) -> str:
        """The name of the work itself: the task and its generation. An engine that does each piece of work once uses
        it."""
        return f"{self.task}~{self.generation}" if self.generation else self.task

    @property
    def former_work(self) -> str:
        """The name of the work in the previous version; empty if it is the same."""
        return replace(self, task=self.former).work if self.former else ""

    @property
    def name(self) -> str:
        """A unique name of the attempt, for handles within a process."""
        return f"{self.task}#{self.attempt}" + (f"@{self.instance}" if self.instance else "")

    @property
    def task_hash(self) -> str:
        """Twelve hexadecimal digits for the task."""
        return short_hash(self.task)

    @property
    def attempt_hash(self) -> str:
        """Twelve hexadecimal digits for the attempt: its task, its number, and the instance of its run. The generation
        is not part of it, because no two generations share a number."""
        return short_hash(self.task, self.attempt, *filter(None, (self.instance,)))

    @property
    def variables(self) -> dict[str, str]:
        """The variables that identify the owner of a process, a container or a job;
        :meth:`starlake_core.runtime.AttemptInfo.told` reads them."""
        return {
            "SL_RUN_KEY": self.work,
            "SL_RUN_TASK": self.task,
            "SL_RUN_ATTEMPT": self.attempt,
            **({"SL_RUN_INSTANCE": self.instance} if self.instance else {}),
            **({"SL_RUN_DIGEST": self.digest} if self.digest else {}),
        }


@dataclass(frozen=True)
class Run:
    """A run of a pipeline.

    Attributes:
        pipeline_id: the pipeline.
        run_id: the orchestrator's name of the run.
        interval: the data interval; its end is the scheduled date.
        zone: the time zone of the schedule, for dates without a time.
        root_run_id: the first run that this one re-executes; the run itself by default.
        instance: tells it from other runs with the same ``run_id``, if a run can be deleted and created again.
        deployment: the deployment that it belongs to, see :meth:`Pipeline.deployment_at`.
        variables: the orchestrator's variable store, for ``${var:NAME}``.
        retry_unsafe: like ``retry_unsafe`` of :class:`Job`, for this run.
        options: substitution variables for the commands, in sections; see :mod:`starlake_core.model.run_options`.
    """

    pipeline_id: str
    run_id: str
    interval: DataInterval
    zone: tzinfo = timezone.utc
    root_run_id: str = ""
    instance: str = ""
    deployment: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    retry_unsafe: str = ""
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def scheduled_date(self) -> datetime:
        """The end of the data interval."""
        return self.interval.end

    @property
    def covered(self) -> DataInterval:
        """The data interval that commands get. It is never empty: a run without one covers the time from the last
        midnight before its scheduled date, in its zone."""
        end = self.interval.end.astimezone(timezone.utc)
        if self.interval.start.astimezone(timezone.utc) < end:
            return self.interval
        today = self.interval.end.astimezone(self.zone).date()
        for day in (today, today - timedelta(days=1)):
            start = datetime.combine(day, time.min, self.zone)
            if start.astimezone(timezone.utc) < end:
                break
        return DataInterval(start, self.interval.end)

    def attempt(self, task: str, number: str = "1", *, partition: str = "", generation: int = 0) -> Attempt:
        """Return an attempt of one of its tasks; see :class:`Attempt`."""
        return Attempt(self, task, number, partition, generation)


@dataclass(frozen=True)
class Attempt:
    """An attempt of a task of a run, to which a job is bound.

    Attributes:
        run: the run.
        task: the path of the task within the pipeline.
        number: the number or name of the attempt, unique for the task and its generation.
        partition: the partition or map index of the task, if it has several at once.
        generation: how often somebody deliberately repeated the task within the run (Airflow's *clear*). Work of an
            earlier generation is stopped if it is still running, and its results are never used.
    """

    run: Run
    task: str
    number: str = "1"
    partition: str = ""
    generation: int = 0

    @property
    def key(self) -> RunKey:
        """Its key, with stable parts first, so that it is readable in a console."""
        run = self.run
        part = f"[{self.partition}]" if self.partition else ""
        task = f"{run.pipeline_id}/{run.root_run_id or run.run_id}/{self.task}{part}"
        name = self.number if self.generation == generation_of(self.number) else f"{self.generation}~{self.number}"
        if not run.deployment:
            return RunKey(task, name, self.generation, run.instance)
        return RunKey(f"{run.deployment}:{task}", name, self.generation, run.instance, former=task)

    def value(self, name: str) -> str:
        """Return the value of the placeholder ``${name}``.

        Raises:
            BindError: ``var:NAME`` is not in the variable store.
        """
        if name.startswith("var:"):
            variable = name[4:]
            if variable not in self.run.variables:
                raise BindError(
                    f"variable '{variable}' is not set; the task {self.task} uses ${{{name}}}. "
                    "Set it in the orchestrator's variable store (on the command line: --var "
                    f"{variable}=VALUE)"
                )
            return self.run.variables[variable]
        return _VALUES[name](self)


@dataclass(frozen=True)
class RunRequest:
    """A request for a run: the run, and how to run it.

    Attributes:
        run: the run.
        select: patterns of task ids, paths or domains to run; empty means all.
        exclude: patterns of tasks not to run.
        parallelism: how many tasks may run at once, if the orchestrator lets the caller decide.
        resume: finish the earlier run with this ``run_id``.
        group: the name of the runs that were requested together and are resumed together.
        skip: run nothing, and record this reason.
        triggered: start only if the rules of data-aware scheduling say so, for the interval that they say; otherwise
            somebody asks for the run. For pipelines that datasets start.
        date: the date that was requested; None for now.
        patient: whether a replay waits until enough time has passed since the last run.
        dry_run: show what would be done, but do nothing.
        listener: called with every :class:`TaskEvent` if the run happens in this process.
    """

    run: Run
    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    parallelism: int | None = None
    resume: bool = False
    group: str = ""
    skip: str = ""
    triggered: bool = False
    date: datetime | None = None
    patient: bool = False
    dry_run: bool = False
    listener: Callable[[TaskEvent], None] | None = field(default=None, compare=False, repr=False)


def _date(run: Run) -> str:
    return run.scheduled_date.astimezone(run.zone).date().isoformat()


_VALUES: Mapping[str, Callable[[Attempt], str]] = {
    # Starlake documents this format for --scheduledDate: yyyy-MM-dd'T'HH:mm:ss.SSSZ. The year comes from isoformat,
    # because %Y has no leading zeros on some systems.
    "sl_scheduled_date": lambda attempt: (
        _date(attempt.run) + attempt.run.scheduled_date.astimezone(attempt.run.zone).strftime("T%H:%M:%S.000%z")
    ),
    "sl_ds": lambda attempt: _date(attempt.run),
    "sl_data_interval_start": lambda attempt: attempt.run.covered.start.astimezone(attempt.run.zone).isoformat(
        timespec="seconds"
    ),
    "sl_data_interval_end": lambda attempt: attempt.run.interval.end.astimezone(attempt.run.zone).isoformat(
        timespec="seconds"
    ),
    "sl_run_id": lambda attempt: attempt.run.run_id,
    "sl_run_hash": lambda attempt: short_hash(
        *filter(None, (attempt.run.deployment,)), attempt.run.pipeline_id, attempt.run.root_run_id or attempt.run.run_id
    ),
    "sl_attempt_hash": lambda attempt: attempt.key.attempt_hash,
}

RETRY_UNSAFE = ("", "doubtful", "blind")
"""The values of the option ``retry_unsafe``, the weakest first."""


def unsafe_word(value: object, where: str) -> str:
    """Return a value of ``retry_unsafe``, as read from where an orchestrator keeps it.

    Args:
        value: the given value; None, an empty string or ``no`` for none.
        where: where it was given, for error messages.

    Raises:
        RunError: it is any other value.
    """
    word = str(value or "no").lower()
    if word not in ("no", *RETRY_UNSAFE[1:]):
        raise RunError(f"{where} is {value!r}; use one of no, {', '.join(RETRY_UNSAFE[1:])}")
    return "" if word == "no" else word


PLACEHOLDERS = tuple(_VALUES)
"""All run-time values, except ``var:NAME``."""


class TaskState(str, enum.Enum):
    """The states of a task and of a run, with names that users of every orchestrator know."""

    PLANNED = "planned"
    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    POKING = "up for reschedule"
    RETRYING = "up for retry"
    SUCCEEDED = "success"
    SKIPPED = "skipped"
    FAILED = "failed"
    UPSTREAM_FAILED = "upstream failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    EXCLUDED = "excluded"
    DRY_RUN = "dry run"

    def __str__(self) -> str:
        return self.value

    def __repr__(self) -> str:
        return repr(self.value)  # messages show the word

    @classmethod
    def parse(cls, word: str) -> TaskState:
        """Return the state with this value.

        Args:
            word: the value of the state.

        Raises:
            RunError: there is no such state.
        """
        try:
            return cls(word)
        except ValueError:
            words = [state.value for state in cls]
            raise RunError(
                f"there is no state {word!r}.{did_you_mean(word, words)} States are: {', '.join(words)}"
            ) from None


@dataclass(frozen=True)
class TaskEvent:
    """A task changed its state or wrote a line.

    Attributes:
        task: path of the task.
        state: one of :class:`TaskState`.
        attempt: the number of the attempt, from 1; 0 before the first.
        reason: why it was skipped or failed.
        line: a line of its output, if the state did not change; None for a change of state.
        log: where its output is.
    """

    task: str
    state: TaskState
    attempt: int = 0
    reason: str = ""
    line: str | None = None
    log: str = ""


@dataclass(frozen=True)
class TaskReport:
    """How a task ended.

    Attributes:
        id: path of the task.
        state: one of :class:`TaskState`.
        reason: why it was skipped or failed.
        exit_code: the exit code of its last attempt.
        attempts: how many attempts it took.
        log: where the output of the last attempt is: an absolute path, or an address. The command line shows the end of
            the file if the task failed.
        duration: seconds that the last attempt took.
        started: when the last attempt started; None if none did, or if the orchestrator does not say.
    """

    id: str
    state: TaskState
    reason: str = ""
    exit_code: int | None = None
    attempts: int = 0
    log: str = ""
    duration: float = 0.0
    started: datetime | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", TaskState.parse(self.state))


@dataclass(frozen=True)
class Report:
    """How a run ended.

    Attributes:
        pipeline_id: the pipeline.
        run_id: the run.
        state: ``success``, ``failed``, ``cancelled``, ``dry run``; in a list of runs also ``planned``, ``running`` and
            ``interrupted``.
        tasks: a report for each task, in topological order.
        datasets: URIs of the datasets that the run emitted: the outlets of its successful tasks. That of the end of the
            pipeline is the id of the pipeline.
        reason: a sentence about the run as a whole, if there is one.
        started, ended: when it ran; ``ended`` is None while it runs.
        interval: the data interval.
        group: the name of the runs that were requested together.
    """

    pipeline_id: str
    run_id: str
    state: TaskState
    tasks: tuple[TaskReport, ...] = ()
    datasets: tuple[str, ...] = ()
    reason: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    interval: DataInterval | None = None
    group: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", TaskState.parse(self.state))

    @property
    def succeeded(self) -> bool:
        """Whether nothing failed and nobody stopped it. A run whose tasks were all skipped succeeded."""
        return self.state in (TaskState.SUCCEEDED, TaskState.DRY_RUN)

    def task(self, task_id: str) -> TaskReport:
        """Return the report of the task with this path or, if it is unique, this id.

        Raises:
            KeyError: there is no such task, or more than one.
        """
        found = [t for t in self.tasks if t.id == task_id] or [
            t for t in self.tasks if t.id.rpartition(".")[2] == task_id
        ]
        if len(found) != 1:
            raise KeyError(f"{task_id}: {len(found)} tasks of {self.pipeline_id} have this id")
        return found[0]
