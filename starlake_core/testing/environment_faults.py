"""Checks of what a runner does when its service fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from ..errors import OutageError, RunnerError
from ..model.job import Job
from ..runtime import Runner, Verdict, finish, pausing
from .environment_base import SERVICE, EnvironmentBase
from .faults import ServiceFault
from .lab import Does, settle
from .promises import level
from .subjects import subject

__all__ = ["FaultChecks"]

_PATIENCE_SECONDS = 1.0
"""How long a runner may pause between calls in an outage; it asks by pausing."""


class FaultChecks(EnvironmentBase):
    """Each fault of a service has its class of errors, changes no verdict, and starts nothing twice."""

    def _fails(self, fault: ServiceFault | None) -> None:
        if not self.disturb(fault) and fault is not None:
            pytest.skip(f"disturb() returns False: the service cannot have the fault {fault.name}")

    def _met(self, fault: ServiceFault) -> None:
        assert self.fault_hits() > 0, (
            f"no call has met the fault {fault.name}: disturb() does nothing, so the check proves nothing"
        )

    @contextmanager
    def _failing(self, fault: ServiceFault) -> Iterator[None]:
        self._fails(fault)
        try:
            with pausing(None, _PATIENCE_SECONDS):
                yield
                self._met(fault)
        finally:
            self._fails(None)

    def _prepared(self, does: Does) -> tuple[Job, Runner]:
        job = self.job(does)
        return job, self.runner(job)

    def _ran_once(self, job: Job) -> None:
        if self.runs_any_program:
            found = len(self.program.calls(subject(job.arguments)))
            assert found == 1, f"the program ran {found} times, not once"

    @level(SERVICE)
    @pytest.mark.parametrize("call", ["find", "submit"])
    def test_an_outage_is_an_outage(self, call: str) -> None:
        """If the service is down, ``find`` and ``submit`` raise an ``OutageError`` in the end, so that
        the task may be tried again; the next attempt works."""
        job, runner = self._prepared(Does.SUCCEEDS)
        with self._failing(ServiceFault.OUTAGE), pytest.raises(OutageError):
            _ = runner.find(job, self.key().task) if call == "find" else runner.submit(job, self.key())
        handle = self.start(job, runner, self.key())
        assert settle(runner, handle).verdict is Verdict.SUCCEEDED
        self._ran_once(job)

    @level(SERVICE)
    @pytest.mark.parametrize("call", ["find", "submit"])
    def test_a_refusal_is_final(self, call: str) -> None:
        """A missing permission is a ``RunnerError`` with a sentence about what to do, at once, because the next attempt
        would fail in the same way."""
        job, runner = self._prepared(Does.SUCCEEDS)
        with self._failing(ServiceFault.REFUSAL), pytest.raises(RunnerError) as raised:
            _ = runner.find(job, self.key().task) if call == "find" else runner.submit(job, self.key())
        assert len(str(raised.value).split()) > 2, "the error does not say what to do"
        assert not self.program.calls(), "a refused submission was carried out"

    @level(SERVICE)
    @pytest.mark.parametrize("fault", [ServiceFault.OUTAGE, ServiceFault.REFUSAL], ids=lambda fault: fault.name)
    def test_a_poll_that_fails_is_no_end(self, fault: ServiceFault) -> None:
        """While an attempt runs, a service that is down or refuses to answer is not its end: ``poll``
        returns an error for it, raises nothing, and later the true end."""
        job, runner = self._prepared(Does.GOES_ON)
        handle = self.start(job, runner, self.key())
        runner.poll([handle])
        with self._failing(fault):
            status = runner.poll([handle])[handle]
        assert not status.ended, f"a service that fails ended an attempt: {status.outcome}"
        assert status.error is not None, "poll() does not say that the service fails"
        assert not runner.poll([handle])[handle].ended
        runner.cancel(handle)
        assert settle(runner, handle).verdict is Verdict.CANCELLED

    @level(SERVICE)
    def test_throttling_is_waited_for(self) -> None:
        """Calls that are too many for the service are repeated, and never look like a failed job."""
        job, runner = self._prepared(Does.SUCCEEDS)
        self._fails(ServiceFault.THROTTLING)
        handle = self.start(job, runner, self.key())
        self._met(ServiceFault.THROTTLING)
        assert settle(runner, handle).verdict is Verdict.SUCCEEDED
        self._ran_once(job)

    @level(SERVICE)
    def test_a_lost_reply_starts_nothing_twice(self) -> None:
        """If the reply to a submission is lost, the same attempt finds what was started, and its work is done once."""
        job, runner = self._prepared(Does.SUCCEEDS)
        self._fails(ServiceFault.LOST_REPLY)
        with suppress(OutageError):
            self.start(job, runner, self.key())
        self._met(ServiceFault.LOST_REPLY)
        self._fails(None)
        handle = self.start(job, self.runner(job), self.key())
        found = runner.find(job, self.key().task)
        assert len(found) <= 1 or self.stops_doubles, f"a lost reply started {len(found)} runs of one attempt"
        assert settle(runner, handle).verdict is Verdict.SUCCEEDED
        self._ran_once(job)

    @level(SERVICE)
    def test_an_attempt_that_stops_slowly_is_waited_for(self) -> None:
        """While a job is being stopped, it is reported as *stopping*, and a new attempt waits for its end."""
        job, runner = self._prepared(Does.GOES_ON)
        first = self.start(job, runner, self.key("1"))
        self.wait_for_program(runner, first)
        self._fails(ServiceFault.SLOW_STOP)
        runner.cancel(first)
        self._met(ServiceFault.SLOW_STOP)
        status = runner.poll([first])[first]
        assert status.ended or status.stopping, "an attempt that is being stopped is reported as running"
        assert not status.ended or not self.program.running(), (
            "an attempt is reported as ended, and its process has not"
        )
        second = self.start(job, self.runner(job), self.key("2"))
        assert second != first, "an attempt that is being stopped was taken over"
        if self.runs_any_program:
            assert len(self.program.running()) <= 1, "a new attempt started next to one that had not ended"
        assert settle(runner, first).verdict is Verdict.CANCELLED

    @level(SERVICE)
    def test_cancel_in_an_outage_is_not_forgotten(self) -> None:
        """``cancel`` in an outage raises an ``OutageError`` or is done later, and works when the service is back."""
        job, runner = self._prepared(Does.GOES_ON)
        handle = self.start(job, runner, self.key())
        with self._failing(ServiceFault.OUTAGE), suppress(OutageError):
            runner.cancel(handle)
        runner.cancel(handle)
        assert settle(runner, handle).verdict is Verdict.CANCELLED

    @level(SERVICE)
    def test_output_that_cannot_be_read_changes_nothing(self) -> None:
        """If the output cannot be read, the verdict of an attempt is the same."""
        job, runner = self._prepared(Does.FAILS)
        handle = self.start(job, runner, self.key())
        outcome = settle(runner, handle)
        with self._failing(ServiceFault.OUTAGE):
            told = finish(runner, handle, outcome)
        assert (told.verdict, told.exit_code) == (outcome.verdict, outcome.exit_code)
