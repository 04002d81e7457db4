"""Loads in one pass: the same tables and rejected rows as by the way that reads everything into a batch first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlake_core_duckdb import direct
from starlake_core_duckdb.batch import BATCH, ORDER, Counts, drop_batch, read_batch
from starlake_core_duckdb.bookkeeping import bookkeeping_changes
from starlake_core_duckdb.casting import Column
from starlake_core_duckdb.columns import ensure_table
from starlake_core_duckdb.reading import ReadingRules
from starlake_core_duckdb.set_aside import set_aside
from starlake_core_duckdb.sql import Parameters
from starlake_core_duckdb.strategies import Strategy, write
from starlake_core_duckdb.work import Work, utc_now
from starlake_core_project import Attribute, DataType
from starlake_core_project.model import Format, Metadata, Table
from starlake_core_project.types import BUILT_IN_TYPES

if TYPE_CHECKING:
    from conftest import Sandbox

TYPES = {**BUILT_IN_TYPES, "code": DataType("code", "string", "[a-c]{1,3}", {"duckdb": "VARCHAR"})}
KINDS = ("long", "int", "double", "decimal", "boolean", "date", "timestamp", "string", "code")
VALUES = st.one_of(
    st.sampled_from(
        ["", " ", "1", "-7", "+3", "1_000", "1.5", ".5", "1e3", "0x1F", "9223372036854775808", " 12", "12 ", "nan", "inf", "true", "TRUE", "t", "no",
         "2024-01-31", "2024-02-30", "2024-1-003", "infinity", "-infinity", "epoch", " infinity ", "20240131", "2024-01-31 10:20:30",
         "2024-01-31  1:20:30", "2024-01-31T10:20:30", "0000-01-01", "a", "abc", "abcd", "é", "NULL", "\x1f:1:"]
    ),
    st.text(st.sampled_from("ab1-.: é\\:"), max_size=6),
)  # fmt: skip
WRITTEN = st.tuples(VALUES, st.sampled_from(["", "", '"']), st.sampled_from([";"] * 30 + ["", ";;"]))
WORK = Work("key", "", "", "load", "hash", utc_now())


class Routes:
    """Loads the same files in both ways, into two databases."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.databases = [duckdb.connect(str(root / f"{name}.db")) for name in ("direct", "general")]
        self.used = 0
        for connection in self.databases:
            connection.execute("SET TimeZone = 'UTC'")
            for statement in bookkeeping_changes(connection):
                connection.execute(statement)

    def load(self, content: bytes, kinds: list[str], required: bool, strategy: str) -> None:
        path = self.root / "rows.csv"
        path.write_bytes(content)
        attributes = tuple(
            Attribute(f"a{index}", type=kind, required=required and not index) for index, kind in enumerate(kinds)
        )
        table = Table(
            "rows", "rows", "shop", "shop", path, "rows.*", metadata=Metadata(format=Format()), attributes=attributes
        )
        columns = [
            Column(item, item.name, TYPES[kind], TYPES[kind].ddl_mapping["duckdb"])
            for item, kind in zip(attributes, kinds, strict=True)
        ]
        rules = ReadingRules(2**30, False, self.root / "copies")
        one, other = self.databases
        found = [
            self._aside(
                one,
                lambda own: (
                    direct.load_directly(own, table, columns, Strategy(strategy), [(path, "x")], WORK, rules).counts
                ),
            )
        ]
        self.used += found[0] is not None
        for connection in (one, other) if found[0] is None else (other,):
            found.append(self._aside(connection, lambda own: self._general(own, table, columns, strategy, rules)))
        assert len({str(counts) for counts in found if counts is not None}) == 1
        rows, rejected = zip(*(self._contents(connection) for connection in self.databases), strict=True)
        assert rows[0] == rows[1]
        assert rejected[0] == rejected[1]

    def _aside(self, connection: Any, load: Any) -> Counts | str | None:
        connection.begin()
        try:
            found = load(connection)
        except Exception as error:
            connection.rollback()
            return str(error)
        connection.commit()
        return found

    def _general(
        self, connection: Any, table: Table, columns: list[Column], strategy: str, rules: ReadingRules
    ) -> Counts:
        counts = read_batch(connection, table, columns, [(table.path, "x")], WORK, rules)
        ensure_table(connection, "shop", "rows", [(column.name, column.ddl) for column in columns])
        write(connection, Strategy(strategy), ("shop", "rows"), BATCH, [column.name for column in columns], ORDER)
        drop_batch(connection)
        return counts

    def _contents(self, connection: Any) -> tuple[Any, Any]:
        try:
            rows = connection.execute("SELECT * FROM shop.rows ORDER BY rowid").fetchall()
        except duckdb.CatalogException:
            rows = []
        rejected = "SELECT file, row_number, record, errors FROM starlake_core.rejected ORDER BY rowid"
        listed = "SELECT error, path FROM audit.rejected ORDER BY rowid"
        return repr(rows), [connection.execute(query).fetchall() for query in (rejected, listed)]

    def forget(self) -> None:
        for connection in self.databases:
            connection.execute(
                "DROP SCHEMA IF EXISTS shop CASCADE; DELETE FROM starlake_core.rejected; DELETE FROM audit.rejected"
            )


