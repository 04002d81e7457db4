"""Loads pipeline files in isolation, so that the problems of one do not hide those of another."""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field, replace
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType

from ..errors import (
    NothingFoundError,
    OptionsError,
    PipelineFileError,
    PluginContractError,
    PluginFailedError,
    PluginLoadError,
    StarlakeError,
)
from ..model.facts import PipelineFault
from ..plugins.registry import ROLES
from ..short_names import short_hash
from .orchestration import Orchestration, Overrides, overriding
from .pipeline import StarlakePipeline

__all__ = ["LoadedFile", "collecting", "find_files", "load_file", "load_files", "pipelines_of"]

_SKIPPED_FOLDERS = {"__pycache__", "node_modules", "site-packages", "datasets", "metadata", "tests", "venv"}


@dataclass
class LoadedFile:
    """A pipeline file and the result of loading it.

    Attributes:
        path: the path of the file.
        pipelines: the pipelines whose block ended.
        orchestrations: the orchestrations that it opened.
        problems: a line or paragraph for each error.
        warnings: a line for each warning.
        faults: the pipelines that cannot be built, although the others can.
    """

    path: Path
    pipelines: list[StarlakePipeline] = field(default_factory=list)
    orchestrations: list[Orchestration] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    faults: list[PipelineFault] = field(default_factory=list)


def find_files(paths: Sequence[Path]) -> list[Path]:
    """Return the pipeline files below some paths. In a folder, these are the Python files that open an orchestration.

    Args:
        paths: files and folders.

    Raises:
        NothingFoundError: a path does not exist, or a folder has no pipeline file.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_file():
            found[path.resolve()] = None
        elif path.is_dir():
            inside = [file for file in sorted(_python_files(path)) if _opens_an_orchestration(file)]
            if not inside:
                raise NothingFoundError(
                    f"no pipeline file in {path}: no Python file below it imports starlake_core and opens an Orchestration"
                )
            found.update((file.resolve(), None) for file in inside)
        else:
            raise NothingFoundError(f"there is no file or folder {path}")
    return list(found)


def _python_files(folder: Path) -> Iterator[Path]:
    """Yield the Python files below a folder, and the folders that cannot be read."""
    try:
        entries = list(folder.iterdir())
    except OSError:
        yield folder
        return
    for entry in entries:
        if entry.is_dir():
            if not entry.name.startswith(".") and entry.name not in _SKIPPED_FOLDERS:
                yield from _python_files(entry)
        elif entry.suffix == ".py":
            yield entry


def _opens_an_orchestration(file: Path) -> bool:
    """Return whether to load a file. A file that cannot be read is loaded too, so that the error is reported."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True
    return "rchestration" in text and ("starlake_core" in text or "ai.starlake" in text)


class _Warnings(logging.Handler):
    """Collects the warnings of this project's loggers."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextmanager
def _warnings() -> Iterator[list[str]]:
    handler = _Warnings()
    loggers = [logging.getLogger(name) for name in ("starlake_core", "starlake_core_project")]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield handler.lines
    finally:
        for logger in loggers:
            logger.removeHandler(handler)


class _Source(SourceFileLoader):
    """Compiles the current source of a file. Python's bytecode cache may be out of date, because it compares only size
    and seconds."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


@contextmanager
def collecting(loaded: LoadedFile, overrides: Overrides) -> Iterator[list[Orchestration]]:
    """In this block, collect the orchestrations that are opened, their warnings, and the pipelines that cannot be built.

    Args:
        loaded: receives the warnings and faults.
        overrides: the settings of the command line.
    """
    collected: list[Orchestration] = []
    run = replace(overrides, collected=collected, faults=loaded.faults)
    # What is printed must not end up in the output of a command.
    with _warnings() as loaded.warnings, overriding(run), redirect_stdout(sys.stderr):
        yield collected


def load_file(path: Path, overrides: Overrides) -> LoadedFile:
    """Run a pipeline file and collect its pipelines and problems.

    Args:
        path: the path of the file.
        overrides: the settings of the command line.
    """
    loaded = LoadedFile(path)
    name = f"starlake_pipeline_{short_hash(str(path))}"
    if path.is_dir():
        loaded.problems.append(f"the folder {path} cannot be read: {_why_unreadable(path)}")
        return loaded
    # Files with any suffix can be loaded.
    loader = _Source(name, str(path))
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    collected: list[Orchestration] = []
    sys.modules[name] = module
    before = set(sys.modules)
    # A pipeline file may import modules from its folder, as it may under an orchestrator. The folder comes last in the
    # path: a neighbour called json.py must not shadow what this package imports.
    neighbours = str(path.parent)
    sys.path.append(neighbours)
    folder = _working_directory()
    try:
        with collecting(loaded, overrides) as collected:
            loader.exec_module(module)
    except OptionsError as error:
        loaded.problems.extend(error.problems)
    except (PluginFailedError, PluginContractError, PluginLoadError) as error:
        loaded.problems.append(str(error))  # the message names the plugin, and no line of this file is wrong
    except StarlakeError as error:
        loaded.problems.append(f"{_place(path, error)}: {error}")
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # any exception is a problem of that file
        loaded.problems.append(f"{_place(path, error)}: {type(error).__name__}: {error}")
    finally:
        if folder and folder != _working_directory():
            os.chdir(folder)
        if neighbours in sys.path:  # the last one: its folder may already be on the path
            del sys.path[len(sys.path) - 1 - sys.path[::-1].index(neighbours)]
        sys.modules.pop(name, None)
        _forget_neighbours(neighbours, before)
    for orchestration in collected:
        found = orchestration.plugins.check_file(path)
        loaded.warnings.extend(text for text in found if text not in loaded.warnings)
    loaded.orchestrations = collected
    loaded.pipelines = [p for o in collected for p in o.pipelines if isinstance(p, StarlakePipeline)]
    ids = [pipeline.id for pipeline in loaded.pipelines]
    for twin in dict.fromkeys(name for name in ids if ids.count(name) > 1):
        loaded.problems.append(
            f"{path.name}: {ids.count(twin)} pipelines have the id '{twin}'; give each another name: sl_create_pipeline(name=...)"
        )
    return loaded


