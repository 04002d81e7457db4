"""Pipelines that datasets start, from the record of this orchestrator."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, ClassVar

import pytest
from click.testing import CliRunner
from freshness_backends import BackEnd, Found, FreshnessScenarios
from freshness_cases import (
    by_hand_of,
    date,
    events_of,
    lineage_of,
    options_of,
    previous_of,
    uri_of,
)
from local_project import Project
from starlake_core_local import triggering
from starlake_core_local.store import Store

from starlake_core import (
    DataInterval,
    Orchestration,
    Report,
    RunError,
    StarlakeDependencies,
    StarlakeDependency,
    StarlakePipeline,
    TaskState,
)
from starlake_core.cli.app import app
from starlake_core.freshness import Event, FreshnessPolicy, Kind, Recorded, decide
from starlake_core.orchestrators.events import written_event
from starlake_core.orchestrators.requests import request_run


def transform(project: Project, nodes: list[StarlakeDependency], **options: Any) -> StarlakePipeline:
    """A transform that the tables that it reads start."""
    given = project.options(**options)
    with (
        Orchestration(
            given, orchestrator="local", environment="shell", filename=str(project.root / "kpi.py"), namespace={}
        ) as orchestration,
        orchestration.sl_create_pipeline(name="kpi", dependencies=StarlakeDependencies(nodes)) as pipeline,
    ):
        pipeline.add_lineage()
    return pipeline


def recorded(pipeline: StarlakePipeline) -> Recorded:
    found = pipeline.plugins.read_recorded(pipeline)
    assert found is not None
    return found


def triggered(pipeline: StarlakePipeline, patient: bool = True) -> Report:
    return pipeline.start_run(replace(request_run(pipeline), triggered=True, patient=patient))


class Local(BackEnd):
    """The record of this orchestrator, and what it decides for a run.

    Args:
        project: where it is.
        patch: sets its clock.
    """

    without: ClassVar[Mapping[str, str]] = {
        "a cron that never fires is none": "no run can be requested for such a cron"
    }

    def __init__(self, project: Project, patch: pytest.MonkeyPatch) -> None:
        self._project, self._patch = project, patch

    def found(self, scenario: Mapping[str, Any]) -> Found:
        pipeline = transform(self._project, lineage_of(scenario), **options_of(scenario))
        state, now, previous = self._project.root / "state", date(scenario["now"]), previous_of(scenario, uri_of)
        Store(state).close()
        with closing(sqlite3.connect(state / "runs.db")) as database, database:
            for event in events_of(scenario, uri_of):
                database.execute(
                    "INSERT INTO events VALUES (?,?,?,?,?,?)",
                    (
                        event.id,
                        event.dataset,
                        event.published.isoformat(),
                        "r",
                        str(event.id),
                        json.dumps(written_event(event)),
                    ),
                )
            if previous is not None:
                database.execute("INSERT INTO previous VALUES (?,?)", (pipeline.id, json.dumps(previous.to_json())))
        known, by_hand = recorded(pipeline), by_hand_of(scenario)
        assert known.previous == previous
        found = Found.of(decide(FreshnessPolicy.of(pipeline), known.events, known.previous, now, by_hand))
        return found if by_hand is not None else self._started(pipeline, found, now)

    def _started(self, pipeline: StarlakePipeline, found: Found, now: datetime) -> Found:
        """The same, as a run finds it that starts at a time."""
        self._patch.setattr(triggering, "clock", lambda: now)
        with closing(Store(self._project.root / "state")) as store:
            try:
                request = triggering.decided(
                    store, pipeline, replace(request_run(pipeline), triggered=True, patient=True)
                )
            except RunError:
                return replace(found, failed=True)
        if request.skip:
            kind = Kind.WAIT if request.skip.startswith("waiting: ") else Kind.SKIP
            return replace(found, kind=kind, interval=None)
        return replace(found, kind=Kind.RUN, interval=request.run.interval, variables=request.run.options, failed=False)


class TestLocal(FreshnessScenarios):
    @pytest.fixture
    def back_end(self, project: Project, monkeypatch: pytest.MonkeyPatch) -> BackEnd:
        return Local(project, monkeypatch)


TABLES = [StarlakeDependency("x.a", "table", cron="0 0 * * *"), StarlakeDependency("x.b", "table", cron="0 2 * * *")]
KPI = [StarlakeDependency("kpi.t", dependencies=TABLES)]
DAY = datetime(2026, 3, 5, tzinfo=timezone.utc)


def feed(pipeline: StarlakePipeline, *events: Event, group: str = "g") -> None:
    assert pipeline.plugins.record_events(pipeline, events, group)


def test_a_run_starts_when_its_data_is_there_and_then_not_again(project: Project) -> None:
    pipeline = transform(project, KPI)
    feed(pipeline, Event(uri_of("a"), 1, DAY, DAY, None, "", {"all": {"batch": "7"}}))
    waiting = triggered(pipeline)
    assert waiting.state == TaskState.SUCCEEDED
    assert waiting.reason.startswith("waiting: it waits for its data: starlake://x/b")
    assert project.calls() == []
    assert recorded(pipeline).previous is None
    feed(pipeline, Event(uri_of("b"), 1, DAY, DAY.replace(hour=2)), group="h")
    done = triggered(pipeline)
    assert project.calls() == ["transform kpi.t"]
    assert done.interval is not None
    assert (done.interval.start, done.interval.end) == (DAY.replace(day=4), DAY)
    assert triggered(pipeline).reason == "nothing to do: nothing new was loaded since the last run"
    assert project.calls() == ["transform kpi.t"]


def test_events_of_one_group_are_recorded_once(project: Project) -> None:
    pipeline = transform(project, KPI)
    for _ in range(2):
        feed(pipeline, Event(uri_of("a"), 1, DAY))
    assert len(recorded(pipeline).events) == 1


def test_a_failed_run_moves_nothing_and_can_be_resumed(project: Project) -> None:
    project.exits("kpi.t", 1, 0)
    pipeline = transform(project, KPI)
    feed(pipeline, Event(uri_of("a"), 1, DAY, DAY), Event(uri_of("b"), 2, DAY, DAY.replace(hour=2)))
    failed = triggered(pipeline)
    assert failed.state == TaskState.FAILED
    assert recorded(pipeline).previous is None
    request = replace(request_run(pipeline, run_id=failed.run_id), resume=True)
    assert pipeline.start_run(request).state == TaskState.SUCCEEDED
    previous = recorded(pipeline).previous
    assert previous is not None
    assert previous.end == DAY
    assert triggered(pipeline).reason == "nothing to do: nothing new was loaded since the last run"


def test_data_that_is_loaded_again_waits_its_time_unless_somebody_waits_for_the_answer(project: Project) -> None:
    pipeline = transform(project, KPI)
    feed(pipeline, Event(uri_of("a"), 1, DAY, DAY), Event(uri_of("b"), 2, DAY, DAY.replace(hour=2)))
    triggered(pipeline)
    feed(pipeline, Event(uri_of("a"), 1, DAY, DAY), group="again")
    assert "min_timedelta_between_runs" in triggered(pipeline).reason
    assert triggered(pipeline, patient=False).reason == ""
    assert project.calls() == ["transform kpi.t"] * 2


def test_variables_that_contradict_each_other_fail_the_run_and_move_nothing(project: Project) -> None:
    pipeline = transform(project, KPI)
    feed(
        pipeline,
        Event(uri_of("a"), 1, DAY, DAY, variables={"all": {"x": "1"}}),
        Event(uri_of("b"), 2, DAY, DAY.replace(hour=2), variables={"all": {"x": "2"}}),
    )
    refused = triggered(pipeline)
    assert refused.state == TaskState.FAILED
    assert "'x' of the section 'all' is '1' for starlake://x/a and '2' for starlake://x/b" in refused.reason
    assert recorded(pipeline).previous is None
    (kept,) = pipeline.plugins.list_runs(pipeline.options, project.root, None)
    assert (kept.state, kept.reason) == (TaskState.FAILED, refused.reason)
    again = replace(request_run(pipeline, run_id=refused.run_id), resume=True)
    assert pipeline.start_run(again).state == TaskState.FAILED
    assert project.calls() == []
    feed(pipeline, Event(uri_of("b"), 1, DAY, DAY.replace(hour=2), variables={"all": {"x": "1"}}), group="corrected")
    done = pipeline.start_run(again)
    assert (done.state, done.interval) == (TaskState.SUCCEEDED, DataInterval(DAY.replace(day=4), DAY))
    assert project.calls() == ["transform kpi.t"]


def test_a_task_emits_an_event_for_each_dataset_once(project: Project) -> None:
    pipeline = transform(project, KPI)
    feed(pipeline, Event(uri_of("a"), 1, DAY, DAY), Event(uri_of("b"), 2, DAY, DAY.replace(hour=2)))
    done = triggered(pipeline)
    reader = transform(project, [StarlakeDependency("kpi.u", dependencies=[StarlakeDependency("kpi.t", "task")])])
    (event,) = recorded(reader).events
    assert event.dataset == "starlake://kpi/t"
    assert done.interval is not None
    assert event.interval == done.interval


def test_a_run_by_hand_has_the_interval_of_the_newest_data_or_of_its_date(project: Project) -> None:
    nodes = [StarlakeDependency("x.w", "table", cron="0 0 * * 1"), *TABLES]
    pipeline = transform(project, [StarlakeDependency("kpi.t", dependencies=nodes)])
    feed(pipeline, Event(uri_of("a"), 1, DAY, DAY))
    assert pipeline.run().interval == DataInterval(DAY.replace(day=4), DAY)
    asked = pipeline.run(datetime(2026, 3, 7, 11, tzinfo=timezone.utc))
    assert asked.interval == DataInterval(DAY, DAY.replace(day=7))
    previous = recorded(pipeline).previous
    assert previous is not None
    assert previous.end == DAY.replace(day=7)


def test_variables_by_hand_win_and_reach_the_command(project: Project) -> None:
    pipeline = transform(project, KPI)
    events = [Event(uri_of("a"), 1, DAY, DAY, variables={"all": {"x": "1", "y": "2"}})]
    feed(pipeline, *events, Event(uri_of("b"), 2, DAY, DAY.replace(hour=2), variables={"all": {"x": "3"}}))
    variables = {"sl_options": '{"all": {"x": "9"}}'}
    (task,) = (task for task in pipeline.run(dry_run=True, variables=variables).tasks if task.id == "kpi_t")
    assert "x=9" in task.reason
    assert pipeline.run(variables=variables).succeeded
    reader = transform(project, [StarlakeDependency("kpi.u", dependencies=[StarlakeDependency("kpi.t", "task")])])
    (event,) = recorded(reader).events
    assert event.variables == {}
    with pytest.raises(RunError, match="the variable sl_options"):
        pipeline.run(variables={"sl_options": "no"})


def test_a_run_of_some_tasks_moves_nothing(project: Project) -> None:
    pipeline = transform(project, KPI)
    feed(pipeline, Event(uri_of("a"), 1, DAY, DAY), Event(uri_of("b"), 2, DAY, DAY.replace(hour=2)))
    assert pipeline.run(select=["kpi.t"]).succeeded
    assert recorded(pipeline).previous is None


def test_a_record_of_the_previous_version_is_upgraded(project: Project, tmp_path: Path) -> None:
    pipeline = transform(project, KPI)
    state = project.root / "state"
    Store(state).close()
    with closing(sqlite3.connect(state / "runs.db")) as database, database:
        for table in ("events", "decisions", "previous"):
            database.execute(f"DROP TABLE {table}")
        database.execute("ALTER TABLE tasks DROP COLUMN started")
        database.execute("PRAGMA user_version=1")
    assert recorded(pipeline) == Recorded(())


PIPELINE = """
from starlake_core import Orchestration, StarlakeDependencies, StarlakeDependency

