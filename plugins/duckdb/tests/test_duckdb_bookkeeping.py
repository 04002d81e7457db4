"""The engine's own tables beside those of Starlake, and databases of earlier versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest

if TYPE_CHECKING:
    from conftest import Sandbox

STARLAKE = """
CREATE SCHEMA audit;
CREATE TABLE audit.audit (jobid VARCHAR, domain VARCHAR, "schema" VARCHAR, success BOOLEAN, count BIGINT);
CREATE TABLE audit.rejected (jobid VARCHAR, "timestamp" TIMESTAMP, domain VARCHAR, "schema" VARCHAR, error VARCHAR, path VARCHAR);
CREATE TABLE audit.expectations (jobid VARCHAR, domain VARCHAR, "schema" VARCHAR, name VARCHAR);
INSERT INTO audit.rejected VALUES ('j', now()::TIMESTAMP, 'shop', 'items', 'why', 'where');
"""
EARLIER = """
CREATE SCHEMA IF NOT EXISTS audit;
CREATE TABLE audit.run_keys (
    run_key VARCHAR NOT NULL, command VARCHAR NOT NULL, arguments_hash VARCHAR NOT NULL,
    result VARCHAR NOT NULL, committed_at TIMESTAMP NOT NULL);
CREATE TABLE audit.loaded_files (path VARCHAR NOT NULL, domain VARCHAR NOT NULL, "table" VARCHAR NOT NULL);
CREATE TABLE audit.rejected (
    run_key VARCHAR, domain VARCHAR NOT NULL, "table" VARCHAR NOT NULL, file VARCHAR NOT NULL,
    row_number BIGINT, record VARCHAR, errors VARCHAR NOT NULL, rejected_at TIMESTAMP NOT NULL);
CREATE TABLE audit.log (
    run_key VARCHAR, command VARCHAR NOT NULL, domain VARCHAR NOT NULL, "table" VARCHAR NOT NULL,
    success BOOLEAN NOT NULL, accepted BIGINT, rejected BIGINT, message VARCHAR,
    started_at TIMESTAMP NOT NULL, ended_at TIMESTAMP NOT NULL);
