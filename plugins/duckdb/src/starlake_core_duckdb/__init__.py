"""The Starlake commands ``preload``, ``stage``, ``load`` and ``transform`` on DuckDB.

A program, not a library: ``python -m starlake_core_duckdb load --domains starbake --tables orders`` takes the
arguments of the Starlake command line and ends with its exit codes; ``starlake_core_duckdb.cli.main`` is the
same in-process. Nothing is imported here, because loading the hooks of the
plugin imports this package too.
"""
