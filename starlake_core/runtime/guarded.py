"""Watching over work that is not safely done twice: before an attempt starts, and when it has ended."""

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

__all__ = ["Acknowledged", "Appended", "Guarded", "Subject", "word"]

logger = get_logger(__name__)

# Exit codes from here on, and negative ones, are of a process that something else ended.
_KILLED = 128


def word(which: str) -> str:
    """How a user gives a word about unsafe repetition.

    Args:
        which: ``doubtful`` or ``blind``.
    """
    return f"--retry-unsafe {which} (option retry_unsafe)"


@dataclass(frozen=True)
class Subject:
    """What is watched over.

    Attributes:
        job: bound.
        runner: of its endpoint.
        key: of the attempt.
        about: what the job works on, ``sales.orders``.
        facts: what the project says of it.
        root: of the project, as the command sees it; empty where nobody knows.
        storage: that the project is in; None where this worker does not reach it.
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
        """The write strategy, in words."""
        if not self.facts.strategy:
            return "its write strategy is not known (pip install starlake-core-project, where the project can be read)"
        nullable = ", with a key that may be empty" if self.facts.nullable_key else ""
        return f"its write strategy is {self.facts.strategy}{nullable}"


class Guarded(abc.ABC):
    """Watches over the repetition of one job.

    Args:
        subject: what is watched over.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.storage = subject.storage
        self._own_notes: Notes | None = None

    # -- what a kind of work says of itself

    @abc.abstractmethod
    def fresh(self, storage: Storage, note: Note) -> Note:
        """The note of an attempt that is about to start, with what it finds."""

    @abc.abstractmethod
    def hindrance(self, storage: Storage, note: Note) -> str:
        """Why the work must not be done again after the attempt of a note; empty if it may."""

    @abc.abstractmethod
    def hindrance_unseen(self, outcome: Outcome | None) -> str:
        """The same, where the project is out of reach.

        Args:
            outcome: how the latest attempt ended; None where nobody knows.
        """

    def put_back(self, storage: Storage, note: Note) -> None:
        """Bring things back to where they were before the attempt of a note; most kinds of work move nothing."""
        return

    def judge(self, storage: Storage, note: Note) -> tuple[str, str]:
        """Why a success is none, and how the attempt then ended; or what there is to say about the success, and an empty text."""
        return "", ""

    def is_in(self, note: Note, lines: Iterable[str]) -> bool:
        """Whether the output of a failure says that its rows are in the table."""
        return False

    # -- before and after an attempt

    def begin(
        self,
        found: Sequence[AttemptInfo] = (),
        again: bool = False,
        counts: Callable[[str], bool] = lambda attempt: True,
    ) -> str | None:
        """Make ready for an attempt that is about to be started, and note it.

        Args:
            found: what the environment knows of earlier attempts of the task.
            again: an earlier attempt may have begun.
            counts: whether an attempt, by its name, is not from before somebody asked for the work to be done anew.

        Returns:
            The handle of an earlier attempt that has done this very work while nobody looked; None to start one.

        Raises:
            RunnerError: it must not be started before a person has looked; the message says at what.
        """
        if self.storage is not None:
            try:
                reason = self._begin(self.storage, found)
            except StarlakeError as error:
                logger.warning("what an attempt of %s leaves behind cannot be noted: %s", self.subject.about, error)
                self.storage = None
            else:
                if reason:
                    raise RunnerError(reason)
                return None
        self._begin_unseen(found, again)
        return None

    def undo(self) -> None:
        """Forget an attempt that was not started after all."""
        if self.storage is not None:
            self._notes(self.storage).delete()

    def conclude(self, outcome: Outcome, lines: Iterable[str] = ()) -> Outcome:
        """What an end means: whether a success is one, and whether a failure may be followed by another attempt.

        Args:
            outcome: how the attempt ended.
            lines: of its output.

        Returns:
            The outcome, made a failure or final where that is so, with what to do in its reason.
        """
        if self.storage is None:
            return self._conclude_unseen(outcome)
        try:
            note = self._notes(self.storage).read()
            return outcome if note is None else self._conclude(self.storage, note, outcome, lines)
        except StarlakeError as error:
            logger.warning("what the attempt of %s left behind is not known: %s", self.subject.about, error)
            return self._conclude_unseen(outcome)

    # -- where the project can be reached

    def _notes(self, storage: Storage) -> Notes:
        if self._own_notes is None:
            subject = self.subject
            self._own_notes = Notes(storage, subject.root, subject.about, subject.key.task)
        return self._own_notes

    def note_of(self, task: str) -> str:
        """Where the note of a task about the same domain is."""
        assert self.storage is not None
        return self._notes(self.storage).path(task)

    def of_others(self, storage: Storage) -> dict[str, Note]:
        """The files of other tasks; see :meth:`Notes.others`."""
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
        """How an attempt ended that nobody has concluded, if the environment knows."""
        for one in found:
            if one.attempt == attempt and one.status.outcome is not None:
                return FAILED if self.failed_by_itself(one.status.outcome) else UNKNOWN
        return self.end_of_unfound()

    def end_of_unfound(self) -> str:
        """How an attempt ended that the environment does not find."""
        return UNKNOWN

    @property
    def knows(self) -> bool:
        """Whether the environment knows every attempt that was started."""
        return self.subject.runner.detached

    def failed_by_itself(self, outcome: Outcome) -> bool:
        """Whether the command ended with an error before its rows were in, as far as its exit code tells."""
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

    # -- where it cannot

    def _begin_unseen(self, found: Sequence[AttemptInfo], again: bool) -> None:
        ended = [one.status.outcome for one in found if one.status.outcome is not None]
        latest = ended[-1] if ended else None
        if latest is None and (not again or self.knows):
            return
        if latest is not None and latest.verdict in (Verdict.SUCCEEDED, Verdict.NOT_READY):
            return
        reason = self.hindrance_unseen(latest)
        if reason:
            raise RunnerError(f"{self.subject.job.arguments[0]} {self.subject.about} is not done again: {reason}")

    def _conclude_unseen(self, outcome: Outcome) -> Outcome:
        if outcome.verdict in (Verdict.SUCCEEDED, Verdict.NOT_READY, Verdict.CANCELLED):
            return outcome
        reason = self.hindrance_unseen(outcome)
        return _final(outcome, f"It is not tried again: {reason}") if reason else outcome


