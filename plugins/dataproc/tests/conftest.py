"""An emulator for each test that wants one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from emulators.dataproc import Dataproc


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Dataproc]:
    """Dataproc, whose drivers do nothing and succeed."""
    with Dataproc(("/bin/true",), buckets=tmp_path / "buckets") as serving:
        yield serving
