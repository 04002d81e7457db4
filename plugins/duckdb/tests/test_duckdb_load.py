"""load: formats, types, strategies, rejects, and where the files go."""

from __future__ import annotations

import gzip
import json
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Sandbox


def items(sandbox: Sandbox) -> list[tuple[object, ...]]:
    return sandbox.query("SELECT id, label FROM shop.items ORDER BY id, label")


def strategy(sandbox: Sandbox, text: str) -> None:
    sandbox.table(
        "items",
        f"""
        table:
          pattern: "items.*"
          primaryKey: [id]
          attributes:
            - {{name: id, type: int, required: true}}
            - {{name: label, type: string}}
            - {{name: at, type: iso_local_date}}
          metadata:
            writeStrategy: {text}
        """,
    )


def test_a_file_becomes_rows_and_goes_to_the_archive(sandbox: Sandbox) -> None:
    sandbox.staged("items1.csv", "id,label\n1,a\n2,b\n")
    result = sandbox.run("load", "--domains", "shop", "--tables", "items")
    assert result.code == 0
    assert result.out == "loaded shop.items: 2 row(s) from 1 file(s), 0 rejected\n"
    assert items(sandbox) == [(1, "a"), (2, "b")]
    assert sandbox.files("archive") == ["shop/items1.csv"]
    assert sandbox.files("ingesting") == sandbox.files("stage") == []


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--domains", "shop"),
        ("--include", "shop", "--schemas", "items"),
        ("--domains", "shop,nowhere", "--tables", "items,nothing"),
        ("--domains=shop", "--tables:items"),
    ],
)
def test_selections_that_load(sandbox: Sandbox, arguments: tuple[str, ...]) -> None:
    sandbox.staged("items1.csv", "id\n1\n")
    assert sandbox.run("load", *arguments).code == 0
    assert items(sandbox) == [(1, None)]


@pytest.mark.parametrize(
    "arguments",
    [("--domains", "nowhere"), ("--domains", "shop", "--tables", ""), ("--domains", "shop"), ("--domains", "")],
)
def test_nothing_to_load_succeeds(sandbox: Sandbox, arguments: tuple[str, ...]) -> None:
    result = sandbox.run("load", *arguments)
    assert (result.code, result.out) == (0, "no files to load\n")


def test_fields_are_found_by_the_names_in_the_header(sandbox: Sandbox) -> None:
    sandbox.staged("items1.csv", "unknown, LABEL ,id\nx,a,1\n")
    sandbox.run("load")
    assert items(sandbox) == [(1, "a")]


def test_weird_values_arrive_unchanged(sandbox: Sandbox) -> None:
    values = [
        "a,b",
        'say "hi"',
        "two\nlines",
        "crlf\r\nline",
        "é ☃ 𝄞",
        "'; DROP TABLE x; --",
        " padded ",
        "back\\slash",
        "{{x}}",
    ]
    body = "".join(f'{number},"{value.replace(chr(34), chr(34) * 2)}"\n' for number, value in enumerate(values))
    (sandbox.root / "datasets/stage/shop").mkdir(parents=True)
    (sandbox.root / "datasets/stage/shop/items1.csv").write_bytes(f"id,label\n{body}".encode())
    assert sandbox.run("load").code == 0
    assert [label for _, label in items(sandbox)] == values


def test_names_with_quotes_and_spaces(sandbox: Sandbox) -> None:
    sandbox.table(
        "odd",
        """
        table:
          pattern: "odd.*"
          rename: 'Odd "one"'
          attributes:
            - {name: 'a "b"', type: string, rename: 'sel ect'}
        """,
    )
    sandbox.staged("odd's file 1.csv", '"a ""b"""\nx\n')
    assert sandbox.run("load").code == 0
    assert sandbox.query('SELECT "sel ect" FROM shop."Odd ""one"""') == [("x",)]  # codespell:ignore ect


