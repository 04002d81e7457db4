"""Deploys pipeline files to a workspace or to a project of ``dg``, and removes them.

The files stay where they are: one module lists them, so that all of them are one code location with one lineage. An entry of the workspace
names that module; in a project of ``dg``, it is in the ``defs`` folder, where Dagster finds it.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml
from dagster import Definitions

from starlake_core import NothingFoundError, RunError, StarlakeError
from starlake_core.dsl.orchestration import current_overrides
from starlake_core.file_transaction import locked, swap

from .loading import definitions, merged
from .pipeline import DagsterPipeline
from .places import Place
from .render_context import dagster_name

__all__ = ["COMPONENT", "MODULE", "delete", "delete_project", "deploy", "deploy_project"]

MODULE = "starlake_definitions.py"
"""The module that lists the deployed files."""

COMPONENT = "starlake_core_dagster.components.StarlakeProjectComponent"

_HEAD = '''"""The deployed pipelines. Written by ``starlake-orchestrate deploy``; the values in capitals are all that it reads again."""

from pathlib import Path

from starlake_core_dagster import definitions

FILES = '''
_TAIL = """

defs = definitions([Path(__file__).parent / file for file in FILES], environment=ENVIRONMENT, **OPTIONS)
"""
_LOCATION = "starlake"
_MARK = "\ufeff"
"""Some editors write it at the beginning of a file."""
_EMPTY_LIST = re.compile(r"(?m)^load_from:[ \t]*(?:\[[ \t]*\]|null|~)?[ \t]*(#[^\r\n]*)?(?:\r?\n|\Z)")
_LIST = re.compile(r"(?m)^load_from:[^\n]*\n(?=(?:[ \t]*#[^\n]*\n|[ \t]*\r?\n)*( *)-\s)")


def deploy(files: Sequence[Path], place: Place) -> list[Path]:
    """Add pipeline files to those that are deployed. Dagster resolves all of them first: nothing is written unless they load together.

    Args:
        files: pipeline files.
        place: where to; what does not exist is created.

    Returns:
        The files written.

    Raises:
        RunError: the files do not load together, or the workspace cannot be read.
    """
    folder = place.folder
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with locked(folder):
            return _deploy(files, place)
    except BaseException:
        if made:
            with suppress(OSError):  # another process may use it by now
                folder.rmdir()
        raise


def deploy_project(folder: Path, pipelines: Sequence[DagsterPipeline], place: Place) -> list[Path] | None:
    """Name a project as a component in a project of ``dg``.

    Args:
        folder: the folder of the Starlake project.
        pipelines: its pipelines, which have to load together.
        place: where to.

    Returns:
        The file written; None if there are no components there: in a workspace, or before Dagster 1.11.

    Raises:
        RunError: the pipelines do not load together, or the file is there and says something else.
    """
    if place.workspace is not None or find_spec("dagster.components") is None:
        return None
    try:
        Definitions.validate_loadable(merged(pipelines))
    except StarlakeError:
        raise
    except Exception as error:
        raise RunError(f"Dagster cannot load these pipelines together: {type(error).__name__}: {error}") from error
    file = _component_of(folder, place)
    asked = current_overrides()
    attributes: dict[str, Any] = {
        "project": _relative(folder, file.parent),
        **({"environment": asked.environment} if asked.environment else {}),
        **({"options": dict(sorted(asked.options.items()))} if asked.options else {}),
    }
    wanted = {"type": COMPONENT, "attributes": attributes}
    if file.exists():
        if _read_component(file) != wanted:
            raise RunError(
                f"{file} is there and says something else; change it, or remove it and deploy again. Its attributes would be:\n"
                + yaml.safe_dump(attributes, sort_keys=False, allow_unicode=True)
            )
        return [file]
    file.parent.mkdir(exist_ok=True)
    text = f"type: {COMPONENT}\n\n{yaml.safe_dump({'attributes': attributes}, sort_keys=False, allow_unicode=True)}"
    swap({file: text.encode()})
    return [file]


def delete_project(folder: Path, place: Place) -> list[Path] | None:
    """Take a project out of a project of ``dg``.

    Args:
        folder: the folder of the Starlake project.
        place: where it is deployed.

    Returns:
        The file removed; None if there are no components there: in a workspace, or before Dagster 1.11.

    Raises:
        NothingFoundError: it is not deployed there.
        RunError: the file has more than what :func:`deploy_project` writes.
    """
    if place.workspace is not None or find_spec("dagster.components") is None:
        return None
    file = _component_of(folder, place)
    if not file.is_file():
        raise NothingFoundError(f"not deployed in {place}: there is no {file}")
    found = _read_component(file)
    attributes = found.get("attributes") if isinstance(found, dict) else None
    if (
        not isinstance(attributes, dict)
        or found != {"type": COMPONENT, "attributes": attributes}
        or attributes.get("project") != _relative(folder, file.parent)
        or not attributes.keys() <= {"project", "environment", "options"}
    ):
        raise RunError(
            f"{file} says more than deploy writes, or something else; if nobody needs it, remove it yourself"
        )
    file.unlink()
    with suppress(OSError):  # something else is there, too
        file.parent.rmdir()
    return [file]


def _component_of(folder: Path, place: Place) -> Path:
    return place.folder / dagster_name(folder.name).lower() / "defs.yaml"


def _read_component(file: Path) -> Any:
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return None


def _deploy(files: Sequence[Path], place: Place) -> list[Path]:
    folder = place.folder
    before, asked = _listed(folder), current_overrides()
    every = _Listed(
        sorted({*before.files, *(_relative(file, folder) for file in files)}),
        asked.environment or before.environment,
        {**before.options, **asked.options},
    )
    writes: dict[Path, Path | bytes] = {folder / MODULE: _module(every)}
    if place.workspace is not None:
        text = _text(place.workspace)
        if not _names_us(_read(text, place.workspace)):
            # If the workspace is a link, its target is changed.
            writes[place.workspace.resolve()] = _with_entry(text, place.workspace).encode()
    _check(every, folder)
    swap(writes)
    return list(writes)


def delete(files: Sequence[Path], place: Place) -> list[Path]:
    """Remove pipeline files from those that are deployed; the files themselves are left alone.

    Args:
        files: pipeline files.
        place: where they are deployed.

    Returns:
        The files written.

    Raises:
        NothingFoundError: one of them is not deployed there.
    """
    folder = place.folder
    if not folder.is_dir():
        raise NothingFoundError(f"there is no workspace in {folder}; set the option 'workspace' to its path")
    with locked(folder):
        listed = _listed(folder)
        names = [_relative(file, folder) for file in files]
        missing = [name for name in names if name not in listed.files]
        if missing:
            raise NothingFoundError(
                f"not deployed in {place}: {', '.join(missing)} (deployed: {', '.join(listed.files) or 'nothing'})"
            )
        left = replace(listed, files=[name for name in listed.files if name not in names])
        # The entry of the workspace stays: a location without pipelines loads, but a missing one does not.
        swap({folder / MODULE: _module(left)})
    return [folder / MODULE]


def _relative(file: Path, folder: Path) -> str:
    return Path(os.path.relpath(file.resolve(), folder.resolve())).as_posix()


@dataclass(frozen=True)
class _Listed:
    """What is deployed.

    Attributes:
        files: the files, relative to the folder of the workspace.
        environment: for files that name none; that of the last deployment that named one.
        options: options that override those in the files.
    """

    files: Sequence[str] = ()
    environment: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def _module(listed: _Listed) -> bytes:
    files = "".join(f"    {file!r},\n" for file in listed.files)
    text = f"[\n{files}]\nENVIRONMENT = {listed.environment!r}\nOPTIONS = {dict(sorted(listed.options.items()))!r}"
    return f"{_HEAD}{text}{_TAIL}".encode()


def _listed(folder: Path) -> _Listed:
    """What is already deployed."""
    module = folder / MODULE
    if not module.exists():
        return _Listed()
    try:
        tree = ast.parse(module.read_text(encoding="utf-8"))
        found = [
            (target.id, ast.literal_eval(node.value))
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name) and target.id.isupper()
        ]
        values = dict(found)
        if len(values) < len(found):
            raise ValueError("a value occurs twice")
        files = [str(name) for name in values["FILES"]]
        return _Listed(files, values.get("ENVIRONMENT"), dict(values.get("OPTIONS", {})))
    except (KeyError, SyntaxError, ValueError, TypeError) as error:
        raise RunError(
            f"{module} has no list FILES of file names that can be read ({error}); deploy writes this file: restore it, or remove it and "
            "deploy all files again"
        ) from error


def _check(listed: _Listed, folder: Path) -> None:
    gone = [name for name in listed.files if not (folder / name).is_file()]
    if gone:
        raise RunError(
            f"{', '.join(gone)} of {folder / MODULE} no longer exists; remove it with: starlake-orchestrate delete"
        )
    try:
        files = [folder / name for name in listed.files]
        Definitions.validate_loadable(definitions(files, environment=listed.environment, **listed.options))
    except StarlakeError:
        raise
    except Exception as error:
        raise RunError(f"Dagster cannot load these files together: {type(error).__name__}: {error}") from error


def _text(workspace: Path) -> str:
    """The text of the workspace, with its line endings."""
    try:
        return workspace.read_bytes().decode()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{workspace} cannot be read: {error}") from error


def _read(text: str, workspace: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(text.removeprefix(_MARK)) or {}
    except yaml.YAMLError as error:
        raise RunError(f"{workspace} is not valid YAML: {error}") from error
    if not isinstance(found, dict) or not isinstance(found.get("load_from") or [], list):
        raise RunError(f"{workspace} is not a Dagster workspace: it needs a list of locations under load_from")
    return found


def _names_us(found: Mapping[str, Any]) -> bool:
    entries = [entry.get("python_file") for entry in found.get("load_from") or [] if isinstance(entry, dict)]
    paths = [entry.get("relative_path") if isinstance(entry, dict) else entry for entry in entries]
    return any(isinstance(path, str) and os.path.normpath(path) == MODULE for path in paths)


def _words(value: Any) -> Iterator[str]:
    """Every string in a location: one of them is its name, and names that are not written are derived from others."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _words(inner)


