"""The command line as a program: one module for each command, one list of them, and who imports whom."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

from starlake_core import cli
from starlake_core.cli.app import COMMANDS, app

FOLDER = Path(cli.__file__).parent
MODULES = sorted(file.stem for file in FOLDER.glob("*.py") if file.stem not in ("__init__", "app"))
SHARED = [name for name in MODULES if name.startswith("_")]


def neighbours(module: str) -> set[str]:
    """The modules of this package that one imports."""
    tree = ast.parse((FOLDER / f"{module}.py").read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            found.update([node.module.partition(".")[0]] if node.module else [alias.name for alias in node.names])
    return found


def test_the_list_of_commands_names_every_module_without_an_underscore() -> None:
    assert sorted(COMMANDS) == [name for name in MODULES if name not in SHARED]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_called_as_its_module(name: str) -> None:
    command = importlib.import_module(f"starlake_core.cli.{name}")
    assert command.__all__ == [name]
    assert app.commands[name.replace("_", "-")] is getattr(command, name)


@pytest.mark.parametrize("name", MODULES)
def test_no_module_imports_a_command(name: str) -> None:
    assert neighbours(name) <= set(SHARED)
