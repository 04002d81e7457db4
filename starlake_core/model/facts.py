"""What a Starlake project says about the work of one command, as far as the runtime has to know it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ProjectCheck", "ProjectFacts"]


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
class ProjectFacts:
    """What a project says about the work of one command.

    A reader of projects answers the hook ``sl_read_facts`` with it, in the worker. A value that the project does not tell is empty.

    Attributes:
        strategy: how new rows meet those that are there, in capitals: ``APPEND``, ``OVERWRITE``, ``UPSERT_BY_KEY`` ...; empty where it
            depends on the data.
        nullable_key: the key of the strategy may be empty, so that the same row may come twice.
        fails_late: the command may fail after its rows are in, because something is checked or run then (expectations).
        stage, ingesting, archive: of a load, the folders (paths or URIs) through which the files of the domain go.
        pattern: of a load, the regular expression that the whole name of a file of the table matches, as Java and Python read it alike.
        single_writer: the database that the command writes to, where it takes one writer at a time: ``duckdb:/data/duckdb.db``.
    """

    strategy: str = ""
    nullable_key: bool = False
    fails_late: bool = False
    stage: str = ""
    ingesting: str = ""
    archive: str = ""
    pattern: str = ""
    single_writer: str = ""
