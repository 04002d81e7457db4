"""What the configuration of a run, ``conf``, may contain for Starlake. It imports nothing of Airflow, which a client of a server does not need."""

from __future__ import annotations

__all__ = ["CHECK", "UNSAFE", "VARIABLES"]

VARIABLES = "sl_variables"
"""Substitution variables: an object of names and values."""

UNSAFE = "sl_retry_unsafe"
"""The user's permission to repeat work whose result is unknown: ``doubtful`` or ``blind``."""

CHECK = "sl_check_freshness"
"""Whether a run that somebody starts by hand waits for its data like one that datasets start."""
