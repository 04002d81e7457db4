"""The command line ``starlake-orchestrate``: one module for each command, named after it; ``app`` has the group of all.

To add the command ``foo``, write ``foo.py`` with a function ``foo`` below ``@command``, and its name into ``app.COMMANDS``. A module with a
leading underscore has what several commands share. A command imports those and the rest of the core, never another command; a shared module
imports no command. Nothing outside imports this package, so click and rich load with it alone.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line with the arguments of this process."""
    try:
        from ._output import install
        from .app import app

        install()
        app(prog_name="starlake-orchestrate")
    except KeyboardInterrupt:
        sys.exit(130)
