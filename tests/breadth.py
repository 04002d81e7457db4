"""How much is played: what is slow and does not depend on the version of a host is played on one of them, and on all in the matrix."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version

import pytest

__all__ = ["ON_EVERY_VERSION", "once_on_airflow"]

ON_EVERY_VERSION = bool(os.environ.get("STARLAKE_ON_EVERY_VERSION"))


def _is_airflow_2() -> bool:
    try:
        return version("apache-airflow").startswith("2.")
    except PackageNotFoundError:
        return False


once_on_airflow = pytest.mark.skipif(
    _is_airflow_2() and not ON_EVERY_VERSION,
    reason="played on Airflow 3; on 2.11 too with STARLAKE_ON_EVERY_VERSION=1, as the matrix has it",
)
"""Marks a test that is slow and the same on every version of Airflow."""
