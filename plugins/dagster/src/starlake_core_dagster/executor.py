"""An executor that runs steps in threads: most steps only wait for something that runs elsewhere.

This module and :mod:`.unpartitioned` are the only ones that import what Dagster does not export. If what is needed here has moved,
:func:`thread_executor` returns Dagster's own in-process executor: then steps do not run side by side, and a tear-down after a failure is left to
the run-status sensor.
"""

from __future__ import annotations

import functools
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from dagster import Array, Executor, Field, Noneable, Permissive, executor, in_process_executor

from starlake_core import RunError, TriggerRule
from starlake_core.logs import get_logger
from starlake_core.runtime import rest_runners

from .pools import limit

__all__ = [
    "TRIGGER_TAG",
    "InProcess",
    "StepLog",
    "run_in_process",
    "step_log",
    "stopping",
    "supports_threads",
    "thread_executor",
]

logger = get_logger(__name__)

TRIGGER_TAG = "starlake/trigger"
"""Tag of a step with the trigger rule of its task, if that differs from Dagster's."""

WRITES_LOG = "writes_log"
"""Attribute of the body of a step whose output is in :data:`step_log`, and not what this process prints."""
PARALLELISM = "parallelism"
"""Attribute of the body of a step of a pipeline: how many steps of a run run at once."""
ONLY_WAITS = "only_waits"
"""Attribute of the body of a step that does nothing and writes no asset."""

_MOST = 8
"""How many steps run at once if nothing says it."""
_LOOK_SECONDS = 0.2
_DRAIN_SECONDS = 60.0
"""How long the jobs of a run whose main loop failed have to be cancelled, in seconds."""

stopping: ContextVar[threading.Event | None] = ContextVar("starlake_core_dagster_stopping", default=None)
"""Set when the run is being stopped; None in an executor that interrupts its steps to stop them."""


class StepLog:
    """The output of one step, which Dagster shows once an event has told where it is.

    Args:
        stream: where it is written.
        announce: stores that event, with its message; None if an earlier attempt of the step did.
    """

    def __init__(self, stream: TextIO, announce: Callable[[str], None] | None) -> None:
        self._stream = stream
        self._left = [] if announce is None else [announce]  # taken by one of several threads
        self.flush = stream.flush

    def begin(self, text: str) -> bool:
        """Say that the output begins, and with what.

        Args:
            text: the message of the event: a row in the log of the run, so that it needs no other one.

        Returns:
            Whether that was written; False if it was before.
        """
        try:
            announce = self._left.pop()
        except IndexError:
            return False
        announce(text)
        return True

    def write(self, text: str) -> None:
        """Write a part of the output.

        Args:
            text: the part, with its line ends.
        """
        self._stream.write(text)


step_log: ContextVar[StepLog | None] = ContextVar("starlake_core_dagster_step_log", default=None)
"""Where the output of a step is kept; None in an executor that keeps what the process prints."""


@dataclass
class InProcess:
    """A run that was requested in this process.

    Attributes:
        excluded: keys of steps that must not run, and count as done.
        ends: maps the key of each step that ended to the type of the event that reported it.
        failure: Dagster's message about the run as a whole, if it failed.
        stopped: whether the user stopped it.
        run_id: its id in Dagster.
        tell: called with the key of each step that ended, after it is in ``ends``.
    """

    excluded: frozenset[str] = frozenset()
    ends: dict[str, str] = field(default_factory=dict)
    failure: str = ""
    stopped: bool = False
    run_id: str = ""
    tell: Callable[[str], object] = field(default=lambda step: None)


_here: ContextVar[InProcess | None] = ContextVar("starlake_core_dagster_in_process", default=None)

try:
    from dagster._core.definitions.job_base import InMemoryJob
    from dagster._core.errors import DagsterExecutionInterruptedError
    from dagster._core.events import ComputeLogsCaptureData, DagsterEvent, DagsterEventType, EngineEventData
    from dagster._core.execution.api import ExecuteRunWithPlanIterable, create_execution_plan, execute_run_iterator
    from dagster._core.execution.compute_logs import create_compute_log_file_key
    from dagster._core.execution.context_creation_job import PlanExecutionContextManager
    from dagster._core.execution.plan.active import ActiveExecution
    from dagster._core.execution.plan.execute_plan import _trigger_hook, dagster_event_sequence_for_step
    from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext
    from dagster._core.execution.plan.objects import StepSuccessData, TypeCheckData
    from dagster._core.execution.plan.outputs import StepOutputData, StepOutputHandle
    from dagster._core.execution.retries import RetryMode
    from dagster._core.storage.compute_log_manager import ComputeIOType
