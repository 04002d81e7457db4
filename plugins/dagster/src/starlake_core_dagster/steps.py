"""What a step does: it runs its job through the core, and reports the result in Dagster's terms."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from inspect import Parameter, Signature
from typing import Any, ClassVar

from dagster import AssetMaterialization, AssetObservation, DagsterEventType, Failure, MetadataValue, Output

from starlake_core import Attempt, Job, RunError, StarlakeDataset, StarlakeError, Task, TaskKind, Written, skipped_end
from starlake_core.masking import mask_arguments
from starlake_core.model.run_options import POLICIES, overlay, read_policies
from starlake_core.orchestrators.events import INTERVAL_END, INTERVAL_START, event_metadata
from starlake_core.plain_text import plain, plain_line
from starlake_core.runtime import Outcome, Verdict, execute, explain_not_ready, in_project, may_pass, runner_for

from . import observer
from .advice import advised
from .checks import TableCheck, results_of
from .context import Facts, attempt_of, op_context, same_work
from .executor import step_log, stopping
from .outputs import RESULT, VERDICT, AssetOutput
from .pools import limit
from .project_details import written_by, written_metadata

__all__ = ["NOT_READY", "Close", "Step", "shown"]

NOT_READY = "starlake/not_ready"
"""Name of the metadata with the reason why a check is not ready."""

_TAIL_CHARACTERS = 4000
_LINES_AT_ONCE = 200
_LINES_SECONDS = 1.0
_LONGEST_LINE = 10_000
"""How many characters of a line are in a record; the output of the step has all of them."""

shares_log: ContextVar[bool] = ContextVar("starlake_core_dagster_shares_log", default=False)
"""Whether several tasks write to the log of one step at the same time, so that each line has to say of which it is."""


def shown(job: Job) -> str:
    """The command of a job for display, without its secrets."""
    return plain_line(
        " ".join(("starlake", *mask_arguments(job.arguments))) if job.arguments else f"{job.environment} job"
    )


class _Lines:
    """Passes lines on to the output of a step, and to its log, several in one record, because a record is a row in a database."""

    def __init__(self, context: Any, path: str) -> None:
        self._log = context.log
        self._path = path
        self._mark = f"{path}: " if shares_log.get() else ""
        self._kept: list[str] = []
        self._since = time.monotonic()
        # What this process prints is kept by executors that run one step at a time; somebody who watches has seen the lines.
        self._own = step_log.get()
        self._output = self._own or (sys.stdout if observer.run() is None else None)

    def begin(self, command: str, environment: str) -> None:
        """Show the command at the beginning of the output, and keep it as the first line of the log, unless the event of the output tells it.

        A command that ends at once then has one record, not two.
        """
        text = f"{command}  # {environment}"
        if self._own is None or not self._own.begin(text):
            self._kept.append(text)
        self.show(f"$ {command}")

    def show(self, line: str) -> None:
        """Write a line to the output of the step, but not to its log."""
        if self._output is not None:
            self._output.write(f"{self._mark}{line}\n")

    def add(self, line: str) -> None:
        line = plain(line)
        observer.line(self._path, line)
        self.show(line)
        left = len(line) - _LONGEST_LINE
        self._kept.append(line if left <= 0 else f"{line[:_LONGEST_LINE]} [{left} characters left out]")
        if len(self._kept) >= _LINES_AT_ONCE or time.monotonic() - self._since >= _LINES_SECONDS:
            self.flush()

    def passing(self, stop: threading.Event | None) -> Callable[[], bool]:
        """Return a function for ``stop`` of :func:`execute`, which also writes what was kept for long enough.

        Args:
            stop: what stops the run.
        """

        def look() -> bool:
            if self._kept and time.monotonic() - self._since >= _LINES_SECONDS:
                with suppress(Exception):  # the job goes its way; the lines are written at its end
                    self.flush()
            return stop is not None and stop.is_set()

        return look

    def flush(self) -> None:
        if self._kept:
            self._log.info("\n".join(f"{self._mark}{line}" for line in self._kept))
        if self._output is not None:
            self._output.flush()
        self._kept, self._since = [], time.monotonic()


@dataclass(frozen=True, eq=False)  # Dagster keeps it in sets
class Step:
    """The body of the op of a task.

    Attributes:
        task: the task.
        path: the path of the task.
        facts: the facts of the pipeline.
        produces: what it emits when it succeeds.
        checks: the checks on what it writes.
    """

    task: Task
    path: str
    facts: Facts
    produces: Sequence[AssetOutput] = ()
    checks: Sequence[TableCheck] = ()

    # All that it shows goes to the log of its step.
    writes_log: ClassVar[bool] = True
    # Dagster reads the signature of every body. Reading it from an object is slow, so it is set once.
    __signature__: ClassVar[Signature] = Signature(
        [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in ("step", "inputs")]
    )

    @property
    def parallelism(self) -> int:
        """How many steps of a run of its pipeline run at once."""
        return self.facts.parallelism

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of its outputs, without that of the verdict of a check."""
        return tuple(produced.output for produced in self.produces) or (RESULT,)

    def __call__(self, step: Any, inputs: Mapping[str, Any]) -> Iterator[Any]:
        """The body, as Dagster calls it: an argument named ``context`` would have to be of one of Dagster's classes."""
        step = op_context(step)
        observer.began(self.path, step.retry_number + 1)
        try:
            self._refuse_checks_alone(step)
            attempt = attempt_of(step, self.facts, self.path)
            limit(step.instance, [step.op_def.pool])  # if another executor than ours runs the step
            began = time.time()
            outcome, job = self._run(step, attempt)
        except Exception as error:
            if not isinstance(error, StarlakeError) and may_pass(error):
                raise
            reason = str(error) if isinstance(error, StarlakeError) else f"{type(error).__name__}: {error}"
            observer.ended(self.path, Outcome(Verdict.FAILED, reason=reason), reason)
            reason = advised(reason)
            _Lines(step, self.path).show(f"# failed: {plain(reason)}")
            raise Failure(reason, allow_retries=may_pass(error)) from error
        metadata = self._metadata(attempt, job, outcome, time.time() - began)
        if outcome.verdict is Verdict.NOT_READY:
            yield from self._not_ready(step, outcome)
            return
        written = written_by(self.task, outcome)
        if outcome.verdict is not Verdict.SUCCEEDED:
            yield from results_of(self.checks, written, False, step.selected_output_names)
            raise self._failed(step, outcome, job, metadata)
        observer.ended(self.path, outcome)
        if self.task.kind is TaskKind.CHECK and VERDICT in step.selected_output_names:
            yield Output(None, VERDICT, metadata=metadata)
        yield from self._emit(step, attempt, metadata, written)
        # After the materialisation: a blocking check that does not pass fails the step.
        yield from results_of(self.checks, written, True, step.selected_output_names)

    def _refuse_checks_alone(self, context: Any) -> None:
        """Refuse a run that asks for checks without the table: they are found when it is written.

        Raises:
            RunError: it does.
        """
        wanted = context.selected_output_names
        if self.checks and wanted and wanted <= {check.output for check in self.checks}:
            raise RunError(
                f"the checks of {self.path} are made when it is written; materialise it instead of its checks"
            )

    # -- running

    def _run(self, context: Any, attempt: Attempt) -> tuple[Outcome, Job | None]:
        """Run the job, repeatedly if a check waits."""
        if self.task.job is None:
            return Outcome(Verdict.SUCCEEDED), None
        wait, poke, deadline = self.task.wait, 0, None
        while True:
            look = attempt if wait is None else replace(attempt, number=f"{attempt.number}.{poke}")
            job = in_project(self.task.job.bind(look), self.facts.source)
            outcome = self._attempt(context, job, look)
            if wait is None or outcome.verdict is not Verdict.NOT_READY:
                return outcome, job
            now = time.monotonic()
            deadline = now + wait.timeout if deadline is None else deadline
            if now >= deadline:
                about = f"{explain_not_ready(self.task.missing, outcome)} within {wait.timeout} s"
                if not wait.soft_fail:
                    raise RunError(about)  # a second attempt would wait twice as long
                return Outcome(Verdict.NOT_READY, reason=about), job
            # The last check is at the very end of the time.
            pause = min(float(wait.interval), deadline - now)
            about = f"{self.task.missing}; checking again in {pause:.0f} s"
            context.log.info(about)
            _Lines(context, self.path).show(about)
            stop = stopping.get() or threading.Event()
            if stop.wait(pause):
                return Outcome(Verdict.CANCELLED, reason="the run was stopped"), job
            poke += 1

    def _attempt(self, context: Any, job: Job, attempt: Attempt) -> Outcome:
        runner = runner_for(job, self.facts.plugins)
        lines, stop = _Lines(context, self.path), stopping.get()

        def started(handle: str) -> None:
            address = runner.console_url(handle)
            if address:
                context.log.info(f"Watch it at {address}")

        lines.begin(shown(job), job.environment)
        stopped = stop.is_set if stop is not None else None
        if runner.detached:
            lines.flush()  # a service needs longer, and is not asked as often
        else:
            stopped = lines.passing(stop)
        try:
            return execute(
                job,
                runner,
                attempt.key,
                timeout=self.task.timeout,
                on_line=lines.add,
                stop=stopped,
                on_start=started,
                again=context.retry_number > 0 or context.run.parent_run_id is not None,
                counts=lambda name: (
                    name.rpartition("~")[2].partition(":")[0] in same_work(context.instance, context.run)
                ),
            )
        finally:
            lines.flush()

    # -- how it ended

    def _metadata(self, attempt: Attempt, job: Job | None, outcome: Outcome, seconds: float) -> dict[str, Any]:
        made: dict[str, Any] = {
            INTERVAL_START: attempt.value(INTERVAL_START),
            INTERVAL_END: attempt.value(INTERVAL_END),
            "sl_scheduled_date": attempt.value("sl_scheduled_date"),
        }
        if job is not None:
            made["command"] = MetadataValue.text(shown(job))
            made["environment"] = job.environment
            made["duration (s)"] = round(seconds, 3)
        if outcome.exit_code is not None:
            made["exit code"] = outcome.exit_code
        if outcome.log:
            made["log"] = MetadataValue.url(outcome.log) if "://" in outcome.log else MetadataValue.path(outcome.log)
        return made

    def _not_ready(self, context: Any, outcome: Outcome) -> Iterator[Any]:
        reason = explain_not_ready(self.task.missing, outcome)
        context.log.warning(f"Not ready, so downstream tasks are skipped: {reason}")
        observer.ended(self.path, outcome, reason)
        _Lines(context, self.path).show(f"# not ready: {reason}")
        # If a table is materialised by itself, there is no end of the pipeline that needs the verdict.
        if VERDICT in context.selected_output_names:
            yield Output(None, VERDICT, metadata={NOT_READY: reason})

    def _failed(self, context: Any, outcome: Outcome, job: Job | None, metadata: Mapping[str, Any]) -> Failure:
        reason = outcome.reason or str(outcome.verdict)
        observer.ended(self.path, outcome, reason)
        reason = advised(reason)
        ending = reason if reason.startswith(outcome.verdict) else f"{outcome.verdict}: {reason}"
        _Lines(context, self.path).show(f"# {ending}")  # the command may have said nothing
        tail = f"\n{outcome.tail[-_TAIL_CHARACTERS:]}" if outcome.tail else ""
        about = f"{shown(job)}: {reason}" if job is not None else reason
        # A run that a user stopped must stay stopped.
        again = outcome.verdict is not Verdict.CANCELLED and not outcome.final
        return Failure(f"{about}{tail}", metadata=dict(metadata), allow_retries=again)

    def _emit(
        self, context: Any, attempt: Attempt, metadata: Mapping[str, Any], written: Written | None = None
    ) -> Iterator[Any]:
        wanted = context.selected_output_names
        by_output = {produced.output: produced for produced in self.produces}
        for name in self.outputs:
            produced = by_output.get(name)
            about = dict(metadata)
            if produced is not None and produced.dataset is not None:
                about |= _about(produced.dataset, attempt, self.facts, context.run)
                if self.task.job is not None:
                    about |= written_metadata(written, self.task.details)
                if not _is_asset(context, name):
                    # Another pipeline defines this asset: here it is a step that records the materialisation.
                    partition = context.run.tags.get("dagster/partition")
                    yield AssetMaterialization(produced.key, metadata=about, partition=partition)
            if name in wanted:
                yield Output(None, name, metadata=about)


