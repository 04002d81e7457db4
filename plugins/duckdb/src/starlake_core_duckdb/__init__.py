"""The Starlake commands preload, stage, load and transform on DuckDB.

A program, not a library: ``python -m starlake_core_duckdb load --domains starbake --tables orders`` takes the
arguments of the Starlake command line and ends with its exit codes. :func:`main` is the same in-process.
"""

from __future__ import annotations

from .cli import main

__all__ = ["main"]