def _final(outcome: Outcome, reason: str) -> Outcome:
    return replace(outcome, final=True, reason=f"{outcome.reason or outcome.verdict}. {reason}")


class Appended(Guarded):
    """A transform whose rows would be there twice."""

    def begin(
        self,
        found: Sequence[AttemptInfo] = (),
        again: bool = False,
        counts: Callable[[str], bool] = lambda attempt: True,
    ) -> str | None:
        """As :meth:`Guarded.begin`; a success that nobody saw is taken. Who asks for the work to be done anew has given his word."""
        found = [one for one in found if counts(one.attempt)]
        for one in reversed(found):
            outcome = one.status.outcome
            if outcome is not None and outcome.succeeded:
                logger.info("attempt %s has succeeded while nobody looked (%s)", one.attempt, one.handle)
                return one.handle
        return super().begin(found, again, counts)

    def fresh(self, storage: Storage, note: Note) -> Note:
        """Nothing but that it began."""
        return note

    def hindrance(self, storage: Storage, note: Note) -> str:
        """An end that nobody knows."""
        anew = self.subject.key.generation > note.generation
        return "" if anew or note.end == FAILED else self._doubt(f"attempt {note.attempt}")

    def hindrance_unseen(self, outcome: Outcome | None) -> str:
        """The same."""
        return "" if outcome is not None and self.failed_by_itself(outcome) else self._doubt("an earlier attempt")

    def _doubt(self, attempt: str) -> str:
        if self.subject.job.retry_unsafe:
            return ""
        return (
            f"nobody knows whether {attempt} of the transform {self.subject.about} has added its rows ({self.subject.strategy}). Look into the "
            f"table. If they are missing, have it done again with {word('doubtful')}; if they are there, mark the task as succeeded"
        )

    def end_of_unfound(self) -> str:
        """What a service does not know was never started."""
        return FAILED if self.knows else UNKNOWN


class Acknowledged(Guarded):
    """A check that deletes the file that it finds.

    Args:
        subject: what is watched over.
        path: of the file, as the command sees it.
    """

    def __init__(self, subject: Subject, path: str) -> None:
        super().__init__(subject)
        self._path = posixpath.join(subject.root, path)

    def fresh(self, storage: Storage, note: Note) -> Note:
        """Whether the file is there."""
        return replace(note, acknowledged=storage.read(self._path) is not None)

    def hindrance(self, storage: Storage, note: Note) -> str:
        """The file was there and is gone."""
        if self.subject.job.retry_unsafe or not note.acknowledged or storage.read(self._path) is not None:
            return ""
        bring = f"create {self._path}" if "://" in self._path else shlex.join(["touch", self._path])
        return (
            f"the acknowledgement file {self._path} was there when attempt {note.attempt} began to look, and is gone; what the check found is not "
            f"known. To go on, bring it back: {bring}. To look again without it: {word('doubtful')}"
        )

    def hindrance_unseen(self, outcome: Outcome | None) -> str:
        """The file may have been there."""
        if self.subject.job.retry_unsafe:
            return ""
        return (
            f"an earlier look may have found and deleted {self._path}. If it was there, bring it back; then have the task done again with "
            f"{word('doubtful')}"
        )
