"""Finds every problem of an invalid file, with its line, in a second and slower reading."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import inspect

from starlake_core.errors import did_you_mean

from .errors import Problem
from .keys import Keys
from .migration import OLD_KEYS, migrate
from .yaml_values import LocatedList, LocatedMapping, located_values

__all__ = ["diagnose", "line_of", "located_document"]


def located_document(text: str, path: Path, root: str, problems: list[Problem]) -> Any:
    """Return the values of a file with their lines, migrated if the file has no version."""
    values = located_values(text, path, problems)
    if values is None or (isinstance(values, dict) and "version" in values):
        return values
    return migrate(values, root)[0]


def line_of(values: Any, keys: tuple[str | int, ...]) -> int | None:
    """Return the line of a value, or of the closest value around it that has one."""
    line = getattr(values, "line", None)
    for key in keys:
        if isinstance(values, LocatedMapping) and key in values:
            line = values.lines.get(str(key), line)
        elif isinstance(values, LocatedList) and isinstance(key, int) and key < len(values):
            line = values.lines[key]
        try:
            values = values[key]
        except (KeyError, IndexError, TypeError):
            break
    return line


def diagnose(text: str, path: Path, file: type[Keys], root: str) -> list[Problem]:
    """Return every difference between a file and its model.

    Args:
        text: the text of the file.
        path: the path of the file.
        file: the model.
        root: the top-level key of such a file.
    """
    problems: list[Problem] = []
    values = located_document(text, path, root, problems)
    if values is not None:
        _Diagnosis(path, values, problems).look(values, inspect.type_info(file), ())
    return problems


def _named(keys: tuple[str | int, ...]) -> str:
    text = ""
    for key in keys:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text or "the file"


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, list) else repr(value)


def _parts(kind: inspect.Type) -> tuple[inspect.Type, ...]:
    return kind.types if isinstance(kind, inspect.UnionType) else (kind,)


class _Diagnosis:
    def __init__(self, path: Path, values: Any, problems: list[Problem]) -> None:
        self.path = path
        self.values = values
        self.problems = problems

    def say(self, keys: tuple[str | int, ...], message: str) -> None:
        self.problems.append(Problem(self.path, message, line_of(self.values, keys)))

    def look(self, value: Any, kind: inspect.Type, keys: tuple[str | int, ...]) -> None:
        parts = _parts(kind)
        if isinstance(value, Mapping):
            for part in parts:
                if isinstance(part, inspect.StructType):
                    return self.look_at_keys(value, part, keys)
                if isinstance(part, inspect.DictType):
                    for key, item in value.items():
                        self.look(item, part.value_type, (*keys, key))
                    return None
        elif isinstance(value, list):
            for part in parts:
                if isinstance(part, inspect.VarTupleType):
                    for index, item in enumerate(value):
                        self.look(item, part.item_type, (*keys, index))
                    return None
        elif any(_fits(value, part) for part in parts):
            return None
        if any(isinstance(part, inspect.AnyType) for part in parts):
            return None
        words = [word for part in parts if isinstance(part, inspect.LiteralType) for word in _canonical(part.values)]
        hint = did_you_mean(value, words) if isinstance(value, str) else ""
        self.say(keys, f"{_named(keys)} must be {_wanted(parts)}, found {_shown(value)}.{hint}".removesuffix("."))
        return None

    def look_at_keys(self, value: Mapping[str, Any], kind: inspect.StructType, keys: tuple[str | int, ...]) -> None:
        known = {field.encode_name: field for field in kind.fields}
        unknown = [key for key in value if key not in known]
        for name, field in known.items():
            if field.required and name not in value:
                found = f"; found {', '.join(unknown)}" if unknown and not keys else ""
                self.say(keys, f"{_named((*keys, name))} is missing{found}")
        for key, item in value.items():
            if key in known:
                self.look(item, known[key].type, (*keys, key))
            else:
                self.say((*keys, key), f"{_named((*keys, key))} is not a key of Starlake.{self.hint(key, known, keys)}")

    def hint(self, key: str, known: Mapping[str, inspect.Field], keys: tuple[str | int, ...]) -> str:
        close = did_you_mean(key, known)
        if close:
            return close
        if key in OLD_KEYS:
            return f" Write {OLD_KEYS[key]}"
        inside = [word for word in _inside(known) if did_you_mean(key, [word.rpartition(".")[2]])]
        if inside and inside[0].rpartition(".")[2] != key:
            return f" Did you mean '{inside[0]}'?"
        homes = [*_homes(key, known, _named(keys) if keys else ""), *self.above(key, keys)]
        return f" It belongs to {homes[0]}" if homes else f" The keys here are {', '.join(sorted(known))}"

    def above(self, key: str, keys: tuple[str | int, ...]) -> list[str]:
        """Return the mappings around this one that have the key."""
        return [
            _named(keys[:end]) for end in range(len(keys) - 1, 0, -1) if key in _KNOWN_ABOVE.get(str(keys[end - 1]), ())
        ]


_KNOWN_ABOVE = {
    "table": (
        "presql",
        "postsql",
        "primaryKey",
        "attributes",
        "expectations",
        "rename",
        "filter",
        "acl",
        "rls",
        "streams",
    ),
    "task": (
        "presql",
        "postsql",
        "primaryKey",
        "writeStrategy",
        "attributes",
        "expectations",
        "connectionRef",
        "schedule",
    ),
    "metadata": ("directory", "ack", "writeStrategy", "schedule", "dagRef", "format", "separator"),
}


def _inside(known: Mapping[str, inspect.Field]) -> Iterator[str]:
    """Yield the keys of the mappings one level below."""
    for name, field in known.items():
        for part in _parts(field.type):
            if isinstance(part, inspect.StructType):
                yield from (f"{name}.{inner.encode_name}" for inner in part.fields)


def _homes(key: str, known: Mapping[str, inspect.Field], where: str) -> Iterator[str]:
    """Yield the mappings one level below that have the key."""
    for name, field in known.items():
        for part in _parts(field.type):
            if isinstance(part, inspect.StructType) and any(inner.encode_name == key for inner in part.fields):
                yield f"{where}.{name}" if where else name


def _fits(value: Any, kind: inspect.Type) -> bool:
    if value is None:
        return isinstance(kind, inspect.NoneType)
    if isinstance(kind, inspect.StrType):
        return True
    if isinstance(kind, inspect.LiteralType):
        return value in kind.values
    if isinstance(kind, inspect.BoolType):
        return value.lower() in ("true", "false", "1", "0")
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        try:
            (int if isinstance(kind, inspect.IntType) else float)(value)
        except ValueError:
            return False
        return True
    return isinstance(kind, inspect.AnyType) or (isinstance(kind, inspect.NoneType) and value.lower() == "null")


def _wanted(parts: tuple[inspect.Type, ...]) -> str:
    for part in parts:
        if isinstance(part, inspect.StructType):
            return "a mapping of names to values"
        if isinstance(part, inspect.DictType):
            return "a mapping of names to values"
        if isinstance(part, inspect.VarTupleType):
            text = any(isinstance(item, inspect.StrType) for item in _parts(part.item_type))
            return "a list of strings" if text else "a list"
        if isinstance(part, inspect.LiteralType):
            return f"one of {', '.join(dict.fromkeys(_canonical(part.values)))}"
        if isinstance(part, inspect.BoolType):
            return "true or false"
        if isinstance(part, inspect.IntType):
            return "a whole number"
        if isinstance(part, inspect.FloatType):
            return "a number"
    return "a string"


def _canonical(words: tuple[Any, ...]) -> Iterator[str]:
    """Yield the first form of each word; the model lists the documented form first."""
    seen = set()
    for word in map(str, words):
        if word.lower() not in seen:
            seen.add(word.lower())
            yield word
