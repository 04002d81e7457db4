"""The suite that every environment of the cloud passes: random faults around a task, and a service that fails a third of all calls."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from breadth import ON_EVERY_VERSION

from starlake_core import Job, Orchestration, RunKey
from starlake_core.model.command import load_command
from starlake_core.runtime import Verdict
from starlake_core.testing import RecordingOrchestrator
from starlake_core.testing.lab import an_attempt, until

from .faults import Fault, Kind, When
from .schedules import PROGRAM, Emulator, Result, Schedule, at_once, check, crowd, draw, play, seeds

__all__ = ["FaultSuite"]

_INTERRUPT_SECONDS = 15.0
"""Two are promised; the rest is for a machine that does other things too. Without the promise it is a minute or two."""

_RUN = """
import json, signal, sys
from starlake_core import Orchestration

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background hands on that it is ignored
options = json.loads(sys.argv[1])
with Orchestration(options=options, orchestrator="local", environment=sys.argv[2], filename="p.py", namespace={}) as o:
    with o.sl_create_pipeline(name="stopped") as pipeline:
        pipeline.sl_transform("first", "kpi.first")
report = pipeline.run()
print(report.state, flush=True)
"""

# A smaller crowd after each commit; the matrix and the soak have the large one.
_CROWD, _BROKEN = 300 if ON_EVERY_VERSION else 60, 3
_MOST_CALLS = 30


def _by_trait(results: Sequence[Result]) -> str:
    """What schedules led to, by what is special about them."""
    names = dict.fromkeys(name for result in results for name in result.schedule.traits)
    rows = [f"  {'':16} schedules  doubled  beside  repeated  stopped  not succeeded"]
    for name in ("all", *sorted(names)):
        found = [result for result in results if name == "all" or name in result.schedule.traits]
        failed = sum(result.outcome is None or not result.outcome.succeeded for result in found)
        stopped = sum(run.stopped for result in found for run in result.runs)
        rows.append(
            f"  {name:16} {len(found):9}  {sum(one.doubled for one in found):7}  {sum(one.beside for one in found):6}  "
            f"{sum(one.repeated for one in found):8}  {stopped:7}  {failed:13}"
        )
    return "\n".join(rows)


class FaultSuite:
    """Inherit, and say what is emulated.

    Attributes:
        environment: entry-point name of the plugin.
        emulator_class: makes the emulator, from a program and a folder for buckets.
        submit: method that starts a run.
        polls: methods with which a run is asked about.
        preload: modules that submitting processes share.
        quick: options that make it poll fast.
        duplicates: whether a second run may begin, and be stopped by the first one.
    """

    environment: str
    emulator_class: Callable[..., AbstractContextManager[Any]]
    submit: str
    polls: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()
    quick: Mapping[str, Any] = {}
    duplicates = False

    def prepare(self) -> None:
        """Set what processes inherit (credentials)."""

    def without_dedupe(self, emulator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Switch off what keeps a repeated submission from being a second run: the negative control."""
        emulator.dedupe = False

    @pytest.fixture
    def emulator(self, tmp_path: Path) -> Iterator[Any]:
        self.prepare()
        with type(self).emulator_class(PROGRAM, buckets=tmp_path / "buckets") as emulator:
            yield emulator

    def job(self, emulator: Emulator, seconds: float = 0.0, exit_code: int = 0, lingers: float = 0.0) -> Job:
        """A bound job that takes a while, ends with an exit code, and takes a while to be stopped."""
        env = {
            "SL_ROOT": "/project",
            "PLAY_SECONDS": str(seconds),
            "PLAY_EXIT": str(exit_code),
            "PLAY_LINGERS": str(lingers),
        }
        opened = Orchestration(
            {**emulator.options, **self.quick, "sl_env_var": env},
            orchestrator=RecordingOrchestrator(),
            environment=self.environment,
            filename="faults.py",
            namespace={},
        )
        command = load_command("load", "sales", "orders")
        # These tests are about attempts: what a load may not do twice is tested elsewhere.
        return replace(opened.plugins.create_job(command=command, options=opened.options), retry_unsafe="blind").bind(
            an_attempt()
        )

    def play(self, schedule: Schedule, emulator: Emulator) -> Result:
        """Play a schedule."""
        job = self.job(emulator, schedule.seconds, lingers=0.3 if schedule.at_kill == "cancel" else 0.0)
        return play(schedule, emulator, job, self.preload, self.submit, self.polls)

    @pytest.mark.parametrize("seed", seeds(20))
    def test_no_run_is_doubled_and_none_is_lost(self, seed: int, emulator: Emulator) -> None:
        check(self.play(draw(seed), emulator), self.duplicates)

    @pytest.mark.soak
    @pytest.mark.timeout(3600)
    def test_no_run_of_many_is_doubled_and_none_is_lost(
        self, tmp_path: Path, record_property: Callable[[str, object], None]
    ) -> None:
        self.prepare()
        results, wrong = [], []
        for seed in seeds(200):
            # Of its own: the clock of a service does not jump from one schedule to the next.
            with type(self).emulator_class(PROGRAM, buckets=tmp_path / str(seed)) as emulator:
                result = self.play(draw(seed), emulator)
            results.append(result)
            try:
                check(result, self.duplicates)
            except AssertionError as error:
                wrong.append(str(error))
        faults, kills = sum(len(result.schedule.faults) for result in results), sum(result.kills for result in results)
        restarted = sum(result.kills > 0 and len(result.attempts) == 1 for result in results)
        renewed = sum(len(result.attempts) > 1 for result in results)
        record_property(
            "summary",
            f"{self.environment} ({self.submit}): {len(results)} schedules with {faults} faults and {kills} kills; {restarted} times the same "
            f"attempt was started again, {renewed} times a new one; {sum(len(result.runs) for result in results)} runs, "
            f"{sum(at_once(result.runs) for result in results)} beside another one; wrong: {len(wrong)}\n{_by_trait(results)}",
        )
        assert not wrong, "\n".join(wrong)

    def test_without_dedupe_the_work_is_done_twice(self, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
        """The negative control: the faults are such that something has to be done against them."""
        self.without_dedupe(emulator, monkeypatch)
        emulator.faults.plan(self.submit, Fault(Kind.LOST, When.AFTER))
        outcomes = crowd(lambda number: self.job(emulator, 0.2), 1)
        for container in emulator.containers.all:
            container.wait(60)
        assert outcomes[0].succeeded
        assert len(emulator.containers.all) == 2

    @pytest.mark.parametrize("other", ["remade", "deployment"])
    def test_without_identity_a_run_is_taken_for_another(
        self, other: str, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The negative control: what is there already has the very name."""
        monkeypatch.setattr(Schedule, "key", lambda schedule, attempt, other=False: RunKey("play/run/task", attempt))
        result = self.play(Schedule(0, {}, (), 0.0, other=other), emulator)
        assert len(result.others) == 1
        assert not result.runs
        with pytest.raises(AssertionError, match="the work is lost"):
            check(result, self.duplicates)

    @pytest.mark.timeout(900)
    def test_a_third_of_all_calls_fails(self, emulator: Emulator) -> None:
        (seed,) = seeds(1)
        kinds = [Fault(Kind.UNAVAILABLE), Fault(Kind.UNAVAILABLE, When.AFTER), Fault(Kind.THROTTLED)]
        emulator.faults.at_random(0.3, kinds, seed)
        broken = set(random.Random(seed).sample(range(_CROWD), _CROWD // _BROKEN))
        outcomes = crowd(lambda number: self.job(emulator, 0.0, 3 if number in broken else 0), _CROWD)
        verdicts = [outcome.verdict for outcome in outcomes]
        assert verdicts == [Verdict.FAILED if number in broken else Verdict.SUCCEEDED for number in range(_CROWD)]
        assert {outcomes[number].exit_code for number in broken} <= {3, None}
        runs = [run for run in emulator.containers.all if not (self.duplicates and run.stopped)]
        assert len(runs) == _CROWD
        # Bounded: nobody hammers a service that is in trouble.
        assert emulator.faults.calls.total() < _MOST_CALLS * _CROWD

    @pytest.mark.parametrize("when", ["submitting", "waiting", "hanging"])
    def test_an_interrupt_does_not_wait_for_a_service_that_is_down(
        self, when: str, emulator: Emulator, tmp_path: Path, record_property: Callable[[str, object], None]
    ) -> None:
        """Ctrl-C of a whole run, in a process of its own."""
        env = {"SL_ROOT": "/project", "PLAY_SECONDS": "60"}
        options = {
            **emulator.options,
            **self.quick,
            "state_dir": str(tmp_path / "state"),
            "retries": 2,
            "sl_env_var": env,
        }
        faults = emulator.faults
        faults.slow_seconds = 30.0

        def down() -> None:
            faults.at_random(1.0, [Fault(Kind.SLOW if when == "hanging" else Kind.UNAVAILABLE)], 1)

        if when != "waiting":
            down()
        process = subprocess.Popen(
            [sys.executable, "-c", _RUN, json.dumps(options), self.environment],
            stdout=subprocess.PIPE,
            text=True,
            env={name: value for name, value in os.environ.items() if not name.startswith("SL_")},
        )
        try:
            if when == "waiting":
                until(lambda: sum(faults.calls[method] for method in self.polls) > 2, "it waits for its run")
                down()
            seen = faults.calls.total() if when == "waiting" else 0
            until(lambda: faults.calls.total() > seen, "it asks in vain")
            process.send_signal(signal.SIGINT)
            began = time.monotonic()
            out, _ = process.communicate(timeout=_INTERRUPT_SECONDS)
            record_property("summary", f"{self.environment}: Ctrl-C while {when}: {time.monotonic() - began:.1f} s")
            assert out.splitlines()[-1] == "cancelled"
        finally:
            process.kill()
            process.wait()
