"""Turns what Airflow says about a task instance into the core's :class:`Attempt`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone, tzinfo
from typing import Any

from starlake_core import (
    Attempt,
    DataInterval,
    Pipeline,
    Run,
    RunError,
    TriggerPolicy,
    data_interval,
    previous_fire,
)
from starlake_core.freshness import ByHand, FreshnessPolicy
from starlake_core.model.identity import deployment_name, instance_of
from starlake_core.model.run import unsafe_word
from starlake_core.model.run_options import OPTIONS, Sections, overlay, read_sections
from starlake_core.orchestrators.events import INTERVAL_END, INTERVAL_START, read_event

from .conf import CHECK, UNSAFE, VARIABLES
from .deciding import Told, ask, told_by
from .firing import fires
from .questions import Answer
from .versions import (
    execution_mark,
    get_variable,
    host,
    is_by_datasets,
    lasting_id,
    run_date,
    triggering_events,
)

__all__ = [
    "UNREAD",
    "Facts",
    "Variables",
    "answer_of",
    "attempt_of",
    "current_run",
    "given_options",
    "told_of",
]

current_run: ContextVar[Run | None] = ContextVar("starlake_core_airflow_run", default=None)
"""The requested run, if the DAG runs in this process."""


@dataclass(frozen=True)
class Facts:
    """What the tasks of a pipeline must know about it at run time.

    Attributes:
        pipeline_id: the id of the DAG; empty for a task in a DAG that is not ours.
        cron: the cron expression of the schedule, or the cycle of its datasets.
        zone: the time zone of the schedule.
        policy: what the pipeline does with variables of events.
        freshness: what it asks of the datasets that start it; None if none do.
        start: the id of the task that decides whether a run continues; empty if none does.
        deployment: the user's name for the deployment.
        starlake_environment: the value of ``SL_ENV``.
    """

    pipeline_id: str
    cron: str | None
    zone: tzinfo
    policy: TriggerPolicy
    freshness: FreshnessPolicy | None = None
    start: str = ""
    deployment: str = ""
    starlake_environment: str = ""

    @classmethod
    def of(cls, pipeline: Pipeline) -> Facts:
        """The facts of a pipeline."""
        trigger = pipeline.trigger
        cron = pipeline.cron or (trigger.cron if trigger is not None else None)
        return cls(
            pipeline.id,
            cron,
            pipeline.zone,
            pipeline.policy,
            FreshnessPolicy.of(pipeline) if trigger is not None else None,
            deployment=pipeline.deployment,
            starlake_environment=pipeline.starlake_environment,
        )


class Variables(Mapping[str, str]):
    """The Airflow Variables, each read when a job needs it.

    Args:
        given: values that come with the run; they win.
    """

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given
        self._read: dict[str, str | None] = {}

    def _get(self, name: str) -> str | None:
        if name in self._given:
            return self._given[name]
        if name not in self._read:
            self._read[name] = get_variable(name)
        return self._read[name]

    def __getitem__(self, name: str) -> str:
        value = self._get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._get(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)


class _Unread(Mapping[str, str]):
    """Variables whose values are their own placeholders, for commands that are only displayed."""

    def __getitem__(self, name: str) -> str:
        return f"${{var:{name}}}"

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


UNREAD = _Unread()


def _date(value: Any, name: str) -> datetime:
    try:
        date = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        date = None
    if date is None or date.tzinfo is None:
        raise RunError(
            f"{value!r} is not a valid date for {name} in the run's configuration; write it with an offset, such as 2026-01-31T00:00:00+01:00"
        )
    return date


def _asked_interval(conf: Mapping[str, Any], facts: Facts) -> DataInterval | None:
    """The interval in the configuration of a run. Without a start, it starts at the fire of the schedule before its end."""
    if INTERVAL_END not in conf:
        return None
    end = _date(conf[INTERVAL_END], INTERVAL_END)
    if INTERVAL_START in conf:
        return DataInterval(_date(conf[INTERVAL_START], INTERVAL_START), end)
    return DataInterval(end if facts.cron is None else previous_fire(facts.cron, end, facts.zone, fires), end)


def given_options(context: Mapping[str, Any]) -> Sections:
    """The substitution variables in the configuration of a run.

    Raises:
        RunError: they cannot be read.
    """
    return read_sections((context["dag_run"].conf or {}).get(OPTIONS), f"{OPTIONS} of the run's configuration")


def _by_hand(context: Mapping[str, Any], facts: Facts) -> ByHand | None:
    """What somebody asks for; None if datasets started the run, or if it has to wait for its data like one of those."""
    run, asked = context["dag_run"], current_run.get()
    if asked is not None:
        interval, options = asked.interval, asked.options
    elif is_by_datasets(run):
        return None
    else:
        found, options = _asked_interval(run.conf or {}, facts), given_options(context)
        if found is None:
            return None if _waits(run.conf or {}) else ByHand(run_date(context), variables=options)
        interval = found
    # An interval without any data in it is a date.
    empty = interval.start.timestamp() == interval.end.timestamp()
    return ByHand(interval.end, None if empty else interval, options)


def _waits(conf: Mapping[str, Any]) -> bool:
    word = str(conf.get(CHECK, False)).lower()
    if word not in ("true", "false"):
        raise RunError(f"{CHECK} in the run's configuration is {conf[CHECK]!r}; use true or false")
    return word == "true"


_TOLD = "starlake_told"
"""The key of what the start told, in the context of the task instance."""


def answer_of(context: Any, facts: Facts) -> Answer:
    """Decide what a run that datasets started does; the start of the pipeline calls this.

    Args:
        context: the context of the task instance.
        facts: the facts of its pipeline.

    Raises:
        RunError: an event, or the configuration of the run, cannot be read.
    """
    assert facts.freshness is not None
    answer = ask(context, facts.freshness, facts.pipeline_id, _by_hand(context, facts))
    decision = answer.decision
    if decision.interval is not None:
        context[_TOLD] = Told(decision.interval, decision.variables, answer.record)
    return answer


def told_of(context: Any, facts: Facts) -> Told | None:
    """What the start told the other tasks of a run; None if there is no such start, or if it was left out.

    Args:
        context: the context of the task instance.
        facts: the facts of its pipeline.

    Raises:
        RunError: the run does nothing.
    """
    if facts.freshness is None or not facts.start:
        return None
    found: Told | None = context.get(_TOLD)
    if found is None:
        found = told_by(context, facts.freshness, facts.start, _by_hand(context, facts))
        if found is not None:
            context[_TOLD] = found
    return found


def _untold(context: Mapping[str, Any], facts: Facts) -> DataInterval:
    """The interval of a run without a start that decides: a task of ours in somebody else's DAG, or one that is tested by itself."""
    events = [
        read_event(uri, event.extra or {}, 0, event.timestamp)
        for uri, event in (triggering_events(context) if facts.freshness is not None else ())
    ]
    intervals = [event.interval for event in events if event.interval is not None]
    if intervals:
        return DataInterval(min(i.start for i in intervals), max(i.end for i in intervals))
    date = max((event.date for event in events), default=run_date(context))
    return data_interval(facts.cron, date, facts.zone, fires)


