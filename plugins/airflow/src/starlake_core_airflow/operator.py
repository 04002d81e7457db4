"""The operators: one for every environment, and those for the start and the end of a pipeline."""

from __future__ import annotations

import functools
import shlex
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any

from starlake_core import (
    Attempt,
    Job,
    OutageError,
    RunKey,
    RunnerError,
    StarlakeError,
    Wait,
    explain_skip,
)
from starlake_core.freshness import Kind
from starlake_core.masking import mask_arguments, mask_text, secret_arguments, secret_values
from starlake_core.orchestrators.events import INTERVAL_END, INTERVAL_START
from starlake_core.plain_text import plain, plain_line
from starlake_core.runtime import (
    OlderAttempt,
    Outcome,
    Runner,
    Verdict,
    exclusively,
    expire,
    explain_not_ready,
    finish,
    pausing,
    rest_runners,
    runner_for,
    tell_end,
    watch,
)

from . import observer
from .attempts import start_own, take, take_look
from .connections import credentials_for
from .context import UNREAD, answer_of, attempt_of, given_options, told_of
from .deciding import tell
from .questions import RECORD
from .step import Step, is_airflows
from .versions import (
    AirflowException,
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSkipException,
    BaseOperatorLink,
    Reschedulable,
    first_look,
    hold_seconds,
    keep_link,
    link_value,
    mask_secret,
    pulled,
    skip_tasks,
)

__all__ = ["ConsoleLink", "StarlakeEnd", "StarlakeOperator", "StarlakeStart", "displayed"]

_CANCEL_SECONDS = 1.0
_NET_SECONDS = 600.0
_TAIL_CHARACTERS = 2000


_quoted = functools.lru_cache(maxsize=4096)(shlex.quote)


def displayed(job: Job) -> str:
    """What a job runs, as one line; secrets are masked."""
    return plain_line(
        f"starlake {' '.join(map(_quoted, mask_arguments(job.arguments)))}"
        if job.arguments
        else f"a job in the environment {job.environment}"
    )


