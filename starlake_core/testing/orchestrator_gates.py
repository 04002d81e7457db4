"""Checks of gates: checks that are ready, not ready or crashed, and checks that wait."""

from __future__ import annotations

from ..dsl.pipeline import StarlakePipeline
from ..model.graph import Task
from ..model.kinds import Wait
from ..model.run import Report, TaskState
from ..runtime import Verdict
from . import corpus
from .corpus import Graph
from .fake import FakeEnvironment
from .orchestrator_base import OrchestratorBase, states

__all__ = ["GateChecks"]

_SALES = ["import_sales_daily", "load_sales_customers", "load_sales_orders"]
_HR = ["check_hr_incoming_files", "import_hr_daily", "load_hr_people"]


class GateChecks(OrchestratorBase):
    """*Not ready* skips, a crash fails, and the two are never confused."""

    def _sales_did_not_run(self, fake: FakeEnvironment, report: Report, state: str) -> None:
        assert not any(fake.started(about) for about in ("stage:sales", "load:sales.customers", "load:sales.orders")), (
            "the domain was loaded although its check was not ready"
        )
        assert states(report, _SALES) == dict.fromkeys(_SALES, state)
        assert not [uri for uri in report.datasets if uri.startswith("starlake://sales/")], (
            "datasets of tasks that did not run were emitted"
        )

    def test_ready(self, fake: FakeEnvironment) -> None:
        """A domain that is ready is loaded."""
        report = self.run(self.draw(corpus.two_domains, fake))
        assert report.succeeded
        assert {task.state for task in report.tasks} == {TaskState.SUCCEEDED}

    def test_not_ready_skips_its_domain_only(self, fake: FakeEnvironment) -> None:
        """Not ready skips everything that depends on the check; the other domain is loaded and the end runs."""
        fake.script("preload:sales", Verdict.NOT_READY)
        report = self.run(self.draw(corpus.two_domains, fake))
        self._sales_did_not_run(fake, report, TaskState.SKIPPED)
        assert report.task("check_sales_incoming_files").state == TaskState.SKIPPED
        assert states(report, [*_HR, "end_daily"]) == dict.fromkeys([*_HR, "end_daily"], TaskState.SUCCEEDED)
        assert set(report.datasets) == {"starlake://hr/people", "kit_two_domains"}
        assert report.succeeded, "a domain that is not ready is not a failure"

    def test_nothing_ready_skips_the_end(self, fake: FakeEnvironment) -> None:
        """If no domain is ready, the end is skipped with the reasons, nothing is emitted, and the run does not fail."""
        fake.script("preload:sales", Verdict.NOT_READY)
        fake.script("preload:hr", Verdict.NOT_READY)
        report = self.run(self.draw(corpus.two_domains, fake))
        self._sales_did_not_run(fake, report, TaskState.SKIPPED)
        end = report.task("end_daily")
        assert end.state == TaskState.SKIPPED, f"nothing was loaded, but the end is {end.state!r}"
        assert "sales" in end.reason, "the reason of the end does not name the domain 'sales'"
        assert "hr" in end.reason, "the reason of the end does not name the domain 'hr'"
        assert report.datasets == (), "nothing was loaded, but datasets were emitted"
        assert report.succeeded, "domains that are not ready are not a failure"

    def test_crashed_check_fails(self, fake: FakeEnvironment) -> None:
        """A check that crashes fails the run. It is never skipped or green."""
        fake.script("preload:sales", Verdict.FAILED)
        report = self.run(self.draw(corpus.two_domains, fake))
        assert report.task("check_sales_incoming_files").state == TaskState.FAILED
        self._sales_did_not_run(fake, report, TaskState.UPSTREAM_FAILED)
        assert states(report, [*_HR, "end_daily"]) == {
            **dict.fromkeys(_HR, TaskState.SUCCEEDED),
            "end_daily": TaskState.UPSTREAM_FAILED,
        }
        assert set(report.datasets) == {"starlake://hr/people"}
        assert not report.succeeded, "a check crashed, but the run succeeded"

    def test_crash_and_not_ready_together_fail(self, fake: FakeEnvironment) -> None:
        """If one domain is not ready and the check of another crashes, the run fails."""
        fake.script("preload:sales", Verdict.NOT_READY)
        fake.script("preload:hr", Verdict.FAILED)
        report = self.run(self.draw(corpus.two_domains, fake))
        assert not report.succeeded
        assert report.task("end_daily").state == TaskState.UPSTREAM_FAILED
        assert report.datasets == ()

    def test_tear_down_runs_when_nothing_is_ready(self, fake: FakeEnvironment) -> None:
        """Set-up and tear-down do not count as work: the cluster is deleted, and the end is still skipped."""
        fake.lifecycle = True
        fake.script("preload:sales", Verdict.NOT_READY)
        fake.script("preload:hr", Verdict.NOT_READY)
        report = self.run(self.draw(corpus.two_domains, fake))
        assert len(fake.started("job:delete_cluster")) == 1, "the tear-down did not run exactly once"
        assert report.task("end_daily").state == TaskState.SKIPPED
        assert report.datasets == ()

    def test_not_ready_is_not_retried(self, fake: FakeEnvironment) -> None:
        """Retries are for failures: a check that does not wait runs once."""
        fake.script("preload:sales", Verdict.NOT_READY)
        self.run(self.draw(corpus.two_domains, fake, retries=2))
        assert len(fake.started("preload:sales")) == 1, "a check that was not ready was retried like a failure"

    # -- a check that waits

    def _waiting(self, fake: FakeEnvironment, timeout: int, soft_fail: bool = False) -> Report:
        def draw(p: StarlakePipeline) -> None:
            check = p.sl_pre_load("sales", ["orders"], "pending")
            assert isinstance(check, Task)
            check.wait = Wait(self.wait_interval, timeout, soft_fail)
            p.start_task() >> check >> p.sl_load("load", "sales", "orders") >> p.end_task()

        return self.run(self.draw(Graph("waiting", draw), fake))

    def test_wait_until_ready(self, fake: FakeEnvironment) -> None:
        """A waiting check runs until it is ready. Each run is a separate attempt, and none is a retry."""
        fake.script("preload:sales", Verdict.NOT_READY, Verdict.NOT_READY, Verdict.SUCCEEDED)
        report = self._waiting(fake, self.wait_timeout)
        looks = fake.started("preload:sales")
        assert len(looks) == 3, f"the check ran {len(looks)} times, not 3 times"
        assert len({look.key.task for look in looks}) == 1, "the task key is not the same for all attempts of the check"
        assert len({look.key.attempt for look in looks}) == 3, "two attempts share a key"
        assert report.succeeded
        assert report.task("load").state == TaskState.SUCCEEDED

    def test_wait_that_crashes_fails(self, fake: FakeEnvironment) -> None:
        """A crash ends the wait at once."""
        fake.script("preload:sales", Verdict.NOT_READY, Verdict.FAILED)
        report = self._waiting(fake, self.wait_timeout)
        assert len(fake.started("preload:sales")) == 2
        assert report.task("check_sales_pending_files").state == TaskState.FAILED
        assert not report.succeeded

    def test_wait_in_vain_fails(self, fake: FakeEnvironment) -> None:
        """A check that is not ready in time fails."""
        fake.script("preload:sales", Verdict.NOT_READY)
        report = self._waiting(fake, 0)
        assert report.task("check_sales_pending_files").state == TaskState.FAILED
        assert report.task("load").state == TaskState.UPSTREAM_FAILED
        assert not report.succeeded
        assert report.datasets == ()

    def test_wait_in_vain_with_soft_fail_skips(self, fake: FakeEnvironment) -> None:
        """With ``soft_fail``, it is skipped instead."""
        fake.script("preload:sales", Verdict.NOT_READY)
        report = self._waiting(fake, 0, soft_fail=True)
        assert states(report, ["check_sales_pending_files", "load", "end"]) == dict.fromkeys(
            ["check_sales_pending_files", "load", "end"], TaskState.SKIPPED
        )
        assert report.succeeded
        assert report.datasets == ()
