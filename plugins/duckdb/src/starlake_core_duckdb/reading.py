"""What is known about one file when it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from starlake_core_project import Table

from .casting import Column
from .dsv_copy import Copy

__all__ = ["Reading", "ReadingRules"]


@dataclass(frozen=True)
class ReadingRules:
    """What holds for every file of a load.

    Attributes:
        max_decompressed: how many bytes may come out of one compressed file.
        compat: whether to do what Starlake does where the engine's own way is better.
        dsv_options: the application's options for the reader of DSV files.
        directory: where copies of the table's files may be; nobody else uses it, and it is removed after the load.
    """

    max_decompressed: int
    compat: bool
    directory: Path
    dsv_options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """One file of one table.

    Attributes:
        path: the file, or a readable copy of it.
        name: the name of the file in messages.
        rejects: the name of the temporary table for records that cannot be read at all.
        copy: a copy of the file that is read in its place.
        records: how many records were counted in it, or None.
        longest_line: the bytes of its longest line; 0 if they were not counted.
        types: the types that the columns have in the file, by their names there; empty for files of text.
    """

    table: Table
    columns: Sequence[Column]
    path: Path
    name: str
    rejects: str
    rules: ReadingRules
    copy: Copy | None = None
    records: int | None = None
    longest_line: int = 0
    types: Mapping[str, str] = field(default_factory=dict)
