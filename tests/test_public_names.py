"""Nothing that plugins rely on goes away unnoticed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from public_names import recorded

FILE = Path(__file__).parent / "public_names.json"
HOW = "; if that is meant, raise HOOKS_VERSION, say it in the changelog, and run: STARLAKE_UPDATE_DOCS=1 pytest tests/test_public_names.py"


def parts(record: dict[str, Any]) -> Iterator[str]:
    """Everything that somebody may rely on, one string each."""
    for name, arguments in record["hooks"].items():
        yield f"hook {name}"
        yield from (f"argument {argument} of {name}" for argument in arguments)
    for module, names in record["names"].items():
        yield from (f"{module}.{name}" for name in names)


def version(record: dict[str, Any]) -> tuple[int, int]:
    major, minor = record["hooks_version"].split(".")
    return int(major), int(minor)


def test_public_names_and_hooks_are_those_that_were_recorded() -> None:
    now = recorded()
    if os.environ.get("STARLAKE_UPDATE_DOCS"):
        FILE.write_text(json.dumps(now, indent=1) + "\n")
    before = json.loads(FILE.read_text())
    gone, new = set(parts(before)) - set(parts(now)), set(parts(now)) - set(parts(before))
    assert not gone, f"removed: {', '.join(sorted(gone))}{HOW}"
    new = {name for name in new if not name.startswith("starlake_core.testing.")}  # the kit grows between releases
    assert not new, f"added: {', '.join(sorted(new))}{HOW}"
    assert now["hooks_version"] == before["hooks_version"], f"recorded for version {before['hooks_version']}{HOW}"


def test_a_removal_is_noticed() -> None:
    now = recorded()
    less = {**now, "hooks": {**now["hooks"], "sl_create_job": ["command"]}}
    assert set(parts(now)) - set(parts(less)) == {"argument options of sl_create_job"}
    assert version(now) >= (1, 0)
