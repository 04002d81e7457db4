"""Finds the environment variables that the files of a project refer to."""

from __future__ import annotations

import functools
import os
import re
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from .walking import files_below

__all__ = ["named_variables", "referenced_words", "words_of_references"]

_REFERENCE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\$\{[^{}]*\}", re.DOTALL)
_WORD = re.compile(r"[A-Za-z_]\w*")
_ENDINGS = (".yml", ".yaml", ".sql", ".j2")


def named_variables(metadata: Path, names: Collection[str]) -> frozenset[str]:
    """Return the names that a YAML file, SQL file or template of a project refers to, used or not.

    Does not parse the files. Skips a file that cannot be read; the command that needs the file reports that.

    Args:
        metadata: the folder of the project's files.
        names: the names of variables to look for.
    """
    known = _recent.get(metadata)
    if known is None or time.monotonic() >= known[0]:
        began = time.thread_time()
        words = referenced_words(metadata)
        took = time.thread_time() - began
        known = _recent[metadata] = (time.monotonic() + (_SHARE * took if took > _QUICK_SECONDS else 0), words)
    return known[1].intersection(names)


_recent: dict[Path, tuple[float, frozenset[str]]] = {}
"""What the files of a large project refer to, and until when it counts: looking takes a hundredth of the time of a run, not more."""
_QUICK_SECONDS = 0.001
_SHARE = 100.0


def referenced_words(metadata: Path) -> frozenset[str]:
    """Return every word in the references of a project to variables, and in its templates.

    Args:
        metadata: the folder of the project's files.
    """
    found: set[str] = set()
    for path in files_below(metadata):
        if path.endswith(_ENDINGS):
            try:
                about = os.stat(path)
                found |= _words(path, about.st_mtime_ns, about.st_size)
            except OSError:
                continue
    return frozenset(found)


def words_of_references(metadata: Path) -> frozenset[str]:
    """Return every word in the references of all files, whatever their names: a template may include any of them. Reads each file.

    Args:
        metadata: the folder of the project's files.
    """
    found: set[str] = set()
    for path in files_below(metadata):
        with suppress(OSError):
            found |= _words_in(path)
    return frozenset(found)


@functools.lru_cache(maxsize=8192)
def _words(path: str, changed: int, size: int) -> frozenset[str]:
    return _words_in(path)


def _words_in(path: str) -> frozenset[str]:
    text = Path(path).read_text(encoding="utf-8", errors="replace")
    return frozenset(word for reference in _REFERENCE.findall(text) for word in _WORD.findall(reference))
