"""Asks the core whether a run that datasets started continues, and tells the tasks of the run what it decided.

The start of the DAG reads the events of the datasets, and what earlier runs recorded in the event of the DAG's own end. It leaves the decision
as its XCom, from which the other tasks take the interval and the variables, and the end takes what it records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from starlake_core import DataInterval, RunError
from starlake_core.freshness import ByHand, Decision, Event, FreshnessPolicy, Kind, Previous, decide, history_since
from starlake_core.model.run_options import OPTIONS, POLICIES, Sections, overlay
from starlake_core.orchestrators.events import INTERVAL_END, INTERVAL_START, read_event

from .versions import asset, date_before, events_of, is_cleared, pulled

__all__ = ["RECORD", "Answer", "Question", "Told", "ask", "describe", "now", "tell", "told_by"]

RECORD = "sl_freshness"
"""The key of what a run records, in the event of the own end."""

_NEWEST = 300
"""How many events of a dataset count before the first run, and of one that is new."""
_RECORDS = 50
"""How many events of its own end a run looks at; it needs the last one, and others only if others emit the same dataset."""
_EARLY = timedelta(days=1)
"""How long before its date an event may be published."""
_LATE = timedelta(hours=1)
"""How long after its time an event may become visible."""


def now() -> datetime:
    """The time of a decision."""
    return datetime.now(timezone.utc)


@dataclass(frozen=True)
class Question:
    """What a decision was made from. The same question has the same answer, whatever was loaded in the meantime.

    Attributes:
        now: the time of the decision.
        previous: what earlier runs left.
        since: for each dataset, by identity, from when on its events were read; the newest ones if it is missing.
        until: for each dataset the greatest id of an event that was read; None for a new question.
    """

    now: datetime
    previous: Previous | None
    since: Mapping[str, datetime]
    until: Mapping[str, int] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "now": self.now.isoformat(),
            "previous": None if self.previous is None else self.previous.to_json(),
            "since": {name: date.isoformat() for name, date in sorted(self.since.items())},
            "until": dict(sorted((self.until or {}).items())),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Question:
        """Read what :meth:`to_json` wrote.

        Raises:
            RunError: it is something else.
        """
        try:
            previous = data["previous"]
            return cls(
                datetime.fromisoformat(data["now"]),
                None if previous is None else Previous.from_json(previous),
                _dates(data["since"]),
                {str(name): int(last) for name, last in data["until"].items()},
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            raise RunError(f"{data!r} is not what a decision was made from") from None


@dataclass(frozen=True)
class Answer:
    """A decision, and what belongs to it.

    Attributes:
        question: what it was made from.
        decision: the decision.
        record: what the end of the DAG records; None for nothing.
    """

    question: Question
    decision: Decision
    record: Mapping[str, Any] | None = None


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


def _dates(data: Mapping[str, Any]) -> dict[str, datetime]:
    return {str(name): datetime.fromisoformat(date) for name, date in data.items()}


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
    run = context["dag_run"]
    records = list(_records(context, dag_id))
    if is_cleared(run):
        own = _record_of(run.run_id, records)
        if own is None and len(records) >= _RECORDS:
            own = _record_of(run.run_id, _records(context, dag_id, date_before(run)))
        if own is not None:
            return _answer(context, policy, Question.from_json(own.get("question") or {}), by_hand)
    previous, kept = None, {}
    for _, record in records:
        left = Previous.from_json(record.get("previous"))
        # A task that was cleared records again what it recorded before, so the newest event does not count.
        if previous is None or left.decided > previous.decided:
            previous, kept = left, _dates(record.get("since") or {})
    return _answer(context, policy, Question(now(), previous, _since(policy, previous, kept)), by_hand)


def _records(
    context: Mapping[str, Any], dag_id: str, since: datetime | None = None
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Run id and record of the ends of the DAG, the newest first: the last few, or all since a date."""
    for event in events_of(context, asset(dag_id, dag_id), since=since, newest=_RECORDS if since is None else None):
        record = (event.extra or {}).get(RECORD)
        if isinstance(record, Mapping) and event.source_dag_id == dag_id:
            yield str(event.source_run_id), record


def _record_of(run_id: str, records: Iterable[tuple[str, Mapping[str, Any]]]) -> Mapping[str, Any] | None:
    """The newest record of a run; None if there is none."""
    return next((record for found, record in records if found == run_id), None)