"""
LOAD = ("load", "--domains", "shop")


def change(sandbox: Sandbox, sql: str) -> None:
    path = sandbox.root / "datasets" / "duckdb.db"
    path.parent.mkdir(exist_ok=True)
    with duckdb.connect(str(path)) as connection:
        connection.execute(sql)


def to_the_earlier_version(sandbox: Sandbox, *, instance: bool) -> None:
    """Move the tables to where an earlier version had them; the first one had no instances either."""
    change(sandbox, "DROP SCHEMA audit CASCADE;" + EARLIER)
    if instance:
        change(sandbox, "ALTER TABLE audit.run_keys ADD COLUMN instance VARCHAR")
    for name in ("run_keys", "loaded_files", "rejected", "log"):
        some = f" EXCLUDE (work{'' if instance else ', instance'})" if name == "run_keys" else ""
        change(sandbox, f"INSERT INTO audit.{name} BY NAME SELECT *{some} FROM starlake_core.{name}")
    change(sandbox, "DROP SCHEMA starlake_core CASCADE")


def schemas(sandbox: Sandbox) -> list[tuple[str, str]]:
    return sandbox.query("SELECT schema_name, table_name FROM duckdb_tables() WHERE schema_name <> 'shop' ORDER BY ALL")  # type: ignore[return-value]


@pytest.mark.parametrize("schema", ["audit", "AUDIT"])
def test_tables_of_starlake_are_left_alone(sandbox: Sandbox, schema: str) -> None:
    change(sandbox, STARLAKE.replace("CREATE SCHEMA audit", f"CREATE SCHEMA {schema}"))
    if schema.isupper():
        change(sandbox, "ALTER TABLE audit.rejected RENAME TO other; ALTER TABLE audit.other RENAME TO REJECTED")
    before = sandbox.query("FROM audit.rejected")
    sandbox.staged("items1.csv", "id,label\n1,a\nx,b\n")
    done = sandbox.run(*LOAD)
    assert done.out == "loaded shop.items: 1 row(s) from 1 file(s), 1 rejected\n", done.err
    assert sandbox.query("FROM audit.rejected") == before
    assert sandbox.query("SELECT file, record FROM starlake_core.rejected") == [("items1.csv", "x,b")]
    theirs = sorted(table.lower() for found, table in schemas(sandbox) if found == schema)
    assert theirs == ["audit", "expectations", "rejected"]


def test_rejected_rows_are_listed_where_starlake_lists_them(sandbox: Sandbox) -> None:
    sandbox.staged("items1.csv", "id,label\n1,a\n")
    assert sandbox.run(*LOAD).code == 0
    assert sandbox.query("SELECT count(*) FROM audit.rejected") == [(0,)]
    for number in (2, 3):
        sandbox.staged(f"items{number}.csv", "id,label\n1,a\nx,b\n")
        assert sandbox.run(*LOAD, SL_RUN_KEY=f"k{number}").code == 0
    listed = sandbox.query('SELECT JOBID, DOMAIN, "SCHEMA", ERROR, PATH FROM audit.rejected ORDER BY JOBID')
    why = "id: 'x' is not a valid int"
    assert listed == [("k2", "shop", "items", why, "items2.csv"), ("k3", "shop", "items", why, "items3.csv")]


@pytest.mark.parametrize("instance", [True, False])
def test_a_database_of_an_earlier_version_is_changed_when_it_is_opened(sandbox: Sandbox, instance: bool) -> None:
    sandbox.staged("items1.csv", "id,label\n1,a\nx,b\n")
    assert sandbox.run(*LOAD, SL_RUN_KEY="k").code == 0
    kept = {name: sandbox.query(f"FROM starlake_core.{name}") for name in ("loaded_files", "rejected", "log")}
    to_the_earlier_version(sandbox, instance=instance)
    sandbox.staged("items2.csv", "id\n2\n")
    assert sandbox.run(*LOAD, SL_RUN_KEY="k", SL_RUN_INSTANCE="~monday~0").out.startswith(
        "already done under this run key"
    )
    assert {name: sandbox.query(f"FROM starlake_core.{name}") for name in kept} == kept
    assert [table for schema, table in schemas(sandbox) if schema == "audit"] == ["rejected"]
    assert sandbox.run(*LOAD, SL_RUN_KEY="l").code == 0
    assert sandbox.query("SELECT id FROM shop.items") == [(1,), (2,)]


def test_what_an_earlier_version_wrote_later_is_moved_too(sandbox: Sandbox) -> None:
    """Two versions may work on one database in turns; what else is in the schema stays."""
    sandbox.staged("items1.csv", "id\n1\n")
    sandbox.run(*LOAD)
    change(sandbox, "DROP TABLE audit.rejected;" + EARLIER + "CREATE TABLE audit.mine (n INT);")
    change(sandbox, "INSERT INTO audit.run_keys SELECT 'old', 'load', 'hash', '[]', now()::TIMESTAMP")
    assert sandbox.run(*LOAD).code == 0
    assert sandbox.query("SELECT run_key FROM starlake_core.run_keys") == [("old",)]
    assert [table for schema, table in schemas(sandbox) if schema == "audit"] == ["mine", "rejected"]


def test_a_crash_during_the_change_loses_nothing(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    from test_duckdb_exactly_once import Crash, Faults, run_with_faults

    sandbox.staged("items1.csv", "id\n1\n")
    first = sandbox.run(*LOAD, SL_RUN_KEY="k")
    to_the_earlier_version(sandbox, instance=True)
    assert run_with_faults(sandbox, monkeypatch, Faults(1, Crash()), LOAD, SL_RUN_KEY="k") is None
    assert {schema for schema, _ in schemas(sandbox)} == {"audit"}
    assert sandbox.run(*LOAD, SL_RUN_KEY="k").out == f"already done under this run key\n{first.out}"


def test_a_database_of_a_version_that_could_remember_work_twice(sandbox: Sandbox) -> None:
    sandbox.write("metadata/transform/kpi/one.sql", "SELECT 1 AS n")
    assert sandbox.run("transform", "--name", "kpi.one", SL_RUN_KEY="k").code == 0
    change(sandbox, "DROP INDEX starlake_core.run_keys_once; ALTER TABLE starlake_core.run_keys DROP work")
    change(sandbox, "INSERT INTO starlake_core.run_keys FROM starlake_core.run_keys")
    assert sandbox.run("transform", "--name", "kpi.one", SL_RUN_KEY="k").out.startswith("already done")
    assert sandbox.run("transform", "--name", "kpi.one", SL_RUN_KEY="k2").code == 0
    with pytest.raises(duckdb.ConstraintException):
        change(sandbox, "INSERT INTO starlake_core.run_keys FROM starlake_core.run_keys")
