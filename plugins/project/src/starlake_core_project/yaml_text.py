"""Reads the text of project files, and finds the comments of YAML."""

from __future__ import annotations

import re
from pathlib import Path

from .errors import ProjectError

__all__ = ["read_text", "without_templates_in_comments"]

_MARKS = ("{{", "{%", "{#", "${")
_BLOCK = re.compile(r"(?P<key>.*:[ \t]+)?(?:[&!]\S+[ \t]+)*[|>][-+0-9]*[ \t]*(?:[ \t]#.*)?")
_QUOTE = re.compile(r"""(?:^[ \t]*|[-:?][ \t]+|[\[{,][ \t]*)(?:[&!]\S+[ \t]+)*(["'])""")
_REST = {'"': re.compile(r'(?:[^"\\]|\\.|\\$)*"'), "'": re.compile(r"(?:[^']|'')*'(?!')")}
_SIGN = re.compile(r"(?:^|(?<=[ \t]))#")
_TEMPLATES = (("{{", "}}"), ("{%", "%}"), ("{#", "#}"))
_ITEMS = re.compile(r"(?:-[ \t]+)*")


def read_text(path: Path) -> str:
    """Return the text of a file of the project.

    Raises:
        ProjectError: the file cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ProjectError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ProjectError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from error


def without_templates_in_comments(text: str) -> str:
    """Return YAML without the comments that contain templates, as far as comments can be recognised before rendering.

    Args:
        text: the YAML as written, with its templates. Line numbers do not change.
    """
    if "#" not in text or not any(mark in text for mark in _MARKS):
        return text
    lines = text.split("\n")
    block: int | None = None  # lines with deeper indentation are the text of a block
    quote = ""  # the quote of a value that spans several lines
    for number, line in enumerate(lines):
        if quote:
            quote = "" if _REST[quote].match(line) else quote
            continue
        code = line.lstrip(" ")
        indent = len(line) - len(code)
        if block is not None and (not code.strip() or indent > block):
            continue
        block = None
        start, quote = _scanned(line)
        if start is not None and any(mark in line[start:] for mark in _MARKS):
            lines[number] = line[:start]
        items = _ITEMS.match(code)
        before = items.end() if items else 0
        found = _BLOCK.fullmatch(code, before)
        if found is not None:
            block = indent + (before if found["key"] else 0)
    return "\n".join(lines)


def _scanned(line: str) -> tuple[int | None, str]:
    """Return the position at which the comment of a line starts, and the quote of a value that does not end on the line."""
    position = 0
    while True:
        quote, sign = _QUOTE.search(line, position), _SIGN.search(line, position)
        if sign is not None and (quote is None or sign.start() < quote.start(1)):
            before = line[: sign.start()]
            if all(before.count(begin) <= before.count(end) for begin, end in _TEMPLATES):
                return sign.start(), ""
            position = sign.end()
        elif quote is None:
            return None, ""
        else:
            whole = _REST[quote[1]].match(line, quote.end())
            if whole is None:
                return None, quote[1]
            position = whole.end()
