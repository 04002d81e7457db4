"""Plugins that are single files in a folder, without a distribution: those below ``SL_PLUGINS_DIR``."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from ..short_names import short_hash

__all__ = ["VARIABLE", "PluginFile", "find_files"]

VARIABLE = "SL_PLUGINS_DIR"
"""The environment variable with the folders, separated as in PATH. Workers need it too."""

_ROLES = {"orchestrator": "sl_create_pipeline", "environment": "sl_create_job", "project": "sl_read_facts"}


@dataclass(frozen=True)
class PluginFile:
    """A file that is a plugin, in place of an entry point.

    Attributes:
        path: its path.
    """

    path: Path

    def load(self) -> ModuleType:
        """Import the file, once per process."""
        name = f"starlake_plugin_{self.path.stem}_{short_hash(str(self.path))}"
        if name not in sys.modules:
            spec = importlib.util.spec_from_file_location(name, self.path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module
            try:
                spec.loader.exec_module(module)
            except BaseException:
                del sys.modules[name]
                raise
        return sys.modules[name]


def find_files(environ: Mapping[str, str] | None = None) -> Iterator[tuple[str, PluginFile]]:
    """Yield the role of each plugin file, and the file. None is imported: the hooks in its text say what it is.

    Args:
        environ: the environment variables; those of this process by default.
    """
    folders = (os.environ if environ is None else environ).get(VARIABLE, "")
    for folder in filter(None, folders.split(os.pathsep)):
        for path in sorted(Path(folder).absolute().glob("[!_.]*.py")):
            defined = set(
                re.findall(r"^def (sl_\w+)\(", path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
            )
            roles = [role for role, hook in _ROLES.items() if hook in defined and _has_rest(role, defined)]
            for role in roles or (["add-on"] if defined else []):
                yield role, PluginFile(path)


def _has_rest(role: str, defined: set[str]) -> bool:
    """Return whether a file has what its role needs: an add-on may have ``sl_create_job`` alone."""
    return role != "environment" or "sl_create_runner" in defined
