"""Names of earlier days."""

from __future__ import annotations

import importlib

import pytest

NOW = {
    ("starlake_core", "guards_of"): "gates_before_work",
    ("starlake_core", "why_nothing"): "explain_skip",
    ("starlake_core", "described"): "dry_run_report",
    ("starlake_core", "selected"): "is_selected",
    ("starlake_core.runtime", "Found"): "AttemptInfo",
    ("starlake_core.runtime", "judged"): "outcome_from_exit_code",
    ("starlake_core.runtime", "with_marker"): "request_marker",
    ("starlake_core.plugins", "Installed"): "PluginInfo",
    ("starlake_core.options", "Declared"): "DeclaredOption",
}


@pytest.mark.parametrize(("place", "now"), NOW.items(), ids=lambda value: str(value))
def test_a_name_that_was_changed_still_works_and_says_the_new_one(place: tuple[str, str], now: str) -> None:
    module = importlib.import_module(place[0])
    with pytest.warns(DeprecationWarning, match=rf"{place[0]}\.{place[1]} was renamed to {place[0]}\.{now}"):
        assert getattr(module, place[1]) is getattr(module, now)
    assert place[1] not in module.__all__
    assert now in module.__all__


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("AbstractPipeline", "ai.starlake.orchestration"),
        ("OrchestrationFactory", "ai.starlake.orchestration"),
        ("StarlakeJobFactory", "ai.starlake.job"),
    ],
)
def test_names_of_the_package_before_are_elsewhere(name: str, place: str) -> None:
    with pytest.raises(ImportError, match=f"install starlake-core-compat, and use: from {place} import {name}"):
        exec(f"from starlake_core import {name}")
    importlib.import_module(place)
    assert hasattr(importlib.import_module(place), name)


def test_what_was_never_there_is_told_as_ever() -> None:
    import starlake_core

    assert not hasattr(starlake_core, "Nonsense")
    with pytest.raises(ImportError, match="cannot import name 'Nonsense'"):
        exec("from starlake_core import Nonsense")
