"""Attributes whose values must not be seen: how they are masked, and where clear text must not remain."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

from starlake_core_project import DataType

from .errors import unsupported
from .type_patterns import patterns_without_re2

__all__ = ["check_privacy", "mask_text", "masked"]


class _Mask(NamedTuple):
    """How values are masked, in SQL and in Python."""

    sql: str
    text: Callable[[str], str]


def _digest(name: str) -> Callable[[str], str]:
    return lambda text: hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()


_MASKS: Mapping[str, _Mask] = {
    "HIDE": _Mask("CASE WHEN {value} IS NOT NULL THEN '' END", lambda text: ""),
    "HIDE10X": _Mask("CASE WHEN {value} IS NOT NULL THEN 'XXXXXXXXXX' END", lambda text: "X" * 10),
    "MD5": _Mask("md5({value})", _digest("md5")),
    "SHA1": _Mask("sha1({value})", _digest("sha1")),
    "SHA256": _Mask("sha256({value})", _digest("sha256")),
}


def check_privacy(privacy: str | None, ddl: str, kind: DataType | None, where: str) -> None:
    """Refuse what this engine cannot mask rightly.

    Raises:
        ProjectFault: the kind of privacy, or the type of the column, is not supported.
    """
    name = (privacy or "NONE").upper()
    if name == "NONE":
        return
    if name not in _MASKS:
        raise unsupported(f"{where}: privacy {privacy} (supported: {', '.join(_MASKS)})")
    if ddl != "VARCHAR" or kind is None:
        raise unsupported(f"{where}: privacy {privacy} of a value that is not a string")
    if patterns_without_re2(kind):
        raise unsupported(f"{where}: privacy {privacy} of a type whose pattern RE2 does not match")


def masked(privacy: str | None, value: str) -> str:
    """SQL for a value as it may be stored."""
    name = (privacy or "NONE").upper()
    return value if name == "NONE" else _MASKS[name].sql.format(value=value)


def mask_text(privacy: str | None, value: str) -> str:
    """A value as it may be stored."""
    name = (privacy or "NONE").upper()
    return value if name == "NONE" else _MASKS[name].text(value)
