"""The Jinja environment: sandboxed, limited to one folder, and lenient about undefined variables."""

from __future__ import annotations

import re
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from jinja2 import BaseLoader, ChainableUndefined, Environment, TemplateNotFound, UndefinedError
from jinja2.ext import Extension
from jinja2.sandbox import SandboxedEnvironment

__all__ = ["environment"]

_DOLLAR = re.compile(r"\$\{\s*([^\s{}$]+)\s*\}")


class _Below(BaseLoader):
    """Reads templates below a folder; neither ``..`` nor a link can escape from it."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, None]:
        from .yaml_text import read_text

        if self._folder is None or "\0" in template:
            raise TemplateNotFound(template)
        root = self._folder.resolve()
        path = (root / template).resolve()
        if root not in path.parents or not path.is_file():
            raise TemplateNotFound(template)
        return read_text(path), str(path), None


def environment(folder: Path | None, current: ContextVar[Any]) -> SandboxedEnvironment:
    """Create the Jinja environment of one project.

    Args:
        folder: the folder from which templates may be included.
        current: the rendering in progress; it resolves undefined names and ``${name}``.
    """

    class Unknown(ChainableUndefined):
        """An undefined variable: empty, recorded when it is rendered, and false unless the project is strict."""

        __slots__ = ()

        def __str__(self) -> str:
            if self._undefined_exception is not UndefinedError:  # the sandbox refused it
                self._fail_with_undefined_error()
            return str(current.get().unknown(self._undefined_name or ""))

        def __bool__(self) -> bool:
            if current.get().strict and self._undefined_name not in current.get().names:
                self._fail_with_undefined_error()
            return False

    class Dollars(Extension):
        """Supports ``${name}`` in every template, included ones as well. Values are inserted after Jinja has run, so they are never templates."""

        def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
            rendering = current.get(None)
            if rendering is None or "${" not in source:
                return source

            def kept(found: re.Match[str]) -> str:
                if found[1] not in rendering.names:
                    return found[0]
                rendering.dollars.append(rendering.value(found[1]))
                return f"{rendering.mark}d{len(rendering.dollars) - 1}{rendering.mark}"

            return _DOLLAR.sub(kept, source)

    return SandboxedEnvironment(
        loader=_Below(folder),
        undefined=Unknown,
        extensions=[Dollars],
        autoescape=False,
        keep_trailing_newline=True,
        cache_size=0,
    )
