"""Keys that decide rows and that the engine does not carry out are refused by name; what has no effect is warned about."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import inspect
from starlake_core_project.effects import Use, effect_of
from starlake_core_project.keys import Keys
from starlake_core_project.schema import MetadataKeys, TableKeys, TaskKeys, WriteStrategy
from starlake_core_project.schema_application import ApplicationKeys

if TYPE_CHECKING:
    from conftest import Sandbox

ATTRIBUTES = [{"name": "id", "type": "int"}, {"name": "label", "type": "string"}]
WORTH = {
    "createSchemaIfNotExists": False,
    "parseSQL": False,
    "expectations": {"failOnError": True},
    "materializedView": "VIEW",
    "sink": {"materializedView": "VIEW"},
    "refs": [{"input": {"table": "a"}, "output": {"table": "b"}}],
    "types": {"APPEND": "true"},
}


def worth(kind: inspect.Type, name: str) -> Any:
    if name in WORTH:
        return WORTH[name]
    parts = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    for part in parts:
        if isinstance(part, inspect.DictType):
            return {"comment": "#"}
        if isinstance(part, inspect.BoolType):
            return True
        if isinstance(part, inspect.VarTupleType):
            return ["a"]
    return "x"


def refused(structure: type[Keys]) -> list[tuple[str, Any]]:
    info = inspect.type_info(structure)
    assert isinstance(info, inspect.StructType)
    return [
        (field.encode_name, worth(field.type, field.encode_name))
        for field in info.fields
        if effect_of(structure, field.encode_name).use is Use.REFUSED
    ]


def load(sandbox: Sandbox, table: dict[str, Any], **environ: str) -> Any:
    sandbox.table(
        "items", json.dumps({"version": 1, "table": {"pattern": "items.*", "attributes": ATTRIBUTES, **table}})
    )
    sandbox.staged("items1.csv", "id,label\n1,a\n")
    return sandbox.run("load", **environ)


@pytest.mark.parametrize(("key", "value"), refused(TableKeys))
def test_a_table(sandbox: Sandbox, key: str, value: Any) -> None:
    done = load(sandbox, {key: value})
    assert done.code == 1
    assert f"items.sl.yml:1: table.{key} (" in done.err
    assert "not supported by the embedded DuckDB engine" in done.err


@pytest.mark.parametrize(
    ("way", "value"),
    [
        *((f"metadata.{key}", value) for key, value in refused(MetadataKeys)),
        *((f"metadata.writeStrategy.{key}", value) for key, value in refused(WriteStrategy)),
        ("metadata.sink.materializedView", "VIEW"),
        ("metadata.sink.sharding", ["id"]),
    ],
)
def test_the_metadata_of_a_table_or_a_domain(sandbox: Sandbox, way: str, value: Any) -> None:
    document: dict[str, Any] = {}
    here = document
    *above, last = way.split(".")
    for name in above:
        here = here.setdefault(name, {})
    here[last] = value
    done = load(sandbox, document)
    assert done.code == 1
    assert f"items.sl.yml:1: table.{way} (" in done.err
    sandbox.write("metadata/load/shop/_config.sl.yml", json.dumps({"version": 1, "load": document}))
    done = load(sandbox, {})
    assert done.code == 1
    assert f"_config.sl.yml:1: load.{way} (" in done.err


@pytest.mark.parametrize(("key", "value"), refused(ApplicationKeys))
def test_a_setting(sandbox: Sandbox, key: str, value: Any) -> None:
    sandbox.write("metadata/application.sl.yml", json.dumps({"version": 1, "application": {key: value}}))
    sandbox.write("metadata/transform/kpi/day.sql", "SELECT 1 AS a")
    for done in (load(sandbox, {}), sandbox.run("transform", "--name", "kpi.day")):
        assert done.code == 1
        assert f"application.sl.yml:1: application.{key} (" in done.err


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SL_ARCHIVE_TABLE", "true"),
        ("SL_DUCKDB_MODE", "true"),
        ("SL_SINK_REPLAY_TO_FILE", "true"),
    ],
)
def test_a_variable_that_is_a_setting(sandbox: Sandbox, variable: str, value: str) -> None:
    done = load(sandbox, {}, **{variable: value})
    assert done.code == 1
    assert f"{variable}" in done.err
    assert "is not supported by the embedded DuckDB engine" in done.err


@pytest.mark.parametrize(("key", "value"), [*refused(TaskKeys), ("sink", {"materializedView": "HYBRID"})])
def test_a_transform(sandbox: Sandbox, key: str, value: Any) -> None:
    sandbox.write("metadata/transform/kpi/day.sql", "SELECT 1 AS a")
    sandbox.write("metadata/transform/kpi/day.sl.yml", json.dumps({"version": 1, "task": {key: value}}))
    done = sandbox.run("transform", "--name", "kpi.day")
    assert done.code == 1
    assert f"day.sl.yml:1: task.{key}" in done.err


def test_values_that_ask_for_what_happens_anyway(sandbox: Sandbox) -> None:
    settings = {
        "dsvOptions": {},
        "privacyOnly": False,
    }
    sandbox.write("metadata/application.sl.yml", json.dumps({"version": 1, "application": settings}))
    attributes = [{**ATTRIBUTES[0], "privacy": "NONE", "ignore": False}, ATTRIBUTES[1]]
    done = load(sandbox, {"attributes": attributes, "metadata": {"options": {}, "sink": {"materializedView": "TABLE"}}})
    assert done.code == 0, done.err
    assert sandbox.query("SELECT id, label FROM shop.items") == [(1, "a")]


@pytest.mark.parametrize("way", ["file", "variable"])
def test_the_settings_that_are_used(sandbox: Sandbox, way: str) -> None:
    names = {"emptyIsNull": "SL_EMPTY_IS_NULL", "rejectAllOnError": "SL_REJECT_ALL_ON_ERROR"}

    def load_with(name: str, value: str, text: str) -> Any:
        document = {"version": 1, "application": {name: value} if way == "file" else {}}
        sandbox.write("metadata/application.sl.yml", json.dumps(document))
        sandbox.staged("items1.csv", text)
        return sandbox.run("load", **({names[name]: value} if way == "variable" else {}))

    assert load_with("emptyIsNull", "false", "id,label\n1,\n").code == 0
    assert sandbox.query("SELECT label FROM shop.items") == [("",)]
    done = load_with("rejectAllOnError", "true", "id,label\nx,a\n")
    assert done.code == 1
    assert "1 row(s) rejected and rejectAllOnError or SL_REJECT_ALL_ON_ERROR is set" in done.err


def test_the_file_is_stronger_than_the_variable(sandbox: Sandbox) -> None:
    sandbox.write("metadata/application.sl.yml", "application: {emptyIsNull: true, archive: true}")
    sandbox.staged("items1.csv", "id,label\n1,\n")
    assert sandbox.run("load", SL_EMPTY_IS_NULL="false", SL_ARCHIVE="false").code == 0
    assert sandbox.query("SELECT label FROM shop.items") == [(None,)]


def test_the_time_zone_of_the_application(sandbox: Sandbox) -> None:
    sandbox.write("metadata/application.sl.yml", "application: {timezone: Asia/Tokyo}")
    sandbox.write("metadata/transform/kpi/day.sql", "SELECT '{{sl_date}}' AS d")
    assert sandbox.run("transform", "--name", "kpi.day", "--scheduledDate", "2026-11-03T23:00:00+00:00").code == 0
    sandbox.write("metadata/application.sl.yml", "application: {timezone: Nowhere}")
    done = sandbox.run("transform", "--name", "kpi.day")
    assert "timezone in metadata/application.sl.yml is 'Nowhere', which is not a time zone" in done.err


def test_streams_and_the_key_of_a_transform(sandbox: Sandbox) -> None:
    assert load(sandbox, {"streams": ["shop_items_stream"]}).code == 0
    sandbox.write("metadata/transform/kpi/day.sql", "SELECT id, label FROM shop.items")
    sandbox.write("metadata/transform/kpi/day.sl.yml", "task: {primaryKey: [id], writeStrategy: {type: UPSERT_BY_KEY}}")
    for _ in range(2):
        assert sandbox.run("transform", "--name", "kpi.day").code == 0
    assert sandbox.query("SELECT id FROM kpi.day") == [(1,)]


def test_tables_inside_of_an_old_file_of_their_domain(sandbox: Sandbox) -> None:
    metadata = {"directory": "{{SL_ROOT}}/incoming/shop", "separator": ","}
    table = {"name": "items", "pattern": "items.*", "attributes": ATTRIBUTES}
    sandbox.write(
        "metadata/load/shop/_config.sl.yml", json.dumps({"load": {"metadata": metadata, "tables": [table]}}), version=""
    )
    (sandbox.root / "metadata/load/shop/items.sl.yml").unlink()
    sandbox.staged("items1.csv", "id,label\n1,a\n")
    done = sandbox.run("load")
    assert done.code == 0, done.err
    assert sandbox.query("SELECT id FROM shop.items") == [(1,)]
