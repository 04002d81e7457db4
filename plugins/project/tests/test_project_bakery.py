"""The bakery: always the same files, rows that are known without a database, and a project that Starlake itself can run day after day."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from starlake_core_project import Project
from starlake_core_project.bakery import FIRST_DAYS, INCOMING, data_files, expected_tables, project_files, write_bakery

EXPECTED = Path(__file__).with_name("starbake_expected.json")


def test_the_expected_rows_are_those_that_were_written_down() -> None:
    assert expected_tables() == json.loads(EXPECTED.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("day", "names", "digest"),
    [
        (1, ["customers-2026-11-01.csv", "ingredients-2026-11-01.json", "orders-2026-11-01.json", "products-2026-11-01.json"], "1d2dc00ad781"),
        (2, ["orders-2026-11-02.json"], "7337ce9808f9"),
        (3, ["customers-2026-11-03.csv", "ingredients-2026-11-03.json", "orders-2026-11-03.json", "products-2026-11-03.json"], "ba00a74496d6"),
    ],
)  # fmt: skip
def test_a_day_brings_the_same_files_on_every_machine(day: int, names: list[str], digest: str) -> None:
    files = data_files(day)
    assert list(files) == names
    assert hashlib.sha256(b"".join(files.values())).hexdigest()[:12] == digest


def test_the_project_and_its_files_are_written(tmp_path: Path) -> None:
    write_bakery(tmp_path / "shop")
    found = sorted(
        str(path.relative_to(tmp_path / "shop")) for path in (tmp_path / "shop").rglob("*") if path.is_file()
    )
    incoming = [f"{INCOMING}/{name}" for day in range(1, FIRST_DAYS + 1) for name in data_files(day)]
    assert found == sorted([*project_files(), *incoming])
    assert {"README.md", ".gitignore", "dags/starbake_load.py", "metadata/application.sl.yml"} <= set(found)


def test_every_strategy_says_what_starlake_itself_has_to_know(tmp_path: Path) -> None:
    """The real command line overlooks ``primaryKey``, and appends where a transform says nothing."""
    write_bakery(tmp_path)
    project = Project.load(tmp_path, variables={})
    for table in project.tables("starbake"):
        strategy = table.metadata.write_strategy
        assert strategy.type, table.name
        assert strategy.key or not strategy.type.startswith("UPSERT"), table.name
    for task in project.tasks():
        file = tmp_path / "metadata" / "transform" / task.domain / f"{task.name}.sl.yml"
        assert "writeStrategy:" in file.read_text(encoding="utf-8"), task.name
