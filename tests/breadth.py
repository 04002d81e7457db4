"""How much is played: what does not depend on a host, or is slow and does not depend on its version, is played once, and everywhere in the matrix."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version

import pytest

__all__ = ["ON_EVERY_VERSION", "hostless", "in_the_matrix", "once_on_airflow", "quickly"]

ON_EVERY_VERSION = bool(os.environ.get("STARLAKE_ON_EVERY_VERSION"))
_BESIDE_A_HOST = bool(os.environ.get("STARLAKE_BESIDE_A_HOST"))
"""Whether this is the environment of a host, which tox has beside one without."""


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

hostless = pytest.mark.skipif(
    _BESIDE_A_HOST and not ON_EVERY_VERSION,
    reason="played in the environment compat; beside every host too with STARLAKE_ON_EVERY_VERSION=1, as the matrix has it",
)
"""Marks a test that has processes of its own, and is the same whether or not a host is installed."""

in_the_matrix = pytest.mark.skipif(
    not ON_EVERY_VERSION, reason="played with STARLAKE_ON_EVERY_VERSION=1, as the matrix has it"
)
"""Marks a test that is slow, and repeats on another host or version what a quicker one shows after each commit."""


def quickly(*hosts: str) -> list[object]:
    """The hosts as parameters of a test that is slow on Airflow and shows the same on each of them."""
    return [pytest.param(host, marks=in_the_matrix) if host == "airflow" else host for host in hosts]
