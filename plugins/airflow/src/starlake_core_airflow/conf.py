"""What the configuration of a run, ``conf``, may hold for Starlake. Nothing of Airflow is imported here, so that a client of a server needs none."""

from __future__ import annotations

__all__ = ["UNSAFE", "VARIABLES"]

VARIABLES = "sl_variables"
"""Substitution variables: an object of names and values."""

UNSAFE = "sl_retry_unsafe"
"""The user's word that work of which nobody knows how it ended may be done again: ``doubtful`` or ``blind``."""
