"""What the declared model is made of: the base of its structures, and the types of its keys.

A file is text first: the parser leaves every scalar as text, and the types below say what that text means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

__all__ = ["Keys", "Text", "TextList", "TextMap", "one_of", "text_map", "texts"]

Text = str | None
TextList = tuple[str | None, ...] | str | None
"""A list of texts; one text stands for a list of one."""
TextMap = dict[str, str | None] | None


if TYPE_CHECKING:

    class Keys(Struct, frozen=True):
        """A mapping with a closed set of keys; a key is the name of the field in camel case."""

else:

    class Keys(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
        """A mapping with a closed set of keys; a key is the name of the field in camel case."""


def one_of(*words: str | None) -> Any:
    """The type of a text that is one of some words, in upper, lower or title case."""
    forms = (form for word in words for form in ((word, word.lower(), word.capitalize()) if word else (word,)))
    return Literal[tuple(dict.fromkeys(forms))]


def texts(value: TextList) -> tuple[str, ...]:
    """What a list of texts holds; entries without a value are left out."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(item for item in value if item is not None)


def text_map(value: TextMap) -> dict[str, str]:
    """What a mapping of texts holds; entries without a value are left out."""
    return {name: text for name, text in (value or {}).items() if text is not None}
