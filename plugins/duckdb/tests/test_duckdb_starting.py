"""What a command imports: no more than it needs, because each one is a process."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest
import starlake_core_duckdb
from starlake_core_duckdb.driver import duckdb as driven

if TYPE_CHECKING:
    from conftest import Sandbox

SOURCES = Path(starlake_core_duckdb.__file__).parent
NOT_NEEDED = {
    "_pytest", "asyncio", "croniter", "dateutil", "email", "http", "importlib.metadata", "importlib.resources", "jinja2", "multiprocessing",
    "pluggy", "pytz", "regex", "rich", "select", "socket", "sqlglot", "ssl", "starlake_core.dsl", "starlake_core.freshness", "starlake_core.options",
    "starlake_core.plugins", "starlake_core.processes", "starlake_core.public", "starlake_core.runtime", "subprocess",
}  # fmt: skip
COMPILED = importlib.util.find_spec("_duckdb")
HAS_COMPILED_MODULE = COMPILED is not None and Path(COMPILED.origin or "").parent == Path(duckdb.__file__).parent.parent
"""Otherwise it is inside the package, which has to be imported."""

LISTED = """
import sys
from starlake_core_duckdb.cli import main
code = main(sys.argv[1:])
print(*sys.modules)
sys.exit(code)
"""


@pytest.mark.parametrize("arguments", [("load",), ("transform", "--name", "kpi.items")], ids=lambda given: given[0])
def test_a_command_imports_only_what_it_needs(sandbox: Sandbox, arguments: tuple[str, ...]) -> None:
    sandbox.table("items", "table: { pattern: 'items.*', attributes: [{ name: id, type: long, required: true }] }")
    sandbox.staged("items.csv", "id\n1\nx\n")
    sandbox.write("metadata/transform/kpi/items.sl.yml", "task: {}")
    sandbox.write("metadata/transform/kpi/items.sql", "SELECT '{{SL_ROOT}}' AS root", version="")
    done = sandbox.finish(sandbox.python("-c", LISTED, *arguments))
    assert done.code == 0, done.err
    loaded = set(done.out.splitlines()[-1].split())
    assert "starlake_core_duckdb.work" in loaded
    assert loaded & (NOT_NEEDED | ({"duckdb"} if HAS_COMPILED_MODULE else set())) == set()


def test_the_compiled_module_has_the_very_objects_of_the_package() -> None:
    used = {
        name
        for file in SOURCES.rglob("*.py")
        for name in re.findall(r"\bduckdb\.([A-Za-z]\w*)", file.read_text(encoding="utf-8"))
        if hasattr(duckdb, name) and name != "connect"
    }
    assert {"DuckDBPyConnection", "Error", "StatementType"} <= used
    assert [name for name in sorted(used) if getattr(driven, name) is not getattr(duckdb, name)] == []
    with driven.connect() as connection:
        assert isinstance(connection, duckdb.DuckDBPyConnection)


def test_no_module_imports_the_package_by_itself() -> None:
    found = [
        file.name
        for file in SOURCES.rglob("*.py")
        if file.name != "driver.py"
        and re.search(r"^\s*import duckdb\b", file.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert found == []
