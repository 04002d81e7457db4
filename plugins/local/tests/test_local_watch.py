"""The small scheduler, with this orchestrator: crons and datasets in one process."""

from __future__ import annotations

import io
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from local_project import Project
from rich.console import Console

from starlake_core import Orchestration, RunError, StarlakeDependencies, StarlakeDependency, StarlakePipeline
from starlake_core.cli._progress import PlainProgress
from starlake_core.cli._reloading import Reloading
from starlake_core.cli._selection import PipelineFiles
from starlake_core.cli._watching import Watch, seconds_to_wait
from starlake_core.cli.app import app
from starlake_core.dsl.orchestration import Overrides

NOW = datetime(2026, 3, 5, 9, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


def pipelines(project: Project, cron: str = "0 0 * * *", **options: Any) -> list[StarlakePipeline]:
    """A load with a cron, and a transform that its table starts."""
    table = StarlakeDependency("sales.orders", "table", cron=cron)
    lineage = StarlakeDependencies([StarlakeDependency("kpi.total", dependencies=[table])])
    given = project.options(**options)
    file = str(project.root / "both.py")
    with Orchestration(given, orchestrator="local", environment="shell", filename=file, namespace={}) as orchestration:
        with orchestration.sl_create_pipeline(name="load", cron=cron) as load:
            load.sl_load(domain="sales", table="orders")
        with orchestration.sl_create_pipeline(name="kpi", dependencies=lineage) as kpi:
            kpi.add_lineage()
    return [load, kpi]


def watch(project: Project, **options: Any) -> tuple[Watch, io.StringIO]:
    shown = io.StringIO()
    return Watch(pipelines(project, **options), PlainProgress(Console(file=shown, width=200))), shown


def intervals(project: Project) -> list[tuple[str, str, str]]:
    with closing(sqlite3.connect(project.root / "state" / "runs.db")) as database:
        rows = database.execute("SELECT pipeline_id, interval_end, state FROM runs ORDER BY rowid").fetchall()
    return [(name, end, state) for name, end, state in rows]


def test_a_load_runs_at_its_time_and_starts_what_reads_it(project: Project) -> None:
    watched, _ = watch(project)
    assert [report.pipeline_id for report in watched.step(NOW)] == ["load", "kpi"]
    assert project.calls() == ["load orders", "transform kpi.total"]
    assert watched.step(NOW + HOUR) == []
    again, _ = watch(project)  # another process
    assert again.step(NOW + 2 * HOUR) == []
    assert [report.pipeline_id for report in again.step(NOW + 24 * HOUR)] == ["load", "kpi"]
    assert [row[:2] for row in intervals(project)] == [
        ("load", "2026-03-05T00:00:00+00:00"),
        ("kpi", "2026-03-05T00:00:00+00:00"),
        ("load", "2026-03-06T00:00:00+00:00"),
        ("kpi", "2026-03-06T00:00:00+00:00"),
    ]


def test_missed_times_are_caught_up_on_request(project: Project) -> None:
    watched, _ = watch(project, catchup=True, start_date="2026-03-02")
    found = [
        report.interval.end.day for report in watched.step(NOW) if report.interval and report.pipeline_id == "load"
    ]
    assert found == [3, 4, 5]


def test_nothing_runs_before_the_start_or_after_the_end(project: Project) -> None:
    assert watch(project, start_date="2026-03-05")[0].step(NOW) == []
    assert watch(project, end_date="2026-03-04")[0].step(NOW) == []


def test_a_run_that_was_killed_is_finished(project: Project) -> None:
    watch(project)[0].step(NOW)
    with closing(sqlite3.connect(project.root / "state" / "runs.db")) as database, database:
        database.execute("UPDATE runs SET state='running', ended=NULL WHERE pipeline_id='load'")
        database.execute("UPDATE tasks SET state='running' WHERE task LIKE 'load%'")
    (report,) = watch(project)[0].step(NOW)
    assert (report.pipeline_id, report.state.value) == ("load", "success")
    assert len(intervals(project)) == 2


def test_a_failure_is_not_repeated_until_something_new_comes(project: Project) -> None:
    project.exits("kpi.total", 1, 1, 0)
    watched, _ = watch(project)
    assert [report.state.value for report in watched.step(NOW)] == ["success", "failed"]
    assert watched.step(NOW + HOUR) == []
    assert [report.state.value for report in watched.step(NOW + 24 * HOUR)] == ["success", "failed"]
    done = watched.step(NOW + 48 * HOUR)
    assert [report.state.value for report in done] == ["success", "success"]
    interval = done[1].interval
    assert interval is not None
    assert (interval.start.day, interval.end.day) == (6, 7)


def test_how_long_it_waits() -> None:
    assert seconds_to_wait(NOW, None, 10) == 10
    assert seconds_to_wait(NOW, NOW + timedelta(seconds=3), 10) == 3
    assert seconds_to_wait(NOW, NOW + HOUR, 10) == 10
    assert seconds_to_wait(NOW, NOW - HOUR, 10) == 0


def test_pipelines_that_start_each_other_are_refused(project: Project) -> None:
    def reads(name: str, other: str) -> StarlakeDependencies:
        table = StarlakeDependency(f"kpi.{other}", "task")
        return StarlakeDependencies([StarlakeDependency(f"kpi.{name}", dependencies=[table])])

    made = []
    with Orchestration(
        project.options(), orchestrator="local", environment="shell", filename="circle.py", namespace={}
    ) as orchestration:
        for name, other in (("a", "b"), ("b", "a"), ("c", "a")):
            with orchestration.sl_create_pipeline(name=name, dependencies=reads(name, other)) as pipeline:
                pipeline.sl_transform(name, f"kpi.{name}")
            made.append(pipeline)
    progress = PlainProgress(Console(file=io.StringIO(), width=200))
    with pytest.raises(
        RunError, match=r"each other for ever: . starts . \(starlake://kpi/.\), . starts . \("
    ) as caught:
        Watch(made, progress)
    assert "c starts" not in str(caught.value)
    assert Watch([made[0], made[2]], progress).step(NOW) == []


def test_files_that_change_are_loaded_again(project: Project, tmp_path: Path) -> None:
    file = tmp_path / "p.py"
    file.write_text(PIPELINE.replace("{options}", repr(project.options())))
    notes: list[str] = []
    progress = PlainProgress(Console(file=io.StringIO(), width=200))
    files = PipelineFiles((file,), Overrides())
    watching = Reloading(files, lambda found: Watch(found, progress), notes.append)
    first = watching.current()
    assert watching.current() is first
    first.step(NOW)
    text = file.read_text()
    file.write_text(text.replace('table="orders"', 'table="customers"'))
    assert watching.current() is not first
    watching.current().step(NOW + 24 * HOUR)
    assert [call.split()[:2] for call in project.calls()] == [["load", "orders"], ["load", "customers"]]
    second = watching.current()
    for broken in ("nonsense", None):  # an editor removes the file for a moment
        file.write_text(broken) if broken else file.unlink()
        assert watching.current() is second
    file.write_text(text)
    assert watching.current() is not second
    assert [note.partition(" changed, ")[2][:12] for note in notes] == ["so the files", "and the pipe", "so the files"]


PIPELINE = """
from starlake_core import Orchestration

with Orchestration({options}, environment="shell", orchestrator="local") as o, o.sl_create_pipeline(name="p", cron="@daily") as p:
    p.sl_load(domain="sales", table="orders")
"""


def test_the_command_until_nothing_is_due(project: Project, tmp_path: Path) -> None:
    file = tmp_path / "p.py"
    file.write_text(PIPELINE.replace("{options}", repr(project.options())))
    for calls in (1, 1):
        done = CliRunner().invoke(app, ["watch", str(file), "--until-idle"])
        assert done.exit_code == 0, done.output
        assert len(project.calls()) == calls


def watching(project: Project, file: Path) -> subprocess.Popen[str]:
    """A process that watches, once its load has started."""
    file.write_text(PIPELINE.replace("{options}", repr(project.options())))
    (project.root / "hang" / "orders").touch()
    process = subprocess.Popen(
        [sys.executable, "-m", "starlake_core", "watch", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while not project.calls():
        assert process.poll() is None
        time.sleep(0.02)
    (project.root / "hang" / "orders").unlink()
    return process


def test_a_watch_that_was_killed_finishes_its_run(project: Project, tmp_path: Path) -> None:
    file = tmp_path / "p.py"
    process = watching(project, file)
    process.kill()
    process.communicate()
    done = CliRunner().invoke(app, ["watch", str(file), "--until-idle"])
    assert done.exit_code == 0, done.output
    assert len(project.calls()) == 2
    assert [state for *_, state in intervals(project)] == ["success"]


def test_ctrl_c_stops_a_watch_and_its_run(project: Project, tmp_path: Path) -> None:
    file = tmp_path / "p.py"
    process = watching(project, file)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert [state for *_, state in intervals(project)] == ["cancelled"]
    done = CliRunner().invoke(app, ["watch", str(file), "--until-idle"])
    assert done.exit_code == 0, done.output
    assert [state for *_, state in intervals(project)] == ["success"]
