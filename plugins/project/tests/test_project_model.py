"""The declared model: all of it opens, what is used is seen, and what is not in it is an error that says what to write."""

from __future__ import annotations

import json
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import inspect
from starlake_core_project import Project, ProjectError
from starlake_core_project.effects import Use, effect_of
from starlake_core_project.keys import Keys
from starlake_core_project.schema import (
    DagFile,
    DataType,
    DomainFile,
    DomainKeys,
    EnvFile,
    JobFile,
    JobKeys,
    RefsFile,
    TableFile,
    TableKeys,
    TaskFile,
    TaskKeys,
    TypesFile,
)
from starlake_core_project.schema_application import ApplicationFile, ApplicationKeys

FILES: dict[str, type[Keys]] = {
    "application.sl.yml": ApplicationFile,
    "env.sl.yml": EnvFile,
    "refs.sl.yml": RefsFile,
    "types/types.sl.yml": TypesFile,
    "dags/a.sl.yml": DagFile,
    "load/shop/_config.sl.yml": DomainFile,
    "load/shop/items.sl.yml": TableFile,
    "transform/kpi/_config.sl.yml": JobFile,
    "transform/kpi/day.sl.yml": TaskFile,
}


def parts(kind: inspect.Type) -> tuple[inspect.Type, ...]:
    return kind.types if isinstance(kind, inspect.UnionType) else (kind,)


def sample(kind: inspect.Type, other: bool = False, depth: int = 0) -> Any:
    """A value of a type as YAML has it; of another call, another value."""
    for part in parts(kind):
        if isinstance(part, inspect.StructType):
            if depth > 9:
                return None
            return {
                field.encode_name: sample(field.type, other, depth + 1)
                for field in part.fields
                if not (field.encode_name == "attributes" and depth > 4)
            }
        if isinstance(part, inspect.DictType):
            return {"other" if other else "one": sample(part.value_type, other, depth + 1)}
        if isinstance(part, inspect.VarTupleType):
            return [sample(part.item_type, other, depth + 1)]
        if isinstance(part, inspect.LiteralType):
            words = [word for word in part.values if word]
            return words[3 if other and len(words) > 3 else 0]
        if isinstance(part, inspect.BoolType):
            return not other
        if isinstance(part, inspect.IntType | inspect.FloatType):
            return 2 if other else 1
    return "other" if other else "one"


def write(root: Path, documents: dict[str, Any]) -> None:
    for name, document in documents.items():
        path = root / "metadata" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=1), encoding="utf-8")


def test_a_project_that_uses_every_key_once_opens(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, {name: sample(inspect.type_info(file)) for name, file in FILES.items()})
    (tmp_path / "metadata" / "env.one.sl.yml").write_text("version: 1\nenv: {}\n", encoding="utf-8")
    project = Project.load(tmp_path, environ={})
    domain = project.domain("shop")
    assert domain is not None
    assert len(project.tables(domain)) == 1
    assert [task.full_name for task in project.tasks()] == ["one.one", "one.one"]
    assert "one" in project.types
    for name, file in FILES.items():
        project.document(project.metadata / name, file)  # type: ignore[type-var]
    assert not caplog.text


SMALL: dict[str, Any] = {
    "application.sl.yml": {"version": 1, "application": {}},
    "types/types.sl.yml": {"version": 1, "types": []},
    "load/shop/_config.sl.yml": {"version": 1, "load": {}},
    "load/shop/items.sl.yml": {"version": 1, "table": {"pattern": "x"}},
    "transform/kpi/_config.sl.yml": {"version": 1, "transform": {}},
    "transform/kpi/day.sl.yml": {"version": 1, "task": {}},
}
PLACES: dict[type[Keys], tuple[str, tuple[str, ...]]] = {
    ApplicationKeys: ("application.sl.yml", ("application",)),
    DomainKeys: ("load/shop/_config.sl.yml", ("load",)),
    TableKeys: ("load/shop/items.sl.yml", ("table",)),
    TaskKeys: ("transform/kpi/day.sl.yml", ("task",)),
}


def used_keys() -> Iterator[tuple[type[Keys], tuple[str, ...], inspect.Type]]:
    """Every key that is used, with the way to it from a structure that has a place; those of lists are looked at in whole lists."""

    def inside(structure: type[Keys], way: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], inspect.Type]]:
        info = inspect.type_info(structure)
        assert isinstance(info, inspect.StructType)
        for field in info.fields:
            if effect_of(structure, field.encode_name).use is not Use.USED:
                continue
            nested = [part for part in parts(field.type) if isinstance(part, inspect.StructType)]
            if nested:
                yield from inside(nested[0].cls, (*way, field.encode_name))
            else:
                yield (*way, field.encode_name), field.type

    for structure in PLACES:
        for way, kind in inside(structure, ()):
            yield structure, way, kind


