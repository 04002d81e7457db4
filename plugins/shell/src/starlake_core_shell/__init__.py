"""The environment ``shell``: Starlake commands as processes of the worker's machine."""
