"""Files without ``version``: what they mean, and what the warning says."""

from __future__ import annotations

import copy
import logging
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlake_core_project import Project, ProjectError
from starlake_core_project.migration import migrate

CASES = [
    ("table", {"schema": {"pattern": "x"}}, {"table": {"pattern": "x"}}),
    ("table", {"schemas": [{"pattern": "x"}]}, {"table": {"pattern": "x"}}),
    (
        "table",
        {"table": {"metadata": {"write": "overwrite", "mode": "FILE"}, "flat": True}},
        {"table": {"metadata": {"writeStrategy": {"type": "OVERWRITE"}}}},
    ),
    (
        "table",
        {"table": {"metadata": {"write": "ERROR"}}},
        {"table": {"metadata": {"writeStrategy": {"type": "APPEND"}}}},
    ),
    (
        "table",
        {"table": {"metadata": {"write": "OVERWRITE", "writeStrategy": {"type": "UPSERT_BY_KEY"}}}},
        {"table": {"metadata": {"writeStrategy": {"type": "DELETE_THEN_INSERT"}}}},
    ),
    (
        "table",
        {"table": {"metadata": {"writeStrategy": {"types": {"upsert_by_key": "true"}}}}},
        {"table": {"metadata": {"writeStrategy": {"types": {"DELETE_THEN_INSERT": "true"}}}}},
    ),
    (
        "table",
        {"table": {"merge": {"key": ["a"]}}},
        {"table": {"metadata": {"writeStrategy": {"key": ["a"], "type": "DELETE_THEN_INSERT"}}}},
    ),
    (
        "table",
        {"table": {"merge": {"key": ["a"], "timestamp": "t"}, "metadata": {}}},
        {
            "table": {
                "metadata": {"writeStrategy": {"key": ["a"], "timestamp": "t", "type": "UPSERT_BY_KEY_AND_TIMESTAMP"}}
            }
        },
    ),
    (
        "table",
        {"table": {"merge": {"timestamp": "t"}, "metadata": {"write": "OVERWRITE"}}},
        {"table": {"metadata": {"writeStrategy": {"timestamp": "t", "type": "OVERWRITE"}}}},
    ),
    (
        "table",
        {
            "table": {
                "metadata": {
                    "sink": {"type": "BQ", "partition": {"attributes": ["d"]}, "dynamicPartitionOverwrite": "true"}
                }
            }
        },
        {"table": {"metadata": {"sink": {"partition": ["d"]}, "writeStrategy": {"type": "OVERWRITE_BY_PARTITION"}}}},
    ),
    (
        "table",
        {"table": {"metadata": {"sink": {"timestamp": "t"}}}},
        {"table": {"metadata": {"sink": {"partition": ["t"]}}}},
    ),
    ("load", {"name": "shop"}, {"load": {"name": "shop"}}),
    (
        "load",
        {"load": {"metadata": {"write": "OVERWRITE"}, "schemas": [{"name": "a", "merge": {"key": ["k"]}}]}},
        {
            "load": {"metadata": {"writeStrategy": {"type": "OVERWRITE"}}},
            "tables": [{"name": "a", "metadata": {"writeStrategy": {"key": ["k"], "type": "DELETE_THEN_INSERT"}}}],
        },
    ),
    (
        "task",
        {"dataset": "t", "write": "OVERWRITE", "engine": "BQ", "sink": {"type": "BQ"}},
        {"task": {"table": "t", "writeStrategy": {"type": "OVERWRITE"}, "sink": {}}},
    ),
    (
        "task",
        {"task": {"merge": {"key": ["a"]}}},
        {"task": {"writeStrategy": {"key": ["a"], "type": "DELETE_THEN_INSERT"}}},
    ),
    (
        "task",
        {"task": {"writeStrategy": {"type": "UPSERT_BY_KEY"}}},
        {"task": {"writeStrategy": {"type": "UPSERT_BY_KEY"}}},
    ),
    (
        "transform",
        {"transform": {"tasks": [{"name": "a", "write": "APPEND", "sqlEngine": "x"}]}},
        {"transform": {"tasks": [{"name": "a", "writeStrategy": {"type": "APPEND"}}]}},
    ),
    ("application", {"connectionRef": "a"}, {"application": {"connectionRef": "a"}}),
    ("env", {"a": "b"}, {"env": {"a": "b"}}),
    ("types", [{"name": "a"}], {"types": [{"name": "a"}]}),
    ("refs", [{"input": {}}], {"refs": [{"input": {}}]}),
    ("dag", {"template": "a"}, {"dag": {"template": "a"}}),
]


