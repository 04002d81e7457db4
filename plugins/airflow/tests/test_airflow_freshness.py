"""Data-aware scheduling in a real Airflow: the decision, the interval and the variables of the core, and what a run shows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from airflow_freshness import counting, lineage, pipeline_of, prepare, publish, run
from airflow_runs import AIRFLOW_3, draw, events, known, program, run_dag, state, states, xcoms
from breadth import ON_EVERY_VERSION
from freshness_backends import BackEnd, Found, FreshnessScenarios
from freshness_cases import SCENARIOS, date, uri_of
from starlake_core_airflow import deciding, questions
from starlake_core_airflow.conf import CHECK
from starlake_core_airflow.deciding import ask, tell, told_by
from starlake_core_airflow.listener import on_dag_run_success
from starlake_core_airflow.questions import RECORD, Question
from starlake_core_airflow.versions import skip_tasks

from starlake_core import DataInterval, StarlakeDataset, StarlakePipeline
from starlake_core.freshness import FreshnessPolicy, Kind
from starlake_core.testing import StandIn

pytest_plugins = ["starlake_core.testing.plugin"]

WHOLE = ("two datasets disagree, merge policy union", "same dataset twice: the newest value")
"""The scenarios whose runs are not only decided."""
UTC = timezone.utc
FIRST = {"a": {"cron": "0 0 * * *"}, "b": {"cron": "0 2 * * *"}}


class AirflowHost(BackEnd):
    """The start of a DAG in a run of ``dag.test``, with prepared events.

    Args:
        root: a folder for a pipeline.
        stand_in: what its commands run.
        patch: sets the clock.
    """

    without: ClassVar[Mapping[str, str]] = {
        "a cron that never fires is none": "a pipeline file cannot have such a cron"
    }

    def __init__(self, root: Path, stand_in: StandIn, patch: pytest.MonkeyPatch) -> None:
        self._root, self._stand_in, self._patch = root, stand_in, patch

    def found(self, scenario: Mapping[str, Any]) -> Found:
        whole = scenario["name"] in WHOLE
        pipeline = pipeline_of(self._root / "scenario", scenario, program(self._stand_in))
        prepare(scenario, pipeline)
        with counting() as reads:
            done = run(scenario, pipeline, self._patch, whole)
        assert reads.count == len(scenario["datasets"]) + 1
        told = xcoms(done)["start"]
        if told["error"]:
            assert state(done) == "failed"
        elif told["decision"] != "run":
            assert set(states(done).values()) == {"skipped"}
            assert state(done) == "success"
        if whole:
            (call,) = self._stand_in.calls()
            ((name, value),) = told["variables"]["all"].items()
            assert f"{name}={value}" in call.arguments[-1]
            assert f"sl_data_interval_end='{told['sl_data_interval_end']}'" in call.arguments[-1]
        shown: dict[str, list[str]] = {}
        for reason in told["reasons"]:
            shown.setdefault(reason["state"], []).append(reason["dataset"])
        edges = [date(told[name]) for name in ("sl_data_interval_start", "sl_data_interval_end") if told.get(name)]
        return Found(
            Kind(told["decision"]),
            DataInterval(*edges) if edges else None,
            told["variables"],
            bool(told["error"]),
            shown.get("missing", []),
            told["replay"],
            shown,
        )


def kind_of(scenario: Mapping[str, Any]) -> tuple[object, ...]:
    """What a scenario has of what the versions of Airflow store differently: events, records, variables, and how the run ends."""
    expected = scenario["expect"]
    return (
        expected["decision"],
        "error" in expected,
        "variables" in expected,
        expected.get("replay", False),
        scenario["previous"] is None,
        min(len(scenario["datasets"]), 2),
        min(len(scenario["events"]), 3),
    )


FIRST_OF_EACH_KIND = {kind_of(scenario): scenario["name"] for scenario in reversed(SCENARIOS)}.values()


class TestAirflow(FreshnessScenarios):
    """Airflow 3 decides all of them after each commit, 2.11 the first of each kind, and all of them in the matrix."""

    @pytest.fixture
    def back_end(
        self, scenario: Mapping[str, Any], tmp_path: Path, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
    ) -> BackEnd:
        if not (AIRFLOW_3 or ON_EVERY_VERSION or scenario["name"] in {*FIRST_OF_EACH_KIND, *WHOLE}):
            pytest.skip("decided on Airflow 3; on 2.11 too with STARLAKE_ON_EVERY_VERSION=1, as the matrix has it")
        return AirflowHost(tmp_path, stand_in, monkeypatch)


# -- several runs of one pipeline


def load(dataset: str, end: datetime, hours: int = 24, **more: Any) -> int:
    """A dataset was loaded just after the end of its interval."""
    extra = {
        "sl_data_interval_start": (end - timedelta(hours=hours)).isoformat(),
        "sl_data_interval_end": end.isoformat(),
        **more,
    }
    return publish(uri_of(dataset), end + timedelta(minutes=20), extra)


def of(root: Path, stand_in: StandIn, **given: Any) -> StarlakePipeline:
    """A pipeline with two datasets that are loaded every day."""
    pipeline = pipeline_of(root, {"policy": {}, "datasets": FIRST}, {**program(stand_in), **given})
    prepare({"events": [], "previous": None}, pipeline)
    return pipeline


def at(moment: datetime, pipeline: StarlakePipeline, clock: pytest.MonkeyPatch) -> Any:
    """A run of a pipeline at a time, as though datasets had started it."""
    clock.setattr(deciding, "now", lambda: moment)
    return run_dag(pipeline.native, moment, {CHECK: True})


def test_each_run_goes_on_where_the_one_before_it_ended(
    tmp_path: Path, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = of(tmp_path / "days", stand_in)
    found = []
    for day in (4, 5):
        midnight = datetime(2026, 3, day, tzinfo=UTC)
        load("a", midnight)
        found.append(at(midnight + timedelta(minutes=21), pipeline, monkeypatch))
        load("b", midnight + timedelta(hours=2))
        found.append(at(midnight + timedelta(hours=2, minutes=21), pipeline, monkeypatch))
        found.append(at(midnight + timedelta(hours=2, minutes=22), pipeline, monkeypatch))
    assert [xcoms(run)["start"]["decision"] for run in found] == ["wait", "run", "skip"] * 2
    assert [len(events(run)) for run in found] == [0, 2, 0] * 2
    assert {state(run) for run in found} == {"success"}
    intervals = [call.arguments[-1] for call in stand_in.calls()]
    assert len(intervals) == 2
    for day, options in zip((3, 4), intervals, strict=True):
        assert f"sl_data_interval_start='2026-03-0{day}T00:00:00+00:00'" in options
        assert f"sl_data_interval_end='2026-03-0{day + 1}T00:00:00+00:00'" in options

    # A run that waits shows the reasons of every dataset in its note; the scheduler writes it.
    with create_session() as session:
        waited = session.get(DagRun, found[0].id)
        on_dag_run_success(dag_run=waited, msg="")
        if AIRFLOW_3:  # on 2.11 a note refers to a table of users, which this process does not know
            assert waited.note.startswith("WAIT: it waits for its data: starlake://x/b")
            assert "starlake://x/a: present, loaded for 2026-03-04" in waited.note
            assert "starlake://x/b: missing" in waited.note


def test_a_secret_reaches_the_command_and_is_shown_nowhere(
    tmp_path: Path, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pipeline = of(tmp_path / "secret", stand_in)
    midnight = datetime(2026, 3, 4, tzinfo=UTC)
    load("a", midnight, sl_options={"all": {"api_token": "sesame-open", "batch": "b7"}})
    load("b", midnight + timedelta(hours=2))
    found = at(midnight + timedelta(hours=2, minutes=21), pipeline, monkeypatch)
    (call,) = stand_in.calls()
    assert "api_token=sesame-open" in call.arguments[-1]
    assert "batch=b7" in call.arguments[-1]
    told = xcoms(found)["start"]
    assert told["variables"]["all"]["batch"] == "b7"
    assert "sesame-open" not in str(told)
    assert "sesame-open" not in "".join(capfd.readouterr())
    # What the end records for the next run has no secrets either.
    assert "sesame-open" not in str(events(found)[pipeline.id][RECORD])


def test_variables_that_contradict_each_other_fail_the_run_and_move_nothing(
    tmp_path: Path, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = of(tmp_path / "conflict", stand_in)
    midnight = datetime(2026, 3, 4, tzinfo=UTC)
    for number, (name, hours) in enumerate((("a", 0), ("b", 2))):
        load(name, midnight + timedelta(hours=hours), sl_options={"all": {"batch": str(number)}})
    later = midnight + timedelta(hours=2, minutes=21)
    failed = at(later, pipeline, monkeypatch)
    assert state(failed) == "failed"
    assert "one run has one value" in xcoms(failed)["start"]["error"]
    assert not stand_in.calls()
    # By hand wins.
    asked = run_dag(pipeline.native, later + timedelta(minutes=1), {"sl_options": {"all": {"batch": "2"}}})
    assert state(asked) == "success"
    assert "batch=2" in stand_in.calls()[-1].arguments[-1]
    assert xcoms(asked)["start"]["sl_data_interval_end"] == "2026-03-04T00:00:00+00:00"


def test_nothing_runs_in_a_run_that_waits_whatever_its_rule(
    tmp_path: Path, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in a pipeline whose author drew neither a start nor an end."""

    def build(pipeline: StarlakePipeline) -> None:
        total = pipeline.sl_transform("total", "kpi.total")
        total >> pipeline.sl_transform("anyway", "kpi.anyway", trigger_rule="all_done")
        pipeline.sl_transform("alone", "kpi.alone")

    pipeline = draw(tmp_path / "bare", build, program(stand_in), dependencies=lineage(FIRST))
    prepare({"events": [], "previous": None}, pipeline)
    assert set(pipeline.native.task_ids) == {"start", "total", "anyway", "alone", "end"}
    midnight = datetime(2026, 3, 4, tzinfo=UTC)
    load("a", midnight)
    waited = at(midnight + timedelta(hours=1), pipeline, monkeypatch)
    assert set(states(waited).values()) == {"skipped"}
    load("b", midnight + timedelta(hours=2))
    done = at(midnight + timedelta(hours=3), pipeline, monkeypatch)
    assert set(states(done).values()) == {"success"}
    assert len(stand_in.calls()) == 3
    assert xcoms(at(midnight + timedelta(hours=4), pipeline, monkeypatch))["start"]["decision"] == "skip"


