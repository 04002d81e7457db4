"""Checks of what arrives in the process that does the work, and of what comes back."""

from __future__ import annotations

from dataclasses import replace
from itertools import zip_longest

from ..model.command import load_command
from ..model.identity import instance_of
from ..model.job import Job
from ..model.run import RunKey
from .environment_base import EnvironmentBase
from .hostile import HOSTILE
from .lab import an_attempt, settle, until
from .stand_in import Call, Step

__all__ = ["ArrivalChecks"]

_ABOUT = "load:sales.arrival"
_LINES = ("größe 日本語 🦆", "  indented  ", "$HOME $(id) ${x} {{ y }} %(z)s", "x" * 3000)


class ArrivalChecks(EnvironmentBase):
    """What the pipeline says is what the process gets, element by element, and what it writes is what you read."""

    def _arrived(self, job: Job, key: RunKey) -> Call:
        runner = self.runner(job)
        settle(runner, self.start(job, runner, key))
        calls = self.program.calls(_ABOUT)
        assert len(calls) == 1, f"the program was called {len(calls)} times, not once"
        return calls[0]

    def _job(self) -> Job:
        self.needs_any_program()
        return self.make(load_command("load_arrival", "sales", "arrival")).bind(an_attempt())

    def test_arguments_arrive_unchanged(self) -> None:
        """Every argument arrives in the process as one unchanged element: spaces, quotes, dollars, commas, newlines,
        other scripts, and the empty string."""
        job = self._job()
        # In one call, because each call takes a process.
        given = replace(job, arguments=(*job.arguments, *HOSTILE.values()))
        found = self._arrived(given, self.key()).arguments
        assert found[: len(job.arguments)] == job.arguments, "the arguments of the command changed on the way"
        wrong = {
            name: (text, arrived)
            for (name, text), arrived in zip_longest(HOSTILE.items(), found[len(job.arguments) :][: len(HOSTILE)])
            if arrived != text
        }
        assert not wrong, "\n".join(
            f"{name}: {text!r} arrived as {arrived!r}" for name, (text, arrived) in wrong.items()
        )

    def test_variables_arrive_unchanged(self) -> None:
        """Every variable of the job arrives in the process with its unchanged value."""
        job = self._job()
        wanted = {f"KIT_{name.upper()}": text for name, text in HOSTILE.items()}
        found = self._arrived(replace(job, env={**job.env, **wanted}), self.key()).env
        missing = sorted(set(wanted) - set(found))
        assert not missing, f"variables do not arrive: {', '.join(missing)}"
        wrong = [f"{name}: {text!r} arrived as {found[name]!r}" for name, text in wanted.items() if found[name] != text]
        assert not wrong, "\n".join(wrong)

    def test_the_attempt_arrives(self) -> None:
        """The variables of the key arrive, so that the work knows whose it is: ``SL_RUN_KEY`` with the generation,
        ``SL_RUN_TASK``, ``SL_RUN_ATTEMPT`` and ``SL_RUN_INSTANCE``."""
        job = self._job()
        key = replace(self.key("try 2"), generation=2, instance=instance_of("2026-03-30T00:00:01"))
        found = self._arrived(job, key).env
        wanted = replace(key, digest=job.digest).variables
        wrong = [
            f"{name} is {found.get(name)!r}, not {text!r}" for name, text in wanted.items() if found.get(name) != text
        ]
        assert not wrong, f"the process is not told which attempt it is: {'; '.join(wrong)}"

    def test_output_arrives_unchanged(self) -> None:
        """Every line of output is read as it was written, in any script and of any length."""
        self.needs_any_program()
        self.program.script(_ABOUT, Step(lines=_LINES))
        job = self._job()
        runner = self.runner(job)
        handle = self.start(job, runner, self.key())
        settle(runner, handle)
        until(lambda: len(runner.logs(handle, None)[0]) >= len(_LINES), "the output can be read")
        assert tuple(runner.logs(handle, None)[0]) == _LINES, "the output is not read as it was written"
