"""Reads the files of a project as they are: text, and YAML whose every scalar is a text."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from .errors import ProjectError

__all__ = ["parse_yaml", "read_text"]


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
def _loader() -> Any:
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class TextLoader(base):  # type: ignore[misc]
        """Every scalar is text, except null.

        YAML 1.1 would read the key ``on`` as true, ``no`` as false and 007 as 7.
        """

        yaml_implicit_resolvers = {  # noqa: RUF012
            first: [(tag, regexp) for tag, regexp in resolvers if tag == "tag:yaml.org,2002:null"]
            for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    return TextLoader


def parse_yaml(text: str, source: Path) -> Any:
    """Read YAML text; every scalar is a ``str`` or ``None``.

    Raises:
        ProjectError: with the file and the line.
    """
    import yaml

    try:
        return yaml.load(text, Loader=_loader())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # At the end of a file the parser points behind its last line.
        where = f"{source}:{min(mark.line + 1, len(text.splitlines()))}" if mark else str(source)
        hint = "; a value that begins with {{ has to stand in quotes" if "{{" in text else ""
        raise ProjectError(f"{where}: is not valid YAML: {error.problem or error.context}{hint}") from error
    except yaml.YAMLError as error:
        raise ProjectError(f"{source}: is not valid YAML: {error}") from error
