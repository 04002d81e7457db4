"""Option values that Airflow stores: default arguments of DAGs, and Variables if the user names them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from starlake_core import StarlakeError

from .versions import get_variable

__all__ = ["found_options"]


def found_options(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Values for options that were not given.

    Args:
        given: the explicit options.

    Raises:
        StarlakeError: the Variables cannot be read.
    """
    found: dict[str, Any] = {}
    defaults = given.get("default_dag_args", os.environ.get("SL_DEFAULT_DAG_ARGS"))
    if isinstance(defaults, str) and defaults.strip():
        try:
            defaults = json.loads(defaults)
        except ValueError:
            defaults = None  # checking the options reports the problem
    if isinstance(defaults, Mapping):
        found.update(
            {
                name: defaults[name]
                for name in ("retries", "retry_delay")
                if defaults.get(name) is not None and f"SL_{name.upper()}" not in os.environ
            }
        )
    names = given.get("options_from_variables", os.environ.get("SL_OPTIONS_FROM_VARIABLES")) or ()
    for name in names.split(",") if isinstance(names, str) else names:
        name = str(name).strip()
        if not name or name in given:
            continue
        try:
            value = get_variable(name)
        except Exception as error:
            raise StarlakeError(
                f"option 'options_from_variables' names '{name}', but the Airflow Variables cannot be read here ({type(error).__name__}: {error})"
            ) from error
        if value is not None:
            found[name] = value
    return found
