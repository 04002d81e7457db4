"""A service that does not answer keeps nobody who wants to stop."""

from __future__ import annotations

import pytest
from starlake_core_google import Calls

from starlake_core import OutageError
from starlake_core.runtime import pausing


def test_the_pauses_of_calls_end_with_the_stop_of_whoever_waits() -> None:
    from google.api_core.exceptions import ServiceUnavailable

    calls = Calls("x", total_seconds=3600.0, first_pause=1800.0)
    tries: list[int] = []

    def down() -> None:
        tries.append(1)
        raise ServiceUnavailable("503")

    with pausing(lambda: bool(tries)), pytest.raises(OutageError, match="x did not answer"):
        calls.run(down, "trying")
    assert len(tries) == 1
