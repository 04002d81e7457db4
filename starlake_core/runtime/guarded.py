"""Guards work that cannot safely be done twice, before an attempt starts and after it ends."""

from __future__ import annotations

import abc
import posixpath
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from ..errors import RunnerError, StarlakeError
from ..logs import get_logger
from ..model.facts import ProjectFacts
from ..model.job import Job
from ..model.outcome import AttemptInfo, Outcome, Verdict
from ..model.run import RunKey
from ..plugins.runner import Runner, Storage
from .notes import FAILED, UNKNOWN, Note, Notes

__all__ = ["MARK", "Acknowledged", "Appended", "Guarded", "Subject", "word"]

logger = get_logger(__name__)

# These and higher exit codes, and negative ones, mean that something else ended the process.
_KILLED = 128
MARK = "mark the task as succeeded"
"""What a user does whose rows are there."""


def word(which: str) -> str:
    """Return how a user allows an unsafe repetition.

    Args:
        which: ``doubtful`` or ``blind``.
    """
    return f"--retry-unsafe {which} (option retry_unsafe)"


@dataclass(frozen=True)
class Subject:
    """The work to guard.

    Attributes:
        job: the bound job.
        runner: the runner of the job's endpoint.
        key: the key of the attempt.
        about: what the job works on, such as ``sales.orders``.
        facts: what the project says about the work.
        root: the root of the project, as the command sees it; empty if unknown.
        storage: the storage of the project; None if this worker cannot reach it.
    """

    job: Job
    runner: Runner
    key: RunKey
    about: str
    facts: ProjectFacts
    root: str
    storage: Storage | None

    @property
    def strategy(self) -> str:
        """Return the write strategy, for messages."""
        if not self.facts.strategy:
            return "its write strategy is not known (where the project can be read: pip install starlake-core-project)"
        nullable = ", with a key that may be empty" if self.facts.nullable_key else ""
        return f"its write strategy is {self.facts.strategy}{nullable}"


