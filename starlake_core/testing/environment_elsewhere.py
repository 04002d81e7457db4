"""Checks with several processes: one submits, others find, poll, cancel and read."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from ..model.job import Job
from ..runtime import Outcome, Verdict
from .environment_base import DETACHED, RESUMABLE, EnvironmentBase
from .lab import SECRET, Does, settle, until
from .promises import level
from .workers import Worker, Workers

__all__ = ["ElsewhereChecks"]


class ElsewhereChecks(EnvironmentBase):
    """An attempt does not belong to the process that started it."""

    def _worker(self, workers: Workers, number: int, job: Job) -> Worker:
        worker = workers.get(number)
        worker.open(self.elsewhere(), self.options(), str(self.root), job)
        return worker

    @level(DETACHED)
    def test_another_process_polls_reads_and_cancels(self, workers: Workers) -> None:
        """Any process can poll, read and cancel an attempt by its handle, and all see the same end."""
        job = self.job(Does.GOES_ON)
        here = self.runner(job)
        handle = self.start(job, here, self.key())
        there = self._worker(workers, 1, job)
        self.wait_for_program(here, handle)
        assert there.poll(handle) == ("", False), "another process does not see that the attempt is running"
        if here.follows:
            until(lambda: there.logs(handle) == ["going on"], "another process reads the output")
        there.cancel(handle)
        assert there.settle(handle)[0] == Verdict.CANCELLED
        assert settle(here, handle).verdict is Verdict.CANCELLED, "the process that submitted it sees another end"

    @level(DETACHED)
    def test_another_process_sees_the_same_end(self, workers: Workers) -> None:
        """The end of an attempt is the same in a process that did not submit it: the verdict of a check, the exit code
        and the output of a failure."""
        for number, does in enumerate((Does.NOT_READY, Does.FAILS)):
            job = self.job(does)
            handle = self._worker(workers, 2, job).submit(self.key(task=f"task_{number}"))
            here = settle(self.runner(job), handle)
            there = self._worker(workers, 1, job).settle(handle)
            wanted = Verdict.NOT_READY if does is Does.NOT_READY else Verdict.FAILED
            assert here.verdict is wanted, f"for a process that did not submit it, {wanted} is {here.verdict}"
            assert there[:2] == (here.verdict, here.exit_code), "two processes see different ends of an attempt"
            if does is Does.FAILS and self.runs_any_program:
                assert "it broke" in there[2], "another process does not see the end of the output"

    @level(DETACHED)
    def test_another_process_hides_secrets(self, workers: Workers) -> None:
        """A process that did not submit an attempt reads it with the masked job, without arguments and variables, and
        shows none of its secrets: what must be masked is read from the service, or kept with the attempt."""
        job = self.job(Does.TELLS)
        runner = self.runner(job)
        handle = self.start(job, runner, self.key())
        settle(runner, handle)
        # What an orchestrator stores while it waits.
        kept = Job(job.environment, spec=job.spec, endpoint=job.endpoint, check=job.check, plugins=job.plugins)
        there = self._worker(workers, 1, kept.masked())
        until(lambda: len(there.logs(handle)) >= 1, "another process reads the output")
        told = [*there.logs(handle), *there.tail(handle)]
        assert SECRET not in "\n".join(told), "another process shows a secret of an attempt"

    @level(RESUMABLE)
    def test_a_worker_that_dies_loses_no_attempt(self, workers: Workers) -> None:
        """After the process that started it was killed, another one gets the attempt back, and a new attempt takes it over."""
        job = self.job(Does.GOES_ON)
        first = self._worker(workers, 2, job)
        handle = first.start(self.key("1"))
        runner = self.runner(job)
        if self.runs_any_program:
            until(lambda: bool(self.program.calls()), "the program runs", lambda: first.over(handle))
        first.kill()
        self._started.append((runner, handle))
        found = self._worker(workers, 1, job).find(self.key().task)
        assert [(one.attempt, one.handle) for one in found] == [("1", handle)], (
            "another process does not find the attempt of one that was killed"
        )
        assert self.start(job, runner, self.key("1")) == handle, "an attempt that started again was started twice"
        assert self.start(job, self.runner(job), self.key("2")) == handle, "the task now runs twice"

    @level(RESUMABLE)
    def test_two_submitters_at_once_start_one_run(self, workers: Workers) -> None:
        """If two processes start the same attempt at once, its work is done once, and both get the same end."""
        job = self.job(Does.SUCCEEDS)
        both = [self._worker(workers, number, job) for number in (1, 2)]
        for worker in both:
            worker.ask_to_start(self.key())
        handles = [worker.answer() for worker in both]
        self._done_once([worker.settle(handle)[0] for worker, handle in zip(both, handles, strict=True)], handles, job)

    @level(RESUMABLE)
    def test_two_runners_at_once_start_one_run(self) -> None:
        """If two runners of one process start the same attempt at once, its work is done once, and both get the same end."""
        job = self.job(Does.SUCCEEDS)
        together = Barrier(2)

        def go(number: int) -> tuple[str, Outcome]:
            runner = self.runner(job)
            together.wait()
            handle = self.start(job, runner, self.key())
            return handle, settle(runner, handle)

        with ThreadPoolExecutor(2) as pool:
            ends = list(pool.map(go, range(2)))
        self._done_once([str(outcome.verdict) for _, outcome in ends], [handle for handle, _ in ends], job)

    def _done_once(self, verdicts: list[str], handles: list[str], job: Job) -> None:
        assert str(Verdict.SUCCEEDED) in verdicts, f"two submitters at once, and the ends are {verdicts}"
        if not self.stops_doubles:
            assert len(set(handles)) == 1, "two submitters of one attempt got two handles"
            assert set(verdicts) == {str(Verdict.SUCCEEDED)}
            if self.runs_any_program:
                assert len(self.program.calls()) == 1, "two submitters of one attempt did its work twice"
        # Anyone who asks later finds it.
        assert self.start(job, self.runner(job), self.key()) in handles
