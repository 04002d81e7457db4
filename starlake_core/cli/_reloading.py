"""Loads pipeline files again when they change, for a command that runs for long."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..dsl.pipeline import StarlakePipeline
from ..dsl.pipeline_files import find_files
from ..errors import NothingFoundError, StarlakeError
from ._projects import find_sources
from ._selection import PipelineFiles
from ._watching import Watch

__all__ = ["Reloading"]

_Stamp = dict[Path, tuple[int, int]]


class Reloading:
    """The watch of some pipeline files, as they are now.

    Args:
        files: the files.
        make: creates the watch of pipelines.
        note: receives a sentence when files were loaded again, or cannot be.

    Raises:
        StarlakeError: the files cannot be loaded, or not be watched.
    """

    def __init__(
        self, files: PipelineFiles, make: Callable[[list[StarlakePipeline]], Watch], note: Callable[[str], object]
    ) -> None:
        self._files, self._make, self._note = files, make, note
        self._stamp = self._look()
        self._watch = make(files.load())

    def current(self) -> Watch:
        """Return the watch. If a file changed, appeared or is gone, they are loaded again; if that fails, the former
        watch continues."""
        stamp = self._look()
        if stamp and stamp != self._stamp:
            changed = sorted({*stamp.items()} ^ {*self._stamp.items()})[0][0]
            self._stamp = stamp
            try:
                self._watch = self._make(self._files.load())
                self._note(f"{changed} changed, so the files were loaded again")
            except StarlakeError as error:
                self._note(f"{changed} changed, and the pipelines stay as they were, because of this: {error}")
        return self._watch

    def _look(self) -> _Stamp:
        """When each file changed, and its size; empty while a file is missing, as it is when an editor replaces it."""
        try:
            sources = find_sources(self._files.paths, self._files.source)
            files = find_files(sources.files) if sources.files else []
            files += [
                file for folder in sources.projects for file in (folder / "metadata").rglob("*") if file.is_file()
            ]
            about = {file: file.stat() for file in files}
        except (NothingFoundError, OSError):
            return {}
        return {file: (found.st_mtime_ns, found.st_size) for file, found in about.items()}
