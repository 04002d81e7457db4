"""Warnings of Google's libraries that no test is about."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    # Google's libraries say so on Python 3.10, and have said it of others before their end.
    config.addinivalue_line("filterwarnings", "ignore:You are using a (non-supported )?Python version:FutureWarning")