@pytest.fixture
def routes(tmp_path: Path) -> Iterator[Routes]:
    found = Routes(tmp_path)
    yield found
    for connection in found.databases:
        connection.close()


@st.composite
def files(draw: st.DrawFn, kinds: list[str]) -> bytes:
    lines = [";".join(f"a{index}" for index in range(len(kinds)))]
    quoted = draw(st.sampled_from(["", "", '"', None]))
    for row in draw(st.lists(st.lists(WRITTEN, min_size=len(kinds), max_size=len(kinds)), max_size=6)):
        line = ""
        for value, own, separator in row:
            quote = own if quoted is None else quoted
            line += f"{quote}{value}{quote}{separator}"
        lines.append(line.removesuffix(";"))
    end = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    return (end.join(lines) + end * draw(st.integers(0, 2))).encode()


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=4), required=st.booleans())
def test_both_ways_load_the_same(routes: Routes, data: st.DataObject, kinds: list[str], required: bool) -> None:
    routes.forget()
    for strategy in data.draw(st.lists(st.sampled_from(["APPEND", "OVERWRITE"]), min_size=1, max_size=2)):
        routes.load(data.draw(files(kinds)), kinds, required, strategy)


def test_a_regular_file_is_loaded_in_one_pass(routes: Routes) -> None:
    rows = "".join(f"{'x' if number % 100 == 7 else number};name {number}\n" for number in range(3000))
    for content in (rows, "".join(f'"{line.replace(";", chr(34) + ";" + chr(34))}"\n' for line in rows.splitlines())):
        routes.load(f"a0;a1\n{content}".encode(), ["long", "string"], True, "APPEND")
    assert routes.used == 2
    (number,) = routes.databases[0].execute("SELECT count(*) FROM starlake_core.rejected").fetchone() or (0,)
    assert number == 60


def test_what_was_in_the_table_stays_if_the_file_turns_out_to_be_irregular(routes: Routes) -> None:
    routes.load(b"a0;a1\n1;a\n2;b\n", ["long", "string"], True, "APPEND")
    routes.load(b'a0;a1\n3;"c"\n4;"d";5\n"6";\n7;"g"\n', ["long", "string"], True, "APPEND")
    assert routes.used == 1
    assert routes.databases[0].execute("SELECT a0 FROM shop.rows").fetchall() == [(1,), (2,), (3,), (4,), (6,), (7,)]


@pytest.mark.parametrize(
    "prepared",
    [
        "CREATE TABLE shop.items (id BIGINT PRIMARY KEY)",
        "CREATE TABLE shop.items (id BIGINT NOT NULL)",
        "CREATE TABLE shop.items (id INTEGER)",
        "CREATE TABLE shop.items (id BIGINT); CREATE INDEX i ON shop.items (id)",
        "CALL enable_logging()",
        "SET lock_configuration = true",
    ],
)
def test_what_cannot_be_loaded_in_one_pass_is_loaded_all_the_same(sandbox: Sandbox, prepared: str) -> None:
    presql = "CREATE SCHEMA IF NOT EXISTS shop; " + prepared
    statements = ", ".join(f'"{statement}"' for statement in presql.split("; "))
    sandbox.table(
        "items",
        f"table: {{ pattern: 'items.*', presql: [{statements}], attributes: [{{ name: id, type: long, required: true }}] }}",
    )
    sandbox.staged("items.csv", "id\n1\nx\n2\n")
    done = sandbox.run("load")
    assert (done.code, done.out) == (0, "loaded shop.items: 2 row(s) from 1 file(s), 1 rejected\n"), done.err
    assert sandbox.query("SELECT id FROM shop.items") == [(1,), (2,)]
    assert sandbox.query("SELECT row_number, record FROM starlake_core.rejected") == [(2, "x")]


def test_rows_are_set_aside_until_the_last_user_of_the_database_is_done() -> None:
    setting = "SELECT current_setting('enable_logging')"
    with duckdb.connect() as connection, duckdb.connect() as other:
        with set_aside(connection) as one:
            with set_aside(connection.cursor()) as two:
                assert one is not None
                assert two is not None
                for aside, errors in ((one, "'a:b'"), (two, "'é'")):
                    parameters = Parameters()
                    condition = aside.row("n", errors, "concat(n, ':x\n')", parameters)
                    query = f"SELECT n FROM range(4) t(n) WHERE CASE WHEN n <> 2 THEN true ELSE {condition} END"
                    assert connection.execute(query, parameters.values).fetchall() == [(0,), (1,), (3,)]
            assert connection.execute(setting).fetchall() == [(True,)]
            for aside, errors in ((one, "a:b"), (two, "é")):
                parameters = Parameters()
                query = aside.rows(parameters)
                assert connection.execute(query, parameters.values).fetchall() == [(2, errors, "2:x\n")]
        assert connection.execute(setting).fetchall() == [(False,)]
        assert other.execute(setting).fetchall() == [(False,)]
