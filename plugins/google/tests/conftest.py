"""The tests of all plugins can be collected where only some of them are installed."""

from __future__ import annotations

import importlib.util

import pytest

collect_ignore_glob = [] if importlib.util.find_spec("starlake_core_google") is not None else ["test_*.py"]


def pytest_configure(config: pytest.Config) -> None:
    # Google's libraries say so on Python 3.10, and have said it of others before their end.
    config.addinivalue_line("filterwarnings", "ignore:You are using a (non-supported )?Python version:FutureWarning")