def _since(policy: FreshnessPolicy, previous: Previous | None, kept: Mapping[str, datetime]) -> dict[str, datetime]:
    """From when on the events of each dataset are needed; a dataset is missing if its newest ones are.

    Args:
        policy: what the pipeline asks of its datasets.
        previous: what the last run left.
        kept: for each dataset the time of the oldest event that no run has seen, or of the last that one has.
    """
    if previous is None and policy.start is None:
        return {}
    found = {}
    for name, dated in history_since(policy, previous).items():
        dates = [] if dated is None else [dated - _EARLY]
        if previous is not None:
            if name not in kept:
                continue
            dates.append(kept[name] - _LATE)
        found[name] = min(dates)
    return found


def _events(
    context: Mapping[str, Any], policy: FreshnessPolicy, question: Question
) -> tuple[dict[str, list[Event]], str]:
    """The events that a decision is made from, by the identity of their dataset; and why the run variables of the newest event of a dataset
    cannot be read."""
    found: dict[str, list[Event]] = {}
    wrong: dict[str, str] = {}
    for dataset in policy.datasets:
        name = dataset.identity
        since = question.since.get(name)
        read = events_of(
            context, asset(dataset.name, dataset.uri), since=since, newest=_NEWEST if since is None else None
        )
        last = None if question.until is None else question.until.get(name, -1)
        made = [_event(dataset.uri, event) for event in read if last is None or event.id <= last]
        found[name] = [event for event, _ in made]
        wrong[name] = max(made, key=lambda pair: pair[0].id, default=(None, ""))[1]
    return found, next((problem for _, problem in sorted(wrong.items()) if problem), "")


def _event(uri: str, event: Any) -> tuple[Event, str]:
    """An event, and why its run variables cannot be read: anybody may write there, and must not stop the pipeline for good."""
    extra = event.extra or {}
    try:
        return read_event(uri, extra, event.id, event.timestamp), ""
    except RunError as error:
        kept = {name: value for name, value in extra.items() if name not in (OPTIONS, POLICIES)}
        return read_event(uri, kept, event.id, event.timestamp), str(error)


def _answer(context: Mapping[str, Any], policy: FreshnessPolicy, question: Question, by_hand: ByHand | None) -> Answer:
    events, wrong = _events(context, policy, question)
    everything = [event for found in events.values() for event in found]
    decision = decide(policy, everything, question.previous, question.now, by_hand)
    if wrong and decision.kind is Kind.RUN and by_hand is None and not decision.error:
        decision = replace(decision, error=wrong, after=None)
    until = {name: max(event.id for event in found) for name, found in events.items() if found}
    # When the question is asked again, these are no longer among the newest ones.
    first = {name: min(event.published for event in found) for name, found in events.items() if found}
    question = Question(question.now, question.previous, {**first, **question.since}, until)
    after = decision.after
    if after is None:
        return Answer(question, decision)
    since = {name: _needed(found, after.seen.get(name)) for name, found in events.items() if found}
    record = {
        "previous": after.to_json(),
        "since": {name: date.isoformat() for name, date in sorted(since.items())},
        "question": question.to_json(),
    }
    return Answer(question, decision, record)


def _needed(events: Sequence[Event], seen: int | None) -> datetime:
    """The time of the oldest event of a dataset that the next decision needs, besides those that it needs for their dates."""
    unseen = [event.published for event in events if seen is None or event.id > seen]
    last = max((event for event in events if seen is not None and event.id <= seen), key=lambda e: e.id, default=None)
    return min([*unseen, *([] if last is None else [last.published])])


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
            made["masked"] = True
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
        # An XCom shows no secrets, so the question is asked again.
        question = Question.from_json(record["question"])
        variables = _answer(context, policy, question, by_hand).decision.variables
    return Told(interval, variables, record)


def describe(kept: Mapping[str, Any]) -> str:
    """The decision in words, from what the start told: a line for the pipeline and one for each dataset."""
    lines = [f"{str(kept.get('decision')).upper()}: {kept.get('error') or kept.get('why')}"]
    lines += [f"{reason['dataset']}: {reason['state']}, {reason['text']}" for reason in kept.get("reasons") or ()]
    return "\n".join(lines)