except ImportError as error:  # this Dagster is newer than this module
    logger.warning("this Dagster runs steps one after the other: %s", error)
    supports_threads = False
else:
    supports_threads = True

if supports_threads:

    @dataclass
    class _Live:
        """An attempt of a step that runs.

        Attributes:
            context: its context, which takes Dagster long to make.
            events: what it has produced.
        """

        context: Any
        events: list[Any] = field(default_factory=list)

    class _Steps(ActiveExecution):
        """Dagster's own bookkeeping of what may run, with the trigger rules of tasks.

        Args:
            plan: the plan of the run.
            excluded: keys of steps that count as done.
            **keywords: keywords of Dagster's class.
        """

        def __init__(self, plan: Any, excluded: frozenset[str], **keywords: Any) -> None:
            # Before the first search for steps, which the constructor makes.
            self._rules = {
                key: plan.get_step_by_key(key).tags.get(TRIGGER_TAG, "") for key in plan.step_keys_to_execute
            }
            self._befores = dict(plan.get_executable_step_deps())
            self._left_out = {key for key in self._rules if key in excluded}
            super().__init__(plan, **keywords)

        @property
        def held(self) -> bool:
            """Whether the last search found a step that could run, but waits for a pool or for the limit of a tag."""
            return bool(self._executable)

        def _should_skip_step(self, step_key: str, *more: Any) -> bool:
            if self._befores.get(step_key, set()) & (self._failed | self._abandoned) or self._rules.get(step_key):
                return False  # a failure outweighs a skip, and some rules run after skips
            return bool(super()._should_skip_step(step_key, *more))

        def _update(self) -> None:
            super()._update()
            for key in [key for key in self._pending_abandon if self._rules.get(key) == TriggerRule.ALL_DONE]:
                self._pending_abandon.remove(key)
                self._executable.append(key)
            left_out = [key for key in self._executable if key in self._left_out]
            for key in left_out:
                self._executable.remove(key)
                self._success.add(key)
                step = self.get_step_by_key(key)
                self._step_outputs.update(StepOutputHandle(key, output.name) for output in step.step_outputs)
            if left_out:
                self._update()

    class ThreadExecutor(Executor):
        """Runs the steps of a run in threads of one process.

        Args:
            max_concurrent: how many steps run at once; None for what the pipelines of the steps say.
            tag_concurrency_limits: limits as in Dagster's multiprocess executor.
            retries: Dagster's retry mode.
        """

        def __init__(self, max_concurrent: int | None, tag_concurrency_limits: Any, retries: Any) -> None:
            self._max_concurrent = max_concurrent
            self._limits = tag_concurrency_limits
            self._retries = retries

        @property
        def retries(self) -> Any:
            """Dagster's retry mode."""
            return self._retries

        def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[Any]:
            """See :class:`dagster.Executor`."""
            keys = execution_plan.step_keys_to_execute
            about = EngineEventData.in_process(os.getpid(), keys)
            most = self._most(plan_context.job.get_definition(), execution_plan)
            text = f"Executing {len(keys)} steps in at most {most} threads (pid: {os.getpid()})"
            yield DagsterEvent.engine_event(plan_context, text, event_specific_data=about)
            yield from iter(
                ExecuteRunWithPlanIterable(
                    execution_plan=plan_context.execution_plan,
                    iterator=functools.partial(self._iterate, most),
                    execution_context_manager=PlanExecutionContextManager(
                        job=plan_context.job,
                        retry_mode=plan_context.retry_mode,
                        execution_plan=plan_context.execution_plan,
                        run_config=plan_context.run_config,
                        dagster_run=plan_context.dagster_run,
                        instance=plan_context.instance,
                        raise_on_error=plan_context.raise_on_error,
                        output_capture=plan_context.output_capture,
                    ),
                )
            )

        def _most(self, job_def: Any, execution_plan: Any) -> int:
            """How many steps run at once: of several pipelines, the one with the fewest counts."""
            if self._max_concurrent is not None:
                return self._max_concurrent
            steps = map(execution_plan.get_step_by_key, execution_plan.step_keys_to_execute)
            said = {_trait(job_def, step, PARALLELISM) for step in steps}
            return min((most for most in said if most), default=_MOST)

        def _iterate(self, most: int, job_context: Any, execution_plan: Any) -> Iterator[Any]:
            here = _here.get()
            steps_to_run = [execution_plan.get_step_by_key(key) for key in execution_plan.step_keys_to_execute]
            for pool in limit(job_context.instance, (step.pool for step in steps_to_run)):
                text = f"Pool {pool} had no limit; its limit is now one step at a time"
                yield DagsterEvent.engine_event(job_context, text, EngineEventData({}))
            with ExitStack() as stack:
                slots = stack.enter_context(InstanceConcurrencyContext(job_context.instance, job_context.dagster_run))
                steps = stack.enter_context(
                    _Steps(
                        execution_plan,
                        here.excluded if here is not None else frozenset(),
                        retry_mode=self._retries,
                        max_concurrent=most,
                        tag_concurrency_limits=self._limits,
                        instance_concurrency_context=slots,
                    )
                )
                yield from _capture(stack, job_context, execution_plan)
                _hold_open(stack, job_context)
                yield from self._loop(most, job_context, steps)

        def _loop(self, most: int, job_context: Any, steps: Any) -> Iterator[Any]:
            """Start what may run, and pass on what the threads produce.

            A thread writes the events of its own step; only this thread decides what runs, and writes all other events.
            """
            produced: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
            stop = threading.Event()
            live: dict[str, _Live] = {}
            escaped: list[BaseException] = []
            try:
                while live or not (stop.is_set() or steps.is_complete):
                    if steps.check_for_interrupts():
                        about = EngineEventData.interrupted(list(live))
                        yield DagsterEvent.engine_event(job_context, "Stopping the jobs of the run", about)
                        steps.mark_interrupted()
                        stop.set()
                        if _here.get() is not None:  # Dagster was not asked to stop it, and would report a failure
                            job_context.instance.report_run_canceling(job_context.dagster_run)
                    held = False
                    if not stop.is_set():
                        for step in steps.get_steps_to_execute(limit=most - len(live)):
                            context = job_context.for_step(step, steps.get_known_state())
                            live[step.key] = _Live(context)
                            _start(context, step.key, produced, stop)
                        held = steps.held
                        yield from steps.concurrency_event_iterator(job_context)
                    if live or not steps.is_complete:
                        yield from self._take(job_context, steps, produced, live, escaped, held)
                    if not stop.is_set():
                        yield from steps.plan_events_iterator(job_context)
            except BaseException:
                # No job may outlive its run: the database may be locked, or nobody may take the next event.
                stop.set()
                _drain(produced, set(live))
                raise
            finally:
                rest_runners()  # who started the run may open the database now
            if stop.is_set():
                here = _here.get()
                if here is not None:
                    here.stopped = True
                raise DagsterExecutionInterruptedError("the run was stopped")
            if escaped and job_context.raise_on_error:
                raise escaped[0]

        def _take(
            self,
            job_context: Any,
            steps: Any,
            produced: Any,
            live: dict[str, _Live],
            escaped: list[BaseException],
            held: bool,
        ) -> Iterator[Any]:
            """Wait a moment for the next event, and pass on all that are there."""
            pause = steps.sleep_interval()  # of retries; 0 while a step waits for a pool
            try:
                found = produced.get(
                    timeout=min(_LOOK_SECONDS, pause) if pause > 0 else _LOOK_SECONDS if live or held else 0.001
                )
            except queue.Empty:
                return
            while True:
                key, event = found
                if event is None:
                    ended = live.pop(key)
                    yield from _trigger_hook(ended.context, ended.events)
                    for retry in (one for one in ended.events if one.is_step_up_for_retry):
                        steps.handle_event(retry)
                    steps.verify_complete(job_context, key)
                elif isinstance(event, BaseException):
                    escaped.append(event)
                else:
                    live[key].events.append(event)
                    yield event
                    # A step that is up for retry may start at once, and its thread has not ended yet.
                    if not event.is_step_up_for_retry:
                        steps.handle_event(event)
                if produced.empty():
                    return
                found = produced.get()

    def _drain(produced: Any, live: set[str]) -> None:
        """Wait until the threads of some steps have ended."""
        until = time.monotonic() + _DRAIN_SECONDS
        while live and (left := until - time.monotonic()) > 0:
            with suppress(queue.Empty):
                key, event = produced.get(timeout=left)
                if event is None:
                    live.discard(key)
        if live:
            logger.error("the steps %s have not ended; check their jobs", ", ".join(sorted(live)))

    def _trait(job_def: Any, step: Any, name: str) -> Any:
        """What the body of a step says about itself; None if it says nothing."""
        return getattr(getattr(job_def.get_node(step.node_handle).definition, "compute_fn", None), name, None)

    def _capture(stack: ExitStack, job_context: Any, execution_plan: Any) -> Iterator[Any]:
        """Keep what this process prints during the run, as Dagster's in-process executor does: one log for all steps that have none of their own.

        It takes processes that follow what is printed, so it is left out if there is no such step.
        """
        manager = job_context.instance.compute_log_manager
        steps = execution_plan.get_steps_to_execute_in_topo_order()
        keys = [step.key for step in steps if not _trait(job_context.job_def, step, WRITES_LOG)]
        if not keys:
            return
        log_key = manager.build_log_key_for_run(job_context.run_id, create_compute_log_file_key())
        try:
            captured = stack.enter_context(manager.capture_logs(log_key))
        except Exception as error:
            text = f"The output of this process cannot be kept: {error}"
            yield DagsterEvent.engine_event(job_context, text, EngineEventData({}))
        else:
            yield DagsterEvent.capture_logs(job_context, keys, log_key, captured)

    def _hold_open(stack: ExitStack, job_context: Any) -> None:
        """Keep the files open in which SQLite stores the events of a run.

        Dagster opens and closes them for each event. When a file is closed for the last time, its log is written back and deleted, which costs more
        than the event.
        """
        try:
            # Slow to import, and not needed where pipelines are only defined.
            from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorage
        except ImportError:  # this Dagster is newer than this module; then a run only costs more
            return
        store = job_context.instance.event_log_storage
        if not isinstance(store, SqliteEventLogStorage):
            return
        for shard in (job_context.run_id, INDEX_SHARD_NAME):
            place = Path(store.path_for_shard(shard)).as_uri()
            with suppress(sqlite3.Error):  # likewise
                # Only a connection that has read something has the log open.
                held = sqlite3.connect(f"{place}?mode=rw", uri=True, check_same_thread=False)
                stack.enter_context(closing(held)).execute("PRAGMA user_version").fetchall()

    @contextmanager
    def _own_log(step_context: Any, produce: Callable[[Any], None]) -> Iterator[None]:
        """A log for one step, if its body writes one: steps run side by side in one process."""
        if not _trait(step_context.job_def, step_context.step, WRITES_LOG):
            yield
            return
        with ExitStack() as stack:
            manager = step_context.instance.compute_log_manager
            log_key = manager.build_log_key_for_run(step_context.run_id, step_context.step.key)

            def announce(text: str) -> None:
                about = ComputeLogsCaptureData(log_key[-1], [step_context.step.key])
                produce(DagsterEvent.from_job(DagsterEventType.LOGS_CAPTURED, step_context, text, about))

            try:
                stream = stack.enter_context(manager.open_log_stream(log_key, ComputeIOType.STDOUT))
            except Exception as error:
                stream = None
                logger.warning("the output of step %s cannot be kept: %s", step_context.step.key, error)
            if stream is not None:  # an instance may keep no output
                step_log.set(StepLog(stream, announce if step_context.previous_attempt_count == 0 else None))
            yield

    def _passed(step_context: Any) -> Iterator[Any]:
        """The events of a step that only waits. Without a start, the page of a run shows it behind the end of the run."""
        yield DagsterEvent.step_start_event(step_context)
        step = step_context.step
        for output in step.step_outputs:
            # The page of a run stays empty if the result of the check of a type is missing.
            checked = TypeCheckData(success=True, label=output.name)
            about = StepOutputData(StepOutputHandle(step.key, output.name), type_check_data=checked)
            yield DagsterEvent.step_output_event(step_context, about)
        yield DagsterEvent.step_success_event(step_context, StepSuccessData(duration_ms=0.0))

    def _start(step_context: Any, key: str, produced: Any, stop: threading.Event) -> None:
        if _trait(step_context.job_def, step_context.step, ONLY_WAITS):
            for event in (*_passed(step_context), None):
                produced.put((key, event))
            return

        def work() -> None:
            stopping.set(stop)
            try:
                with _own_log(step_context, lambda event: produced.put((key, event))):
                    for event in dagster_event_sequence_for_step(step_context):
                        produced.put((key, event))
            except (DagsterExecutionInterruptedError, KeyboardInterrupt):
                pass  # its failure was already produced
            except BaseException as error:
                if not step_context.raise_on_error:
                    logger.exception("step %s ended with an error that Dagster did not handle", key)
                produced.put((key, error))
            finally:
                produced.put((key, None))

        threading.Thread(target=copy_context().run, args=(work,), name=f"starlake-{key}", daemon=True).start()

    def _threads(most: int | None) -> Any:
        limits = Field(
            Noneable(Array(Permissive())),
            default_value=None,
            is_required=False,
            description="Limits of concurrent steps by tag, as in the multiprocess executor.",
        )
        steps = Field(
            Noneable(int) if most is None else int,
            default_value=most,
            is_required=False,
            description="How many steps run at once."
            + (" The default is the parallelism of their pipelines." if most is None else ""),
        )

        def starlake_threads(init_context: Any) -> Any:
            """Runs steps in threads of the run's process."""
            config = init_context.executor_config
            asked = config["max_concurrent"]
            if asked is not None and asked < 1:
                raise ValueError(f"{asked} is not a valid value for max_concurrent; it must be at least 1")
            return ThreadExecutor(asked, config["tag_concurrency_limits"], RetryMode.ENABLED)

        schema = {"max_concurrent": steps, "tag_concurrency_limits": limits}
        return executor(name="starlake_threads", config_schema=schema)(starlake_threads)


