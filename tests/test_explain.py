"""The command that explains why a pipeline runs or waits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from starlake_core.cli.app import app

PIPELINE = """
from starlake_core import Orchestration, StarlakeDependencies, StarlakeDependency

tables = [StarlakeDependency("sales.orders", "table", cron="0 0 * * *")]
tables.append(StarlakeDependency("sales.customers", "table", cron="0 2 * * *"))
lineage = StarlakeDependencies([StarlakeDependency("kpi.total", dependencies=tables)])
with Orchestration({options}, environment="shell", orchestrator="local") as orchestration:
    with orchestration.sl_create_pipeline(name="kpi", dependencies=lineage) as pipeline:
        pipeline.add_lineage()
"""
ORDERS = {
    "dataset": "sales.orders",
    "sl_scheduled_date": "2026-03-05T00:00:00+00:00",
    "published": "2026-03-05T00:20:00Z",
}
CUSTOMERS = {**ORDERS, "dataset": "starlake://sales/customers", "sl_scheduled_date": "2026-03-05T02:00:00+00:00"}
BEFORE = {
    "interval_start": "2026-03-03T00:00:00+00:00",
    "interval_end": "2026-03-04T00:00:00+00:00",
    "decided": "2026-03-04T02:20:00+00:00",
    "seen": {},
}


@pytest.fixture
def kpi(tmp_path: Path) -> Path:
    file = tmp_path / "kpi.py"
    file.write_text(PIPELINE.replace("{options}", repr({"state_dir": str(tmp_path / "state")})))
    return file


def explained(kpi: Path, events: Any, *arguments: str) -> Result:
    file = kpi.with_name("events.json")
    file.write_text(events if isinstance(events, str) else json.dumps(events))
    return CliRunner().invoke(app, ["explain", str(kpi), "--events", str(file), "--at", "2026-03-05T03:00", *arguments])


def test_a_run(kpi: Path) -> None:
    done = explained(kpi, {"events": [ORDERS, CUSTOMERS], "previous": BEFORE})
    assert done.exit_code == 0, done.output
    assert done.output.splitlines() == [
        "kpi: RUN: all data up to 2026-03-05 00:00+00:00 is there",
        "  interval: 2026-03-04T00:00:00+00:00 to 2026-03-05T00:00:00+00:00",
        "  starlake://sales/customers: present, loaded for 2026-03-05 02:00+00:00",
        "  starlake://sales/orders: present, loaded for 2026-03-05 00:00+00:00",
    ]


def test_a_wait(kpi: Path) -> None:
    done = explained(kpi, [ORDERS], "--format", "json")
    assert done.exit_code == 3, done.output
    (found,) = json.loads(done.output)["pipelines"]
    assert (found["pipeline"], found["decision"], found["interval_start"]) == ("kpi", "wait", None)
    assert found["reasons"][0] == {
        "dataset": "starlake://sales/customers",
        "state": "missing",
        "text": "nothing was loaded for 2026-03-05 02:00+00:00",
        "date": "2026-03-05T02:00:00+00:00",
        "event": None,
    }


def test_nothing_to_do(kpi: Path) -> None:
    done = explained(kpi, [])
    assert (done.exit_code, done.output) == (4, "kpi: SKIP: nothing new was loaded since the last run\n")
    without = CliRunner().invoke(app, ["explain", str(kpi)])  # from the record, of which there is none
    assert (without.exit_code, without.output) == (4, done.output)


def test_a_conflict_hides_secrets(kpi: Path) -> None:
    variables = [{"sl_options": {"all": {"db_password": word}}} for word in ("hunter2", "other3")]
    done = explained(kpi, [{**ORDERS, **variables[0]}, {**CUSTOMERS, **variables[1]}])
    assert done.exit_code == 5, done.output
    assert "'db_password' of the section 'all'" in done.output
    assert "hunter2" not in done.output
    assert "other3" not in done.output


@pytest.mark.parametrize(
    ("events", "problem"),
    [
        ("{", "cannot be read"),
        ({"event": []}, "must be a JSON list of events"),
        ([7], "event 1 of"),
        ([{"dataset": "sales.orders", "sl_scheduled_date": "soon"}], "sl_scheduled_date is 'soon'"),
        ([{"dataset": "sales.orders", "id": "x"}], "its id is 'x'"),
        ({"events": [], "previous": {"seen": 1}}, "the record of the last run"),
        (
            {"events": [], "previous": {**BEFORE, "interval_end": "2026-03-01T00:00:00Z"}},
            "events.json: a data interval",
        ),
        ([{"dataset": "sales.orders", "scheduled": "2026-03-05"}], "has 'scheduled'; use sl_scheduled_date"),
        ([{"dataset": "sales.orders", "interval": []}], "use sl_data_interval_start and sl_data_interval_end"),
        ("[" * 100_000, "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(kpi: Path, events: Any, problem: str) -> None:
    done = explained(kpi, events)
    assert done.exit_code == 1
    assert problem in " ".join(done.output.split())


def test_the_message_about_a_missing_file_is_plain(kpi: Path) -> None:
    done = CliRunner().invoke(app, ["explain", str(kpi), "--events", "none.json"])
    assert done.exit_code == 1
    assert "the events in none.json cannot be read: No such file or directory" in done.output


def test_an_event_of_an_unknown_dataset_is_told(kpi: Path) -> None:
    done = explained(kpi, [{**ORDERS, "dataset": "sales.ordrs"}, CUSTOMERS])
    assert done.exit_code == 3
    assert "warning: no pipeline here is started by 'sales.ordrs'" in done.output
    assert "Did you mean 'sales.orders'?" in done.output
    assert "'starlake://sales/customers'" not in done.output


def test_what_was_seen_may_name_tables(kpi: Path) -> None:
    seen = {"sales.Orders": 1, "starlake://sales/customers": 2}
    done = explained(kpi, {"events": [ORDERS, CUSTOMERS], "previous": {**BEFORE, "seen": seen}})
    assert done.exit_code == 4, done.output


def test_a_pipeline_that_no_dataset_starts(tmp_path: Path) -> None:
    file = tmp_path / "load.py"
    file.write_text(
        "from starlake_core import Orchestration\n"
        'with Orchestration(environment="shell", orchestrator="local") as o, o.sl_create_pipeline(cron="@daily") as p:\n'
        '    p.sl_transform(transform_name="k.t")\n'
    )
    done = CliRunner().invoke(app, ["explain", str(file)])
    assert done.exit_code == 2
    assert "started by datasets" in done.output


SERVED = """
from datetime import datetime, timezone
from starlake_core import Orchestration, StarlakeDependencies, StarlakeDependency, hookimpl
from starlake_core.freshness import Event, Recorded
from starlake_core.testing import RecordingOrchestrator