def _is_asset(context: Any, output: str) -> bool:
    try:
        context.asset_key_for_output(output)
    except Exception:  # Dagster has no method for it; the class of the error differs between versions
        return False
    return True


def _about(dataset: StarlakeDataset, attempt: Attempt, facts: Facts, run: Any) -> dict[str, Any]:
    """The metadata of the event; the run passes on the variables that it was started with."""
    policies = overlay(facts.policy.merge, read_policies(run.tags.get(POLICIES), f"the tag {POLICIES} of the run"))
    made = event_metadata(dataset, attempt, facts.pipeline_id or run.job_name, policies, attempt.run.options)
    # Consumers of starlake-dagster read a timestamp, not a string.
    made["sl_scheduled_date"] = MetadataValue.timestamp(attempt.run.scheduled_date)
    return {name: value for name, value in made.items() if value not in (None, "")}


@dataclass(frozen=True, eq=False)
class Close(Step):
    """The body of the op that ends a pipeline: emits its datasets, unless gates closed and no work was done.

    Attributes:
        gates: maps the path of each check before it to what is missing if it is not ready.
        work: the paths of the tasks that do work.
    """

    gates: Mapping[str, str] = field(default_factory=dict)
    work: frozenset[str] = frozenset()

    def __call__(self, step: Any, inputs: Mapping[str, Any]) -> Iterator[Any]:
        """The body, as Dagster calls it: an argument named ``context`` would have to be of one of Dagster's classes."""
        step = op_context(step)
        observer.began(self.path, step.retry_number + 1)
        try:
            attempt = attempt_of(step, self.facts, self.path)
            closed, worked = _history(step, self.facts.steps, self.gates, self.work) if self.gates else ({}, True)
            metadata = self._metadata(attempt, None, Outcome(Verdict.SUCCEEDED), 0.0)
        except StarlakeError as error:
            observer.ended(self.path, Outcome(Verdict.FAILED, reason=str(error)), str(error))
            raise Failure(str(error), allow_retries=False) from error
        for reason in dict.fromkeys(closed.values()):
            step.log.info(f"Skipped: {reason}")
        if reason := skipped_end(closed.values(), worked):
            step.log.warning(reason)
            observer.ended(self.path, Outcome(Verdict.NOT_READY, reason=reason), reason)
            for produced in self.produces:
                yield AssetObservation(produced.key, description=reason, metadata={NOT_READY: reason})
            return
        observer.ended(self.path, Outcome(Verdict.SUCCEEDED))
        yield from self._emit(step, attempt, metadata)


