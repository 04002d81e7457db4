"""An emulator for each test that wants one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from emulators.dataproc import Dataproc

# No test depends on how fast the machine is.
settings.register_profile("dataproc", deadline=None, max_examples=60, print_blob=True)
settings.load_profile("dataproc")


def pytest_configure(config: pytest.Config) -> None:
    # Google's libraries say so on Python 3.10, and have said it of others before their end.
    config.addinivalue_line("filterwarnings", "ignore:You are using a (non-supported )?Python version:FutureWarning")


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the developer's shell says about Google must not decide a test."""
    for name in [name for name in os.environ if name.startswith(("SL_", "GCP_", "GOOGLE_", "CLOUDSDK_"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Dataproc]:
    """Dataproc, whose drivers do nothing and succeed."""
    from emulators.dataproc import Dataproc

    with Dataproc(("/bin/true",), buckets=tmp_path / "buckets") as serving:
        yield serving