tables = [StarlakeDependency("x.a", "table", cron="0 0 * * *"), StarlakeDependency("x.b", "table", cron="0 2 * * *")]
lineage = StarlakeDependencies([StarlakeDependency("kpi.t", dependencies=tables)])
with Orchestration({options}, environment="shell", orchestrator="local") as orchestration:
    with orchestration.sl_create_pipeline(name="kpi", dependencies=lineage) as pipeline:
        pipeline.add_lineage()
"""


def test_events_given_by_hand_on_the_command_line(project: Project, tmp_path: Path) -> None:
    file, events = tmp_path / "kpi.py", tmp_path / "events.json"
    file.write_text(PIPELINE.replace("{options}", repr(project.options())))
    a = {"dataset": "x.a", "sl_scheduled_date": DAY.isoformat(), "published": DAY.isoformat()}
    events.write_text(json.dumps([a]))
    waiting = CliRunner().invoke(app, ["run", str(file), "--events", str(events)])
    assert waiting.exit_code == 0, waiting.output
    assert "starlake://x/b: nothing was loaded for 2026-03-05 02:00+00:00" in waiting.output
    assert project.calls() == []
    assert CliRunner().invoke(app, ["explain", str(file), "--at", "2026-03-05T03:00"]).exit_code == 3
    events.write_text(json.dumps([{**a, "dataset": "x.b", "sl_scheduled_date": DAY.replace(hour=2).isoformat()}]))
    done = CliRunner().invoke(app, ["run", str(file), "--events", str(events)])
    assert done.exit_code == 0, done.output
    assert "data interval 2026-03-04T00:00+00:00 to 2026-03-05T00:00+00:00" in done.output
    assert project.calls() == ["transform kpi.t"]
    assert CliRunner().invoke(app, ["explain", str(file)]).exit_code == 4


def test_a_run_that_somebody_asks_for_says_what_is_missing(project: Project, tmp_path: Path) -> None:
    file, events = tmp_path / "kpi.py", tmp_path / "events.json"
    file.write_text(PIPELINE.replace("{options}", repr(project.options())))
    a = {"dataset": "x.a", "sl_scheduled_date": DAY.isoformat(), "published": DAY.isoformat()}
    events.write_text(json.dumps([a]))
    assert "because you ask for it" not in CliRunner().invoke(app, ["run", str(file), "--events", str(events)]).output
    done = CliRunner().invoke(app, ["run", str(file)])
    assert done.exit_code == 0, done.output
    assert (
        "kpi: it runs because you ask for it, without some of its data: "
        "starlake://x/b: nothing was loaded for 2026-03-05 02:00+00:00"
    ) in done.output
    assert project.calls() == ["transform kpi.t"]
