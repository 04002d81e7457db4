"""Shared by the tests of the core: the hypothesis profile, a no-op orchestrator, a fake environment, and short ways to draw."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import settings

from starlake_core import (
    CreateChildren,
    Job,
    Lifecycle,
    Orchestration,
    Pipeline,
    StarlakePipeline,
    Task,
    TaskGroup,
    hookimpl,
)

settings.register_profile("ci", deadline=None, max_examples=60, derandomize=False, print_blob=True)
settings.load_profile("ci")


class NoopOrchestrator:
    """Records what it is asked to create, and creates tuples."""

    name = "noop"

    def __init__(self, keywords: Sequence[str] = ("native_keyword",)) -> None:
        self.keywords = keywords
        self.calls: list[str] = []
        self.published: list[tuple[str, ...]] = []

    @hookimpl
    def sl_task_keywords(self) -> Sequence[str]:
        return self.keywords

    @hookimpl
    def sl_create_task(self, task: Task) -> Any:
        self.calls.append(task.path)
        return ("task", task.id)

    @hookimpl
    def sl_create_task_group(self, group: TaskGroup, create_children: CreateChildren) -> Any:
        self.calls.append(f"open {group.path}")
        children = create_children()
        self.calls.append(f"close {group.path}")
        return ("group", group.id, dict(children))

    @hookimpl
    def sl_create_pipeline(self, pipeline: Pipeline, create_children: CreateChildren) -> Any:
        return ("pipeline", pipeline.id, dict(create_children()))

    @hookimpl
    def sl_publish_pipelines(self, pipelines: Sequence[Pipeline], namespace: dict[str, Any]) -> None:
        self.published.append(tuple(pipeline.id for pipeline in pipelines))
        namespace["published"] = [pipeline.id for pipeline in pipelines]


class FakeEnvironment:
    """Makes jobs that say which options they saw; its runner is whatever the test puts there."""

    name = "fake"

    def __init__(self, lifecycle: Lifecycle | None = None, runner: Any = None, options: Sequence[Any] = ()) -> None:
        self.lifecycle = lifecycle
        self.runner = runner
        self.options = options
        self.runners_made = 0

    @hookimpl
    def sl_options(self) -> Sequence[Any]:
        return self.options

    @hookimpl
    def sl_create_job(self, command: Any, options: Mapping[str, Any]) -> Job:
        return Job("fake", command.vector, options["sl_env_var"], {"cores": options["spark_executor_cores"]})

    @hookimpl
    def sl_create_runner(self, job: Job) -> Any:
        self.runners_made += 1
        return self.runner

    @hookimpl
    def sl_create_lifecycle(self, pipeline: Pipeline, options: Mapping[str, Any]) -> Lifecycle | None:
        return self.lifecycle


def _orchestrate(options: Mapping[str, Any] | None = None, **keywords: Any) -> Orchestration:
    values: dict[str, Any] = {
        "orchestrator": NoopOrchestrator(),
        "environment": FakeEnvironment(),
        "filename": "pipelines.py",
        "namespace": {},
        **keywords,
    }
    return Orchestration(options, **values)


def _draw(
    build: Callable[[StarlakePipeline], object],
    options: Mapping[str, Any] | None = None,
    orchestration: Orchestration | None = None,
    **keywords: Any,
) -> StarlakePipeline:
    opened = orchestration or _orchestrate(options)
    with opened, opened.sl_create_pipeline(**{"name": "p", **keywords}) as pipeline:
        build(pipeline)
    return pipeline


# The fixtures hand out functions and classes, which hold no state, so that hypothesis may use them in every example.
@pytest.fixture(scope="session")
def noop_orchestrator() -> type[NoopOrchestrator]:
    return NoopOrchestrator


@pytest.fixture(scope="session")
def fake_environment() -> type[FakeEnvironment]:
    return FakeEnvironment


@pytest.fixture(scope="session")
def orchestrate() -> Callable[..., Orchestration]:
    """Opens an orchestration with the plugins above."""
    return _orchestrate


@pytest.fixture(scope="session")
def draw() -> Callable[..., StarlakePipeline]:
    """Draws one pipeline: ``draw(lambda p: p.start_task(), options)``."""
    return _draw


@pytest.fixture(scope="session", autouse=True)
def _no_options_from_outside() -> Iterator[None]:
    """What the developer's shell says about Starlake must not decide a test."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("SL_")]:
            patch.delenv(name)
        yield