def _with_entry(text: str, workspace: Path) -> str:
    """The text of a workspace with our entry at the top of its list; the rest, comments included, stays as it is."""
    before = _read(text, workspace)
    others = before.get("load_from") or []
    # Of two locations with the same name, Dagster silently loads the last one.
    taken, number, name = set(_words(others)), 1, _LOCATION
    while name in taken:
        number += 1
        name = f"{_LOCATION}_{number}"
    wanted = {"python_file": {"relative_path": MODULE, "location_name": name}}
    end = "\r\n" if "\r\n" in text else "\n"

    def entry(indent: str) -> str:
        lines = ("- python_file:", f"    relative_path: {MODULE}", f"    location_name: {name}")
        return "".join(f"{indent}{line}{end}" for line in lines)

    mark, body = text[: len(text) - len(text.removeprefix(_MARK))], text.removeprefix(_MARK)
    listed, empty = _LIST.search(body), _EMPTY_LIST.search(body)
    if others:
        changed = body if listed is None else body[: listed.end()] + entry(listed[1]) + body[listed.end() :]
    elif "load_from" in before:
        said = f"  {empty[1]}" if empty is not None and empty[1] else ""
        head = f"load_from:{said}{end}"
        changed = body if empty is None else body[: empty.start()] + head + entry("  ") + body[empty.end() :]
    else:
        changed = body + ("" if not body or body.endswith("\n") else end) + f"load_from:{end}" + entry("  ")
    try:
        right = _read(changed, workspace) == {**before, "load_from": [wanted, *others]}
    except RunError:
        right = False
    if not right:
        raise RunError(f"{workspace} has a form that cannot be edited; add this under load_from:\n{entry('  ')}")
    return mark + changed
