"""What may be done again, and what has to be put back before: the one place that decides, for every orchestrator and environment.

Most commands give the same when they are repeated. Three do not, unless the environment records what it has done (its runner is ``keyed``):

- A *load* moves its files from the stage area to the ingesting area before it loads them, archives them when it is done, and never looks into
  the ingesting area again. Repeated after a failure it finds nothing, succeeds, and has loaded nothing.
- A *transform* that appends adds its rows twice.
- The check of an *acknowledgement file* deletes the file that it finds.

For these the runtime keeps a note below ``SL_ROOT`` from before an attempt is started until it has succeeded: which files were there, and how the
attempt ended. The next attempt reads it, puts back what can be put back, or says what a person has to look at.
"""

from __future__ import annotations

import enum
import json
import logging
import os
import posixpath
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ..contract import parse_arguments
from ..errors import ContractError, RunnerError, StarlakeError
from ..facts import ProjectFacts
from ..job import Job
from ..run import RunKey, short_hash
from .facts import facts_of
from .outcome import Found, Outcome, Runner, Verdict
from .process import local_folder
from .storage import Storage, storage_for

__all__ = ["IDEMPOTENT", "Guarded", "guarded"]

logger = logging.getLogger(__name__)

IDEMPOTENT = frozenset({"OVERWRITE", "OVERWRITE_BY_PARTITION", "UPSERT_BY_KEY", "DELETE_THEN_INSERT"})
"""Write strategies under which the same rows may come twice. ``UPSERT_BY_KEY_AND_TIMESTAMP`` is not among them: of two rows with the same key and
time Starlake keeps both (measured with 1.5.16)."""

_NOTES = ".starlake-core/attempts"
_WORD = "--retry-unsafe {word} (option retry_unsafe)"
# Exit codes from here on, and negative ones, are of a process that something else ended.
_KILLED = 128
# Starlake writes it when the rows of some files are in; what fails later (an expectation, the audit, the archive) fails with them in.
_SUMMARY = re.compile(r"ingestion-summary -> files: \[([^\]]*)\]")
_JAVA_GROUP = re.compile(r"\(\?<(?=[A-Za-z])")


class _Kind(enum.Enum):
    LOAD = "load"
    ADDS = "transform"
    ACK = "check"


@dataclass(frozen=True)
class _Note:
    """What is remembered of the latest attempt of a task that has not succeeded.

    Attributes:
        task: the stable part of its key.
        about: what it works on, ``sales.orders``.
        attempt: which attempt.
        end: ``failed`` where the command itself ended with an error and its rows are not in; ``unknown`` where nobody can tell; empty
            while it goes on.
        files: of a load, the files that waited for it: name to what tells a change.
        before: of a load, what was in the ingesting area before it began.
        acknowledged: of a check, whether its file was there.
    """

    task: str
    about: str
    attempt: str
    end: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    before: Sequence[str] = ()
    acknowledged: bool = False

    @classmethod
    def read(cls, content: bytes | None) -> _Note | None:
        try:
            return None if content is None else cls(**json.loads(content))
        except (TypeError, ValueError):
            return None

    def content(self) -> bytes:
        return json.dumps(asdict(self), sort_keys=True).encode()


def guarded(job: Job, runner: Runner, key: RunKey) -> Guarded | None:
    """What watches over the repetition of a job.

    Args:
        job: bound.
        runner: of its endpoint.
        key: of the attempt.

    Returns:
        None for a job that may be repeated as often as one likes.
    """
    name = job.arguments[0] if job.arguments else ""
    if name not in ("load", "transform", "preload") or getattr(runner, "keyed", False):
        return None
    try:
        values = parse_arguments(job.arguments).values
    except ContractError:
        return None  # the command line refuses it too
    if name == "preload":
        path = str(values.get("globalAckFilePath") or "")
        if str(values.get("strategy", "")).lower() != "ack" or not path:
            return None
        return Guarded(_Kind.ACK, job, runner, key, str(values.get("domain", "")), ProjectFacts(), path)
    root, near = _roots(job)
    facts = facts_of(replace(job, env={**job.env, "SL_ROOT": near})) if near else None
    if name == "transform":
        facts = facts or ProjectFacts()
        if facts.strategy in IDEMPOTENT:
            return None
        return Guarded(_Kind.ADDS, job, runner, key, str(values.get("name", "")), facts)
    domains, tables = values.get("domains") or [], values.get("tables") or []
    about = ".".join((",".join(domains) or "all", ",".join(tables) or "all"))
    if facts is None:
        facts = _usual(job, root, domains[0]) if len(domains) == 1 else ProjectFacts()
    elif near != root:
        # The project is read here, and its areas are where the command finds them.
        facts = replace(
            facts,
            stage=_moved(facts.stage, near, root),
            ingesting=_moved(facts.ingesting, near, root),
            archive=_moved(facts.archive, near, root),
        )
    return Guarded(_Kind.LOAD, job, runner, key, about, facts)


