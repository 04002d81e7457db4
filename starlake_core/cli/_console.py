"""The consoles that commands write to."""

from __future__ import annotations

import sys

from rich.console import Console

__all__ = ["stderr", "stdout", "stdout_unless_json"]


def stdout() -> Console:
    """The console of results."""
    return _console(stderr=False)


def stderr() -> Console:
    """The console of messages."""
    return _console(stderr=True)


def stdout_unless_json(output_format: str) -> Console:
    """The console of what only people read: a JSON document has the standard output for itself.

    Args:
        output_format: of the command, ``json`` or another.
    """
    return stderr() if output_format == "json" else stdout()


def _console(stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    # A pipe has no width: what is written to it must not be wrapped at the 80 columns of nobody's terminal.
    # Emoji codes are part of what users write: a:key:b is no key.
    if stream is not None and stream.isatty():
        return Console(emoji=False, stderr=stderr)
    return Console(width=200, emoji=False, stderr=stderr)
