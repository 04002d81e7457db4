"""Clusters that are made for a run: one for each, found again, made anew when broken, and always deleted."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from dataproc_lab import ATTEMPT, KEY, LOAD, RUN, job_of, runner_of
from emulators.dataproc import Dataproc
from emulators.faults import Fault, Kind, When
from google.cloud import dataproc_v1

from starlake_core import (
    Job,
    OptionsError,
    Orchestration,
    OutageError,
    Run,
    RunKey,
    RunnerError,
    StarlakePipeline,
    TaskKind,
)
from starlake_core.runtime import Runner, Verdict, execute, start
from starlake_core.testing import RecordingOrchestrator
from starlake_core.testing.lab import settle, until

State = dataproc_v1.ClusterStatus.State


def ephemeral(emulator: Dataproc, **options: Any) -> dict[str, Any]:
    """Options without the cluster that exists."""
    return {**emulator.options, "dataproc_cluster": None, **options}


def pipeline_of(options: dict[str, Any], orchestrator: Any = None) -> StarlakePipeline:
    """A load between the creation and the deletion of a cluster."""
    with (
        Orchestration(
            options,
            orchestrator=orchestrator or RecordingOrchestrator(),
            environment="dataproc",
            filename="t.py",
            namespace={},
        ) as orchestration,
        orchestration.sl_create_pipeline(name="p", cron="0 0 * * *") as pipeline,
    ):
        before, after = pipeline.pre_tasks(), pipeline.post_tasks()
        load = pipeline.sl_load(domain="sales", table="orders")
        if before is not None:
            before >> load
        if after is not None:
            load >> after
    return pipeline


def jobs_of(emulator: Dataproc, run: Run = RUN, **options: Any) -> tuple[Job, Job]:
    """The bound jobs that make and delete the cluster of a run."""
    pipeline = pipeline_of(ephemeral(emulator, **options))
    found = {task.id: task.job for task in pipeline.tasks() if task.job is not None}
    return found["create_cluster"].bind(run.attempt("create")), found["delete_cluster"].bind(run.attempt("delete"))


def key(verb: str, attempt: str = "1") -> RunKey:
    return RunKey(f"p/run/{verb}_cluster", attempt)


@pytest.fixture
def made(emulator: Dataproc) -> tuple[Job, Job, Runner]:
    create, delete = jobs_of(emulator)
    return create, delete, runner_of(create)


def names(emulator: Dataproc) -> list[str]:
    return [name for name in emulator.clusters if name != "existing"]


def test_a_cluster_is_made_and_deleted(emulator: Dataproc, made: tuple[Job, Job, Runner]) -> None:
    create, delete, runner = made
    emulator.slow = 0.1
    outcome = execute(create, runner, key("create"))
    assert outcome.verdict is Verdict.SUCCEEDED
    (name,) = names(emulator)
    assert name == f"dataproc-cluster-{ATTEMPT.value('sl_run_hash')}" == create.spec["cluster"]
    assert (
        outcome.log == f"https://console.cloud.google.com/dataproc/clusters/{name}?region=europe-west1&project=emulated"
    )
    assert emulator.clusters[name].status.state == State.RUNNING
    assert execute(delete, runner, key("delete")).verdict is Verdict.SUCCEEDED
    assert names(emulator) == []


def test_each_run_has_a_cluster_of_its_own_and_a_rerun_has_the_same(emulator: Dataproc) -> None:
    again = Run("starbake_load", "again", RUN.interval, root_run_id=RUN.run_id)
    other = Run("starbake_load", "other", RUN.interval)
    first, same, second = (jobs_of(emulator, run)[0].spec["cluster"] for run in (RUN, again, other))
    assert first == same != second
    assert job_of(ephemeral(emulator), LOAD).spec["cluster"] == first, "the jobs of a run are submitted to its cluster"


def test_a_cluster_that_exists_needs_no_tasks(emulator: Dataproc) -> None:
    for options in (emulator.options, ephemeral(emulator, dataproc_serverless=True)):
        assert [task.id for task in pipeline_of(options).tasks()] == ["sales_orders_load"]


def test_a_deletion_always_runs(emulator: Dataproc) -> None:
    tasks = {task.id: task for task in pipeline_of(ephemeral(emulator)).tasks()}
    assert tasks["delete_cluster"].kind is TaskKind.TEARDOWN
    assert tasks["create_cluster"].kind is TaskKind.SETUP


@pytest.mark.parametrize("state", [State.CREATING, State.RUNNING, State.UPDATING])
def test_a_cluster_in_a_good_state_is_used_again(emulator: Dataproc, made: tuple[Job, Job, Runner], state: Any) -> None:
    create, _, runner = made
    emulator.slow = 3600
    first = start(create, runner, key("create"))
    emulator.clusters[create.spec["cluster"]].status.state = state
    # The worker died; another one comes, with the next attempt.
    other = runner_of(create)
    second = start(create, other, key("create", "2"))
    assert second == first
    assert emulator.faults.calls["CreateCluster"] == 1
    assert other.poll([second])[second].ended is (state == State.RUNNING)
    emulator.clusters[create.spec["cluster"]].status.state = State.RUNNING
    assert settle(other, second).verdict is Verdict.SUCCEEDED


def test_a_cluster_that_breaks_is_a_failure_and_made_anew_by_the_next_attempt(
    emulator: Dataproc, made: tuple[Job, Job, Runner]
) -> None:
    create, _, runner = made
    emulator.breaks = ["Initialization action failed: gs://x/init.sh"]
    outcome = execute(create, runner, key("create"))
    assert outcome.verdict is Verdict.FAILED
    assert outcome.reason.endswith("is ERROR: Initialization action failed: gs://x/init.sh")
    (name,) = names(emulator)
    broken = emulator.clusters[name].cluster_uuid
    assert execute(create, runner, key("create", "2")).verdict is Verdict.SUCCEEDED
    assert emulator.clusters[name].cluster_uuid != broken
    assert emulator.faults.calls["DeleteCluster"] == 1


@pytest.mark.parametrize("state", [State.ERROR, State.ERROR_DUE_TO_UPDATE, State.STOPPED])
def test_a_broken_cluster_is_waited_for_until_it_is_gone(
    emulator: Dataproc, made: tuple[Job, Job, Runner], state: Any
) -> None:
    create, _, runner = made
    assert execute(create, runner, key("create")).verdict is Verdict.SUCCEEDED
    cluster = emulator.clusters[create.spec["cluster"]]
    cluster.status.state = state
    emulator.slow = 0.2
    assert execute(create, runner, key("create", "2")).verdict is Verdict.SUCCEEDED
    assert emulator.clusters[create.spec["cluster"]].cluster_uuid != cluster.cluster_uuid


def test_a_cluster_that_is_there_and_cannot_be_seen_is_an_outage(
    emulator: Dataproc, made: tuple[Job, Job, Runner], monkeypatch: pytest.MonkeyPatch
) -> None:
    create, _, runner = made
    emulator.slow = 3600
    start(create, runner, key("create"))
    hidden = [Fault(Kind.NOT_FOUND)] * 50
    emulator.faults.plan("GetCluster", *hidden)
    monkeypatch.setattr("starlake_core_dataproc.clusters._PATIENCE", -1.0)
    with pytest.raises(OutageError, match="exists, but has not shown it"):
        start(create, runner, key("create", "2"))
    assert emulator.faults.calls["CreateCluster"] == 2


def made_by(emulator: Dataproc, create: Job) -> str:
    return emulator.operation_of(create.spec["cluster"])


def test_the_error_of_the_operation_is_told(emulator: Dataproc, made: tuple[Job, Job, Runner]) -> None:
    """A cluster that does not get on while its operation has failed is not waited for."""
    create, _, runner = made
    emulator.slow = 3600
    handle = start(create, runner, key("create"))
    assert not runner.poll([handle])[handle].ended
    emulator.fail_operation(made_by(emulator, create), "Insufficient 'DISKS_TOTAL_GB' quota")
    outcome = settle(runner, handle)
    assert outcome.verdict is Verdict.FAILED
    assert "is CREATING: Insufficient 'DISKS_TOTAL_GB' quota" in outcome.reason


@pytest.mark.parametrize("other", [False, True], ids=["the process that began", "another process"])
def test_a_broken_cluster_tells_what_cluster_and_operation_say(
    emulator: Dataproc, made: tuple[Job, Job, Runner], other: bool
) -> None:
    create, _, runner = made
    emulator.breaks = ["broken"]
    handle = start(create, runner, key("create"))
    emulator.fail_operation(made_by(emulator, create), "the network has no route")
    outcome = settle(runner_of(create) if other else runner, handle)
    assert outcome.reason.endswith("is ERROR: broken; the network has no route")


@pytest.mark.parametrize("skew", [-300.0, 0.0, 300.0])
def test_a_cluster_that_is_never_made_is_given_up_and_made_anew(emulator: Dataproc, skew: float) -> None:
    emulator.skew = skew
    emulator.slow = 3600
    create, _ = jobs_of(emulator, dataproc_create_timeout=1)
    patient, _ = jobs_of(emulator, Run("other", "run", RUN.interval), dataproc_create_timeout=280)
    runner = runner_of(create)
    kept = start(patient, runner, RunKey("p/other/create_cluster", "1"))
    handle = start(create, runner, key("create"))
    emulator.slow = 0
    outcome = settle(runner, handle)
    assert outcome.verdict is Verdict.FAILED
    assert "is still CREATING after 1 s (option dataproc_create_timeout); it is being deleted" in outcome.reason
    assert create.spec["cluster"] not in emulator.clusters
    for one in (runner, runner_of(create)):
        assert not one.poll([kept])[kept].ended
    assert execute(create, runner, key("create", "2")).verdict is Verdict.SUCCEEDED


def test_a_cluster_that_cannot_be_asked_about_does_not_hide_the_others(
    emulator: Dataproc, made: tuple[Job, Job, Runner]
) -> None:
    create, _, runner = made
    handle = start(create, runner, key("create"))
    existing = "projects/emulated/regions/europe-west1/clusters/existing"
    emulator.faults.plan("GetCluster", Fault(Kind.DENIED))
    found = runner.poll([handle, existing])
    assert sorted(status.ended for status in found.values()) == [False, True]
    assert settle(runner, handle).verdict is Verdict.SUCCEEDED


def test_two_workers_make_one_cluster(emulator: Dataproc, made: tuple[Job, Job, Runner]) -> None:
    create, _, _ = made
    together = threading.Barrier(2)
    handles: list[str] = []

    def submit() -> None:
        runner = runner_of(create)
        together.wait()
        handles.append(runner.submit(create, key("create")))

    threads = [threading.Thread(target=submit) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(handles)) == 1
    assert len(names(emulator)) == 1


@pytest.mark.parametrize(
    "fault", [Fault(Kind.UNAVAILABLE, When.AFTER), Fault(Kind.LOST, When.AFTER), Fault(Kind.THROTTLED)]
)
def test_a_reply_that_is_lost_makes_one_cluster(
    emulator: Dataproc, made: tuple[Job, Job, Runner], fault: Fault
) -> None:
    create, delete, runner = made
    emulator.faults.plan("CreateCluster", fault)
    assert execute(create, runner, key("create")).verdict is Verdict.SUCCEEDED
    emulator.faults.plan("DeleteCluster", fault)
    emulator.slow = 0.1
    assert execute(delete, runner, key("delete")).verdict is Verdict.SUCCEEDED
    assert names(emulator) == []


def test_what_is_gone_is_deleted(emulator: Dataproc, made: tuple[Job, Job, Runner]) -> None:
    create, delete, runner = made
    assert execute(delete, runner, key("delete")).verdict is Verdict.SUCCEEDED
    assert emulator.faults.calls["DeleteCluster"] == 0
    execute(create, runner, key("create"))
    emulator.slow = 0.2
    first = start(delete, runner, key("delete"))
    second = start(delete, runner_of(delete), key("delete", "2"))
    assert [settle(runner, handle).verdict for handle in (first, second)] == [Verdict.SUCCEEDED] * 2
    assert emulator.faults.calls["DeleteCluster"] == 1


def test_a_deletion_that_fails_says_why(emulator: Dataproc, made: tuple[Job, Job, Runner]) -> None:
    create, delete, runner = made
    execute(create, runner, key("create"))
    emulator.slow = 3600
    handle = start(delete, runner, key("delete"))
    assert not runner.poll([handle])[handle].ended
    emulator.fail_operation(handle, "a firewall rule is in use")
    outcome = runner.poll([handle])[handle].outcome
    assert outcome is not None
    assert outcome.verdict is Verdict.FAILED
    assert "a firewall rule is in use" in outcome.reason


def test_a_broken_cluster_can_be_deleted(emulator: Dataproc, made: tuple[Job, Job, Runner]) -> None:
    create, delete, runner = made
    emulator.breaks = ["no"]
    execute(create, runner, key("create"))
    assert execute(delete, runner, key("delete")).verdict is Verdict.SUCCEEDED
    assert names(emulator) == []


def test_a_cluster_that_is_deleted_by_others_is_lost(emulator: Dataproc, made: tuple[Job, Job, Runner]) -> None:
    create, _, runner = made
    emulator.slow = 3600
    handle = start(create, runner, key("create"))
    del emulator.clusters[create.spec["cluster"]]
    outcome = runner.poll([handle])[handle].outcome
    assert outcome is not None
    assert outcome.verdict is Verdict.LOST


def test_giving_up_a_cluster_deletes_it_unless_it_is_ready(emulator: Dataproc, made: tuple[Job, Job, Runner]) -> None:
    create, delete, runner = made
    ready = start(create, runner, key("create"))
    runner.cancel(ready)
    assert settle(runner, ready).verdict is Verdict.SUCCEEDED
    execute(delete, runner, key("delete"))
    emulator.slow = 3600
    coming = start(create, runner, key("create", "2"))
    emulator.slow = 0
    runner.cancel(coming)
    runner.cancel(coming)
    until(lambda: names(emulator) == [], "the cluster is deleted")
    assert settle(runner, coming).verdict is Verdict.LOST


def test_a_quota_is_told_at_once_and_in_words(emulator: Dataproc, made: tuple[Job, Job, Runner]) -> None:
    create, _, runner = made
    emulator.faults.plan("CreateCluster", Fault(Kind.QUOTA))
    with pytest.raises(
        RunnerError, match=r"Insufficient 'CPUS' quota.*request a higher one on the page 'Quotas' of the project"
    ):
        execute(create, runner, key("create"))
    emulator.faults.plan("CreateCluster", Fault(Kind.DENIED))
    with pytest.raises(
        RunnerError, match=r"roles/dataproc.editor \(and roles/iam.serviceAccountUser on the service account"
    ):
        execute(create, runner, key("create"))


def test_fields_that_a_machine_does_not_have(emulator: Dataproc) -> None:
    with pytest.raises(
        OptionsError, match=r"option 'dataproc_master_properties': InstanceGroupConfig has no field 'nonsense'"
    ):
        jobs_of(emulator, dataproc_master_properties={"nonsense": 1})


def test_the_worker_says_it_where_nobody_could_before(emulator: Dataproc) -> None:
    create, _ = jobs_of(emulator)
    made = {**create.spec["create"], "config": {**create.spec["create"]["config"], "nonsense": 1}}
    create = replace(create, spec={**create.spec, "create": made})
    with pytest.raises(
        RunnerError, match=r"ClusterConfig has no field 'nonsense' \(in cluster.config\).*dataproc_master_properties"
    ):
        execute(create, runner_of(create), key("create"))


def test_a_job_without_its_cluster_says_what_to_make(emulator: Dataproc) -> None:
    job = job_of(ephemeral(emulator))
    with pytest.raises(
        RunnerError,
        match=r"Not found: Cluster .*Create the cluster dataproc-cluster-.*pre_tasks\(\) and post_tasks\(\)",
    ):
        start(job, runner_of(job), KEY)


def test_people_get_a_command(emulator: Dataproc, made: tuple[Job, Job, Runner]) -> None:
    create, delete, runner = made
    told = runner.describe(create)  # type: ignore[attr-defined]
    assert told.startswith(
        f"gcloud dataproc clusters create {create.spec['cluster']} --project=emulated --region=europe-west1"
    )
    assert "--num-workers=4" in told
    assert "--max-idle=3600s" in told
    single, _ = jobs_of(emulator, dataproc_num_workers=0, dataproc_cluster_metadata={"a": "b"})
    assert "--single-node" in runner.describe(single)  # type: ignore[attr-defined]
    assert runner.describe(delete).endswith(
        f"clusters delete {create.spec['cluster']} --project=emulated --region=europe-west1 --quiet"
    )  # type: ignore[attr-defined]
    assert runner.find(create, "p/run/create_cluster") == ()
    assert runner.logs(runner.submit(create, key("create")), None) == ((), None)


@pytest.mark.parametrize("code", [0, 3])
def test_a_whole_run_leaves_no_cluster(emulator: Dataproc, tmp_path: Any, code: int) -> None:
    emulator.containers.program = ("/bin/sh", "-c", f"exit {code}", "driver")
    options = ephemeral(emulator, retries=0, state_dir=str(tmp_path / "state"))
    report = pipeline_of(options, "local").run()
    states = {task.id: task.state for task in report.tasks}
    assert states["create_cluster"] == states["delete_cluster"] == "success"
    assert states["sales_orders_load"] == ("failed" if code else "success")
    assert report.state == ("failed" if code else "success")
    assert names(emulator) == []


def test_an_addon_labels_the_cluster_and_what_runs_on_it(emulator: Dataproc) -> None:
    pipeline = pipeline_of(ephemeral(emulator, plugins="labels", labels={"team": "sales"}))
    bound = {task.id: task.job.bind(RUN.attempt(task.id)) for task in pipeline.tasks() if task.job is not None}
    runner = runner_of(bound["create_cluster"])
    assert execute(bound["create_cluster"], runner, key("create")).succeeded
    load = runner_of(bound["sales_orders_load"])
    assert settle(load, load.submit(bound["sales_orders_load"], KEY)).succeeded
    (name,) = names(emulator)
    assert emulator.clusters[name].labels["team"] == "sales"
    assert [run.message.labels["team"] for run in emulator._jobs.values()] == ["sales"]
