"""What a plugin tells about the demo that it wrote, and about what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Demo", "DemoTables"]


@dataclass(frozen=True)
class Demo:
    """A demo in a folder.

    Attributes:
        about: what it is, in a few words.
        pipelines: the folder or file with its pipelines.
        came: files that this call let come in, each with what is in it.
        waiting: how many files are there to be loaded.
        made: this call wrote, or finished writing, the project; otherwise it was there.
    """

    about: str
    pipelines: Path
    came: tuple[tuple[str, str], ...] = ()
    waiting: int = 0
    made: bool = False


@dataclass(frozen=True)
class DemoTables:
    """What is in the tables of a demo.

    Attributes:
        counts: name of each table that is there, and how many rows it has.
        database: where the tables are, as a person may open it.
        title: what the query asks for, in words.
        query: a query about them.
        columns: of its result.
        rows: of its result, as text.
    """

    counts: tuple[tuple[str, int], ...] = ()
    database: str = ""
    title: str = ""
    query: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
