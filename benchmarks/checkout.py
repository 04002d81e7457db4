"""A checkout of the project: its distributions, its modules, and processes that run its code.

A process with the environment variables :meth:`Checkout.variables` imports the modules of the checkout and finds its
entry points, whatever is installed. So one environment can measure several versions of the code.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

__all__ = ["CORE", "Checkout", "Module"]

CORE = "core"
_OURS = ("SL_", "AIRFLOW", "DAGSTER", "GCP_", "AWS_", "GOOGLE_", "STARLAKE_")


@dataclass(frozen=True)
class Module:
    """A module of the project.

    Attributes:
        distribution: the folder of the plugin, or ``core``.
        name: its import name, without ``__init__`` for a package.
        file: its source file.
    """

    distribution: str
    name: str
    file: Path

    @property
    def package(self) -> str:
        """The package from which its relative imports start."""
        return self.name if self.file.name == "__init__.py" else self.name.rpartition(".")[0]


class Checkout:
    """A checkout.

    Args:
        root: the folder of the checkout.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        if not (self.root / "starlake_core").is_dir():
            raise SystemExit(f"{root} is not a checkout of this project: it has no folder starlake_core")

    @cached_property
    def sources(self) -> Mapping[str, Path]:
        """Return the source folder of each distribution; the core first, plugins sorted."""
        plugins = sorted((self.root / "plugins").glob("*/src"))
        return {CORE: self.root, **{folder.parent.name: folder for folder in plugins}}

    @cached_property
    def modules(self) -> tuple[Module, ...]:
        """Return every module that is installed, sorted within its distribution."""
        found: list[Module] = []
        for name, source in self.sources.items():
            files = source.glob("starlake_*/**/*.py") if name == CORE else source.glob("**/*.py")
            for file in sorted(files):
                parts = file.relative_to(source).with_suffix("").parts
                found.append(Module(name, ".".join(parts[:-1] if parts[-1] == "__init__" else parts), file))
        return tuple(found)

    def variables(self, folder: Path, complete: bool = False) -> dict[str, str]:
        """Return the environment variables of a process that uses the checkout, without those that the caller has set
        for this project.

        Args:
            folder: the folder for the entry points of the checkout; keep it while the process runs.
            complete: include the entry points of all plugins, even if their requirements are not installed.
        """
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        self._write_metadata(folder, complete)
        paths = [folder, *self.sources.values(), self.root / "tests"]
        return {**kept, "PYTHONPATH": os.pathsep.join(map(str, paths)), "PYTHONSAFEPATH": "1", "TZ": "UTC"}

    def _write_metadata(self, folder: Path, complete: bool) -> None:
        """Write the metadata of the distributions whose requirements are met to a folder that comes before installed
        packages on the path."""
        projects = {_normal(project["name"]): project for project in self._projects()}
        usable = dict(projects)
        while not complete and (
            lacking := [name for name, project in usable.items() if not _is_met(project, projects, usable)]
        ):
            for name in lacking:
                del usable[name]
        for name, project in usable.items():
            version = project.get("version", "0")
            info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
            info.mkdir()
            requires = "".join(f"Requires-Dist: {text}\n" for text in project.get("dependencies", []))
            metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}"
            (info / "METADATA").write_text(metadata, encoding="utf-8")
            lines = []
            for group, points in project.get("entry-points", {}).items():
                lines += [f"[{group}]", *(f"{point} = {value}" for point, value in points.items())]
            (info / "entry_points.txt").write_text("\n".join([*lines, ""]), encoding="utf-8")

    def _projects(self) -> Iterator[dict[str, Any]]:
        if sys.version_info < (3, 11):
            raise SystemExit("needs Python 3.11 or later: it reads TOML")
        else:
            import tomllib

            for file in (self.root / "pyproject.toml", *sorted((self.root / "plugins").glob("*/pyproject.toml"))):
                yield tomllib.loads(file.read_text(encoding="utf-8"))["project"]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_met(project: Mapping[str, Any], ours: Mapping[str, object], usable: Mapping[str, object]) -> bool:
    """Return whether all requirements of a distribution are installed.

    Args:
        project: its table of ``pyproject.toml``.
        ours: the names of all distributions of the checkout.
        usable: the names of those that can be imported, as far as is known.
    """
    for text in project.get("dependencies", []):
        name = _normal(re.split(r"[^A-Za-z0-9._-]", text, maxsplit=1)[0])
        if name in ours:
            if name not in usable:
                return False
            continue
        try:
            distribution(name)
        except PackageNotFoundError:
            return False
    return True
