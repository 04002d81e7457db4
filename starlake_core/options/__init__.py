"""Options, which each plugin declares once, and which are read and checked together.

``types`` reads values, ``declare`` describes an option, ``values`` holds the values by name and as groups of typed
attributes, ``resolve`` collects and checks them, and ``general`` declares the options of the core. ``documents`` are
passed on to a service as they are, and ``limits`` are what a service refuses. Nothing here knows about pipelines.
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

if not TYPE_CHECKING:  # otherwise a type checker would accept any name

    def __getattr__(name):
        return earlier_name(__name__, name)
