"""Random tables, strategies and loads, compared with a naive model."""

from __future__ import annotations

import csv
import io
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlake_core_duckdb.strategies import Strategy, ensure_table, write
from strategy_model import Model, Row

if TYPE_CHECKING:
    from conftest import Sandbox

TYPES = {"id": "INTEGER", "label": "VARCHAR", "day": "DATE", "part": "VARCHAR", "late": "VARCHAR"}
KINDS = (
    "APPEND",
    "OVERWRITE",
    "OVERWRITE_BY_PARTITION",
    "DELETE_THEN_INSERT",
    "UPSERT_BY_KEY",
    "UPSERT_BY_KEY_AND_TIMESTAMP",
    "SCD2",
)

rows = st.fixed_dictionaries(
    {
        "id": st.sampled_from([1, 2, None]),
        "label": st.sampled_from(["a", "b", None]),
        "day": st.sampled_from([date(2026, 1, 2), date(2026, 1, 1), date(2026, 1, 3), None]),
        "part": st.sampled_from([None, "p", "q"]),
        "late": st.sampled_from([None, "x"]),
    }
)


@dataclass(frozen=True)
class Plan:
    """A strategy, and files; the column ``late`` comes with one of them."""

    strategy: Strategy
    files: Sequence[Sequence[Row]]
    late_from: int

    def loads(self) -> Iterator[tuple[list[str], list[Row]]]:
        """The columns and rows of each file, in order."""
        for number, file in enumerate(self.files):
            names = [name for name in TYPES if name != "late" or number >= self.late_from]
            yield names, [{name: row[name] if name in names else None for name in TYPES} for row in file]


@st.composite
def plans(draw: st.DrawFn, kinds: Sequence[str] = KINDS) -> Plan:
    kind = draw(st.sampled_from(kinds))
    keyed = kind.startswith(("UPSERT", "DELETE")) or kind == "SCD2"
    dated = kind == "UPSERT_BY_KEY_AND_TIMESTAMP" or (kind == "SCD2" and draw(st.integers(0, 3)) > 0)
    strategy = Strategy(
        kind,
        draw(st.sampled_from([("id",), ("id", "label")])) if keyed else (),
        "day" if dated else None,
        draw(st.sampled_from([("part",), ("part", "label")])) if kind == "OVERWRITE_BY_PARTITION" else (),
        ("since", "until") if kind == "SCD2" else None,
        keyed and draw(st.booleans()),
        keyed and draw(st.booleans()),
    )
    files = draw(st.lists(st.lists(rows, max_size=6), min_size=1, max_size=4))
    if draw(st.booleans()):
        files.append(draw(st.sampled_from(files)))  # delivered again
    return Plan(strategy, files, draw(st.integers(0, len(files) - 1)))


def expected(plan: Plan) -> Counter[tuple[Any, ...]]:
    model = Model()
    for _, file in plan.loads():
        model.load(plan.strategy, file)
    names = [*TYPES, *(("first", "open") if plan.strategy.period else ())]
    return Counter(tuple(row[name] for name in names) for row in model.rows)


def found(connection: duckdb.DuckDBPyConnection, plan: Plan) -> Counter[tuple[Any, ...]]:
    flags = ", since IS NULL, until IS NULL" if plan.strategy.period else ""
    return Counter(connection.execute(f"SELECT {', '.join(TYPES)}{flags} FROM shop.items").fetchall())


def check(plan: Plan) -> None:
    with duckdb.connect() as connection:
        for names, file in plan.loads():
            declared = ", ".join(f"{name} {TYPES[name]}" for name in names)
            connection.execute(f"CREATE OR REPLACE TEMP TABLE new_rows (n INTEGER, {declared})")
            for number, row in enumerate(file):
                marks = ", ".join("?" for _ in names)
                connection.execute(
                    f"INSERT INTO new_rows VALUES (?, {marks})", [number, *(row[name] for name in names)]
                )
            columns = plan.strategy.columns_of_table([(name, TYPES[name]) for name in names])
            created = ensure_table(connection, "shop", "items", columns)
            write(connection, plan.strategy, ("shop", "items"), "new_rows", names, ["n"], created=created)
        assert found(connection, plan) == expected(plan)


# How many examples it takes to notice that a line of a strategy is wrong.
@pytest.mark.parametrize(
    ("kind", "examples"),
    [(kind, {"APPEND": 3, "OVERWRITE": 3, "DELETE_THEN_INSERT": 8, "SCD2": 40}.get(kind, 15)) for kind in KINDS],
)
def test_the_rows_of_a_table_are_those_of_the_model(kind: str, examples: int) -> None:
    @settings(max_examples=examples, deadline=None)
    @given(plan=plans([kind]))
    def run(plan: Plan) -> None:
        check(plan)

    run()


@pytest.mark.soak
@settings(max_examples=5000, deadline=None)
@given(plan=plans())
def test_the_rows_of_many_tables_are_those_of_the_model(plan: Plan) -> None:
    check(plan)


def _text(value: object) -> str:
    return "" if value is None else str(value)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=plans())
def test_the_rows_that_commands_load_are_those_of_the_model(sandbox: Sandbox, plan: Plan) -> None:
    """The same through the command, with project files, data files and SL_DUCKDB_COMPAT."""
    strategy = plan.strategy
    with tempfile.TemporaryDirectory() as folder:
        box = type(sandbox)(Path(folder), sandbox.capture)
        box.write("metadata/load/shop/_config.sl.yml", "load: {metadata: {directory: incoming, separator: ','}}")
        declared: dict[str, Any] = {"type": strategy.type, "key": list(strategy.key), "on": "TARGET"}
        if strategy.on_source:
            declared["on"] = "SOURCE_AND_TARGET"
        if strategy.timestamp:
            declared["timestamp"] = strategy.timestamp
        if strategy.period:
            declared["startTs"], declared["endTs"] = strategy.period
        for number, (names, file) in enumerate(plan.loads()):
            types = {"INTEGER": "int", "VARCHAR": "string", "DATE": "date"}
            attributes = [{"name": name, "type": types[TYPES[name]]} for name in names]
            metadata = {"writeStrategy": declared, "sink": {"partition": list(strategy.partition)}}
            box.table("items", f"table: {{pattern: 'items.*', attributes: {attributes}, metadata: {metadata}}}")
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(names)
            writer.writerows([_text(row[name]) for name in names] for row in file)
            box.staged(f"items{number}.csv", text.getvalue())
            result = box.run("load", **({"SL_DUCKDB_COMPAT": "starlake"} if strategy.compat else {}))
            assert result.code == 0, result.err
        with duckdb.connect(str(box.root / "datasets" / "duckdb.db")) as connection:
            assert found(connection, plan) == expected(plan)


def test_the_model_and_the_engine_can_disagree() -> None:
    """A check of the check."""
    strategy = Strategy("UPSERT_BY_KEY", ("id",))
    row = {"id": 1, "label": "a", "day": None, "part": None, "late": None}
    model = Model()
    model.load(strategy, [row, {**row, "label": "b"}])
    assert [found["label"] for found in model.rows] == ["b"]
    with pytest.raises(KeyError):
        model.load(Strategy("NONE"), [])