@functools.cache
def thread_executor(max_concurrent: int | None = None) -> Any:
    """The executor that runs the steps of a run in threads; Dagster's in-process executor if this version of Dagster does not allow that.

    Args:
        max_concurrent: how many steps run at once, unless the configuration of a run sets another number. None for the option ``parallelism`` of the
            pipelines whose steps run, and the smallest if they differ; for a run of other steps, 8.
    """
    return _threads(max_concurrent) if supports_threads else in_process_executor


def run_in_process(job: Any, instance: Any, tags: Mapping[str, str], parallelism: int | None, here: InProcess) -> None:
    """Run a job in this process and wait for its end.

    Args:
        job: the definition of the job.
        instance: the instance that stores its events.
        tags: the tags of the run.
        parallelism: how many steps run at once; None for the executor of the job.
        here: the request for the run, and its results.

    Raises:
        RunError: this version of Dagster does not allow it.
    """
    if not supports_threads:
        raise RunError(
            "pipelines cannot run from here with this version of Dagster; launch the job in its user interface"
        )
    if parallelism is not None:
        job = job.with_executor_def(thread_executor(parallelism))
    wrapped = InMemoryJob(job)
    # The observer already reports on the run; Dagster's own console output would repeat it.
    config = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}} if "console" in job.loggers else {}
    plan = create_execution_plan(wrapped, run_config=config)
    run = instance.create_run_for_job(
        job_def=job, execution_plan=plan, run_config=config, tags={**job.run_tags, **tags}
    )
    here.run_id = run.run_id
    token = _here.set(here)
    try:
        for event in execute_run_iterator(wrapped, run, instance):
            step = event.step_key
            if step is not None and (event.is_step_success or event.is_step_failure or event.is_step_skipped):
                here.ends[step] = event.event_type_value
                here.tell(step)
            elif event.is_failure and step is None:
                here.failure = event.message or "the run failed"
                error = getattr(event.event_specific_data, "error", None)
                # As Dagster's executor reports Ctrl-C.
                here.stopped |= error is not None and error.cls_name == DagsterExecutionInterruptedError.__name__
    finally:
        _here.reset(token)
