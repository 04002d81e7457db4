"""The provider record of this distribution, which makes Airflow show the links of our operators."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

__all__ = ["get_provider_info"]


def get_provider_info() -> dict[str, Any]:
    """The provider record that Airflow reads through the entry point ``apache_airflow_provider``."""
    return {
        "package-name": "starlake-core-airflow",
        "name": "Starlake",
        "description": "Pipelines of starlake_core as native DAGs.",
        "versions": [version("starlake-core-airflow")],
        "extra-links": ["starlake_core_airflow.operator.ConsoleLink"],
    }
