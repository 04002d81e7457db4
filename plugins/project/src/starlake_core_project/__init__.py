"""Reads a Starlake project: the YAML and SQL files below ``metadata`` as typed, frozen data.

>>> from pathlib import Path
>>> from starlake_core_project import Project
>>> project = Project.load(Path("starbake"))  # doctest: +SKIP
>>> [table.final_name for table in project.tables("starbake")]  # doctest: +SKIP
['Customers', 'Ingredients', 'Orders', 'Products']
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import JavaPatternError, Problem, ProjectError
from .java_patterns import JavaMatch, JavaPattern, java_pattern
from .model import Application, Areas, Connection, Domain, Format, Metadata, Table, Task
from .named import named_variables
from .project import Project
from .schema import Attribute, DataType, Expectation, Freshness, Sink, WriteStrategy
from .sql_text import Query
from .variables import parse_scheduled_date

if TYPE_CHECKING:
    from .publishing import publish

__all__ = [
    "Application",
    "Areas",
    "Attribute",
    "Connection",
    "DataType",
    "Domain",
    "Expectation",
    "Format",
    "Freshness",
    "JavaMatch",
    "JavaPattern",
    "JavaPatternError",
    "Metadata",
    "Problem",
    "Project",
    "ProjectError",
    "Query",
    "Sink",
    "Table",
    "Task",
    "WriteStrategy",
    "java_pattern",
    "named_variables",
    "parse_scheduled_date",
    "publish",
]

if not TYPE_CHECKING:  # otherwise a type checker would accept any name

    def __getattr__(name):
        """Import what builds pipelines on first use: the engine needs only the reader, and starts much sooner."""
        if name != "publish":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from .publishing import publish

        globals()["publish"] = publish
        return publish