@pytest.mark.skipif(AIRFLOW_3, reason="the API server of 3.x sees to it")
def test_what_has_succeeded_is_not_skipped_when_only_the_start_is_cleared(tmp_path: Path, stand_in: StandIn) -> None:
    pipeline = of(tmp_path / "cleared", stand_in)
    load("a", datetime(2026, 3, 4, tzinfo=UTC))
    found = run_dag(pipeline.native)
    assert set(states(found).values()) == {"success"}
    ti = found.get_task_instance("end")
    ti.set_state("scheduled")
    skip_tasks({"dag_run": found}, ["kpi_total", "end"])
    assert states(found) == {"start": "success", "kpi_total": "success", "end": "skipped"}


def test_a_selected_task_has_the_interval_that_the_start_decides(tmp_path: Path, stand_in: StandIn) -> None:
    pipeline = of(tmp_path / "selected", stand_in)
    load("a", datetime(2026, 3, 4, tzinfo=UTC))
    report = pipeline.run(select=("kpi_total",))
    assert [(task.id, str(task.state)) for task in report.tasks] == [
        ("start", "excluded"),
        ("kpi_total", "success"),
        ("end", "excluded"),
    ]
    (call,) = stand_in.calls()
    start, end = (call.arguments[-1].split(f"sl_data_interval_{name}='")[1].split("'")[0] for name in ("start", "end"))
    assert start < end


