"""Options: declared once per plugin, read from one place, checked together.

``types`` says how values are read, ``declare`` what an option is, ``resolve`` where values come from and what is wrong with them, ``values`` holds
them, and ``general`` declares those of the core. Nothing here knows a pipeline.
"""

from __future__ import annotations

from .declare import Declared, Option, OptionGroup, option
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
from .values import Options

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
    "Declared",
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
