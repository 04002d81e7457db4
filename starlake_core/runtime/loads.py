"""Guards loads: puts back the files that a failed load moved, leaves unclear cases to a person, and verifies
successes."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from ..logs import get_logger
from ..model.outcome import Outcome
from ..plugins.runner import Storage
from .guarded import Guarded, Subject, word
from .notes import FAILED, UNKNOWN, Note

__all__ = ["IDEMPOTENT", "Loaded"]

logger = get_logger(__name__)

IDEMPOTENT = frozenset({"OVERWRITE", "OVERWRITE_BY_PARTITION", "UPSERT_BY_KEY", "DELETE_THEN_INSERT"})
"""Write strategies with which the same rows may be loaded twice. ``UPSERT_BY_KEY_AND_TIMESTAMP`` is not one of them,
because Starlake keeps both of two rows with the same key and time (measured with 1.5.16)."""

# Starlake logs this when the rows of some files are written. If a later step fails (an expectation, the audit, the
# archive), the rows stay.
_SUMMARY = re.compile(r"ingestion-summary -> files: \[([^\]]*)\]")
_JAVA_GROUP = re.compile(r"\(\?<(?=[A-Za-z])")


def _in_python(pattern: str) -> Callable[[str], object]:
    """Match file names as Python does, for a reader of projects that brings no matcher of its own."""
    try:
        return re.compile(_JAVA_GROUP.sub("(?P<", pattern or ".*")).fullmatch
    except re.error:
        return re.compile(".*").fullmatch


class Loaded(Guarded):
    """A load of one table.

    Args:
        subject: the work to guard; its facts name the areas, if the project can be reached.
    """

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._facts = subject.facts
        if not self._facts.ingesting:
            self.storage = None

    def fresh(self, storage: Storage, note: Note) -> Note:
        """Record the waiting files, and those that earlier loads left behind."""
        before = sorted(self._matching(storage.list(self._facts.ingesting)))
        if before and self._facts.pattern:
            logger.warning("%s: %s", self.subject.about, self._left_before(before))
        return replace(note, files=self._matching(storage.list(self._facts.stage)), before=before)

    def hindrance(self, storage: Storage, note: Note) -> str:
        """Refuse to repeat the load if a file in the ingesting area may already be loaded, or may belong to another
        task."""
        staged = storage.list(self._facts.stage)
        # An unfinished move leaves the file in both areas, and it was not loaded.
        left = [
            name for name in self._left(storage, note) if name not in staged or staged[name] != note.files.get(name)
        ]
        if not left:
            return ""
        others = self.of_others(storage)
        taken = [name for name in left if name in others]
        if taken:
            path = self.note_of(others[taken[0]].task)
            return (
                f"{', '.join(taken)} in {self._facts.ingesting} may belong to another task, {others[taken[0]].task}, which has not succeeded; finish "
                f"that one first or, if it will never succeed, delete its note: {path if '://' in path else shlex.join(['rm', path])}"
            )
        twice = [name for name in left if name in staged]
        if twice:
            return (
                f"{', '.join(twice)} in {self._facts.ingesting} belongs to a load that failed, and another file with that name waits in "
                f"{self._facts.stage}; rename one of them, or move the first to {self._facts.archive} if its rows are in the table"
            )
        may_come_twice = self._facts.strategy in IDEMPOTENT and not self._facts.nullable_key
        if self.subject.job.retry_unsafe or may_come_twice or note.end == FAILED:
            return ""
        return (
            f"it is not known whether the rows of {', '.join(left)} are in {self.subject.about}: attempt {note.attempt} ended before it "
            f"reported that, and {self.subject.strategy}. {self._settle(left)}. To load them again in any case, use {word('doubtful')}"
        )

    def hindrance_unseen(self, outcome: Outcome | None) -> str:
        """Refuse to repeat the load if files may be in the ingesting area."""
        if self.subject.job.retry_unsafe == "blind":
            return ""
        return (
            f"an earlier attempt may have moved its files to the ingesting area, which loads do not read again, and this worker cannot reach "
            f"{self.subject.root or 'the project'} to put them back. Another attempt could succeed without loading anything. Move the files of "
            f"{self.subject.about} in the ingesting area back to the stage area (to the archive, if their rows are in the table), and repeat "
            f"the task with {word('blind')}"
        )

    def put_back(self, storage: Storage, note: Note) -> None:
        """Move the files of the task from the ingesting area to the stage area."""
        staged = storage.list(self._facts.stage)
        left = self._left(storage, note)
        for name in left:
            source = f"{self._facts.ingesting}/{name}"
            if name in staged:
                # The move was not finished, so the complete file is still in its old place.
                storage.delete(source)
            else:
                storage.move(source, f"{self._facts.stage}/{name}")
        if left:
            logger.warning(
                "%s: put back what attempt %s had moved to %s: %s",
                *(self.subject.about, note.attempt, self._facts.ingesting, ", ".join(left)),
            )

    def judge(self, storage: Storage, note: Note) -> tuple[str, str]:
        """Return a failure if the load left files in the stage area or the ingesting area."""
        if not self._facts.pattern:
            return "", ""  # it is not known which files belong to the table
        there, staged = set(storage.list(self._facts.ingesting)), storage.list(self._facts.stage)
        left = sorted(set(note.files) & there - set(note.before))
        if left:
            where = f"{', '.join(left)} in {self._facts.ingesting}, which loads do not read again"
            return f"the command succeeded and left {where}. {self._settle(left)}", UNKNOWN
        untouched = sorted(name for name, about in note.files.items() if staged.get(name) == about)
        if untouched:
            return (
                f"the command succeeded and loaded none of {', '.join(untouched)} in {self._facts.stage}; is {self.subject.about} the "
                "name of the table in the project?"
            ), FAILED
        before = sorted(set(note.before) & there)
        return self._left_before(before) if before else "", ""

    def is_in(self, note: Note, lines: Iterable[str]) -> bool:
        """Return whether Starlake logged the summary of a file."""
        paths = (path for line in lines for found in _SUMMARY.finditer(line) for path in found[1].split(","))
        return any(posixpath.basename(path.strip()) in note.files for path in paths)

    def _left(self, storage: Storage, note: Note) -> list[str]:
        """Return the files that an attempt of the task moved to the ingesting area and did not archive."""
        there = self._matching(storage.list(self._facts.ingesting))
        mine = set(note.files) & set(there)
        # Files that arrived in the stage area between the note and the command belong to this task too.
        later = set(there) - set(note.before) - mine if self._facts.pattern else set()
        return sorted(mine | (later - set(self.of_others(storage)) if later else set()))

    def _matching(self, files: Mapping[str, str]) -> dict[str, str]:
        matches = self._facts.matches or _in_python(self._facts.pattern)
        return {name: about for name, about in files.items() if matches(name)}

    # -- messages

    def _settle(self, names: Sequence[str]) -> str:
        return (
            f"Check the table. If the rows are missing: {self._moving(names, self._facts.stage)}; if they are there: "
            f"{self._moving(names, self._facts.archive)}; then repeat the task"
        )

    def _left_before(self, names: Sequence[str]) -> str:
        return (
            f"files that an earlier load left in {self._facts.ingesting} are not loaded: {', '.join(names)}. Finish that run, or load them with: "
            f"{self._moving(names, self._facts.stage)}"
        )

    def _moving(self, names: Sequence[str], folder: str) -> str:
        """Return the command that moves files out of the ingesting area."""
        scheme = folder.partition("://")[0] if "://" in folder else ""
        paths = [f"{self._facts.ingesting}/{name}" for name in names]
        if scheme == "s3":
            return " && ".join(shlex.join(["aws", "s3", "mv", path, f"{folder}/"]) for path in paths)
        program = ["gcloud", "storage", "mv"] if scheme == "gs" else ["mv"]
        return shlex.join([*program, *paths, f"{folder}/"])
