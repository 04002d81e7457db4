"""Options: declared once per plugin, read from one place, checked together.

``types`` says how values are read, ``declare`` what an option is, ``values`` holds them, by name and as groups of typed attributes, ``resolve``
says where they come from and what is wrong with them, ``general`` declares those of the core; ``documents`` are passed on to a service as they
are, and ``limits`` are what it refuses. Nothing here knows a pipeline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..renamed import earlier_name
from .declare import DeclaredOption, Option, OwnNames
from .documents import DOCUMENT, merge_under
from .general import GeneralOptions
from .limits import Limit, check_limits, limits_table
from .resolve import resolve_options
from .types import (
    BOOL,
    CRON,
    CSV,
    DATE,
    DURATION,
    ENV_MAP,
    JSON_MAP,
    STR,
    TEXT_MAP,
    TIMEZONE,
    Integer,
    Kind,
    Matching,
    OneOf,
    Seconds,
)
from .values import OptionGroup, Options, option

__all__ = [
    "BOOL",
    "CRON",
    "CSV",
    "DATE",
    "DOCUMENT",
    "DURATION",
    "ENV_MAP",
    "JSON_MAP",
    "STR",
    "TEXT_MAP",
    "TIMEZONE",
    "DeclaredOption",
    "GeneralOptions",
    "Integer",
    "Kind",
    "Limit",
    "Matching",
    "OneOf",
    "Option",
    "OptionGroup",
    "Options",
    "OwnNames",
    "Seconds",
    "check_limits",
    "limits_table",
    "merge_under",
    "option",
    "resolve_options",
]

if not TYPE_CHECKING:  # a type checker would take every name to be there

    def __getattr__(name):
        return earlier_name(__name__, name)