def _roots(job: Job) -> tuple[str, str]:
    """Where the command finds the project, and where this worker can read it; empty where nobody says."""
    told = job.env.get("SL_ROOT", "")
    here = os.environ.get("SL_ROOT", "")
    root = told if told or job.endpoint else here
    for one in (told, here):
        folder = local_folder(one)
        if folder is not None:
            return (folder if local_folder(root) is not None else root), folder
    return root, ""


def _moved(path: str, source: str, target: str) -> str:
    source, target = os.path.abspath(source), target.rstrip("/")
    return f"{target}{path[len(source) :]}" if target and path.startswith(f"{source}/") else ""


def _usual(job: Job, root: str, domain: str) -> ProjectFacts:
    """Where the files of a domain are if the project says nothing else."""
    if not root:
        return ProjectFacts()
    environ = {**os.environ, **job.env}
    datasets = posixpath.join(root, environ.get("SL_DATASETS") or "datasets")

    def area(name: str) -> str:
        return posixpath.join(datasets, environ.get(f"SL_AREA_{name.upper()}") or name, domain)

    return ProjectFacts(stage=area("stage"), ingesting=area("ingesting"), archive=area("archive"))


class Guarded:
    """Watches over the repetition of one job. Made with :func:`guarded`.

    Args:
        kind: of the command.
        job: bound.
        runner: of its endpoint.
        key: of the attempt.
        about: what it works on.
        facts: what the project says.
        acknowledgement: of a check, the path of its file.
    """

    def __init__(
        self,
        kind: _Kind,
        job: Job,
        runner: Runner,
        key: RunKey,
        about: str,
        facts: ProjectFacts,
        acknowledgement: str = "",
    ) -> None:
        self._kind = kind
        self._job = job
        self._runner = runner
        self._key = key
        self._about = about
        self._facts = facts
        root = _roots(job)[0]
        # A folder of a service's own is not that folder of this machine, even where there is one.
        elsewhere = bool(job.endpoint) and local_folder(root) is not None
        reached = storage_for(runner, root) if root and not elsewhere else None
        self._storage: Storage | None
        self._storage, self._root = reached if reached is not None else (None, root)
        self._acknowledgement = posixpath.join(self._root, acknowledgement) if acknowledgement else ""
        if kind is _Kind.LOAD and not facts.ingesting:
            self._storage = None

    # -- before and after an attempt

    def begin(
        self, found: Sequence[Found] = (), again: bool = False, counts: Callable[[str], bool] = lambda attempt: True
    ) -> str | None:
        """Make ready for an attempt that is about to be started, and note it.

        Args:
            found: what the environment knows of earlier attempts of the task.
            again: an earlier attempt may have begun.
            counts: whether an attempt, by its name, is not from before somebody asked for the work to be done anew.

        Returns:
            The handle of an earlier attempt that has added the rows of this very work while nobody looked; None to start one.

        Raises:
            RunnerError: it must not be started before a person has looked; the message says at what.
        """
        if self._kind is _Kind.ADDS:
            for one in reversed(found):
                outcome = one.status.outcome
                if outcome is not None and outcome.succeeded and counts(one.attempt):
                    logger.info("attempt %s has succeeded while nobody looked (%s)", one.attempt, one.handle)
                    return one.handle
        if self._storage is not None:
            try:
                self._begin(self._storage, found)
            except _Unsafe as error:
                raise RunnerError(str(error)) from None
            except StarlakeError as error:
                logger.warning("what an attempt of %s leaves behind cannot be noted: %s", self._about, error)
                self._storage = None
            else:
                return None
        self._begin_unseen(found, again)
        return None

    def undo(self) -> None:
        """Forget an attempt that was not started after all."""
        if self._storage is not None:
            self._storage.delete(self._path)

    def conclude(self, outcome: Outcome, lines: Iterable[str] = ()) -> Outcome:
        """What an end means: whether a success is one, and whether a failure may be followed by another try.

        Args:
            outcome: how the attempt ended.
            lines: of its output.

        Returns:
            The outcome, made a failure or final where that is so, with what to do in its reason.
        """
        if self._storage is None:
            return self._conclude_unseen(outcome)
        try:
            note = _Note.read(self._storage.read(self._path))
            return outcome if note is None else self._conclude(self._storage, note, outcome, lines)
        except StarlakeError as error:
            logger.warning("what the attempt of %s left behind is not known: %s", self._about, error)
            return self._conclude_unseen(outcome)

    # -- where the files can be seen

    @property
    def _path(self) -> str:
        return self._note_of(self._key.task)

    def _note_of(self, task: str) -> str:
        """The note of a task; those about one domain are in one folder."""
        return f"{self._root}/{_NOTES}/{short_hash(self._about.partition('.')[0])}/{short_hash(task)}.json"

    def _begin(self, storage: Storage, found: Sequence[Found]) -> None:
        note = _Note.read(storage.read(self._path))
        if note is not None:
            if not note.end:
                note = replace(note, end=self._end_of(note.attempt, found))
            hindrance = self._hindrance(storage, note)
            if hindrance:
                raise _Unsafe(hindrance)
            if self._kind is _Kind.LOAD:
                self._put_back(storage, note)
        fresh = _Note(self._key.task, self._about, self._key.attempt)
        if self._kind is _Kind.LOAD:
            before = sorted(self._matching(storage.list(self._facts.ingesting)))
            if before and self._facts.pattern:
                logger.warning("%s: %s", self._about, self._left_before(before))
            fresh = replace(fresh, files=self._matching(storage.list(self._facts.stage)), before=before)
        elif self._kind is _Kind.ACK:
            fresh = replace(fresh, acknowledged=storage.read(self._acknowledgement) is not None)
        storage.write(self._path, fresh.content())

    def _end_of(self, attempt: str, found: Sequence[Found]) -> str:
        """How an attempt ended that nobody has concluded, if the environment knows."""
        for one in found:
            if one.attempt == attempt and one.status.outcome is not None:
                return "failed" if self._failed_by_itself(one.status.outcome) else "unknown"
        # What a service does not know was never started.
        return "failed" if self._kind is _Kind.ADDS and self._knows else "unknown"

    @property
    def _knows(self) -> bool:
        return bool(getattr(self._runner, "detached", False))

    def _failed_by_itself(self, outcome: Outcome) -> bool:
        """Whether the command ended with an error before its rows were in, as far as its exit code tells."""
        code = outcome.exit_code
        stopped = outcome.verdict is not Verdict.FAILED or outcome.stopped
        return not stopped and code is not None and 0 < code < _KILLED and not self._facts.fails_late

    def _hindrance(self, storage: Storage, note: _Note) -> str:
        """Why the work must not be done again; empty if it may."""
        unsafe = bool(self._job.retry_unsafe)
        if self._kind is _Kind.ACK:
            if unsafe or not note.acknowledged or storage.read(self._acknowledgement) is not None:
                return ""
            return (
                f"the acknowledgement file {self._acknowledgement} was there when attempt {note.attempt} began to look, and is gone; what the "
                f"check found is not known. To go on, bring it back: {self._touch()}. To look again without it: {_word('doubtful')}"
            )
        if self._kind is _Kind.ADDS:
            if unsafe or note.end == "failed":
                return ""
            return (
                f"nobody knows whether attempt {note.attempt} of the transform {self._about} has added its rows "
                f"({self._strategy()}). Look into the table. If they are missing, run it again with {_word('doubtful')}; if they are there, "
                "mark the task as succeeded"
            )
        staged = storage.list(self._facts.stage)
        # A move that was not finished leaves the file in both areas: it was not loaded.
        left = [
            name for name in self._left(storage, note) if name not in staged or staged[name] != note.files.get(name)
        ]
        if not left:
            return ""
        others = self._of_others(storage)
        taken = [name for name in left if name in others]
        if taken:
            other = others[taken[0]].task
            return (
                f"{', '.join(taken)} in {self._facts.ingesting} may be of another task, {other}, which has not ended well; finish that one first, "
                f"or, if it never will be, delete its note: {self._delete(self._note_of(other))}"
            )
        twice = sorted(name for name in left if name in staged and staged[name] != note.files.get(name))
        if twice:
            return (
                f"{', '.join(twice)} in {self._facts.ingesting} is of a load that failed, and another file of that name waits in "
                f"{self._facts.stage}; give one of them another name, or move the first to {self._facts.archive} if its rows are in the table"
            )
        strategy_allows = self._facts.strategy in IDEMPOTENT and not self._facts.nullable_key
        if unsafe or strategy_allows or note.end == "failed":
            return ""
        return (
            f"nobody knows whether the rows of {', '.join(left)} are in {self._about}: attempt {note.attempt} ended before it said so, and "
            f"{self._strategy()}. {self._settle(left)}. Or load them again in any case with {_word('doubtful')}"
        )

    def _left(self, storage: Storage, note: _Note) -> list[str]:
        """The files of the task that are in the ingesting area: moved there by an attempt of it, and not archived."""
        there = self._matching(storage.list(self._facts.ingesting))
        mine = set(note.files) & set(there)
        # What came into the stage area between the note and the command is of this task too.
        later = set(there) - set(note.before) - mine if self._facts.pattern else set()
        return sorted(mine | (later - set(self._of_others(storage)) if later else set()))

    def _of_others(self, storage: Storage) -> dict[str, _Note]:
        """The files that other tasks of this domain, which have not ended well, were to load."""
        folder = self._path.rpartition("/")[0]
        found: dict[str, _Note] = {}
        for name in storage.list(folder):
            note = _Note.read(storage.read(f"{folder}/{name}"))
            if note is not None and note.task != self._key.task:
                found.update(dict.fromkeys(note.files, note))
        return found

    def _put_back(self, storage: Storage, note: _Note) -> None:
        staged = storage.list(self._facts.stage)
        left = self._left(storage, note)
        for name in left:
            source = f"{self._facts.ingesting}/{name}"
            if name in staged:
                # Its move had not been finished: the whole file is where it was.
                storage.delete(source)
            else:
                storage.move(source, f"{self._facts.stage}/{name}")
        if left:
            logger.warning(
                "%s: put back what attempt %s had moved to %s: %s",
                *(self._about, note.attempt, self._facts.ingesting, ", ".join(left)),
            )

    def _conclude(self, storage: Storage, note: _Note, outcome: Outcome, lines: Iterable[str]) -> Outcome:
        if outcome.verdict in (Verdict.SUCCEEDED, Verdict.NOT_READY):
            wrong, end = self._not_loaded(storage, note) if self._kind is _Kind.LOAD else ("", "")
            if not wrong:
                storage.delete(self._path)
                still = sorted(set(note.before) & set(storage.list(self._facts.ingesting))) if note.before else []
                return replace(outcome, reason=self._left_before(still)) if still and self._facts.pattern else outcome
            storage.write(self._path, replace(note, end=end).content())
            return replace(outcome, verdict=Verdict.FAILED, reason=wrong, final=True)
        own = self._failed_by_itself(outcome) and not self._is_in(note, lines)
        note = replace(note, end="failed" if own else "unknown")
        storage.write(self._path, note.content())
        hindrance = self._hindrance(storage, note)
        if not hindrance or outcome.verdict is Verdict.CANCELLED:
            return outcome
        return _final(outcome, hindrance)

    def _is_in(self, note: _Note, lines: Iterable[str]) -> bool:
        """Whether the output says that the rows of a file are in the table."""
        done = {posixpath.basename(path.strip()) for line in lines for path in _paths(line)}
        return bool(done & set(note.files))

    def _not_loaded(self, storage: Storage, note: _Note) -> tuple[str, str]:
        """Why a success is none, and how the attempt ended; empty if it is one."""
        if not self._facts.pattern:
            return "", ""  # which files are those of the table is not known
        there, staged = storage.list(self._facts.ingesting), storage.list(self._facts.stage)
        left = sorted(set(note.files) & set(there) - set(note.before))
        if left:
            return (
                f"the command succeeded and left {', '.join(left)} in {self._facts.ingesting}, where no load looks again. {self._settle(left)}"
            ), "unknown"
        untouched = sorted(name for name, about in note.files.items() if staged.get(name) == about)
        if untouched:
            return (
                f"the command succeeded and loaded none of {', '.join(untouched)} in {self._facts.stage}; is {self._about} the name that the "
                "project gives to the table?"
            ), "failed"
        return "", ""

    def _matching(self, files: Mapping[str, str]) -> dict[str, str]:
        try:
            pattern = re.compile(_JAVA_GROUP.sub("(?P<", self._facts.pattern or ".*"))
        except re.error:
            pattern = re.compile(".*")
        return {name: about for name, about in files.items() if pattern.fullmatch(name)}

    # -- where they cannot

    def _begin_unseen(self, found: Sequence[Found], again: bool) -> None:
        ended = [one.status.outcome for one in found if one.status.outcome is not None]
        latest = ended[-1] if ended else None
        if latest is None and (not again or self._knows):
            return
        if latest is not None and latest.verdict in (Verdict.SUCCEEDED, Verdict.NOT_READY):
            return
        hindrance = self._hindrance_unseen(latest)
        if hindrance:
            raise RunnerError(f"{self._job.arguments[0]} {self._about} is not done again: {hindrance}")

    def _hindrance_unseen(self, outcome: Outcome | None) -> str:
        word = self._job.retry_unsafe
        where = self._root or "the project"
        if self._kind is _Kind.LOAD:
            if word == "blind":
                return ""
            return (
                f"an earlier attempt may have moved its files to the ingesting area, where no load looks again, and this worker does not reach "
                f"{where} to put them back, so that another try could load nothing and succeed. Move the files of {self._about} in the ingesting "
                f"area back to the stage area (to the archive, if their rows are in the table), and have the task done again with {_word('blind')}"
            )
        if word or (outcome is not None and self._kind is _Kind.ADDS and self._failed_by_itself(outcome)):
            return ""
        if self._kind is _Kind.ADDS:
            return (
                f"nobody knows whether an earlier attempt has added its rows ({self._strategy()}). Look into the table. If they are missing, have it "
                f"done again with {_word('doubtful')}; if they are there, mark the task as succeeded"
            )
        return (
            f"an earlier look may have found and deleted {self._acknowledgement}. If it was there, bring it back; then have the task done again with "
            f"{_word('doubtful')}"
        )

    def _conclude_unseen(self, outcome: Outcome) -> Outcome:
        if outcome.verdict in (Verdict.SUCCEEDED, Verdict.NOT_READY, Verdict.CANCELLED):
            return outcome
        hindrance = self._hindrance_unseen(outcome)
        return _final(outcome, f"It is not tried again: {hindrance}") if hindrance else outcome

    # -- words

    def _settle(self, names: Sequence[str]) -> str:
        return (
            f"Look into the table. If the rows are missing: {self._command(names, self._facts.stage)}; if they are there: "
            f"{self._command(names, self._facts.archive)}; then have the task done again"
        )

    def _strategy(self) -> str:
        strategy = self._facts.strategy
        if not strategy:
            return "its write strategy is not known (pip install starlake-core-project, where the project can be read)"
        return f"its write strategy is {strategy}" + (
            ", with a key that may be empty" if self._facts.nullable_key else ""
        )

    def _command(self, names: Sequence[str], folder: str) -> str:
        """What to type to move files out of the ingesting area."""
        scheme = folder.partition("://")[0] if "://" in folder else ""
        paths = [f"{self._facts.ingesting}/{name}" for name in names]
        if scheme == "s3":
            moves = [f"aws s3 mv {shlex.quote(path)} {shlex.quote(folder + '/')}" for path in paths]
            return " && ".join(moves)
        program = ["gcloud", "storage", "mv"] if scheme == "gs" else ["mv"]
        return shlex.join([*program, *paths, f"{folder}/"])

    def _left_before(self, names: Sequence[str]) -> str:
        return (
            f"files that an earlier load left in {self._facts.ingesting} are not loaded: {', '.join(names)}. Finish that run, or, to load them: "
            f"{self._command(names, self._facts.stage)}"
        )

    def _delete(self, path: str) -> str:
        return path if "://" in path else shlex.join(["rm", path])

    def _touch(self) -> str:
        path = self._acknowledgement
        return f"create {path}" if "://" in path else shlex.join(["touch", path])


class _Unsafe(StarlakeError):
    """The work must not be done again before a person has looked."""


def _final(outcome: Outcome, hindrance: str) -> Outcome:
    return replace(outcome, final=True, reason=f"{outcome.reason or outcome.verdict}. {hindrance}")


def _word(word: str) -> str:
    return _WORD.format(word=word)


def _paths(line: str) -> list[str]:
    found: Any = _SUMMARY.search(line)
    return found[1].split(",") if found else []
