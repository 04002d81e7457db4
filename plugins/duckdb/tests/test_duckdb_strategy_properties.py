"""Random tables, strategies and loads, compared with a naive model."""

from __future__ import annotations

import csv
import io
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
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


def keyed(kind: str, *, dated: bool = False, on_source: bool = False, compat: bool = False) -> Strategy:
    period = ("since", "until") if kind == "SCD2" else None
    return Strategy(kind, ("id",), "day" if dated else None, (), period, on_source, compat)


# Each with how many examples it takes to notice that a line of it is wrong.
STRATEGIES = {
    "APPEND": (Strategy("APPEND"), 3),
    "OVERWRITE": (Strategy("OVERWRITE"), 3),
    "OVERWRITE_BY_PARTITION": (Strategy("OVERWRITE_BY_PARTITION", partition=("part", "label")), 10),
    "OVERWRITE_BY_PARTITION, compat": (Strategy("OVERWRITE_BY_PARTITION", partition=("part",), compat=True), 6),
    "DELETE_THEN_INSERT": (keyed("DELETE_THEN_INSERT"), 6),
    "UPSERT_BY_KEY": (keyed("UPSERT_BY_KEY"), 10),
    "UPSERT_BY_KEY, compat": (keyed("UPSERT_BY_KEY", compat=True), 6),
    "UPSERT_BY_KEY, compat, on source": (keyed("UPSERT_BY_KEY", compat=True, on_source=True), 4),
    "UPSERT_BY_KEY_AND_TIMESTAMP": (keyed("UPSERT_BY_KEY_AND_TIMESTAMP", dated=True), 15),
    "UPSERT_BY_KEY_AND_TIMESTAMP, compat": (keyed("UPSERT_BY_KEY_AND_TIMESTAMP", dated=True, compat=True), 15),
    "SCD2": (keyed("SCD2", dated=True), 25),
    "SCD2, on source": (keyed("SCD2", dated=True, on_source=True), 8),
    "SCD2, compat": (keyed("SCD2", dated=True, compat=True), 10),
    "SCD2 without a timestamp": (keyed("SCD2"), 10),
}

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
def plans(draw: st.DrawFn, *names: str) -> Plan:
    strategy, _ = STRATEGIES[draw(st.sampled_from(names or tuple(STRATEGIES)))]
    if strategy.key and draw(st.integers(0, 3)) == 0:
        strategy = replace(strategy, key=("id", "label"))
    files = draw(st.lists(st.lists(rows, max_size=6), min_size=1, max_size=3))
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


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_rows_of_a_table_are_those_of_the_model(name: str) -> None:
    @settings(max_examples=STRATEGIES[name][1], deadline=None)
    @given(plan=plans(name))
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


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
