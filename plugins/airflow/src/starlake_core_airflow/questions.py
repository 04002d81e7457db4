"""What a decision is made from, and what a run records of it. It imports nothing of Airflow: tasks read the events through their context, and
the command line reads them through the API of a server.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from starlake_core import DataInterval, RunError
from starlake_core.freshness import ByHand, Decision, Event, FreshnessPolicy, Kind, Previous, decide, history_since
from starlake_core.masking import mask_mapping
from starlake_core.model.run_options import OPTIONS, POLICIES, Sections
from starlake_core.orchestrators.events import read_event

__all__ = [
    "RECORD",
    "RECORDS",
    "Answer",
    "Question",
    "Reader",
    "answered",
    "event_of",
    "new_question",
    "read_events",
    "read_secrets",
    "records_of",
]

RECORD = "sl_freshness"
"""The key of what a run records, in the event of the own end."""

RECORDS = 50
"""How many events of its own end a run looks at; it needs the last one, and others only if others emit the same dataset."""
_NEWEST = 300
"""How many events of a dataset count before the first run, and of one that is new."""
_EARLY = timedelta(days=1)
"""How long before its date an event may be published."""
_LATE = timedelta(hours=1)
"""How long after its time an event may become visible."""


class Reader(Protocol):
    """Reads the events of an asset, the newest first. They have Airflow's names: id, timestamp, extra, source_dag_id, source_run_id."""

    def __call__(
        self, name: str, uri: str, *, since: datetime | None = None, newest: int | None = None
    ) -> Iterable[Any]:
        """Read them.

        Args:
            name: the name of the asset.
            uri: its URI.
            since: leaves out older events.
            newest: how many to read at most; None for all.
        """
        ...


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
        secretive: the datasets, by identity, whose events have to be read again for the variables that are secret.
    """

    question: Question
    decision: Decision
    record: Mapping[str, Any] | None = None
    secretive: tuple[str, ...] = ()


def _dates(data: Mapping[str, Any]) -> dict[str, datetime]:
    return {str(name): datetime.fromisoformat(date) for name, date in data.items()}


def _kept(data: Any) -> dict[str, datetime]:
    """The dates in a record. The API of a server hides the values of names that look like secrets; the newest events of these datasets count."""
    found = {}
    for name, date in (data if isinstance(data, Mapping) else {}).items():
        with suppress(ValueError, TypeError):
            found[str(name)] = datetime.fromisoformat(date)
    return found


def records_of(read: Reader, dag_id: str, since: datetime | None = None) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Run id and record of the ends of a DAG, the newest first: the last few, or all since a date.

    Args:
        read: reads events.
        dag_id: the id of the DAG, which is also its own dataset.
        since: the date.
    """
    for event in read(dag_id, dag_id, since=since, newest=RECORDS if since is None else None):
        record = (event.extra or {}).get(RECORD)
        if isinstance(record, Mapping) and event.source_dag_id == dag_id:
            yield str(event.source_run_id), record


def new_question(policy: FreshnessPolicy, records: Iterable[tuple[str, Mapping[str, Any]]], now: datetime) -> Question:
    """The question of a decision at a time.

    Args:
        policy: what the pipeline asks of its datasets.
        records: what earlier runs recorded, see :func:`records_of`.
        now: the time.

    Raises:
        RunError: a record cannot be read.
    """
    previous, kept = None, {}
    for _, record in records:
        left = Previous.from_json(record.get("previous"))
        # A task that was cleared records again what it recorded before, so the newest event does not count.
        if previous is None or left.decided > previous.decided:
            previous, kept = left, _kept(record.get("since"))
    return Question(now, previous, _since(policy, previous, kept))


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


def read_events(
    read: Reader, policy: FreshnessPolicy, question: Question, only: Collection[str] | None = None
) -> tuple[dict[str, list[Event]], str]:
    """The events that a decision is made from, by the identity of their dataset; and why the run variables of the newest event of a dataset
    cannot be read.

    Args:
        read: reads events.
        policy: what the pipeline asks of its datasets.
        question: the question.
        only: the datasets to read, by identity; None for all.
    """
    found: dict[str, list[Event]] = {}
    wrong: dict[str, str] = {}
    for dataset in policy.datasets:
        name = dataset.identity
        if only is not None and name not in only:
            continue
        since = question.since.get(name)
        events = read(dataset.name, dataset.uri, since=since, newest=_NEWEST if since is None else None)
        last = None if question.until is None else question.until.get(name, -1)
        made = [event_of(dataset.uri, event) for event in events if last is None or event.id <= last]
        found[name] = [event for event, _ in made]
        wrong[name] = max(made, key=lambda pair: pair[0].id, default=(None, ""))[1]
    return found, next((problem for _, problem in sorted(wrong.items()) if problem), "")


def event_of(uri: str, event: Any) -> tuple[Event, str]:
    """An event, and why its run variables cannot be read: anybody may write there, and must not stop the pipeline for good.

    Args:
        uri: the URI of its dataset.
        event: the event as Airflow has it.
    """
    extra = event.extra or {}
    try:
        return read_event(uri, extra, event.id, event.timestamp), ""
    except RunError as error:
        kept = {name: value for name, value in extra.items() if name not in (OPTIONS, POLICIES)}
        return read_event(uri, kept, event.id, event.timestamp), str(error)


def answered(read: Reader, policy: FreshnessPolicy, question: Question, by_hand: ByHand | None) -> Answer:
    """The decision about a question.

    Args:
        read: reads events.
        policy: what the pipeline asks of its datasets.
        question: the question.
        by_hand: set if somebody asks for the run.
    """
    events, wrong = read_events(read, policy, question)
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
    return Answer(question, decision, record, _secretive(policy, decision, events))


def _secretive(policy: FreshnessPolicy, decision: Decision, events: Mapping[str, Sequence[Event]]) -> tuple[str, ...]:
    """The datasets that carry variables of a decision that are secret."""
    secret = {
        (section, name)
        for section, values in decision.variables.items()
        for name, shown in mask_mapping(values).items()
        if shown != values[name]
    }
    if not secret:
        return ()
    if any(event.zone not in ("", str(policy.zone)) for found in events.values() for event in found):
        return tuple(sorted(events))  # the zone of one dataset may decide about the events of another
    carried = {
        name: {(section, one) for event in found for section, values in event.variables.items() for one in values}
        for name, found in events.items()
    }
    return tuple(sorted(name for name, theirs in carried.items() if theirs & secret))


def read_secrets(
    read: Reader, policy: FreshnessPolicy, question: Question, decided: DataInterval, names: Collection[str]
) -> Sections:
    """The variables of a decision that are secret, from the events of the datasets that carry them.

    Args:
        read: reads events.
        policy: what the pipeline asks of its datasets.
        question: what the decision was made from.
        decided: the interval of the decision.
        names: the datasets, see :class:`Answer`.
    """
    events, _ = read_events(read, policy, question, names)
    everything = [event for found in events.values() for event in found]
    # The interval says which events count, as it did then.
    found = decide(policy, everything, question.previous, question.now, ByHand(interval=decided)).variables
    return {
        section: {name: values[name] for name, shown in mask_mapping(values).items() if shown != values[name]}
        for section, values in found.items()
    }


def _needed(events: Sequence[Event], seen: int | None) -> datetime:
    """The time of the oldest event of a dataset that the next decision needs, besides those that it needs for their dates."""
    unseen = [event.published for event in events if seen is None or event.id > seen]
    last = max((event for event in events if seen is not None and event.id <= seen), key=lambda e: e.id, default=None)
    return min([*unseen, *([] if last is None else [last.published])])