def resolved(project: Project) -> Any:
    """What the project says, without the files as they are written."""

    def bare(value: Any) -> Any:
        names = [
            name for name in value.__struct_fields__ if name not in ("keys", "domain_keys", "default_keys", "path")
        ]
        return {name: getattr(value, name) for name in names}

    domain = project.domain("shop")
    assert domain is not None
    found = [project.application, domain, *project.tables(domain), *project.tasks()]
    return [*map(bare, found), project.types]


def opened(root: Path, place: str, way: tuple[str, ...], value: Any) -> Any:
    documents: dict[str, Any] = json.loads(json.dumps(SMALL))
    target = documents[place]
    for name in way[:-1]:
        target = target.setdefault(name, {})
    target[way[-1]] = value
    write(root, documents)
    return resolved(Project.load(root, environ={}))


@pytest.mark.parametrize(
    ("structure", "way", "kind"),
    list(used_keys()),
    ids=lambda value: ".".join(value) if isinstance(value, tuple) and all(isinstance(v, str) for v in value) else "",
)
def test_a_used_key_makes_a_difference(
    tmp_path: Path, structure: type[Keys], way: tuple[str, ...], kind: inspect.Type
) -> None:
    place, top = PLACES[structure]
    before = opened(tmp_path, place, (*top, *way), sample(kind))
    assert opened(tmp_path, place, (*top, *way), sample(kind, other=True)) != before


def read_all(root: Path) -> Any:
    project = Project.load(root, environ={})
    return project.tables("shop"), project.tasks(), project.types


def broken(root: Path, name: str, text: str) -> ProjectError:
    write(root, {**SMALL})
    (root / "metadata" / name).write_text(text, encoding="utf-8")
    with pytest.raises(ProjectError) as caught:
        read_all(root)
    return caught.value


@pytest.mark.parametrize(
    ("name", "text", "messages"),
    [
        (
            "load/shop/items.sl.yml",
            "version: 1\ntable:\n  patern: x\n  metadata:\n    seperator"  # codespell:ignore patern,seperator
            ": ','\n    writeStrategy: {type: APPEND, kye: [a]}\n  wirteStrategy: {}\n",
            [
                ":3: table.patern is not a key of Starlake. Did you mean 'pattern'?",  # codespell:ignore patern
                ":5: table.metadata.seperator is not a key of Starlake. Did you mean 'separator'?",  # codespell:ignore seperator
                ":6: table.metadata.writeStrategy.kye is not a key of Starlake.",
                ":7: table.wirteStrategy is not a key of Starlake. Did you mean 'metadata.writeStrategy'?",
            ],
        ),
        (
            "load/shop/items.sl.yml",
            "version: 1\ntable:\n  pattern: x\n  format: CSVX\n  attributes:\n    - {name: a, requiered"  # codespell:ignore requiered
            ": true}\n    - {type: int}\n  pattern: y\n",
            [
                ":8: table.pattern is given twice, first in line 3; delete one of the two",
                ":4: table.format is not a key of Starlake. It belongs to table.metadata",
                ":6: table.attributes[0].requiered is not a key of Starlake. Did you mean 'required'?",  # codespell:ignore requiered
                ":7: table.attributes[1].name is missing",
            ],
        ),
        (
            "load/shop/items.sl.yml",
            "version: 1\ntable:\n  pattern: x\n  metadata:\n    format: CSVX\n    withHeader: maybe\n    write: OVERWRITE\n",
            [
                ":5: table.metadata.format must be one of DATAFRAME, DSV,",
                ":6: table.metadata.withHeader must be true or false, found 'maybe'",
                ":7: table.metadata.write is not a key of Starlake. Write writeStrategy: {type: OVERWRITE} or {type: APPEND}",
            ],
        ),
        (
            "load/shop/items.sl.yml",
            "version: 1\nschema:\n  pattern: x\n",
            ["table is missing; found schema", ":2: schema is not a key of Starlake. Write table"],
        ),
        ("load/shop/items.sl.yml", "version: 2\ntable: {pattern: x}\n", [":1: version must be one of 1, found '2'"]),
        (
            "application.sl.yml",
            "version: 1\napplication:\n  connections:\n    a: {type: jdbc, optoins: {}}\n  archiv"  # codespell:ignore optoins,archiv
            ": false\n  grouped: perhaps\n",
            [
                ":4: application.connections.a.optoins is not a key of Starlake. Did you mean 'options'?",  # codespell:ignore optoins
                ":5: application.archiv is not a key of Starlake. Did you mean 'archive'?",  # codespell:ignore archiv
                ":6: application.grouped must be true or false, found 'perhaps'",
            ],
        ),
        (
            "transform/kpi/day.sl.yml",
            "version: 1\ntask:\n  taskTimeoutMs: soon\n  presql: {a: b}\n",
            [":3: task.taskTimeoutMs must be a whole number, found 'soon'", ":4: task.presql must be a list of strings, found a mapping"],
        ),
        ("types/types.sl.yml", "version: 1\ntypes:\n  - {name: a, primitivType: int}\n", ["Did you mean 'primitiveType'?"]),
    ],
)  # fmt: skip
def test_everything_that_is_wrong_with_a_file_is_said_at_once(
    tmp_path: Path, name: str, text: str, messages: list[str]
) -> None:
    error = broken(tmp_path, name, text)
    assert len(error.problems) == len(messages)
    for message in messages:
        assert message in str(error)
    assert all(problem.path == tmp_path / "metadata" / name for problem in error.problems)


