"""Asks the core whether a run that datasets started continues, and tells the tasks of the run what it decided.

The start of the DAG reads the events of the datasets, and what earlier runs recorded in the event of the DAG's own end. It leaves the decision
as its XCom, from which the other tasks take the interval and the variables, and the end takes what it records.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from starlake_core import DataInterval, RunError
from starlake_core.freshness import ByHand, FreshnessPolicy, Kind
from starlake_core.model.run_options import Sections, overlay
from starlake_core.orchestrators.events import INTERVAL_END, INTERVAL_START

from . import questions
from .questions import Answer, Question, Reader, answered, new_question, read_secrets, records_of
from .versions import asset, date_before, events_of, is_cleared, pulled

__all__ = ["Told", "ask", "describe", "now", "tell", "told_by"]


def now() -> datetime:
    """The time of a decision."""
    return datetime.now(timezone.utc)


@dataclass(frozen=True)
class Told:
    """What the start tells the other tasks of its run.

    Attributes:
        interval: the data interval.
        variables: the run variables, in sections.
        record: what the end of the DAG records; None for nothing.
    """

    interval: DataInterval
    variables: Sections = field(default_factory=dict)
    record: Mapping[str, Any] | None = None


def ask(context: Mapping[str, Any], policy: FreshnessPolicy, dag_id: str, by_hand: ByHand | None) -> Answer:
    """Decide what a run does. It reads the events of each dataset once, and those of the own end once.

    A run that was cleared after it had succeeded gets the decision that it had, however long ago that was.

    Args:
        context: the context of the task instance.
        policy: what the pipeline asks of its datasets.
        dag_id: the id of the DAG, which is also its own dataset.
        by_hand: set if somebody asks for the run.

    Raises:
        RunError: what a run has recorded cannot be read.
    """
    run, read = context["dag_run"], _reader(context)
    records = list(records_of(read, dag_id))
    if is_cleared(run):
        own = _record_of(run.run_id, records)
        if own is None and len(records) >= questions.RECORDS:
            own = _record_of(run.run_id, records_of(read, dag_id, date_before(run)))
        if own is not None:
            return answered(read, policy, Question.from_json(own.get("question") or {}), by_hand)
    return answered(read, policy, new_question(policy, records, now()), by_hand)


def _reader(context: Mapping[str, Any]) -> Reader:
    def read(name: str, uri: str, *, since: datetime | None = None, newest: int | None = None) -> Iterable[Any]:
        return events_of(context, asset(name, uri), since=since, newest=newest)

    return read


def _record_of(run_id: str, records: Iterable[tuple[str, Mapping[str, Any]]]) -> Mapping[str, Any] | None:
    """The newest record of a run; None if there is none."""
    return next((record for found, record in records if found == run_id), None)


def tell(answer: Answer, start: str, end: str, given: Sections) -> dict[str, Any]:
    """What the start leaves for its readers and for the other tasks of its run. Secrets are masked.

    Args:
        answer: what was decided.
        start, end: the data interval, as it is read in the zone of the pipeline; empty if there is none.
        given: the variables in the configuration of the run, which all tasks know.
    """
    decision = answer.decision
    made = decision.to_json()
    if decision.kind is Kind.RUN:
        made |= {INTERVAL_START: start, INTERVAL_END: end, "record": answer.record}
        if overlay(made["variables"], given) != overlay(decision.variables, given):
            made["masked"] = list(answer.secretive)
    return made


def told_by(context: Mapping[str, Any], policy: FreshnessPolicy, start: str, by_hand: ByHand | None) -> Told | None:
    """What the start told the other tasks of its run; None if it told nothing, because it was left out.

    Args:
        context: the context of the task instance.
        policy: what the pipeline asks of its datasets.
        start: the id of the start.
        by_hand: set if somebody asks for the run.

    Raises:
        RunError: the run does nothing.
    """
    kept = pulled(context, start)
    if not isinstance(kept, Mapping):
        return None
    if kept.get(INTERVAL_END) is None:
        raise RunError(
            f"{start} decided that this run does nothing: {kept.get('why') or kept.get('reason')}. "
            "To process what is there, trigger the DAG by hand"
        )
    interval = DataInterval(
        datetime.fromisoformat(kept[INTERVAL_START]),
        datetime.fromisoformat(kept[INTERVAL_END]),
    )
    variables, record = kept.get("variables") or {}, kept.get("record")
    if kept.get("masked") and record is not None:
        # An XCom shows no secrets, so the events that brought them are read again.
        decided = DataInterval(*(datetime.fromisoformat(kept[f"interval_{edge}"]) for edge in ("start", "end")))
        question = Question.from_json(record["question"])
        secrets = read_secrets(_reader(context), policy, question, decided, kept["masked"])
        variables = overlay(overlay(variables, secrets), {} if by_hand is None else by_hand.variables)
    return Told(interval, variables, record)


def describe(kept: Mapping[str, Any]) -> str:
    """The decision in words, from what the start told, as Markdown: a sentence for the pipeline and an item for each dataset."""
    sentence = f"{str(kept.get('decision')).upper()}: {kept.get('error') or kept.get('why')}"
    items = [f"- {reason['dataset']}: {reason['state']}, {reason['text']}" for reason in kept.get("reasons") or ()]
    return "\n".join([sentence, *(["", *items] if items else [])])
