"""What Jinja is asked to be: sandboxed, kept below one folder, and patient with what nobody defined."""

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
    """Reads templates below a folder; neither ``..`` nor a link leads out of it."""

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
    """The Jinja of one project.

    Args:
        folder: which templates may be included from.
        current: the rendering at work; it knows what an undefined name and ``${name}`` stand for.
    """

    class Unknown(ChainableUndefined):
        """Empty, and remembered when it becomes text; false, unless the project is strict."""

        __slots__ = ()

        def __str__(self) -> str:
            if self._undefined_exception is not UndefinedError:  # what the sandbox keeps
                self._fail_with_undefined_error()
            return str(current.get().unknown(self._undefined_name or ""))

        def __bool__(self) -> bool:
            if current.get().strict and self._undefined_name not in current.get().names:
                self._fail_with_undefined_error()
            return False

    class Dollars(Extension):
        """``${name}`` in any template, an included one too: the value comes in after Jinja, so that nothing in it is a template."""

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
