"""The command line ``starlake-orchestrate``."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line with the arguments of this process."""
    from .app import app

    app(prog_name="starlake-orchestrate")
