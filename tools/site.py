"""Builds the documentation site from pages in the repository, with links that work in both.

MkDocs loads the hooks in this module (``mkdocs.yml``). ``PAGES`` lists the pages of the site that are outside ``docs``.
Write links for the repository. They are rewritten to pages of the site, or to the forge for files that are only in the
repository.

``python -m tools.site FOLDER`` checks that a built site loads nothing from other hosts.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from tools.links import outside_of_code, relinked
from tools.version import ROOT

__all__ = ["PAGES", "foreign", "main", "on_files", "on_page_markdown", "shown"]

PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    **{
        f"plugins/{file.parent.name}/README.md": f"distributions/{file.parent.name}.md"
        for file in sorted(ROOT.glob("plugins/*/README.md"))
    },
}
"""The paths on the site of files in the repository."""

IMAGES = {
    file.relative_to(ROOT).as_posix(): f"distributions/{file.parent.parent.name}/{file.name}"
    for file in sorted(ROOT.glob("plugins/*/images/*"))
}

_COMMENT = re.compile(r"^<!-- .*? -->\n|(?<!`)<!-- .*? -->(?!`)", re.MULTILINE)
_LOADED = re.compile(r"""<(?:script|img|iframe)[^>]*\ssrc=["']?(https?:)?//|<link[^>]*\shref=["']?(https?:)?//[^>]*>""")
_CANONICAL = re.compile(r"""\brel=["']?(canonical|alternate|next|prev)""")


def site_path(path: str) -> str | None:
    """Return the path on the site of a file in the repository; None if it is not on the site."""
    if path.startswith("docs/") and (ROOT / path).is_file():
        return path.removeprefix("docs/")
    return PAGES.get(path) or IMAGES.get(path)


def shown(text: str, source: str) -> str:
    """Return a page with its links rewritten for the site, and without the comments for tests.

    Args:
        text: the page.
        source: the path of the page in the repository.
    """
    here = site_path(source)
    assert here is not None, source

    def place(path: str) -> str | None:
        there = site_path(path)
        return None if there is None else posixpath.relpath(there, posixpath.dirname(here) or ".")

    return relinked(outside_of_code(text, lambda part: _COMMENT.sub("", part)), source, place)


def on_files(files: Any, config: Any) -> Any:
    """Add the pages and pictures outside ``docs``. Called by MkDocs."""
    from mkdocs.structure.files import File

    for source, place in {**PAGES, **IMAGES}.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(text: str, page: Any, **_: Any) -> str:
    """Rewrite the links of a page, and hide the navigation on the first page. Called by MkDocs."""
    place = page.file.src_uri
    if place == "index.md":
        page.meta["hide"] = ["navigation"]
    outside = {there: source for source, there in PAGES.items()}
    return shown(text, outside.get(place, f"docs/{place}"))


def foreign(page: str) -> list[str]:
    """Return what a page of a built site loads from other hosts.

    >>> foreign('<script src="https://cdn.example.com/x.js"></script> <a href="https://example.com">there</a>')
    ['<script src="https://']
    """
    return [found[0] for found in _LOADED.finditer(page) if not _CANONICAL.search(found[0])]


def main() -> int:
    """Check the site in the folder given on the command line."""
    pages = sorted(Path(sys.argv[1]).rglob("*.html"))
    loads = {page: foreign(page.read_text(encoding="utf-8")) for page in pages}
    for page, found in loads.items():
        if found:
            print(f"{page} loads {', '.join(found)}")
    print(
        f"{len(pages)} pages, which load nothing from other hosts" if not any(loads.values()) else "not self-contained"
    )
    return 1 if any(loads.values()) or not pages else 0


if __name__ == "__main__":
    sys.exit(main())
