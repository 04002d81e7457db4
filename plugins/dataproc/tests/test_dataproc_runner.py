"""Jobs and batches: nothing twice, nothing lost, the true end, and words that help."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from dataproc_lab import CHECK, KEY, job_of, runner_of, sh
from emulators.dataproc import Dataproc
from emulators.faults import Fault, Kind, When
from starlake_core_dataproc.naming import job_id
from starlake_core_dataproc.state import exit_code_of

from starlake_core import OutageError, RunKey, RunnerError
from starlake_core.runtime import OlderAttempt, Outcome, Verdict, execute, finish, start, wait
from starlake_core.testing.lab import settle, until

LONG = ("trap 'exit 143' TERM", "while true; do sleep 0.05; done")
MODES: list[dict[str, Any]] = [{}, {"dataproc_serverless": True, "dataproc_cluster": None}]


@pytest.fixture(params=MODES, ids=["jobs", "batches"])
def options(request: pytest.FixtureRequest, emulator: Dataproc) -> dict[str, Any]:
    """Of jobs, and of batches."""
    return {**emulator.options, **request.param}


def submission(options: dict[str, Any]) -> str:
    """The method that starts a run."""
    return "CreateBatch" if options.get("dataproc_serverless") else "SubmitJob"


def calls(emulator: Dataproc, options: dict[str, Any]) -> int:
    return emulator.faults.calls[submission(options)]


def runs(emulator: Dataproc) -> int:
    return len(emulator.containers.all)


# -- one run for an attempt

FAULTS = [
    Fault(Kind.UNAVAILABLE),
    Fault(Kind.UNAVAILABLE, When.AFTER),
    Fault(Kind.THROTTLED),
    Fault(Kind.LOST, When.AFTER),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.kind.name} {fault.when.value}")
def test_a_submission_without_an_answer_is_repeated_and_is_one_run(
    emulator: Dataproc, options: dict[str, Any], fault: Fault
) -> None:
    emulator.faults.plan(submission(options), fault)
    job = job_of(options)
    assert execute(job, runner_of(job), KEY).verdict is Verdict.SUCCEEDED
    assert calls(emulator, options) == 2
    assert runs(emulator) == 1


def test_without_their_ids_a_repeated_submission_is_two_runs(emulator: Dataproc, options: dict[str, Any]) -> None:
    """The negative control: what keeps runs from being doubled are the ids, and nothing else."""
    emulator.dedupe = False
    emulator.faults.plan(submission(options), Fault(Kind.UNAVAILABLE, When.AFTER))
    job = job_of(options)
    start(job, runner_of(job), KEY)
    until(lambda: runs(emulator) == 2, "two runs")


def test_a_job_that_exists_already_is_the_same_one(emulator: Dataproc, options: dict[str, Any]) -> None:
    """The request id is forgotten by then, but the id of the job is taken."""
    job = job_of(options)
    first = runner_of(job).submit(job, KEY)
    emulator._requests.clear()
    assert runner_of(job).submit(job, KEY) == first
    assert runs(emulator) == 1


@pytest.mark.parametrize("lag", [0.0, 3600.0], ids=["seen", "not seen yet"])
def test_a_worker_that_died_after_submitting_gets_its_run_back(
    emulator: Dataproc, options: dict[str, Any], lag: float
) -> None:
    sh(emulator, *LONG)
    job = job_of(options)
    first = start(job, runner_of(job), KEY)
    emulator.lag = lag
    assert start(job, runner_of(job), KEY) == first
    assert runs(emulator) == 1


def test_a_new_attempt_adopts_or_stops_a_live_older_one(emulator: Dataproc, options: dict[str, Any]) -> None:
    sh(emulator, *LONG)
    job = job_of(options)
    first = start(job, runner_of(job), KEY)
    assert start(job, runner_of(job), RunKey(KEY.task, "2")) == first
    third = start(job, runner_of(job), RunKey(KEY.task, "3"), OlderAttempt.CANCEL)
    assert third != first
    assert [container.stopped for container in emulator.containers.all] == [True, False]


def test_attempts_are_found_by_their_exact_names(emulator: Dataproc, options: dict[str, Any]) -> None:
    job = job_of(options)
    runner = runner_of(job)
    task = "p/manual__2026-01-01T00:00:00+00:00/group.tâsk[a,b]"
    for attempt in ("run id:0", "try/2, 'quoted' \"words\"", "3"):
        settle(runner, runner.submit(job, RunKey(task, attempt)))
    settle(runner, runner.submit(job, RunKey("p/other", "1")))
    assert [found.attempt for found in runner.find(job, task)] == ["run id:0", "try/2, 'quoted' \"words\"", "3"]
    assert runner.find(job, "p/nothing") == []


# -- the end

DETAILS = [
    (
        "Driver received SIGTERM/SIGKILL signal and exited with 143 code, which potentially signifies a memory pressure.",
        143,
    ),
    ("Job failed with message [x]. Driver exited with code 3", 3),
    (
        "Google Cloud Dataproc Agent reports job failure. If logs are available, they can be found at:\nhttps://x/1",
        None,
    ),
    ("Job failed with message [SparkException: executor 4 exited: Exit status: 137].", None),
    ("Driver lost. The executor exited with 1 code.", None),
    ("", None),
]


@pytest.mark.parametrize(("details", "code"), DETAILS)
def test_an_exit_code_is_only_read_where_it_is_told_of_the_driver(details: str, code: int | None) -> None:
    assert exit_code_of(details) == code


def test_a_failure_without_an_exit_code(emulator: Dataproc, options: dict[str, Any]) -> None:
    emulator.tells_exit_code = False
    sh(emulator, "echo it broke", "exit 3")
    job = job_of(options)
    outcome = execute(job, runner_of(job), KEY)
    assert outcome.verdict is Verdict.FAILED
    assert outcome.exit_code is None
    assert "Google Cloud Dataproc Agent reports job failure" in outcome.reason
    assert outcome.tail == "it broke"


@pytest.mark.parametrize("tells", [True, False])
def test_a_check_that_crashes_is_never_not_ready(emulator: Dataproc, options: dict[str, Any], tells: bool) -> None:
    emulator.tells_exit_code = tells
    sh(emulator, "exit 1")
    job = job_of(options, CHECK, check=True)
    outcome = execute(job, runner_of(job), KEY)
    assert outcome.verdict is Verdict.FAILED


def test_an_old_check_without_a_marker(
    emulator: Dataproc, options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    sh(emulator, "exit 1")
    job = job_of({**options, "pre_load_not_ready_sentinel": False}, CHECK, check=True)
    runner = runner_of(job)
    assert execute(job, runner, KEY).verdict is Verdict.NOT_READY
    assert "counts as 'not ready'" in caplog.text
    emulator.tells_exit_code = False
    outcome = execute(job, runner, RunKey(KEY.task, "2"))
    assert outcome.verdict is Verdict.FAILED
    assert "Dataproc does not report exit codes" in outcome.reason
    assert "pre_load_not_ready_sentinel_path" in outcome.reason


def test_a_check_that_is_not_ready_stays_so_for_everybody_who_asks(emulator: Dataproc, options: dict[str, Any]) -> None:
    sh(emulator, 'while [ "$1" != --notReadySentinel ]; do shift; done', ': > "$2"')
    job = job_of(options, CHECK, check=True)
    runner = runner_of(job)
    handle = start(job, runner, KEY)
    assert settle(runner, handle).verdict is Verdict.NOT_READY
    # The same attempt starts again and is asked about by another process.
    other = runner_of(job)
    assert other.submit(job, KEY) == handle
    assert settle(other, handle).verdict is Verdict.NOT_READY
    assert [found.status.outcome and found.status.outcome.verdict for found in other.find(job, KEY.task)] == [
        Verdict.NOT_READY
    ]
    assert runs(emulator) == 1


def test_a_marker_that_is_refused_for_a_moment_fails_no_check_and_holds_up_no_other_job(emulator: Dataproc) -> None:
    check, load = job_of(emulator.options, CHECK, check=True), job_of(emulator.options)
    runner = runner_of(check)
    handles = [runner.submit(check, KEY), runner.submit(load, RunKey("p/r/load", "1"))]
    for container in emulator.containers.all:
        container.wait(60)
    emulator.faults.plan("storage.get", Fault(Kind.DENIED))
    found = runner.poll(handles)
    assert isinstance(found[handles[0]].error, RunnerError)
    assert not found[handles[0]].ended
    assert found[handles[1]].ended
    assert settle(runner, handles[0]).verdict is Verdict.SUCCEEDED


def test_a_marker_that_cannot_be_read_now_is_read_later(emulator: Dataproc) -> None:
    job = job_of(emulator.options, CHECK, check=True)
    runner = runner_of(job)
    handle = runner.submit(job, KEY)
    until(lambda: runner._jobs.get(handle).verdict is not None, "it has ended")  # type: ignore[attr-defined]
    object.__setattr__(runner._markers._store._calls, "total_seconds", 0.2)  # type: ignore[attr-defined]
    emulator.faults.at_random(1.0, [Fault(Kind.UNAVAILABLE)], 1, spared=["GetJob"])
    assert not runner.poll([handle])[handle].ended
    emulator.faults.forget()
    assert settle(runner, handle).verdict is Verdict.SUCCEEDED


def test_a_job_that_was_deleted_is_lost(emulator: Dataproc, options: dict[str, Any]) -> None:
    job = job_of(options)
    runner = runner_of(job)
    handle = start(job, runner, KEY)
    settle(runner, handle)
    emulator._jobs.clear()
    emulator._batches.clear()
    outcome = runner.poll([handle])[handle].outcome
    assert outcome is not None
    assert outcome.verdict is Verdict.LOST
    assert "was deleted" in outcome.reason
    runner.cancel(handle)


def test_a_job_whose_cluster_is_deleted_fails(emulator: Dataproc) -> None:
    sh(emulator, *LONG)
    job = job_of(emulator.options)
    runner = runner_of(job)
    handle = start(job, runner, KEY)
    from google.cloud import dataproc_v1

    emulator._delete_cluster(
        dataproc_v1.DeleteClusterRequest(project_id="emulated", region="europe-west1", cluster_name="existing")
    )
    outcome = settle(runner, handle)
    assert outcome.verdict is Verdict.FAILED
    assert "was deleted" in outcome.reason


# -- polls that go wrong


def get(options: dict[str, Any]) -> str:
    return "GetBatch" if options.get("dataproc_serverless") else "GetJob"


@pytest.mark.parametrize("kind", [Kind.DENIED, Kind.NOT_FOUND], ids=str)
def test_a_poll_that_goes_wrong_changes_no_end(emulator: Dataproc, options: dict[str, Any], kind: Kind) -> None:
    job = job_of(options)
    runner = runner_of(job)
    handle = runner.submit(job, KEY)
    emulator.faults.plan(get(options), *[Fault(kind)] * 3)
    assert settle(runner, handle).verdict is Verdict.SUCCEEDED
    assert runs(emulator) == 1


@pytest.mark.parametrize("crowd", [3, 6], ids=["asked for one by one", "in a list"])
def test_one_that_cannot_be_asked_about_does_not_hide_the_others(
    emulator: Dataproc, options: dict[str, Any], crowd: int
) -> None:
    job = job_of(options)
    runner = runner_of(job)
    handles = sorted(runner.submit(job, RunKey(f"p/r/{number}", "1")) for number in range(crowd))
    for container in emulator.containers.all:
        container.wait(60)
    emulator.faults.plan(get(options), Fault(Kind.DENIED))
    found = runner.poll(handles)
    assert [isinstance(status.error, RunnerError) for status in found.values()].count(True) == 1
    assert [status.ended for status in found.values()].count(True) == crowd - 1
    assert all(status.ended for status in runner.poll(handles).values())


def test_a_list_that_is_refused_is_an_error_of_each(emulator: Dataproc) -> None:
    running = emulator.seed_running(5)
    runner = runner_of(job_of(emulator.options))
    emulator.faults.plan("ListJobs", Fault(Kind.DENIED))
    assert all(isinstance(status.error, RunnerError) for status in runner.poll(running).values())
    assert not any(status.error for status in runner.poll(running).values())


def test_what_was_never_seen_is_waited_for_and_what_was_seen_is_lost_at_once(
    emulator: Dataproc, options: dict[str, Any]
) -> None:
    sh(emulator, *LONG)
    job = job_of({**options, "dataproc_missing_grace": "1h"})
    runner = runner_of(job)
    handle = runner.submit(job, KEY)
    known = emulator._batches if options.get("dataproc_serverless") else emulator._jobs
    hidden = dict(known)
    known.clear()
    other = runner_of(job)  # it did not submit the run, and never saw it
    for one in (runner, other):
        assert one.poll([handle])[handle].detail.startswith("pending")
    known.update(hidden)
    assert not any(one.poll([handle])[handle].ended for one in (runner, other))
    known.clear()
    for one in (runner, other):
        outcome = one.poll([handle])[handle].outcome
        assert outcome is not None
        assert outcome.verdict is Verdict.LOST


def test_slow_storage_holds_up_nothing_but_the_check_that_needs_it(
    emulator: Dataproc, monkeypatch: pytest.MonkeyPatch
) -> None:
    check, load = job_of(emulator.options, CHECK, check=True), job_of(emulator.options)
    runner: Any = runner_of(check)
    monkeypatch.setattr(runner._aside, "_seconds", 0.05)
    handles = [runner.submit(check, KEY), runner.submit(load, RunKey("p/r/load", "1"))]
    for container in emulator.containers.all:
        container.wait(60)
    answer = threading.Event()
    monkeypatch.setattr(runner._markers, "seen", lambda marker: answer.wait(60))
    until(lambda: runner.poll(handles)[handles[1]].ended, "the others do not wait for it")
    assert not runner.poll(handles)[handles[0]].ended
    (found,) = runner.find(check, KEY.task)
    assert found.status.ended, "it is known that it has ended, if not how"
    answer.set()
    assert settle(runner, handles[0]).verdict is Verdict.NOT_READY


# -- an attempt that is being stopped


@pytest.mark.parametrize("crowd", [1, 5], ids=["asked for one by one", "in a list"])
def test_a_new_attempt_waits_for_the_end_of_one_that_is_being_stopped(
    emulator: Dataproc, options: dict[str, Any], crowd: int
) -> None:
    gate = emulator.buckets / "gate"
    sh(emulator, "trap '' TERM", "echo ready", f'while [ ! -e "{gate}" ]; do sleep 0.02; done', "exit 3")
    job = job_of(options)
    older = runner_of(job).submit(job, KEY)
    until(lambda: bool(emulator.containers.all and emulator.containers.all[0].lines), "it runs")
    others = [runner_of(job).submit(job, RunKey(f"p/r/{number}", "1")) for number in range(crowd - 1)]
    runner_of(job).cancel(older)
    other = runner_of(job)
    assert other.poll([older, *others])[older].stopping
    (found,) = other.find(job, KEY.task)
    assert found.status.stopping
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(start, job, other, RunKey(KEY.task, "2"))
        asked = emulator.faults.calls[get(options)]
        until(lambda: emulator.faults.calls[get(options)] > asked + 2, "it is waited for")
        assert not starting.done()
        gate.touch()
        assert starting.result() != older
    assert runs(emulator) == crowd + 1


# -- cancel


def test_what_ends_while_it_is_cancelled_keeps_its_true_end(emulator: Dataproc, options: dict[str, Any]) -> None:
    sh(emulator, "trap 'exit 0' TERM", "echo ready", "while true; do sleep 0.05; done")
    job = job_of(options)
    runner = runner_of(job)
    handle = start(job, runner, KEY)
    until(lambda: bool(emulator.containers.all and emulator.containers.all[0].lines), "it runs")
    runner.cancel(handle)
    assert settle(runner, handle).verdict is Verdict.SUCCEEDED


def test_a_job_that_has_not_begun_can_be_cancelled(emulator: Dataproc, options: dict[str, Any]) -> None:
    emulator.slow = 3600
    job = job_of(options)
    runner = runner_of(job)
    handle = start(job, runner, KEY)
    assert runner.poll([handle])[handle].detail == "PENDING"
    runner.cancel(handle)
    assert settle(runner, handle).verdict is Verdict.CANCELLED
    assert runs(emulator) == 0


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.kind.name} {fault.when.value}")
def test_a_cancel_without_an_answer_is_repeated(emulator: Dataproc, options: dict[str, Any], fault: Fault) -> None:
    sh(emulator, *LONG)
    job = job_of(options)
    runner = runner_of(job)
    handle = start(job, runner, KEY)
    emulator.faults.plan("CancelOperation" if options.get("dataproc_serverless") else "CancelJob", fault)
    runner.cancel(handle)
    assert settle(runner, handle).verdict is Verdict.CANCELLED


@pytest.mark.parametrize("crowd", [1, 5], ids=["asked for one by one", "in a list"])
def test_a_job_that_takes_too_long_is_cancelled(emulator: Dataproc, options: dict[str, Any], crowd: int) -> None:
    sh(emulator, *LONG)
    job = job_of({**options, "dataproc_job_wait_timeout": 1})
    runner = runner_of(job)
    handles = [runner.submit(job, RunKey(f"p/r/t{number}", "1")) for number in range(crowd)]
    found: dict[str, Outcome] = {}

    def ended() -> bool:
        found.update({handle: status.outcome for handle, status in runner.poll(handles).items() if status.outcome})
        return len(found) == crowd

    until(ended, "all are cancelled")
    for outcome in found.values():
        assert outcome.verdict is Verdict.FAILED
        assert outcome.reason == "cancelled after its time-out of 1 s (option dataproc_job_wait_timeout)"


@pytest.mark.parametrize("skew", [-300.0, 300.0])
def test_a_time_out_is_measured_by_one_clock(emulator: Dataproc, options: dict[str, Any], skew: float) -> None:
    """Five minutes between the clocks: nothing is cancelled early, and nothing late."""
    emulator.skew = skew
    sh(emulator, *LONG)
    patient, late = (job_of({**options, "dataproc_job_wait_timeout": seconds}) for seconds in (240, 1))
    runner = runner_of(patient)
    kept, over = runner.submit(patient, KEY), runner.submit(late, RunKey("p/r/late", "1"))
    outcome = wait(runner, over)
    assert (outcome.verdict, outcome.reason[:33]) == (Verdict.FAILED, "cancelled after its time-out of 1")
    other = runner_of(patient)  # has never seen it
    for one in (runner, other):
        assert not one.poll([kept])[kept].stopping
    assert not emulator.containers.all[0].stopped


def test_a_cancel_that_is_refused_does_not_hide_the_others(
    emulator: Dataproc, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.slow = 3600
    late = job_of({**emulator.options, "dataproc_job_wait_timeout": 1})
    runner = runner_of(late)
    handles = [runner.submit(late, KEY), runner.submit(job_of(emulator.options), RunKey("p/r/other", "1"))]
    emulator._jobs[job_id(KEY)].history[0] = ("PENDING", 1.0)
    emulator._jobs[job_id(KEY)].told = None
    emulator.faults.plan("CancelJob", Fault(Kind.DENIED))
    assert [status.detail for status in runner.poll(handles).values()] == ["PENDING", "PENDING"]
    assert "cannot be cancelled now" in caplog.text


# -- many at once


def test_one_list_tells_of_all_and_only_those_that_left_are_asked_for(emulator: Dataproc) -> None:
    running = emulator.seed_running(250)
    emulator.seed_history(300)
    runner = runner_of(job_of(emulator.options))
    before = emulator.faults.calls.total()
    found = runner.poll(running)
    assert set(found) == set(running)
    assert {status.detail for status in found.values()} == {"RUNNING"}
    assert emulator.faults.calls.total() - before == 3
    for handle in running[:7]:
        emulator._move(emulator._jobs[handle.rpartition("/")[2]], "DONE")
    found = runner.poll(running)
    assert sum(status.ended for status in found.values()) == 7
    assert emulator.faults.calls["GetJob"] == 7


def test_jobs_and_batches_and_clusters_in_one_poll(emulator: Dataproc) -> None:
    job = job_of(emulator.options)
    batch = job_of({**emulator.options, "dataproc_cluster": None, "dataproc_serverless": True})
    assert job.endpoint == batch.endpoint
    runner = runner_of(job)
    handles = [
        *(runner.submit(job, RunKey(f"p/r/{n}", "1")) for n in range(5)),
        *(runner.submit(batch, RunKey(f"p/r/{n}", "1")) for n in range(5)),
    ]
    handles.append("projects/emulated/regions/europe-west1/clusters/existing")
    for container in emulator.containers.all:
        container.wait(60)
    until(lambda: all(status.ended for status in runner.poll(handles).values()), "all have ended")
    outcome = runner.poll(["nonsense"])["nonsense"].outcome
    assert outcome is not None
    assert outcome.verdict is Verdict.LOST
    runner.cancel("nonsense")
    assert runner.logs("nonsense", None) == ((), None)
    assert runner.tail("nonsense", 3) == ()  # type: ignore[attr-defined]


def test_a_third_of_all_calls_fails_and_all_jobs_end_as_they_should(emulator: Dataproc) -> None:
    emulator.containers.program = ("/bin/sh", "-c", 'case "$*" in *--tables\\ bad*) exit 3;; esac', "driver")
    from starlake_core.model.command import load_command

    jobs = [
        job_of(emulator.options, load_command("t", "sales", f"{'bad' if n % 3 == 0 else 'good'}_{n}"))
        for n in range(24)
    ]
    runner = runner_of(jobs[0])
    emulator.faults.at_random(0.3, FAULTS, 7)
    ended: dict[int, Outcome] = {}

    def run(numbers: range) -> None:
        for number in numbers:
            ended[number] = execute(jobs[number], runner, RunKey(f"p/r/{number}", "1"))

    threads = [threading.Thread(target=run, args=(range(first, 24, 8),)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {n: outcome.verdict for n, outcome in ended.items()} == {
        n: Verdict.FAILED if n % 3 == 0 else Verdict.SUCCEEDED for n in range(24)
    }
    assert runs(emulator) == 24


# -- words


def test_errors_say_what_to_do(emulator: Dataproc, options: dict[str, Any]) -> None:
    job = job_of(options)
    runner = runner_of(job)
    method = submission(options)
    emulator.faults.plan(method, Fault(Kind.DENIED))
    with pytest.raises(RunnerError, match=r"Grant the account of this worker the role roles/dataproc.editor"):
        runner.submit(job, KEY)
    emulator.faults.plan(method, Fault(Kind.QUOTA))
    with pytest.raises(
        RunnerError, match=r"Insufficient 'CPUS' quota.*request a higher one on the page 'Quotas' of the project"
    ):
        runner.submit(job, KEY)
    assert calls(emulator, options) == 2, "neither passes by waiting"
    assert runs(emulator) == 0


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"dataproc_region": "us-central1"}, r"in us-central1: .*Region 'us-central1' invalid or not supported"),
        ({"dataproc_project_id": "other"}, r"Permission denied on resource project other.*dataproc_project_id"),
        (
            {"dataproc_cluster": "no-such"},
            r"Not found: Cluster projects/emulated/.*/no-such\. Create the cluster no-such: .*dataproc_cluster",
        ),
    ],
)
def test_a_wrong_place_is_told(emulator: Dataproc, wrong: dict[str, Any], says: str) -> None:
    job = job_of({**emulator.options, **wrong})
    with pytest.raises(RunnerError, match=says):
        runner_of(job).submit(job, KEY)


def test_an_outage_is_no_refusal(emulator: Dataproc, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of(emulator.options)
    runner = runner_of(job)
    object.__setattr__(runner._jobs._calls, "total_seconds", 0.2)  # type: ignore[attr-defined]
    emulator.faults.at_random(1.0, [Fault(Kind.UNAVAILABLE)], 1)
    with pytest.raises(OutageError, match=r"Dataproc did not answer for 0.2 s \(submitting job"):
        runner.submit(job, KEY)


def test_a_missing_bucket_of_markers_is_told_before_the_check_runs(emulator: Dataproc) -> None:
    job = job_of({**emulator.options, "spark_bucket": "no-such-bucket"}, CHECK, check=True)
    with pytest.raises(RunnerError, match="Create the bucket no-such-bucket"):
        start(job, runner_of(job), KEY)
    assert runs(emulator) == 0


def test_a_marker_elsewhere_is_refused(emulator: Dataproc) -> None:
    from dataclasses import replace

    job = job_of(emulator.options, CHECK, check=True)
    job = replace(job, arguments=(*job.arguments, "--notReadySentinel", "/tmp/x"))
    with pytest.raises(RunnerError, match="set pre_load_not_ready_sentinel_path to a folder such as gs://"):
        start(job, runner_of(job), KEY)


def test_secrets_are_hidden_in_reasons(emulator: Dataproc) -> None:
    job = job_of({**emulator.options, "sl_env_var": {"DB_PASSWORD": "hunter2-and-more"}})
    runner = runner_of(job)
    emulator.slow = 3600
    handle = runner.submit(job, KEY)
    emulator._move(emulator._jobs[job_id(KEY)], "ERROR", "Job failed with message [login failed: hunter2-and-more].")
    outcome = runner.poll([handle])[handle].outcome
    assert outcome is not None
    assert outcome.reason == "ERROR: Job failed with message [login failed: ***]."


def test_the_console_is_always_told(emulator: Dataproc, options: dict[str, Any]) -> None:
    job = job_of(options)
    runner = runner_of(job)
    outcome = execute(job, runner, KEY)
    name = outcome.log.partition("?")[0].rpartition("/")[2]
    assert outcome.log.startswith("https://console.cloud.google.com/dataproc/")
    assert KEY.attempt_hash in name
    assert "project=emulated" in outcome.log
    assert (
        runner.console_url("projects/p/regions/r/operations/o")
        == "https://console.cloud.google.com/dataproc/clusters?region=r&project=p"
    )  # type: ignore[attr-defined]


def test_variables_reach_the_driver_of_this_job(emulator: Dataproc, options: dict[str, Any]) -> None:
    sh(emulator, 'echo "$GREETING|$LIST|$SL_RUN_KEY|$SL_RUN_TASK|$SL_RUN_ATTEMPT"', 'echo "$@"')
    env = {"GREETING": 'it\'s "me" & $HOME', "LIST": "1,2"}
    key = RunKey(KEY.task, "run id:1", 2)
    job = job_of({**options, "sl_env_var": env})
    execute(job, runner_of(job), key)
    first, second = (line for _, line in emulator.containers.all[0].lines)
    assert first == f"{env['GREETING']}|1,2|{key.work}|{key.task}|run id:1"
    assert second.endswith('--options GREETING=it\'s "me" & $HOME')


def test_a_driver_starts_only_when_its_time_has_come(emulator: Dataproc, options: dict[str, Any]) -> None:
    emulator.slow = 0.2
    job = job_of(options)
    runner = runner_of(job)
    handle = start(job, runner, KEY)
    assert not runner.poll([handle])[handle].ended
    assert finish(runner, handle, settle(runner, handle)).verdict is Verdict.SUCCEEDED
