"""A load of several tables and files: each table for itself, file by file, and what is left when something fails."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from test_duckdb_exactly_once import Crash, Faults, run_with_faults

if TYPE_CHECKING:
    from conftest import Sandbox

SHOP = ("load", "--domains", "shop")


@pytest.fixture
def shop(sandbox: Sandbox) -> Sandbox:
    """Three tables; the name of the middle one may be the faulty one."""
    for name in ("prices", "visits"):
        sandbox.table(
            name,
            f"table: {{pattern: '{name}.*', attributes: [{{name: id, type: int, required: true}}, {{name: label}}]}}",
        )
    return sandbox


def rows(sandbox: Sandbox, table: str) -> list[tuple[object, ...]]:
    return sandbox.query(f"SELECT id, label FROM shop.{table} ORDER BY ALL")


def older(path: Path, seconds: int) -> None:
    found = path.stat().st_mtime
    os.utime(path, (found - seconds, found - seconds))


UNSUPPORTED = "table: {pattern: 'prices.*', attributes: [{name: id, type: int}], metadata: {format: KAFKA}}"


def test_an_unsupported_table_fails_by_name_and_the_others_load(shop: Sandbox) -> None:
    shop.table("prices", UNSUPPORTED)
    for name in ("items", "prices", "visits"):
        shop.staged(f"{name}1.csv", "id,label\n1,a\n")
    done = shop.run(*SHOP)
    assert done.code == 1
    assert "the format KAFKA of shop.prices is not supported" in done.err
    assert done.out == "".join(
        f"loaded shop.{name}: 1 row(s) from 1 file(s), 0 rejected\n" for name in ("items", "visits")
    )
    assert rows(shop, "items") == rows(shop, "visits") == [(1, "a")]
    assert shop.files("stage") == ["shop/prices1.csv"]


def test_a_table_that_cannot_be_read_stops_no_other(shop: Sandbox) -> None:
    for name, text in (("items", "id\n1\n"), ("prices", "wrong header\n1\n"), ("visits", "id\n2\n")):
        shop.staged(f"{name}1.csv", text)
    done = shop.run(*SHOP)
    assert done.code == 1
    assert "prices1.csv" in done.err
    assert (rows(shop, "items"), rows(shop, "visits")) == ([(1, None)], [(2, None)])
    assert (shop.files("stage"), shop.files("ingesting")) == (["shop/prices1.csv"], [])
    shop.staged("prices2.csv", "id\n3\n")
    (shop.root / "datasets/stage/shop/prices1.csv").write_text("id\n4\n")
    assert shop.run(*SHOP).code == 0
    assert rows(shop, "prices") == [(3, None), (4, None)]


@pytest.mark.parametrize(("also", "code"), [("id\n1\n", 78), ("wrong header\n1\n", 1)])
def test_only_failures_that_will_not_pass_end_with_78(shop: Sandbox, also: str, code: int) -> None:
    shop.table("prices", UNSUPPORTED)
    shop.staged("items1.csv", also)
    assert shop.run(*SHOP, SL_RUN_KEY="k").code == code
    assert shop.run(*SHOP).code == 1


def test_a_repeat_loads_what_is_not_loaded_yet(shop: Sandbox) -> None:
    shop.staged("items1.csv", "id\n1\n")
    shop.staged("prices1.csv", "wrong header\n1\n")
    assert shop.run(*SHOP, SL_RUN_KEY="k").code == 1
    shop.staged("items2.csv", "id\n2\n")
    (shop.root / "datasets/stage/shop/prices1.csv").write_text("id\n5\n")
    again = shop.run(*SHOP, SL_RUN_KEY="k")
    assert again.code == 0
    assert again.out.splitlines() == [
        f"loaded shop.{name}: 1 row(s) from 1 file(s), 0 rejected" for name in ("items", "prices")
    ]
    assert (rows(shop, "items"), rows(shop, "prices")) == ([(1, None)], [(5, None)])
    assert shop.files("stage") == ["shop/items2.csv"], "it belongs to the next load"
    assert shop.run(*SHOP, SL_RUN_KEY="k").out == f"already done under this run key\n{again.out}"
    assert shop.run(*SHOP, SL_RUN_KEY="l").code == 0
    assert rows(shop, "items") == [(1, None), (2, None)]


def test_a_table_that_is_supported_later_is_loaded_under_the_same_key(shop: Sandbox) -> None:
    shop.table("prices", UNSUPPORTED)
    for name in ("items", "prices"):
        shop.staged(f"{name}1.csv", "id\n1\n")
    assert shop.run(*SHOP, SL_RUN_KEY="k").code == 78
    shop.table("prices", UNSUPPORTED.replace("KAFKA", "DSV"))
    assert shop.run(*SHOP, SL_RUN_KEY="k").code == 0
    assert shop.query("SELECT id FROM shop.prices") == [(1,)]
    assert rows(shop, "items") == [(1, None)]


@pytest.mark.parametrize("error", [Crash(), OSError("the disk is gone")], ids=["crash", "error"])
def test_a_fault_at_every_step_of_a_load_of_which_a_table_fails(
    shop: Sandbox, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """Whatever happened, the repeat of a load loads each file once."""
    at, hit = 0, True
    while hit:
        at += 1
        shop.staged("items1.csv", f"id\n{at}\n")
        bad = shop.staged("prices1.csv", "wrong header\n1\n")
        shop.staged("visits1.csv", f"id\n{at}\n")
        faults = Faults(at, error)
        run_with_faults(shop, monkeypatch, faults, SHOP, SL_RUN_KEY=f"{at}")
        hit = faults.seen >= at
        if not bad.exists():  # a crash left it in ingesting; the next load gives it back
            assert shop.run(*SHOP, SL_RUN_KEY=f"{at}").code == 1
        bad.write_text(f"id\n{at}\n")
        assert shop.run(*SHOP, SL_RUN_KEY=f"{at}").code == 0
        assert shop.run(*SHOP, SL_RUN_KEY=f"{at}").out.startswith("already done")
    wanted = [(number, None) for number in range(1, at + 1)]
    assert [rows(shop, name) for name in ("items", "prices", "visits")] == [wanted] * 3
    assert len(shop.files("archive")) == 3 * at
    assert shop.files("stage") == shop.files("ingesting") == []
    assert at > 8


def test_tables_of_two_databases(shop: Sandbox) -> None:
    shop.write(
        "metadata/application.sl.yml",
        """
        application:
          connectionRef: one
          connections:
            one: {type: jdbc, options: {url: "jdbc:duckdb:{{SL_ROOT}}/datasets/duckdb.db"}}
            two: {type: jdbc, options: {url: "jdbc:duckdb:{{SL_ROOT}}/datasets/other.db"}}
        """,
    )
    shop.table(
        "prices",
        "table: {pattern: 'prices.*', attributes: [{name: id, type: int}], metadata: {sink: {connectionRef: two}}}",
    )
    for name in ("items", "prices"):
        shop.staged(f"{name}1.csv", "id\n1\n")
    done = shop.run(*SHOP, SL_RUN_KEY="k")
    assert (done.code, len(done.out.splitlines())) == (0, 2)
    assert shop.run(*SHOP, SL_RUN_KEY="k").out == f"already done under this run key\n{done.out}"
    assert rows(shop, "items") == [(1, None)]


OVERWRITE = "table: {{pattern: 'items.*', attributes: [{{name: id, type: int}}, {{name: label}}], metadata: {{writeStrategy: {{type: {}}}}}}}"


def test_files_are_loaded_one_after_the_other_the_oldest_first(shop: Sandbox) -> None:
    shop.table("items", OVERWRITE.format("OVERWRITE"))
    shop.staged("items1.csv", "id\n1\nx\n")
    older(shop.staged("items2.csv", "id\n2\n"), 100)
    older(shop.staged("items3.csv", "id\n3\n"), 200)
    done = shop.run("load")
    assert done.out == "loaded shop.items: 3 row(s) from 3 file(s), 1 rejected\n"
    assert rows(shop, "items") == [(1, None)]


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({"SL_LOAD_STRATEGY": "ai.starlake.job.load.IngestionNameStrategy"}, [3]),
        ({"SL_GROUPED": "true"}, [1, 2, 3]),
        ({"SL_GROUPED": "true", "SL_GROUPED_MAX": "2"}, [1]),
    ],
)
def test_how_files_are_loaded_can_be_set(shop: Sandbox, settings: dict[str, str], kept: list[int]) -> None:
    shop.table("items", OVERWRITE.format("OVERWRITE"))
    shop.staged("items1.csv", "id\n1\n")
    older(shop.staged("items2.csv", "id\n2\n"), 100)
    older(shop.staged("items3.csv", "id\n3\n"), 200)
    assert shop.run("load", **settings).code == 0
    assert [row[0] for row in rows(shop, "items")] == kept


def test_the_size_of_a_group_is_a_number(shop: Sandbox) -> None:
    shop.staged("items1.csv", "id\n1\n")
    done = shop.run("load", SL_GROUPED="true", SL_GROUPED_MAX="few")
    assert done.code == 1
    assert "groupedMax or SL_GROUPED_MAX is 'few'; it must be a whole number above 0" in done.err
    assert shop.files("stage") == ["shop/items1.csv"]


def test_a_project_may_keep_no_archive(shop: Sandbox) -> None:
    shop.staged("items1.csv", "id\n1\n")
    assert shop.run("load", SL_ARCHIVE="false").code == 0
    assert rows(shop, "items") == [(1, None)]
    assert [shop.files(area) for area in ("archive", "ingesting", "stage")] == [[], [], []]


def test_the_statements_before_a_load_find_the_schema(shop: Sandbox) -> None:
    shop.table(
        "items",
        "table: {pattern: 'items.*', attributes: [{name: id, type: int}], presql: ['CREATE TABLE shop.before (n INT)']}",
    )
    shop.staged("items1.csv", "id\n1\n")
    done = shop.run("load")
    assert done.code == 0, done.err


def test_starlake_loads_every_file_for_itself_and_leaves_the_failed_ones_in_ingesting(
    shop: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    shop.table(
        "prices",
        "table: {pattern: 'prices.*', attributes: [{name: id, type: int}], postsql: ['SELECT 1/(1 - count(*)) FROM nowhere']}",
    )
    shop.staged("items1.csv", "id\n1\n")
    shop.staged("prices1.csv", "id\n1\n")
    done = shop.run(*SHOP, SL_DUCKDB_COMPAT="starlake")
    assert done.code == 1
    assert rows(shop, "items") == [(1, None)]
    assert (shop.files("stage"), shop.files("ingesting")) == ([], ["shop/prices1.csv"])
    assert shop.run(*SHOP, SL_DUCKDB_COMPAT="starlake").out == "no files to load\n"
    shop.table("prices", "table: {pattern: 'prices.*', attributes: [{name: id, type: int}, {name: label}]}")
    assert shop.run(*SHOP).code == 0
    assert rows(shop, "prices") == [(1, None)], "this engine looks there"
    assert "prices1.csv was left by a load that failed; it is loaded into prices" in caplog.text
    assert shop.files("ingesting") == []


@pytest.mark.parametrize(
    ("name", "loads"),
    [
        ("plain", True),
        ("Año_2$", True),
        ("two words", False),
        ("2nd", False),
        ("AT", False),
        ("Left", False),
        ("end", False),
        ("a.b", False),
    ],
)
def test_starlake_does_not_quote_the_names_of_columns(shop: Sandbox, name: str, loads: bool) -> None:
    shop.table("prices", f"table: {{pattern: 'prices.*', attributes: [{{name: '{name}', type: int}}]}}")
    shop.staged("prices1.csv", f"{name}\n1\n")
    done = shop.run(*SHOP, SL_DUCKDB_COMPAT="starlake")
    assert (done.code == 0) == loads, done.err
    if loads:
        return
    assert f"Starlake cannot use the column '{name}'" in done.err
    assert shop.files("ingesting") == ["shop/prices1.csv"]
    assert shop.run(*SHOP).code == 0
    assert shop.query(f'SELECT "{name}" FROM shop.prices') == [(1,)]
