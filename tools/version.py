"""Keeps the metadata of all distributions consistent: their version, the bounds between them, and their links.

It writes this data to the metadata of each distribution. Run it from the root of the repository::

    python -m tools.version                  # print the version, and fail if a file has another one python -m
    tools.version 0.2.0            # write another version everywhere, and start its changelogs python -m tools.version
    --released DATE  # write the date of the release to the changelogs (YYYY-MM-DD)

The version in ``pyproject.toml`` of the root is the source of all others. Metadata is static, so that every tool can
read it, and a source distribution needs no file from outside.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["ADDRESS", "PLACEHOLDER", "ROOT", "bounds", "expected", "folders", "links", "main", "version"]

ROOT = Path(__file__).resolve().parents[1]

PLACEHOLDER = "https://example.com/starlake_core"
"""The placeholder for the address of the repository until it has one. Nothing is published with it."""

ADDRESS = PLACEHOLDER
"""The address of the repository. Change it here, and run ``python -m tools.version $(python -m tools.version)``."""

_VERSION = re.compile(r'^version = "(?P<version>[^"]+)"$', re.MULTILINE)
_FORM = re.compile(r"\d+\.\d+\.\d+((a|b|rc)\d+)?")
_BOUND = re.compile(r'"(?P<name>starlake-core[a-z-]*(\[[a-z_,]+\])?)[<>=!~][^"]*"')
_LINKS = re.compile(r"^\[project\.urls\]\n(.+\n)+", re.MULTILINE)
_HEADING = re.compile(r"^## (?P<version>\S+)(?P<state> \(.+\))?$", re.MULTILINE)


def folders() -> list[Path]:
    """Return the folders of all distributions, the core first."""
    return [ROOT, *sorted(file.parent for file in ROOT.glob("plugins/*/pyproject.toml"))]


def version() -> str:
    """The version of all distributions."""
    found = _VERSION.search((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert found is not None
    return found["version"]


def bounds(number: str) -> str:
    """Return the bounds between distributions of a version: the same minor version before 1.0, and then the same major
    version.

    >>> bounds("0.1.0"), bounds("0.2.3"), bounds("1.4.2"), bounds("0.2.0rc1")
    ('>=0.1,<0.2', '>=0.2,<0.3', '>=1.4,<2', '>=0.2.0rc1,<0.3')
    """
    major, minor = (int(part) for part in number.split(".")[:2])
    lower = number if re.search("[abr]", number) else f"{major}.{minor}"
    return f">={lower},<{f'0.{minor + 1}' if major == 0 else major + 1}"


def links(folder: Path) -> dict[str, str]:
    """Return the links of a distribution.

    Args:
        folder: the folder with its ``pyproject.toml``.
    """
    path = folder.relative_to(ROOT).as_posix()
    below = "" if path == "." else f"{path}/"
    return {
        "Homepage": "https://starlake.ai",
        "Source": ADDRESS,
        "Issues": f"{ADDRESS}/issues",
        "Changelog": f"{ADDRESS}/blob/main/{below}CHANGELOG.md",
    }


def expected(number: str) -> Iterator[tuple[Path, str]]:
    """Return the correct content of each file with data of all distributions.

    Args:
        number: the version.
    """
    for folder in folders():
        file = folder / "pyproject.toml"
        text = _VERSION.sub(f'version = "{number}"', file.read_text(encoding="utf-8"), count=1)
        text = _BOUND.sub(lambda found: f'"{found["name"]}{bounds(number)}"', text)
        lines = "".join(f'{name} = "{link}"\n' for name, link in links(folder).items())
        yield file, _LINKS.sub(lambda _, lines=lines: f"[project.urls]\n{lines}", text)  # type: ignore[misc]
        file = folder / "CHANGELOG.md"
        text = file.read_text(encoding="utf-8")
        heading = _HEADING.search(text)
        if heading is None or heading["version"] != number:
            start = heading.start() if heading else len(text)
            text = f"{text[:start]}## {number} (unreleased)\n\n{text[start:]}"
        yield file, text


def _released(date: str) -> None:
    for folder in folders():
        file = folder / "CHANGELOG.md"
        text = file.read_text(encoding="utf-8")
        file.write_text(_HEADING.sub(rf"## \g<version> ({date})", text, count=1), encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Print the version, or write another one.

    Args:
        arguments: the command-line arguments; those of this process by default.
    """
    parser = argparse.ArgumentParser(prog="python -m tools.version", description="The version of all distributions.")
    parser.add_argument("version", nargs="?", help="the version to write, such as 0.2.0 or 0.2.0rc1")
    parser.add_argument("--released", metavar="DATE", help="the date of the release, for the changelogs")
    given = parser.parse_args(arguments)
    if given.released and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", given.released):
        parser.error(f"{given.released!r} is not a date; use YYYY-MM-DD")
    if given.version:
        if not _FORM.fullmatch(given.version):
            parser.error(f"{given.version!r} is not a version; use MAJOR.MINOR.PATCH, such as 0.2.0 or 0.2.0rc1")
        for file, text in expected(given.version):
            file.write_text(text, encoding="utf-8")
    if given.released:
        _released(given.released)
    number = version()
    print(number)
    different = [
        str(file.relative_to(ROOT)) for file, text in expected(number) if text != file.read_text(encoding="utf-8")
    ]
    if different:
        print(
            f"not as tools/version.py says: {', '.join(different)}; run: python -m tools.version {number}",
            file=sys.stderr,
        )
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
