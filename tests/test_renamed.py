"""Names of earlier days."""

from __future__ import annotations

import importlib
import subprocess
import sys

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


@pytest.mark.parametrize(
    ("module", "name", "place"),
    [
        ("starlake_core.runtime", "RunKey", "starlake_core"),
        ("starlake_core", "Runner", "starlake_core.runtime"),
        ("starlake_core", "EnvironmentSuite", "starlake_core.testing"),
        ("starlake_core.testing", "hookimpl", "starlake_core"),
    ],
)
def test_a_name_of_another_public_module_says_where_it_is(module: str, name: str, place: str) -> None:
    with pytest.raises(ImportError, match=rf"^{name} is not in {module}; use: from {place} import {name}$"):
        getattr(importlib.import_module(module), name)


@pytest.mark.parametrize(
    ("module", "name", "near"),
    [
        ("starlake_core.runtime", "OutCome", "Outcome"),
        ("starlake_core", "hookimp", "hookimpl"),
        ("starlake_core.testing", "EnvironmentSuit", "EnvironmentSuite"),
    ],
)
def test_a_misspelt_name_gets_a_hint(module: str, name: str, near: str) -> None:
    with pytest.raises(AttributeError, match=f"no attribute '{name}'. Did you mean '{near}'?"):
        getattr(importlib.import_module(module), name)


def test_submodules_are_no_missing_names() -> None:
    for module, name in (("starlake_core", "testing"), ("starlake_core.runtime", "poller")):
        code = f"from {module} import {name}; print({name}.__name__)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == f"{module}.{name}"
