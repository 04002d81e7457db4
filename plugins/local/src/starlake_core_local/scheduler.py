"""The loop that runs a plan: it starts every step that is ready, and records every state before it acts on it."""

from __future__ import annotations

import heapq
import queue
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import replace

from starlake_core import (
    Job,
    RunRequest,
    Task,
    TaskEvent,
    TaskKind,
    TaskReport,
    TaskState,
    TriggerRule,
    is_selected,
    skipped_end,
)
from starlake_core.runtime import Outcome, RunnerSource, Verdict, explain_not_ready
from starlake_core.short_names import file_name

from .attempt import Attempt, AttemptRunner, HeldUp
from .plan import Plan, Step
from .progress import BAD, GOOD, PASSED_ON, SKIPPED, Progress
from .recording import Recorder
from .stopping import StopRequests
from .store import Store, TaskRow, now
from .waiting_line import News, WaitingLine

__all__ = ["NEW", "Scheduler"]

# A signal that arrives just before this thread starts to wait does not end the wait: its handler runs afterwards.
_LONGEST_WAIT = 0.5
_SETTLE_SECONDS = 60.0
NEW = TaskRow("", TaskState.WAITING)
"""The record of a task before its first attempt."""


class Scheduler:
    """Runs a plan once.

    Args:
        plan: the plan of the pipeline.
        request: what to run.
        plugins: the plugins of the orchestration.
        store: the record.
        parallelism: how many tasks run at once.
        prepare: called with each bound job before it starts; returns the job to run.
    """

    def __init__(
        self,
        plan: Plan,
        request: RunRequest,
        plugins: RunnerSource,
        store: Store,
        parallelism: int,
        prepare: Callable[[Job], Job],
    ) -> None:
        self._plan = plan
        self._request = request
        self._parallelism = parallelism
        self._progress = {id(step): Progress(step, step.upstream) for step in plan.steps}
        self._ready: deque[Progress] = deque()
        self._timers: list[tuple[float, int, Progress]] = []
        self._results: queue.SimpleQueue[Attempt | News | None] = queue.SimpleQueue()
        self._attempts: dict[Attempt, None] = {}
        self._begun: list[Progress] = []
        self._waiting = 0
        self._whole = replace(request, select=())
        self._order = 0
        self._stop = StopRequests()
        self._recorder = Recorder(store, request.run.run_id, request.listener)
        self._line = WaitingLine(self._stop, self._results.put)
        logs = store.folder / "logs" / file_name(request.run.run_id)
        self._runner = AttemptRunner(request.run, plugins, prepare, logs, self._recorder, self._stop, self._results.put)

    # -- the loop

    def execute(self, recorded: dict[str, TaskRow]) -> tuple[TaskState, str]:
        """Run the plan to its end.

        Args:
            recorded: the states that an earlier process recorded for the same run.

        Returns:
            The state of the run, and a sentence that explains it.

        Raises:
            RunError: the record cannot be written; everything that ran was stopped, and tear-downs ran.
        """
        try:
            self._recall(recorded)
            for step in self._plan.steps:
                if not step.upstream:
                    self._settle(self._progress[id(step)])
            self._loop()
            self._recorder.finish()
        except BaseException:
            self._end_all()
            raise
        return self._verdict()

    def signals(self) -> AbstractContextManager[None]:
        """While this block is active, an interrupt is a message to the loop, so that it never comes between two steps of a run."""
        return self._stop.signals(lambda: self._results.put(None))

    def _loop(self) -> None:
        while True:
            if self._stop.unheard:
                self._interrupt()
            self._wake()
            for _ in range(min(len(self._ready), self._parallelism - len(self._attempts) - len(self._begun))):
                progress = self._ready.popleft()
                self._begun.append(progress)
                self._begin(progress)
            if self._may_begin():
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
        """Wait for something to happen, then conclude all attempts that have ended."""
        with suppress(queue.Empty):
            ended = self._results.get(timeout=timeout)
            while True:
                if isinstance(ended, News):
                    self._hear(ended)
                elif ended is not None:
                    self._take_in(ended)
                ended = self._results.get_nowait()
        # An attempt whose thread could not even report its end.
        for attempt in [a for a in self._attempts if a.thread is None or not a.thread.is_alive()]:
            self._take_in(attempt)

    def _take_in(self, attempt: Attempt) -> None:
        if attempt in self._attempts:
            del self._attempts[attempt]
            lost = Outcome(Verdict.FAILED, reason="the thread of this attempt ended without a result")
            outcome = attempt.outcome or lost
            if isinstance(outcome, HeldUp):
                self._hold_up(attempt.progress, outcome)
            else:
                self._conclude(attempt.progress, outcome, attempt.seconds)

    def _start(self, progress: Progress) -> None:
        try:
            self._attempts[self._runner.start(progress)] = None
        except (RuntimeError, OSError, MemoryError) as error:
            self._conclude(
                progress, Outcome(Verdict.FAILED, reason=f"no thread can be started for this task: {error}"), 0.0
            )

    def _end_all(self) -> None:
        """Stop what runs, because this loop cannot continue."""
        self._stop.all()
        deadline = time.monotonic() + _SETTLE_SECONDS
        for attempt in self._attempts:
            if attempt.thread is not None:
                attempt.thread.join(max(0.0, deadline - time.monotonic()))

    def _wake(self) -> None:
        while self._timers and self._timers[0][0] <= time.monotonic():
            self._ready.append(heapq.heappop(self._timers)[2])

    def _later(self, progress: Progress, seconds: float) -> None:
        self._order += 1
        heapq.heappush(self._timers, (time.monotonic() + seconds, self._order, progress))

    def _interrupt(self) -> None:
        """Stop what runs, give up what waits, and run the tear-downs."""
        self._stop.hear()
        waiting = [*self._begun, *self._ready, *(timer[2] for timer in self._timers)]
        self._begun.clear()
        self._ready.clear()
        self._timers.clear()
        for progress in waiting:
            if self._stop.spares(progress):
                self._ready.append(progress)
            else:
                progress.let_go()
                self._end(progress, TaskState.CANCELLED, self._stop.why)

    # -- exclusive resources

    def _hold_up(self, progress: Progress, held: HeldUp) -> None:
        """Let a task wait without occupying a slot."""
        # It has not started, so it does not count, neither here nor for a run that resumes this one.
        progress.used -= 1
        row = replace(progress.row, state=TaskState.QUEUED, attempt=progress.row.attempt - 1, reason=held.line)
        self._recorder.set(progress, row)
        self._waiting += 1
        self._line.add(progress, held)

    def _hear(self, news: News) -> None:
        progress = news.progress
        if news.line:
            if news.line != progress.row.reason:
                self._recorder.set(progress, replace(progress.row, reason=news.line))
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
            self._end(progress, TaskState.CANCELLED, self._stop.why)

    # -- states

    def _recall(self, recorded: dict[str, TaskRow]) -> None:
        kept = (TaskState.SUCCEEDED, TaskState.SKIPPED)
        work_left = any(
            step.task is not None and step.task.is_work and recorded.get(step.path, NEW).state not in kept
            for step in self._plan.tasks
        )
        for step in self._plan.tasks:
            row = recorded.get(step.path)
            if row is None:
                continue
            progress = self._progress[id(step)]
            # What surrounds the remaining work runs again; what was skipped or excluded is found to be so again.
            if row.not_ready or (row.state == TaskState.SUCCEEDED and not (work_left and progress.is_around_work)):
                progress.row = row
                continue
            if row.state == TaskState.RUNNING:
                row = replace(row, state=TaskState.INTERRUPTED, reason="its process was killed")
                self._recorder.set(progress, row)
            progress.unsettled = bool(row.attempt) and row.state != TaskState.SUCCEEDED
            progress.row = replace(row, state=TaskState.WAITING)

    def _may_begin(self) -> bool:
        """Whether work may start: what changed is recorded, or recording was given up; then only tear-downs start, without a record."""
        if self._recorder.write():
            return True
        if self._recorder.is_overdue and not self._stop.is_set():
            # As if a user had stopped it: what is not recorded would be done twice.
            self._stop.ask("stopped because the record could not be written")
        return self._stop.is_set()

    def _settle(self, first: Progress) -> None:
        """All steps upstream of this one have ended: decide what it does, and what those that depend only on it do."""
        todo = deque([first])
        while todo:
            progress = todo.popleft()
            for follower in self._decide(progress):
                todo.append(follower)

    def _decide(self, progress: Progress) -> list[Progress]:
        step, mask = progress.step, progress.mask or GOOD
        if not step.path:
            return self._pass_on(progress, mask, progress.reason)
        row = progress.row
        if row.state in PASSED_ON:  # an earlier process recorded it
            self._recorder.tell(TaskEvent(row.task, row.state, row.attempt, row.reason or "done before", log=row.log))
            return self._pass_on(progress, PASSED_ON[row.state], row.reason)
        if self._request.skip:
            self._recorder.set(progress, TaskRow(step.path, TaskState.SKIPPED, reason=self._request.skip))
            return self._pass_on(progress, SKIPPED, self._request.skip)
        task = step.task
        if task is not None and not is_selected(
            task, self._whole if task.kind in (TaskKind.SETUP, TaskKind.TEARDOWN) else self._request
        ):
            self._recorder.set(progress, TaskRow(step.path, TaskState.EXCLUDED, reason="not selected"))
            return self._pass_on(progress, mask, progress.reason)
        if self._stop.is_set() and not (progress.is_around_work and self._began()):
            self._recorder.set(progress, replace(row, task=step.path, state=TaskState.CANCELLED, reason=self._stop.why))
            return self._pass_on(progress, BAD, self._stop.why)
        state, reason = self._trigger(step, mask, progress.reason)
        if state is None:
            if step.call is None and (step.task is None or step.task.job is None):
                state = TaskState.SUCCEEDED
            else:
                progress.row = replace(row, task=step.path, state=TaskState.QUEUED)
                self._ready.append(progress)
                return []
        self._recorder.set(progress, replace(row, task=step.path, state=state, reason=reason))
        return self._pass_on(progress, PASSED_ON[state], reason)

    def _began(self) -> bool:
        """Whether there is something to clean up: a set-up was attempted, or, without a set-up, work was."""
        tried = [p.step.task for p in self._progress.values() if p.step.task is not None and p.row.attempt]
        has_setup = any(step.task is not None and step.task.kind is TaskKind.SETUP for step in self._plan.tasks)
        return any(task.kind is TaskKind.SETUP if has_setup else task.is_work for task in tried)

    def _trigger(self, step: Step, mask: int, reason: str) -> tuple[TaskState | None, str]:
        task = step.task
        rule = task.trigger if task is not None else TriggerRule.ALL_SUCCESS
        if rule is not TriggerRule.ALL_DONE and mask & BAD:
            return TaskState.UPSTREAM_FAILED, reason
        if rule is TriggerRule.ALL_SUCCESS and mask & SKIPPED:
            return TaskState.SKIPPED, reason
        if task is not None and task.kind is TaskKind.END:
            rows = [self._progress[id(other)] for other in self._plan.before(step)]
            closed = [other.row.reason for other in rows if other.row.not_ready]
            if told := skipped_end(closed, any(other.did_work for other in rows)):
                return TaskState.SKIPPED, told
        return None, ""

    def _pass_on(self, progress: Progress, mask: int, reason: str) -> list[Progress]:
        followers = []
        for step in progress.step.downstream:
            follower = self._progress[id(step)]
            follower.mask |= mask
            if mask & (SKIPPED | BAD) and reason and (not follower.reason or mask & BAD):
                follower.reason = reason
            follower.waiting -= 1
            if not follower.waiting:
                followers.append(follower)
        return followers

    # -- attempts

    def _begin(self, progress: Progress) -> None:
        poke_again = progress.pokes > 0
        attempt = progress.row.attempt + (0 if poke_again else 1)
        if not poke_again:
            progress.used += 1
            progress.first_poke = time.monotonic()
        log = self._runner.log_path(progress.step.path, attempt)
        self._recorder.set(
            progress, TaskRow(progress.step.path, TaskState.RUNNING, attempt, log=str(log), started=now())
        )

    def _conclude(self, progress: Progress, outcome: Outcome, seconds: float) -> None:
        task = progress.step.task
        if outcome.verdict is Verdict.SUCCEEDED:
            self._end(progress, TaskState.SUCCEEDED, outcome.reason, seconds, outcome.exit_code)
        elif outcome.verdict is Verdict.NOT_READY and task is not None:
            self._not_ready(progress, task, outcome, seconds)
        elif self._stop.is_set() and not self._stop.spares(progress):
            self._end(progress, TaskState.CANCELLED, self._stop.why, seconds, outcome.exit_code)
        elif task is not None and progress.used <= task.retries and not outcome.final:
            progress.pokes = 0
            progress.unsettled = True
            reason = f"{_reason(outcome)}; attempt {progress.used + 1} of {task.retries + 1} in {task.retry_delay} s"
            self._recorder.set(
                progress,
                replace(
                    progress.row, state=TaskState.RETRYING, reason=reason, exit_code=outcome.exit_code, duration=seconds
                ),
            )
            self._later(progress, task.retry_delay)
        else:
            self._end(progress, TaskState.FAILED, _reason(outcome), seconds, outcome.exit_code)

    def _not_ready(self, progress: Progress, task: Task, outcome: Outcome, seconds: float) -> None:
        wait = task.wait
        about = f"{explain_not_ready(task.missing, outcome)} ({task.id})"
        waited = time.monotonic() - progress.first_poke
        if wait is not None and waited < wait.timeout:
            # The last check is at the very end of the time.
            pause = min(float(wait.interval), wait.timeout - waited)
            progress.pokes += 1
            reason = f"{about}; checking again in {pause:.0f} s"
            self._recorder.set(progress, replace(progress.row, state=TaskState.POKING, reason=reason))
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
        progress: Progress,
        state: TaskState,
        reason: str,
        seconds: float = 0.0,
        exit_code: int | None = None,
        not_ready: bool = False,
    ) -> None:
        self._recorder.set(
            progress,
            replace(
                progress.row, state=state, reason=reason, duration=seconds, exit_code=exit_code, not_ready=not_ready
            ),
        )
        shown = f"{progress.step.path} failed" if state == TaskState.FAILED else reason
        for follower in self._pass_on(progress, PASSED_ON[state], shown):
            self._settle(follower)

    # -- the end

    def _verdict(self) -> tuple[TaskState, str]:
        rows = [self._progress[id(step)].row for step in self._plan.tasks]
        if self._stop.is_set():
            return TaskState.CANCELLED, self._stop.why
        bad = [row for row in rows if row.state in (TaskState.FAILED, TaskState.CANCELLED)]
        if bad:
            return TaskState.FAILED, f"{len(bad)} task{'s' if len(bad) > 1 else ''} failed"
        return TaskState.SUCCEEDED, self._request.skip or "; ".join(
            dict.fromkeys(row.reason for row in rows if row.not_ready)
        )

    def reports(self) -> tuple[TaskReport, ...]:
        """How each task ended."""
        rows = [(step.path, self._progress[id(step)].row) for step in self._plan.tasks]
        return tuple(replace(row, task=path).report for path, row in rows)

    def datasets(self) -> tuple[str, ...]:
        """The URIs of the datasets that the successful tasks produced."""
        found = {
            dataset.uri: None
            for step in self._plan.tasks
            if step.task is not None and self._progress[id(step)].row.state == TaskState.SUCCEEDED
            for dataset in step.task.outlets
        }
        return tuple(found)


def _reason(outcome: Outcome) -> str:
    if outcome.verdict is Verdict.LOST:
        return f"lost: {outcome.reason}"
    return outcome.reason or outcome.verdict.value
