"""The owners of a table: Starlake has no key for them, so tags name them."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["split_owners"]

_OWNER = ("owner:", "owner=")


def split_owners(tags: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the owners that tags name, ``owner:ann@example.org``, and the other tags.

    Args:
        tags: the tags of a table or transform.
    """
    owners: list[str] = []
    others: list[str] = []
    for tag in tags:
        prefix = next((prefix for prefix in _OWNER if tag.lower().startswith(prefix)), "")
        (owners if prefix else others).append(tag[len(prefix) :].strip())
    return tuple(dict.fromkeys(owners)), tuple(dict.fromkeys(others))