def test_a_dialect_of_its_own(sandbox: Sandbox) -> None:
    sandbox.table(
        "dsv",
        """
        table:
          pattern: "dsv.*"
          attributes: [{name: a}, {name: skipped, ignore: true}, {name: b}, {name: c, default: none, trim: BOTH}]
          metadata:
            {withHeader: false, separator: "||", quote: "'", escape: "\\\\", encoding: ISO-8859-1, nullValue: NA, emptyIsNull: false}
        """,
    )
    (sandbox.root / "datasets/stage/shop").mkdir(parents=True)
    content = "é||x||'it\\'s || fine'|| padded \nNA||x||||NA\n"
    (sandbox.root / "datasets/stage/shop/dsv1").write_bytes(content.encode("latin-1"))
    assert sandbox.run("load").code == 0
    assert sandbox.query("SELECT * FROM shop.dsv") == [("é", "it's || fine", "padded"), (None, "", "none")]


def test_the_default_dialect_is_starlakes(sandbox: Sandbox) -> None:
    sandbox.write("metadata/load/shop/_config.sl.yml", "load: {metadata: {directory: incoming}}")
    sandbox.staged("items1.csv", 'id;label\n1;"say \\"hi\\""\n2;""\n')
    assert sandbox.run("load").code == 0
    assert items(sandbox) == [(1, 'say "hi"'), (2, None)]


def test_a_compressed_file(sandbox: Sandbox) -> None:
    sandbox.table("items", "table: {pattern: 'items.*gz', attributes: [{name: id, type: int}, {name: label}]}")
    sandbox.staged("items.csv.gz", "")
    (sandbox.root / "datasets/stage/shop/items.csv.gz").write_bytes(gzip.compress(b"id,label\n1,a\n"))
    assert sandbox.run("load").code == 0
    assert items(sandbox) == [(1, "a")]


TYPES = """
    types:
      - {name: day, primitiveType: date, pattern: dd/MM/yyyy}
      - {name: money, primitiveType: decimal, pattern: "[0-9.]+", ddlMapping: {duckdb: "DECIMAL(10, 2)"}}
      - {name: flag, primitiveType: boolean, pattern: "(?i)true|yes|[y1]<-TF->(?i)false|no|[n0]"}
      - {name: moment, primitiveType: timestamp, pattern: "yyyy-MM-dd'T'HH:mm:ss.SSS"}
      - {name: epoch, primitiveType: timestamp, pattern: epoch_milli}
      - {name: code, primitiveType: string, pattern: "[A-Z]{3}"}
"""


def test_every_type(sandbox: Sandbox) -> None:
    sandbox.write("metadata/types/types.sl.yml", TYPES)
    names = ["int", "long", "double", "boolean", "date", "timestamp", "day", "money", "flag", "moment", "epoch", "code"]
    attributes = "".join(f"\n    - {{name: {name}_, type: {name}}}" for name in names)
    sandbox.table("typed", f"table:\n  pattern: typed.*\n  attributes:{attributes}\n")
    values = (
        "+7,-9000000000,1.5e3,yes,2026-11-03,2026-11-03 10:00:00,31/12/2026,12.50,N,2026-11-03T10:00:00.250,1000,ABC"
    )
    sandbox.staged("typed1.csv", ",".join(f"{name}_" for name in names) + f"\n{values}\n")
    assert sandbox.run("load").out == "loaded shop.typed: 1 row(s) from 1 file(s), 0 rejected\n"
    assert sandbox.query(
        "SET TimeZone = 'UTC'; SELECT * REPLACE (CAST(timestamp_ AS VARCHAR) AS timestamp_) FROM shop.typed"
    ) == [
        (
            7,
            -9000000000,
            1500.0,
            True,
            date(2026, 11, 3),
            "2026-11-03 10:00:00+00",
            date(2026, 12, 31),
            Decimal("12.50"),
            False,
            datetime(2026, 11, 3, 10, 0, 0, 250000),
            datetime(1970, 1, 1, 0, 0, 1),
            "ABC",
        )
    ]


