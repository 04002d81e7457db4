"""Pipelines on the local orchestrator, with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest
from command_line import orchestrate
from local_project import Project

from starlake_core import (
    Job,
    Lifecycle,
    NothingFoundError,
    Options,
    Orchestration,
    Report,
    RunError,
    RunRequest,
    StarlakeDomain,
    StarlakeError,
    StarlakePipeline,
    StarlakeSchedule,
    TaskEvent,
    TaskState,
    TriggerRule,
    hookimpl,
    request_run,
)
from starlake_core.runtime import Outcome, Verdict
from starlake_core.testing import FakeEnvironment


def states(report: Report) -> dict[str, str]:
    return {task.id.rpartition(".")[2]: task.state for task in report.tasks}


def gated(project: Project, *domains: str, **options: object) -> StarlakePipeline:
    """One gated group with one load for each domain."""
    schedule = StarlakeSchedule(
        "daily", "0 0 * * *", [StarlakeDomain(domain, tables=[f"{domain}_t"]) for domain in domains]
    )
    given = project.options(**{"pre_load_strategy": "pending", **options})
    with (
        Orchestration(
            given, orchestrator="local", environment="shell", filename="test.py", namespace={}
        ) as orchestration,
        orchestration.sl_create_pipeline(schedule=schedule) as pipeline,
    ):
        pipeline.add_schedule()
    return pipeline


def chain(pipeline: StarlakePipeline) -> None:
    first, second, third = (pipeline.sl_load(domain="d", table=name) for name in ("a", "b", "c"))
    first >> second >> third


def test_tasks_run_in_order_and_once(project: Project) -> None:
    report = project.pipeline(chain).run()
    assert report.succeeded
    assert project.calls() == ["load a", "load b", "load c"]
    assert len(set(project.run_keys())) == 3


def test_the_log_has_what_a_service_leaves_of_a_failure(project: Project) -> None:
    """Output that is not followed: its end, and the place to look at."""
    service = FakeEnvironment()
    service.script(
        "load:d.t", Outcome(Verdict.FAILED, 3, "exit code 3", "https://console.example.com/1", "one\nit broke")
    )
    given = project.options()
    with (
        Orchestration(
            given, orchestrator="local", environment=service, filename="test.py", namespace={}
        ) as orchestration,
        orchestration.sl_create_pipeline(name="test", cron="0 0 * * *") as pipeline,
    ):
        pipeline.sl_load(domain="d", table="t")
    report = pipeline.run()
    assert states(report) == {"d_t_load": TaskState.FAILED}
    log = Path(report.tasks[0].log).read_text()
    assert log == "one\nit broke\nsee https://console.example.com/1\n"


@pytest.mark.parametrize("ready", [(), ("x",), ("x", "y")], ids=["none", "one of two", "both"])
def test_a_gate_closes_its_own_domain_only(project: Project, ready: tuple[str, ...]) -> None:
    project.ready(*ready)
    report = gated(project, "x", "y").run()
    assert report.succeeded
    found = states(report)
    for domain in ("x", "y"):
        expected = TaskState.SUCCEEDED if domain in ready else TaskState.SKIPPED
        assert found[f"load_{domain}_{domain}_t"] == expected
    assert found["end_daily"] == (TaskState.SUCCEEDED if ready else TaskState.SKIPPED)
    assert ("test_daily" in report.datasets) == bool(ready)
    for task in report.tasks:
        assert task.state != TaskState.SKIPPED or task.reason
    if not ready:
        end = report.task("end_daily").reason
        assert "nothing was loaded or transformed" in end
        assert "x has no pending files" in end
        assert "y has no pending files" in end


def test_the_end_asks_only_what_is_before_it(project: Project) -> None:
    """What runs beside the end must not decide about it by being slow or fast."""

    def draw(pipeline: StarlakePipeline) -> None:
        check = pipeline.sl_pre_load("x", ["t"], "pending")
        load = pipeline.sl_load(domain="x", table="t")
        assert check is not None
        check >> load >> pipeline.end_task()
        pipeline.sl_load(domain="y", table="beside")

    report = project.pipeline(draw).run()
    assert states(report)["y_beside_load"] == TaskState.SUCCEEDED
    assert states(report)["end"] == TaskState.SKIPPED


@pytest.mark.parametrize("code", [1, 2, 126, 127])
def test_a_check_that_crashes_is_a_failure_and_never_a_skip(project: Project, code: int) -> None:
    project.exits("preload-x", code)
    report = gated(project, "x").run()
    assert report.state == TaskState.FAILED
    assert states(report)["check_x_pending_files"] == TaskState.FAILED
    assert report.task("check_x_pending_files").exit_code == code
    assert states(report)["load_x_x_t"] == TaskState.UPSTREAM_FAILED
    assert project.calls() == ["preload preload-x"]


def test_a_missing_executable_fails_at_once_and_says_what_to_do(project: Project) -> None:
    report = gated(project, "x", SL_STARLAKE_PATH="/no/such/starlake", retries=3).run()
    task = report.task("check_x_pending_files")
    assert report.state == TaskState.FAILED
    assert task.attempts == 1
    assert "'/no/such/starlake' was not found" in task.reason
    assert "SL_STARLAKE_PATH" in task.reason
    assert "starlake-core-duckdb" in task.reason


def test_without_a_marker_exit_code_1_is_not_ready(project: Project) -> None:
    project.exits("preload-x", 1)
    report = gated(project, "x", pre_load_not_ready_sentinel=False).run()
    assert report.succeeded
    assert states(report)["load_x_x_t"] == TaskState.SKIPPED


def test_a_failure_is_tried_again_with_one_key(project: Project) -> None:
    project.exits("a", 3, 0)
    report = project.pipeline(chain, retries=1).run()
    assert report.succeeded
    assert report.task("d_a_load").attempts == 2
    assert project.calls() == ["load a", "load a", "load b", "load c"]
    assert len(set(project.run_keys())) == 3


def test_a_failure_stops_what_depends_on_it_and_nothing_else(project: Project) -> None:
    project.exits("b", 7)

    def draw(pipeline: StarlakePipeline) -> None:
        chain(pipeline)
        pipeline.sl_load(domain="d", table="other")

    report = project.pipeline(draw).run()
    assert report.state == TaskState.FAILED
    assert states(report) == {
        "d_a_load": TaskState.SUCCEEDED,
        "d_b_load": TaskState.FAILED,
        "d_c_load": TaskState.UPSTREAM_FAILED,
        "d_other_load": TaskState.SUCCEEDED,
    }
    failed = report.task("d_b_load")
    assert failed.exit_code == 7
    assert "exit code 7" in failed.reason
    assert Path(failed.log).read_text() == "output of b\n"
    assert "d_b_load" in report.task("d_c_load").reason


def test_a_time_out_stops_the_process_and_all_that_it_started(project: Project) -> None:
    (project.root / "hang" / "a").touch()
    report = project.pipeline(lambda pipeline: pipeline.sl_load(domain="d", table="a", timeout=1)).run()
    assert report.state == TaskState.FAILED
    assert "time-out of 1 s" in report.task("d_a_load").reason
    assert not living(project)


def living(project: Project) -> list[int]:
    found = []
    for pid in (project.root / "pids").read_text().split():
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.append(int(pid))
        except FileNotFoundError:
            continue
    return found


def test_a_waiting_check_looks_again_without_a_new_try(project: Project) -> None:
    pipeline = gated(project, "x", pre_load_sensor=True, pre_load_poke_interval=1, pre_load_timeout=30)
    seen: list[str] = []

    def listener(event: TaskEvent) -> None:
        if event.state == TaskState.POKING:
            seen.append(event.reason)
            project.ready("x")

    report = pipeline.run(listener=listener)
    assert report.succeeded
    assert seen == ["x has no pending files (check_x_pending_files); checking again in 1 s"]
    assert project.calls() == ["preload preload-x", "preload preload-x", "load x_t"]
    assert report.task("check_x_pending_files").attempts == 1


@pytest.mark.parametrize(("soft", "state"), [(True, TaskState.SKIPPED), (False, TaskState.FAILED)])
def test_a_waiting_check_gives_up(project: Project, soft: bool, state: str) -> None:
    options = {"pre_load_sensor": True, "pre_load_poke_interval": 1, "pre_load_timeout": 1}
    report = gated(project, "x", pre_load_sensor_soft_fail=soft, **options).run()
    assert states(report)["check_x_pending_files"] == state
    assert "within 1 s" in report.task("check_x_pending_files").reason
    assert report.succeeded == soft


def test_what_always_runs_runs_after_a_failure_and_is_no_work(project: Project) -> None:
    project.exits("a", 1)

    def draw(pipeline: StarlakePipeline) -> None:
        load = pipeline.sl_load(domain="d", table="a")
        clean = pipeline.sl_load(domain="d", table="clean", trigger=TriggerRule.ALL_DONE)
        load >> pipeline.sl_dummy_op("all_done") >> clean

    report = project.pipeline(draw).run()
    assert states(report) == {
        "d_a_load": TaskState.FAILED,
        "all_done": TaskState.SUCCEEDED,
        "d_clean_load": TaskState.SUCCEEDED,
    }
    assert report.state == TaskState.FAILED


def test_groups_pass_on_what_happened_in_them(project: Project) -> None:
    project.exits("a", 1)

    def draw(pipeline: StarlakePipeline) -> None:
        with pipeline.sl_create_task_group("first") as first:
            pipeline.sl_load(domain="d", table="a")
            pipeline.sl_load(domain="d", table="b")
        with pipeline.sl_create_task_group("second") as second, pipeline.sl_create_task_group("inner"):
            pipeline.sl_load(domain="d", table="c")
        first >> second

    report = project.pipeline(draw).run()
    assert report.task("second.inner.d_c_load").state == TaskState.UPSTREAM_FAILED
    assert report.task("first.d_b_load").state == TaskState.SUCCEEDED


def test_resume_does_again_what_failed_and_nothing_else(project: Project) -> None:
    project.exits("b", 1)
    pipeline = project.pipeline(chain)
    report = pipeline.run(run_id="one")
    assert report.state == TaskState.FAILED
    project.exits("b", 0)
    resumed = pipeline.start_run(resuming(pipeline, "one"))
    assert resumed.succeeded
    assert project.calls() == ["load a", "load b", "load b", "load c"]
    keys = project.run_keys()
    assert keys[1] == keys[2]
    assert states(resumed) == dict.fromkeys(("d_a_load", "d_b_load", "d_c_load"), TaskState.SUCCEEDED)
    with pytest.raises(RunError, match="nothing to resume"):
        pipeline.start_run(resuming(pipeline, "one"))


def resuming(pipeline: StarlakePipeline, run_id: str) -> RunRequest:
    from dataclasses import replace

    return replace(request_run(pipeline, run_id=run_id), resume=True)


def test_resume_keeps_a_closed_gate_closed(project: Project) -> None:
    project.ready("y")
    project.exits("y_t", 1)
    pipeline = gated(project, "x", "y")
    assert pipeline.run(run_id="one").state == TaskState.FAILED
    project.ready("x")
    project.exits("y_t", 0)
    resumed = pipeline.start_run(resuming(pipeline, "one"))
    assert resumed.succeeded
    assert states(resumed)["load_x_x_t"] == TaskState.SKIPPED
    assert project.calls().count("preload preload-x") == 1


def test_resume_refuses_a_pipeline_that_changed(project: Project) -> None:
    project.exits("b", 1)
    project.pipeline(chain).run(run_id="one")
    other = project.pipeline(lambda pipeline: pipeline.sl_load(domain="d", table="a"))
    with pytest.raises(RunError, match="has changed since run 'one' started"):
        other.start_run(resuming(other, "one"))


def test_a_run_that_is_forgotten_and_made_again_does_its_work_again(project: Project) -> None:
    """A resume has the instance of its run; the same id made anew has another."""
    project.exits("t", 1, 0)
    pipeline = project.pipeline(lambda p: p.sl_load(domain="x", table="t"), retry_unsafe="blind")
    assert pipeline.run(run_id="one").state == TaskState.FAILED
    assert pipeline.start_run(resuming(pipeline, "one")).succeeded
    assert pipeline.orchestration.plugins.forget_run(pipeline.options, project.root, "one")
    assert pipeline.run(run_id="one").succeeded
    first, resumed, again = (project.root / "instances").read_text().splitlines()
    assert first == resumed != again


def test_a_run_id_is_used_once(project: Project) -> None:
    pipeline = project.pipeline(chain)
    pipeline.run(run_id="one")
    with pytest.raises(RunError, match=r"run 'one' of pipeline .* already exists"):
        pipeline.run(run_id="one")


def test_an_unknown_run_cannot_be_resumed(project: Project) -> None:
    pipeline = project.pipeline(chain)
    with pytest.raises(RunError, match="no run 'nope'"):
        pipeline.start_run(resuming(pipeline, "nope"))


def test_a_selection_runs_a_part_of_the_pipeline(project: Project) -> None:
    report = project.pipeline(chain).run(select=["d.b", "d_c_load"], exclude=["d_c_*"])
    assert report.succeeded
    assert project.calls() == ["load b"]
    assert states(report) == {
        "d_a_load": TaskState.EXCLUDED,
        "d_b_load": TaskState.SUCCEEDED,
        "d_c_load": TaskState.EXCLUDED,
    }


def test_a_pattern_that_fits_nothing_is_an_error(project: Project) -> None:
    with pytest.raises(NothingFoundError, match="pattern 'nope' matches no task"):
        project.pipeline(chain).run(select=["nope"])


def test_a_dry_run_shows_commands_and_runs_nothing(project: Project) -> None:
    report = project.pipeline(chain).run(datetime(2026, 11, 2, tzinfo=timezone.utc), dry_run=True)
    assert report.state == TaskState.DRY_RUN
    line = report.task("d_a_load").reason
    assert line.startswith(
        f"cd {project.root} && SL_ROOT={project.root} {project.program} load --scheduledDate 2026-11-02T00:00:00.000+0000"
    )
    assert not project.calls()
    assert not (project.root / "state").exists()


def test_the_line_of_a_dry_run_can_be_pasted(project: Project) -> None:
    def draw(pipeline: StarlakePipeline) -> None:
        pipeline.sl_transform(transform_name="k.t", transform_options={"q": 'it\'s $HOME "x" `y`'})

    report = project.pipeline(draw).run(dry_run=True)
    subprocess.run(["bash", "-c", report.task("k_t").reason], check=True, capture_output=True)
    assert project.calls() == ["transform k.t"]


def test_a_backfill_runs_every_interval(project: Project) -> None:
    dates: list[str] = []
    pipeline = project.pipeline(lambda pipeline: pipeline.sl_load(domain="d", table="a"))
    reports = pipeline.backfill(datetime(2026, 11, 1), datetime(2026, 11, 3))
    dates = [report.interval.end.date().isoformat() for report in reports if report.interval]
    assert dates == ["2026-11-01", "2026-11-02", "2026-11-03"]
    assert len(project.calls()) == 3
    assert len(set(project.run_keys())) == 3


def test_a_native_node_is_called_with_its_attempt(project: Project) -> None:
    seen: list[str] = []

    def draw(pipeline: StarlakePipeline) -> None:
        node = pipeline.add_native("mine", lambda: lambda attempt: seen.append(attempt.key.task))
        pipeline.sl_load(domain="d", table="a") >> node

    report = project.pipeline(draw).run(run_id="one")
    assert report.succeeded
    assert seen == ["test/one/mine"]


def test_a_native_node_that_cannot_be_called_is_refused(project: Project) -> None:
    with pytest.raises(StarlakeError, match="callable that takes the attempt"):
        project.pipeline(lambda pipeline: pipeline.add_native("mine", lambda: 42))


def test_parallelism_is_a_limit(project: Project) -> None:
    running, most = set(), 0

    def listener(event: TaskEvent) -> None:
        nonlocal most
        if event.line:
            return
        (running.add if event.state == TaskState.RUNNING else running.discard)(event.task)
        most = max(most, len(running))

    pipeline = project.pipeline(
        lambda pipeline: [pipeline.sl_load(domain="d", table=f"t{n}") for n in range(12)] and None
    )
    assert pipeline.run(parallelism=3, listener=listener).succeeded
    assert most == 3


def test_an_excluded_task_does_not_open_a_closed_gate_on_resume(project: Project) -> None:
    project.exits("other", 1)

    def draw(pipeline: StarlakePipeline) -> None:
        check = pipeline.sl_pre_load("x", ["t"], "pending")
        assert check is not None
        check >> pipeline.sl_import(domain="x", tables=["t"]) >> pipeline.sl_load(domain="x", table="t")
        pipeline.sl_load(domain="y", table="other")

    pipeline = project.pipeline(draw)
    assert states(pipeline.run(run_id="one", exclude=["x_import"]))["x_t_load"] == TaskState.SKIPPED
    project.exits("other", 0)
    resumed = states(pipeline.start_run(resuming(pipeline, "one")))
    assert resumed["x_t_load"] == TaskState.SKIPPED
    assert resumed["x_import"] == TaskState.EXCLUDED
    assert "load t" not in project.calls()


def test_an_ack_check_looks_a_last_time_when_its_time_is_over(project: Project) -> None:
    report = gated(project, "x", pre_load_strategy="ack", ack_wait_timeout=1).run()
    assert "within 1 s" in report.task("check_x_ack_file").reason
    assert project.calls() == ["preload preload-x"] * 2


def test_a_selection_holds_for_native_nodes_too(project: Project) -> None:
    seen: list[str] = []

    def draw(pipeline: StarlakePipeline) -> None:
        pipeline.add_native("mine", lambda: lambda run: seen.append(run.run_id))
        pipeline.sl_load(domain="d", table="a")

    report = project.pipeline(draw).run(exclude=["mine"])
    assert states(report)["mine"] == TaskState.EXCLUDED
    assert not seen


def test_what_a_command_prints_does_not_decide_about_a_retry(project: Project) -> None:
    (project.root / "starlake").write_text('#!/bin/sh\necho "$@" >> calls\necho no retry\nexit 4\n')
    report = project.pipeline(lambda pipeline: pipeline.sl_load(domain="d", table="a"), retries=2).run()
    assert report.task("d_a_load").attempts == 3


def test_a_process_that_leaves_a_writing_child_has_ended(project: Project) -> None:
    (project.root / "starlake").write_text("#!/bin/sh\n(while true; do echo alive; sleep 0.05; done) &\nexit 0\n")
    report = project.pipeline(lambda pipeline: pipeline.sl_load(domain="d", table="a", timeout=30)).run()
    assert report.succeeded


def test_an_empty_line_is_a_line(project: Project) -> None:
    (project.root / "starlake").write_text("#!/bin/sh\nprintf 'a\\n\\nb\\n'\n")
    events: list[TaskEvent] = []
    pipeline = project.pipeline(lambda pipeline: pipeline.sl_load(domain="d", table="a"))
    assert pipeline.run(listener=events.append).succeeded
    assert [event.line for event in events if event.line is not None] == ["a", "", "b"]
    assert [event.state for event in events if event.line is None] == [TaskState.RUNNING, TaskState.SUCCEEDED]


def test_a_listener_that_breaks_changes_nothing(project: Project) -> None:
    def listener(event: TaskEvent) -> None:
        raise BrokenPipeError

    assert project.pipeline(chain).run(listener=listener).succeeded


def test_a_relative_project_is_found(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.root.parent)
    pipeline = project.pipeline(chain, sl_env_var={"SL_ROOT": project.root.name})
    assert pipeline.run().succeeded


def test_a_state_folder_that_cannot_be_used_is_named(project: Project) -> None:
    pipeline = project.pipeline(chain, state_dir=str(project.program))
    with pytest.raises(RunError, match=r"cannot be used.*state_dir"):
        pipeline.run()


class Cluster:
    """An add-on with jobs around the work."""

    name = "cluster"

    @hookimpl
    def sl_create_lifecycle(self, pipeline: StarlakePipeline, options: Options) -> Lifecycle:
        def job(table: str) -> Job:
            spec = {"executable": options["SL_STARLAKE_PATH"], "include_env": []}
            return Job("shell", ("load", "--tables", table), options["sl_env_var"], spec)

        return Lifecycle((("create", job("create")),), (("delete", job("delete")),))


def clustered(project: Project) -> StarlakePipeline:
    schedule = StarlakeSchedule("daily", None, [StarlakeDomain("x", tables=["a", "b"])])
    given = project.options(pre_load_strategy="none")
    with (
        Orchestration(
            given, orchestrator="local", environment="shell", filename="t.py", namespace={}, addons=[Cluster()]
        ) as o,
        o.sl_create_pipeline(schedule=schedule) as pipeline,
    ):
        pipeline.add_schedule()
    return pipeline


def test_a_resumed_run_is_set_up_and_torn_down_again(project: Project) -> None:
    project.exits("a", 1)
    pipeline = clustered(project)
    assert pipeline.run(run_id="one").state == TaskState.FAILED
    assert project.calls()[-1] == "load delete"
    project.exits("a", 0)
    assert pipeline.start_run(resuming(pipeline, "one")).succeeded
    assert project.calls()[-3:] == ["load create", "load a", "load delete"]


def test_a_selection_keeps_what_the_work_needs_around_it(project: Project) -> None:
    assert clustered(project).run(select=["x.a"]).succeeded
    assert project.calls() == ["load create", "load a", "load delete"]


PIPELINE_FILE = """
import pathlib
from starlake_core import Orchestration
project = pathlib.Path({root!r})
options = {{"SL_STARLAKE_PATH": str(project / "starlake"), "sl_env_var": {{"SL_ROOT": str(project)}}, "retries": 0}}
with Orchestration(options, environment="shell", orchestrator="local") as orchestration:
    with orchestration.sl_create_pipeline(name="stopped") as pipeline:
        pipeline.sl_load(domain="d", table="a") >> pipeline.sl_load(domain="d", table="b")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_kills_its_processes_and_can_be_resumed(project: Project, number: signal.Signals) -> None:
    (project.root / "hang" / "a").touch()
    file = project.root / "pipeline.py"
    file.write_text(PIPELINE_FILE.format(root=str(project.root)))
    process = subprocess.Popen(
        [sys.executable, "-m", "starlake_core", "run", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + 30
    pids = project.root / "pids"
    while not (pids.exists() and len(pids.read_text().split()) == 2):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, number)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130, output
    assert "stopped: cancelled" in output
    assert "a_load cancelled: stopped by the user" in output
    assert not living(project)
    (project.root / "hang" / "a").unlink()
    done = orchestrate("resume", file)
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.calls() == ["load a", "load a", "load b"]


def test_a_second_interrupt_kills_what_does_not_listen(project: Project) -> None:
    (project.root / "starlake").write_text("#!/bin/sh\ntrap '' TERM\necho $$ >> pids\nwhile true; do sleep 0.1; done\n")
    file = project.root / "pipeline.py"
    file.write_text(PIPELINE_FILE.format(root=str(project.root)))
    process = subprocess.Popen(
        [sys.executable, "-m", "starlake_core", "run", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + 30
    pids = project.root / "pids"
    while not (pids.exists() and pids.read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130, output
    assert "stopped: cancelled" in output
    assert not living(project)


def test_resume_keeps_the_selection_of_runs_that_had_not_begun(project: Project) -> None:
    file = project.root / "two.py"
    text = PIPELINE_FILE.format(root=str(project.root))
    more = text[text.index("    with orchestration") :].replace("stopped", "later")
    file.write_text(text + more)
    project.exits("a", 1)
    done = orchestrate("backfill", file, "--start", "2026-01-01", "--end", "2026-01-02")
    assert "has no cron schedule" in done.stderr
    first = subprocess.Popen([sys.executable, "-m", "starlake_core", "run", str(file), "--select", "d.a"])
    calls = project.root / "calls"
    deadline = time.monotonic() + 30
    (project.root / "hang" / "a").touch()
    while not calls.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    first.kill()
    first.wait()
    (project.root / "hang" / "a").unlink()
    project.exits("a", 0)
    resumed = orchestrate("resume", file)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert set(project.calls()) == {"load a"}
