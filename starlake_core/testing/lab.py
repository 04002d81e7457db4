"""Shared tools of the suites: building, running, waiting for an end."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from ..model.command import Command, Preload, StarlakePreLoadStrategy, load_command, stage_command
from ..model.run import Attempt, DataInterval, Run
from ..runtime import Outcome, Runner, finish
from .stand_in import Step
from .subjects import subject
from .time_limits import within

__all__ = [
    "SCHEDULED",
    "SECRET",
    "SECRET_NAME",
    "Does",
    "an_attempt",
    "canonical",
    "plain",
    "say",
    "settle",
    "steps_of",
    "until",
    "with_env",
]

SCHEDULED = datetime(2026, 3, 30, tzinfo=timezone.utc)
"""The scheduled date of the runs of the suites."""
SECRET_NAME = "KIT_DB_PASSWORD"
SECRET = "hunter2-and-more"
"""A secret that must not appear anywhere."""

_PATIENCE = 15.0
"""Less than a check may take, so that the message says what does not happen."""
_LOOK_SECONDS = 0.1
_SHOWN_LINES = 20


class Does(enum.Enum):
    """The behaviours of jobs in the environment suite."""

    SUCCEEDS = "succeeds"
    FAILS = "ends with an exit code that is not 0, 1, 126 or 127 (or just fails, where codes cannot be chosen)"
    EXITS_1 = "ends with exit code 1"
    EXITS_126 = "ends with exit code 126"
    EXITS_127 = "ends with exit code 127"
    FAILS_ONCE = "fails the first time and succeeds the second time"
    GOES_ON = "writes a line and does not end by itself"
    WRITES = "writes at least three lines and succeeds"
    TELLS = f"writes the value of the variable {SECRET_NAME} and succeeds"
    READY = "is a check that finds everything in place"
    NOT_READY = "is a check that finds nothing"
    CRASHES = "is a check that fails, without saying that anything is missing"


_STEPS: Mapping[Does, tuple[Step, ...]] = {
    Does.SUCCEEDS: (Step(),),
    Does.FAILS: (Step(exit_code=3, lines=("it broke",)),),
    Does.EXITS_1: (Step(exit_code=1),),
    Does.EXITS_126: (Step(exit_code=126),),
    Does.EXITS_127: (Step(exit_code=127),),
    Does.FAILS_ONCE: (Step(exit_code=3), Step()),
    Does.GOES_ON: (Step(lines=("going on",), goes_on=True),),
    Does.WRITES: (Step(lines=("one", "two", "three")),),
    Does.TELLS: (Step(lines=("before",), tells=(SECRET_NAME,)),),
    Does.READY: (Step(),),
    Does.NOT_READY: (Step(not_ready=True),),
    Does.CRASHES: (Step(exit_code=1, lines=("it broke",)),),
}


def steps_of(does: Does) -> tuple[Step, ...]:
    """Return what the stand-in must do for a behaviour."""
    return _STEPS[does]


def canonical(does: Does) -> Command | Preload:
    """Return the command for a behaviour: a check of a domain, or a load of a table, named after it."""
    name = does.name.lower()
    if does in (Does.READY, Does.NOT_READY, Does.CRASHES):
        return Preload(f"check_{name}", name, ("orders",), StarlakePreLoadStrategy.IMPORTED)
    if does in (Does.GOES_ON, Does.FAILS_ONCE):
        return stage_command(f"import_{name}", name)  # may be repeated, however it ended
    return load_command(f"load_{name}", "sales", name)


def about(command: Command | Preload) -> str:
    """Return the subject of a command or check."""
    return subject((command.command() if isinstance(command, Preload) else command).vector)


def an_attempt(task: str = "group.task", number: str = "1") -> Attempt:
    """Return an attempt of a task of a run, with fixed values."""
    interval = DataInterval(SCHEDULED - timedelta(days=1), SCHEDULED)
    return Run("kit", "kit-run", interval).attempt(task, number)


def settle(runner: Runner, handle: str) -> Outcome:
    """Wait for the end of an attempt, and look often."""
    deadline = time.monotonic() + within(_PATIENCE)
    while True:
        outcome = runner.poll([handle])[handle].outcome
        if outcome is not None:
            return outcome
        assert time.monotonic() < deadline, f"{handle} does not end; its output: {_output(runner, handle)}"
        runner.wait([handle], min(runner.interval, _LOOK_SECONDS))


def say(runner: Runner, handle: str, outcome: Outcome) -> str:
    """Return how an attempt ended, with the end of its output, for the message of a check."""
    told = finish(runner, handle, outcome)
    code = "" if told.exit_code is None else f" with exit code {told.exit_code}"
    reason = f" ({told.reason})" if told.reason else ""
    return f"{told.verdict}{code}{reason}; its output: {told.tail or _output(runner, handle)}"


def _output(runner: Runner, handle: str) -> str:
    try:
        return "\n".join(runner.logs(handle, None)[0][-_SHOWN_LINES:]) or "none"
    except Exception as error:
        return f"cannot be read: {error}"


def until(true: Callable[[], bool], what: str, in_vain: Callable[[], str] = lambda: "") -> None:
    """Wait until a condition is true, with a time limit so that no test hangs.

    Args:
        true: the condition.
        what: what it means, for the message.
        in_vain: returns why the condition cannot become true any more; empty while it can.
    """
    deadline = time.monotonic() + within(_PATIENCE)
    while not true():
        why = in_vain()
        # What is in vain may have become true in the meantime.
        assert not why or true(), f"this never happened: {what}, because {why}"
        assert time.monotonic() < deadline, f"this never happened: {what}"
        time.sleep(0.01)


def plain(value: Any) -> Any:
    """Return a deep copy with plain containers, so that it can be compared with read-only ones."""
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return type(value)(plain(item) for item in value)
    return value


def with_env(options: Mapping[str, Any], env: Mapping[str, str]) -> dict[str, Any]:
    """Add variables to ``sl_env_var`` of options. Existing ones win."""
    return {**options, "sl_env_var": {**env, **options.get("sl_env_var", {})}}
