"""Checks of the jobs that an environment creates, without running any."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from ..contract import validate_arguments
from ..model.command import Command
from ..model.graph import Task
from ..model.graph_json import graph_json
from ..model.job import Job
from ..options import GeneralOptions, Options
from .corpus import CORPUS, Graph
from .environment_base import EnvironmentBase
from .hostile import HOSTILE
from .lab import SECRET, Does, an_attempt, canonical, plain
from .option_effects import EVERYTHING, options_of, rendered, without_effect
from .workers import same_imports

__all__ = ["BuildChecks"]

_small = {name: graph for name, graph in CORPUS.items() if not graph.large}
_COMMANDS = {
    "load": canonical(Does.SUCCEEDS),
    **{
        name: Command("transform", ("--name", f"kpi.{name}", "--query", text, "--accessToken", ""), name)
        for name, text in HOSTILE.items()
    },
}

# Prints the graph of a pipeline as JSON, and the modules that were loaded for it.
_BUILD = """
import importlib, json, sys
kind, name, options, root = json.loads(sys.argv[1])
from starlake_core import Orchestration, graph_json
from starlake_core.testing.corpus import two_domains
from starlake_core.testing.recording import RecordingOrchestrator
environment = importlib.import_module(name) if kind == "module" else name
with Orchestration({**options, **two_domains.options}, orchestrator=RecordingOrchestrator(), environment=environment,
                   filename=root + "/corpus.py", namespace={}) as orchestration:
    pipeline = two_domains(orchestration)
