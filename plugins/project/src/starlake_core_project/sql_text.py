"""The SQL of a transform: its sections, comments and literals.

A file may contain the lines ``-- SL_PRESQL``, ``-- SL_SQL`` and ``-- SL_POSTSQL``, each alone on its line and without indentation. The text before
the first of them is the query. The format is that of Starlake's ``SqlTaskExtractor``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from .errors import ProjectError

__all__ = ["Query", "has_postsql", "sections", "without_comments", "without_literals"]

_SECTION = re.compile(r"^--[ \t]*SL_(SQL|PRESQL|POSTSQL)[ \t]*\r?$", re.MULTILINE)
_OPAQUE = re.compile(
    r"""(?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$""",
    re.DOTALL,
)


@dataclass(frozen=True)
class Query:
    """The rendered SQL of a transform.

    Attributes:
        sql: the query.
        path: the file of the query.
        presql, postsql: the statements of the file to run before and after the query.
    """

    sql: str
    path: Path
    presql: tuple[str, ...] = ()
    postsql: tuple[str, ...] = ()


def without_comments(sql: str) -> str:
    """Return SQL without its comments, but keep what looks like one in a literal or quoted name."""
    return _OPAQUE.sub(lambda found: " " if found["comment"] else found[0], sql)


def without_literals(sql: str) -> str:
    """Return SQL without comments, literals and quoted names, to inspect its words."""
    return _OPAQUE.sub(lambda found: " " if found["comment"] else " '' ", sql)


def has_postsql(text: str) -> bool:
    """Return whether a query file has statements to run after the query. The text may be rendered or not."""
    return any(found[1] == "POSTSQL" for found in _SECTION.finditer(text))


def sections(text: str, path: Path) -> Query:
    """Split a query file into its sections.

    Args:
        text: the rendered text of the file.
        path: the path of the file.

    Raises:
        ProjectError: there is more than one query.
    """
    parts = _SECTION.split(text)
    if len(parts) == 1:
        return Query(text, path)
    found: dict[str, list[str]] = {"SQL": [parts[0]], "PRESQL": [], "POSTSQL": []}
    for kind, part in zip(parts[1::2], parts[2::2], strict=True):
        found[kind].append(part)
    given = {kind: [part.strip() for part in texts if without_comments(part).strip()] for kind, texts in found.items()}
    if len(given["SQL"]) > 1:
        raise ProjectError(
            f"{path}: there are {len(given['SQL'])} queries, but a transform has one; put statements that run before it below a line -- SL_PRESQL"
        )
    return Query("".join(given["SQL"]), path, tuple(given["PRESQL"]), tuple(given["POSTSQL"]))
