"""Time zones as Java writes them: generators put the zone of their machine into the files that they write."""

from __future__ import annotations

import re
from zoneinfo import available_timezones

__all__ = ["iana_name"]

_OFFSET = re.compile(r"(?:GMT|UTC|UT)?(?P<sign>[+-])(?P<hours>\d{1,2})(?::?00){0,2}", re.IGNORECASE)
_EAST, _WEST = 14, 12


def iana_name(zone: str) -> str:
    """The IANA name of a time zone.

    Java accepts ``GMT+01:00``, ``UTC+2`` and ``Z`` (``java.time.ZoneId``). A fixed offset of whole hours has a name below ``Etc/``, whose sign is
    that of POSIX, the opposite one.

    Args:
        zone: the zone as it was written.

    Returns:
        The name, or the string as it is if there is none.
    """
    text = zone.strip()
    if text.upper() == "Z":
        return "UTC"
    offset = _OFFSET.fullmatch(text)
    if offset is not None:
        hours = int(offset["hours"])
        if hours == 0:
            return "UTC"
        if hours <= (_EAST if offset["sign"] == "+" else _WEST):
            return f"Etc/GMT{'-' if offset['sign'] == '+' else '+'}{hours}"
    known = available_timezones()
    if text in known:
        return text
    return next((name for name in sorted(known) if name.lower() == text.lower()), zone)
