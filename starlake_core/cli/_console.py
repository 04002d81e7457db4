"""The consoles that commands write to."""

from __future__ import annotations

import sys

from rich.console import Console

__all__ = ["stderr", "stdout", "stdout_unless_json"]


def stdout() -> Console:
    """Return the console for results."""
    return _console(stderr=False)


def stderr() -> Console:
    """Return the console for messages."""
    return _console(stderr=True)


def stdout_unless_json(output_format: str) -> Console:
    """Return the console for text: the standard error if the standard output holds a JSON document.

    Args:
        output_format: the output format of the command, ``json`` or ``text``.
    """
    return stderr() if output_format == "json" else stdout()


def _console(stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    # A pipe has no width, so its text must not be wrapped at 80 columns. Emoji codes are off, because names of users
    # may look like a:key:b.
    if stream is not None and stream.isatty():
        return Console(emoji=False, stderr=stderr)
    return Console(width=200, emoji=False, stderr=stderr)
