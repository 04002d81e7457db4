"""What an option is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .types import Kind

__all__ = ["DeclaredOption", "Option", "OwnNames"]

_FROM_NAME = "<from the name>"


@dataclass(frozen=True)
class Option:
    """One option that a plugin understands.

    Attributes:
        name: the key in the options.
        type: how its value is read.
        default: the typed value when nothing is given; None where there is none.
        required: whether a value must be given.
        doc: one sentence for tables and messages.
        env: the environment variable that may give it. By default ``SL_<NAME>`` (a name that begins with
            ``sl_`` keeps its own prefix); the empty string means that no variable is read.
        aliases: other keys for the same option, from earlier generators.
        effective: whether it changes anything. False for one that is accepted only because existing files give it.
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


@dataclass(frozen=True)
class DeclaredOption:
    """An option with the plugin that declares it, ``core`` for the general ones."""

    option: Option
    plugin: str


@dataclass(frozen=True)
class OwnNames:
    """The names that belong to a plugin: what begins so and is no option of it is a mistake.

    Attributes:
        plugin: its name.
        prefixes: beginnings of names.
        elsewhere: names of what is no option of it, to where it belongs, as a sentence with what to type.
    """

    plugin: str
    prefixes: tuple[str, ...]
    elsewhere: Mapping[str, str] = field(default_factory=dict)