def test_an_offset_is_counted_and_the_time_zone_is_sl_timezone(sandbox: Sandbox) -> None:
    sandbox.table(
        "typed",
        "table: {pattern: typed.*, attributes: [{name: at, type: iso_date_time}, {name: local, type: timestamp}]}",
    )
    sandbox.staged("typed1.csv", "at,local\n2026-01-01T10:00:00Z,\n2026-01-01T10:00:00,2026-01-01 10:00:00\n")
    sandbox.run("load", SL_TIMEZONE="Europe/Paris")
    hours = 'SELECT hour("at"), hour(local) FROM shop.typed'
    assert sandbox.query(f"SET TimeZone = 'UTC'; {hours}") == [(10, None), (9, 9)]


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("yyyy-MM-dd", "2024-1-3"), ("d/M/yyyy", "003/1/2024"), ("dd MMM yyyy", "3 Jan 2024"),
        ("yyyyMMdd HH:mm", "20240103 9:00"), ("yyyy-MM-dd'T'HH:mm:ss.SSS", "2024-01-03T10:00:00.5"),
    ],
)  # fmt: skip
def test_a_date_has_as_many_digits_as_its_pattern_has_letters(sandbox: Sandbox, pattern: str, text: str) -> None:
    quoted = pattern.replace("'", "''")
    sandbox.write(
        "metadata/types/types.sl.yml", f"types: [{{name: own, primitiveType: timestamp, pattern: '{quoted}'}}]"
    )
    sandbox.table("typed", "table: {pattern: typed.*, attributes: [{name: a, type: own}]}")
    sandbox.staged("typed1.csv", f"a\n{text}\n")
    assert sandbox.run("load").out == "loaded shop.typed: 0 row(s) from 1 file(s), 1 rejected\n"


def test_the_zone_of_a_type(sandbox: Sandbox) -> None:
    own = "{name: own, primitiveType: timestamp, pattern: 'dd/MM/yyyy HH:mm', zone: Europe/Paris, ddlMapping: {duckdb: TIMESTAMPTZ}}"
    sandbox.write("metadata/types/types.sl.yml", f"types: [{own}]")
    sandbox.table("typed", "table: {pattern: typed.*, attributes: [{name: a, type: own}]}")
    sandbox.staged("typed1.csv", "a\n01/07/2026 10:00\n")
    assert sandbox.run("load").code == 0
    assert sandbox.query("SET TimeZone = 'UTC'; SELECT CAST(a AS VARCHAR) FROM shop.typed") == [
        ("2026-07-01 08:00:00+00",)
    ]


def test_types_in_another_file_are_not_known(sandbox: Sandbox) -> None:
    sandbox.write("metadata/types/more.sl.yml", "types: [{name: own, primitiveType: string}]")
    sandbox.table("typed", "table: {pattern: typed.*, attributes: [{name: a, type: own}]}")
    sandbox.staged("typed1.csv", "a\nx\n")
    result = sandbox.run("load")
    assert result.code == 1
    assert (
        "the type 'own' is not defined in metadata/types. Starlake reads default.sl.yml and types.sl.yml there"
        in result.err
    )


def test_rejected_rows_are_counted_and_kept(sandbox: Sandbox) -> None:
    sandbox.staged("items1.csv", 'id,label\n1,a\nx,"b,c"\n2,only,three\n,d\n3,e\ny,f\n')
    result = sandbox.run("load", SL_RUN_KEY="k")
    assert result.code == 0
    assert result.out == "loaded shop.items: 3 row(s) from 1 file(s), 3 rejected\n"
    assert items(sandbox) == [(1, "a"), (2, "only"), (3, "e")]
    kept = sandbox.query(
        "SELECT row_number, record, errors, run_key, file FROM starlake_core.rejected ORDER BY row_number"
    )
    assert [row[:2] for row in kept] == [(2, 'x,"b,c"'), (4, ",d"), (6, "y,f")]
    assert [row[2] for row in kept] == [
        "id: 'x' is not a valid int",
        "id: a value is required",
        "id: 'y' is not a valid int",
    ]
    assert {row[3:] for row in kept} == {("k", "items1.csv")}