print(json.dumps([graph_json(pipeline), sorted(sys.modules)]))
"""


class BuildChecks(EnvironmentBase):
    """A job is a pure function of command and options, and does not change them."""

    def _tasks(self, graph: Graph) -> list[Task]:
        with self.orchestration(**graph.options) as orchestration:
            return [task for task in graph(orchestration).tasks() if task.job is not None]

    @pytest.mark.parametrize("graph", _small.values(), ids=_small)
    def test_jobs_are_pure(self, graph: Graph) -> None:
        """Building a pipeline twice gives equal jobs."""
        first, second = self._tasks(graph), self._tasks(graph)
        for one, other in zip(first, second, strict=True):
            assert one.job == other.job, f"built twice, the jobs of '{one.path}' differ"
            assert _job(one).to_json() == _job(other).to_json(), f"built twice, the jobs of '{one.path}' differ as JSON"

    @pytest.mark.parametrize("name", _COMMANDS)
    def test_command_and_options_are_left_alone(self, name: str) -> None:
        """Creating a job twice gives equal jobs, and changes neither the command nor the options."""
        orchestration = self.orchestration()
        command, options = _COMMANDS[name], orchestration.options
        assert isinstance(command, Command)
        kept_command, kept_options = repr(command), _plain(options)
        made = [orchestration.plugins.create_job(command, options) for _ in range(2)]
        assert made[0] == made[1], "the same command and options gave two different jobs"
        assert made[0].to_json() == made[1].to_json(), "the same command and options gave two different jobs"
        assert repr(command) == kept_command, "the command was changed"
        assert _plain(options) == kept_options, "the options were changed"

    @pytest.mark.parametrize("name", _COMMANDS)
    def test_arguments_are_those_of_the_command(self, name: str) -> None:
        """Every argument is one unchanged element of the vector: not split, quoted, joined or filled in."""
        command = _COMMANDS[name]
        assert isinstance(command, Command)
        job = self.orchestration().plugins.create_job(command, self.orchestration().options)
        assert job.arguments == command.vector, "the arguments of the job are not those of the command"

    @pytest.mark.parametrize("graph", _small.values(), ids=_small)
    def test_arguments_pass_the_contract(self, graph: Graph) -> None:
        """The strict parser of the Starlake command line accepts the bound arguments."""
        for task in self._tasks(graph):
            if task.command is None:
                continue
            job = _job(task)
            validate_arguments(job.bind(an_attempt(task.path)).arguments)
            assert job.arguments[: len(task.command.vector)] == task.command.vector, (
                f"the arguments of '{task.path}' are not those of its command"
            )

    @pytest.mark.parametrize("graph", _small.values(), ids=_small)
    def test_jobs_survive_json(self, graph: Graph) -> None:
        """A job converted to JSON and back is equal and has an equal hash, before and after binding."""
        for task in self._tasks(graph):
            for job in (_job(task), _job(task).bind(an_attempt(task.path))):
                again = Job.from_json(job.to_json())
                assert again == job, f"the job of '{task.path}' does not survive JSON"
                assert hash(again) == hash(job)
                assert len({again, job}) == 1

    @pytest.mark.parametrize("graph", _small.values(), ids=_small)
    def test_jobs_name_their_environment(self, graph: Graph) -> None:
        """A worker finds the environment by the name in the job."""
        name = self.orchestration().plugins.environment
        for task in self._tasks(graph):
            assert _job(task).environment == name, (
                f"the job of '{task.path}' names the environment {_job(task).environment!r}, not {name!r}"
            )

    def test_variables_are_in_the_job(self) -> None:
        """The variables of ``sl_env_var`` are in the ``env`` of the job, where the core masks and merges them."""
        job = self.make(canonical(Does.SUCCEEDS))
        wanted = self.orchestration().options[GeneralOptions].sl_env_var
        assert job.env.items() >= wanted.items(), "variables of sl_env_var are missing"

    def test_secrets_are_masked(self) -> None:
        """Neither the repr of a job nor the graph shows a secret, and the job itself keeps it."""
        job = self.make(canonical(Does.SUCCEEDS))
        assert SECRET in job.env.values(), "the secret did not reach the job"
        assert SECRET not in repr(job), "repr(job) shows a secret"
        assert SECRET not in job.masked().to_json(), "the masked job shows a secret"
        assert SECRET not in self.runner(job).describe(job.bind(an_attempt())), (
            "the runner's describe(job) shows a secret"
        )

    def test_building_imports_no_sdk_and_is_the_same_everywhere(self) -> None:
        """A pipeline is built without the SDK, and two processes build the same one."""
        kind, name = self.elsewhere()
        for module in self.forbidden_imports:
            assert importlib.util.find_spec(module.partition(".")[0]) is not None, (
                f"forbidden module {module!r} is not installed, so the test proves nothing; install it for the tests"
            )
        argument = json.dumps([kind, name, self.options(), str(self.root)])
        built = []
        for seed in ("1", "2"):
            done = subprocess.run(
                [sys.executable, "-c", _BUILD, argument],
                env={**same_imports(), "PYTHONHASHSEED": seed},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            built.append(json.loads(done.stdout))
        loaded = [
            module
            for module in built[0][1]
            if any(module == name or module.startswith(f"{name}.") for name in self.forbidden_imports)
        ]
        assert not loaded, f"building a pipeline imports {', '.join(loaded[:5])}"
        assert built[0][0] == built[1][0], "two processes build different pipelines"

    def test_every_option_has_an_effect(self) -> None:
        """Every option changes a job or the pipeline, or is declared with ``effective=False`` and changes nothing."""

        def build(options: Mapping[str, Any]) -> str:
            with self.orchestration(**{**EVERYTHING.options, **options}) as orchestration:
                return rendered(EVERYTHING(orchestration))

        plugins = self.orchestration().plugins
        declared = options_of(plugins, plugins.environment)
        problems = without_effect(declared, build, self.option_sets, self.option_values)
        assert not problems, "\n".join(problems)

    def test_graph_shows_no_secret(self) -> None:
        """The graph as JSON shows no secret, whatever the environment puts into its jobs."""
        with self.orchestration(**CORPUS["two_domains"].options) as orchestration:
            assert SECRET not in graph_json(CORPUS["two_domains"](orchestration))


def _job(task: Task) -> Job:
    assert task.job is not None
    return replace(task.job)


def _plain(options: Options) -> dict[str, Any]:
    return {"values": plain(options), "tasks": plain(options.tasks)}
