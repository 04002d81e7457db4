"""Rewrites the links of pages. They are written for the repository, and changed for the site and package indexes."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable

from tools.version import ADDRESS, ROOT

__all__ = ["absolute", "outside_of_code", "relinked"]

_LINK = re.compile(r"(?P<text>!?\[[^\]]*\])\((?P<target>(?![a-z]+:|#)[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")
_FENCE = re.compile(r"^( *)```.*?^\1```$", re.DOTALL | re.MULTILINE)


def outside_of_code(text: str, change: Callable[[str], str]) -> str:
    """Apply a change to a page, except to its blocks of code.

    Args:
        text: the page.
        change: applies the change to a part of the page.
    """
    parts, end = [], 0
    for fence in _FENCE.finditer(text):
        parts += [change(text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, change(text[end:])])


def relinked(text: str, source: str, place: Callable[[str], str | None], ref: str = "main") -> str:
    """Return a page with its links rewritten for the place where it is shown.

    Args:
        text: the page.
        source: the path of the page in the repository.
        place: returns the link to a file of the repository; None to link to the forge.
        ref: the branch or tag for links to the forge.
    """

    def link(found: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), found["target"]))
        kind = "tree" if (ROOT / path).is_dir() else "raw" if found["text"].startswith("!") else "blob"
        target = place(path) or f"{ADDRESS}/{kind}/{ref}/{path}"
        return f"{found['text']}({target}{found['anchor'] or ''})"

    return outside_of_code(text, lambda part: _LINK.sub(link, part))


def absolute(text: str, source: str, ref: str) -> str:
    """Return a page for a package index, which has no other file of the repository.

    Args:
        text: the page.
        source: the path of the page in the repository.
        ref: the tag of the release.

    >>> page = absolute("[Options](../../docs/reference/options.md#all-options)", "plugins/shell/README.md", "v1")
    >>> page.replace(ADDRESS, "...")
    '[Options](.../blob/v1/docs/reference/options.md#all-options)'
    """
    return relinked(text, source, lambda path: None, ref)
