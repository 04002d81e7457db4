"""From a file of a project to plain Python values: variables first, then YAML, with errors that name the file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import ProjectError
from .sql_text import without_comments
from .templates import Rendering
from .undefined import Use, texts_of
from .variables import Variables
from .yaml_text import read_text, without_templates_in_comments
from .yaml_values import parse_yaml

__all__ = ["filled", "read_text", "read_yaml", "render", "render_sql"]


def render(text: str, variables: Mapping[str, str], source: Path) -> str:
    """Fill the references and Jinja expressions of a text; an undefined variable is empty, and reported.

    Args:
        text: what to fill; text without references comes back as it is.
        variables: the names that it may use.
        source: the file that the text is from, for messages.

    Raises:
        ProjectError: the template is broken, or a variable is missing and the project is strict.
    """
    known = Variables.of(variables)
    rendering = known.fill(text, source)
    known.reports.found(source, rendering.uses)
    return rendering.plain


def render_sql(text: str, variables: Mapping[str, str], source: Path) -> str:
    """Fill the references and Jinja expressions of SQL; what is undefined in a comment is not reported.

    Args:
        text: what to fill.
        variables: the names that it may use.
        source: the file that the text is from, for messages.

    Raises:
        ProjectError: the template is broken, or a variable is missing and the project is strict.
    """
    known = Variables.of(variables)
    rendering = known.fill(text, source)
    if rendering.uses:
        known.reports.found(source, rendering.uses_in(without_comments(rendering.marked)))
    return rendering.plain


def filled(path: Path, variables: Mapping[str, str]) -> Rendering:
    """The text of a YAML file, filled; nobody is told about what is undefined.

    Args:
        path: the file.
        variables: the names that it may use.

    Raises:
        ProjectError: the file cannot be read, or a template is broken.
    """
    known = Variables.of(variables)
    text = read_text(path)
    try:
        return known.fill(text, path)
    except ProjectError:
        # A comment may have anything. Only now, because what is a comment is certain only when the templates are filled.
        rest = without_templates_in_comments(text)
        if rest == text:
            raise
        return known.fill(rest, path)


def read_yaml(path: Path, variables: Mapping[str, str]) -> Any:
    """The values of a YAML file, its references and Jinja expressions filled.

    An undefined variable is empty, and reported when a value of the file needs it: what stands in a comment is none of them.

    Args:
        path: the file.
        variables: the names that it may use.

    Raises:
        ProjectError: the file cannot be read, rendered or parsed, or a variable is missing and the project is strict.
    """
    known = Variables.of(variables)
    rendering = filled(path, known)
    values = parse_yaml(rendering.plain, path)
    if rendering.uses:
        try:
            marked = parse_yaml(rendering.marked, path)
        except ProjectError:
            known.reports.found(path, rendering.uses)
        else:
            known.reports.found(
                path,
                [Use(use.path, use.name, where) for where, text in texts_of(marked) for use in rendering.uses_in(text)],
            )
    return values