class Served(RecordingOrchestrator):
    @hookimpl
    def sl_read_server(self, pipeline):
        day = datetime(2026, 3, 5, tzinfo=timezone.utc)
        event = Event("starlake://sales/orders", 1, day, day)
        return {recorded}

tables = [StarlakeDependency("sales.orders", "table", cron="0 0 * * *")]
with Orchestration(environment="shell", orchestrator=Served()) as orchestration:
    lineage = StarlakeDependencies([StarlakeDependency("kpi.total", dependencies=tables)])
    with orchestration.sl_create_pipeline(name="kpi", dependencies=lineage) as pipeline:
        pipeline.add_lineage()
"""


@pytest.mark.parametrize(
    ("recorded", "code", "text"),
    [
        ("Recorded((event,))", 0, "kpi: RUN"),
        ("Recorded((event,), problem='sl_options is no JSON')", 5, "sl_options is no JSON"),
        ("Recorded((), problem='sl_options is no JSON')", 4, "kpi: SKIP"),
        ("None", 1, "set the address of its server (starlake-orchestrate options), or give events with --events FILE"),
    ],
)
def test_a_server_tells_what_it_has_recorded(tmp_path: Path, recorded: str, code: int, text: str) -> None:
    file = tmp_path / "kpi.py"
    file.write_text(SERVED.replace("{recorded}", recorded))
    done = CliRunner().invoke(app, ["explain", str(file)])
    assert done.exit_code == code, done.output
    assert text in " ".join(done.output.split())
