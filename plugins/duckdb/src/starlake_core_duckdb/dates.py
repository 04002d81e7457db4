"""Translates Java date patterns, which Starlake's types use, to ``strptime`` formats."""

from __future__ import annotations

import re

__all__ = ["NAMED", "fixed_length", "is_iso_name", "pieces_of", "readable", "shape", "strptime_format"]

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
NAMED = {
    "BASIC_ISO_DATE": "%Y%m%d",
    "ISO_OFFSET_DATE": "%Y-%m-%d%z",
    "ISO_ORDINAL_DATE": "%Y-%j",
    "ISO_WEEK_DATE": "%G-W%V-%u",
    "RFC_1123_DATE_TIME": "%a, %d %b %Y %H:%M:%S %z",
}
_DATE, _TIME = "[0-9]{4}-[0-9]{2}-[0-9]{2}", "[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{0,9})?)?"
_OFFSET, _REGION = "(Z|[+-][0-9]{2}:[0-9]{2})", r"(\[[^]]+\])"
_SHAPES = {
    "BASIC_ISO_DATE": "[0-9]{8}",
    "ISO_LOCAL_DATE": _DATE,
    "ISO_OFFSET_DATE": _DATE + _OFFSET,
    "ISO_DATE": f"{_DATE}{_OFFSET}?",
    "ISO_LOCAL_DATE_TIME": f"{_DATE}T{_TIME}",
    "ISO_OFFSET_DATE_TIME": f"{_DATE}T{_TIME}{_OFFSET}",
    "ISO_ZONED_DATE_TIME": f"{_DATE}T{_TIME}{_OFFSET}{_REGION}?",
    "ISO_DATE_TIME": f"{_DATE}T{_TIME}({_OFFSET}{_REGION}?)?",
    "ISO_ORDINAL_DATE": "[0-9]{4}-[0-9]{3}",
    "ISO_WEEK_DATE": "[0-9]{4}-W[0-9]{2}-[1-7]",
    "ISO_INSTANT": f"{_DATE}T{_TIME}{_OFFSET}",
    "RFC_1123_DATE_TIME": "[A-Z][a-z]{2}, [0-9]{1,2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} (GMT|[+-][0-9]{4})",
}
_PIECE = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+")


def is_iso_name(pattern: str) -> bool:
    """Whether a pattern is one of Java's named ISO formats that a cast reads, ``ISO_DATE_TIME``."""
    return pattern.upper().startswith("ISO_") and pattern.upper() not in NAMED


def readable(value: str, pattern: str) -> str:
    """SQL that rewrites a timestamp in a form that DuckDB reads: it does not know every form of Java.

    Args:
        value: SQL for the text.
        pattern: the pattern of the type.
    """
    name = pattern.upper()
    if name == "RFC_1123_DATE_TIME":
        return f"regexp_replace({value}, ' GMT$', ' +0000')"
    if name in ("ISO_DATE_TIME", "ISO_ZONED_DATE_TIME"):  # the region after the offset is redundant
        return f"regexp_replace({value}, '\\[[^]]*\\]$', '')"
    if name == "ISO_DATE":  # the offset is optional
        return f"regexp_replace({value}, '^([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})(Z|[+-][0-9:]+)$', '\\1T00:00:00\\2')"
    return value


def strptime_format(pattern: str) -> str | None:
    """The format of a pattern, or None when it uses letters that have no equivalent.

    >>> strptime_format("yyyy-MM-dd'T'HH:mm:ss.SSS")
    '%Y-%m-%dT%H:%M:%S.%g'
    """
    if pattern.upper() in NAMED:
        return NAMED[pattern.upper()]
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


def pieces_of(pattern: str) -> list[str]:
    """The fields of a pattern, and the texts between them."""
    return [piece.group() for piece in _PIECE.finditer(pattern)]


def fixed_length(pattern: str) -> int | None:
    """The length of a string that matches a pattern of digits and punctuation; None for any other pattern.

    >>> fixed_length("yyyy-MM-dd"), fixed_length("d/M/yyyy"), fixed_length("dd MMM")
    (10, None, None)
    """
    pieces = pieces_of(pattern)
    digits = [text for text in pieces if text[0].isalpha()]
    plain = all(len(text) > 1 and text[0] not in "aEXxZ" and not (text[0] == "M" and len(text) > 2) for text in digits)
    known = pattern.upper() not in NAMED and not any(text[0] == "'" or " " in text for text in pieces)
    return len(pattern) if plain and known else None


def shape(pattern: str) -> str:
    """A regular expression of the texts that have the form of a pattern: Java wants exactly as many digits as there are letters.

    >>> shape("d/MM/yyyy HH:mm")
    '[0-9]{1,2}/[0-9]{2}/[0-9]{4} [0-9]{2}:[0-9]{2}'
    """
    if pattern.upper() in _SHAPES:
        return _SHAPES[pattern.upper()]
    if is_iso_name(pattern):
        return "[0-9].*"
    result = ""
    for piece in _PIECE.finditer(pattern):
        text = piece.group()
        if text.startswith("'"):
            result += re.escape((piece.group(1) or "'").replace("''", "'"))
        elif not text[0].isalpha():
            result += "".join(character if character in " /:,;-_" else re.escape(character) for character in text)
        elif text[0] in "aEXxZ" or (text[0] == "M" and len(text) > 2):
            result += r"[^\s/]+" if text[0] != "a" else "[A-Za-z.]+"
        else:
            result += "[0-9]{1,2}" if len(text) == 1 else f"[0-9]{{{len(text)}}}"
    return result
