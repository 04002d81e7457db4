"""Replaces several files of a folder, all or none of them."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

__all__ = ["locked", "swap"]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder in this block."""
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems do not support locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def swap(writes: Mapping[Path, Path | bytes], removals: Iterable[Path] = ()) -> None:
    """Write and remove files. Each file appears at once, and after a failure the former files are restored.

    Args:
        writes: the new content of each file, as another file to copy or as bytes, in the order in which the files
            appear.
        removals: the files to remove after that.

    Raises:
        OSError: the change failed; the former files are restored as far as the file system allows.
    """
    token = secrets.token_hex(4)
    asides: dict[Path, Path] = {}
    kept: list[Path] = []
    undo: list[Callable[[], object]] = []
    try:
        for target, content in writes.items():
            _make_folders(target.parent, undo)
            asides[target] = _beside(target, token, "new")
            _write(asides[target], content, target)
        for target, aside in asides.items():
            undo.append(_kept(target, _beside(target, token, "old"), kept))
            os.replace(aside, target)
        for target in removals:
            old = _beside(target, token, "old")
            kept.append(old)
            undo.append(partial(os.replace, old, target))
            os.replace(target, old)
    except BaseException:
        _clean(asides.values())
        for action in reversed(undo):
            with suppress(OSError):
                action()
        raise
    finally:
        _clean(kept)
    for folder in {target.parent for target in writes}:
        _sync(folder)


def _clean(paths: Iterable[Path]) -> None:
    for path in paths:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _beside(target: Path, token: str, what: str) -> Path:
    # Not a suffix that orchestrators load, such as .py or that of an archive.
    return target.with_name(f".{target.name}.{token}.{what}")


def _make_folders(folder: Path, undo: list[Callable[[], object]]) -> None:
    if not folder.is_dir():
        _make_folders(folder.parent, undo)
        folder.mkdir()
        undo.append(folder.rmdir)


def _write(path: Path, content: Path | bytes, target: Path) -> None:
    with open(path, "xb") as file:
        if isinstance(content, Path):
            with open(content, "rb") as source:
                shutil.copyfileobj(source, file)
        else:
            file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if target.exists():
        shutil.copymode(target, path)


def _kept(target: Path, old: Path, kept: list[Path]) -> Callable[[], object]:
    """Keep the current file under another name, and return a function that restores it."""
    if not target.exists():
        return partial(target.unlink, missing_ok=True)
    kept.append(old)
    try:
        os.link(target, old)
    except OSError:
        shutil.copy2(target, old)
    return partial(os.replace, old, target)


def _sync(folder: Path) -> None:
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
