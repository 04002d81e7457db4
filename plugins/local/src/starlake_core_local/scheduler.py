"""The loop that runs a plan: what may run, runs; every state is recorded before it is acted on."""

from __future__ import annotations

import heapq
import logging
import os
import queue
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any

from starlake_core import (
    Job,
    RunError,
    RunKey,
    RunRequest,
    StarlakeError,
    Task,
    TaskEvent,
    TaskKind,
    TaskReport,
    TaskState,
    TriggerRule,
    selected,
    skipped_end,
)
from starlake_core.plain import plain
from starlake_core.plugins import Plugins
from starlake_core.private import file_name, private_folder
from starlake_core.runtime import Lease, Outcome, Verdict, execute, may_pass, occupy, resource_of, runner_for
from starlake_core.runtime.guard import guard, interrupts

from .plan import Plan, Step
from .store import Store, TaskRow

__all__ = ["Scheduler"]

logger = logging.getLogger(__name__)

# What the steps before a step say together: a set of these.
_GOOD, _SKIPPED, _BAD = 1, 2, 4
# A signal that comes in the instant before this thread begins to wait does not end the wait: its handler runs afterwards.
_LONGEST_WAIT = 0.5
_LARGEST_LOG = 10 * 1024 * 1024
_STOPPED = "stopped by the user"
# How long a record that cannot be written now is tried again, and between two tries.
_RECORD_SECONDS = 20.0
_RECORD_PAUSE = 0.5
_SETTLE_SECONDS = 60.0
_NEW = TaskRow("", TaskState.WAITING)
_FINAL = {
    TaskState.SUCCEEDED: _GOOD,
    TaskState.EXCLUDED: _GOOD,
    TaskState.SKIPPED: _SKIPPED,
    TaskState.FAILED: _BAD,
    TaskState.UPSTREAM_FAILED: _BAD,
    TaskState.CANCELLED: _BAD,
}


@dataclass(eq=False)
class _Attempt:
    """An attempt in a thread of its own."""

    progress: _Progress
    thread: threading.Thread | None = None
    outcome: Outcome | _HeldUp | None = None
    seconds: float = 0.0


@dataclass(eq=False)
class _Progress:
    """Where a step stands."""

    step: Step
    waiting: int
    mask: int = 0
    reason: str = ""
    row: TaskRow = field(default_factory=lambda: TaskRow("", TaskState.WAITING))
    used: int = 0
    pokes: int = 0
    unsettled: bool = False
    first_poke: float = 0.0
    lease: Lease | None = None


@dataclass(frozen=True)
class _HeldUp:
    """An attempt has not begun: others use what it needs to itself.

    Attributes:
        resource: what it needs.
        key: of the attempt.
        line: who uses it, for people.
    """

    resource: str
    key: RunKey
    line: str


@dataclass(frozen=True)
class _News:
    """Of a task that is held up: another line for people, or, without one, the end of its wait, with the lease unless it was given up.

    Attributes:
        progress: where the task stands.
    """

    progress: _Progress
    line: str = ""
    lease: Lease | None = None
    trouble: str = ""