@pytest.mark.parametrize(("root", "old", "new"), CASES)
def test_what_an_old_file_means(root: str, old: Any, new: dict[str, Any]) -> None:
    values, note = migrate(copy.deepcopy(old), root)
    assert values == {**new, "version": "1"}
    assert note.startswith("has no version, so it is read as an old file; add version: 1 at the top")


def write(root: Path, name: str, document: Any) -> None:
    path = root / "metadata" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document), encoding="utf-8")


def flag(**keys: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={name: st.just(value) for name, value in keys.items()})


OLD_TABLES = st.builds(
    lambda table, metadata, sink: {"pattern": "x", **table, "metadata": {**metadata, "sink": sink}},
    flag(merge={"key": ["a"]}, flat="true", comment="c", primaryKey=["a"]),
    flag(write="OVERWRITE", mode="FILE", writeStrategy={"type": "UPSERT_BY_KEY", "key": ["b"]}, separator="|"),
    flag(type="BQ", timestamp="t", partition={"attributes": ["d"]}),
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(OLD_TABLES)
def test_what_the_warning_says_to_write_is_read_as_the_old_file_is(tmp_path: Path, old: dict[str, Any]) -> None:
    write(tmp_path, "load/shop/items.sl.yml", {"table": copy.deepcopy(old)})
    (before,) = Project.load(tmp_path, environ={}).tables("shop")
    new, _ = migrate({"table": copy.deepcopy(old)}, "table")
    write(tmp_path, "load/shop/items.sl.yml", {**new, "version": 1})
    (after,) = Project.load(tmp_path, environ={}).tables("shop")
    assert after == before


def test_one_warning_for_each_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "load/shop/_config.sl.yml", {"name": "shop", "tables": [{"name": "inline", "pattern": "i"}]})
    write(
        tmp_path,
        "load/shop/items.sl.yml",
        {"table": {"pattern": "x", "metadata": {"write": "OVERWRITE", "mode": "FILE"}}},
    )
    with caplog.at_level(logging.WARNING):
        project = Project.load(tmp_path, environ={})
        for _ in range(2):
            assert [table.name for table in project.tables("shop")] == ["inline", "items"]
    assert len(caplog.records) == 2
    config, table = (record.getMessage() for record in caplog.records)
    assert "_config.sl.yml: has no version" in config
    assert "put everything below the key load:" in config
    assert "put each table of load.tables into its own file" in config
    assert (
        "write table.metadata.writeStrategy.type: OVERWRITE instead of write: OVERWRITE; delete table.metadata.mode"
        in table
    )


def test_unknown_keys_of_old_files_have_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "metadata/load/shop/items.sl.yml"
    path.parent.mkdir(parents=True)
    wrong = "seperator"  # codespell:ignore seperator
    path.write_text(f"schema:\n  pattern: x\n  metadata:\n    write: APPEND\n    {wrong}: x\n")
    with pytest.raises(ProjectError, match=rf"items\.sl\.yml:5: table\.metadata\.{wrong} is not a key"):
        Project.load(tmp_path, environ={}).tables("shop")


def test_partitions_and_merge_at_once_are_refused_as_in_starlake(tmp_path: Path) -> None:
    strategy = {"type": "OVERWRITE_BY_PARTITION"}
    write(
        tmp_path,
        "load/shop/items.sl.yml",
        {"table": {"pattern": "x", "merge": {"key": ["a"]}, "metadata": {"writeStrategy": strategy}}},
    )
    with pytest.raises(ProjectError, match=r"table\.merge is not a key"):
        Project.load(tmp_path, environ={}).tables("shop")


@pytest.mark.parametrize("folder", ["domains", "jobs"])
def test_the_oldest_layout_is_refused_by_name(tmp_path: Path, folder: str) -> None:
    write(tmp_path, f"{folder}/shop.sl.yml", {"name": "shop"})
    with pytest.raises(ProjectError, match=f"move the files of {folder} to"):
        Project.load(tmp_path, environ={})
