"""Reads the files of a project as the structures of its model, each file once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from .documents import broken_document, document_of, wrong_value
from .errors import ProjectError
from .schema import File
from .text import filled, read_yaml
from .variables import Variables

__all__ = ["Reader"]

_File = TypeVar("_File", bound=File)


class Reader:
    """Reads files, and keeps the result of each.

    Args:
        variables: the variables that Jinja expressions may use.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = variables
        self._silent = Variables.of(variables).reports.silent
        self._read: dict[Path, Any] = {}

    def read(self, path: Path, file: type[_File]) -> _File:
        """Return a file as its model.

        Raises:
            ProjectError: the file cannot be read or rendered, or is invalid.
        """
        known = self._read.get(path)
        if known is None:
            known = self._read[path] = self._document(path, file)
        found: _File = known
        return found

    def _document(self, path: Path, file: type[_File]) -> _File:
        try:
            values = read_yaml(path, self.variables)
        except ProjectError as error:
            if error.problems:  # found by the YAML parser; the model may find more
                raise broken_document(self.text(path), path, file, error) from None
            raise
        return document_of(values, path, file, lambda: self.text(path), self._silent)

    def text(self, path: Path) -> str:
        """Return the rendered text of a file.

        Raises:
            ProjectError: the file cannot be read or rendered.
        """
        return filled(path, self.variables).plain

    def line(self, path: Path, keys: tuple[str | int, ...]) -> int | None:
        """Return the line of a key in a file, counted from 1; None if there is no such file.

        Args:
            path: the path of the file.
            keys: the path of keys.
        """
        from .diagnosis import line_of, located_document

        return line_of(located_document(self.text(path), path, str(keys[0]), []), keys) if path.is_file() else None

    def wrong(self, path: Path, file: type[File], keys: tuple[str | int, ...], message: str) -> ProjectError:
        """Return an error about a value that the model accepts but that is invalid.

        Args:
            path: the path of the file.
            file: the model of the file.
            keys: the path of keys to the value.
            message: what is wrong.
        """
        return wrong_value(self.text(path), path, file, keys, message)