class Scheduler:
    """Runs a plan once.

    Args:
        plan: of the pipeline.
        request: what is asked for.
        plugins: of the orchestration.
        store: the record.
        parallelism: tasks at once.
        prepare: last word on a bound job, before it is started.
    """

    def __init__(
        self,
        plan: Plan,
        request: RunRequest,
        plugins: Plugins,
        store: Store,
        parallelism: int,
        prepare: Callable[[Job], Job],
    ) -> None:
        self._plan = plan
        self._request = request
        self._run = request.run
        self._plugins = plugins
        self._store = store
        self._parallelism = parallelism
        self._prepare = prepare
        self._progress = {id(step): _Progress(step, step.upstream) for step in plan.steps}
        self._ready: deque[_Progress] = deque()
        self._timers: list[tuple[float, int, _Progress]] = []
        self._results: queue.SimpleQueue[_Attempt | _News | None] = queue.SimpleQueue()
        self._attempts: dict[_Attempt, None] = {}
        self._begun: list[_Progress] = []
        self._trouble: RunError | None = None
        self._trouble_since = 0.0
        self._heard = 0
        self._why = _STOPPED
        self._held_up: dict[str, deque[tuple[_Progress, RunKey]]] = {}
        self._waiting = 0
        self._interrupts = 0
        self._whole = replace(request, select=())
        self._listener = request.listener
        self._stop = threading.Event()
        self._held_lock = threading.Lock()
        self._dirty: dict[str, TaskRow] = {}
        self._order = 0

    # -- the loop

    def execute(self, recorded: dict[str, TaskRow]) -> tuple[TaskState, str]:
        """Run to the end.

        Args:
            recorded: states of an earlier process that ran the same run.

        Returns:
            State of the run, and a sentence on it.

        Raises:
            RunError: the record cannot be written; all that ran was stopped, and tear-downs were done.
        """
        try:
            self._recall(recorded)
            for step in self._plan.steps:
                if not step.upstream:
                    self._settle(self._progress[id(step)])
            self._loop()
            self._flush(last=True)
        except BaseException:
            self._end_all()
            raise
        return self._verdict()

    @contextmanager
    def signals(self) -> Iterator[None]:
        """While this block is open, an interrupt is a message to the loop: it must not come between two steps of a run."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def on_signal(number: int, frame: FrameType | None) -> None:
            self._interrupts += 1
            if self._interrupts > 1:
                guard.kill()
            self._results.put(None)

        before: dict[signal.Signals, Any] = {}
        try:
            for number in interrupts():
                before[number] = signal.signal(number, on_signal)
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _loop(self) -> None:
        while True:
            if self._interrupts > self._heard:
                self._interrupt()
            self._wake()
            for _ in range(min(len(self._ready), self._parallelism - len(self._attempts) - len(self._begun))):
                progress = self._ready.popleft()
                self._begun.append(progress)
                self._begin(progress)
            if self._flush():
                begun, self._begun = self._begun, []
                for progress in begun:
                    self._start(progress)
            if not (self._attempts or self._begun or self._ready or self._timers or self._waiting):
                return
            self._take(self._next_timer())

    def _next_timer(self) -> float:
        due = [_LONGEST_WAIT]
        if self._timers:
            due.append(max(0.0, self._timers[0][0] - time.monotonic()))
        return min(due)

    def _take(self, timeout: float) -> None:
        """Wait for something to happen, and conclude all attempts that have ended."""
        with suppress(queue.Empty):
            ended = self._results.get(timeout=timeout)
            while True:
                if isinstance(ended, _News):
                    self._hear(ended)
                elif ended is not None:
                    self._take_in(ended)
                ended = self._results.get_nowait()
        # One whose thread could not even say so.
        for attempt in [a for a in self._attempts if a.thread is None or not a.thread.is_alive()]:
            self._take_in(attempt)

    def _take_in(self, attempt: _Attempt) -> None:
        if attempt in self._attempts:
            del self._attempts[attempt]
            lost = Outcome(Verdict.FAILED, reason="the thread of this attempt ended without a word")
            outcome = attempt.outcome or lost
            if isinstance(outcome, _HeldUp):
                self._hold_up(attempt.progress, outcome)
            else:
                self._conclude(attempt.progress, outcome, attempt.seconds)

    def _start(self, progress: _Progress) -> None:
        attempt = _Attempt(progress)
        attempt.thread = threading.Thread(
            target=self._attempt,
            args=(attempt, progress.row.attempt, progress.pokes),
            name="starlake-task",
            daemon=True,
        )
        try:
            attempt.thread.start()
        except (RuntimeError, OSError, MemoryError) as error:
            self._conclude(
                progress, Outcome(Verdict.FAILED, reason=f"no thread for it can be started now: {error}"), 0.0
            )
        else:
            self._attempts[attempt] = None

    def _end_all(self) -> None:
        """Stop what runs, because this loop cannot go on."""
        self._interrupts = max(2, self._interrupts)
        self._stop.set()
        deadline = time.monotonic() + _SETTLE_SECONDS
        for attempt in self._attempts:
            if attempt.thread is not None:
                attempt.thread.join(max(0.0, deadline - time.monotonic()))

    def _wake(self) -> None:
        while self._timers and self._timers[0][0] <= time.monotonic():
            self._ready.append(heapq.heappop(self._timers)[2])

    def _later(self, progress: _Progress, seconds: float) -> None:
        self._order += 1
        heapq.heappush(self._timers, (time.monotonic() + seconds, self._order, progress))

    def _interrupt(self) -> None:
        """Stop what runs, give up what waits, and let tear-downs run."""
        self._heard = self._interrupts
        self._stop.set()
        waiting = [*self._begun, *self._ready, *(timer[2] for timer in self._timers)]
        self._begun.clear()
        self._ready.clear()
        self._timers.clear()
        for progress in waiting:
            task = progress.step.task
            if task is not None and task.kind is TaskKind.TEARDOWN and self._interrupts < 2:
                self._ready.append(progress)
            else:
                self._let_go(progress)
                self._end(progress, TaskState.CANCELLED, self._why)

    # -- what has one user at a time

    def _hold_up(self, progress: _Progress, held: _HeldUp) -> None:
        """Let a task wait without a slot. One thread for each resource waits in their name, in the order in which they came."""
        # It has not begun, so it does not count, here and for a run that goes on with this one.
        progress.used -= 1
        row = replace(progress.row, state=TaskState.QUEUED, attempt=progress.row.attempt - 1, reason=held.line)
        self._set(progress, row)
        self._waiting += 1
        with self._held_lock:
            waiting = self._held_up.get(held.resource)
            if waiting is not None:
                waiting.append((progress, held.key))
                return
            self._held_up[held.resource] = deque([(progress, held.key)])
        thread = threading.Thread(target=self._wait_for, args=(held.resource,), name="starlake-exclusive", daemon=True)
        try:
            thread.start()
        except (RuntimeError, OSError, MemoryError) as error:
            with self._held_lock:
                del self._held_up[held.resource]
            self._results.put(
                _News(progress, trouble=f"no thread to wait for {held.resource} can be started now: {error}")
            )

    def _wait_for(self, resource: str) -> None:
        """Take a resource for one task after the other; in a thread of its own."""
        while True:
            with self._held_lock:
                if not self._held_up[resource]:
                    del self._held_up[resource]
                    return
                progress, key = self._held_up[resource].popleft()

            def tell(line: str, progress: _Progress = progress) -> None:
                self._results.put(_News(progress, line))

            lease, trouble = None, ""
            try:
                lease = occupy(resource, key, stop=self._stopping(progress.step.task), on_wait=tell)
            except Exception as error:
                trouble = str(error)
            self._results.put(_News(progress, lease=lease, trouble=trouble))

    def _hear(self, news: _News) -> None:
        progress = news.progress
        if news.line:
            if news.line != progress.row.reason:
                self._set(progress, replace(progress.row, reason=news.line))
            return
        self._waiting -= 1
        if news.lease is not None:
            progress.lease = news.lease
            self._ready.appendleft(progress)
            if self._stop.is_set():
                self._interrupt()
        elif news.trouble:
            self._end(progress, TaskState.FAILED, news.trouble)
        else:
            self._end(progress, TaskState.CANCELLED, self._why)

    def _let_go(self, progress: _Progress) -> None:
        if progress.lease is not None:
            progress.lease.release()
            progress.lease = None

    def _stopping(self, task: Task | None) -> Callable[[], bool]:
        """What says to an attempt that it is to stop."""
        return (
            (lambda: self._interrupts > 1) if task is not None and task.kind is TaskKind.TEARDOWN else self._stop.is_set
        )

    # -- states

    def _recall(self, recorded: dict[str, TaskRow]) -> None:
        kept = (TaskState.SUCCEEDED, TaskState.SKIPPED)
        work_left = any(
            step.task is not None and step.task.is_work and recorded.get(step.path, _NEW).state not in kept
            for step in self._plan.tasks
        )
        for step in self._plan.tasks:
            row = recorded.get(step.path)
            if row is None:
                continue
            progress = self._progress[id(step)]
            # What the rest of the work needs around it is done again; what was skipped or excluded is found to be so again.
            if row.not_ready or (row.state == TaskState.SUCCEEDED and not (work_left and _is_around_work(step))):
                progress.row = row
                continue
            if row.state == TaskState.RUNNING:
                row = replace(row, state=TaskState.INTERRUPTED, reason="its process was killed")
                self._set(progress, row)
            progress.unsettled = bool(row.attempt) and row.state != TaskState.SUCCEEDED
            progress.row = replace(row, state=TaskState.WAITING)

    def _set(self, progress: _Progress, row: TaskRow) -> None:
        row = replace(row, reason=plain(row.reason))
        progress.row = row
        self._dirty[row.task] = row
        self._tell(TaskEvent(row.task, row.state, row.attempt, row.reason, log=row.log))

    def _tell(self, event: TaskEvent) -> None:
        if self._listener is not None:
            try:
                self._listener(event)
            except (Exception, SystemExit) as error:
                # Whoever watches must not change what happens: a closed terminal is no failure.
                self._listener = None
                logger.warning("nobody is told of the progress any more: %s: %s", type(error).__name__, error)
        elif event.line is not None:
            logger.debug("%s: %s", event.task, event.line)
        else:
            logger.info("%s: %s%s", event.task, event.state, f" ({event.reason})" if event.reason else "")

    def _flush(self, last: bool = False) -> bool:
        """Write what changed. A record that cannot be written now is tried again; nothing begins meanwhile.

        Returns:
            Whether it is written, or was given up: then only tear-downs begin, and do so without a record.

        Raises:
            RunError: it could not be written to the last.
        """
        deadline = time.monotonic() + _RECORD_SECONDS
        while self._dirty:
            try:
                self._store.write(self._run.run_id, self._dirty.values())
                self._dirty.clear()
                self._trouble = None
                break
            except RunError as error:
                if self._trouble is None:
                    self._trouble_since = time.monotonic()
                    logger.warning("%s; trying again", error)
                self._trouble = error
            if not last:
                if time.monotonic() - self._trouble_since > _RECORD_SECONDS and not self._stop.is_set():
                    # As if somebody had stopped it: what is not recorded would be done twice.
                    self._why = "stopped, because the record could not be written"
                    self._interrupts += 1
                return self._stop.is_set()
            if time.monotonic() > deadline:
                raise RunError(
                    f"{self._trouble}. The run was stopped; the last states of {', '.join(sorted(self._dirty))} are not recorded. Then: "
                    f"starlake-orchestrate resume --run {self._run.run_id}"
                )
            time.sleep(_RECORD_PAUSE)
        return True

    def _settle(self, first: _Progress) -> None:
        """All before this step has ended: decide what becomes of it, and of those that depend on it alone."""
        todo = deque([first])
        while todo:
            progress = todo.popleft()
            for follower in self._decide(progress):
                todo.append(follower)

    def _decide(self, progress: _Progress) -> list[_Progress]:
        step, mask = progress.step, progress.mask or _GOOD
        if not step.path:
            return self._pass_on(progress, mask, progress.reason)
        row = progress.row
        if row.state in _FINAL:  # recorded by an earlier process
            self._tell(TaskEvent(row.task, row.state, row.attempt, row.reason or "done before", log=row.log))
            return self._pass_on(progress, _FINAL[row.state], row.reason)
        if self._request.skip:
            self._set(progress, TaskRow(step.path, TaskState.SKIPPED, reason=self._request.skip))
            return self._pass_on(progress, _SKIPPED, self._request.skip)
        task = step.task
        if task is not None and not selected(
            task, self._whole if task.kind in (TaskKind.SETUP, TaskKind.TEARDOWN) else self._request
        ):
            self._set(progress, TaskRow(step.path, TaskState.EXCLUDED, reason="not selected"))
            return self._pass_on(progress, mask, progress.reason)
        if self._stop.is_set() and not (_is_around_work(step) and self._began()):
            self._set(progress, replace(row, task=step.path, state=TaskState.CANCELLED, reason=self._why))
            return self._pass_on(progress, _BAD, self._why)
        state, reason = self._trigger(step, mask, progress.reason)
        if state is None:
            if step.call is None and (step.task is None or step.task.job is None):
                state = TaskState.SUCCEEDED
            else:
                progress.row = replace(row, task=step.path, state=TaskState.QUEUED)
                self._ready.append(progress)
                return []
        self._set(progress, replace(row, task=step.path, state=state, reason=reason))
        return self._pass_on(progress, _FINAL[state], reason)

    def _began(self) -> bool:
        """Whether there is something to clean up: a set-up was tried, or, without one, work was."""
        tried = [p.step.task for p in self._progress.values() if p.step.task is not None and p.row.attempt]
        has_setup = any(step.task is not None and step.task.kind is TaskKind.SETUP for step in self._plan.tasks)
        return any(task.kind is TaskKind.SETUP if has_setup else task.is_work for task in tried)

    def _trigger(self, step: Step, mask: int, reason: str) -> tuple[TaskState | None, str]:
        task = step.task
        rule = task.trigger if task is not None else TriggerRule.ALL_SUCCESS
        if rule is not TriggerRule.ALL_DONE and mask & _BAD:
            return TaskState.UPSTREAM_FAILED, reason
        if rule is TriggerRule.ALL_SUCCESS and mask & _SKIPPED:
            return TaskState.SKIPPED, reason
        if task is not None and task.kind is TaskKind.END:
            rows = [self._progress[id(other)] for other in self._plan.before(step)]
            closed = [other.row.reason for other in rows if other.row.not_ready]
            if told := skipped_end(closed, any(_did_work(other) for other in rows)):
                return TaskState.SKIPPED, told
        return None, ""

    def _pass_on(self, progress: _Progress, mask: int, reason: str) -> list[_Progress]:
        followers = []
        for step in progress.step.downstream:
            follower = self._progress[id(step)]
            follower.mask |= mask
            if mask & (_SKIPPED | _BAD) and reason and (not follower.reason or mask & _BAD):
                follower.reason = reason
            follower.waiting -= 1
            if not follower.waiting:
                followers.append(follower)
        return followers

    # -- attempts

    def _begin(self, progress: _Progress) -> None:
        poke_again = progress.pokes > 0
        attempt = progress.row.attempt + (0 if poke_again else 1)
        if not poke_again:
            progress.used += 1
            progress.first_poke = time.monotonic()
        log = self._log_path(progress.step.path, attempt)
        self._set(progress, TaskRow(progress.step.path, TaskState.RUNNING, attempt, log=str(log)))

    def _log_path(self, path: str, attempt: int) -> Path:
        return self._store.folder / "logs" / file_name(self._run.run_id) / file_name(path, f".{attempt}.log")

    def _attempt(self, attempt: _Attempt, number: int, poke: int) -> None:
        """One attempt, in a thread of its own."""
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
            self._let_go(progress)
            attempt.seconds = time.monotonic() - started
            self._results.put(attempt)

    def _run_step(self, progress: _Progress, attempt: int, poke: int, again: bool) -> Outcome | _HeldUp:
        step = progress.step
        current = self._run.attempt(step.path, f"{attempt}.{poke}" if poke else str(attempt))
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
                return _HeldUp(resource, current.key, lines[-1])
        with _LogFile(self._log_path(step.path, attempt)) as log:
            followed = False

            def on_line(line: str) -> None:
                nonlocal followed
                followed = True
                line = plain(line)
                log.write(line)
                self._tell(TaskEvent(step.path, TaskState.RUNNING, attempt, line=line))

            outcome = execute(
                job,
                runner_for(job, self._plugins),
                current.key,
                timeout=task.timeout,
                on_line=on_line,
                stop=self._stopping(task),
                again=again,
            )
            # Of a job in a service there may be nothing but the end of its output, and a place to look at.
            for line in () if followed else outcome.tail.splitlines():
                on_line(line)
            if outcome.log:
                log.write(f"see {outcome.log}")
            return outcome

    def _conclude(self, progress: _Progress, outcome: Outcome, seconds: float) -> None:
        task = progress.step.task
        if outcome.verdict is Verdict.SUCCEEDED:
            self._end(progress, TaskState.SUCCEEDED, outcome.reason, seconds, outcome.exit_code)
        elif outcome.verdict is Verdict.NOT_READY and task is not None:
            self._not_ready(progress, task, outcome, seconds)
        elif self._stop.is_set() and not (task is not None and task.kind is TaskKind.TEARDOWN and self._interrupts < 2):
            self._end(progress, TaskState.CANCELLED, self._why, seconds, outcome.exit_code)
        elif task is not None and progress.used <= task.retries and not outcome.final:
            progress.pokes = 0
            progress.unsettled = True
            reason = f"{_reason(outcome)}; try {progress.used + 1} of {task.retries + 1} in {task.retry_delay} s"
            self._set(
                progress,
                replace(
                    progress.row, state=TaskState.RETRYING, reason=reason, exit_code=outcome.exit_code, duration=seconds
                ),
            )
            self._later(progress, task.retry_delay)
        else:
            self._end(progress, TaskState.FAILED, _reason(outcome), seconds, outcome.exit_code)

    def _not_ready(self, progress: _Progress, task: Task, outcome: Outcome, seconds: float) -> None:
        wait = task.wait
        about = f"{task.missing} ({task.id})"
        waited = time.monotonic() - progress.first_poke
        if wait is not None and waited < wait.timeout:
            # The last look is at the very end of the time.
            pause = min(float(wait.interval), wait.timeout - waited)
            progress.pokes += 1
            reason = f"{about}; looking again in {pause:.0f} s"
            self._set(progress, replace(progress.row, state=TaskState.POKING, reason=reason))
            self._later(progress, pause)
            return
        if wait is not None:
            about = f"{about} within {wait.timeout} s"
            if not wait.soft_fail:
                self._end(progress, TaskState.FAILED, about, seconds, outcome.exit_code)
                return
        self._end(progress, TaskState.SKIPPED, about, seconds, outcome.exit_code, not_ready=True)

    def _end(
        self,
        progress: _Progress,
        state: TaskState,
        reason: str,
        seconds: float = 0.0,
        exit_code: int | None = None,
        not_ready: bool = False,
    ) -> None:
        self._set(
            progress,
            replace(
                progress.row, state=state, reason=reason, duration=seconds, exit_code=exit_code, not_ready=not_ready
            ),
        )
        shown = f"{progress.step.path} failed" if state == TaskState.FAILED else reason
        for follower in self._pass_on(progress, _FINAL[state], shown):
            self._settle(follower)

    # -- the end

    def _verdict(self) -> tuple[TaskState, str]:
        rows = [self._progress[id(step)].row for step in self._plan.tasks]
        if self._stop.is_set():
            return TaskState.CANCELLED, self._why
        bad = [row for row in rows if row.state in (TaskState.FAILED, TaskState.CANCELLED)]
        if bad:
            return TaskState.FAILED, f"{len(bad)} task{'s' if len(bad) > 1 else ''} failed"
        return TaskState.SUCCEEDED, self._request.skip or "; ".join(
            dict.fromkeys(row.reason for row in rows if row.not_ready)
        )

    def reports(self) -> tuple[TaskReport, ...]:
        """How each task ended."""
        rows = [self._progress[id(step)].row for step in self._plan.tasks]
        return tuple(
            TaskReport(
                step.path,
                row.state,
                row.reason,
                row.exit_code,
                row.attempt,
                row.log,
                row.duration,
            )
            for step, row in zip(self._plan.tasks, rows, strict=True)
        )

    def datasets(self) -> tuple[str, ...]:
        """URIs of what the tasks that succeeded produced."""
        found = {
            dataset.uri: None
            for step in self._plan.tasks
            if step.task is not None and self._progress[id(step)].row.state == TaskState.SUCCEEDED
            for dataset in step.task.outlets
        }
        return tuple(found)


def _is_around_work(step: Step) -> bool:
    """Whether a step is a set-up, a tear-down, or the dummy that gathers everything before a tear-down."""
    task = step.task
    if task is None:
        return False
    return task.kind in (TaskKind.SETUP, TaskKind.TEARDOWN) or (
        task.job is None and task.trigger is TriggerRule.ALL_DONE
    )


def _did_work(progress: _Progress) -> bool:
    step = progress.step
    work = step.call is not None or (step.task is not None and step.task.is_work)
    return work and progress.row.state == TaskState.SUCCEEDED


def _reason(outcome: Outcome) -> str:
    if outcome.verdict is Verdict.LOST:
        return f"lost: {outcome.reason}"
    return outcome.reason or outcome.verdict.value


class _LogFile:
    """The file for the output of an attempt, bounded."""

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
        # A full disk is no failure of the task.
        self._size = _LARGEST_LOG + 1
        logger.warning("the output of a task is kept no more: %s: %s", self._path, error)

    def write(self, line: str) -> None:
        """Add a line, unless the file is full."""
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
