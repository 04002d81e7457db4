"""The hook of the add-on ``template``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from starlake_core import hookimpl

__all__ = ["sl_write_plugin"]

_PROJECTS = Path(__file__).parent
_ACME = re.compile(r"acme-dist|ACME-CORE|ACME-NEXT|ACME|Acme|acme")


@hookimpl
def sl_write_plugin(role: str, name: str, folder: Path) -> Sequence[Path] | None:
    project = _PROJECTS / role.replace("-", "")
    if not project.is_dir():
        return None
    major, minor = version("starlake-core").split(".")[:2]
    words = {
        "acme-dist": f"starlake-{name.replace('_', '-')}",
        "ACME-CORE": f"{major}.{minor}",
        "ACME-NEXT": f"{major}.{int(minor) + 1}",
        "ACME": name.upper(),
        "Acme": "".join(word.capitalize() for word in name.split("_")),
        "acme": name,
    }

    def filled(text: str) -> str:
        return _ACME.sub(lambda found: words[found[0]], text)

    written = []
    for source in sorted(path for path in project.rglob("*.txt")):
        target = folder / filled(str(source.relative_to(project).with_suffix("")))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(filled(source.read_text(encoding="utf-8")), encoding="utf-8")
        written.append(target)
    return written
