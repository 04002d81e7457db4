"""The format of the database file. ``tox -e storage`` also plays it with another DuckDB, in the folder that ``STARLAKE_OTHER_DUCKDB`` names."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Sandbox

OTHER = os.environ.get("STARLAKE_OTHER_DUCKDB", "")
LOOK = (
    "import duckdb, os, sys\n"
    "print(duckdb.__version__, duckdb.__file__)\n"
    "with duckdb.connect(os.environ['SL_ROOT'] + '/datasets/duckdb.db', read_only=True) as c:\n"
    "    print(c.execute('SELECT id, label FROM shop.items ORDER BY ALL').fetchall())\n"
    "    print(c.execute('SELECT count(*) FROM starlake_core.log').fetchall())\n"
)


def version(sandbox: Sandbox) -> Any:
    return sandbox.query(
        "SELECT tags['storage_version'] FROM duckdb_databases() WHERE database_name = current_database()"
    )[0][0]


def test_a_new_database_has_the_format_that_starlake_can_open(sandbox: Sandbox) -> None:
    sandbox.staged("items1.csv", "id\n1\n")
    assert sandbox.run("load").code == 0
    assert version(sandbox).startswith("v1.2.0")
    assert sandbox.run("load", SL_DUCKDB_STORAGE_VERSION="latest").code == 0
    assert version(sandbox).startswith("v1.2.0"), "what exists keeps its format"


def test_another_format_can_be_asked_for(sandbox: Sandbox) -> None:
    sandbox.staged("items1.csv", "id\n1\n")
    assert sandbox.run("load", SL_DUCKDB_STORAGE_VERSION="latest").code == 0
    assert sandbox.query("SELECT id FROM shop.items") == [(1,)]


def test_a_format_that_does_not_exist(sandbox: Sandbox) -> None:
    sandbox.staged("items1.csv", "id\n1\n")
    done = sandbox.run("load", SL_DUCKDB_STORAGE_VERSION="v0", SL_RUN_KEY="k")
    assert done.code == 78
    assert "SL_DUCKDB_STORAGE_VERSION is 'v0'; give a version of DuckDB such as v1.2.0, or latest" in done.err
    assert sandbox.files("stage") == ["shop/items1.csv"]
    assert sandbox.run("load").code == 0


@pytest.mark.skipif(not OTHER, reason="STARLAKE_OTHER_DUCKDB names no folder with another DuckDB")
def test_two_versions_of_duckdb_work_on_one_database_in_turns(sandbox: Sandbox) -> None:
    """The engine runs on both, and each reads what the other wrote."""
    sandbox.write("metadata/transform/kpi/total.sql", "SELECT count(*) AS n FROM shop.items")
    wanted = []
    for number, path in enumerate(["", OTHER, "", OTHER]):
        sandbox.staged(f"items{number}.csv", f"id,label\n{number},a\nx,b\n")
        before = {"PYTHONPATH": os.pathsep.join(filter(None, [path, *sys.path]))}
        for arguments in (("load", "--domains", "shop"), ("transform", "--name", "kpi.total")):
            done = sandbox.finish(sandbox.process(*arguments, **before))
            assert done.code == 0, done.err
        wanted.append((number, "a"))
        for reader in ("", OTHER):
            seen = sandbox.finish(
                sandbox.python("-c", LOOK, PYTHONPATH=os.pathsep.join(filter(None, [reader, *sys.path])))
            )
            assert seen.code == 0, seen.err
            assert (seen.out.splitlines()[0].split()[1].startswith(OTHER)) == bool(reader)
            assert seen.out.splitlines()[1:] == [str(wanted), str([((number + 1) * 2,)])]
    assert sandbox.query("FROM kpi.total ORDER BY n") == [(1,), (2,), (3,), (4,)]
