"""Where pipeline files are deployed to: a workspace, or the ``defs`` folder of a project of ``dg``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlake_core import Options, RunError

from .options import DagsterOptions

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Place", "place_of"]


@dataclass(frozen=True)
class Place:
    """Where the list of deployed files is.

    Attributes:
        folder: the folder of the module with the list.
        workspace: the ``workspace.yaml`` that names the module; None if Dagster finds it by itself.
    """

    folder: Path
    workspace: Path | None = None

    @classmethod
    def of_workspace(cls, workspace: Path) -> Place:
        """The folder of a workspace.

        Args:
            workspace: the ``workspace.yaml``.
        """
        return cls(workspace.parent, workspace)

    def __str__(self) -> str:
        return str(self.workspace or self.folder)


def place_of(options: Options) -> Place:
    """Where to deploy: to the workspace of the option, to the project of ``dg`` that the working directory is in, or to a workspace there.

    Args:
        options: the resolved options.

    Raises:
        RunError: the working directory is in a project or workspace of ``dg`` in which there is no folder for definitions.
    """
    given = options[DagsterOptions].workspace
    if given is not None:
        return Place.of_workspace(Path(given).expanduser().absolute())
    here = Path.cwd()
    for folder in (here, *here.parents):
        config = _dg_config(folder)
        if config.get("directory_type") == "project":
            return Place(_defs_folder(folder, config))
        if config.get("directory_type") == "workspace":
            raise RunError(
                f"{folder} is a workspace of dg, which has no definitions of its own; change to the folder of one of its projects"
            )
    return Place.of_workspace(here / "workspace.yaml")


def _dg_config(folder: Path) -> Mapping[str, Any]:
    """What a folder says to ``dg``; empty if nothing."""
    for name, keys in (("dg.toml", ()), ("pyproject.toml", ("tool", "dg"))):
        file = folder / name
        try:
            found: Any = tomllib.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise RunError(f"{file} cannot be read: {error}; set the option 'workspace' to deploy elsewhere") from error
        for key in keys:
            found = found.get(key, {}) if isinstance(found, dict) else {}
        if isinstance(found, dict) and found:
            return found
    return {}


def _defs_folder(folder: Path, config: Mapping[str, Any]) -> Path:
    project = config.get("project") or {}
    module = project.get("defs_module") or f"{project.get('root_module') or folder.name}.defs"
    path = Path(*str(module).split("."))
    found = [folder / base / path for base in ("src", ".") if (folder / base / path).is_dir()]
    if not found:
        raise RunError(
            f"{folder} is a project of dg, and the folder of its module {module} is neither {folder / 'src' / path} nor {folder / path}; "
            "create it, or set the option 'workspace' to deploy elsewhere"
        )
    return Path(*found[0].parts)
