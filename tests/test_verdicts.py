"""Which faults are worth another try: exit codes, and errors that stand in place of an outcome."""

from __future__ import annotations

import errno

import pytest

from starlake_core import BindError, Job, OutageError, PluginLoadError, RunnerError
from starlake_core.plugins import Plugins
from starlake_core.runtime import Verdict, may_pass, outcome_from_exit_code, runner_for
from starlake_core.testing import FakeEnvironment


@pytest.mark.parametrize(
    ("code", "final"), [(1, False), (2, False), (78, True), (126, True), (127, True), (137, False), (-9, False)]
)
@pytest.mark.parametrize("check", [False, True])
def test_an_exit_code_says_whether_another_try_may_be_made(code: int, final: bool, check: bool) -> None:
    outcome = outcome_from_exit_code(code, check=check, marked=False if check else None)
    assert (outcome.verdict, outcome.final) == (Verdict.FAILED, final)
    assert not outcome_from_exit_code(code, stopped=True).final, "who stopped it decides"


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (OutageError("the service does not answer"), True),
        (OSError(errno.EAGAIN, "Resource temporarily unavailable"), True),
        (OSError(errno.EMFILE, "Too many open files"), True),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (MemoryError(), True),
        (ValueError("half an answer"), True),
        (RunnerError("grant a role"), False),
        (BindError("no variable"), False),
        (ModuleNotFoundError("No module named 'sdk'"), False),
        (TypeError("a bug"), False),
        (AttributeError("a bug"), False),
        (KeyError("a bug"), False),
        (NotImplementedError(), False),
        (RecursionError(), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_says_whether_another_try_may_get_past_it(error: Exception, passes: bool) -> None:
    assert may_pass(error) is passes


def test_a_missing_sdk_is_an_error_that_says_what_is_missing_and_where() -> None:
    environment = FakeEnvironment()
    environment.no_runner = ModuleNotFoundError("No module named 'sdk'")
    plugins = Plugins()
    plugins.add("environment", environment)
    with pytest.raises(PluginLoadError, match=r"No module named 'sdk'.*installed where tasks run"):
        runner_for(Job("fake"), plugins)
