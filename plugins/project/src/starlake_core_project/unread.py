"""Files that look like files of a project, although nothing reads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .errors import Problem
from .tables import SUFFIX
from .walking import files_below

__all__ = ["unread_files"]

_FOLDERS = {"dags": 1, "types": 1, "load": 2, "transform": 2}
"""The folders of a project, and how deep their files are."""
_OLD = ".comet.yml"


def unread_files(metadata: Path) -> Iterator[Problem]:
    """Yield a problem for each file that looks like one of the project, but whose name or folder keeps it from being read.

    Args:
        metadata: the folder of the project's files.
    """
    root = str(metadata)
    for path in files_below(root):
        parts = path[len(root) + 1 :].split("/")
        name = parts[-1]
        if name[0] in "._" and not name.startswith("_config."):
            continue
        depth = _FOLDERS.get(parts[0])
        if len(parts) == 1:
            if name.endswith(_OLD):
                yield Problem(Path(path), f"is not read, because its name does not end with {SUFFIX}; rename it")
        elif depth is not None and not name.endswith(SUFFIX) and name.endswith((".yml", ".yaml")):
            yield Problem(Path(path), f"is not read, because its name does not end with {SUFFIX}; rename it")
        elif depth is not None and len(parts) != depth + 1 and _may_be_meant(parts[0], name):
            where = f"{parts[0]}/DOMAIN" if depth == 2 else parts[0]
            yield Problem(Path(path), f"is not read, because it is not in a folder {where} itself; move it there")


def _may_be_meant(part: str, name: str) -> bool:
    return name.endswith(SUFFIX) or (part == "transform" and name.endswith((".sql", ".sql.j2")))
