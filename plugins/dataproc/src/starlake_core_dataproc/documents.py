"""What users pass on to Dataproc unchanged: the documents of ``dataproc_cluster_config`` and ``dataproc_batch_config``.

A document may use the spelling of the REST reference or that of the SDK. A value that a user sets with an option stays, and a document
that contradicts it is an error; a default value of an option gives way to the document.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, TypeVar

from starlake_core import OptionsError, merge_under
from starlake_core.errors import did_you_mean
from starlake_core.logs import get_logger

__all__ = [
    "JSON_MAPS",
    "Path",
    "check_document",
    "json_form",
    "leaves_of",
    "merge_document",
    "message_of",
    "plain_document",
]

logger = get_logger(__name__)

Path = tuple[str, ...]
T = TypeVar("T")

JSON_MAPS = frozenset(
    (
        *("properties", "metadata", "labels", "resource_manager_tags", "user_service_account_mapping"),
        *("http_ports", "endpoints", "params", "query_variables"),
    )
)
"""Fields whose keys are not names of fields."""
_LETTER = re.compile(r"(?<!^)([A-Z])")
_UNKNOWN = re.compile(
    r'"google\.cloud\.dataproc\.v1\.(\w+)" has no field named "(\w+)".*Available Fields\(except extensions\): "(\[.*?\])"',
    re.DOTALL,
)
_NESTED = re.compile(r"Failed to parse (\w+) field: ")


def plain_document(document: Mapping[str, Any], source: str) -> dict[str, Any]:
    """A document in the spelling of the SDK, without nulls.

    Args:
        document: the user's document.
        source: the task and the option that hold it, for messages.

    Raises:
        OptionsError: a field occurs in both spellings.
    """
    twice: list[str] = []
    plain: dict[str, Any] = _plain(document, (), twice)
    if twice:
        raise OptionsError([f"{source}: {name} occurs in two spellings; write it only once" for name in twice])
    return plain


def _plain(value: Any, path: Path, twice: list[str]) -> Any:
    if isinstance(value, list):
        return [_plain(item, path, twice) for item in value]
    if not isinstance(value, Mapping):
        return value
    if path and path[-1] in JSON_MAPS:
        return {name: item for name, item in value.items() if item is not None}
    result: dict[str, Any] = {}
    for name, item in value.items():
        snake = _LETTER.sub(r"_\1", name).lower() if re.fullmatch(r"[a-z][A-Za-z0-9]*", name) else name
        if snake in result:
            twice.append(".".join((*path, snake)))
        if item is not None:
            result[snake] = _plain(item, (*path, snake), twice)
    return result


def json_form(value: Any) -> Any:
    """A request or document in the JSON form of protobuf, where a duration is a string.

    Args:
        value: a value with durations as strings, or as mappings with ``seconds``.
    """
    if isinstance(value, Mapping):
        if set(value) == {"seconds"} and isinstance(value["seconds"], int):
            return f"{value['seconds']}s"
        return {name: json_form(item) for name, item in value.items()}
    return [json_form(item) for item in value] if isinstance(value, (list, tuple)) else value


def check_document(document: Mapping[str, Any], kind: str, source: str) -> None:
    """Check a document against the message of the SDK that it becomes; if the SDK is not installed, the worker does it.

    Args:
        document: the user's document.
        kind: the class name of the message.
        source: the task and the option that hold it, for messages.

    Raises:
        OptionsError: it is not such a message.
    """
    problem = _problem(json.dumps(document, sort_keys=True), kind)
    if problem:
        raise OptionsError([f"{source}: {problem}"])


@functools.lru_cache(maxsize=64)
def _problem(text: str, kind: str) -> str:
    try:
        # Imported only here, and only when a document is given, because the import takes most of a second.
        from google.cloud import dataproc_v1
    except ImportError:
        logger.warning("the worker checks %s, because google-cloud-dataproc is not installed here", kind)
        return ""
    try:
        message_of(getattr(dataproc_v1, kind), json.loads(text))
    except ValueError as error:
        return str(error)
    return ""


def message_of(kind: type[T], request: Mapping[str, Any]) -> T:
    """Create a message of the SDK.

    Args:
        kind: the class of the message.
        request: its content; durations are strings (``3600s``), or mappings with ``seconds``.

    Raises:
        ValueError: it is not such a message.
    """
    json_format: Any = import_module("google.protobuf.json_format")
    wrapper: Any = kind
    try:
        made: T = wrapper.wrap(json_format.ParseDict(json_form(request), wrapper.pb(wrapper())))
    except json_format.ParseError as error:
        raise ValueError(_told(str(error), kind.__name__)) from error
    return made


def _told(error: str, kind: str) -> str:
    """Protobuf's error about a document, as a sentence."""
    reference = (
        f"See https://cloud.google.com/python/docs/reference/dataproc/latest/google.cloud.dataproc_v1.types.{kind}"
    )
    place = ".".join(_NESTED.findall(error))
    unknown = _UNKNOWN.search(error)
    if unknown is not None:
        known = re.findall(r"'(\w+)'", unknown[3])
        hint = did_you_mean(unknown[2], known) or f" It has {', '.join(known)}."
        return f"{unknown[1]} has no field {unknown[2]!r}{f' (in {place})' if place else ''}.{hint} {reference}"
    rest = _NESTED.sub("", error).rstrip(". ")
    return f"{f'{place}: ' if place else ''}{rest}. {reference}"


def leaves_of(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The values of nested mappings, each with its path.

    Args:
        value: a mapping.
        path: the path of the mapping.
    """
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from leaves_of(item, (*path, name))
    else:
        yield path, value


def _tree(leaves: Sequence[tuple[Path, Any]]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in leaves:
        inner = tree
        for name in path[:-1]:
            inner = inner.setdefault(name, {})
        inner[path[-1]] = value
    return tree


def merge_document(
    own: Mapping[str, Any],
    document: Mapping[str, Any],
    owner: Callable[[Path], str],
    source: str,
    instead: Mapping[Path, Path],
) -> dict[str, Any]:
    """Merge a document: it gives way to what users set with options, and replaces defaults.

    Args:
        own: what the plugin sends without the document.
        document: the plain document.
        owner: returns what sets the value at a path, such as ``option 'dataproc_tags'``; empty for a default.
        source: the task and the option that hold the document, for messages.
        instead: maps fields of a document to the fields that they replace.

    Raises:
        OptionsError: the document contradicts another option.
    """
    leaves = list(leaves_of(own))
    problems = []
    for other, replaced in instead.items():
        if other in {path[: len(other)] for path, _ in leaves_of(document)}:
            gone = [path for path, _ in leaves if path[: len(replaced)] == replaced]
            owners = dict.fromkeys(filter(None, map(owner, gone)))
            problems += [f"{'.'.join(other)} replaces what {one} sets; remove one of them" for one in owners]
            leaves = [leaf for leaf in leaves if leaf[0] not in gone]
    owned = [(path, value) for path, value in leaves if owner(path)]
    names = {".".join(path): owner(path) for path, _ in owned}
    merged, conflicts = merge_under(_tree(owned), document)
    for conflict in conflicts:
        said = names.get(conflict) or next(one for name, one in names.items() if name.startswith(f"{conflict}."))
        problems.append(f"{conflict} is already set by {said}, to another value; remove one of them")
    if problems:
        raise OptionsError([f"{source}: {problem}" for problem in problems])
    return merge_under(merged, _tree([leaf for leaf in leaves if not owner(leaf[0])]))[0]
