"""Which run and which work: a run that was made again, two deployments, other arguments, and jobs of the version before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starlake_core import Attempt, DataInterval, Job, Run, RunKey, RunnerError
from starlake_core.model.identity import Kinship, deployment_name, digest_of, first_difference, instance_of, kinship
from starlake_core.runtime import AttemptInfo, OlderAttempt, Outcome, Runner, Status, Verdict, start
from starlake_core.testing import FakeEnvironment

END = datetime(2026, 11, 2, tzinfo=timezone.utc)
RUN = Run("sales", "run-1", DataInterval(END, END))
WORDS = st.text("ab/:#~@[] ", max_size=6)


def attempt(run: Run = RUN, number: str = "1") -> Attempt:
    return run.attempt("load.orders", number)


def job(*more: str, env: Mapping[str, str] | None = None) -> Job:
    return Job("fake", ("transform", "--name", "kpi.daily", *more), env or {})


# -- instances


@given(st.tuples(WORDS, WORDS, st.integers(0, 3)), st.tuples(WORDS, WORDS, st.integers(0, 3)))
def test_instances(one: tuple[str, str, int], other: tuple[str, str, int]) -> None:
    """A run that was restarted may be the same one; one with another mark, or begun at another time without that, is
    not."""
    texts = [
        instance_of(began.replace("~", "-"), lasting.replace("~", "-"), epoch) for lasting, began, epoch in (one, other)
    ]
    found = kinship(*texts)
    assert kinship(*reversed(texts)) is found
    if not all(texts) or texts[0] == texts[1]:
        assert found is Kinship.SAME
    elif one[0].replace("~", "-") != other[0].replace("~", "-") or one[2] == other[2]:
        assert found is Kinship.OTHER
    else:
        assert found is Kinship.UNKNOWN


def test_an_attempt_that_has_ended_is_not_taken_back_where_its_run_is_not_certain() -> None:
    """A run that is cleared begins at another time: an attempt of before may be of a run that was deleted. A running
    attempt is not doubled."""
    fake = FakeEnvironment()
    job = partial(Job, "fake", ("stage", "--domains", "sales"))
    runner = fake.sl_create_runner(job=job())
    cleared = instance_of("later", epoch=1)
    first = start(job(), runner, RunKey("t", "1", instance=instance_of("first")))
    assert start(job(), runner, RunKey("t", "1", instance=instance_of("first"))) == first
    fake.stop(first)
    assert start(job(), runner, RunKey("t", "1", instance=cleared)) != first
    fake.script("stage:sales", None)
    going = start(job(), runner, RunKey("u", "1", instance=instance_of("first")))
    assert start(job(), runner, RunKey("u", "1", instance=cleared)) == going
    assert not runner.poll([going])[going].ended


def test_what_appends_is_not_done_again_where_it_may_have_been_done() -> None:
    fake = FakeEnvironment()
    runner = fake.sl_create_runner(job=job())
    first = start(job(), runner, RunKey("t", "1", instance=instance_of("first")))
    assert runner.poll([first])[first].ended
    assert start(job(), runner, RunKey("t", "1", instance=instance_of("another"))) != first
    with pytest.raises(RunnerError, match="--retry-unsafe"):
        start(job(), runner, RunKey("t", "1", instance=instance_of("later", epoch=1)))
    # Somebody who has it done again knows why.
    assert (
        start(job(), runner, RunKey("t", "1", instance=instance_of("later", epoch=1)), counts=lambda name: False)
        != first
    )


# -- deployments


def test_two_deployments_never_meet() -> None:
    fake = FakeEnvironment()
    runner = fake.sl_create_runner(job=job())
    runs = [replace(RUN, deployment=name) for name in ("STAGING", "PROD", "")]
    bound = job().bind(attempt())
    handles = [start(bound, runner, attempt(run).key) for run in runs]
    assert len(set(handles)) == 3
    assert len({attempt(run).value("sl_run_hash") for run in runs}) == 3
    assert [start(bound, runner, attempt(run).key) for run in runs] == handles


@given(st.text(min_size=1, max_size=6), WORDS, WORDS)
def test_a_given_name_is_the_name(name: str, environment: str, host: str) -> None:
    assert deployment_name(name, environment, host) == name
    assert deployment_name("", environment, "") == environment
    assert deployment_name("", "", host) == host


def test_jobs_of_the_version_before_are_found_for_a_release() -> None:
    """It knew no deployments and no digests: its jobs have neither, and the plain name."""
    fake = FakeEnvironment()
    runner = fake.sl_create_runner(job=job())
    plain = attempt().key
    old = runner.submit(job(), plain)
    assert start(job().bind(attempt()), runner, attempt(replace(RUN, deployment="PROD")).key) == old
    # One of this version, in a deployment without a name, is somebody else's.
    other = replace(RUN, run_id="run-2")
    new = start(job().bind(attempt(other)), runner, attempt(other).key)
    assert start(job().bind(attempt(other)), runner, attempt(replace(other, deployment="PROD")).key) != new


# -- the same work


class Known(Runner):
    """A service that knows one attempt."""

    def __init__(self, found: AttemptInfo) -> None:
        self.found = found
        self.cancelled: list[str] = []

    def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
        return [self.found]

    def submit(self, job: Job, key: RunKey) -> str:
        return "new"

    def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
        ended = Status(Outcome(Verdict.CANCELLED))
        return {handle: ended if handle in self.cancelled else self.found.status for handle in handles}

    def cancel(self, handle: str) -> None:
        self.cancelled.append(handle)

    def logs(self, handle: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
        return (), cursor


def known(bound: Job, number: str = "1", outcome: Outcome | None = None) -> Any:
    return Known(AttemptInfo(number, "old", Status(outcome), digest=bound.digest))


@pytest.mark.parametrize("outcome", [None, Outcome(Verdict.SUCCEEDED, 0)])
def test_other_arguments_are_named_and_their_secrets_are_not(outcome: Outcome | None) -> None:
    before = job(env={"SL_ENV": "STAGING", "DB_PASSWORD": "hunter22"}).bind(attempt())
    after = job(env={"SL_ENV": "PROD", "DB_PASSWORD": "hunter33"}).bind(attempt())
    with pytest.raises(RunnerError, match="variable SL_ENV is now 'PROD'") as error:
        start(after, known(before, outcome=outcome), attempt().key)
    assert "hunter" not in str(error.value)
    assert "start another run" in str(error.value)
    # A live attempt of an older try is not taken over either, and one that is to be stopped may do what it likes.
    if outcome is None:
        with pytest.raises(RunnerError, match="SL_ENV"):
            start(after, known(before), attempt(number="2").key)
        assert start(after, known(before), attempt(number="2").key, OlderAttempt.CANCEL) == "new"


def test_a_success_that_nobody_saw_is_only_taken_for_the_same_work() -> None:
    """A transform that appends is not done again after a try that succeeded unseen; one with other arguments has not been done."""
    done = Outcome(Verdict.SUCCEEDED, 0)
    before, after = job("--options", "day=1").bind(attempt()), job("--options", "day=2").bind(attempt())
    assert start(before, known(before, outcome=done), attempt(number="2").key) == "old"
    with pytest.raises(RunnerError, match="argument 5 is now 'day=2'"):
        start(after, known(before, outcome=done), attempt(number="2").key)


def test_what_changes_by_itself_is_no_other_work() -> None:
    """The variable store, the names of the attempt and of a re-execution, secrets, sizing."""
    made = Job(
        "fake",
        ("load", "--options", "a=${var:A},b=${sl_attempt_hash}", "--accessToken", "one"),
        {"RUN": "${sl_run_id}", "PASSWORD": "one"},
        {"memory": "1g"},
    )
    again = replace(
        made,
        arguments=(*made.arguments[:-1], "two"),
        env={**made.env, "PASSWORD": "two"},
        spec={"memory": "2g"},
    )
    first = made.bind(attempt(replace(RUN, variables={"A": "1"})))
    second = again.bind(attempt(replace(RUN, run_id="run-2", root_run_id="run-1", variables={"A": "2"}), "2"))
    assert first.arguments != second.arguments
    assert first.digest == second.digest
    assert (
        made.bind(attempt(replace(RUN, variables={"A": "1"}, interval=DataInterval(END, END)))).digest == first.digest
    )


PARTS = st.lists(st.text("abc-= ", min_size=1, max_size=4), max_size=5)
ENVS = st.dictionaries(st.text("XYZ", min_size=1, max_size=3), st.text("ab", max_size=3), max_size=4)


@given(PARTS, ENVS, PARTS, ENVS)
def test_digests(arguments: list[str], env: dict[str, str], others: list[str], other_env: dict[str, str]) -> None:
    """Equal work has equal digests, however the variables are ordered; other work has others, and a difference is named."""
    mine, theirs = digest_of("e", arguments, env), digest_of("e", others, other_env)
    assert mine == digest_of("e", arguments, dict(reversed(env.items())))
    assert (mine == theirs) == ((arguments, env) == (others, other_env))
    assert bool(first_difference(theirs, mine, "e", arguments, env)) == (mine != theirs)
    assert not first_difference("", mine, "e", arguments, env)
