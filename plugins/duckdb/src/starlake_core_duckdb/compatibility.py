"""Where this engine gives Starlake's answers, and where it does not.

``compatibility.json`` is the list; ``python -m starlake_core_duckdb.compatibility`` prints the tables of the README.
The tests play each case that a behaviour names, and hold it to the behaviour's list.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

__all__ = ["Behaviour", "Listed", "behaviours"]


class Listed(Enum):
    """How a behaviour compares with Starlake's."""

    EQUAL = "equal"
    BETTER = "better"
    NEVER = "never"
    REFUSED = "refused"


_TITLES = {
    Listed.EQUAL: "The same as in Starlake",
    Listed.BETTER: "Better by default, and as in Starlake with `SL_DUCKDB_COMPAT=starlake`",
    Listed.NEVER: "Never as in Starlake, because data would be lost, would be readable, or could not be loaded again",
    Listed.REFUSED: "Refused by name",
}


@dataclass(frozen=True)
class Behaviour:
    """One behaviour, and the measured cases that show it.

    Attributes:
        about: what it is about.
        starlake: what Starlake does; empty if the engine does the same.
        engine: what the engine does by default; empty if it does the same.
        cases: names of measured cases.
    """

    listed: Listed
    about: str
    starlake: str
    engine: str
    cases: tuple[str, ...]


def behaviours() -> tuple[Behaviour, ...]:
    """All behaviours, in the order of the file."""
    text = Path(__file__).with_suffix(".json").read_text(encoding="utf-8")
    return tuple(
        Behaviour(
            Listed(entry["list"]),
            entry["about"],
            entry.get("starlake", ""),
            entry.get("engine", ""),
            tuple(entry["cases"]),
        )
        for entry in json.loads(text)
    )


def _tables() -> Iterator[str]:
    for listed, title in _TITLES.items():
        found = [behaviour for behaviour in behaviours() if behaviour.listed is listed]
        if not found:
            continue
        yield f"**{title}**\n"
        if listed is Listed.EQUAL:
            yield from (f"- {behaviour.about}" for behaviour in found)
        else:
            yield "| subject | Starlake | this engine |"
            yield "|---|---|---|"
            yield from (f"| {behaviour.about} | {behaviour.starlake} | {behaviour.engine} |" for behaviour in found)
        yield ""


if __name__ == "__main__":
    sys.stdout.write("\n".join(_tables()))
