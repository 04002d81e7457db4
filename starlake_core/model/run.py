"""What is known only at run time: the run, the name of one attempt of one task, and what a run reports."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone, tzinfo
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
    "unsafe_word",
]


@dataclass(frozen=True)
class DataInterval:
    """The stretch of time whose data a run processes, ``start`` included and ``end`` excluded; both aware."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise RunError(f"a data interval needs dates with a time zone, found {self.start} to {self.end}")
        # In UTC: Python compares the wall clocks of two times in one zone, and an hour may come twice.
        if self.start.astimezone(timezone.utc) > self.end.astimezone(timezone.utc):
            raise RunError(f"a data interval cannot end ({self.end}) before it starts ({self.start})")


@dataclass(frozen=True)
class RunKey:
    """The name of one attempt of one task.

    Attributes:
        task: stable over re-runs of the same run: pipeline, root run, task, and partition or map index.
        attempt: unique for this attempt: a try number, ``run_id:retry_number``, plus the poke number of a
            check that waits.
        generation: how often somebody asked for the task to be done again within its run, on purpose; 0 at first. It is no part
            of ``task``, so that attempts of an earlier generation are found.
        instance: which run of that name it is, see :func:`starlake_core.model.identity.instance_of`; empty where the name says it all.
        former: what the version before called the task, where that is another name.
        digest: of the work, see :func:`starlake_core.model.identity.digest_of`; filled in when the attempt starts.
    """

    task: str
    attempt: str
    generation: int = 0
    instance: str = ""
    former: str = ""
    digest: str = ""

    @property
    def work(self) -> str:
        """The name of the work itself, for an engine that does each piece of work once: the task and its generation."""
        return f"{self.task}~{self.generation}" if self.generation else self.task

    @property
    def former_work(self) -> str:
        """What the version before called the work; empty where that is the same name."""
        return replace(self, task=self.former).work if self.former else ""

    @property
    def name(self) -> str:
        """A text that names the attempt and no other, for handles within a process."""
        return f"{self.task}#{self.attempt}" + (f"@{self.instance}" if self.instance else "")

    @property
    def task_hash(self) -> str:
        """Twelve hexadecimal digits for the task."""
        return short_hash(self.task)

    @property
    def attempt_hash(self) -> str:
        """Twelve hexadecimal digits for the attempt."""
        return short_hash(self.task, self.attempt, *filter(None, (self.instance,)))

    @property
    def variables(self) -> dict[str, str]:
        """The variables with which a process, a container or a job tells whose it is; :meth:`starlake_core.runtime.AttemptInfo.told` reads them."""
        return {
            "SL_RUN_KEY": self.work,
            "SL_RUN_TASK": self.task,
            "SL_RUN_ATTEMPT": self.attempt,
            **({"SL_RUN_INSTANCE": self.instance} if self.instance else {}),
            **({"SL_RUN_DIGEST": self.digest} if self.digest else {}),
        }


