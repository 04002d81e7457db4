"""The fixtures of the kit. Write ``pytest_plugins = ["starlake_core.testing.plugin"]`` in the test module."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from .fake import FakeEnvironment
from .promises import level_of, promise_of
from .recording import RecordingOrchestrator
from .stand_in import StandIn
from .time_limits import at_most
from .workers import Workers

__all__ = ["fake_environment", "recording_orchestrator", "stand_in", "workers"]


def pytest_itemcollected(item: pytest.Item) -> None:
    """``-k LEVEL`` selects the checks of a level."""
    if isinstance(item, pytest.Function) and getattr(item.cls, "check_seconds", None) is not None:
        item.extra_keyword_matches.add(level_of(item.function))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """A check of a suite ends in time, and leaves nothing behind."""
    seconds = getattr(pyfuncitem.cls, "check_seconds", None)
    if seconds is None:
        return (yield)
    try:
        with at_most(seconds, "the check"):
            return (yield)
    finally:
        pyfuncitem.instance.clean_up()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A check of a suite that fails says which promise is broken."""
    report = yield
    check = getattr(item, "function", None)
    promise = promise_of(check)
    if report.failed and promise and getattr(getattr(item, "cls", None), "check_seconds", None) is not None:
        report.sections.append(("broken promise", f"{promise} (level {level_of(check)}: {item.name})"))
        crash = getattr(report.longrepr, "reprcrash", None)
        if crash is not None:
            crash.message = f"{promise} -- {crash.message}"  # what the summary shows
    return report


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[StandIn]:
    """The stand-in for the Starlake command line, in its own folder. Its processes end with the test."""
    made = StandIn(tmp_path / "stand in")
    yield made
    made.close()


@pytest.fixture(scope="session")
def workers() -> Iterator[Workers]:
    """Other processes, in which runners of the environment work."""
    made = Workers()
    yield made
    made.close()


@pytest.fixture
def fake_environment() -> FakeEnvironment:
    """An environment in memory."""
    return FakeEnvironment()


@pytest.fixture
def recording_orchestrator() -> RecordingOrchestrator:
    """An orchestrator that records what it is given."""
    return RecordingOrchestrator()
