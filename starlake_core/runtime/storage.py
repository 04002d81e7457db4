"""The folders of a project, on this machine or in a storage that a runner can reach."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator, Mapping

from ..errors import RunnerError
from ..plugins.runner import Runner, Storage
from ..processes.runner import local_folder

__all__ = ["LocalStorage", "storage_for"]


class LocalStorage:
    """The local file system."""

    def list(self, folder: str) -> Mapping[str, str]:
        """Return the files of a folder, except those whose name begins with a dot, which Starlake ignores."""
        found: dict[str, str] = {}
        with self._explained(folder):
            try:
                entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            except (FileNotFoundError, NotADirectoryError):
                return found
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    if not entry.name.startswith(".") and entry.is_file():
                        about = entry.stat()
                        found[entry.name] = f"{about.st_size}:{about.st_mtime_ns}"
        return found

    def move(self, source: str, target: str) -> None:
        """Rename a file. Between two file systems, copy it to a temporary file first."""
        with self._explained(target):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            try:
                os.rename(source, target)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                folder, name = os.path.split(target)
                aside = os.path.join(folder, f".{name}.partial")
                shutil.copy2(source, aside)
                os.rename(aside, target)
                os.unlink(source)

    def read(self, path: str) -> bytes | None:
        """Return the content of a file."""
        with self._explained(path):
            try:
                with open(path, "rb") as file:
                    return file.read()
            except FileNotFoundError:
                return None

    def write(self, path: str, content: bytes) -> None:
        """Write a temporary file and rename it. Only this user can read it."""
        with self._explained(path):
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            aside = f"{path}.{os.getpid()}.partial"
            with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(content)
            os.replace(aside, path)

    def delete(self, path: str) -> None:
        """Delete a file, if it exists."""
        with self._explained(path), contextlib.suppress(FileNotFoundError):
            os.unlink(path)

    @contextlib.contextmanager
    def _explained(self, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RunnerError(f"{path} cannot be used here: {error.strerror or error}") from error


def storage_for(runner: Runner, root: str) -> tuple[Storage, str] | None:
    """Return the storage of a folder, and the folder in the form that the storage expects.

    Args:
        runner: provides the storage of a folder that is not on this machine.
        root: a path or URI.

    Returns:
        None if this worker cannot reach the storage.
    """
    folder = local_folder(root)
    if folder is not None:
        return (LocalStorage(), os.path.abspath(folder)) if os.path.isdir(folder) else None
    found = runner.storage(root) if root else None
    return None if found is None else (found, root.rstrip("/"))