class ConsoleLink(BaseOperatorLink):
    """A link to the page on which the environment shows an attempt."""

    name = "Console"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The address; empty if there is none yet."""
        return str(link_value(operator, ti_key, "starlake_console") or "")


class StarlakeOperator(Step, Reschedulable):
    """Runs one job in its environment.

    Attributes:
        job: the job to run, with placeholders for values that are known only in a run.
        wait_policy: how a check that is not ready is repeated.
        timeout: seconds for one attempt; None for no limit.
        missing: what a check that is not ready did not find.
        deferrable: whether to wait in the triggerer if the environment runs remotely; None for Airflow's configuration.
        defer_after: how long the worker waits before it releases its slot, in seconds.
        connections: maps a kind of credentials (``google``, ``aws``) to the Airflow connection that has them.
        command: what runs, for the page of the task instance.
        starlake_console: the address at which the attempt can be watched.
    """

    ui_color = "#e8f0fe"
    template_fields = ("command",)
    template_fields_renderers = {"command": "bash"}  # noqa: RUF012 - a ClassVar only in Airflow 3
    operator_extra_links = (ConsoleLink(),)
    command = ""
    starlake_console = ""
    _killed = False
    _runner: Runner | None = None
    _handle: str | None = None

    job: Job
    wait_policy: Wait | None = None
    timeout: int | None = None
    missing = ""
    deferrable: bool | None = None
    defer_after = 10
    connections: Mapping[str, str] = MappingProxyType({})

    @property
    def starlake_job(self) -> str:
        """The job as canonical JSON without its secrets, part of the serialised DAG: another command is another version."""
        return self.job.masked().to_json()

    @classmethod
    def get_serialized_fields(cls) -> frozenset[str]:
        """The fields of every operator, the job, and the fields that let the scheduler reschedule it."""
        fields = super().get_serialized_fields()  # type: ignore[no-untyped-call]  # not annotated in Airflow
        return frozenset(fields) | {"starlake_job"} | cls.reschedule_fields

    def render_template_fields(self, context: Any, jinja_env: Any = None) -> None:
        """Show the command as it runs; Airflow stores it with the task instance. Nothing is rendered with Jinja."""
        try:
            attempt = attempt_of(context, self.facts, self.task_id)
            unread = replace(attempt, run=replace(attempt.run, variables=UNREAD))
            self.command = displayed(self.job.bind(unread))
        except StarlakeError:
            self.command = displayed(self.job)  # running the task reports the problem

    # -- the lifecycle of an attempt

    def execute(self, context: Any) -> Any:
        """Start the job, or take it back, and wait for its end: here, in the triggerer, or rescheduled."""
        if self._left_out():
            return None
        try:
            attempt = attempt_of(context, self.facts, self.task_id)
            job, runner = self._prepare(attempt)
            # The pool keeps tasks apart; this also keeps them apart on one machine, whatever the pool.
            with exclusively(job, attempt.key, stop=self._is_stopped, on_wait=self._line) as held:
                if not held:
                    stopped = Outcome(Verdict.CANCELLED, reason="cancelled before it started", stopped=True)
                    tell_end(job, runner, attempt.key, stopped)
                    raise AirflowFailException(f"{displayed(job)}: stopped before it started")
                return self._run(context, attempt, job, runner)
        except Exception as error:
            if is_airflows(error):
                raise
            raise self._refused(error) from error
        finally:
            if not observer.in_process():
                rest_runners()  # other processes may use what this one does not need any more

    @contextmanager
    def _telling(self, job: Job, runner: Runner, attempt: Attempt) -> Iterator[None]:
        """Tell plugins of an attempt that this block could not start or watch."""
        try:
            yield
        except BaseException as error:
            tell_end(job, runner, attempt.key, error)
            raise

    def _is_stopped(self) -> bool:
        return self._killed or observer.is_stopped()

    def _run(self, context: Any, attempt: Attempt, job: Job, runner: Runner) -> Any:
        """Start the job, or take it back, and wait for its end."""
        since = first_look(context)
        if self.wait_policy is None:
            with self._telling(job, runner, attempt), pausing(self._is_killed):
                handle = take(job, runner, attempt.key, cleared=attempt.generation, again=since is not None)
            began = time.time() if since is None else since.timestamp()
        else:

            def bind(number: str) -> Job:
                return observer.placed(self.job.bind(replace(attempt, number=number)))

            with self._telling(job, runner, attempt), pausing(self._is_killed):
                look = take_look(bind, runner, attempt.key, cleared=attempt.generation, again=since is not None)
            job, handle, began = look.job, look.handle, look.began
            attempt = replace(attempt, number=look.key.attempt)
        self._watching(context, runner, handle)
        return self._follow(
            context, attempt, job, runner, handle, None if self.timeout is None else began + self.timeout
        )

    def resume(self, context: Any, event: Mapping[str, Any]) -> Any:
        """Continue after the trigger has fired.

        Args:
            context: the context of the task instance.
            event: what the trigger knows: the attempt, its handle, how it ended, and how far its output was read.
        """
        if event.get("error"):
            self._tell_error(context, event)
            if event.get("again"):
                # The environment could not be queried; the job keeps running, and the next try finds it.
                raise AirflowException(event["error"])
            raise self._refused(StarlakeError(event["error"]))
        outcome, handle, runner = Outcome.from_json(event["outcome"]), event["handle"], None
        try:
            attempt = replace(attempt_of(context, self.facts, self.task_id), number=event["attempt"])
            job = self.job
            try:
                job, runner = self._prepare(attempt)
                if runner.follows:
                    for line in runner.logs(handle, event.get("cursor"))[0]:
                        self._line(line)
            except Exception as error:
                if outcome.verdict not in (Verdict.SUCCEEDED, Verdict.NOT_READY):
                    raise
                self.log.warning("The rest of its output cannot be read: %s", error)
            return self._ended(context, attempt, job, runner, handle, outcome, None)
        except Exception as error:
            if is_airflows(error):
                raise
            raise self._refused(error) from error

    def _tell_error(self, context: Any, event: Mapping[str, Any]) -> None:
        """Tell plugins of an attempt that the triggerer could not watch."""
        try:
            attempt = replace(attempt_of(context, self.facts, self.task_id), number=event["attempt"])
            job, runner = self._prepare(attempt)
        except Exception as error:
            self.log.warning("Nobody hears of the end, because there is no runner: %s", error)
            return
        tell_end(job, runner, attempt.key, (OutageError if event.get("again") else RunnerError)(event["error"]))

    def on_kill(self) -> None:
        """Cancel what was started. Airflow calls this in a signal handler, where no lock may be taken, so another thread does it."""
        self._killed = True
        observer.stop()
        if self._runner is not None and self._handle is not None:
            threading.Thread(
                target=self._runner.cancel, args=(self._handle,), name="starlake-cancel", daemon=False
            ).start()

    def _is_killed(self) -> bool:
        return self._killed or observer.is_stopped()

    def _is_detached(self, runner: Runner) -> bool:
        return runner.detached and not observer.in_process()

    def _prepare(self, attempt: Attempt) -> tuple[Job, Runner]:
        job = observer.placed(self.job.bind(attempt))
        for secret in secret_values({**secret_arguments(job.arguments), **job.env}):
            mask_secret(secret)
        return job, runner_for(job, observer.plugins(), credentials_for(self.connections))

    def _watching(self, context: Any, runner: Runner, handle: str) -> None:
        self._runner, self._handle = runner, handle
        address = runner.console_url(handle)
        if address:
            self.log.info("Watch it at %s", address)
            self.starlake_console = address
            keep_link(context, "starlake_console", address)

    def _line(self, line: str) -> None:
        line = plain(line)
        self.log.info("%s", line)
        observer.line(self, line)

    def _follow(
        self, context: Any, attempt: Attempt, job: Job, runner: Runner, handle: str, deadline: float | None
    ) -> Any:
        """Wait for the end of an attempt without holding a slot for longer than necessary."""
        seconds = float(self.defer_after) if self._is_detached(runner) else float("inf")
        if deadline is not None:
            seconds = min(seconds, deadline - time.time())
        try:
            outcome, cursor = watch(runner, handle, max(0.0, seconds), on_line=self._line, stop=lambda: self._killed)
        except (KeyboardInterrupt, SystemExit) as error:
            try:
                with pausing(None, _CANCEL_SECONDS):
                    runner.cancel(handle)
            except StarlakeError as refused:  # an interrupt does not wait for a service that does not answer
                self.log.warning("It cannot be cancelled and may keep running: %s", refused)
            tell_end(job, runner, attempt.key, error)
            if observer.stop():
                raise AirflowFailException(observer.STOPPED) from None
            raise
        except BaseException as error:
            # 2.11 leaves the process at once when a task is killed, without waiting for threads.
            if self._killed:
                runner.cancel(handle)
            tell_end(job, runner, attempt.key, KeyboardInterrupt() if self._killed else error)
            raise
        if outcome is not None:
            return self._ended(context, attempt, job, runner, handle, outcome, deadline)
        if deadline is not None and time.time() >= deadline:
            with self._telling(job, runner, attempt):
                outcome = expire(runner, handle, self.timeout or 0)
            return self._ended(context, attempt, job, runner, handle, outcome, deadline)
        if self._defers():
            self._defer(job, attempt.key, handle, cursor, deadline)
        poll = runner.interval
        left = float("inf") if deadline is None else deadline - time.time()
        raise AirflowRescheduleException(_after(_next_look(poll, left, _floor())))

    def _defers(self) -> bool:
        if self.deferrable is not None:
            return self.deferrable
        from airflow.configuration import conf

        return bool(conf.getboolean("operators", "default_deferrable", fallback=False))

    def _defer(self, job: Job, key: RunKey, handle: str, cursor: str | None, deadline: float | None) -> None:
        from .trigger import StarlakeTrigger

        now = time.time()
        # The database stores it, so it contains nothing of the command, and no secrets of the environment.
        kept = Job(
            job.environment,
            spec=job.spec,
            endpoint=job.endpoint,
            check=job.check,
            plugins=job.plugins,
            addon_specs=job.addon_specs,
        )
        trigger = StarlakeTrigger(
            job=kept.masked().to_json(),
            handle=handle,
            attempt=key.attempt,
            key_task=key.task,
            cursor=cursor,
            deadline=deadline,
            timeout=self.timeout,
            not_before=now + hold_seconds(),
            connections=dict(self.connections),
        )
        # The trigger enforces the deadline, because a deferral that times out cancels nothing; this is a safety net.
        net = None if deadline is None else timedelta(seconds=deadline - now + _NET_SECONDS)
        self.defer(trigger=trigger, method_name="resume", timeout=net)

    # -- the end

    def _ended(
        self,
        context: Any,
        attempt: Attempt,
        job: Job,
        runner: Any,
        handle: str,
        outcome: Outcome,
        deadline: float | None,
    ) -> Any:
        outcome = finish(runner, handle, outcome, job, attempt.key)
        if outcome.verdict is Verdict.CANCELLED and not self._killed and not observer.is_stopped():
            # An older attempt that was taken over may be cancelled by its earlier owner: then this one runs its own.
            own = start_own(job, runner, attempt.key, OlderAttempt.CANCEL, cleared=attempt.generation)
            if own != handle:
                self.log.info("The attempt that was taken over was cancelled; starting a new one")
                self._watching(context, runner, own)
                if self.timeout is not None:
                    deadline = time.time() + self.timeout
                return self._follow(context, attempt, job, runner, own, deadline)
        if outcome.verdict is Verdict.SUCCEEDED:
            self._emit(context, attempt)
            return self._keep(context, outcome)
        if outcome.verdict is Verdict.NOT_READY:
            self._not_ready(context, outcome)
        reason = outcome.reason or str(outcome.verdict)
        self._keep(context, outcome, reason, push=True)
        tail = f"\n{outcome.tail[-_TAIL_CHARACTERS:]}" if outcome.tail else ""
        log = f"\nIts output: {outcome.log}" if outcome.log else ""
        failed = AirflowFailException if outcome.final else AirflowException
        raise failed(f"{displayed(job)}: {reason}{log}{tail}")

    def _not_ready(self, context: Any, outcome: Outcome) -> None:
        about = f"{explain_not_ready(self.missing, outcome) or 'not ready'} ({self.label})"
        wait = self.wait_policy
        if wait is not None:
            began = first_look(context) or context["ti"].start_date
            waited = (datetime.now(timezone.utc) - began).total_seconds() if began is not None else 0.0
            if waited < wait.timeout:
                floor = _floor()
                if wait.interval < floor:
                    self.log.warning(
                        "pre_load_poke_interval is %g s, but Airflow fails a task that comes back within %g s; checking every %g s",
                        wait.interval,
                        floor,
                        floor,
                    )
                pause = _next_look(float(wait.interval), wait.timeout - waited, floor)
                self.log.info("%s; checking again in %.0f s", about, pause)
                raise AirflowRescheduleException(_after(pause))
            about = f"{about} within {wait.timeout} s"
            if not wait.soft_fail:
                self._keep(context, outcome, about, push=True)
                raise AirflowFailException(about)
        self._keep(context, outcome, about, push=True)
        raise AirflowSkipException(about)

    def _keep(self, context: Any, outcome: Outcome, reason: str = "", push: bool = False) -> dict[str, Any]:
        """Store what the task leaves for readers, and report it to an observer in this process."""
        kept: dict[str, Any] = {"outcome": outcome.verdict.value, "exit_code": outcome.exit_code}
        if reason:
            kept["reason"] = reason
        if outcome.log or self.starlake_console:
            kept["log"] = outcome.log or self.starlake_console
        observer.ended(self, outcome, reason)
        if push:
            context["ti"].xcom_push(key="return_value", value=kept)
        return kept


def _floor() -> float:
    """The least time for which a rescheduled task stays away, in seconds. Without an executor it may come back at once."""
    return 0.0 if observer.in_process() else hold_seconds()


def _next_look(interval: float, left: float, floor: float) -> float:
    """The seconds until the next look.

    >>> [_next_look(10.0, left, 7.0) for left in (32.0, 22.0, 12.0)]
    [10.0, 10.0, 12.0]

    Args:
        interval: the seconds between two looks.
        left: the seconds until the last look, at the very end of the time.
        floor: the least seconds between two looks; if the last look would come sooner, the one before it is left out.
    """
    pause = max(interval, floor)
    return pause if left - pause >= max(floor, 0.001) else max(left, floor)


def _after(seconds: float) -> datetime:
    return datetime.now(timezone.utc) + timedelta(seconds=max(0.0, seconds))


class StarlakeStart(Step):
    """The start of a pipeline that datasets start: the core decides whether the run continues."""

    ui_color = "#e6f4ea"

    def execute(self, context: Any) -> Any:
        """Continue, or skip all tasks of the run with the reasons. It decides even if it is not selected: other tasks need it."""
        left_out = self._left_out()
        try:
            answer = answer_of(context, self.facts)
            given = given_options(context)
        except StarlakeError as error:
            raise self._refused(error) from error
        decision = answer.decision
        self.log.info("%s", plain(decision.describe()))
        if decision.error:
            context["ti"].xcom_push(key="return_value", value={"outcome": "failed", **tell(answer, "", "", given)})
            raise self._refused(StarlakeError(mask_text(decision.error)))
        if decision.kind is not Kind.RUN:
            outcome = Outcome(Verdict.NOT_READY, reason=decision.why)
            observer.ended(self, outcome, decision.why)
            kept = {"outcome": outcome.verdict.value, "reason": decision.why, **tell(answer, "", "", given)}
            context["ti"].xcom_push(key="return_value", value=kept)
            skip_tasks(context, sorted(set(self.dag.task_ids) - {self.task_id}))
            raise AirflowSkipException(decision.why)
        attempt = attempt_of(context, self.facts, self.task_id)
        start, end = attempt.value(INTERVAL_START), attempt.value(INTERVAL_END)
        kept = {"outcome": Verdict.SUCCEEDED.value, "reason": decision.why, **tell(answer, start, end, given)}
        context["ti"].xcom_push(key="return_value", value=kept)
        if not left_out:
            self._emit(context, attempt)


class StarlakeEnd(Step):
    """The end of a pipeline: emits its datasets, unless gates closed and no work was done.

    Attributes:
        guards: for each way in which work can be done, the ids of the checks that must be open for it.
    """

    ui_color = "#e6f4ea"

    guards: Sequence[Sequence[str]] = ()

    def execute(self, context: Any) -> Any:
        """Emit the datasets, or skip with the reasons of everything that was not ready."""
        if self._left_out():
            return None
        closed: dict[str, str] = {}
        for gate in dict.fromkeys(gate for guard in self.guards for gate in guard):
            kept = pulled(context, gate)
            if isinstance(kept, Mapping) and kept.get("outcome") == Verdict.NOT_READY.value:
                closed[gate] = str(kept.get("reason", gate))
        for reason in closed.values():
            self.log.info("Skipped: %s", reason)
        reason = explain_skip(self.guards, closed)
        if reason:
            outcome = Outcome(Verdict.NOT_READY, reason=reason)
            observer.ended(self, outcome, reason)
            context["ti"].xcom_push(key="return_value", value={"outcome": outcome.verdict.value, "reason": reason})
            raise AirflowSkipException(reason)
        try:
            told = told_of(context, self.facts)
            attempt = attempt_of(context, self.facts, self.task_id)
        except StarlakeError as error:
            raise self._refused(error) from error
        self._emit(context, attempt, None if told is None or told.record is None else {RECORD: told.record})
        return {"outcome": Verdict.SUCCEEDED.value, "skipped": list(closed.values())} if closed else None