def test_a_task_without_a_start_is_refused_unless_the_interval_is_given(tmp_path: Path, stand_in: StandIn) -> None:
    """Somebody marks the start as successful, or tests one task."""
    scenario = {"policy": {}, "datasets": {"r": {}}}
    pipeline = pipeline_of(tmp_path / "marked", scenario, program(stand_in))
    dag = known(pipeline.native)
    assert state(dag.test(mark_success_pattern="start")) == "failed"
    assert not stand_in.calls()
    asked = {"sl_data_interval_start": day(3).isoformat(), "sl_data_interval_end": day(4).isoformat()}
    assert state(dag.test(run_conf=asked, mark_success_pattern="start")) == "success"
    assert len(stand_in.calls()) == 1


# -- what a DAG looks like


def conditions(dag: Any) -> str:
    """The condition on which a DAG starts."""
    found = getattr(dag.timetable, "asset_condition", None) or dag.timetable.dataset_condition
    return shown(found)


def shown(node: Any) -> str:
    if hasattr(node, "uri"):
        return str(node.uri).rpartition("/")[2]
    sign = " & " if "All" in type(node).__name__ else " | "
    return f"({sign.join(shown(part) for part in node.objects)})"


@pytest.mark.parametrize(
    ("policy", "condition"),
    [
        ({}, "(a | b | c)"),
        ({"wake": "all"}, "(a & b & c)"),
        ({"wake": "a & (b | c)"}, "(a & (b | c))"),
        ({"wake": "all", "optional": True, "cycle": "daily"}, "(a & b)"),
    ],
)
def test_the_triggering_strategy_is_a_condition_of_airflow(tmp_path: Path, policy: Any, condition: str) -> None:
    scenario = {"policy": policy, "datasets": {**FIRST, "c": {"cron": "0 0 1 * *"}}}
    dag = pipeline_of(tmp_path / "dag", scenario, {}).native
    assert conditions(dag) == condition
    assert {asset.uri.rpartition("/")[2] for asset in dag.task_dict["start"].inlets} == {"a", "b", "c", dag.dag_id}
    assert dag.max_active_runs == 1


