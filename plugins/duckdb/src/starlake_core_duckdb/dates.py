"""Java date patterns, which Starlake's types are written in, as ``strptime`` formats."""

from __future__ import annotations

import re

__all__ = ["is_iso_name", "strptime_format"]

_TOKENS = {
    "yyyy": "%Y",
    "uuuu": "%Y",
    "yy": "%y",
    "MMMM": "%B",
    "MMM": "%b",
    "MM": "%m",
    "M": "%m",
    "dd": "%d",
    "d": "%d",
    "EEEE": "%A",
    "EEE": "%a",
    "HH": "%H",
    "H": "%H",
    "hh": "%I",
    "h": "%I",
    "mm": "%M",
    "ss": "%S",
    "SSSSSSSSS": "%n",
    "SSSSSS": "%f",
    "SSS": "%g",
    "a": "%p",
    "XXX": "%z",
    "XX": "%z",
    "X": "%z",
    "xxx": "%z",
    "xx": "%z",
    "Z": "%z",
    "DDD": "%j",
}
_PIECE = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+")


def is_iso_name(pattern: str) -> bool:
    """Whether a pattern is one of Java's named ISO formats, ``ISO_DATE_TIME``."""
    return pattern.upper().startswith("ISO_")


def strptime_format(pattern: str) -> str | None:
    """The format of a pattern, or None when it uses letters that have no equivalent.

    >>> strptime_format("yyyy-MM-dd'T'HH:mm:ss.SSS")
    '%Y-%m-%dT%H:%M:%S.%g'
    """
    if pattern.upper() == "BASIC_ISO_DATE":
        return "%Y%m%d"
    result, position = "", 0
    while position < len(pattern):
        piece = _PIECE.match(pattern, position)
        if piece is None:
            return None
        text, position = piece.group(), piece.end()
        if text.startswith("'"):
            result += ((piece.group(1) or "'").replace("''", "'")).replace("%", "%%")
        elif text[0].isalpha():
            if text not in _TOKENS:
                return None
            result += _TOKENS[text]
        else:
            result += text.replace("%", "%%")
    return result