def test_reject_all_on_error_loads_nothing_and_fails(sandbox: Sandbox) -> None:
    sandbox.staged("items1.csv", "id,label\n1,a\nx,b\n")
    result = sandbox.run("load", SL_REJECT_ALL_ON_ERROR="true")
    assert result.code == 1
    assert "1 row(s) rejected" in result.err
    assert "items1.csv row 2: id: 'x' is not a valid int" in result.err
    assert sandbox.query("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'items'") == [(0,)]
    assert sandbox.files("stage") == ["shop/items1.csv"]
    assert sandbox.query("SELECT success FROM starlake_core.log") == [(False,)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("lines", '{"id": 1, "label": "a\\nb"}\n\n{"label": null, "id": "2"}\n'),
        ("array", '[{"id": 1, "label": "a\\nb"},\n {"id": 2}]'),
        ("bom", '\ufeff{"id": 1, "label": "a\\nb"}\r\n{"id": 2}'),
    ],
)
def test_json(sandbox: Sandbox, name: str, text: str) -> None:
    sandbox.table(
        "items",
        "table: {pattern: '.*json', attributes: [{name: id, type: int}, {name: label}], metadata: {format: JSON}}",
    )
    sandbox.staged(f"{name}.json", text)
    assert sandbox.run("load").code == 0
    assert items(sandbox) == [(1, "a\nb"), (2, None)]


def test_json_lines_that_are_wrong_are_rejected_one_by_one(sandbox: Sandbox) -> None:
    sandbox.table(
        "items",
        """
        table:
          pattern: ".*json"
          attributes: [{name: id, type: int, required: true}, {name: label}]
          metadata: {format: JSON_FLAT}
        """,
    )
    sandbox.staged("a.json", '{"id": 1}\nnonsense\n[1]\n{"id": "x"}\n{"id": 2, "label": 7}\n')
    assert sandbox.run("load").code == 0
    assert items(sandbox) == [(1, None), (2, "7")]
    assert sandbox.query("SELECT row_number, record, errors FROM starlake_core.rejected ORDER BY 1") == [
        (2, "nonsense", "the line is not valid JSON"),
        (3, "[1]", "the line is not a JSON object"),
        (4, '{"id": "x"}', "id: 'x' is not a valid int"),
    ]


def test_json_structures(sandbox: Sandbox) -> None:
    sandbox.table(
        "orders",
        """
        table:
          pattern: ".*json"
          attributes:
            - {name: tags, type: string, array: true}
            - name: lines
              type: struct
              array: true
              attributes: [{name: sku, type: string}, {name: quantity, type: int}]
          metadata: {format: JSON, array: true}
        """,
    )
    sandbox.staged(
        "a.json", json.dumps([{"tags": ["a", "b"], "lines": [{"sku": "x", "quantity": 2}]}, {"lines": None}])
    )
    assert sandbox.run("load").code == 0
    assert sandbox.query("SELECT * FROM shop.orders") == [(["a", "b"], [{"sku": "x", "quantity": 2}]), (None, None)]


def test_append_is_the_default(sandbox: Sandbox) -> None:
    for _ in range(2):
        sandbox.staged("items1.csv", "id,label\n1,a\n")
        sandbox.run("load")
    assert items(sandbox) == [(1, "a"), (1, "a")]
    assert sandbox.files("archive") == ["shop/items1.1.csv", "shop/items1.csv"]


def test_overwrite_keeps_the_last_file(sandbox: Sandbox) -> None:
    strategy(sandbox, "{type: OVERWRITE}")
    sandbox.staged("items1.csv", "id,label\n1,a\n")
    sandbox.run("load")
    sandbox.staged("items2.csv", "id,label\n2,b\n")
    sandbox.staged("items3.csv", "id,label\n3,c\n")
    sandbox.run("load")
    assert items(sandbox) == [(3, "c")]


