"""The fixtures of the kit. Write ``pytest_plugins = ["starlake_core.testing.plugin"]`` in the test module."""

from __future__ import annotations

from pathlib import Path

import pytest

from .fake import FakeEnvironment
from .recording import RecordingOrchestrator
from .stand_in import StandIn

__all__ = ["fake_environment", "recording_orchestrator", "stand_in"]


@pytest.fixture
def stand_in(tmp_path: Path) -> StandIn:
    """The stand-in for the Starlake command line, in its own folder."""
    return StandIn(tmp_path / "stand in")


@pytest.fixture
def fake_environment() -> FakeEnvironment:
    """An environment in memory."""
    return FakeEnvironment()


@pytest.fixture
def recording_orchestrator() -> RecordingOrchestrator:
    """An orchestrator that records what it is given."""
    return RecordingOrchestrator()
