"""The command line ``starlake-orchestrate``. Each command has a module of its name; ``app`` has the group of all commands.

To add the command ``foo``, write a module ``foo.py`` with a function ``foo`` below ``@command``, and add its name to
``app.COMMANDS``. Modules with a leading underscore hold shared code. A command imports those and the rest of the core,
never another command; a shared module imports no command. Only the command line imports this package, so only it loads
click and rich.
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
