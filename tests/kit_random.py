"""Pipelines at random: nested groups, gates, every trigger, and jobs that end in every way."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from starlake_core import Node, Orchestration, Report, StarlakePipeline, TaskKind, request_run
from starlake_core.runtime import Verdict
from starlake_core.testing import FakeEnvironment, subject
from starlake_core.testing.lab import SCHEDULED

_DEEPEST = 3


def _node(pipeline: StarlakePipeline, chance: random.Random, name: str, depth: int) -> Node:
    kind = chance.random()
    if kind < 0.25 and depth < _DEEPEST:
        with pipeline.sl_create_task_group(name) as group:
            _fill(pipeline, chance, name, depth + 1)
        return group
    if kind < 0.45:
        check = pipeline.sl_pre_load(name, ["t"], "pending")
        assert check is not None
        return check
    if kind < 0.5:
        return pipeline.sl_dummy_op(name)
    trigger = "all_done" if kind < 0.6 else "none_failed" if kind < 0.7 else "all_success"
    return pipeline.sl_transform(name, f"k.{name}", trigger=trigger)


def _fill(pipeline: StarlakePipeline, chance: random.Random, prefix: str, depth: int) -> list[Node]:
    names = [f"{prefix}{number}" for number in range(chance.randint(0 if depth else 2, 4))]
    nodes = [_node(pipeline, chance, name, depth) for name in names]
    for number, before in enumerate(nodes):
        for after in nodes[number + 1 :]:
            if chance.random() < 0.4:
                before >> after
    return nodes


def random_run(seed: int, orchestrator: Any, root: Path) -> tuple[StarlakePipeline, Report]:
    """Draw the pipeline of a seed and run it.

    Args:
        seed: gives the same pipeline and the same ends every time.
        orchestrator: name or plugin object.
        root: an empty folder.
    """
    chance, environment = random.Random(seed), FakeEnvironment()
    with (
        Orchestration(
            {"sl_env_var": {"SL_ROOT": str(root)}, "retries": 0},
            orchestrator=orchestrator,
            environment=environment,
            filename=str(root / "random.py"),
            namespace={},
        ) as orchestration,
        orchestration.sl_create_pipeline(name=f"random_{seed}") as pipeline,
    ):
        _fill(pipeline, chance, "n", 0) >> pipeline.end_task()
    for task in pipeline.tasks():
        if task.job is not None:
            skipped = Verdict.NOT_READY if task.kind is TaskKind.CHECK else Verdict.SUCCEEDED
            ends = [Verdict.SUCCEEDED, Verdict.SUCCEEDED, skipped, skipped, Verdict.FAILED]
            environment.script(subject(task.job.arguments), chance.choice(ends))
    return pipeline, pipeline.start_run(request_run(pipeline, SCHEDULED, run_id=f"run_{seed}"))
