"""Where the runs of a pipeline file are recorded."""

from __future__ import annotations

import os
from pathlib import Path

from starlake_core import GeneralOptions, Options, RunError
from starlake_core.processes.runner import local_folder
from starlake_core.runtime import project_root

from .options import LocalOptions

__all__ = ["state_folder"]


def state_folder(options: Options, path: str | Path) -> Path:
    """The folder for run records, locks and logs: the option ``state_dir``, or ``.starlake-core`` in the project.

    Args:
        options: the resolved options.
        path: the pipeline file, or the folder with the pipeline files.

    Raises:
        RunError: the option is an empty string.
    """
    given = options[LocalOptions].state_dir
    if given == "":
        raise RunError(
            "option 'state_dir' is empty; set it to a folder, or leave it out to use .starlake-core in the project"
        )
    if given is not None:
        return Path(given).expanduser().resolve()
    root = local_folder(options[GeneralOptions].sl_env_var.get("SL_ROOT") or os.environ.get("SL_ROOT"))
    if root is None or not os.path.isdir(root):
        root = project_root(path)
    return Path(root or os.getcwd()).resolve() / ".starlake-core"
