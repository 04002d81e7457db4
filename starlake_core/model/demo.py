"""What a plugin reports about the demo that it wrote, and about its tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Demo", "DemoTables"]


@dataclass(frozen=True)
class Demo:
    """A demo in a folder.

    Attributes:
        about: a short description.
        pipelines: the folder or file with its pipelines.
        came: the files that this call delivered, each with a description of its content.
        waiting: how many files wait to be loaded.
        made: whether this call wrote, or finished writing, the project.
    """

    about: str
    pipelines: Path
    came: tuple[tuple[str, str], ...] = ()
    waiting: int = 0
    made: bool = False


@dataclass(frozen=True)
class DemoTables:
    """The content of the tables of a demo.

    Attributes:
        counts: the number of rows of each existing table, by name.
        database: the path or address under which you can open the tables.
        title: a heading for the result of the query.
        query: an example query.
        columns: the columns of its result.
        rows: the rows of its result, as strings.
    """

    counts: tuple[tuple[str, int], ...] = ()
    database: str = ""
    title: str = ""
    query: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
