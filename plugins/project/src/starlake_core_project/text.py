"""Reads a file of a project as plain Python values: first variables, then YAML, with errors that name the file."""

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
    """Fill in the variables and Jinja expressions of a string. An undefined variable is empty, and reported.

    Args:
        text: the string; without references, it is returned unchanged.
        variables: the variables that it may use.
        source: the file that the string is from, for messages.

    Raises:
        ProjectError: the template is invalid, or a variable is undefined and the project is strict.
    """
    known = Variables.of(variables)
    rendering = known.fill(text, source)
    known.reports.found(source, rendering.uses)
    return rendering.plain


def render_sql(text: str, variables: Mapping[str, str], source: Path) -> str:
    """Fill in the variables and Jinja expressions of SQL. Undefined variables in comments are not reported.

    Args:
        text: the SQL.
        variables: the variables that it may use.
        source: the file that the SQL is from, for messages.

    Raises:
        ProjectError: the template is invalid, or a variable is undefined and the project is strict.
    """
    known = Variables.of(variables)
    rendering = known.fill(text, source)
    if rendering.uses:
        known.reports.found(source, rendering.uses_in(without_comments(rendering.marked)))
    return rendering.plain


def filled(path: Path, variables: Mapping[str, str]) -> Rendering:
    """Render a YAML file, without reporting undefined variables.

    Args:
        path: the file.
        variables: the variables that it may use.

    Raises:
        ProjectError: the file cannot be read, or a template is invalid.
    """
    known = Variables.of(variables)
    text = read_text(path)
    try:
        return known.fill(text, path)
    except ProjectError:
        # A comment may contain anything. It is removed only now, because before rendering it is not certain what is a comment.
        rest = without_templates_in_comments(text)
        if rest == text:
            raise
        return known.fill(rest, path)


def read_yaml(path: Path, variables: Mapping[str, str]) -> Any:
    """Return the values of a YAML file, with its variables and Jinja expressions filled in.

    An undefined variable is empty. It is reported if a value of the file uses it, but not if only a comment does.

    Args:
        path: the file.
        variables: the variables that it may use.

    Raises:
        ProjectError: the file cannot be read, rendered or parsed, or a variable is undefined and the project is strict.
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