@dataclass
class _TestRun:
    """A run of ``dag.test``, which happens in one process.

    Attributes:
        mark: tells it from other runs with its id.
        seen: maps task, map index and try to a mark that tells an execution of that try from one of another run.
    """

    mark: str
    seen: dict[tuple[str, Any, int], Any] = field(default_factory=dict)


_test_runs: dict[tuple[str, str], _TestRun] = {}


def _instance(ti: Any, dag_run: Any) -> str:
    """Which of the runs with its id it is: one that is deleted and created again, or cleared, starts at another time; clears are counted."""
    began = getattr(dag_run, "start_date", None)
    if began is None:
        return ""
    if began in (run_date({"dag_run": dag_run}), getattr(dag_run, "run_after", None)):
        return instance_of(_test_mark(ti, dag_run))
    return instance_of(began.astimezone(timezone.utc).isoformat(), lasting_id(dag_run), dag_run.clear_number or 0)


def _test_mark(ti: Any, dag_run: Any) -> str:
    """The mark of a run of ``dag.test``, which claims to start at its date, and which deletes the previous run."""
    name = (dag_run.dag_id, dag_run.run_id)
    place, own = (ti.task_id, ti.map_index, ti.try_number), execution_mark(ti)
    run = _test_runs.get(name)
    if run is None or run.seen.get(place, own) != own:
        run = _test_runs[name] = _TestRun(f"{os.getpid()}-{time.time_ns()}")
    run.seen[place] = own
    return run.mark


def _deployment(facts: Facts) -> str:
    return deployment_name(facts.deployment, facts.starlake_environment, host())


def attempt_of(context: Mapping[str, Any], facts: Facts, path: str) -> Attempt:
    """The attempt of a task instance.

    The data interval is the one that the start of the pipeline has decided, if datasets start it; else the one that the run's configuration
    sets (``sl_data_interval_start`` and ``sl_data_interval_end``), or the one that the core computes from the schedule and the run's date.
    Airflow's own interval is not used: it differs between versions, and runs that assets started have none.

    Args:
        context: the context of the task instance.
        facts: the facts of its pipeline.
        path: the path of the task.

    Raises:
        RunError: the configuration of the run cannot be read, or the run does nothing.
    """
    ti, dag_run = context["ti"], context["dag_run"]
    asked, told = current_run.get(), told_of(context, facts)
    if asked is not None:
        asked = replace(asked, instance=_instance(ti, dag_run), deployment=_deployment(facts))
        if told is not None:
            asked = replace(asked, interval=told.interval, options=overlay(told.variables, asked.options))
        return asked.attempt(path, str(ti.try_number))
    conf = dag_run.conf or {}
    variables = conf.get(VARIABLES) or {}
    if not isinstance(variables, Mapping):
        raise RunError(
            f"{VARIABLES} in the run's configuration must be an object of names and values, not {variables!r}"
        )
    interval = told.interval if told is not None else _asked_interval(conf, facts) or _untold(context, facts)
    if facts.start and interval.start.timestamp() == interval.end.timestamp():
        raise RunError(
            f"{facts.start} did not run, so nothing says which interval this run has; set {INTERVAL_START} and {INTERVAL_END} in its configuration"
        )
    index = ti.map_index
    run = Run(
        facts.pipeline_id or dag_run.dag_id,
        dag_run.run_id,
        interval,
        facts.zone,
        instance=_instance(ti, dag_run),
        deployment=_deployment(facts),
        variables=Variables({str(name): str(value) for name, value in variables.items()}),
        retry_unsafe=unsafe_word(conf.get(UNSAFE), f"{UNSAFE} of the run's configuration"),
        options=overlay({} if told is None else told.variables, given_options(context)),
    )
    return run.attempt(
        path,
        str(ti.try_number),
        partition=str(index) if index is not None and index >= 0 else "",
        # A clear raises the number of tries by those already used; a retry does not. This try is never from before a clear.
        generation=max(0, min(ti.max_tries - (context["task"].retries or 0), ti.try_number - 1)),
    )