def test_one_run_at_a_time_whatever_the_option_says(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    scenario = {"policy": {}, "datasets": FIRST}
    assert pipeline_of(tmp_path / "dag", scenario, {"max_active_runs": 4}).native.max_active_runs == 1
    assert "one run is active at a time" in caplog.text


# -- what earlier runs recorded


class History:
    """The events of a pipeline with the dataset ``a``, as its tasks read them.

    Args:
        patch: pytest's.
    """

    policy = FreshnessPolicy((StarlakeDataset("a", "0 0 * * *"),))

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.events: dict[str, list[Any]] = {"a": [], "dag": []}
        self.created: dict[str, datetime] = {}
        patch.setattr(deciding, "events_of", self._read)
        self._patch = patch

    def _read(self, context: Any, inlet: Any, since: datetime | None = None, newest: int | None = None) -> list[Any]:
        found = [event for event in self.events[inlet.uri] if since is None or event.timestamp >= since]
        return sorted(found, key=lambda event: event.timestamp, reverse=True)[:newest]

    def add(self, name: str, moment: datetime, extra: Any, run_id: str = "") -> None:
        """Publish an event."""
        made = SimpleNamespace(
            id=len(self.events[name]) + 1, timestamp=moment, extra=extra, source_dag_id="dag", source_run_id=run_id
        )
        self.events[name].append(made)

    def decide(self, run_id: str, moment: datetime, cleared: int = 0) -> Any:
        """A run decides; if it goes on, it succeeds."""
        self._patch.setattr(deciding, "now", lambda: moment)
        created = self.created.setdefault(run_id, moment)
        dag_run = SimpleNamespace(run_id=run_id, clear_number=cleared, logical_date=created)
        answer = ask({"dag_run": dag_run}, self.policy, "dag", None)
        if answer.record is not None:
            self.add("dag", moment, {RECORD: answer.record}, run_id)
        return answer


def day(number: int, hour: int = 0) -> datetime:
    return datetime(2026, 3, number, hour, tzinfo=UTC)


UNION = {"all": {name: {"policy": "union", "separator": "|"} for name in ("region", "token")}}


def loaded(history: History, number: int, name: str = "a") -> None:
    ends = {"sl_data_interval_start": day(number - 1).isoformat(), "sl_data_interval_end": day(number).isoformat()}
    history.add(name, day(number, 1), ends)


def test_a_run_that_is_cleared_does_again_what_it_did(monkeypatch: pytest.MonkeyPatch) -> None:
    history = History(monkeypatch)
    loaded(history, 4)
    first = history.decide("one", day(4, 2))
    loaded(history, 5)
    second = history.decide("two", day(5, 2))
    again = history.decide("one", day(5, 3), cleared=1)
    assert again.decision == first.decision
    # Its record is the newest event now, but not the last decision.
    assert history.decide("three", day(5, 4)).decision.kind == "skip"
    loaded(history, 6)
    third = history.decide("four", day(6, 2)).decision
    assert third.interval.start == second.decision.interval.end
    assert third.interval.end == day(6)


@pytest.mark.parametrize("name", ["RECORDS", "_NEWEST"])
def test_a_run_that_is_cleared_long_afterwards_does_again_what_it_did(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(questions, name, 3)
    history = History(monkeypatch)
    made = []
    for number in range(2, 12):
        loaded(history, number)
        made.append(history.decide(f"run {number}", day(number, 2)).decision)
    for number in (2, 3, 11):
        assert history.decide(f"run {number}", day(12), cleared=1).decision == made[number - 2]


def test_variables_that_cannot_be_read_fail_runs_until_the_dataset_is_loaded_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    history = History(monkeypatch)
    loaded(history, 4)
    history.events["a"][0].extra["sl_options"] = "no JSON"
    refused = history.decide("one", day(4, 2))
    assert "which is not JSON" in refused.decision.error
    assert refused.record is None
    loaded(history, 4)
    taken = history.decide("two", day(4, 3)).decision
    assert (taken.kind, taken.error) == ("run", "")
    assert (taken.interval.start, taken.interval.end) == (day(3), day(4))


def test_a_run_that_failed_and_is_cleared_takes_what_came_in_the_meantime(monkeypatch: pytest.MonkeyPatch) -> None:
    history = History(monkeypatch)
    loaded(history, 4)
    history.decide("one", day(4, 2))
    loaded(history, 5)
    history.decide("two", day(5, 2))
    history.events["dag"].pop()  # it did not succeed
    loaded(history, 6)
    assert history.decide("two", day(6, 2), cleared=1).decision.interval.start == day(4)


def test_only_the_events_that_a_decision_needs_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    history = History(monkeypatch)
    for number in range(2, 29):
        loaded(history, number)
        history.decide(f"run {number}", day(number, 2))
    seen: list[int] = []
    read = history._read

    def counted(context: Any, inlet: Any, **bounds: Any) -> list[Any]:
        found = read(context, inlet, **bounds)
        seen.append(len(found))
        return found

    monkeypatch.setattr(deciding, "events_of", counted)
    history.decide("last", day(28, 3))
    assert len(seen) == 2
    assert seen[1] <= 5, seen


def test_the_same_question_has_the_same_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that needs a secret asks again, when more may have been loaded."""
    history = History(monkeypatch)
    loaded(history, 4)
    history.events["a"][0].extra["sl_options"] = {"all": {"password": "old"}}
    answer = history.decide("one", day(4, 2))
    assert Question.from_json(answer.question.to_json()) == answer.question
    kept = tell(answer, day(3).isoformat(), day(4).isoformat(), {})
    assert "old" not in str(kept)
    loaded(history, 5)
    history.events["a"][1].extra["sl_options"] = {"all": {"password": "new"}}
    monkeypatch.setattr(deciding, "pulled", lambda context, task_id: kept)
    assert kept["masked"] == ["a"]
    told = told_by({}, history.policy, "start", None)
    assert told is not None
    assert told.variables == {"all": {"password": "old"}}
    assert told.interval == answer.decision.interval


def test_a_task_reads_only_the_datasets_that_bring_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    history = History(monkeypatch)
    names = ("a", "b", "c")
    policy = FreshnessPolicy(tuple(StarlakeDataset(name, "0 0 * * *") for name in names), merge=UNION)
    history.events |= {"b": [], "c": []}
    for name in names:
        loaded(history, 4, name)
        history.events[name][0].extra["sl_options"] = {"all": {"region": name}}
    for name in ("a", "c"):
        history.events[name][0].extra["sl_options"]["all"]["token"] = f"secret of {name}"
    monkeypatch.setattr(deciding, "now", lambda: day(4, 2))
    answer = ask({"dag_run": SimpleNamespace(run_id="one", clear_number=0)}, policy, "dag", None)
    kept = tell(answer, day(3).isoformat(), day(4).isoformat(), {})
    assert "secret of" not in str(kept)
    read: list[str] = []

    def counted(context: Any, inlet: Any, **bounds: Any) -> list[Any]:
        read.append(inlet.uri)
        return history._read(context, inlet, **bounds)

    monkeypatch.setattr(deciding, "events_of", counted)
    monkeypatch.setattr(deciding, "pulled", lambda context, task_id: kept)
    told = told_by({}, policy, "start", None)
    assert read == ["a", "c"]
    assert told is not None
    assert told.variables == answer.decision.variables
    assert set(told.variables["all"]["token"].split("|")) == {"secret of a", "secret of c"}
