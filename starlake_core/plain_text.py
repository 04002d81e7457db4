"""Escapes control characters in foreign text (output of tasks, names from data, messages of exceptions)."""

from __future__ import annotations

import re

__all__ = ["plain", "plain_line"]

# Colours are removed, because escaping them would only add noise.
_COLOUR = re.compile(r"\x1b\[[0-9;:]{0,64}m")
# C0 without tab and newline, DEL, C1, bidirectional marks, line separators, surrogates.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufff9-\ufffb]"
)


def plain(text: str) -> str:
    """Escape every control character except newline and tab, so that the text cannot move the cursor or set the
    clipboard.

    Args:
        text: a string of any origin.

    >>> plain("a\x1b[31mred\x1b[0m\x1b[2J\x9b1m")
    'ared\\\\x1b[2J\\\\x9b1m'
    """
    if _UNSAFE.search(text) is None:
        return text
    return _UNSAFE.sub(_spelt, _COLOUR.sub("", text))


def plain_line(text: str) -> str:
    """Like :func:`plain`, but also escape newlines.

    Args:
        text: a string of any origin.

    >>> plain_line("one\\ntwo")
    'one\\\\ntwo'
    """
    return plain(text).replace("\n", "\\n")


def _spelt(found: re.Match[str]) -> str:
    code = ord(found[0])
    return "\\r" if code == 13 else f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
