"""Users' classes: jobs by orchestrator and environment, orchestrations by orchestrator; registered, or found by their entry points."""

from __future__ import annotations

import enum
import functools
import importlib
import inspect
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from starlake_core import PluginContractError, PluginLoadError
from starlake_core.plugins import installed

__all__ = ["JOBS", "ORCHESTRATIONS", "Registry", "is_installed", "word", "word_of"]

_ALIASES = {"composer": "airflow"}


def word(value: Any) -> str:
    """The word that a value is; empty for None and for a plugin object, which has none."""
    if not isinstance(value, str):
        return ""
    text = str(value.value if isinstance(value, enum.Enum) else value).lower()
    return _ALIASES.get(text, text)


def word_of(owner: Any, method: str) -> str:
    """The result of ``sl_orchestrator`` or ``sl_execution_environment`` of a class or an object.

    The documentation prints these methods with and without ``@classmethod``; both are accepted.

    Args:
        owner: the class or object.
        method: the name of the method.

    Returns:
        The word in lower case; empty if there is none.
    """
    found = inspect.getattr_static(owner, method, None)
    if inspect.isfunction(found) and isinstance(owner, type):
        return word(found(owner))
    return word(getattr(owner, method)())


def is_installed(orchestrator: str) -> bool:
    """Whether a word names an orchestrator of this project, or none, in which case one is chosen when the file is loaded."""
    return not orchestrator or orchestrator in {plugin.name.lower() for plugin in installed("orchestrator")}


class Registry:
    """Classes by words.

    Args:
        group: the group of the entry points, each of which names a class.
        methods: the methods of a class that return the words.
    """

    def __init__(self, group: str, *methods: str) -> None:
        self.group = group
        self._methods = methods
        self._known: dict[tuple[str, ...], type] = {}

    def words(self, made: type) -> tuple[str, ...]:
        """The words of a class.

        Raises:
            PluginContractError: one of them is missing.
        """
        words = tuple(word_of(made, method) for method in self._methods)
        for method, word in zip(self._methods, words, strict=True):
            if not word:
                raise PluginContractError(
                    f"{made.__name__}.{method}() returns no word; let it return the word that pipeline files use: "
                    f"def {method}(cls): return 'my_word'"
                )
        return words

    def register(self, made: type, base: type) -> None:
        """Register a class, in place of an earlier one with the same words.

        Args:
            made: the class.
            base: the class that it must derive from.

        Raises:
            PluginContractError: it is not such a class, or has no words.
        """
        if not isinstance(made, type) or not issubclass(made, base):
            raise PluginContractError(f"{made!r} cannot be registered; it must be a subclass of {base.__name__}")
        self._known[self.words(made)] = made

    def register_module(self, name: str, base: type) -> None:
        """Import one module and register the classes that it defines or imports; submodules are not searched.

        Args:
            name: the name of the module or package.
            base: the class that they must derive from.

        Raises:
            PluginLoadError: it cannot be imported.
        """
        for found in vars(_imported(name)).values():
            if (
                isinstance(found, type)
                and issubclass(found, base)
                and not found.__module__.startswith("starlake_core_compat.")
            ):
                self.register(found, base)

    def find(self, *words: str) -> type | None:
        """The class with some words; None if none is registered."""
        return self._known.get(words)

    def load(self, base: type, *words: str) -> type | None:
        """The class with some words, among those that installed distributions offer.

        Args:
            base: the class that it must derive from.
            *words: the words of the class.

        Raises:
            PluginLoadError: an entry point of the group does not load.
        """
        for entry_point in _offered(self.group):
            try:
                found = entry_point.load()
            except Exception as error:
                raise PluginLoadError(
                    f"entry point '{entry_point.name}' of group {self.group} ({entry_point.value}) does not load: "
                    f"{type(error).__name__}: {error}"
                ) from error
            self.register(found, base)
        return self.find(*words)


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise PluginLoadError(f"package '{name}' cannot be imported: {error}") from error


@functools.cache
def _offered(group: str) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=group))


JOBS = Registry("starlake_core_compat.jobs", "sl_orchestrator", "sl_execution_environment")
ORCHESTRATIONS = Registry("starlake_core_compat.orchestrations", "sl_orchestrator")
