"""From a file to plain Python values: Jinja first, then YAML, with errors that name the file."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ProjectError
from .yaml_values import parse_yaml

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

__all__ = ["parse_yaml", "read_text", "read_yaml", "render"]

_MARKS = ("{{", "{%", "{#")
_NAME = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}")
_UNDEFINED = re.compile(r"'([^']+)' is undefined")


def read_text(path: Path) -> str:
    """The content of a file of the project.

    Raises:
        ProjectError: it cannot be read or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ProjectError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ProjectError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from error


@functools.cache
def _jinja() -> SandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    return SandboxedEnvironment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)


def _filled(text: str, variables: Mapping[str, str]) -> str | None:
    """The text when it holds nothing but names that are known; importing Jinja costs as much as a small command."""
    if any(mark in _NAME.sub("", text) for mark in _MARKS):
        return None
    if not all(name in variables for name in _NAME.findall(text)):
        return None
    return _NAME.sub(lambda found: variables[found.group(1)], text)


def render(text: str, variables: Mapping[str, str], source: Path) -> str:
    """Fill the Jinja expressions of a text.

    Args:
        text: what to fill; text without Jinja marks comes back as it is.
        variables: the names that it may use.
        source: the file that the text is from, for messages.

    Raises:
        ProjectError: a variable is missing, or the template is broken.
    """
    if not any(mark in text for mark in _MARKS):
        return text
    filled = _filled(text, variables)
    if filled is not None:
        return filled
    from jinja2 import TemplateError, TemplateSyntaxError, UndefinedError

    try:
        return _jinja().from_string(text).render(variables)
    except UndefinedError as error:
        found = _UNDEFINED.search(str(error))
        what = f"variable '{found.group(1)}' is not defined" if found else str(error)
        raise ProjectError(
            f"{source}: {what}; define it in metadata/env.sl.yml, in the environment or with --options"
        ) from error
    except TemplateSyntaxError as error:
        raise ProjectError(f"{source}:{error.lineno}: the template is broken: {error.message}") from error
    except TemplateError as error:
        raise ProjectError(f"{source}: the template fails: {error}") from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ProjectError(f"{source}: the template fails: {type(error).__name__}: {error}") from error


def read_yaml(path: Path, variables: Mapping[str, str]) -> Any:
    """The values of a YAML file, its Jinja expressions filled.

    Raises:
        ProjectError: the file cannot be read, rendered or parsed.
    """
    return parse_yaml(render(read_text(path), variables, path), path)
