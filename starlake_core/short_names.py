"""Short names for longer strings, valid for clusters and file systems."""

from __future__ import annotations

import hashlib
import re

__all__ = ["file_name", "short_hash"]

_LONGEST_NAME = 120
_UNSAFE = re.compile(r"[^A-Za-z0-9._@=+-]")


def short_hash(*parts: str) -> str:
    """Return a hash of a string with twelve lower-case hexadecimal digits, valid in the name of a cluster or a file."""
    return hashlib.sha256("\x1f".join(parts).encode(errors="surrogateescape")).hexdigest()[:12]


def file_name(text: str, ending: str = "") -> str:
    """Return a file name for a string: the string itself if it is short and safe, or its beginning and a hash.

    Args:
        text: a string of any length, with any characters.
        ending: the suffix of the name.

    >>> file_name("starbake.orders", ".log")
    'starbake.orders.log'
    >>> file_name("a/b")
    'a_b-c14cddc033f6'
    """
    safe = _UNSAFE.sub("_", text)
    if safe == text and 0 < len(text) <= _LONGEST_NAME and text[0] != ".":
        return text + ending
    return f"{safe[:_LONGEST_NAME].lstrip('.') or '_'}-{short_hash(text)}{ending}"
