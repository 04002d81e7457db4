"""Documents of a service, which a plugin passes on without knowing their content."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from .types import Kind, NotAllowed

__all__ = ["DOCUMENT", "merge_under", "relative_to"]

_folder: ContextVar[str] = ContextVar("starlake_core_documents", default="")


@contextmanager
def relative_to(folder: str) -> Iterator[None]:
    """In this block, resolve paths of documents against the folder of the pipeline file.

    Args:
        folder: an absolute path, or empty for the working directory.
    """
    token = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(token)


def _read(value: Any) -> dict[str, Any]:
    if isinstance(value, (str, os.PathLike)):
        text = os.fspath(value)
        if isinstance(text, bytes):
            raise ValueError
        if not text.strip():
            return {}
        value = json.loads(text) if text.lstrip().startswith("{") else _file(text.strip())
    if not isinstance(value, Mapping):
        raise ValueError
    return {name: _plain(item, name) for name, item in _named(value, "the document").items()}


def _file(name: str) -> Any:
    path = os.path.join(_folder.get(), name)
    ending = os.path.splitext(path)[1].lower()
    if ending not in (".json", ".yml", ".yaml"):
        raise NotAllowed(f"the file name {name!r} does not end with .json, .yml or .yaml")
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError as error:
        raise NotAllowed(f"the file {path} cannot be read: {error.strerror}") from None
    if ending == ".json":
        try:
            return json.loads(text)
        except ValueError as error:
            raise NotAllowed(f"{path} is not JSON: {error}") from None
    try:
        import yaml
    except ImportError:
        raise NotAllowed(f"{path} is YAML, which needs a library: pip install pyyaml; or use JSON") from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise NotAllowed(f"{path} is not YAML: {' '.join(str(error).split())}") from None


def _named(value: Mapping[Any, Any], where: str) -> Mapping[str, Any]:
    for name in value:
        if not isinstance(name, str):
            raise NotAllowed(f"{name!r} in {where} is not a string, as names must be")
    return value


def _plain(value: Any, where: str) -> Any:
    """Return a copy that JSON can represent."""
    if isinstance(value, Mapping):
        return {name: _plain(item, f"{where}.{name}") for name, item in _named(value, where).items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{where}[{number}]") for number, item in enumerate(value)]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise NotAllowed(f"{where} is {value!r}; use only strings, numbers, true, false, lists and mappings")


DOCUMENT = Kind("document", "a mapping, a JSON object, or the path of a .json, .yml or .yaml file", _read)
"""A document of a service, as described in the service's own reference. Paths are relative to the pipeline file."""


def merge_under(own: Mapping[str, Any], given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Merge a user's document with what a plugin always sends. The plugin's values win.

    Args:
        own: the plugin's document.
        given: the user's document.

    Returns:
        The merged document, and the paths (``config.worker.count``) at which the two have different values. Mappings
        are merged at all depths; lists and plain values are not.
    """
    merged: dict[str, Any] = dict(given)
    conflicts: list[str] = []
    for name, value in own.items():
        if name not in given:
            merged[name] = value
        elif isinstance(value, Mapping) and isinstance(given[name], Mapping):
            merged[name], inner = merge_under(value, given[name])
            conflicts += [f"{name}.{one}" for one in inner]
        else:
            merged[name] = value
            if given[name] != value:
                conflicts.append(name)
    return merged, conflicts
