"""One attempt of a task, in its own thread."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from starlake_core import Job, Run, RunKey, StarlakeError, TaskEvent, TaskState
from starlake_core.logs import get_logger
from starlake_core.plain_text import plain
from starlake_core.private_files import private_folder
from starlake_core.runtime import Outcome, RunnerSource, Verdict, execute, may_pass, occupy, resource_of, runner_for
from starlake_core.short_names import file_name

from .progress import Progress
from .recording import Recorder
from .stopping import StopRequests

__all__ = ["Attempt", "AttemptRunner", "HeldUp"]

logger = get_logger(__name__)

_LARGEST_LOG = 10 * 1024 * 1024


@dataclass(eq=False)
class Attempt:
    """An attempt in its own thread.

    Attributes:
        progress: the progress of its step.
        thread: the thread it runs in.
        outcome: how it ended, or why it did not start; None while it runs.
        seconds: how long it took.
    """

    progress: Progress
    thread: threading.Thread | None = None
    outcome: Outcome | HeldUp | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class HeldUp:
    """An attempt that has not started because a resource it needs exclusively is in use.

    Attributes:
        resource: the resource it needs.
        key: the key of the attempt.
        line: a message that says who holds the resource.
    """

    resource: str
    key: RunKey
    line: str


class AttemptRunner:
    """Runs the attempts of one run.

    Args:
        run: the run that the attempts belong to.
        plugins: the plugins of the orchestration.
        prepare: called with each bound job before it starts; returns the job to run.
        logs: the folder for the output of the run.
        recorder: receives every line of output.
        stop: tells attempts when to stop.
        ended: called with each attempt when it has ended, in the thread of the attempt.
    """

    def __init__(
        self,
        run: Run,
        plugins: RunnerSource,
        prepare: Callable[[Job], Job],
        logs: Path,
        recorder: Recorder,
        stop: StopRequests,
        ended: Callable[[Attempt], None],
    ) -> None:
        self._run = run
        self._plugins = plugins
        self._prepare = prepare
        self._logs = logs
        self._recorder = recorder
        self._stop = stop
        self._ended = ended

    def log_path(self, path: str, number: int) -> Path:
        """The log file of an attempt.

        Args:
            path: the path of the task.
            number: the number of the attempt, from 1.
        """
        return self._logs / file_name(path, f".{number}.log")

    def start(self, progress: Progress) -> Attempt:
        """Start the attempt that a step is due for.

        Args:
            progress: the progress of the step.

        Raises:
            RuntimeError, OSError, MemoryError: no thread can be started.
        """
        attempt = Attempt(progress)
        attempt.thread = threading.Thread(
            target=self._attempt,
            args=(attempt, progress.row.attempt, progress.pokes),
            name="starlake-task",
            daemon=True,
        )
        attempt.thread.start()
        return attempt

    def _attempt(self, attempt: Attempt, number: int, poke: int) -> None:
        started = time.monotonic()
        progress = attempt.progress
        try:
            attempt.outcome = self._run_step(progress, number, poke, progress.unsettled)
        except StarlakeError as error:
            attempt.outcome = Outcome(Verdict.FAILED, reason=str(error), final=not may_pass(error))
        except BaseException as error:
            reason = f"{type(error).__name__}: {error}"
            attempt.outcome = Outcome(Verdict.FAILED, reason=reason, final=not may_pass(error))
            logger.error("%s failed", progress.step.path, exc_info=True)
        finally:
            progress.let_go()
            attempt.seconds = time.monotonic() - started
            self._ended(attempt)

    def _run_step(self, progress: Progress, number: int, poke: int, again: bool) -> Outcome | HeldUp:
        step = progress.step
        current = self._run.attempt(step.path, f"{number}.{poke}" if poke else str(number))
        if step.call is not None:
            step.call(current)
            return Outcome(Verdict.SUCCEEDED)
        task = step.task
        assert task is not None
        assert task.job is not None
        job = self._prepare(task.job.bind(current))
        resource = resource_of(job) if progress.lease is None else ""
        if resource:
            lines: list[str] = []
            progress.lease = occupy(resource, current.key, wait=False, on_wait=lines.append)
            if progress.lease is None:
                return HeldUp(resource, current.key, lines[-1])
        with _LogFile(self.log_path(step.path, number)) as log:
            followed = False

            def on_line(line: str) -> None:
                nonlocal followed
                followed = True
                line = plain(line)
                log.write(line)
                self._recorder.tell(TaskEvent(step.path, TaskState.RUNNING, number, line=line))

            outcome = execute(
                job,
                runner_for(job, self._plugins),
                current.key,
                timeout=task.timeout,
                on_line=on_line,
                stop=self._stop.of(progress),
                again=again,
            )
            # A job in a service may leave nothing but the end of its output and the place of its log.
            for line in () if followed else outcome.tail.splitlines():
                on_line(line)
            if outcome.log:
                log.write(f"see {outcome.log}")
            return outcome


class _LogFile:
    """The log file of an attempt, limited in size."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = 0
        self._file: int | None = None

    def __enter__(self) -> _LogFile:
        try:
            private_folder(self._path.parent)
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            self._give_up(error)
        return self

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            with suppress(OSError):
                os.close(self._file)

    def _give_up(self, error: OSError) -> None:
        # A full disk does not fail the task.
        self._size = _LARGEST_LOG + 1
        logger.warning("the output of a task is no longer saved to %s: %s", self._path, error)

    def write(self, line: str) -> None:
        """Add a line, unless the file has reached its limit."""
        if self._file is None or self._size > _LARGEST_LOG:
            return
        data = (line + "\n").encode(errors="replace")
        self._size += len(data)
        if self._size > _LARGEST_LOG:
            data = f"[left out: more than {_LARGEST_LOG} bytes]\n".encode()
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            self._give_up(error)
