"""Random faults around loads, on the local orchestrator; and what happens without the cure."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import inherited, orchestrate
from load_fault_runs import BATCHES, batches, seeds_of, told

from starlake_core import Orchestration, TaskState
from starlake_core.orchestrators.requests import request_run
from starlake_core.testing import StandIn
from starlake_core.testing.load_faults import Played, draw_loads, draw_schedule, play, prepare

PIPELINES = """
from starlake_core import Orchestration
from starlake_core.testing.load_faults import draw_loads

options = {{"SL_STARLAKE_PATH": {program!r}, "retry_delay": 0}}
with Orchestration(options, orchestrator="local", environment="shell") as orchestration:
    with orchestration.sl_create_pipeline(name="loads", cron="0 0 * * *") as pipeline:
        draw_loads(pipeline, {seeds!r})
"""


class Local:
    """The command line, in a process for each run."""

    def __init__(self, root: Path, stand_in: StandIn, seeds: Sequence[int]) -> None:
        self.file = root / "pipelines.py"
        self.file.write_text(PIPELINES.format(program=str(stand_in.path), seeds=list(seeds)), encoding="utf-8")
        self.env = {**inherited(), "SL_ROOT": str(root)}

    def _call(self, verb: str) -> bool:
        done = orchestrate(verb, self.file, env=self.env)
        self.output = done.stdout + done.stderr
        return done.returncode == 0

    def run(self) -> bool:
        return self._call("run")

    def again(self) -> bool:
        return self._call("resume")


@pytest.mark.faults
@pytest.mark.parametrize("batch", batches("local"))
def test_loads_are_green_with_their_rows_and_never_twice(
    batch: int, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    schedules = [draw_schedule(seed) for seed in seeds_of(batch)]
    root, stand_in = tmp_path / "project", StandIn(tmp_path / "bin")
    prepare(schedules, root, stand_in)
    played = play(schedules, Local(root, stand_in, seeds_of(batch)), root)
    record_property("summary", f"loads on the local orchestrator: {told(played)}")
    assert not [one for one in played if one.wrong], played


class InProcess:
    """The local orchestrator in this process, where the cure can be taken away."""

    def __init__(self, root: Path, stand_in: StandIn, seeds: Sequence[int], retry_unsafe: str) -> None:
        options = {
            "retry_unsafe": retry_unsafe,
            "SL_STARLAKE_PATH": str(stand_in.path),
            "retry_delay": 0,
            "sl_env_var": {"SL_ROOT": str(root)},
            "state_dir": str(root / "state"),
        }
        with (
            Orchestration(
                options, orchestrator="local", environment="shell", filename=str(root / "p.py"), namespace={}
            ) as orchestration,
            orchestration.sl_create_pipeline(name="loads", cron="0 0 * * *") as pipeline,
        ):
            draw_loads(pipeline, seeds)
        self.pipeline = pipeline

    def run(self) -> bool:
        return self.pipeline.run(run_id="one").state == TaskState.SUCCEEDED

    def again(self) -> bool:
        run = replace(request_run(self.pipeline, run_id="one"), resume=True)
        return self.pipeline.start_run(run).state == TaskState.SUCCEEDED


@pytest.mark.faults
@pytest.mark.parametrize(("cure", "wrong"), [("none", "are not in the table"), ("doubtful", "there twice")])
def test_without_the_cure_the_faults_show(
    cure: str, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative controls: the same schedules where nothing is put back, and where all is put back and loaded again unasked."""
    if cure == "none":
        monkeypatch.setattr(sys.modules["starlake_core.runtime.attempt"], "guarded", lambda job, runner, key: None)
    results: list[Played] = []
    for batch in range(BATCHES):
        seeds = seeds_of(batch)
        schedules = [draw_schedule(seed, ("fails", "dies")) for seed in seeds]
        root, stand_in = tmp_path / str(batch) / "project", StandIn(tmp_path / str(batch) / "bin")
        prepare(schedules, root, stand_in)
        results += play(schedules, InProcess(root, stand_in, seeds, "no" if cure == "none" else cure), root)
        if any(wrong in text for played in results for text in played.wrong):
            return
    pytest.fail(f"the fault does not show: {told(results)}")