KEYS = [
    (structure, field.encode_name)
    for structure in PLACES
    for field in inspect.type_info(structure).fields  # type: ignore[union-attr]
    if len(field.encode_name) > 5
]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(KEYS), st.data())
def test_a_typo_is_told_with_the_line_and_what_was_meant(
    tmp_path: Path, key: tuple[type[Keys], str], data: st.DataObject
) -> None:
    structure, name = key
    position = data.draw(st.integers(1, len(name) - 1))
    letter = data.draw(st.sampled_from(["", *string.ascii_lowercase]))
    typo = name[:position] + letter + name[position + 1 :]
    known = structure.__struct_encode_fields__
    if typo in known:
        return
    place, top = PLACES[structure]
    first = {TableKeys: "pattern", ApplicationKeys: "database"}.get(structure, "name")
    error = broken(tmp_path, place, f"version: 1\n{top[0]}:\n  {first}: x\n  {typo}: x\n")
    assert f"{place}:4: {top[0]}.{typo} is not a key of Starlake. Did you mean '" in str(error)


def test_a_mapping_may_be_absent_or_empty(tmp_path: Path) -> None:
    write(tmp_path, SMALL)
    for name in SMALL:
        if "items" not in name:
            (tmp_path / "metadata" / name).write_text("")
    project = Project.load(tmp_path, environ={})
    assert len(project.tables("shop")) == 1
    assert len(project.tasks()) == 1


def test_tables_and_domains_have_two_names(tmp_path: Path) -> None:
    write(tmp_path, {**SMALL, "load/shop/_config.sl.yml": {"version": 1, "load": {"name": "store", "rename": "STORE"}}})
    write(
        tmp_path,
        {"load/shop/items.sl.yml": {"version": 1, "table": {"pattern": "x", "name": "things", "rename": "Things"}}},
    )
    write(
        tmp_path, {"load/shop/wrong.sl.yml": {"version": 1, "table": {}}, "load/wrong/_config.sl.yml": {"version": 2}}
    )
    project = Project.load(tmp_path, environ={})
    domain = project.domain("shop")
    assert domain is not None
    assert (domain.name, domain.final_name) == ("store", "STORE")
    (table,) = project.tables(domain, ["items"])
    assert (table.name, table.final_name) == ("things", "Things")
    # As on the command line of Starlake, a final name means nothing.
    assert project.domain("STORE") is None
    assert project.tables("shop", ["Things"]) == ()


def test_transforms_inside_of_the_file_of_their_domain(tmp_path: Path) -> None:
    tasks = [{"name": "inline", "sql": "SELECT 1"}, {"name": "beside"}]
    write(
        tmp_path,
        {
            **SMALL,
            "transform/kpi/_config.sl.yml": {"version": 1, "transform": {"tasks": tasks, "default": {"tags": ["a"]}}},
        },
    )
    (tmp_path / "metadata/transform/kpi/beside.sql").write_text("SELECT 2")
    project = Project.load(tmp_path, environ={})
    found = {task.full_name: project.sql(task) for task in project.tasks() if task.name != "day"}
    assert found == {"kpi.inline": "SELECT 1", "kpi.beside": "SELECT 2"}
    inline = project.task("kpi.inline")
    assert inline is not None
    assert inline.tags == ("a",)


def test_the_model_is_what_the_structures_say() -> None:
    """A structure that is read by nobody would be held by no test."""
    seen: set[type] = set()

    def visit(kind: inspect.Type) -> None:
        for part in parts(kind):
            if isinstance(part, inspect.StructType) and part.cls not in seen:
                seen.add(part.cls)
                for field in part.fields:
                    visit(field.type)
            elif isinstance(part, inspect.DictType):
                visit(part.value_type)
            elif isinstance(part, inspect.VarTupleType):
                visit(part.item_type)

    for file in FILES.values():
        visit(inspect.type_info(file))
    assert {DataType, JobKeys} < seen
    assert all(issubclass(structure, msgspec.Struct) for structure in seen)
