"""Shared configuration of all tests of the workspace."""

from __future__ import annotations

import functools
import importlib.util
import os
import random
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

PLUGINS = Path(__file__).parent / "plugins"
NEEDED = {
    "airflow": ("airflow", "pytest_timeout"),
    "cloud_run": ("google.cloud.logging", "grpc_status", "pytest_timeout"),
    "compat": ("starlake_core_duckdb", "starlake_core_local", "starlake_core_project"),
    "dagster": ("dagster", "pytest_timeout"),
    "dataproc": ("google.cloud.logging", "grpc_status", "pytest_timeout"),
    "fargate": ("moto", "pytest_timeout", "starlake_core_duckdb", "starlake_core_local"),
    "google": ("google.cloud.logging",),
    "labels": ("starlake_core_local", "starlake_core_shell"),
    "notify": ("starlake_core_local", "starlake_core_shell"),
    "page": ("starlake_core_local", "starlake_core_shell"),
    "project": ("starlake_core_duckdb", "starlake_core_local"),
    "query": ("sqlalchemy", "starlake_core_local", "starlake_core_shell"),
}
"""The packages that the tests of a plugin need in addition to the plugin. If one is not installed, the tests are left
out, and the end of the output says so."""

# Chosen once, before workers are started, so that all of them use the same seed.
os.environ.setdefault("STARLAKE_SOAK_SEED", str(random.SystemRandom().randrange(1, 10**6)))
# The tests of several distributions run at once on a few cores.
os.environ.setdefault("STARLAKE_KIT_PATIENCE", "5")
# Emulators cut connections on purpose, and the library would log each one.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")


# A shell that starts the tests in the background makes them ignore these signals, and children would inherit that.
if threading.current_thread() is threading.main_thread():
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)


def is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # its package is missing
        return False


@functools.cache
def missing(plugin: str) -> list[str]:
    """Return the packages that the tests of a plugin need and that are not installed."""
    needed = (f"starlake_core_{plugin}", *NEEDED.get(plugin, ()))
    return [name for name in needed if not is_installed(name)]


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    if PLUGINS not in collection_path.parents:
        return None
    return True if missing(collection_path.relative_to(PLUGINS).parts[0]) else None


def pytest_report_header() -> str:
    return f"seed of the random faults: STARLAKE_SOAK_SEED={os.environ['STARLAKE_SOAK_SEED']}"


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Show the counts of long tests, and which requested plugins were left out."""
    asked = [Path(config.invocation_params.dir, argument.partition("::")[0]).resolve() for argument in config.args]
    for folder in sorted(PLUGINS.iterdir()):
        below = any(path in (folder, *folder.parents) or folder in path.parents for path in asked)
        if below and (names := missing(folder.name)):
            terminalreporter.write_line(
                f"LEFT OUT plugins/{folder.name}: not installed: {', '.join(names)}", yellow=True
            )
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == "summary" and report.when == "call":
                    terminalreporter.write_line(str(value))
