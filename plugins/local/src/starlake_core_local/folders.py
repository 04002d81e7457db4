"""Where the project of a pipeline file is, and where its runs are remembered."""

from __future__ import annotations

import os
from pathlib import Path

from starlake_core import Options
from starlake_core.runtime.process import local_folder

__all__ = ["project_root", "state_folder"]

_MARKERS = ("application.sl.yml", "application.yml", "application.sl.yaml")


def project_root(path: str | Path) -> str | None:
    """The Starlake project that a file or folder is in: the nearest folder with ``metadata/application.sl.yml``.

    Args:
        path: of the file or folder; an empty one is in no project.
    """
    if not str(path):
        return None
    place = Path(path).resolve()
    for folder in (place, *place.parents):
        if any((folder / "metadata" / marker).is_file() for marker in _MARKERS):
            return str(folder)
    return None


def state_folder(options: Options, path: str | Path) -> Path:
    """The folder for run records, locks and logs: the option ``state_dir``, else ``.starlake-core`` in the project.

    Args:
        options: typed options.
        path: the pipeline file, or the folder with pipeline files.
    """
    if options["state_dir"]:
        return Path(options["state_dir"]).expanduser().resolve()
    root = local_folder(options["sl_env_var"].get("SL_ROOT") or os.environ.get("SL_ROOT"))
    if root is None or not os.path.isdir(root):
        root = project_root(path)
    return Path(root or os.getcwd()).resolve() / ".starlake-core"
