"""Reads the files of a project as the structures of its model, each file once.

The fast way has no positions: libyaml, then msgspec. Only a file that is not what it should be is read again, by :mod:`.diagnosis`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from .errors import Problem, ProjectError
from .keys import Keys
from .migration import migrate
from .schema import DomainFile, File, MigratedDomainFile
from .text import read_text, render
from .yaml_values import yaml_values

__all__ = ["Reader", "read_document"]

_log = logging.getLogger(__name__)
_File = TypeVar("_File", bound=File)


def read_document(text: str, path: Path, file: type[_File]) -> _File:
    """The content of a file, as its model.

    Args:
        text: of the file, rendered.
        path: of the file, for messages.
        file: the model. A file of a domain without version may come back as :class:`.schema.MigratedDomainFile`.

    Raises:
        ProjectError: with everything that is wrong in the file.
    """
    root = _root(file)
    values = yaml_values(text, path)
    model: type[Keys] = file
    if values is None:
        values = {"version": "1", root: None}
    elif not isinstance(values, dict) or "version" not in values:
        values, note = migrate(values, root)
        _log.warning("%s", Problem(path, note))
        model = MigratedDomainFile if file is DomainFile else file
    try:
        return msgspec.convert(values, model, strict=False)  # type: ignore[return-value]
    except msgspec.ValidationError as error:
        from .diagnosis import diagnose

        raise ProjectError(problems=diagnose(text, path, model, root) or [Problem(path, str(error))]) from None


def _root(file: type[Keys]) -> str:
    return next(name for name in file.__struct_encode_fields__ if name != "version")


class Reader:
    """Reads files with some variables; what was read once is kept.

    Args:
        variables: what Jinja expressions may use.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = variables
        self._read: dict[Path, Any] = {}

    def read(self, path: Path, file: type[_File]) -> _File:
        """A file as its model.

        Raises:
            ProjectError: it cannot be read or rendered, or is not what it should be.
        """
        known = self._read.get(path)
        if known is None:
            known = self._read[path] = read_document(render(read_text(path), self.variables, path), path, file)
        found: _File = known
        return found

    def wrong(self, path: Path, file: type[File], keys: tuple[str | int, ...], message: str) -> ProjectError:
        """The error about a value that the model allows and that means nothing all the same.

        Args:
            path: of the file.
            file: the model of the file.
            keys: the way to the value.
            message: what is wrong.
        """
        from .diagnosis import line_of, located_document

        text = render(read_text(path), self.variables, path)
        return ProjectError(
            problems=[Problem(path, message, line_of(located_document(text, path, _root(file), []), keys))]
        )
