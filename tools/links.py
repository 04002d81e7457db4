"""Links of pages. They are written as they work in the repository, and rewritten where a page is shown elsewhere."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable

from tools.version import ADDRESS, ROOT

__all__ = ["absolute", "outside_of_code", "relinked"]

_LINK = re.compile(r"(?P<text>!?\[[^\]]*\])\((?P<target>(?![a-z]+:|#)[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")
_FENCE = re.compile(r"^( *)```.*?^\1```$", re.DOTALL | re.MULTILINE)


def outside_of_code(text: str, change: Callable[[str], str]) -> str:
    """A page with a change made to all but its blocks of code.

    Args:
        text: the page.
        change: makes the change.
    """
    parts, end = [], 0
    for fence in _FENCE.finditer(text):
        parts += [change(text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, change(text[end:])])


def relinked(text: str, source: str, place: Callable[[str], str | None], ref: str = "main") -> str:
    """A page with links as they are needed where it is shown.

    Args:
        text: the page.
        source: where it is in the repository.
        place: the link to a file of the repository, as the page needs it; None for a link to the forge.
        ref: the branch or tag that links to the forge show.
    """

    def link(found: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), found["target"]))
        kind = "tree" if (ROOT / path).is_dir() else "raw" if found["text"].startswith("!") else "blob"
        target = place(path) or f"{ADDRESS}/{kind}/{ref}/{path}"
        return f"{found['text']}({target}{found['anchor'] or ''})"

    return outside_of_code(text, lambda part: _LINK.sub(link, part))


def absolute(text: str, source: str, ref: str) -> str:
    """A page as a package index shows it, which knows no other file of the repository.

    Args:
        text: the page.
        source: where it is in the repository.
        ref: the tag of the release.

    >>> page = absolute("[Options](../../docs/reference/options.md#all-options)", "plugins/shell/README.md", "v1")
    >>> page.replace(ADDRESS, "...")
    '[Options](.../blob/v1/docs/reference/options.md#all-options)'
    """
    return relinked(text, source, lambda path: None, ref)
