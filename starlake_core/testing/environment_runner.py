"""Checks of the runner of an environment: submit, find, poll, cancel, logs, verdicts."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from ..errors import RunnerError
from ..model.command import Command, load_command
from ..model.identity import digest_of, instance_of
from ..runtime import OlderAttempt, Outcome, Verdict, execute, finish, start
from .areas import TableModel, Warehouse
from .environment_base import DETACHED, RESUMABLE, EnvironmentBase
from .lab import SECRET, Does, about, an_attempt, canonical, say, settle, until
from .promises import level
from .stand_in import Step
from .subjects import subject

__all__ = ["RunnerChecks"]

_THREADS = 4
_CODES = {Does.FAILS: 3, Does.EXITS_1: 1, Does.EXITS_126: 126, Does.EXITS_127: 127}


class RunnerChecks(EnvironmentBase):
    """No run happens twice, no run is lost, and no verdict is mistaken for another."""

    def _ends(self, does: Does, verdict: Verdict) -> None:
        job = self.job(does)
        runner = self.runner(job)
        handle = self.start(job, runner, self.key())
        outcome = settle(runner, handle)
        assert outcome.verdict is verdict, (
            f"a job that {does.value} is not {verdict}, but {say(runner, handle, outcome)}"
        )

    def test_levels_are_those_of_the_runner(self) -> None:
        """A runner that says it is *detached* is tested as such, and no other one is."""
        detached = self.runner(self.job(Does.SUCCEEDS)).detached
        assert detached is (DETACHED in self.levels), (
            f"the runner has detached = {detached}, but levels = {self.levels}; change one of them"
        )

    # -- verdicts

    def test_success(self) -> None:
        """Exit code 0 of a job that is not a check is a success."""
        self._ends(Does.SUCCEEDS, Verdict.SUCCEEDED)

    @pytest.mark.parametrize("does", _CODES, ids=lambda does: does.name)
    def test_failure(self, does: Does) -> None:
        """Every other exit code is a failure, with a reason, the code and the end of the output."""
        job = self.job(does)
        runner = self.runner(job)
        handle = self.start(job, runner, self.key())
        outcome = settle(runner, handle)
        assert outcome.verdict is Verdict.FAILED, f"a job that {does.value} is {say(runner, handle, outcome)}"
        assert outcome.reason, "a failure has no reason"
        if self.runs_any_program:
            assert outcome.exit_code == _CODES[does]
            if does is Does.FAILS:
                assert "it broke" in finish(runner, handle, outcome).tail, (
                    "a failure does not show the end of the output"
                )

    @pytest.mark.parametrize(
        ("does", "verdict"),
        [
            (Does.READY, Verdict.SUCCEEDED),
            (Does.NOT_READY, Verdict.NOT_READY),
            (Does.CRASHES, Verdict.FAILED),
        ],
        ids=lambda value: value.name,
    )
    def test_check(self, does: Does, verdict: Verdict) -> None:
        """A check has three answers, and none is mistaken for another."""
        self._ends(does, verdict)

    def test_missing_program(self) -> None:
        """A missing program is a failure or an error, and never anything else."""
        if not self.runs_any_program:
            pytest.skip("runs_any_program = False: the program cannot be taken away")
        job = self.job(Does.READY)
        self.program.path.unlink()
        runner = self.runner(job)
        try:
            outcome = settle(runner, self.start(job, runner, self.key()))
        except RunnerError as error:
            outcome = Outcome(Verdict.FAILED, reason=str(error))
        assert outcome.verdict is Verdict.FAILED, f"a job without its program is {outcome.verdict}"
        assert outcome.reason, "a job without its program fails without a reason"

    # -- attempts

    def test_submit_is_idempotent(self) -> None:
        """Submitting the same key twice gives the same attempt, while it runs and after it has ended."""
        job = self.job(Does.SUCCEEDS)
        runner = self.runner(job)
        first = runner.submit(job, self.key())
        second = runner.submit(job, self.key())
        settle(runner, first)
        assert {first, second, runner.submit(job, self.key())} == {first}, "the same key twice gave two handles"
        self._ran(Does.SUCCEEDS, 1)

    def test_submit_is_idempotent_across_threads(self) -> None:
        """Threads that submit the same key at once start one run, because a runner serves several threads."""
        job = self.job(Does.SUCCEEDS)
        runner = self.runner(job)
        together = threading.Barrier(_THREADS)

        def submit(number: int) -> str:
            together.wait()
            return runner.submit(job, self.key())

        with ThreadPoolExecutor(_THREADS) as pool:
            handles = set(pool.map(submit, range(_THREADS)))
        assert len(handles) == 1, "one key in several threads gave several handles"
        # A second run would come after the first one. The one started after both is recorded last.
        after = runner.submit(job, self.key("after"))
        assert [settle(runner, handle).verdict for handle in (*handles, after)] == [Verdict.SUCCEEDED] * 2
        self._ran(Does.SUCCEEDS, 2)

    def _ran(self, does: Does, times: int) -> None:
        if self.runs_any_program:
            found = len(self.program.calls(subject(self.job(does).arguments)))
            assert found == times, f"the program ran {found} times, not {times} times"

    def test_other_attempts_and_tasks_are_other_runs(self) -> None:
        """Another attempt or another task is another run."""
        job = self.job(Does.SUCCEEDS)
        runner = self.runner(job)
        keys = [self.key("1"), self.key("2"), self.key("1", "other")]
        handles = [runner.submit(job, key) for key in keys]
        assert len(set(handles)) == 3, "two keys share a handle"
        assert [settle(runner, handle).verdict for handle in handles] == [Verdict.SUCCEEDED] * 3
        self._ran(Does.SUCCEEDS, 3)

    def test_restarted_attempt_gets_its_own_run_back(self) -> None:
        """An attempt that starts again gets its own run, even if it has ended. If the environment remembers attempts,
        this holds in a new process too."""
        job = self.job(Does.SUCCEEDS)
        runner = self.runner(job)
        handle = self.start(job, runner, self.key())
        settle(runner, handle)
        again = self.runner(job) if self.resumable else runner
        assert self.start(job, again, self.key()) == handle, (
            "an attempt that started again did not get its own run back"
        )
        assert settle(again, handle).verdict is Verdict.SUCCEEDED
        self._ran(Does.SUCCEEDS, 1)

    def test_older_success_is_not_the_result_of_a_new_attempt(self) -> None:
        """A new attempt runs even if an older one of the task succeeded."""
        job = self.job(Does.SUCCEEDS)
        runner = self.runner(job)
        first = self.start(job, runner, self.key("1"))
        settle(runner, first)
        second = self.start(job, self.runner(job) if self.resumable else runner, self.key("2"))
        assert second != first, "a new attempt used the result of an older one"
        settle(runner, second)
        self._ran(Does.SUCCEEDS, 2)

    def test_run_that_was_made_again_does_its_work_again(self) -> None:
        """A run that was deleted and created again under its id has the same keys except for the instance, and does not
        use the results of the old run."""
        job = self.job(Does.SUCCEEDS)
        runner = self.runner(job)
        keys = [replace(self.key(), instance=instance_of(began)) for began in ("monday", "tuesday")]
        first = self.start(job, runner, keys[0])
        assert settle(runner, first).verdict is Verdict.SUCCEEDED
        second = self.start(job, self.runner(job) if self.resumable else runner, keys[1])
        assert second != first, "a run that was created again used the result of the old one"
        assert settle(runner, second).verdict is Verdict.SUCCEEDED
        self._ran(Does.SUCCEEDS, 2)
        if self.resumable:
            assert self.start(job, self.runner(job), keys[0]) == first, "a run no longer finds its own attempt"

    @level(RESUMABLE)
    def test_what_goes_on_for_a_run_that_was_deleted_is_stopped(self) -> None:
        """A running attempt of the old run is stopped before that of the new one starts."""
        job = self.job(Does.GOES_ON)
        runner = self.runner(job)
        keys = [replace(self.key(), instance=instance_of(began)) for began in ("monday", "tuesday")]
        first = self.start(job, runner, keys[0])
        second = self.start(job, self.runner(job), keys[1])
        assert second != first, "a run that was created again took over the work of the old one"
        assert settle(runner, first).verdict is Verdict.CANCELLED

    @level(RESUMABLE)
    def test_other_work_under_the_same_name_is_refused(self) -> None:
        """An attempt is only used if it does the requested work, as identified by the digest of its arguments and
        variables."""
        job = self.job(Does.SUCCEEDS)
        runner = self.runner(job)
        settle(runner, self.start(job, runner, self.key()))
        other = replace(job, digest=digest_of(job.environment, job.arguments, {**job.env, "SL_ENV": "OTHER"}))
        with pytest.raises(RunnerError, match="other arguments or variables"):
            start(other, self.runner(job), self.key())
        self._ran(Does.SUCCEEDS, 1)

    def test_older_failure_is_not_the_result_of_a_new_attempt(self) -> None:
        """A new attempt can succeed after an older one failed, and each keeps its own end."""
        job = self.job(Does.FAILS_ONCE)
        runner = self.runner(job)
        first = self.start(job, runner, self.key("1"))
        assert settle(runner, first).verdict is Verdict.FAILED
        second = self.start(job, runner, self.key("2"))
        assert settle(runner, second).verdict is Verdict.SUCCEEDED, "a new attempt ended as an older one had"
        assert settle(runner, first).verdict is Verdict.FAILED, "an older attempt changed its end"

    def test_find(self) -> None:
        """``find`` returns the attempts of one task only, or nothing if the environment does not remember attempts."""
        job = self.job(Does.SUCCEEDS)
        runner = self.runner(job)
        handles = {attempt: runner.submit(job, self.key(attempt)) for attempt in ("1", "2")}
        runner.submit(job, self.key("1", "other"))
        for handle in handles.values():
            settle(runner, handle)
        found = self.runner(job).find(job, self.key().task)
        if self.resumable:
            assert [(attempt.attempt, attempt.handle) for attempt in found] == [*handles.items()]
            assert all(attempt.status.ended for attempt in found), "an attempt that has ended is found as still running"
        else:
            assert not found, "find() knows attempts, but the level 'resumable' is not declared"

    @level(RESUMABLE)
    def test_live_older_attempt_is_adopted(self) -> None:
        """A new attempt takes over an older one that is still running, if the environment remembers it."""
        job = self.job(Does.GOES_ON)
        runner = self.runner(job)
        first = self.start(job, runner, self.key("1"))
        assert self.start(job, self.runner(job), self.key("2")) == first, "the task now runs twice"

    @level(RESUMABLE)
    def test_live_older_attempt_is_cancelled(self) -> None:
        """A new attempt that must run by itself stops the older one first."""
        job = self.job(Does.GOES_ON)
        runner = self.runner(job)
        first = self.start(job, runner, self.key("1"))
        second = self.start(job, self.runner(job), self.key("2"), OlderAttempt.CANCEL)
        assert second != first
        assert settle(runner, first).verdict is Verdict.CANCELLED

    def test_attempt_that_is_being_stopped_is_not_taken_over(self) -> None:
        """A new attempt waits for the end of an older one that is being stopped, and then runs by itself."""
        job = self.job(Does.GOES_ON)
        runner = self.runner(job)
        first = self.start(job, runner, self.key("1"))
        self.wait_for_program(runner, first)
        runner.cancel(first)
        status = runner.poll([first])[first]
        assert status.ended or status.stopping, "an attempt that is being stopped is reported as running"
        second = self.start(job, self.runner(job) if self.resumable else runner, self.key("2"))
        assert second != first, "an attempt that is being stopped was taken over"
        if self.resumable:
            assert runner.poll([first])[first].ended, "a new attempt started next to one that had not ended"
        assert settle(runner, first).verdict is Verdict.CANCELLED

    # -- work that cannot safely be done twice

    def test_a_failed_load_is_never_green_and_empty(self) -> None:
        """A failed load has moved its files to where no load reads them. Another attempt loads them, or is refused
        until a person decides."""
        if not self.runs_any_program:
            pytest.skip("runs_any_program = False: the areas of a project cannot be kept by the stand-in")
        staged = self.root / "datasets" / "stage" / "sales" / "orders-1.csv"
        staged.parent.mkdir(parents=True)
        staged.write_text("1,one\n", encoding="utf-8")
        self.program.keep(TableModel("sales", "orders", "orders.*"))
        self.program.script("load:sales.orders", Step(at="after the move"), Step())
        job = self.make(load_command("load_orders", "sales", "orders")).bind(an_attempt())
        if job.env.get("SL_ROOT") != str(self.root):
            pytest.skip("SL_ROOT is not that of the suite, so the stand-in does not find the files")
        first = execute(job, self.runner(job), self.key("1"))
        assert first.verdict is Verdict.FAILED, f"a load that failed is {first.verdict}"
        if first.final:
            with pytest.raises(RunnerError, match="--retry-unsafe"):
                execute(job, self.runner(job), self.key("2"), again=True)
            return
        second = execute(job, self.runner(job), self.key("2"), again=True)
        assert second.succeeded, f"the next attempt is {second.verdict}: {second.reason}"
        assert Warehouse(self.root).rows("sales", "orders") == ["1,one"], (
            "the load is green, and its rows are not there"
        )

    # -- poll, cancel, logs

    def test_poll_answers_for_many_handles(self) -> None:
        """One call returns the states of many attempts, and of no others."""
        job = self.job(Does.SUCCEEDS)
        runner = self.runner(job)
        handles = [runner.submit(job, self.key(str(number))) for number in range(4)]
        for handle in handles:
            settle(runner, handle)
        assert set(runner.poll(handles)) == set(handles)
        assert set(runner.poll(handles[:1])) == {handles[0]}
        assert dict(runner.poll([])) == {}
        assert all(status.ended for status in runner.poll(handles).values())

    def test_unknown_handle_is_lost(self) -> None:
        """An unknown handle is LOST, and does not affect the answer for others."""
        job = self.job(Does.SUCCEEDS)
        runner = self.runner(job)
        known = self.start(job, runner, self.key())
        unknown = f"{known}-unknown"
        settle(runner, known)
        try:
            found = runner.poll([unknown, known])
        except RunnerError as error:
            raise AssertionError(f"the error of one handle is raised for all: {error}") from error
        outcome = found[unknown].outcome
        assert outcome is not None, "an unknown handle is still running"
        assert outcome.verdict is Verdict.LOST, f"an unknown handle is {outcome.verdict}, not lost"
        assert found[known].outcome is not None
        runner.cancel(unknown)

    def test_cancel(self) -> None:
        """An attempt that is cancelled once or several times ends as CANCELLED."""
        job = self.job(Does.GOES_ON)
        runner = self.runner(job)
        handle = self.start(job, runner, self.key())
        self.wait_for_program(runner, handle)
        assert not runner.poll([handle])[handle].ended, "a running attempt has ended"
        runner.cancel(handle)
        runner.cancel(handle)
        assert settle(runner, handle).verdict is Verdict.CANCELLED
        runner.cancel(handle)
        assert settle(runner, handle).verdict is Verdict.CANCELLED
        until(lambda: not self.program.running(), "the process of an attempt that was cancelled has ended")

    def test_cancel_ends_children_too(self) -> None:
        """If an attempt is cancelled, the processes that its command started end too: a launcher is often a script
        around the program that does the work."""
        self.needs_any_program()
        job = self.job(Does.GOES_ON)
        self.program.script(about(canonical(Does.GOES_ON)), Step(lines=("going on",), goes_on=True, child=True))
        runner = self.runner(job)
        handle = self.start(job, runner, self.key())
        until(lambda: self.program.has_child, "the command starts a process", lambda: self._over(runner, handle))
        runner.cancel(handle)
        outcome = settle(runner, handle)
        assert outcome.verdict is Verdict.CANCELLED, say(runner, handle, outcome)
        until(lambda: not self.program.running(), "a process that the command of a cancelled attempt started ends")

    @pytest.mark.parametrize(
        ("does", "verdict"),
        [(Does.SUCCEEDS, Verdict.SUCCEEDED), (Does.FAILS, Verdict.FAILED), (Does.NOT_READY, Verdict.NOT_READY)],
        ids=lambda value: value.name,
    )
    def test_cancel_after_the_end_changes_nothing(self, does: Does, verdict: Verdict) -> None:
        """An attempt that has ended keeps its end."""
        job = self.job(does)
        runner = self.runner(job)
        handle = self.start(job, runner, self.key())
        settle(runner, handle)
        runner.cancel(handle)
        assert settle(runner, handle).verdict is verdict

    def test_logs_go_on_at_the_cursor(self) -> None:
        """Reading in pieces gives the same output as reading at once, without repetition or gaps."""
        job = self.job(Does.WRITES)
        runner = self.runner(job)
        handle = self.start(job, runner, self.key())
        pieces, cursor = runner.logs(handle, None)
        lines = list(pieces)
        settle(runner, handle)
        until(lambda: len(runner.logs(handle, None)[0]) >= 3, "the output can be read")
        pieces, cursor = runner.logs(handle, cursor)
        lines += pieces
        assert lines == list(runner.logs(handle, None)[0])
        assert list(runner.logs(handle, cursor)[0]) == [], "lines are repeated"
        if self.runs_any_program:
            assert lines == ["one", "two", "three"]

    def test_logs_hide_secrets(self) -> None:
        """The value of a variable with a secret name does not appear in the output."""
        job = self.job(Does.TELLS)
        assert SECRET in job.env.values()
        runner = self.runner(job)
        handle = self.start(job, runner, self.key())
        outcome = finish(runner, handle, settle(runner, handle))
        until(lambda: len(runner.logs(handle, None)[0]) >= 1, "the output can be read")
        assert SECRET not in "\n".join(runner.logs(handle, None)[0]), "the output shows a secret"
        assert SECRET not in repr(outcome), "the outcome shows a secret"

    def test_logs_hide_secrets_of_arguments(self) -> None:
        """A secret that is an argument (an access token, a password among the options) does not appear in the output
        either."""
        if not self.runs_any_program:
            pytest.skip("runs_any_program = False: no command writes its own arguments")
        token, password = "a-secret-access-token", "a-secret-password"
        self.program.script("transform:kpi.told", Step(lines=(token, f"connecting with {password}"), exit_code=3))
        arguments = ("--name", "kpi.told", "--accessToken", token, "--options", f"k=v,db_password={password}")
        job = self.make(Command("transform", arguments, "told")).bind(an_attempt())
        assert {token, arguments[-1]} <= set(job.arguments), "the secrets did not reach the job"
        runner = self.runner(job)
        handle = self.start(job, runner, self.key())
        outcome = finish(runner, handle, settle(runner, handle))
        until(lambda: len(runner.logs(handle, None)[0]) >= 2, "the output can be read")
        told = "\n".join((*runner.logs(handle, None)[0], repr(outcome)))
        assert token not in told, "the output shows an access token"
        assert password not in told, "the output shows a password"
