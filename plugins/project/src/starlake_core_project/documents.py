"""Converts the values of a file to the structures of the model.

The fast path, libyaml and then msgspec, has no positions. Only an invalid file is read again, by :mod:`.diagnosis`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from .errors import Problem, ProjectError
from .keys import Keys
from .migration import migrate
from .schema import DomainFile, File, MigratedDomainFile

__all__ = ["broken_document", "document_of", "wrong_value"]

_log = logging.getLogger(__name__)
_File = TypeVar("_File", bound=File)


def document_of(values: Any, path: Path, file: type[_File], text: Callable[[], str], silent: bool = False) -> _File:
    """Return the content of a file as its model.

    Args:
        values: the values of the file, from the YAML parser.
        path: the path of the file, for messages.
        file: the model. The result for a domain file without ``version`` may be a :class:`.schema.MigratedDomainFile`.
        text: returns the rendered text of the file; only called if the file is invalid.
        silent: do not warn about a file without ``version``.

    Raises:
        ProjectError: the file is invalid; lists every problem in it.
    """
    root = _root(file)
    model: type[Keys] = file
    if values is None:
        values = {"version": "1", root: None}
    elif not isinstance(values, dict) or "version" not in values:
        values, note = migrate(values, root)
        if not silent:
            _log.warning("%s", Problem(path, note))
        model = MigratedDomainFile if file is DomainFile else file
    try:
        return msgspec.convert(values, model, strict=False)  # type: ignore[return-value]
    except msgspec.ValidationError as error:
        from .diagnosis import diagnose

        raise ProjectError(problems=diagnose(text(), path, model, root) or [Problem(path, str(error))]) from None


def _root(file: type[Keys]) -> str:
    return next(name for name in file.__struct_encode_fields__ if name != "version")


def broken_document(text: str, path: Path, file: type[File], found: ProjectError) -> ProjectError:
    """Return an error that lists every problem of a file that is not valid YAML.

    Args:
        text: the rendered text of the file.
        path: the path of the file.
        file: the model of the file.
        found: the error of the parser.
    """
    from .diagnosis import diagnose

    return ProjectError(problems=diagnose(text, path, file, _root(file)) or found.problems)


def wrong_value(text: str, path: Path, file: type[File], keys: tuple[str | int, ...], message: str) -> ProjectError:
    """Return an error about a value that the model accepts but that is invalid.

    Args:
        text: the rendered text of the file.
        path: the path of the file.
        file: the model of the file.
        keys: the path of keys to the value.
        message: what is wrong.
    """
    from .diagnosis import line_of, located_document

    return ProjectError(problems=[Problem(path, message, line_of(located_document(text, path, _root(file), []), keys))])
