"""Dates that Java reads although they do not exist, or are not written as their pattern says; for ``SL_DUCKDB_COMPAT=starlake`` only."""

from __future__ import annotations

import re

from .dates import pieces_of, shape, strptime_format
from .sql import Parameters

__all__ = ["as_java_reads"]

_UNITS = {"d": "to_days", "H": "to_hours", "m": "to_minutes", "s": "to_seconds", "S": "to_milliseconds"}


def as_java_reads(value: str, pattern: str, parameters: Parameters, *, lenient: bool) -> list[str]:
    """SQL for what Java makes of a string that is not strictly a date; each expression is NULL if it does not apply.

    A day that its month does not have is the last one of the month. If timestamps are not read at all, Java tries again: it counts on from
    numbers that are too large, takes any number of digits, and ignores what follows.

    Args:
        value: SQL for the string.
        pattern: the pattern of the type; not one of Java's named ones.
        lenient: whether Java tries again.
    """
    pieces = pieces_of(pattern)
    found = [_last_day(value, pattern, pieces, parameters)] if any(piece in ("d", "dd") for piece in pieces) else []
    return found + ([_counted_on(value, pieces, parameters)] if lenient and _is_numeric(pieces) else [])


def _last_day(value: str, pattern: str, pieces: list[str], parameters: Parameters) -> str:
    place = next(index for index, piece in enumerate(pieces) if piece in ("d", "dd"))
    before, after = shape("".join(pieces[:place])), shape("".join(pieces[place + 1 :]))
    parts = f"^({before})(29|30|31)({after})$"
    day = f"TRY_CAST(regexp_extract({value}, {parameters.add(parts)}, 2) AS INTEGER)"
    within = f"regexp_replace({value}, {parameters.add(parts)}, {parameters.add(chr(92) + '1' + '28' + chr(92) + '3')})"
    month = f"try_strptime({within}, {parameters.add(strptime_format(pattern))})"
    return f"CASE WHEN {day} IS NOT NULL THEN {month} + to_days(least({day}, day(last_day({month}))) - 28) END"


def _is_numeric(pieces: list[str]) -> bool:
    letters = [piece[0] for piece in pieces if piece[0].isalpha()]
    return set(letters) <= {"y", "M", *_UNITS} and "y" in letters and len(letters) == len(set(letters))


def _counted_on(value: str, pieces: list[str], parameters: Parameters) -> str:
    expression = "^"
    groups: dict[str, int] = {}
    for index, piece in enumerate(pieces):
        if not piece[0].isalpha():
            expression += re.escape(piece)
            continue
        follows = index + 1 < len(pieces) and pieces[index + 1][0].isalpha()
        digits = f"{len(piece)}" if follows else "1,4"
        expression += f"([0-9]{{{digits}}})"
        groups[piece[0]] = len(groups) + 1
    counted = parameters.add(expression)

    def number(letter: str) -> str:
        return f"TRY_CAST(regexp_extract({value}, {counted}, {groups[letter]}) AS INTEGER)"

    months = f" + to_months({number('M')} - 1)" if "M" in groups else ""
    units = (
        f" + {unit}({number(letter)}{' - 1' if letter == 'd' else ''})"
        for letter, unit in _UNITS.items()
        if letter in groups
    )
    return f"(make_timestamp({number('y')}, 1, 1, 0, 0, 0){months}{''.join(units)})"
