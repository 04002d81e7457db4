"""What the author of an environment declares, and how the checks create and start jobs in it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ..dsl.orchestration import Orchestration
from ..model.command import Command, Preload
from ..model.job import Job
from ..model.run import RunKey
from ..runtime import OlderAttempt, Runner, start
from .faults import ServiceFault
from .lab import SECRET, SECRET_NAME, Does, about, an_attempt, canonical, say, steps_of, until, with_env
from .promises import BASIC, check_levels, level_of
from .recording import RecordingOrchestrator
from .stand_in import StandIn
from .time_limits import at_most

__all__ = ["DETACHED", "LEVELS", "RESUMABLE", "SERVICE", "EnvironmentBase"]

RESUMABLE, DETACHED, SERVICE = "resumable", "detached", "service"
LEVELS = {
    BASIC: "jobs, verdicts, attempts, cancelling and output",
    RESUMABLE: "`find` knows the attempts of a task, also those of a process that died",
    DETACHED: "an attempt keeps running without the process that submitted it, and any process can poll, cancel and read it",
    SERVICE: "there is a service, which can fail; `disturb` makes it do so",
}
"""The levels of an environment, and what each means."""

_CANCEL_SECONDS = 3.0


class EnvironmentBase:
    """The part of :class:`EnvironmentSuite` that the author fills in.

    Attributes:
        environment: the entry-point name, the module or the plugin object. Checks with other processes need a name or
            a module.
        levels: what it can do; see :data:`LEVELS`.
        runs_any_program: whether its options can name the stand-in as the program to run.
        forbidden_imports: the modules (the SDK) that nothing may import before a job runs.
        option_sets: the ways to use it, each with the options that it needs, if some options only matter in some of them.
        option_values: values by name, for options whose type is not enough to make one up.
        stops_doubles: whether the service cannot tell a repeated submission, so that a second run may begin, and is
            stopped.
        check_seconds: the seconds that a check may take.
    """

    environment: Any = None
    levels: tuple[str, ...] = (BASIC,)
    runs_any_program = True
    forbidden_imports: tuple[str, ...] = ()
    stops_doubles = False
    option_sets: tuple[Mapping[str, Any], ...] = ({},)
    option_values: Mapping[str, Any] = {}
    check_seconds = 20.0

    root: Path
    program: StandIn
    _started: list[tuple[Runner, str]]

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        remembers = vars(cls).get("remembers_attempts")  # the earlier spelling of a level
        if remembers is not None:
            others = tuple(name for name in cls.levels if name != RESUMABLE)
            cls.levels = (*others, RESUMABLE) if remembers else others
        check_levels(cls.__qualname__, cls.levels, LEVELS)

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

    def disturb(self, fault: ServiceFault | None) -> bool:
        """Let the service fail from now on, until the next call says something else. For the level *service*.

        Args:
            fault: how it fails; None if everything goes well again.

        Returns:
            Whether the service can fail like this. If not, the check is skipped visibly.
        """
        return False

    def fault_hits(self) -> int:
        """Return how many calls have met the fault since the last :meth:`disturb`. For the level *service*.

        Without it, a fault that never happens would look like one that the environment endures. For a slow stop, count
        the stops.
        """
        raise NotImplementedError(
            "fault_hits() must return how many calls have met the fault since the last disturb(); otherwise a fault that "
            "never happens looks like one that the environment endures. FakeService counts them: return self.service.hits"
        )

    # -- for the checks

    @pytest.fixture(autouse=True)
    def _level(self, request: pytest.FixtureRequest) -> None:
        wanted = level_of(request.function)
        if wanted not in self.levels:
            pytest.skip(f"levels: {wanted!r} is not declared")

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stand_in: StandIn) -> None:
        for name in [name for name in os.environ if name.startswith("SL_")]:
            monkeypatch.delenv(name)
        self.root = tmp_path / "project"
        self.root.mkdir()
        self.program = stand_in
        self._started = []

    def clean_up(self) -> None:
        """Stop what a check has started; called before the service of the author ends."""
        if SERVICE in self.levels:
            self.disturb(None)
        for runner, handle in self._started:
            # A broken cancel is reported by its own check.
            with contextlib.suppress(Exception, pytest.fail.Exception), at_most(_CANCEL_SECONDS, "cancel"):
                runner.cancel(handle)

    @property
    def resumable(self) -> bool:
        """Whether the environment has the level *resumable*."""
        return RESUMABLE in self.levels

    def needs_any_program(self) -> None:
        """Skip the check if the environment cannot run the stand-in."""
        if not self.runs_any_program:
            pytest.skip("runs_any_program = False: the program of the environment is not the stand-in")

    def elsewhere(self) -> tuple[str, str]:
        """Return how another process finds the environment: ``name`` or ``module``, and its name."""
        if isinstance(self.environment, str):
            return "name", self.environment
        if isinstance(self.environment, ModuleType):
            return "module", self.environment.__name__
        pytest.skip("the environment is an object of this process; give its entry-point name or its module")

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

    def wait_for_program(self, runner: Runner, handle: str) -> None:
        """Wait until the program of an attempt runs, if it is the stand-in."""
        if self.runs_any_program:
            until(lambda: bool(self.program.calls()), "the program runs", lambda: self._over(runner, handle))

    def _over(self, runner: Runner, handle: str) -> str:
        outcome = runner.poll([handle])[handle].outcome
        return "" if outcome is None else f"the attempt has ended: {say(runner, handle, outcome)}"

    def key(self, attempt: str = "1", task: str = "group.task") -> RunKey:
        """Return the key of an attempt, unique for the test."""
        return RunKey(f"kit/{self.root.parent.name}/{task}", attempt)

    def start(self, job: Job, runner: Runner, key: RunKey, older: OlderAttempt = OlderAttempt.ADOPT) -> str:
        """Start an attempt as the runtime does; it is cancelled at the end of the test."""
        handle = start(job, runner, key, older)
        self._started.append((runner, handle))
        return handle
