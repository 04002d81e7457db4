"""What the author of an environment declares, and how the checks create and start jobs in it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ..dsl.orchestration import Orchestration
from ..model.command import Command, Preload
from ..model.job import Job
from ..model.run import RunKey
from ..runtime import OlderAttempt, Runner, start
from .lab import SECRET, SECRET_NAME, Does, about, an_attempt, canonical, steps_of, with_env
from .recording import RecordingOrchestrator
from .stand_in import StandIn

__all__ = ["EnvironmentBase"]


class EnvironmentBase:
    """The part of :class:`EnvironmentSuite` that the author fills in.

    Attributes:
        environment: the entry-point name or the plugin object.
        runs_any_program: whether its options can name the stand-in as the program to run.
        remembers_attempts: whether ``find`` knows the attempts of a task, including those that another process started.
        forbidden_imports: the modules (the SDK) that nothing may import before a job runs.
    """

    environment: Any = None
    runs_any_program = True
    remembers_attempts = True
    forbidden_imports: tuple[str, ...] = ()

    root: Path
    program: StandIn
    _started: list[tuple[Runner, str]]

    def environment_options(self, stand_in: StandIn, root: Path) -> Mapping[str, Any]:
        """Return options with which the environment runs the stand-in, or a replacement.

        Args:
            stand_in: the program.
            root: an empty folder for the test; it is SL_ROOT unless the options say otherwise.
        """
        if self.runs_any_program:
            raise NotImplementedError(
                "environment_options() must return options that make the environment run stand_in.path"
            )
        return {}

    def command(self, does: Does, stand_in: StandIn, root: Path) -> Command | Preload | None:
        """Return a command whose job behaves in some way, or a check for ``READY``, ``NOT_READY`` and ``CRASHES``.

        Override it if the stand-in cannot be the program: tell your fake service what happens to the job, or make a
        real job do it. Return None if the environment cannot do that; then the check is skipped.

        Args:
            does: what the job must do.
            stand_in: the program, which gets its script here.
            root: SL_ROOT.
        """
        if not self.runs_any_program:
            raise NotImplementedError("without runs_any_program, command() must return a command for each behaviour")
        made = canonical(does)
        stand_in.script(about(made), *steps_of(does))
        return made

    # -- for the checks

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stand_in: StandIn) -> Generator[None, None, None]:
        for name in [name for name in os.environ if name.startswith("SL_")]:
            monkeypatch.delenv(name)
        self.root = tmp_path / "project"
        self.root.mkdir()
        self.program = stand_in
        self._started = []
        yield
        for runner, handle in self._started:
            with contextlib.suppress(Exception):  # a broken cancel is reported by its own check
                runner.cancel(handle)

    def options(self) -> dict[str, Any]:
        """Return the options of the suite: those of the author, SL_ROOT and a secret."""
        given = self.environment_options(self.program, self.root)
        return with_env(given, {"SL_ROOT": str(self.root), SECRET_NAME: SECRET})

    def orchestration(self, **options: Any) -> Orchestration:
        """Return an orchestration of the environment that renders nothing."""
        return Orchestration(
            {**self.options(), **options},
            orchestrator=RecordingOrchestrator(),
            environment=self.environment,
            filename=str(self.root / "corpus.py"),
            namespace={},
        )

    def make(self, command: Command | Preload) -> Job:
        """Return the unbound job of a command, or of a check as created by the verbs of a pipeline."""
        orchestration = self.orchestration()
        plugins, options = orchestration.plugins, orchestration.options
        if isinstance(command, Command):
            return plugins.create_job(command, options)
        made = plugins.create_preload(command, options)
        return replace(plugins.create_job(command.command(), options) if made is None else made, check=True)

    def job(self, does: Does) -> Job:
        """Return a bound job with a behaviour."""
        command = self.command(does, self.program, self.root)
        if command is None:
            pytest.skip(f"command() returns None: no job of the environment {does.value}")
        return self.make(command).bind(an_attempt())

    def runner(self, job: Job) -> Runner:
        """Return a new runner, as in a new process."""
        return self.orchestration().plugins.create_runner(job)

    def key(self, attempt: str = "1", task: str = "group.task") -> RunKey:
        """Return the key of an attempt, unique for the test."""
        return RunKey(f"kit/{self.root.parent.name}/{task}", attempt)

    def start(self, job: Job, runner: Runner, key: RunKey, older: OlderAttempt = OlderAttempt.ADOPT) -> str:
        """Start an attempt as the runtime does; it is cancelled at the end of the test."""
        handle = start(job, runner, key, older)
        self._started.append((runner, handle))
        return handle
