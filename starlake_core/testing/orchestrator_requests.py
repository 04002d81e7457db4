"""Checks that an orchestrator honours every field of a run and of a request for it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from dataclasses import replace

import pytest

from ..dsl.pipeline import StarlakePipeline
from ..errors import RunError
from ..model.graph import Task
from ..model.kinds import Wait
from ..model.run import Report, RunRequest, TaskEvent, TaskState
from ..orchestrators.requests import request_run
from ..runtime import Verdict
from . import corpus
from .corpus import Graph
from .fake import FakeEnvironment
from .lab import SCHEDULED
from .orchestrator_base import PARALLEL, RESUMABLE, TRIGGERED, OrchestratorBase, states
from .promises import level

__all__ = ["FIELDS", "RequestChecks"]

FIELDS: Mapping[str, str] = {
    "Run.pipeline_id": "test_every_task_runs_once_and_in_order",
    "Run.run_id": "test_every_task_runs_once_and_in_order",
    "Run.interval": "test_run_time_values",
    "Run.zone": "test_run_time_values",
    "Run.root_run_id": "test_the_root_run_names_the_work",
    "Run.instance": "test_keys_of_attempts_are_those_of_the_run",
    "Run.deployment": "test_the_deployment_names_the_work",
    "Run.variables": "test_run_time_values",
    "Run.retry_unsafe": "test_retry_unsafe_reaches_the_job",
    "Run.options": "test_variables_of_a_run_reach_its_commands",
    "RunRequest.run": "test_run_time_values",
    "RunRequest.select": "test_selection",
    "RunRequest.exclude": "test_selection",
    "RunRequest.parallelism": "test_parallelism_is_a_limit",
    "RunRequest.resume": "test_resume_repeats_only_what_failed",
    "RunRequest.group": "test_the_group_is_reported",
    "RunRequest.skip": "test_a_run_that_is_skipped_does_nothing",
    "RunRequest.triggered": "test_a_triggered_run_waits_for_its_data",
    "RunRequest.date": "test_a_run_by_hand_needs_no_data",
    "RunRequest.patient": "test_a_triggered_run_waits_for_its_data",
    "RunRequest.dry_run": "test_dry_run_starts_nothing",
    "RunRequest.listener": "test_listener_hears_every_line",
}
"""Every field of a run and of a request, and the check that an orchestrator honours it."""

_DELAY_SECONDS = 1.0
_QUIET_SECONDS = 0.5
"""How long nothing may start before Ctrl-C, so that no task is just about to."""


def _draw_deep(p: StarlakePipeline) -> None:
    check = p.sl_pre_load("sales", ["orders"], "pending")
    assert check is not None
    with (
        p.sl_create_task_group("a") as outer,
        p.sl_create_task_group("b"),
        p.sl_create_task_group("c"),
        p.sl_create_task_group("d"),
    ):
        p.sl_load("load", "sales", "orders")
    p.start_task() >> check >> outer >> p.end_task()


def _draw_pair(p: StarlakePipeline) -> None:
    for name in ("left", "right"):
        p.sl_transform(name, f"kpi.{name}")


class RequestChecks(OrchestratorBase):
    """What a request says is done, and nothing of it is dropped."""

    def _request(self, pipeline: StarlakePipeline, **fields: object) -> RunRequest:
        request = request_run(pipeline, SCHEDULED, run_id=f"run-of-{pipeline.id}")
        return replace(request, run=replace(request.run, **fields))  # type: ignore[arg-type]

    def _key_of(self, fake: FakeEnvironment, **fields: object) -> tuple[str, str]:
        """Return the stable part of the key of a task, and the one that it should be."""
        pipeline = self.draw(corpus.single_task, fake)
        request = self._request(pipeline, **fields)
        assert self.run(pipeline, request).succeeded
        return fake.started("transform:kpi.only")[-1].key.task, request.run.attempt("only").key.task

    def test_the_root_run_names_the_work(self, fake: FakeEnvironment) -> None:
        """A run that re-executes another one works under the name of the first run, so that its attempts are found."""
        found, wanted = self._key_of(fake, root_run_id="the-first-run")
        assert found == wanted, f"the work is named {found!r}, not {wanted!r}"

    def test_the_deployment_names_the_work(self, fake: FakeEnvironment) -> None:
        """Work of two deployments has two names, even if their pipelines and runs have the same ids."""
        keys = []
        for name in ("KIT_ONE", "KIT_TWO"):
            pipeline = self.draw(corpus.single_task, fake, deployment=name)
            assert self.run(pipeline, self._request(pipeline, run_id=f"run-{name}")).succeeded
            keys.append(fake.started("transform:kpi.only")[-1].key.task.partition(":")[0])
        assert keys == ["KIT_ONE", "KIT_TWO"], f"the work of two deployments is named {keys}"

    def test_keys_of_attempts_are_those_of_the_run(self, fake: FakeEnvironment) -> None:
        """The key of an attempt is that of the run: its name, its generation, and one instance for all tasks."""
        pipeline = self.draw(corpus.chain, fake)
        request = self._request(pipeline)
        assert self.run(pipeline, request).succeeded
        keys = {
            task.path: fake.started(about)[0].key
            for task in pipeline.tasks()
            for about in [self.subjects(pipeline).get(task.path, "")]
            if about
        }
        assert {path: key.task for path, key in keys.items()} == {
            path: request.run.attempt(path).key.task for path in keys
        }
        assert len({key.instance for key in keys.values()}) == 1, "tasks of one run say that they belong to two"
        assert {key.generation for key in keys.values()} == {0}, "a first run says that it is a repetition"

    def test_retry_unsafe_reaches_the_job(self, fake: FakeEnvironment) -> None:
        """A run in which a person allows a repetition that is not safe says so to its jobs."""
        pipeline = self.draw(corpus.single_task, fake)
        self.run(pipeline, self._request(pipeline, retry_unsafe="blind"))
        assert fake.started("transform:kpi.only")[0].job.retry_unsafe == "blind"

    def test_variables_of_a_run_reach_its_commands(self, fake: FakeEnvironment) -> None:
        """The substitution variables that a run brings are in the commands of their section, and in no others."""
        pipeline = self.draw(corpus.diamond, fake)
        options = {"all": {"batch": "b7"}, "kpi.left": {"region": "EU"}}
        assert self.run(pipeline, self._request(pipeline, options=options)).succeeded
        left, right = (fake.started(f"transform:kpi.{name}")[0].job.arguments for name in ("left", "right"))
        assert all("batch=b7" in " ".join(found) for found in (left, right)), "variables of a run were dropped"
        assert "region=EU" in " ".join(left), "variables of a section were dropped"
        assert "region=EU" not in " ".join(right), "variables of a section reached another command"

    def test_the_group_is_reported(self, fake: FakeEnvironment) -> None:
        """The report names the group of runs that were requested together."""
        pipeline = self.draw(corpus.single_task, fake)
        report = self.run(pipeline, replace(self._request(pipeline), group="kit-group"))
        assert report.group == "kit-group"

    def test_a_run_that_is_skipped_does_nothing(self, fake: FakeEnvironment) -> None:
        """A run with a reason to be skipped starts nothing, emits nothing and does not fail, and its report says why."""
        pipeline = self.draw(corpus.two_domains, fake)
        report = self.run(pipeline, replace(self._request(pipeline), skip="nothing is new"))
        assert not fake.submissions, "a run that is to be skipped started a job"
        assert report.succeeded
        assert report.datasets == ()
        assert {task.state for task in report.tasks} == {TaskState.SKIPPED}
        assert all("nothing is new" in task.reason for task in report.tasks), "the reports do not say why"

    def test_listener_hears_every_line(self, fake: FakeEnvironment) -> None:
        """The listener of a run in this process receives every line of output once, with its task."""
        fake.says("transform:kpi.only", "one", "two")
        pipeline = self.draw(corpus.single_task, fake)
        heard: list[tuple[str, str]] = []

        def listen(event: TaskEvent) -> None:
            if event.line is not None:
                heard.append((event.task, event.line))

        self.run(pipeline, replace(self._request(pipeline), listener=listen))
        assert [line for task, line in heard if task == "only" and line in ("one", "two")] == ["one", "two"], (
            f"the listener heard {heard}"
        )

    # -- how many at once

    @level(PARALLEL)
    def test_parallelism_is_a_limit(self, fake: FakeEnvironment) -> None:
        """No more tasks run at once than the request allows."""
        fake.together("transform:kpi.left", "transform:kpi.right")
        fake.patience = _QUIET_SECONDS  # the first waits in vain for the second
        pipeline = self.draw(Graph("pair", _draw_pair), fake)
        self.run(pipeline, replace(self._request(pipeline), parallelism=1))
        assert [what for what, _ in fake.history] == ["start", "end"] * 2, "two tasks ran at once, and one was allowed"

    @level(PARALLEL)
    def test_tasks_run_at_once(self, fake: FakeEnvironment) -> None:
        """Tasks that do not depend on each other run at once, if the request allows it."""
        fake.together("transform:kpi.left", "transform:kpi.right")
        pipeline = self.draw(Graph("pair", _draw_pair), fake)
        report = self.run(pipeline, replace(self._request(pipeline), parallelism=2))
        assert report.succeeded, "a task waits until another one has ended, although two may run at once"

    # -- resuming

    @level(RESUMABLE)
    def test_resume_repeats_only_what_failed(self, fake: FakeEnvironment) -> None:
        """A resumed run does not repeat what succeeded, and finishes the rest under the same names."""
        fake.script("transform:kpi.right", Verdict.FAILED, Verdict.SUCCEEDED)
        pipeline = self.draw(corpus.diamond, fake)
        request = self._request(pipeline)
        assert not self.run(pipeline, request).succeeded
        report = self.run(pipeline, replace(request, resume=True))
        assert report.succeeded, report.reason
        counts = {name: len(fake.started(f"transform:kpi.{name}")) for name in ("top", "left", "right", "bottom")}
        assert counts == {"top": 1, "left": 1, "right": 2, "bottom": 1}, f"a resumed run started {counts}"
        keys = [submission.key for submission in fake.started("transform:kpi.right")]
        assert keys[0].task == keys[1].task, "a resumed run does other work"
        assert keys[0].attempt != keys[1].attempt, "two attempts share a key"

    def test_resume_is_never_a_new_run(self, fake: FakeEnvironment) -> None:
        """A request to resume a run that does not exist, or that cannot be resumed from here, is refused with what to do
        instead."""
        pipeline = self.draw(corpus.single_task, fake)
        with pytest.raises(RunError):
            self.run(pipeline, replace(self._request(pipeline, run_id="kit-no-such-run"), resume=True))
        assert not fake.submissions, "a request to resume a run started another one"

    # -- times

    def test_retry_delay_is_waited_for(self, fake: FakeEnvironment) -> None:
        """A failed task is tried again after its retry delay, and not before."""

        def draw(p: StarlakePipeline) -> None:
            p.sl_transform("work", "kpi.work", retries=1, retry_delay=_DELAY_SECONDS)

        fake.script("transform:kpi.work", Verdict.FAILED, Verdict.SUCCEEDED)
        assert self.run(self.draw(Graph("delayed", draw), fake)).succeeded
        first, second = fake.times("transform:kpi.work")
        assert second - first >= _DELAY_SECONDS * 0.95, "a task was tried again before its retry delay was over"

    def test_interval_of_a_waiting_check_is_waited_for(self, fake: FakeEnvironment) -> None:
        """A check that waits looks again after its interval, and not before."""
        interval = max(int(_DELAY_SECONDS), self.wait_interval)

        def draw(p: StarlakePipeline) -> None:
            check = p.sl_pre_load("sales", ["orders"], "pending")
            assert isinstance(check, Task)
            check.wait = Wait(interval, self.wait_timeout)

        fake.script("preload:sales", Verdict.NOT_READY, Verdict.SUCCEEDED)
        assert self.run(self.draw(Graph("poked", draw), fake)).succeeded
        first, second = fake.times("preload:sales")
        assert second - first >= interval * 0.95, "a check that waits looked again before its interval was over"

    # -- pipelines that datasets start

    @pytest.mark.parametrize("patient", [False, True])
    def test_a_triggered_run_waits_for_its_data(self, fake: FakeEnvironment, patient: bool) -> None:
        """A request of the rules, and not of a person, starts nothing while no dataset is new, and says so. An
        orchestrator that does not decide this itself refuses such a request."""
        pipeline = self.draw_triggered(fake)
        request = replace(self._request(pipeline), triggered=True, patient=patient)
        if TRIGGERED not in self.levels:
            with pytest.raises(RunError):
                self.run(pipeline, request)
            assert not fake.submissions, "a request that was refused started a job"
            return
        report = self.run(pipeline, request)
        assert not fake.submissions, "a pipeline ran although its datasets have no events"
        assert report.succeeded
        assert {task.state for task in report.tasks} == {TaskState.SKIPPED}

    @level(TRIGGERED)
    def test_a_run_by_hand_needs_no_data(self, fake: FakeEnvironment) -> None:
        """A person may start a pipeline that datasets start, for a date; its commands get that date."""
        pipeline = self.draw_triggered(fake)
        request = replace(self._request(pipeline), date=SCHEDULED)
        assert self.run(pipeline, request).succeeded
        (submission,) = fake.started("transform:kpi.revenue")
        assert request.run.attempt("task").value("sl_scheduled_date") in submission.job.arguments

    # -- gates in depth

    @pytest.mark.parametrize("verdict", [Verdict.NOT_READY, Verdict.FAILED], ids=lambda verdict: verdict.name)
    def test_a_gate_closes_however_deep_its_tasks_are(self, fake: FakeEnvironment, verdict: Verdict) -> None:
        """A check that is not ready, or fails, stops its tasks, however many groups they are in."""
        fake.script("preload:sales", verdict)
        report = self.run(self.draw(Graph("deep", _draw_deep), fake))
        assert not fake.started("load:sales.orders"), "a task in four groups ran although its check was not ready"
        wanted = TaskState.SKIPPED if verdict is Verdict.NOT_READY else TaskState.UPSTREAM_FAILED
        assert states(report, ["load"]) == {"load": wanted}

    # -- stopping

    def test_interrupt_stops_what_runs(self, fake: FakeEnvironment) -> None:
        """Ctrl-C stops every running task at once, starts no other one, and the run is not green."""
        for name in ("left", "right"):
            fake.script(f"transform:kpi.{name}", None)

        def draw(p: StarlakePipeline) -> None:
            work = [p.sl_transform(name, f"kpi.{name}") for name in ("left", "right")]
            p.start_task() >> work >> p.sl_transform("after", "kpi.after")

        pipeline = self.draw(Graph("stopped", draw), fake)
        report, started = self._interrupted(pipeline, fake)
        live = [one.handle for one in fake.submissions if ("end", one.subject) not in fake.history]
        assert not live, f"Ctrl-C leaves tasks running: {live}"
        assert fake.cancelled, "Ctrl-C cancels nothing"
        late = [one.subject for one in fake.submissions[started:]]
        assert not late, f"tasks were started after Ctrl-C: {late}"
        if report is not None:
            assert report.state == TaskState.CANCELLED, f"a run that was interrupted is {report.state!r}"

    def test_tear_down_runs_after_an_interrupt(self, fake: FakeEnvironment) -> None:
        """After Ctrl-C, what was set up is torn down, exactly once, and the run is not green."""
        fake.lifecycle = True
        fake.script("transform:kpi.work", None)
        pipeline = self.draw(corpus.tear_down, fake)
        report, _ = self._interrupted(pipeline, fake, "transform:kpi.work")
        count = len(fake.started("job:delete_cluster"))
        assert count == 1, (
            f"after Ctrl-C, the tear-down ran {count} times, not once: call tear_down(pipeline, task, run)"
        )
        if report is not None:
            assert report.state == TaskState.CANCELLED, f"a run that was interrupted is {report.state!r}"
            assert states(report, ["delete_cluster"]) == {"delete_cluster": TaskState.SUCCEEDED}

    def test_a_run_that_cannot_succeed_starts_nothing(self, fake: FakeEnvironment) -> None:
        """What the environment says about jobs that can never succeed (``sl_check_jobs``) ends a run before it starts
        anything, and is shown. Only selected tasks are asked about."""
        fake.hopeless["transform:kpi.left"] = "the query of kpi.left cannot be read"
        pipeline = self.draw(corpus.diamond, fake)
        try:
            report = self.run(pipeline, self._request(pipeline))
        except RunError as error:
            shown, succeeded = str(error), False
        else:
            shown, succeeded = " ".join([report.reason, *(task.reason for task in report.tasks)]), report.succeeded
        assert not fake.submissions, (
            "a run that cannot succeed started a job: ask explain_hopeless(pipeline, request) first"
        )
        assert not succeeded, "a run that cannot succeed is green"
        assert "the query of kpi.left cannot be read" in shown, f"the run does not say why: {shown!r}"
        request = replace(self._request(pipeline, run_id="kit-rest"), exclude=("left",))
        assert self.run(pipeline, request).succeeded, "a task that is left out stops the run"

    def _interrupted(
        self, pipeline: StarlakePipeline, fake: FakeEnvironment, subject: str = ""
    ) -> tuple[Report | None, int]:
        """Run a pipeline and interrupt it, when a subject has started if one is given; return the report, if there is one,
        and how many tasks had started before."""
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        over, seen = threading.Event(), [0]

        def interrupt() -> None:
            while not over.wait(_QUIET_SECONDS):
                if len(fake.submissions) == seen[0] > 0 and (not subject or fake.started(subject)):
                    os.kill(os.getpid(), signal.SIGINT)
                    return
                seen[0] = len(fake.submissions)

        thread = threading.Thread(target=interrupt, daemon=True)
        thread.start()
        try:
            return self.run(pipeline, self._request(pipeline)), seen[0]
        except KeyboardInterrupt:
            return None, seen[0]
        finally:
            over.set()
            thread.join()
            signal.signal(signal.SIGINT, before)
