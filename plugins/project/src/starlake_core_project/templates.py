"""Renders ``{{ name }}``, ``${name}`` and Jinja templates, as Starlake does.

Jinja is imported only if a string needs more than names, because the import takes as long as a small command. It is sandboxed. ``{% include %}``
and ``{% import %}`` only read files below ``metadata``. The macros of ``metadata/expectations`` and ``metadata/macros`` are available everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ProjectError
from .undefined import Use

if TYPE_CHECKING:
    from jinja2 import nodes
    from jinja2.sandbox import SandboxedEnvironment

__all__ = ["Names", "Rendering", "Templates", "names_in"]

_MARKS = ("{{", "{%", "{#")
_NAME = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}|\$\{\s*([^\s{}$]+)\s*\}")
_DOLLAR = re.compile(r"\$\{\s*([^\s{}$]+)\s*\}")
_UNDEFINED = re.compile(r"'([^']+)' is undefined")
_OF_JINJA = frozenset({
    "True", "False", "None", "true", "false", "none", "range", "dict", "lipsum", "cycler", "joiner", "namespace", "self", "super", "loop", "caller",
    "varargs", "kwargs",
})  # fmt: skip
_MACROS = (".j2", ".sql")


class Names:
    """The names that a template may use.

    Args:
        values: the values of variables, by name.
        elsewhere: tells whether another environment defines a name; such a name is defined, and empty.
        incomplete: the undefined variables, by the name of the variable that needs them.
        strict: testing an undefined variable is an error.
    """

    def __init__(
        self,
        values: Mapping[str, str],
        elsewhere: Callable[[str], bool] | None = None,
        incomplete: Mapping[str, tuple[Use, ...]] | None = None,
        strict: bool = False,
    ) -> None:
        self.values = values
        self.incomplete = incomplete or {}
        self.strict = strict
        self._elsewhere = elsewhere

    def __contains__(self, name: str) -> bool:
        return name in self.values or (self._elsewhere is not None and self._elsewhere(name))

    def __getitem__(self, name: str) -> str:
        return self.values.get(name, "")


@dataclass
class Rendering:
    """A rendered template that records the positions of undefined variables.

    Attributes:
        source: the file of the template.
        marked: the rendered text, with a mark at each undefined variable.
        mark: the character around each mark, which does not occur in the template.
        uses: the undefined variable of each mark.
        plain: the rendered text without marks.
    """

    source: Path
    mark: str
    marked: str = ""
    plain: str = ""
    uses: list[Use] = field(default_factory=list)
    dollars: list[str] = field(default_factory=list)
    marking: bool = True
    strict: bool = False
    names: Names = field(default_factory=lambda: Names({}))

    def unknown(self, name: str) -> str:
        """Return the text for a name without a value, and record the name if it is undefined."""
        return "" if name in self.names else self.noted((Use(self.source, name),), "")

    def noted(self, uses: Iterable[Use], value: str) -> str:
        """Return a value that needs undefined variables, with their marks."""
        if not self.marking:
            return value
        marks = []
        for use in uses:
            if use not in self.uses:
                self.uses.append(use)
            marks.append(f"{self.mark}u{self.uses.index(use)}{self.mark}")
        return "".join(marks) + value

    def value(self, name: str) -> str:
        """Return the text for a name."""
        if name not in self.names:
            return self.unknown(name)
        incomplete = self.names.incomplete.get(name)
        return self.noted(incomplete, self.names[name]) if incomplete else self.names[name]

    def uses_in(self, text: str) -> list[Use]:
        """Return the undefined variables whose marks are in a part of the text."""
        return [self.uses[int(number)] for number in re.findall(f"{self.mark}u(\\d+){self.mark}", text)]

    def without_marks(self, text: str) -> str:
        """Return a part of the text without marks."""
        return re.sub(f"{self.mark}u\\d+{self.mark}", "", text) if self.uses else text


_current: ContextVar[Rendering] = ContextVar("rendering")


def _unused_character(text: str) -> str:
    return next(chr(code) for code in range(0xE000, 0xF8FF) if chr(code) not in text)


def _simple(text: str, names: Names) -> bool:
    """Return whether the template uses only names; ``true`` in ``{{ true }}`` is not a name."""
    if any(mark in _NAME.sub("", text) for mark in _MARKS):
        return False
    return all(name in names.values or name not in _OF_JINJA for name, _ in _NAME.findall(text))


def names_in(text: str, templates: Templates, source: Path) -> frozenset[str]:
    """Return the names that a template refers to, except those that Jinja or the template itself defines.

    Raises:
        ProjectError: the template is invalid.
    """
    found = {first or second for first, second in _NAME.findall(text)}
    if not any(mark in _NAME.sub("", text) for mark in _MARKS):
        return frozenset(found - _OF_JINJA)
    return templates.undeclared(text, source) | set(_DOLLAR.findall(text))


class Templates:
    """The templates of a project.

    Args:
        metadata: the folder whose files templates may include; None if there is none.
    """

    def __init__(self, metadata: Path | None) -> None:
        self._metadata = metadata
        self._jinja: SandboxedEnvironment | None = None
        self._macros: str | None = None
        self._broken: list[ProjectError] = []

    def render(self, text: str, names: Names, source: Path) -> Rendering:
        """Render a template.

        Args:
            text: the template; without references, it is returned unchanged.
            names: the names that it may use.
            source: the file that the template is from, for messages.

        Raises:
            ProjectError: the template is invalid, or fails.
        """
        if not any(mark in text for mark in _MARKS) and "${" not in text:
            return Rendering(source, "", text, text)
        rendering = Rendering(source, _unused_character(text), names=names, strict=names.strict)
        if _simple(text, names):
            rendering.marked = _NAME.sub(lambda found: self._named(rendering, found), text)
            rendering.plain = rendering.without_marks(rendering.marked)
            return rendering
        rendering.marked = rendering.plain = self._rendered(text, rendering)
        if rendering.uses:
            # Render again without marks, because a template may inspect a value, and a mark is not part of it.
            rendering.marking = False
            rendering.plain = self._rendered(text, rendering)
        return rendering

    @staticmethod
    def _named(rendering: Rendering, found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if found[2] is not None and name not in rendering.names:
            return found[0]  # for Starlake, it is a reference only if the variable exists
        return rendering.value(name)

    def undeclared(self, text: str, source: Path) -> frozenset[str]:
        """Return the variables of a template.

        Raises:
            ProjectError: the template is invalid.
        """
        from jinja2 import meta

        return frozenset(meta.find_undeclared_variables(self._parsed(text, source)))

    def _parsed(self, text: str, source: Path) -> nodes.Template:
        from jinja2 import TemplateSyntaxError

        try:
            return self._environment().parse(text)
        except TemplateSyntaxError as error:
            raise ProjectError(f"{source}:{error.lineno}: the template is invalid: {error.message}") from error

    def _rendered(self, text: str, rendering: Rendering) -> str:
        from jinja2 import TemplateError, TemplateNotFound, TemplateSyntaxError, UndefinedError, meta, nodes

        source, names = rendering.source, rendering.names
        token = _current.set(rendering)
        rendering.dollars.clear()
        try:
            tree = self._parsed(text, source)
            wanted = meta.find_undeclared_variables(tree) - _OF_JINJA
            context = {**names.values, **{name: rendering.value(name) for name in wanted if name in names.incomplete}}
            others = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)
            if not wanted <= context.keys() or any(tree.find(kind) is not None for kind in others):
                context = {**self._macros_for(context, rendering), **context}
            filled = self._environment().from_string(tree).render(context)
        except UndefinedError as error:
            if self._broken:  # what is missing may be in the file of macros that is invalid
                raise self._broken[0] from error
            found = _UNDEFINED.search(str(error))
            what = f"{found[1]!r} is not defined, and the template needs it" if found else str(error)
            raise ProjectError(
                f"{source}: {what}; define variables in metadata/env.sl.yml and macros in metadata/macros/*.j2"
            ) from error
        except TemplateNotFound as error:
            raise ProjectError(
                f"{source}: the template includes {error.message!r}, which is not a file below {self._metadata}; "
                "give its path relative to that folder"
            ) from error
        except TemplateSyntaxError as error:
            raise ProjectError(
                f"{error.filename or source}:{error.lineno}: the template is invalid: {error.message}"
            ) from error
        except TemplateError as error:
            raise ProjectError(f"{source}: the template fails: {error}") from error
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise ProjectError(f"{source}: the template fails: {type(error).__name__}: {error}") from error
        finally:
            _current.reset(token)
        if rendering.dollars:
            mark = rendering.mark
            filled = re.sub(f"{mark}d(\\d+){mark}", lambda found: rendering.dollars[int(found[1])], filled)
        return filled

    def _macros_for(self, context: Mapping[str, str], rendering: Rendering) -> dict[str, Any]:
        """Return the macros of the project by name; nothing else from their files reaches the template."""
        if self._macros is None:
            self._macros = self._macro_text()
        if not self._macros:
            return {}
        known = len(rendering.uses)
        module = self._environment().from_string(self._macros).make_module(dict(context))
        del rendering.uses[known:]  # from the text around the macros, which is discarded
        return {name: value for name, value in vars(module).items() if not name.startswith("_")}

    def _macro_text(self) -> str:
        # All files form one template, as in Starlake, so that a macro can call a macro of another file. A file that is invalid is left out:
        # Starlake's own samples have such files, which matter only to what needs them.
        from .yaml_text import read_text

        parts: list[str] = []
        for folder in ("expectations", "macros"):
            below = self._metadata / folder if self._metadata is not None else None
            for path in sorted(below.rglob("*")) if below is not None and below.is_dir() else ():
                if path.name.endswith(_MACROS) and path.is_file():
                    text = read_text(path).rstrip("\n") + "\n"
                    try:
                        self._parsed(text, path)
                    except ProjectError as error:
                        self._broken.append(error)
                    else:
                        parts.append(text)
        return "".join(parts)

    def _environment(self) -> SandboxedEnvironment:
        if self._jinja is None:
            from .jinja import environment

            self._jinja = environment(self._metadata, _current)
        return self._jinja
