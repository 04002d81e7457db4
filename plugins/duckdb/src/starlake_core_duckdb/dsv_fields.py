"""Splits a record of a DSV file into its fields, with the rules of Starlake's parser for quotes that are not well-formed."""

from __future__ import annotations

import re
from collections.abc import Callable

from .dialect import Dialect

__all__ = ["Fields", "splitter"]

_BLANK = "".join(map(chr, range(33)))

Fields = tuple["list[str | None]", bool]
"""The fields of a record (None for an empty one without quotes), and whether its last quote is never closed."""


def splitter(dialect: Dialect) -> Callable[[str], Fields]:
    r"""Return the function that splits a record.

    - A field with a quote inside, but not at its beginning, is taken as it is.
    - After the closing quote, white space is dropped. Anything else makes the whole field, with its quotes, the value.
    - A quote that is doubled without being escaped stays doubled, unless it is at the end of the field.
    - A quote that is never closed ends with the record.

    >>> split = splitter(Dialect(separator=";", quote='"', escape="\\"))
    >>> split(r'1;"a \"b\"";"it""s";;""')
    (['1', 'a "b"', '"it""s"', None, ''], False)
    >>> split('1;"a')
    (['1', 'a'], True)
    """
    separator, quote, escape = dialect.separator, dialect.quote, dialect.escape
    if not quote and not dialect.trims:
        return lambda record: ([field or None for field in record.split(separator)], False)
    special = re.compile(f"[{re.escape(quote + escape)}]" if quote else "(?!)")
    width = len(separator)

    def quoted(record: str, start: int) -> tuple[str, int, bool]:
        """The value of a field that begins with a quote, where it ends, and whether it is never closed."""
        content: list[str] = []
        position, end = start + 1, len(record)
        while True:
            found = special.search(record, position)
            if found is None:
                rest = record[position:]
                return "".join(content) + rest if content or rest else quote, end, True
            place = found.start()
            content.append(record[position:place])
            follower = record[place + 1 : place + 2]
            if found[0] == escape and (escape != quote or follower == quote):
                escaped = follower in (quote, escape) and follower
                content.append(follower if escaped else escape)
                position = place + 2 if escaped else place + 1
                continue
            break
        after = place + 1
        while record[after : after + 1] == quote:
            content.append(quote)
            after += 1
        blank = after
        while blank < end and record[blank] <= " " and not record.startswith(separator, blank):
            blank += 1
        if blank == end or record.startswith(separator, blank):
            return "".join(content), blank, False
        stop = record.find(separator, after)
        stop = end if stop < 0 else stop
        return f"{quote}{''.join(content)}{quote}{record[after:stop]}", stop, False

    def split(record: str) -> Fields:
        fields: list[str | None] = []
        position, end, unclosed = 0, len(record), False
        while True:
            if dialect.trim_leading:
                while position < end and record[position] <= " " and not record.startswith(separator, position):
                    position += 1
            if quote and record.startswith(quote, position):
                value, position, unclosed = quoted(record, position)
                fields.append(value)
            else:
                stop = record.find(separator, position)
                stop = end if stop < 0 else stop
                field = record[position:stop]
                fields.append((field.rstrip(_BLANK) if dialect.trim_trailing else field) or None)
                position = stop
            if position >= end:
                return fields, unclosed
            position += width

    return split
