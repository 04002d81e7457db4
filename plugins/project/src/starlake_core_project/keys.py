"""The building blocks of the declared model: the base class of its structures, and the types of its keys.

The YAML parser returns every scalar as a string; the types below say how to interpret it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

__all__ = ["Keys", "Text", "TextList", "TextMap", "one_of", "text_map", "texts"]

Text = str | None
TextList = tuple[str | None, ...] | str | None
"""A list of strings; a single string means a list of one."""
TextMap = dict[str, str | None] | None


if TYPE_CHECKING:

    class Keys(Struct, frozen=True):
        """A mapping with a closed set of keys; a key is the name of the field in camel case."""

else:

    class Keys(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
        """A mapping with a closed set of keys; a key is the name of the field in camel case."""


def one_of(*words: str | None) -> Any:
    """Return the type of a string that is one of the given words, in upper, lower or title case."""
    forms = (form for word in words for form in ((word, word.lower(), word.capitalize()) if word else (word,)))
    return Literal[tuple(dict.fromkeys(forms))]


def texts(value: TextList) -> tuple[str, ...]:
    """Return the strings of a list, without empty entries."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(item for item in value if item is not None)


def text_map(value: TextMap) -> dict[str, str]:
    """Return the entries of a mapping that have a value."""
    return {name: text for name, text in (value or {}).items() if text is not None}