class Guarded(abc.ABC):
    """Guards the repetition of a job.

    Args:
        subject: the work to guard.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.storage = subject.storage
        self._own_notes: Notes | None = None

    # -- what each kind of work defines

    @abc.abstractmethod
    def fresh(self, storage: Storage, note: Note) -> Note:
        """Return the note of an attempt that is about to start."""

    @abc.abstractmethod
    def hindrance(self, storage: Storage, note: Note) -> str:
        """Return why the work must not be repeated after the attempt of a note; empty if it may."""

    @abc.abstractmethod
    def hindrance_unseen(self, outcome: Outcome | None) -> str:
        """Like :meth:`hindrance`, if the project cannot be reached.

        Args:
            outcome: how the latest attempt ended; None if unknown.
        """

    def put_back(self, storage: Storage, note: Note) -> None:
        """Undo what the attempt of a note moved. Most kinds of work move nothing."""
        return

    def judge(self, storage: Storage, note: Note) -> tuple[str, str]:
        """Return why a success is a failure, and how the attempt ended; or a remark on the success, and an empty
        string."""
        return "", ""

    def is_in(self, note: Note, lines: Iterable[str]) -> bool:
        """Return whether the output of a failure says that its rows are in the table."""
        return False

    # -- before and after an attempt

    def begin(
        self,
        found: Sequence[AttemptInfo] = (),
        again: bool = False,
        counts: Callable[[str], bool] = lambda attempt: True,
    ) -> str | None:
        """Prepare for an attempt that is about to start, and write its note.

        Args:
            found: the earlier attempts of the task that the environment knows.
            again: whether an earlier attempt may have started.
            counts: returns whether an attempt, by its name, belongs to this work, rather than to a time before somebody
                requested a repetition.

        Returns:
            The handle of an earlier attempt that has already done this work unnoticed; None to start a new one.

        Raises:
            RunnerError: it must not start before a person has checked; the message says what to check.
        """
        if self.storage is not None:
            try:
                reason = self._begin(self.storage, found)
            except StarlakeError as error:
                logger.warning("the note about an attempt of %s cannot be written: %s", self.subject.about, error)
                self.storage = None
            else:
                if reason:
                    raise RunnerError(reason)
                return None
        self._begin_unseen(found, again)
        return None

    def undo(self) -> None:
        """Remove the note of an attempt that was not started after all."""
        if self.storage is not None:
            self._notes(self.storage).delete()

    def conclude(self, outcome: Outcome, lines: Iterable[str] = ()) -> Outcome:
        """Decide whether a success counts, and whether a failure may be followed by another attempt.

        Args:
            outcome: how the attempt ended.
            lines: the lines of its output.

        Returns:
            The outcome, possibly changed to a failure or to a final one, with what to do in its reason.
        """
        if self.storage is None:
            return self._conclude_unseen(outcome)
        try:
            note = self._notes(self.storage).read()
            return outcome if note is None else self._conclude(self.storage, note, outcome, lines)
        except StarlakeError as error:
            logger.warning("the note about the attempt of %s cannot be read: %s", self.subject.about, error)
            return self._conclude_unseen(outcome)

    # -- if the project can be reached

    def _notes(self, storage: Storage) -> Notes:
        if self._own_notes is None:
            subject = self.subject
            self._own_notes = Notes(storage, subject.root, subject.about, subject.key.task)
        return self._own_notes

    def note_of(self, task: str) -> str:
        """Return the path of the note of a task about the same domain."""
        assert self.storage is not None
        return self._notes(self.storage).path(task)

    def of_others(self, storage: Storage) -> dict[str, Note]:
        """Return the files of other tasks; see :meth:`Notes.others`."""
        return self._notes(storage).others()

    def _begin(self, storage: Storage, found: Sequence[AttemptInfo]) -> str:
        notes, key = self._notes(storage), self.subject.key
        note = notes.read()
        if note is not None:
            if not note.end:
                note = replace(note, end=self._end_of(note.attempt, found))
            reason = self.hindrance(storage, note)
            if reason:
                return reason
            self.put_back(storage, note)
        notes.write(self.fresh(storage, Note(key.task, self.subject.about, key.attempt, key.generation)))
        return ""

    def _end_of(self, attempt: str, found: Sequence[AttemptInfo]) -> str:
        """Return how an attempt without a conclusion ended, if the environment knows."""
        for one in found:
            if one.attempt == attempt and one.status.outcome is not None:
                return FAILED if self.failed_by_itself(one.status.outcome) else UNKNOWN
        return self.end_of_unfound()

    def end_of_unfound(self) -> str:
        """Return how an attempt ended that the environment does not find."""
        return UNKNOWN

    @property
    def knows(self) -> bool:
        """Return whether the environment knows every attempt that was started."""
        return self.subject.runner.detached

    def failed_by_itself(self, outcome: Outcome) -> bool:
        """Return whether the command failed before its rows were written, according to its exit code."""
        code = outcome.exit_code
        stopped = outcome.verdict is not Verdict.FAILED or outcome.stopped
        return not stopped and code is not None and 0 < code < _KILLED and not self.subject.facts.fails_late

    def _conclude(self, storage: Storage, note: Note, outcome: Outcome, lines: Iterable[str]) -> Outcome:
        notes = self._notes(storage)
        if outcome.verdict in (Verdict.SUCCEEDED, Verdict.NOT_READY):
            said, end = self.judge(storage, note)
            if not end:
                notes.delete()
                return replace(outcome, reason=said) if said else outcome
            notes.write(replace(note, end=end))
            return replace(outcome, verdict=Verdict.FAILED, reason=said, final=True)
        own = self.failed_by_itself(outcome) and not self.is_in(note, lines)
        note = replace(note, end=FAILED if own else UNKNOWN)
        notes.write(note)
        reason = self.hindrance(storage, note)
        return outcome if not reason or outcome.verdict is Verdict.CANCELLED else _final(outcome, reason)

    # -- if it cannot be reached

    def _begin_unseen(self, found: Sequence[AttemptInfo], again: bool) -> None:
        ended = [one.status.outcome for one in found if one.status.outcome is not None]
        latest = ended[-1] if ended else None
        if latest is None and (not again or self.knows):
            return
        if latest is not None and latest.verdict in (Verdict.SUCCEEDED, Verdict.NOT_READY):
            return
        reason = self.hindrance_unseen(latest)
        if reason:
            raise RunnerError(f"{self.subject.job.arguments[0]} {self.subject.about} is not repeated: {reason}")

    def _conclude_unseen(self, outcome: Outcome) -> Outcome:
        if outcome.verdict in (Verdict.SUCCEEDED, Verdict.NOT_READY, Verdict.CANCELLED):
            return outcome
        reason = self.hindrance_unseen(outcome)
        return _final(outcome, f"It is not retried: {reason}") if reason else outcome


def _final(outcome: Outcome, reason: str) -> Outcome:
    return replace(outcome, final=True, reason=f"{outcome.reason or outcome.verdict}. {reason}")


class Appended(Guarded):
    """A transform that would add its rows twice."""

    def begin(
        self,
        found: Sequence[AttemptInfo] = (),
        again: bool = False,
        counts: Callable[[str], bool] = lambda attempt: True,
    ) -> str | None:
        """Like :meth:`Guarded.begin`, but an unnoticed success is used. A deliberate repetition is always allowed."""
        found = [one for one in found if counts(one.attempt)]
        for one in reversed(found):
            outcome = one.status.outcome
            if outcome is not None and outcome.succeeded:
                logger.info("attempt %s succeeded unnoticed (%s)", one.attempt, one.handle)
                return one.handle
        return super().begin(found, again, counts)

    def fresh(self, storage: Storage, note: Note) -> Note:
        """Record only that the attempt started."""
        return note

    def hindrance(self, storage: Storage, note: Note) -> str:
        """Refuse to repeat work with an unknown end."""
        anew = self.subject.key.generation > note.generation
        return "" if anew or note.end == FAILED else self._doubt(f"attempt {note.attempt}")

    def hindrance_unseen(self, outcome: Outcome | None) -> str:
        """Like :meth:`hindrance`."""
        return "" if outcome is not None and self.failed_by_itself(outcome) else self._doubt("an earlier attempt")

    def _doubt(self, attempt: str) -> str:
        if self.subject.job.retry_unsafe:
            return ""
        return (
            f"it is not known whether {attempt} of the transform {self.subject.about} has added its rows ({self.subject.strategy}). Check the "
            f"table. If they are missing, repeat the task with {word('doubtful')}; if they are there, {MARK}"
        )

    def end_of_unfound(self) -> str:
        """An attempt that a service does not know was never started."""
        return FAILED if self.knows else UNKNOWN


class Acknowledged(Guarded):
    """A check that deletes the file that it finds.

    Args:
        subject: the work to guard.
        path: the path of the file, as the command sees it.
    """

    def __init__(self, subject: Subject, path: str) -> None:
        super().__init__(subject)
        self._path = posixpath.join(subject.root, path)

    def fresh(self, storage: Storage, note: Note) -> Note:
        """Record whether the file exists."""
        return replace(note, acknowledged=storage.read(self._path) is not None)

    def hindrance(self, storage: Storage, note: Note) -> str:
        """Refuse to repeat the check if the file existed before and is gone."""
        if self.subject.job.retry_unsafe or not note.acknowledged or storage.read(self._path) is not None:
            return ""
        bring = f"create {self._path}" if "://" in self._path else shlex.join(["touch", self._path])
        return (
            f"the acknowledgement file {self._path} existed when attempt {note.attempt} started, and is gone; the result of that check is not "
            f"known. To continue, create it again: {bring}. To repeat the check without it, use {word('doubtful')}"
        )

    def hindrance_unseen(self, outcome: Outcome | None) -> str:
        """Refuse to repeat the check if the file may have existed."""
        if self.subject.job.retry_unsafe:
            return ""
        return (
            f"an earlier attempt may have found and deleted {self._path}. If it existed, create it again; then repeat the task with "
            f"{word('doubtful')}"
        )
