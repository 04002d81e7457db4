"""From the values of a file to the structures of the model.

The fast way has no positions: libyaml, then msgspec. Only a file that is not what it should be is read again, by :mod:`.diagnosis`.
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
    """The content of a file, as its model.

    Args:
        values: what the file says, from the YAML parser.
        path: of the file, for messages.
        file: the model. A file of a domain without version may come back as :class:`.schema.MigratedDomainFile`.
        text: gives the text of the file, rendered; called where something is wrong.
        silent: the file is looked at and not used: say nothing about an old one.

    Raises:
        ProjectError: with everything that is wrong in the file.
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
    """Everything that is wrong with a file that is no good YAML.

    Args:
        text: of the file, rendered.
        path: of the file.
        file: the model of the file.
        found: what the parser said.
    """
    from .diagnosis import diagnose

    return ProjectError(problems=diagnose(text, path, file, _root(file)) or found.problems)


def wrong_value(text: str, path: Path, file: type[File], keys: tuple[str | int, ...], message: str) -> ProjectError:
    """The error about a value that the model allows and that means nothing all the same.

    Args:
        text: of the file, rendered.
        path: of the file.
        file: the model of the file.
        keys: the way to the value.
        message: what is wrong.
    """
    from .diagnosis import line_of, located_document

    return ProjectError(problems=[Problem(path, message, line_of(located_document(text, path, _root(file), []), keys))])
