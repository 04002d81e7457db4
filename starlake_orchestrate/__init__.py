"""The script ``starlake-orchestrate``: an interrupt ends it from its first moment on, in silence, as it ends any program.

A package of its own, because to import anything below ``starlake_core`` is to import all of that first.
"""

from __future__ import annotations

import importlib
import signal

__all__ = ["main"]


def main() -> None:
    """Run the command line with the arguments of this process."""
    # An exception that is raised in the middle of an import shows a traceback, and may be swallowed by what is imported.
    handled = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if handled:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    run = importlib.import_module("starlake_core.cli").main
    importlib.import_module("starlake_core.cli.app")
    if handled:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()