@dataclass(frozen=True)
class Run:
    """One run of a pipeline: what it is, whoever asks.

    Attributes:
        pipeline_id: the pipeline.
        run_id: the orchestrator's name of the run.
        interval: the data interval; its end is the scheduled date.
        zone: the time zone of the schedule, for dates without a time.
        root_run_id: the first run of which this one is a re-execution; the run itself by default.
        instance: which run of this ``run_id`` it is, where one can be deleted and made again.
        deployment: the deployment that it belongs to, see :func:`starlake_core.model.identity.deployment_name`.
        variables: the orchestrator's variable store, for ``${var:NAME}``.
        retry_unsafe: as that of :class:`Job`, for this run.
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

    def attempt(self, task: str, number: str = "1", *, partition: str = "", generation: int = 0) -> Attempt:
        """An attempt of one of its tasks; see :class:`Attempt`."""
        return Attempt(self, task, number, partition, generation)


@dataclass(frozen=True)
class Attempt:
    """One attempt of one task of a run: what a job is bound to.

    Attributes:
        run: of which it is a part.
        task: path of the task within the pipeline.
        number: number or name of the attempt, unique for the task.
        partition: the partition or map index of the task, where it has several at once.
        generation: how often the task was asked for again within the run, on purpose (Airflow's *clear*).
    """

    run: Run
    task: str
    number: str = "1"
    partition: str = ""
    generation: int = 0

    @property
    def key(self) -> RunKey:
        """Its name; stable parts first, so that a person can read it in a console."""
        run = self.run
        part = f"[{self.partition}]" if self.partition else ""
        task = f"{run.pipeline_id}/{run.root_run_id or run.run_id}/{self.task}{part}"
        if not run.deployment:
            return RunKey(task, self.number, self.generation, run.instance)
        return RunKey(f"{run.deployment}:{task}", self.number, self.generation, run.instance, former=task)

    def value(self, name: str) -> str:
        """The text that stands for the placeholder ``${name}``.

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
    """A run that somebody asks for: the run, and how it is to be run.

    Attributes:
        run: what it is.
        select: patterns of task ids, paths or domains to run; empty means all.
        exclude: patterns of those not to run.
        parallelism: how many tasks may run at once, where the orchestrator lets the caller decide.
        resume: the run to finish is an earlier one of this ``run_id``.
        group: names the runs that were asked for together, and are resumed together.
        skip: run nothing, and record this reason.
        dry_run: show what would be done, do nothing.
        listener: called with every :class:`TaskEvent`, where the run happens in this process.
    """

    run: Run
    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    parallelism: int | None = None
    resume: bool = False
    group: str = ""
    skip: str = ""
    dry_run: bool = False
    listener: Callable[[TaskEvent], None] | None = field(default=None, compare=False, repr=False)


def _date(run: Run) -> str:
    return run.scheduled_date.astimezone(run.zone).date().isoformat()


_VALUES: Mapping[str, Callable[[Attempt], str]] = {
    # The format that Starlake documents for --scheduledDate: yyyy-MM-dd'T'HH:mm:ss.SSSZ
    # The year by isoformat, because %Y has no leading zeros on some systems.
    "sl_scheduled_date": lambda attempt: (
        _date(attempt.run) + attempt.run.scheduled_date.astimezone(attempt.run.zone).strftime("T%H:%M:%S.000%z")
    ),
    "sl_ds": lambda attempt: _date(attempt.run),
    "sl_data_interval_start": lambda attempt: attempt.run.interval.start.astimezone(attempt.run.zone).isoformat(
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
"""The user's words about work that is not safely done again, the weakest first."""


def unsafe_word(value: object, where: str) -> str:
    """One of the user's words about unsafe repetition, from where an orchestrator keeps it.

    Args:
        value: what was given; None, an empty text or ``no`` for none.
        where: it was given, for the message.

    Raises:
        RunError: it is another word.
    """
    word = str(value or "no").lower()
    if word not in ("no", *RETRY_UNSAFE[1:]):
        raise RunError(f"{where} is {value!r}; it takes one of no, {', '.join(RETRY_UNSAFE[1:])}")
    return "" if word == "no" else word


PLACEHOLDERS = tuple(_VALUES)
"""The closed list of run-time values; ``var:NAME`` comes on top."""


class TaskState(str, enum.Enum):
    """The states of a task, and of a run, in the words that every orchestrator's users know."""

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
        """The state of a word.

        Args:
            word: the value of a state.

        Raises:
            RunError: it is not one.
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
    """A task changed its state, or wrote a line.

    Attributes:
        task: path of the task.
        state: one of :class:`TaskState`.
        attempt: which attempt, from 1; 0 before the first.
        reason: why it is in that state, for a skip and for a failure.
        line: a line of its output; the state did not change then. None for a change of state.
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
        exit_code: of its last attempt.
        attempts: how many it took.
        log: where the output of the last attempt is.
        duration: seconds of the last attempt.
    """

    id: str
    state: TaskState
    reason: str = ""
    exit_code: int | None = None
    attempts: int = 0
    log: str = ""
    duration: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", TaskState.parse(self.state))


@dataclass(frozen=True)
class Report:
    """How a run ended.

    Attributes:
        pipeline_id: the pipeline.
        run_id: the run.
        state: ``success``, ``failed``, ``cancelled``, ``dry run``; of a run that is listed also ``planned``,
            ``running`` and ``interrupted``.
        tasks: one report a task, in topological order.
        datasets: URIs of the datasets that the run emitted.
        reason: a sentence on the run as a whole, where there is one.
        started, ended: when it ran; ``ended`` is None while it does.
        interval: the data interval.
        group: names the runs that were asked for together.
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
        """Whether nothing failed and nobody stopped it; a run in which all was skipped succeeded."""
        return self.state in (TaskState.SUCCEEDED, TaskState.DRY_RUN)

    def task(self, task_id: str) -> TaskReport:
        """The report of the task with this path or, if only one task has it, this id.

        Raises:
            KeyError: there is none, or more than one.
        """
        found = [t for t in self.tasks if t.id == task_id] or [
            t for t in self.tasks if t.id.rpartition(".")[2] == task_id
        ]
        if len(found) != 1:
            raise KeyError(f"{task_id}: {len(found)} tasks of {self.pipeline_id} have this id")
        return found[0]