def _history(
    context: Any, steps: Mapping[str, str], gates: Mapping[str, str], work: Collection[str]
) -> tuple[dict[str, str], bool]:
    """The checks that were not ready, with their reasons, and whether work was done: in this run, or, for steps that it does not repeat, in
    the run that it re-executes.

    Only steps of the pipeline of the end itself count, because several pipelines in one run may have tasks with the same name.
    """
    closed: dict[str, str] = {}
    opened: set[str] = set()
    ended: set[str] = set()
    settled: set[str] = set()
    run = context.run
    wanted = {DagsterEventType.STEP_OUTPUT, DagsterEventType.STEP_SUCCESS}
    while run is not None:
        for record in context.instance.all_logs(run.run_id, of_type=wanted):
            event = record.dagster_event
            path = steps.get(event.step_key)
            if path is None or event.step_key in settled:
                continue
            if event.event_type is DagsterEventType.STEP_SUCCESS:
                ended.add(path)
            elif path in gates:
                reason = event.step_output_data.metadata.get(NOT_READY)
                if reason is not None:
                    closed[path] = str(reason.value)
                elif event.step_output_data.output_name == RESULT:
                    opened.add(path)
        if run.step_keys_to_execute is None:
            break  # everything was done again
        settled.update(run.step_keys_to_execute)
        run = context.instance.get_run_by_id(run.parent_run_id) if run.parent_run_id else None
    for path in gates:  # nothing in the run needs the verdict of a check before the tables that were not asked for
        if path in ended and path not in opened:
            closed.setdefault(path, gates[path])
    return {path: closed[path] for path in gates if path in closed}, not ended.isdisjoint(work)
