"""The SQL of a transform: its sections, comments and literals.

A file may have the lines ``-- SL_PRESQL``, ``-- SL_SQL`` and ``-- SL_POSTSQL``, each at the beginning of a line and alone on it; what stands before
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
    """What a transform runs, rendered.

    Attributes:
        sql: the query.
        presql, postsql: the statements of its file, to be run before and after it.
        path: the file that the query is in.
    """

    sql: str
    path: Path
    presql: tuple[str, ...] = ()
    postsql: tuple[str, ...] = ()


def without_comments(sql: str) -> str:
    """SQL without its comments; what looks like one in a literal or a quoted name stays."""
    return _OPAQUE.sub(lambda found: " " if found["comment"] else found[0], sql)


def without_literals(sql: str) -> str:
    """SQL without comments, literals and quoted names, for a look at its words."""
    return _OPAQUE.sub(lambda found: " " if found["comment"] else " '' ", sql)


def has_postsql(text: str) -> bool:
    """Whether the text of a query file, rendered or not, has statements for after the query."""
    return any(found[1] == "POSTSQL" for found in _SECTION.finditer(text))


def sections(text: str, path: Path) -> Query:
    """Split the text of a query file.

    Args:
        text: rendered.
        path: of the file.

    Raises:
        ProjectError: there are two queries.
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
            f"{path}: there are {len(given['SQL'])} queries, and a transform has one; what comes before it stands after a line -- SL_PRESQL"
        )
    return Query("".join(given["SQL"]), path, tuple(given["PRESQL"]), tuple(given["POSTSQL"]))
