"""The script ``starlake-orchestrate``. An interrupt ends it silently from the first moment, like any other program.

It is a separate package, because importing a module of ``starlake_core`` first imports all of that package.
"""

from __future__ import annotations

import importlib
import signal

__all__ = ["main"]


def main() -> None:
    """Run the command line with the arguments of this process."""
    # An exception in the middle of an import shows a traceback, and the imported module may swallow it.
    handled = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if handled:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    run = importlib.import_module("starlake_core.cli").main
    importlib.import_module("starlake_core.cli.app")
    if handled:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()
