"""Converts YAML to plain Python values, fast: a small constructor for the events of libyaml's parser.

Every scalar is a string, except null: YAML 1.1 would read the key ``on`` as true, ``no`` as false and 007 as 7. Positions cost time, so values with
line numbers need a second reading, which only happens for an invalid file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from .errors import Problem, ProjectError

__all__ = ["LocatedList", "LocatedMapping", "located_values", "parse_yaml"]

_NULL = ("", "~", "null", "Null", "NULL")
_STANDARD = "tag:yaml.org,2002:"


class _Surprise(Exception):
    """The YAML is invalid; the second reading finds out what is wrong, and in which line."""


class LocatedMapping(dict[str, Any]):
    """A mapping that knows the lines of its keys, and which keys are repeated."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}
        self.twice: list[tuple[str, int, int]] = []


class LocatedList(list[Any]):
    """A list that knows the lines of its items."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: list[int] = []


def parse_yaml(text: str, source: Path) -> Any:
    """Read YAML text; every scalar is a ``str`` or ``None``.

    Args:
        text: one document.
        source: the file that the text is from, for messages.

    Raises:
        ProjectError: the text is not valid YAML, a key is repeated, or there is more than one document; names the file and the line.
    """
    loader = _Events(text)
    try:
        return _values(loader.get_event)
    except (yaml.YAMLError, _Surprise):
        problems: list[Problem] = []
        values = located_values(text, source, problems)
        if problems:
            raise ProjectError(problems=problems) from None
        return values
    finally:
        loader.dispose()


_Events: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _values(get_event: Any) -> Any:
    """Return the values of the only document of a stream."""
    get_event()
    event = get_event()
    if type(event) is StreamEndEvent:
        return None
    anchors: dict[str, Any] = {}
    stack: list[tuple[Any, Any, bool]] = []
    here: Any = []
    key: Any = None
    mapping = False
    while True:
        event = get_event()
        kind = type(event)
        if kind is ScalarEvent:
            value: Any = event.value
            if event.tag is not None:
                _check_tag(event.tag)
            elif event.implicit[0] and value in _NULL:
                value = None
            if event.anchor is not None:
                anchors[event.anchor] = value
        elif kind is MappingEndEvent or kind is SequenceEndEvent:
            here, key, mapping = stack.pop()
            continue
        elif kind is MappingStartEvent or kind is SequenceStartEvent:
            if mapping and key is None:
                raise _Surprise
            value = {} if kind is MappingStartEvent else []
            if event.tag is not None:
                _check_tag(event.tag)
            if event.anchor is not None:
                anchors[event.anchor] = value
        elif kind is AliasEvent:
            value = anchors.get(event.anchor)
            if event.anchor not in anchors or value is here or any(value is frame[0] for frame in stack):
                raise _Surprise
        elif kind is DocumentEndEvent:
            break
        else:
            raise _Surprise
        if not mapping:
            here.append(value)
        elif key is None:
            if type(value) is not str:
                raise _Surprise
            key = value
            continue
        else:
            if key in here:
                raise _Surprise
            here[key] = value
            key = None
        if kind is MappingStartEvent or kind is SequenceStartEvent:
            stack.append((here, key, mapping))
            here, key, mapping = value, None, kind is MappingStartEvent
    if type(get_event()) is DocumentStartEvent:
        raise _Surprise
    return here[0]


def _check_tag(tag: str) -> None:
    if tag != "!" and not tag.startswith(_STANDARD):
        raise _Surprise


class _Composer(_Events):  # type: ignore[misc]
    """Composes nodes with marks. Does not resolve tags, because every scalar is a string."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, regexp) for tag, regexp in resolvers if tag == "tag:yaml.org,2002:null"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def located_values(text: str, source: Path, problems: list[Problem]) -> Any:
    """Return the same values, with the lines of keys and items.

    Args:
        text: one document.
        source: the file that the text is from.
        problems: receives the problems of the YAML itself, including repeated keys. The first value of a repeated key is kept.
    """
    loader = _Composer(text)
    try:
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # At the end of a file, the parser reports the line after the last.
        line = min(mark.line + 1, len(text.splitlines())) if mark else None
        hint = "; put a value that starts with {{ in quotes" if "{{" in text else ""
        problems.append(Problem(source, f"is not valid YAML: {error.problem or error.context}{hint}", line))
        return None
    except yaml.YAMLError as error:
        problems.append(Problem(source, f"is not valid YAML: {error}"))
        return None
    finally:
        loader.dispose()
    return None if node is None else _Locating(source, problems).value(node, "", ())


class _Locating:
    def __init__(self, source: Path, problems: list[Problem]) -> None:
        self.source = source
        self.problems = problems

    def value(self, node: Any, where: str, above: tuple[int, ...]) -> Any:
        line = node.start_mark.line + 1
        if not node.tag.startswith(_STANDARD) and node.tag != "!":
            self.problems.append(Problem(self.source, f"the tag {node.tag} is not supported; delete it", line))
        if isinstance(node, yaml.ScalarNode):
            return None if node.tag == f"{_STANDARD}null" else node.value
        if id(node) in above:
            self.problems.append(Problem(self.source, f"{where} contains itself", line))
            return None
        above = (*above, id(node))
        if isinstance(node, yaml.SequenceNode):
            items = LocatedList(line)
            for index, item in enumerate(node.value):
                items.append(self.value(item, f"{where}[{index}]", above))
                items.lines.append(item.start_mark.line + 1)
            return items
        mapping = LocatedMapping(line)
        for key_node, value_node in node.value:
            at = key_node.start_mark.line + 1
            key = key_node.value
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == f"{_STANDARD}null":
                self.problems.append(Problem(self.source, f"{where or 'the file'} has a key that is not a string", at))
                continue
            name = f"{where}.{key}" if where else key
            value = self.value(value_node, name, above)
            if key in mapping:
                first = mapping.lines[key]
                message = f"{name} is given twice, first in line {first}; delete one of the two"
                self.problems.append(Problem(self.source, message, at))
                continue
            mapping[key] = value
            mapping.lines[key] = at
        return mapping
