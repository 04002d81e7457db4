"""The rows of an XML document as lines of JSON, one after the other, so that a document of any size fits into memory.

The names are those of Spark: attributes of an element have a prefix (``_``), the text of an element with attributes or children is
``_VALUE``, and elements that occur several times are a list where the table declares one.

Entities that a document declares are refused: they can make it grow without limit, or refer to other files.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

import msgspec
from starlake_core_project import Attribute

from .errors import EngineError

__all__ = ["BROKEN", "XmlRules", "rows_of"]

_log = logging.getLogger(__name__)

BROKEN = "sl$broken"
"""The key of a row that says why the row is wrong."""

_LARGEST_ROW = 64 * 1024 * 1024
_DEEPEST = 100


@dataclass(frozen=True)
class XmlRules:
    """How documents are read.

    Attributes:
        row_tag: the name of the elements that are rows.
        attribute_prefix: what precedes the name of an XML attribute.
        value_tag: the name of the text of an element that has attributes or children.
        exclude_attributes: whether XML attributes are left out.
        strip: whether white space around values is left out.
        null_values: the texts that mean that there is no value.
        plain_names: whether names lose their namespace prefix.
    """

    row_tag: str
    attribute_prefix: str = "_"
    value_tag: str = "_VALUE"
    exclude_attributes: bool = False
    strip: bool = False
    null_values: frozenset[str] = frozenset()
    plain_names: bool = False


@dataclass(frozen=True)
class Shape:
    """What a table says about an element.

    Attributes:
        fields: its children and attributes; empty for a plain value.
        is_list: whether it may occur several times.
        is_free: whether everything in it is kept (the types ``variant`` and ``struct`` without attributes).
    """

    fields: Mapping[str, Shape] = field(default_factory=dict)
    is_list: bool = False
    is_free: bool = False


_FREE = Shape(is_free=True)


def _shape(attribute: Attribute, free_types: frozenset[str]) -> Shape:
    is_free = not attribute.attributes and attribute.type in free_types
    fields = {item.name: _shape(item, free_types) for item in attribute.attributes or ()}
    return Shape(fields, bool(attribute.array), is_free)


class _Element:
    """An element that is open, with what is in it so far."""

    __slots__ = ("has_nil", "many", "name", "shape", "texts", "values")

    def __init__(self, name: str, shape: Shape) -> None:
        self.name = name
        self.shape = shape
        self.values: dict[str, Any] = {}
        self.many: set[str] = set()
        self.texts: list[str] = []
        self.has_nil = False


class _Document:
    """Collects the rows of a document from the events of the parser.

    Most elements hold text and nothing else, and there are millions of them: such a leaf is not kept as an :class:`_Element`.
    """

    def __init__(self, rules: XmlRules, shape: Shape, name: str) -> None:
        self.rules = rules
        self.shape = shape
        self.name = name
        self.rows: list[bytes] = []
        self.count = 0
        self.seen: set[str] = set()
        self._has_root = False
        self._open: list[_Element] = []
        self._leaf: str | None = None
        self._texts: list[str] = []
        self._skipped = 0
        self._size = 0
        self._wrong: list[str] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if self._skipped:
            self._skipped += 1
        elif self._leaf is not None:
            self._hold(self._leaf, tag)
        elif not self._open:
            self._start_outside(tag, attributes)
        else:
            if self.rules.plain_names:
                tag = tag.rpartition(":")[2]
            parent = self._open[-1]
            shape = _FREE if parent.shape.is_free else parent.shape.fields.get(tag)
            if shape is None:
                if parent.shape.fields:
                    self._skipped = 1
                else:
                    self._hold(parent.name, tag)
            elif attributes or shape.fields or shape.is_free:
                self._push(tag, shape, attributes)
            else:
                self._leaf = tag
                self._texts = []

    def end(self, _: str) -> None:
        if self._skipped:
            self._skipped -= 1
        elif self._leaf is not None:
            self._add(self._leaf, self._text("".join(self._texts)))
            self._leaf = None
        elif self._open:
            element = self._open.pop()
            if self._open:
                self._add(element.name, self._value(element))
            else:
                self._add_row(element)

    def text(self, data: str) -> None:
        if self._skipped or not self._open:
            return
        self._size += len(data)
        if self._size > _LARGEST_ROW:
            raise EngineError(f"{self.name}: row {self.count + 1} is larger than {_LARGEST_ROW} characters")
        (self._texts if self._leaf is not None else self._open[-1].texts).append(data)

    def _start_outside(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == self.rules.row_tag:
            self._size, self._wrong = 0, []
            self._push(tag, self.shape, attributes)
        elif self._has_root and len(self.seen) < 10:
            self.seen.add(tag)
        self._has_root = True

    def _hold(self, name: str, tag: str) -> None:
        self._wrong.append(f"{name}: it holds the element {tag!r}, and the table declares a plain value")
        self._skipped = 1

    def _push(self, tag: str, shape: Shape, attributes: dict[str, str]) -> None:
        if len(self._open) == _DEEPEST:
            raise EngineError(f"{self.name}: row {self.count + 1} has elements more than {_DEEPEST} levels deep")
        element = _Element(tag, shape)
        self._open.append(element)
        for name, value in attributes.items():
            if name == "xsi:nil":
                element.has_nil = value in ("true", "1")
            elif not self.rules.exclude_attributes and (shape.is_free or shape.fields) and not name.startswith("xmlns"):
                key = self.rules.attribute_prefix + (name.rpartition(":")[2] if self.rules.plain_names else name)
                if shape.is_free or key in shape.fields:
                    element.values[key] = self._text(value)

    def _add(self, name: str, value: Any) -> None:
        """Keep a value in the element that is open."""
        element = self._open[-1]
        values = element.values
        if not element.shape.is_free:
            if element.shape.fields[name].is_list:
                values.setdefault(name, []).append(value)
                return
            if name in values:
                self._wrong.append(f"{name}: it occurs several times, and the table does not declare a list")
            values[name] = value
        elif name in element.many:
            values[name].append(value)
        elif name in values:
            element.many.add(name)
            values[name] = [values[name], value]
        else:
            values[name] = value

    def _text(self, text: str) -> str | None:
        text = text.strip() if self.rules.strip else text
        return None if text in self.rules.null_values else text

    def _value(self, element: _Element) -> Any:
        shape = element.shape
        if element.has_nil:
            return None
        if not shape.fields and not (shape.is_free and element.values):
            return self._text("".join(element.texts))
        return self._structure(element) or None

    def _structure(self, element: _Element) -> dict[str, Any]:
        shape = element.shape
        if shape.is_free or self.rules.value_tag in shape.fields:
            text = "".join(element.texts)
            if text.strip():
                element.values[self.rules.value_tag] = self._text(text)
        return element.values

    def _add_row(self, element: _Element) -> None:
        row = self._structure(element)
        if self._wrong:
            row[BROKEN] = "; ".join(self._wrong)
        self.count += 1
        self.rows.append(msgspec.json.encode(row))


def _refusing(name: str) -> Callable[..., int]:
    def refuse(*_: object) -> int:
        raise EngineError(
            f"{name} declares or uses entities, which this engine does not expand; write their text instead"
        )

    return refuse


def _parser(document: _Document, encoding: str | None) -> expat.XMLParserType:
    parser = expat.ParserCreate(encoding)
    parser.buffer_text = True
    parser.StartElementHandler = document.start
    parser.EndElementHandler = document.end
    parser.CharacterDataHandler = document.text
    refuse = _refusing(document.name)
    parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    parser.SkippedEntityHandler = refuse
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    return parser


def rows_of(
    chunks: Iterable[bytes],
    attributes: Iterable[Attribute],
    free_types: frozenset[str],
    rules: XmlRules,
    name: str,
    encoding: str | None = None,
) -> Iterator[list[bytes]]:
    """Yield the rows of a document as lines of JSON, some at a time.

    Args:
        chunks: the document.
        attributes: those of the table.
        free_types: the names of types whose values may be anything.
        name: what messages call the document.
        encoding: its encoding, or None for the one that it declares.

    Raises:
        EngineError: it is not well-formed, it has entities, or a row is too large.
    """
    shape = Shape({item.name: _shape(item, free_types) for item in attributes})
    document = _Document(rules, shape, name)
    parser = _parser(document, encoding)
    blank = True
    try:
        for chunk in chunks:
            blank = blank and not chunk.strip()
            parser.Parse(chunk, False)
            if document.rows:
                yield document.rows
                document.rows = []
        if not blank:
            parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise EngineError(f"{name} is not well-formed XML: {error}") from error
    except (LookupError, ValueError, UnicodeError) as error:
        raise EngineError(
            f"{name} declares an encoding that cannot be read: {error}; name the encoding in metadata.encoding"
        ) from error
    if document.rows:
        yield document.rows
    if not document.count and document.seen:
        _log.warning(
            "%s has no element <%s>, so there are no rows in it; it has %s. Is the option rowTag right?",
            name,
            rules.row_tag,
            ", ".join(f"<{tag}>" for tag in sorted(document.seen)),
        )
