"""What the runtime must know about the work of one command from a Starlake project."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["PipelineFault", "ProjectCheck", "ProjectFacts"]


@dataclass(frozen=True)
class ProjectCheck:
    """What is wrong with the files of a project.

    Attributes:
        files: how many were read.
        errors: what stops a command, each with file and line where they are known.
        warnings: what may not do what its author expects.
    """

    files: int = 0
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class PipelineFault:
    """A pipeline that cannot be built.

    Attributes:
        pipeline: its id, or the name of the file if it belongs to no pipeline.
        message: what is wrong, with file and line; a line for each problem.
        work: the tables and transforms that it would run, as ``domain.name``; empty if that is not known.
    """

    pipeline: str
    message: str
    work: tuple[str, ...] = ()


@dataclass(frozen=True)
class ProjectFacts:
    """What a project says about the work of one command.

    A reader of projects returns it from the hook ``sl_read_facts``, in the worker. A value that the project does not
    set is empty.

    Attributes:
        strategy: the write strategy, in capitals: ``APPEND``, ``OVERWRITE``, ``UPSERT_BY_KEY`` ...; empty if it depends
            on the data.
        nullable_key: the key of the strategy may be empty, so that the same row may come twice.
        fails_late: the command may fail after its rows are written, because of a later step such as expectations.
        stage, ingesting, archive: for a load, the folders (paths or URIs) through which the files of the domain move.
        pattern: for a load, the regular expression of Java that matches the whole name of each file of the table.
        matches: for a load, whether a file of a given name belongs to the table. Without it, ``pattern`` is matched as a
            regular expression of Python, and a pattern that Python refuses matches every file.
        single_writer: the database that the command writes to, if it allows one writer at a time:
            ``duckdb:/data/duckdb.db``.
    """

    strategy: str = ""
    nullable_key: bool = False
    fails_late: bool = False
    stage: str = ""
    ingesting: str = ""
    archive: str = ""
    pattern: str = ""
    single_writer: str = ""
    matches: Callable[[str], bool] | None = field(default=None, compare=False, repr=False)