@pytest.mark.parametrize("text", ["{type: UPSERT_BY_KEY}", "{type: upsert_by_key, key: [id]}"])
def test_upsert_by_key_the_last_row_wins(sandbox: Sandbox, text: str) -> None:
    strategy(sandbox, text)
    sandbox.staged("items1.csv", "id,label\n1,a\n2,b\n")
    sandbox.run("load")
    sandbox.staged("items2.csv", "id,label\n2,x\n3,c\n3,d\n")
    sandbox.staged("items3.csv", "id,label\n2,y\n")
    sandbox.run("load")
    assert items(sandbox) == [(1, "a"), (2, "y"), (3, "d")]


def test_the_primary_key_can_be_given(sandbox: Sandbox) -> None:
    sandbox.table(
        "items",
        """
        table:
          pattern: "items.*"
          attributes: [{name: id, type: int}, {name: label}]
          metadata: {writeStrategy: {type: UPSERT_BY_KEY}}
        """,
    )
    sandbox.staged("items1.csv", "id,label\n1,a\n1,b\n")
    assert sandbox.run("load").code == 1
    assert sandbox.run("load", "--primaryKeys", "id").code == 0
    assert items(sandbox) == [(1, "b")]


def test_upsert_by_key_and_timestamp_the_newest_row_wins(sandbox: Sandbox) -> None:
    strategy(sandbox, "{type: UPSERT_BY_KEY_AND_TIMESTAMP, timestamp: at}")
    sandbox.staged("items1.csv", "id,label,at\n1,a,2026-01-02\n2,b,2026-01-01\n")
    sandbox.run("load")
    sandbox.staged("items2.csv", "id,label,at\n1,old,2026-01-01\n2,new,2026-01-03\n2,mid,2026-01-02\n3,c,\n")
    sandbox.run("load")
    assert items(sandbox) == [(1, "a"), (2, "new"), (3, "c")]


def test_a_new_attribute_becomes_a_new_column(sandbox: Sandbox) -> None:
    sandbox.staged("items1.csv", "id,label\n1,a\n")
    sandbox.run("load")
    strategy(sandbox, "{type: APPEND}")
    sandbox.staged("items2.csv", "id,at\n2,2026-01-01\n")
    assert sandbox.run("load").code == 0
    # As text, because some versions of DuckDB need another package for a moment in Python.
    assert sandbox.query(
        "SET TimeZone = 'UTC'; SELECT id, label, CAST(\"at\" AS VARCHAR) FROM shop.items ORDER BY id"
    ) == [
        (1, "a", None),
        (2, None, "2026-01-01 00:00:00+00"),
    ]


def test_only_files_of_no_table_at_all_are_unresolved(sandbox: Sandbox) -> None:
    sandbox.table("others", "table: {pattern: 'others.*', attributes: [{name: id, type: int}]}")
    sandbox.staged("others1.csv", "id\n1\n")
    sandbox.staged("stray.txt", "x")
    assert sandbox.run("load", "--domains", "shop", "--tables", "items").code == 0
    assert sandbox.files("stage") == ["shop/others1.csv"]
    assert sandbox.files("unresolved") == ["shop/stray.txt"]


def test_a_broken_neighbour_does_not_stop_a_load(sandbox: Sandbox) -> None:
    sandbox.table("broken", "table: [")
    sandbox.staged("items1.csv", "id\n1\n")
    sandbox.staged("stray.txt", "x")
    assert sandbox.run("load", "--domains", "shop", "--tables", "items").code == 0
    assert sandbox.files("stage") == ["shop/stray.txt"]


def test_a_file_that_fits_two_tables_goes_to_the_first(sandbox: Sandbox) -> None:
    sandbox.table("items_all", "table: {pattern: 'items.*', attributes: [{name: id, type: int}]}")
    sandbox.staged("items1.csv", "id\n1\n")
    assert sandbox.run("load", "--domains", "shop", "--tables", "items_all").out == "no files to load\n"
    assert sandbox.run("load", "--domains", "shop", "--tables", "items").code == 0


