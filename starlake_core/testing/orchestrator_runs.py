"""Checks of how an orchestrator runs tasks: order, values, failure, retries, time-outs, tear-down."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from ..dsl.pipeline import StarlakePipeline
from ..errors import OutageError, RunnerError
from ..model.run import TaskState
from ..orchestrators.requests import request_run
from ..runtime import WILL_NOT_PASS, Outcome, Verdict, outcome_from_exit_code
from . import corpus
from .corpus import CORPUS, Graph
from .fake import FakeEnvironment
from .graphs import neutral_graph, tasks_before
from .lab import SCHEDULED
from .orchestrator_base import OrchestratorBase, states
from .recording import Watcher

__all__ = ["PLACEHOLDERS", "RunChecks", "draw_values"]

_small = {name: graph for name, graph in CORPUS.items() if not graph.large}
PLACEHOLDERS = (
    "sl_scheduled_date",
    "sl_ds",
    "sl_data_interval_start",
    "sl_data_interval_end",
    "sl_run_id",
    "sl_run_hash",
    "var:region",
)


def draw_values(p: StarlakePipeline, names: Sequence[str] = PLACEHOLDERS) -> None:
    """Draw a task whose query consists of values that only the run knows."""
    query = "|".join(f"${{{name}}}" for name in names)
    p.sl_job("values", ["transform", "--name", "kpi.values", "--query", query])


def _draw_retried(p: StarlakePipeline) -> None:
    p.sl_transform("work", "kpi.work", retries=1, retry_delay=0) >> p.sl_transform("next", "kpi.next")


def _draw_repeated(p: StarlakePipeline) -> None:
    # Can safely be done twice, whether or not the first attempt started.
    p.sl_job("work", ["stage", "--domains", "sales"], retries=1, retry_delay=0)


class RunChecks(OrchestratorBase):
    """Every task runs once, after its upstream tasks and with the values of the run, and failures are reported."""

    @pytest.mark.parametrize("graph", _small.values(), ids=_small)
    def test_every_task_runs_once_and_in_order(self, graph: Graph, fake: FakeEnvironment) -> None:
        """Each job is started once, unchanged, after the jobs before it, and the run emits every dataset."""
        fake.lifecycle = True
        fake.delay("*", 1)
        pipeline = self.draw(graph, fake)
        request = request_run(pipeline, SCHEDULED, run_id="kit-run")
        report = self.run(pipeline, request)
        assert report.succeeded, f"everything succeeded, but the run is {report.state!r}: {report.reason}"
        assert {task.state for task in report.tasks} == {TaskState.SUCCEEDED}
        subjects = self.subjects(pipeline)
        started = [submission.subject for submission in fake.submissions]
        assert sorted(started) == sorted(subjects.values()), "not every job was started exactly once"
        ordered = tasks_before(neutral_graph(pipeline))
        for path, befores in ordered.items():
            for before in befores:
                if path in subjects and before in subjects:
                    start, end = ("start", subjects[path]), ("end", subjects[before])
                    assert end in fake.history[: fake.history.index(start)], (
                        f"'{path}' was started before '{before}' had ended"
                    )
        reported = [task.id for task in report.tasks]
        for path, befores in ordered.items():
            for before in befores:
                assert reported.index(before) < reported.index(path), (
                    f"the report is not in topological order: '{path}' is before '{before}'"
                )
        for task in pipeline.tasks():
            if task.job is None:
                continue
            wanted = task.job.bind(request.run.attempt(task.path))
            found = fake.started(subjects[task.path])[0].job
            assert found.arguments == wanted.arguments, f"the arguments of '{task.path}' changed on the way"
            assert found.env.items() >= wanted.env.items(), f"variables of '{task.path}' changed on the way"
            assert replace(found, env=wanted.env) == wanted, f"the job of '{task.path}' changed on the way"
        assert set(report.datasets) == {dataset.uri for dataset in pipeline.outlets}, (
            "a run in which everything succeeds must emit every dataset"
        )

    def test_run_time_values(self, fake: FakeEnvironment) -> None:
        """The values that only the run knows are the same on every orchestrator."""
        pipeline = self.draw(Graph("values", draw_values), fake, timezone="Europe/Paris")
        # The interval is the day on which the clock is set forward.
        moment = datetime(2026, 3, 30, tzinfo=ZoneInfo("Europe/Paris"))
        request = request_run(pipeline, moment, run_id="kit-values", variables={"region": "EU 1"})
        report = self.run(pipeline, request)
        assert report.succeeded, report.reason
        assert report.interval in (None, request.run.interval), "the data interval of the report is not that of the run"
        (submission,) = fake.started("transform:kpi.values")
        values = dict(zip(PLACEHOLDERS, submission.job.arguments[-1].split("|"), strict=True))
        assert values == {
            "sl_scheduled_date": "2026-03-30T00:00:00.000+0200",
            "sl_ds": "2026-03-30",
            "sl_data_interval_start": "2026-03-29T00:00:00+01:00",
            "sl_data_interval_end": "2026-03-30T00:00:00+02:00",
            "sl_run_id": "kit-values",
            "sl_run_hash": request.run.attempt("values").value("sl_run_hash"),
            "var:region": "EU 1",
        }

    def test_a_variable_that_is_not_set_fails_the_task(self, fake: FakeEnvironment) -> None:
        """If a value is missing, the task fails with its name, and nothing is started."""
        pipeline = self.draw(Graph("values", draw_values), fake)
        report = self.run(pipeline)
        assert report.task("values").state == TaskState.FAILED
        assert "region" in report.task("values").reason, "the reason does not name the variable"
        assert not fake.submissions, "a job was started without one of its values"

    def test_dry_run_starts_nothing(self, fake: FakeEnvironment) -> None:
        """A dry run shows every task and starts none."""
        pipeline = self.draw(corpus.two_domains, fake)
        request = request_run(pipeline, SCHEDULED, run_id="kit-dry", dry_run=True)
        report = self.run(pipeline, request)
        assert not fake.submissions, "a dry run started a job"
        assert report.state == TaskState.DRY_RUN
        assert report.datasets == (), "a dry run emitted datasets"

    def test_selection(self, fake: FakeEnvironment) -> None:
        """Only selected tasks run, without the excluded ones. The others are reported as not selected."""
        pipeline = self.draw(corpus.diamond, fake)
        request = request_run(pipeline, SCHEDULED, run_id="kit-some", select=("left", "kpi.right"), exclude=("right",))
        report = self.run(pipeline, request)
        assert [submission.subject for submission in fake.submissions] == ["transform:kpi.left"], (
            "the tasks that ran are not the selected ones"
        )
        assert states(report, ["left", "right", "bottom"]) == {
            "left": TaskState.SUCCEEDED,
            "right": TaskState.EXCLUDED,
            "bottom": TaskState.EXCLUDED,
        }
        assert report.succeeded
        assert report.datasets == ("starlake://kpi/left",), "datasets of tasks that did not run were emitted"

    def test_listener_hears_how_every_task_ends(self, fake: FakeEnvironment) -> None:
        """The listener of a run in this process receives the state in which each task ends, as reported."""
        fake.script("preload:sales", Verdict.NOT_READY)
        fake.script("load:hr.people", Verdict.FAILED)
        pipeline = self.draw(corpus.two_domains, fake)
        heard: dict[str, str] = {}
        request = request_run(
            pipeline,
            SCHEDULED,
            run_id="kit-heard",
            listener=lambda event: heard.__setitem__(event.task, event.state),
        )
        report = self.run(pipeline, request)
        assert heard == {task.id: task.state for task in report.tasks}, (
            "the listener received other final states than the report"
        )

    def test_listener_hears_of_a_task_before_later_ones(self, fake: FakeEnvironment) -> None:
        """The listener hears that a task has succeeded or failed as soon as that is so: before a task that runs after it
        starts or ends."""
        fake.lifecycle = True
        fake.script("transform:kpi.work", Verdict.FAILED)
        pipeline = self.draw(corpus.tear_down, fake)
        heard: list[tuple[str, str]] = []
        request = request_run(
            pipeline,
            SCHEDULED,
            run_id="kit-heard-in-order",
            listener=lambda event: heard.append((event.task, event.state)),
        )
        report = self.run(pipeline, request)
        first = {task: heard.index((task, state)) for task, state in reversed(heard)}
        for after, befores in tasks_before(neutral_graph(pipeline)).items():
            for before in befores:
                if report.task(before).state in (TaskState.SUCCEEDED, TaskState.FAILED):
                    assert heard.index((before, report.task(before).state)) < first[after], (
                        f"the listener hears of '{after}' before the end of '{before}', which runs earlier: {heard}"
                    )

    def test_failure_stops_what_depends_on_it(self, fake: FakeEnvironment) -> None:
        """A failure fails the run and stops downstream tasks. Independent tasks run."""
        fake.script("transform:kpi.left", Verdict.FAILED)
        pipeline = self.draw(corpus.diamond, fake)
        report = self.run(pipeline)
        assert not report.succeeded, "a task failed, but the run succeeded"
        assert states(report, ["top", "left", "right", "bottom", "end"]) == {
            "top": TaskState.SUCCEEDED,
            "left": TaskState.FAILED,
            "right": TaskState.SUCCEEDED,
            "bottom": TaskState.UPSTREAM_FAILED,
            "end": TaskState.UPSTREAM_FAILED,
        }
        assert not fake.started("transform:kpi.bottom"), "a task ran although an upstream task had failed"
        assert report.task("left").exit_code in (None, 1)
        assert set(report.datasets) == {"starlake://kpi/top", "starlake://kpi/right"}, (
            "a run must emit the datasets of successful tasks, and no others"
        )

    def test_lost_attempt_is_a_failure(self, fake: FakeEnvironment) -> None:
        """An attempt that the environment no longer knows counts as failed."""
        fake.script("transform:kpi.only", Verdict.LOST)
        report = self.run(self.draw(corpus.single_task, fake))
        assert report.task("only").state == TaskState.FAILED
        assert not report.succeeded

    @pytest.mark.parametrize("broken", ["", "job:create_cluster", "transform:kpi.work"])
    def test_tear_down_always_runs(self, fake: FakeEnvironment, broken: str) -> None:
        """The cluster is deleted whether or not the work succeeded, and a failure still fails the run."""
        fake.lifecycle = True
        if broken:
            fake.script(broken, Verdict.FAILED)
        report = self.run(self.draw(corpus.tear_down, fake))
        assert len(fake.started("job:delete_cluster")) == 1, "the tear-down did not run exactly once"
        assert report.task("delete_cluster").state == TaskState.SUCCEEDED
        assert report.task("all_done").state == TaskState.SUCCEEDED
        assert report.succeeded is not bool(broken), f"the run is {report.state!r}"
        assert report.task("end").state == (TaskState.UPSTREAM_FAILED if broken else TaskState.SUCCEEDED)

    def test_retry_after_a_failure(self, fake: FakeEnvironment) -> None:
        """A task that fails once and then succeeds takes two attempts, with one task key and two attempt keys."""
        fake.script("transform:kpi.work", Verdict.FAILED, Verdict.SUCCEEDED)
        report = self.run(self.draw(Graph("retried", _draw_retried), fake))
        assert report.succeeded, report.reason
        tries = fake.started("transform:kpi.work")
        assert len(tries) == 2, f"{len(tries)} attempts, not 2"
        assert len({submission.key.task for submission in tries}) == 1, "the task key is not the same for both attempts"
        assert len({submission.key.attempt for submission in tries}) == 2, "the attempt key is not unique"
        assert report.task("work").attempts == 2
        assert len(fake.started("transform:kpi.next")) == 1

    def test_retries_are_counted(self, fake: FakeEnvironment) -> None:
        """One retry is two attempts and no more; no retry is one attempt."""
        fake.script("transform:kpi.work", Verdict.FAILED)
        report = self.run(self.draw(Graph("retried", _draw_retried), fake))
        assert len(fake.started("transform:kpi.work")) == 2
        assert report.task("work").state == TaskState.FAILED
        assert not report.succeeded
        fake.script("transform:kpi.only", Verdict.FAILED)
        self.run(self.draw(corpus.single_task, fake))
        assert len(fake.started("transform:kpi.only")) == 1, "a task without retries was retried"

    def test_outage_is_tried_again(self, fake: FakeEnvironment) -> None:
        """A service that does not answer counts as a failed attempt, and the next one may succeed."""
        fake.refuse("transform:kpi.work", OutageError("the service does not answer"))
        report = self.run(self.draw(Graph("retried", _draw_retried), fake))
        assert report.succeeded, report.reason
        assert len(fake.started("transform:kpi.work")) == 1
        assert report.task("work").attempts == 2, "the task was not retried after an outage"

    def test_refusal_is_final(self, fake: FakeEnvironment) -> None:
        """A missing permission or resource is not retried, because it would still be missing."""
        fake.refuse("transform:kpi.work", RunnerError("grant the role roles/kit.runner"))
        report = self.run(self.draw(Graph("retried", _draw_retried), fake))
        assert report.state == TaskState.FAILED
        assert not fake.started("transform:kpi.work"), "the task was retried although the environment refused it"
        assert "grant the role roles/kit.runner" in report.task("work").reason

    @pytest.mark.parametrize(
        ("where", "error"),
        [
            ("runner", ImportError("No module named 'sdk'")),
            ("runner", TypeError("runner() takes 1 argument")),
            ("submission", AttributeError("no attribute 'id'")),
            ("submission", KeyError("region")),
        ],
    )
    def test_fault_of_a_plugin_is_final(self, fake: FakeEnvironment, where: str, error: Exception) -> None:
        """A missing SDK or a bug of an environment is not retried, because it would still be there."""
        if where == "runner":
            fake.no_runner = error
        else:
            fake.refuse("transform:kpi.work", error)
        report = self.run(self.draw(Graph("retried", _draw_retried), fake))
        assert report.state == TaskState.FAILED
        assert not fake.started("transform:kpi.work"), "the task was retried although the plugin has a bug"
        assert report.task("work").attempts == 1
        assert str(error.args[0]) in report.task("work").reason, "the reason does not name the error"

    def test_shortage_is_tried_again(self, fake: FakeEnvironment) -> None:
        """A shortage of the machine is retried, because it may be over."""
        fake.refuse("stage:sales", OSError(errno.EAGAIN, "not now"))
        report = self.run(self.draw(Graph("repeated", _draw_repeated), fake))
        assert report.succeeded, report.reason
        assert report.task("work").attempts == 2

    @pytest.mark.parametrize("code", [WILL_NOT_PASS, 127])
    def test_command_that_will_not_pass_is_final(self, fake: FakeEnvironment, code: int) -> None:
        """A final outcome ends the task, whatever retries it has left."""
        fake.script("transform:kpi.work", outcome_from_exit_code(code), Outcome(Verdict.SUCCEEDED, 0))
        report = self.run(self.draw(Graph("retried", _draw_retried), fake))
        assert len(fake.started("transform:kpi.work")) == 1, "the task was retried although its outcome was final"
        assert report.task("work").state == TaskState.FAILED
        assert f"exit code {code}" in report.task("work").reason

    def test_keys_of_two_tasks_differ(self, fake: FakeEnvironment) -> None:
        """Tasks with the same id in different groups have different keys, and so do two runs."""
        pipeline = self.draw(corpus.same_ids, fake)
        for run_id in ("kit-1", "kit-2"):
            assert self.run(pipeline, request_run(pipeline, SCHEDULED, run_id=run_id)).succeeded
        keys = [submission.key.task for submission in fake.submissions]
        assert len(keys) == len(set(keys)) == 8, "two tasks, or two runs, share a key"

    def test_time_out(self, fake: FakeEnvironment) -> None:
        """An attempt that takes too long is cancelled, and counts as failed."""
        fake.script("transform:kpi.slow", None)

        def draw(p: StarlakePipeline) -> None:
            p.sl_transform("slow", "kpi.slow", timeout=self.task_timeout) >> p.sl_transform("next", "kpi.next")

        report = self.run(self.draw(Graph("slow", draw), fake))
        (submission,) = fake.started("transform:kpi.slow")
        assert submission.handle in fake.cancelled, "the attempt keeps running after its time-out"
        assert report.task("slow").state == TaskState.FAILED
        assert not report.succeeded
        assert not fake.started("transform:kpi.next")

    def test_ends_are_told(self, fake: FakeEnvironment) -> None:
        """Plugins hear of the end of each attempt once (``sl_task_ended``), with its verdict and whether another may
        follow, also if it could not be started.
        """
        fake.script("transform:kpi.again", Verdict.FAILED, Verdict.SUCCEEDED)
        fake.script("transform:kpi.final", outcome_from_exit_code(WILL_NOT_PASS))
        fake.script("transform:kpi.slow", None)
        fake.script("preload:sales", Verdict.NOT_READY)
        fake.refuse("transform:kpi.outage", OutageError("the service does not answer"))
        fake.refuse("transform:kpi.refused", RunnerError("grant the role roles/kit.runner"))
        watcher = Watcher()
        self.run(self.draw(Graph("ends", self._draw_ends), fake, watcher))
        heard: dict[str, list[str]] = {}
        for path, outcome in watcher.ends:
            heard.setdefault(path, []).append(f"{outcome.verdict}{' for good' if outcome.final else ''}")
        wanted = {
            "again": ["failed", "succeeded"],
            "check": ["not ready"],
            "final": ["failed for good"],
            "outage": ["failed", "succeeded"],
            "refused": ["failed for good"],
            "slow": ["failed for good"],  # a transform that was stopped is not repeated blindly
        }
        for path in sorted({*wanted, *heard}):
            told, right = heard.get(path, []), wanted.get(path, [])
            assert told == right, f"plugins heard of the ends of '{path}': {told}, not {right}"

    def _draw_ends(self, p: StarlakePipeline) -> None:
        for name in ("again", "outage"):
            p.sl_transform(name, f"kpi.{name}", retries=1, retry_delay=0)
        for name in ("final", "refused"):
            p.sl_transform(name, f"kpi.{name}")
        p.sl_transform("slow", "kpi.slow", timeout=self.task_timeout)
        check = p.sl_pre_load("sales", pre_load_strategy="imported", task_id="check")
        assert check is not None
        check >> p.sl_load(domain="sales", table="orders", task_id="load")

    def test_attempts_are_polled_to_their_end(self, fake: FakeEnvironment) -> None:
        """Running attempts are polled to their end, even if there are several."""
        for number in range(5):
            fake.delay(f"transform:kpi.leaf_{number}", 3 + number)
        report = self.run(self.draw(corpus.fan, fake))
        assert report.succeeded
        assert fake.submissions[-1].subject == "transform:kpi.sink"

    def test_native_node_runs(self, fake: FakeEnvironment) -> None:
        """A pipeline with a native node of the orchestrator runs in order."""
        if self.native_node("native") is None:
            pytest.skip("native_node() returns None: the orchestrator has no native nodes")
        report = self.run(self.draw(corpus.native_node(self.native_node), fake))
        assert states(report, ["before", "native", "after"]) == dict.fromkeys(
            ["before", "native", "after"], TaskState.SUCCEEDED
        )
