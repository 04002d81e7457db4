"""Each measured case of Starlake is held to its list in ``compatibility.json``.

- ``equal``: the measured result, by default and with ``SL_DUCKDB_COMPAT=starlake``;
- ``better``: another result by default, the measured one with ``SL_DUCKDB_COMPAT=starlake``;
- ``never``: another result, both ways;
- ``refused``: a message that says what is not supported, both ways.

The cases are those in ``facts`` beside this file (``"like"`` in their ``expected.json`` names the measured case whose list they share), and
the measured ones where ``STARLAKE_CLI_FACTS`` or ``shared/facts/starlake-cli`` beside a clone has them.

A case that the engine does not do yet is a line of ``facts/open.txt``: it has to fail here, and passes only when its line is taken away.
To close a case: make it pass (``python plugins/duckdb/tests/starlake_facts.py [--compat] CASE`` says what differs), or move it to another list in
``compatibility.json`` if that is where it belongs; delete its line in ``facts/open.txt``; and write the tables of the README anew with
``STARLAKE_UPDATE_DOCS=1 pytest docs/test_docs.py``.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from starlake_core_duckdb.compatibility import Behaviour, Listed, behaviours
from starlake_facts import OWN, cases, play

CASES = cases()
OPEN = (OWN / "open.txt").read_text().split()
LISTS = {case: behaviour for behaviour in behaviours() for case in behaviour.cases}


def behaviour_of(name: str) -> Behaviour:
    expected = json.loads((CASES[name] / "expected.json").read_text())
    return LISTS[expected.get("like", name) if isinstance(expected, dict) else name]


def _parameter(name: str) -> object:
    marks = [pytest.mark.xfail(reason="the engine does not do this yet", strict=True)] if name in OPEN else []
    return pytest.param(name, marks=marks)


@pytest.mark.parametrize("name", [_parameter(name) for name in CASES])
def test_a_case_is_held_to_its_list(name: str, tmp_path: Path) -> None:
    behaviour = behaviour_of(name)
    default = play(CASES[name], tmp_path / "default")
    compat = play(CASES[name], tmp_path / "compat", compat=True)
    if behaviour.listed is Listed.REFUSED:
        assert default.refused
        assert compat.refused
        return
    assert bool(default.differences) == (behaviour.listed is not Listed.EQUAL), (default.differences, default.errors)
    assert bool(compat.differences) == (behaviour.listed is Listed.NEVER), (compat.differences, compat.errors)


def test_every_case_is_on_one_list() -> None:
    named = [case for behaviour in behaviours() for case in behaviour.cases]
    assert len(named) == len(set(named))
    assert {name for name, case in CASES.items() if case.parent != OWN} <= set(named)


def test_every_open_case_exists() -> None:
    assert len(OPEN) == len(set(OPEN))
    assert set(OPEN) <= {*LISTS, *CASES}