def _forget_neighbours(folder: str, before: set[str]) -> None:
    """Forget the modules that a pipeline file imported from its folder, because the next folder may have modules with
    the same names, and the file may be loaded again when they have changed.

    What merely lies below the folder stays, such as the packages of a virtual environment next to the file, and so does
    a plugin that is developed there: imported twice, its classes would not be those that its runners inherit from."""
    new = set(sys.modules) - before
    for top in {name.partition(".")[0] for name in new} - before:
        nearby = PathFinder.find_spec(top, [folder])
        if nearby is None or not _same_place(nearby, getattr(sys.modules.get(top), "__spec__", None)):
            continue
        if not _of_a_plugin(top) and not any(_same_place(nearby, spec) for spec in _specs_without(folder, top)):
            for name in new:
                if name == top or name.startswith(f"{top}."):
                    del sys.modules[name]


def _same_place(spec: ModuleSpec, other: ModuleSpec | None) -> bool:
    """Return whether two modules have the same file, or the same folders if they are packages without one."""
    return other is not None and _place_of(spec) == _place_of(other)


def _place_of(spec: ModuleSpec) -> str | list[str]:
    return spec.origin or list(spec.submodule_search_locations or ())


def _of_a_plugin(name: str) -> bool:
    """Return whether a top-level module belongs to an installed plugin."""
    from importlib.metadata import entry_points  # slow to import, and seldom needed

    modules = {entry_point.module for group in ROLES.values() for entry_point in entry_points(group=group)}
    return any(module.partition(".")[0] == name for module in modules)


def _specs_without(folder: str, name: str) -> list[ModuleSpec]:
    """Return what the finders of this process say about a module when a folder is not on the path."""
    path = list(sys.path)
    sys.path[:] = [entry for entry in path if Path(entry).absolute() != Path(folder)]
    try:
        found = [finder.find_spec(name, None) for finder in sys.meta_path]
    finally:
        sys.path[:] = path
    return [spec for spec in found if spec is not None]


def _working_directory() -> str:
    with suppress(OSError):
        return os.getcwd()
    return ""


def _why_unreadable(folder: Path) -> str:
    try:
        os.listdir(folder)
    except OSError as error:
        return error.strerror or str(error)
    return "it could not be read a moment ago"


def _place(path: Path, error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f"{path.name}, line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"{path.name}, line {lines[-1]}" if lines else path.name


def load_files(paths: Sequence[Path], overrides: Overrides) -> list[LoadedFile]:
    """Load every pipeline file below some paths. If two files use the same id, the problem is reported for the second.

    Args:
        paths: files and folders.
        overrides: the settings of the command line.

    Raises:
        NothingFoundError: see :func:`find_files`.
    """
    files = [load_file(path, overrides) for path in find_files(paths)]
    seen: dict[str, Path] = {}
    for file in files:
        for pipeline in file.pipelines:
            other = seen.setdefault(pipeline.id, file.path)
            if other != file.path:
                file.problems.append(
                    f"{file.path.name}: the pipeline id '{pipeline.id}' is taken by {other.name}; give one of them another name: "
                    "sl_create_pipeline(name=...)"
                )
    return files


def pipelines_of(files: Sequence[LoadedFile]) -> list[StarlakePipeline]:
    """Return the pipelines of the files, if none has a problem.

    Raises:
        PipelineFileError: files have problems, all of which are in the message, or there is no pipeline.
    """
    problems = [problem for file in files for problem in file.problems]
    if problems:
        raise PipelineFileError("\n".join(problems))
    pipelines = [pipeline for file in files for pipeline in file.pipelines]
    if not pipelines and any(file.path.is_dir() for file in files):
        names = ", ".join(str(file.path) for file in files)
        raise PipelineFileError(
            f"no pipeline in the project {names}: none of its tables and transforms is scheduled, or all are broken"
        )
    if not pipelines:
        names = ", ".join(file.path.name for file in files)
        raise PipelineFileError(
            f"no pipeline in {names}: no 'with orchestration.sl_create_pipeline(...)' block ended there"
        )
    return pipelines
