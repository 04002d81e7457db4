"""Other packages that install files of ``ai.starlake``: two of them in one place overwrite each other."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

from starlake_core import PluginConflictError

__all__ = ["refuse_others"]

_OURS = "starlake-core-compat"
_MARKS = ("ai/__init__.py", "ai/starlake/__init__.py")


def refuse_others() -> None:
    """Refuse to continue if ``ai`` or ``ai.starlake`` belongs to a package that is not part of this project.

    Only folders that are already open are searched; the owners of the files are determined after a conflict was found.

    Raises:
        PluginConflictError: with the owners, and what to type.
    """
    found = [file for name in ("ai", "ai.starlake") for file in _init_files(name)]
    if not found:
        return
    owners = dict(sorted((owner.metadata["Name"], owner.version) for owner in _owners()))
    named = " and ".join(f"{name} {version}" for name, version in owners.items())
    whose = f"which belongs to {named}" if owners else "which belongs to no installed distribution"
    first = f"pip uninstall {' '.join(owners)}" if owners else f"rm {found[0]}"
    raise PluginConflictError(
        f"{_OURS} provides the modules ai.starlake.*, and so does {found[0]}, {whose}: they overwrite each other's files. "
        f"Keep one of the two. To keep {_OURS}: {first} && pip install --force-reinstall --no-deps {_OURS}"
    )


def _init_files(name: str) -> list[Path]:
    module = sys.modules.get(name)
    return [file for folder in getattr(module, "__path__", ()) if (file := Path(folder) / "__init__.py").is_file()]


def _owners() -> Iterator[Distribution]:
    for distribution in distributions():
        name = (distribution.metadata["Name"] or "").lower().replace("_", "-")
        files = {str(file) for file in distribution.files or ()}
        if name != _OURS and not files.isdisjoint(_MARKS):
            yield distribution
