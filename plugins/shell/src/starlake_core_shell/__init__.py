"""The environment ``shell``: runs Starlake commands as processes on the worker's machine."""
