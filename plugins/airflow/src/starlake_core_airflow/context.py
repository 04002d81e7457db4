"""Turns what Airflow says about a task instance into the core's :class:`Attempt`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone, tzinfo
from typing import Any

from starlake_core import Attempt, DataInterval, Pipeline, Run, RunError, TriggerPolicy, data_interval
from starlake_core.logs import get_logger
from starlake_core.model.identity import deployment_name, instance_of
from starlake_core.model.run import unsafe_word
from starlake_core.model.run_options import OPTIONS, POLICIES, Carried, Sections, merge, overlay, read_sections
from starlake_core.orchestrators.events import INTERVAL_END, INTERVAL_START, read_carried, read_interval
from starlake_core.orchestrators.freshness import Decision, Event, decide

from .conf import UNSAFE, VARIABLES
from .versions import execution_mark, get_variable, host, lasting_id, run_date, triggering_events

__all__ = [
    "UNREAD",
    "Facts",
    "Variables",
    "attempt_of",
    "current_run",
    "decision_of",
]

logger = get_logger(__name__)

current_run: ContextVar[Run | None] = ContextVar("starlake_core_airflow_run", default=None)
"""The requested run, if the DAG runs in this process."""


@dataclass(frozen=True)
class Facts:
    """What the tasks of a pipeline must know about it at run time.

    Attributes:
        pipeline_id: the id of the DAG; empty for a task in a DAG that is not ours.
        cron: the cron expression of the schedule, or the cycle of its datasets.
        zone: the time zone of the schedule.
        on_events: whether datasets start the pipeline.
        policy: when they do.
        deployment: the user's name for the deployment.
        starlake_environment: the value of ``SL_ENV``.
    """

    pipeline_id: str
    cron: str | None
    zone: tzinfo
    on_events: bool
    policy: TriggerPolicy
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
            trigger is not None,
            pipeline.policy,
            pipeline.deployment,
            pipeline.starlake_environment,
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


def _asked_interval(conf: Mapping[str, Any]) -> DataInterval | None:
    if INTERVAL_END not in conf:
        return None
    end = _date(conf[INTERVAL_END], INTERVAL_END)
    return DataInterval(_date(conf.get(INTERVAL_START, end), INTERVAL_START), end)


def _events(context: Mapping[str, Any]) -> list[Event]:
    found = []
    for uri, event in triggering_events(context):
        try:
            interval = read_interval(event.extra or {})
        except RunError as error:
            logger.warning("the interval of an event of %s cannot be read: %s", uri, error)
            interval = None
        found.append(Event(uri, interval, event.timestamp))
    return found


def _options(context: Mapping[str, Any], facts: Facts) -> Sections:
    """The substitution variables of a run: those of its configuration override those of the events that started it.

    Raises:
        RunError: they cannot be read, or the events disagree.
    """
    asked = read_sections((context["dag_run"].conf or {}).get(OPTIONS), f"{OPTIONS} of the run's configuration")
    if not facts.on_events:
        return asked
    events = [read_carried(uri, event.extra or {}) for uri, event in triggering_events(context)]
    if not any(event.sections for event in events):
        return asked
    own = Carried(f"the option {POLICIES}", {}, facts.policy.merge)
    how = f'Start the runs one by one, each with its values in the configuration: {{"{OPTIONS}": ...}}.'
    return overlay(merge([own, *events], how)[0], asked)


def decision_of(context: Mapping[str, Any], facts: Facts) -> Decision:
    """The core's decision about the events that started a run.

    Args:
        context: the context of the task instance.
        facts: the facts of its pipeline.
    """
    return decide(facts.policy, _events(context), _created(context))


def _created(context: Mapping[str, Any]) -> datetime:
    date = getattr(context["dag_run"], "run_after", None) or run_date(context)
    return date.astimezone(timezone.utc)


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

    The data interval is the one that the run's configuration sets (``sl_data_interval_start`` and ``sl_data_interval_end``), or that of
    the events that started it, or the one that the core computes from the schedule and the run's date. Airflow's own interval is not used: it
    differs between versions, and runs that assets started have none.

    Args:
        context: the context of the task instance.
        facts: the facts of its pipeline.
        path: the path of the task.

    Raises:
        RunError: the configuration of the run cannot be read.
    """
    ti, dag_run = context["ti"], context["dag_run"]
    asked = current_run.get()
    if asked is not None:
        asked = replace(asked, instance=_instance(ti, dag_run), deployment=_deployment(facts))
        return asked.attempt(path, str(ti.try_number))
    conf = dag_run.conf or {}
    variables = conf.get(VARIABLES) or {}
    if not isinstance(variables, Mapping):
        raise RunError(
            f"{VARIABLES} in the run's configuration must be an object of names and values, not {variables!r}"
        )
    interval = _asked_interval(conf)
    if interval is None:
        events = _events(context) if facts.on_events else []
        interval = (
            decide(facts.policy, events, _created(context)).interval
            if events
            else data_interval(facts.cron, run_date(context), facts.zone)
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
        options=_options(context, facts),
    )
    return run.attempt(
        path,
        str(ti.try_number),
        partition=str(index) if index is not None and index >= 0 else "",
        # A clear raises the number of tries by those already used; a retry does not. This try is never from before a clear.
        generation=max(0, min(ti.max_tries - (context["task"].retries or 0), ti.try_number - 1)),
    )
