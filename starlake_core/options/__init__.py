"""Options: declared once per plugin, read from one place, checked together.

``types`` says how values are read, ``declare`` what an option is, ``values`` holds them, by name and as groups of typed attributes, ``resolve``
says where they come from and what is wrong with them, and ``general`` declares those of the core. Nothing here knows a pipeline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..renamed import earlier_name
from .declare import DeclaredOption, Option
from .general import GeneralOptions
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
    "Matching",
    "OneOf",
    "Option",
    "OptionGroup",
    "Options",
    "Seconds",
    "option",
    "resolve_options",
]

if not TYPE_CHECKING:  # a type checker would take every name to be there

    def __getattr__(name):
        return earlier_name(__name__, name)
