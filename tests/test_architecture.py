"""Who may import whom, and what an import costs: read from the source, and proved in a process of its own."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
CORE = ROOT / "starlake_core"
CORE_FILES = sorted(CORE.rglob("*.py"))
PLUGIN_FILES = sorted((ROOT / "plugins").glob("*/src/**/*.py"))

ALLOWED_IN_THE_CORE = {*sys.stdlib_module_names, "starlake_core", "pluggy", "croniter"}
OF_THE_COMMAND_LINE = {"click", "rich"}
OF_THE_KIT = {"pytest", "hypothesis", "_pytest"}
MAY_USE = {("duckdb", "project"), ("compat", "project"), ("cloud_run", "google"), ("dataproc", "google")}


class Import(NamedTuple):
    module: str
    name: str
    at_module_level: bool
    line: int


def imports(file: Path, package: str) -> Iterator[Import]:
    """Every import of a file, with relative ones made absolute."""

    def visit(node: ast.AST, top: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                yield from visit(child, False)
                continue
            if isinstance(child, ast.Import):
                yield from (Import(alias.name, "", top, child.lineno) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = package.split(".")[: len(package.split(".")) + 1 - child.level] if child.level else []
                module = ".".join([*base, child.module] if child.module else base)
                yield from (Import(module, alias.name, top, child.lineno) for alias in child.names)
            deeper = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from visit(child, top and not deeper)

    yield from visit(ast.parse(file.read_text(encoding="utf-8")), True)


def package_of(file: Path, base: Path) -> str:
    return ".".join(file.relative_to(base).parent.parts)


def core_imports(file: Path) -> Iterator[Import]:
    return imports(file, package_of(file, ROOT))


def within(file: Path, *parts: str) -> bool:
    return file.relative_to(CORE).parts[0] in parts


def test_the_reader_of_imports_reads_relative_ones(tmp_path: Path) -> None:
    file = tmp_path / "x.py"
    file.write_text("from . import a\nfrom ..b import c\nimport d.e\ndef f():\n    from .g import h\n")
    assert list(imports(file, "p.q")) == [
        Import("p.q", "a", True, 1),
        Import("p.b", "c", True, 2),
        Import("d.e", "", True, 3),
        Import("p.q.g", "h", False, 5),
    ]
    assert len(CORE_FILES) > 20
    assert {file.relative_to(ROOT / "plugins").parts[0] for file in PLUGIN_FILES} >= {
        "shell",
        "local",
        "project",
        "duckdb",
        "compat",
    }


@pytest.mark.parametrize("file", CORE_FILES, ids=lambda file: str(file.relative_to(CORE)))
def test_the_core_imports_no_plugin_no_orchestrator_and_no_sdk(file: Path) -> None:
    allowed = set(ALLOWED_IN_THE_CORE)
    if within(file, "cli"):
        allowed |= OF_THE_COMMAND_LINE
    if within(file, "testing"):
        allowed |= OF_THE_KIT
    wrong = [found for found in core_imports(file) if found.module.partition(".")[0] not in allowed]
    assert wrong == []


@pytest.mark.parametrize("file", CORE_FILES, ids=lambda file: str(file.relative_to(CORE)))
def test_croniter_is_imported_on_first_use(file: Path) -> None:
    assert [
        found for found in core_imports(file) if found.module.startswith("croniter") and found.at_module_level
    ] == []


@pytest.mark.parametrize(
    "file",
    [file for file in CORE_FILES if not within(file, "cli", "testing", "__main__.py")],
    ids=lambda file: str(file.relative_to(CORE)),
)
def test_the_core_knows_neither_its_command_line_nor_its_kit(file: Path) -> None:
    names = [f"{found.module}.{found.name}" for found in core_imports(file)]
    assert [name for name in names if name.startswith(("starlake_core.cli", "starlake_core.testing"))] == []


@pytest.mark.parametrize(
    "file", [file for file in CORE_FILES if within(file, "runtime")], ids=lambda file: str(file.relative_to(CORE))
)
def test_the_runtime_knows_no_pipeline(file: Path) -> None:
    above = ("pipeline", "orchestration", "shapes", "render", "graph", "schedule", "names", "dependencies")
    names = [found.module for found in core_imports(file)]
    assert [name for name in names if name.startswith(tuple(f"starlake_core.{module}" for module in above))] == []


def plugin_id(file: Path) -> str:
    return str(file.relative_to(ROOT / "plugins"))


@pytest.mark.parametrize("file", PLUGIN_FILES, ids=plugin_id)
def test_plugins_import_public_names_of_the_core_and_never_each_other(file: Path) -> None:
    own = file.relative_to(ROOT / "plugins").parts[0]
    package = package_of(file, ROOT / "plugins" / own / "src")
    for found in imports(file, package):
        top = found.module.partition(".")[0]
        if top.startswith("starlake_core_") and top != f"starlake_core_{own}":
            assert (own, top.removeprefix("starlake_core_")) in MAY_USE, found
        if top != "starlake_core":
            continue
        assert not any(part.startswith("_") for part in (*found.module.split("."), found.name)), found
        assert not found.module.startswith(("starlake_core.cli", "starlake_core.testing")), found
        if found.name:
            module = importlib.import_module(found.module)
            assert found.name in module.__all__, f"{found} is not in __all__"


@pytest.mark.parametrize(
    "module", ["starlake_core", "starlake_core.runtime", "starlake_core.contract", "starlake_core.plugins"]
)
def test_every_public_name_exists_once(module: str) -> None:
    loaded = importlib.import_module(module)
    assert len(set(loaded.__all__)) == len(loaded.__all__)
    assert [name for name in loaded.__all__ if not hasattr(loaded, name)] == []


HEAVY = {
    "rich",
    "click",
    "duckdb",
    "yaml",
    "croniter",
    "asyncio",
    "jinja2",
    "airflow",
    "dagster",
    "pytest",
    "hypothesis",
}


def loaded_by(code: str) -> set[str]:
    script = f"import sys\nbefore = set(sys.modules)\n{code}\nprint(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import starlake_core",
        "import starlake_core.runtime",
        "from starlake_core.plugins import select; select('local', 'shell')",
        "from starlake_core.plugins import installed; assert installed()",
    ],
)
def test_an_import_loads_nothing_heavy(code: str) -> None:
    loaded = loaded_by(code)
    assert "starlake_core" in loaded
    assert {module.partition(".")[0] for module in loaded} & HEAVY == set()


def test_the_core_loads_no_plugin_by_itself() -> None:
    assert not [module for module in loaded_by("import starlake_core") if module.startswith("starlake_core_")]


def test_selecting_one_environment_loads_no_other() -> None:
    loaded = loaded_by("from starlake_core.plugins import select; select('local', 'shell')")
    assert {module.partition(".")[0] for module in loaded if module.startswith("starlake_core_")} == {
        "starlake_core_local",
        "starlake_core_shell",
    }


def test_every_plugin_is_an_extra_of_the_core() -> None:
    """As the documentation leads people to expect: ``pip install starlake-core[airflow,shell]``."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = text[text.index("[project.optional-dependencies]") : text.index("[project.scripts]")]
    wanted = {
        folder.parent.name
        for folder in (ROOT / "plugins").glob("*/pyproject.toml")
        if '[project.entry-points."starlake_core.' in folder.read_text(encoding="utf-8")
    } | {"compat"}
    assert [
        name for name in sorted(wanted) if f'{name} = ["starlake-core-{name.replace("_", "-")}>=' not in extras
    ] == []