def test_statements_before_and_after(sandbox: Sandbox) -> None:
    sandbox.table(
        "items",
        """
        table:
          pattern: "items.*"
          attributes: [{name: id, type: int}, {name: label}]
          presql: ["CREATE SCHEMA IF NOT EXISTS shop; CREATE TABLE shop.notes (note VARCHAR)"]
          postsql: ["INSERT INTO shop.notes SELECT '{{sl_year}}: ' || count(*) FROM shop.items"]
        """,
    )
    sandbox.staged("items1.csv", "id\n1\n")
    assert sandbox.run("load", "--scheduledDate", "'2026-11-03T00:00:00+00:00'").code == 0
    assert sandbox.query("FROM shop.notes") == [("2026: 1",)]


def test_counters_for_the_starlake_api(sandbox: Sandbox) -> None:
    sandbox.staged("items1.csv", "id\n1\nx\n")
    line = sandbox.run("load", SL_API="true").out.splitlines()[-1]
    assert line.startswith("IngestionCounters:")
    counters = json.loads(line.removeprefix("IngestionCounters:"))
    assert (counters["inputCount"], counters["acceptedCount"], counters["rejectedCount"]) == (2, 1, 1)
    assert counters["paths"] == ["items1.csv"]


@pytest.mark.parametrize(
    ("attribute", "metadata", "message"),
    [
        ("{name: id}", "{format: TEXT_XML}", "the format TEXT_XML of shop.items is not supported"),
        ("{name: id}", "{format: KAFKA}", "the format KAFKA of shop.items is not supported"),
        (
            "{name: id}",
            "{writeStrategy: {types: {APPEND: x}}}",
            "shop.items, writeStrategy.types.APPEND: the condition 'x' is wrong",
        ),
        ("{name: id}", "{writeStrategy: {type: UPSERT_BY_KEY}}", "needs writeStrategy.key or primaryKey"),
        ("{name: id}", "{writeStrategy: {type: UPSERT_BY_KEY, key: no}}", "names no, which is not a column"),
        (
            "{name: id, type: duble}",  # codespell:ignore duble
            "{}",
            "the type 'duble' is not defined in metadata/types. Did you mean 'double'?",  # codespell:ignore duble
        ),
        (
            "{name: id, privacy: AES}",
            "{}",
            "attribute 'id': privacy AES (supported: HIDE",
        ),
        ("{name: id, script: 'x'}", "{}", "attribute 'id': script 'x': Binder Error"),
        ("{name: id}", "{sink: {connectionRef: nowhere}}", "uses the connection 'nowhere'"),
        ("{name: id}", "{sink: {connectionRef: bq}}", "the connection 'bq' of shop.items (type 'bigquery') is not"),
        ("{name: id, required: true}, {name: b}", "{}", "its header lacks the required id: found ['b', 'c']"),
        ("{name: id}", "{separator: ';'}", "its header names no attribute"),
        ("{name: id}", "{encoding: klingon}", "metadata.encoding 'klingon' is unknown"),
        ("{name: b, type: struct}", "{}", "attribute 'b' is nested; DSV files hold plain values only"),
    ],
)
def test_what_cannot_be_done_is_said(sandbox: Sandbox, attribute: str, metadata: str, message: str) -> None:
    sandbox.write("metadata/application.sl.yml", "application: {connections: {bq: {type: bigquery}}}")
    sandbox.table("items", f"table: {{pattern: 'items.*', attributes: [{attribute}], metadata: {metadata}}}")
    sandbox.staged("items1.csv", "b,c\n1,2\n" if "required" in message or "separator" in metadata else "id,b\n1,2\n")
    result = sandbox.run("load", "--domains", "shop")
    assert result.code == 1
    assert message in result.err
    assert sandbox.files("stage") == ["shop/items1.csv"]


