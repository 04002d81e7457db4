"""The command line ``starlake-orchestrate``."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line with the arguments of this process."""
    try:
        from .app import app
        from .output import install

        install()
        app(prog_name="starlake-orchestrate")
    except KeyboardInterrupt:
        sys.exit(130)
