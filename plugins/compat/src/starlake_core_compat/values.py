"""``StarlakeOptions``: values from the options of a file, the environment, and defaults, by name."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from starlake_core import OptionsError, StarlakeError

__all__ = ["MissingEnvironmentVariable", "StarlakeOptions"]


class MissingEnvironmentVariable(StarlakeError):
    """A required value is not set."""


class StarlakeOptions:
    """The documented way to read one value. Jobs inherit it."""

    @classmethod
    def get_context_var(
        cls, var_name: str, default_value: Any = None, options: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> Any:
        """The value for a name: from the options, or the environment variable, or the default, or else from :meth:`find`.

        ``0``, ``False`` and the empty string are values like any other; ``None`` counts as missing.

        Args:
            var_name: the name, the same in every place.
            default_value: the value if no other is set.
            options: the options of the file.
            **kwargs: values by name, used after the options.

        Raises:
            MissingEnvironmentVariable: there is no value, and no default.
        """
        for place in (options or {}, kwargs, os.environ):
            if place.get(var_name) is not None:
                return place[var_name]
        if default_value is not None:
            return default_value
        found = cls.find(var_name)
        if found is not None:
            return found
        raise MissingEnvironmentVariable(
            f"'{var_name}' has no value: it is neither in the options nor an environment variable, and has no default. Set it in "
            f"the options of the file: options = {{'{var_name}': ...}}"
        )

    @classmethod
    def find(cls, var_name: str) -> Any:
        """A value of the orchestrator, used only if nothing else sets one; None for none.

        Args:
            var_name: the name.
        """
        return None

    @classmethod
    def get_sl_env_vars(cls, options: Mapping[str, Any] | None = None) -> dict[str, str]:
        """The Starlake variables of the option ``sl_env_var``.

        Args:
            options: the options of the file.

        Raises:
            OptionsError: the option is not a JSON object.
        """
        given = cls.get_context_var("sl_env_var", {}, options)
        try:
            found = json.loads(given or "{}") if isinstance(given, str) else given
            return {str(name): str(value) for name, value in found.items()}
        except (ValueError, AttributeError):
            raise OptionsError(
                [
                    f'option \'sl_env_var\': {given!r} is not allowed; it takes a JSON object such as {{"SL_ROOT": "/project"}}'
                ]
            ) from None

    @classmethod
    def get_sl_root(cls, options: Mapping[str, Any] | None = None) -> str:
        """The root of the project; the working directory if nothing sets it.

        Args:
            options: the options of the file.
        """
        return str(cls.get_context_var("SL_ROOT", ".", cls.get_sl_env_vars(options)))

    @classmethod
    def get_sl_datasets(cls, options: Mapping[str, Any] | None = None) -> str:
        """The folder of incoming and pending files.

        Args:
            options: the options of the file.
        """
        default = f"{cls.get_sl_root(options).rstrip('/')}/datasets"
        return str(cls.get_context_var("SL_DATASETS", default, cls.get_sl_env_vars(options)))