@pytest.mark.parametrize("option", [("--test",), ("--files", "a.csv"), ("--inPlace",)])
def test_options_that_cannot_be_ignored_are_refused(sandbox: Sandbox, option: tuple[str, ...]) -> None:
    result = sandbox.run("load", *option)
    assert result.code == 1
    assert f"load {option[0]} is not supported" in result.err


def test_where_the_database_is(sandbox: Sandbox) -> None:
    sandbox.write(
        "metadata/application.sl.yml",
        """
        application:
          connectionRef: here
          connections: {here: {type: jdbc, options: {url: "jdbc:duckdb:{{SL_ROOT}}/own.db"}}}
        """,
    )
    for number, environ in enumerate(({}, {"SL_DUCKDB_PATH": str(sandbox.root / "other.db")})):
        sandbox.staged(f"items{number}.csv", "id\n1\n")
        assert sandbox.run("load", **environ).code == 0
    assert (sandbox.root / "own.db").is_file()
    assert (sandbox.root / "other.db").is_file()
    assert not (sandbox.root / "datasets/duckdb.db").exists()


def test_a_database_that_is_none(sandbox: Sandbox) -> None:
    sandbox.write("datasets/duckdb.db", "hello")
    sandbox.staged("items1.csv", "id\n1\n")
    result = sandbox.run("load")
    assert result.code == 1
    assert "cannot open" in result.err
    assert sandbox.files("stage") == ["shop/items1.csv"]


BUILT_IN = [
    ("variant", '{"a": [1, 2]}', '{"a": [1, 2]}', "{"),
    ("integer", "12", 12, "1.5"),
    ("boolean", "t", True, "maybe"),
    ("basic_iso_date", "20111203", "2011-12-03 00:00:00+00", "2011-12-03"),
    ("iso_local_date", "2011-12-03", "2011-12-03 00:00:00+00", "3.12.2011"),
    ("iso_offset_date", "2011-12-03+02:00", "2011-12-02 22:00:00+00", "x"),
    ("iso_date", "2011-12-03+02:00", "2011-12-02 22:00:00+00", "x"),
    ("iso_date", "2011-12-03", "2011-12-03 00:00:00+00", "x"),
    ("iso_local_date_time", "2011-12-03T10:15:30", "2011-12-03 10:15:30+00", "x"),
    ("iso_offset_date_time", "2011-12-03T10:15:30+01:00", "2011-12-03 09:15:30+00", "x"),
    ("iso_zoned_date_time", "2011-12-03T10:15:30+01:00[Europe/Paris]", "2011-12-03 09:15:30+00", "x"),
    ("iso_date_time", "2011-12-03T10:15:30+01:00[Europe/Paris]", "2011-12-03 09:15:30+00", "x"),
    ("iso_ordinal_date", "2012-337", "2012-12-02 00:00:00+00", "2012-367"),
    ("iso_week_date", "2012-W48-6", "2012-12-01 00:00:00+00", "x"),
    ("iso_instant", "2011-12-03T10:15:30Z", "2011-12-03 10:15:30+00", "x"),
    ("rfc_1123_date_time", "Tue, 3 Jun 2008 11:05:30 GMT", "2008-06-03 11:05:30+00", "x"),
]


@pytest.mark.parametrize(("name", "text", "value", "wrong"), BUILT_IN)
def test_the_types_that_every_project_has(sandbox: Sandbox, name: str, text: str, value: object, wrong: str) -> None:
    sandbox.table(
        "items",
        f"table: {{pattern: 'items.*', metadata: {{separator: '|', quote: ''}}, attributes: [{{name: id, type: int}}, {{name: v, type: {name}}}]}}",
    )
    sandbox.staged("items1.csv", f"id|v\n1|{text}\n2|{wrong}\n")
    assert sandbox.run("load").code == 0
    shown = "CAST(v AS VARCHAR)" if isinstance(value, str) else "v"
    assert sandbox.query(f"SET TimeZone = 'UTC'; SELECT id, {shown} FROM shop.items") == [(1, value)]
