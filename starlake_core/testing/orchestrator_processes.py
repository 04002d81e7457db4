"""Checks of an orchestrator with real processes: their command lines, and a missing program."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..dsl.pipeline import StarlakePipeline
from ..model.graph_json import graph_json
from ..model.run import Report, TaskReport, TaskState
from . import corpus
from .areas import TableModel, Warehouse
from .corpus import Graph
from .hostile import HOSTILE
from .lab import SECRET, SECRET_NAME
from .orchestrator_base import OrchestratorBase, states
from .stand_in import StandIn, Step

__all__ = ["ProcessChecks"]


def _draw_hostile(p: StarlakePipeline) -> None:
    for name, text in HOSTILE.items():
        p.sl_job(name, ["transform", "--name", f"kpi.{name}", "--query", text, "--accessToken", ""])


class ProcessChecks(OrchestratorBase):
    """In processes, arguments arrive unchanged, verdicts are right and secrets stay secret."""

    def draw_processes(self, graph: Graph, stand_in: StandIn) -> StarlakePipeline:
        """Return the pipeline of a graph in the environment that runs the stand-in."""
        self.needs_runs()
        environment, options = self.process_environment(stand_in)
        env = {SECRET_NAME: SECRET, **options.get("sl_env_var", {})}
        return self.draw(graph, environment, **{**options, "sl_env_var": env})

    def test_arguments_arrive_unchanged(self, stand_in: StandIn) -> None:
        """Spaces, quotes, commas, dollars, newlines, other scripts and empty strings arrive unchanged."""
        pipeline = self.draw_processes(Graph("hostile", _draw_hostile), stand_in)
        report = self.run(pipeline)
        assert report.succeeded, [(task.id, task.reason) for task in report.tasks if task.reason]
        calls = {call.subject: call.arguments for call in stand_in.calls()}
        assert len(stand_in.calls()) == len(HOSTILE), "not every command was run exactly once"
        for name, text in HOSTILE.items():
            wanted = ("transform", "--name", f"kpi.{name}", "--query", text, "--accessToken", "")
            assert calls[f"transform:kpi.{name}"] == wanted, (
                f"the string with {name} was changed on its way to the process"
            )

    def test_variables_arrive(self, stand_in: StandIn) -> None:
        """The variables of ``sl_env_var`` and the run key arrive."""
        self.run(self.draw_processes(corpus.single_task, stand_in))
        (call,) = stand_in.calls()
        assert call.env[SECRET_NAME] == SECRET
        assert call.env["SL_ROOT"] == str(self.root)
        assert call.env.get("SL_RUN_KEY"), "the process does not get its run key"

    def test_gates(self, stand_in: StandIn) -> None:
        """With the marker, exit code 0 can mean *not ready*, and exit code 1 is a crash."""
        stand_in.script("preload:sales", Step(not_ready=True))
        report = self.run(self.draw_processes(corpus.two_domains, stand_in))
        assert report.succeeded
        ids = ["check_sales_incoming_files", "load_sales_orders", "load_hr_people", "end_daily"]
        skipped, done = TaskState.SKIPPED, TaskState.SUCCEEDED
        assert states(report, ids) == dict(zip(ids, [skipped, skipped, done, done], strict=True))

    def test_crashed_check_fails_in_a_process(self, stand_in: StandIn) -> None:
        """A check that crashes with exit code 1, which once meant *not ready*, fails the run."""
        stand_in.script("preload:sales", Step(exit_code=1, lines=("java.lang.OutOfMemoryError",)))
        report = self.run(self.draw_processes(corpus.two_domains, stand_in))
        assert report.task("check_sales_incoming_files").state == TaskState.FAILED
        assert not report.succeeded, "a check crashed, but the run succeeded"
        assert not stand_in.calls("load:sales.orders")

    def test_missing_program_fails_with_a_message(self, stand_in: StandIn) -> None:
        """A missing program fails the task, and the reason names it."""
        stand_in.path.unlink()
        report = self.run(self.draw_processes(corpus.chain, stand_in))
        assert report.task("first").state == TaskState.FAILED
        assert str(stand_in.path) in report.task("first").reason, "the reason does not name the program"
        assert not report.succeeded
        assert report.datasets == ()

    def test_a_failed_load_is_never_green_and_empty(self, stand_in: StandIn) -> None:
        """A failed load has moved its files to where no load reads them. The next attempt puts them back and loads
        them."""
        report = self._loaded(stand_in, Step(at="after the move"))
        assert report.succeeded, report.task("load").reason
        assert Warehouse(self.root).rows("sales", "orders") == ["1,one"], (
            "the load is green, and its rows are not there"
        )
        assert len(stand_in.calls("load:sales.orders")) == 2

    def test_a_load_whose_end_nobody_knows_is_not_repeated(self, stand_in: StandIn) -> None:
        """A killed load may have added its rows. It is not retried, and the reason names the file and what to type."""
        report = self._loaded(stand_in, Step(at="after the rows", how="dies"))
        assert report.task("load").state == TaskState.FAILED
        assert not report.succeeded
        assert len(stand_in.calls("load:sales.orders")) == 1, "a load that may have added its rows was retried"
        for text in ("orders-1.csv", "--retry-unsafe"):
            assert text in report.task("load").reason

    def _loaded(self, stand_in: StandIn, fault: Step) -> Report:
        """Return the report of a run whose load fails once and may be retried."""
        staged = self.root / "datasets" / "stage" / "sales" / "orders-1.csv"
        staged.parent.mkdir(parents=True)
        staged.write_text("1,one\n", encoding="utf-8")
        stand_in.keep(TableModel("sales", "orders", "orders.*"))
        stand_in.script("load:sales.orders", fault, Step())

        def draw(p: StarlakePipeline) -> None:
            p.sl_load("load", "sales", "orders", retries=1, retry_delay=0)

        return self.run(self.draw_processes(Graph("loaded", draw), stand_in))

    @pytest.mark.parametrize("code", [0, 3])
    def test_secrets_stay_secret(self, stand_in: StandIn, code: int) -> None:
        """A secret that a command writes is not in the report, not in the log file, and not in the graph."""
        stand_in.script("transform:kpi.only", Step(tells=(SECRET_NAME,), exit_code=code))
        pipeline = self.draw_processes(corpus.single_task, stand_in)
        report = self.run(pipeline)
        assert report.succeeded is (code == 0)
        assert SECRET not in repr(report), "a secret is in the report"
        assert SECRET not in graph_json(pipeline), "a secret is in the graph"
        assert SECRET not in _log(report.task("only")), "a secret is in the log file"


def _log(task: TaskReport) -> str:
    path = Path(task.log) if task.log and "://" not in task.log else None
    return path.read_text(encoding="utf-8") if path is not None and path.is_file() else ""
