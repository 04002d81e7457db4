"""The declaration of an option."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import PluginContractError, ScheduleError
from .types import Kind

__all__ = ["DeclaredOption", "Option", "OwnNames"]

_FROM_NAME = "<from the name>"
_TEXTS = ("str", "enum", "timezone", "cron", "strategy", "document")
"""Types whose values are strings, or which depend on the pipeline file."""


@dataclass(frozen=True)
class Option:
    """An option of a plugin.

    Attributes:
        name: the key in the options.
        type: the type of its value.
        default: the value if none is given, typed or as users write it (``"1d"``); None if there is no default.
        required: whether a value must be given.
        doc: one sentence for tables and messages.
        env: the environment variable that can set it; ``SL_<NAME>`` by default (without a second ``sl_``), empty for
            none.
        aliases: other keys for the same option, from earlier generators.
        effective: whether it has an effect; False if it is accepted only because existing files set it.
    """

    name: str
    type: Kind[Any]
    default: Any = None
    required: bool = False
    doc: str = ""
    env: str = _FROM_NAME
    aliases: tuple[str, ...] = ()
    effective: bool = True

    def __post_init__(self) -> None:
        if self.env == _FROM_NAME:
            upper = self.name.upper()
            object.__setattr__(self, "env", upper if upper.startswith("SL_") else f"SL_{upper}")
        if isinstance(self.default, str) and self.type.name not in _TEXTS:
            object.__setattr__(self, "default", self._read_default())

    def _read_default(self) -> Any:
        try:
            return self.type.read(self.default)
        except (ValueError, TypeError, KeyError, IndexError, OverflowError, ScheduleError):
            raise PluginContractError(
                f"{self.default!r} is not a valid default of option '{self.name}'; use {self.type.allowed}"
            ) from None


@dataclass(frozen=True)
class DeclaredOption:
    """An option and the plugin that declares it, which is ``core`` for general options."""

    option: Option
    plugin: str


@dataclass(frozen=True)
class OwnNames:
    """The names reserved for a plugin. A name with one of its prefixes that is not one of its options is a mistake.

    Attributes:
        plugin: its name.
        prefixes: its prefixes.
        elsewhere: names that are not options but belong somewhere else, each with a sentence that says what to type.
    """

    plugin: str
    prefixes: tuple[str, ...]
    elsewhere: Mapping[str, str] = field(default_factory=dict)
