"""Converts docstrings from Sphinx markup to Markdown, for the pages of the site."""

from __future__ import annotations

import re
from typing import Any

import griffe

__all__ = ["PlainMarkdown", "markdown"]

_ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):`~?([^`]+)`")
_LITERAL = re.compile(r"::$", re.MULTILINE)


def markdown(text: str) -> str:
    """Return a docstring without Sphinx markup.

    Args:
        text: the docstring.

    >>> markdown("Marked with :data:`hookimpl`. Example::")
    'Marked with `hookimpl`. Example:'
    """
    return _LITERAL.sub(":", _ROLE.sub(r"`\1`", text))


class PlainMarkdown(griffe.Extension):  # type: ignore[misc]
    """Converts docstrings when they are read."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Convert the docstring of a module, class, function or attribute."""
        if obj.docstring is not None:
            obj.docstring.value = markdown(obj.docstring.value)
