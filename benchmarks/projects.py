"""A project of a thousand tables, to measure what opening one costs in addition to parsing its files."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import yaml

__all__ = ["ratio_of_opening", "write_project"]

_ATTRIBUTES = "".join(
    f'    - name: "column_{n}"\n      type: "{kind}"\n      required: {"true" if n < 2 else "false"}\n      comment: "The column {n}"\n'
    for n, kind in enumerate(
        ("long", "string", "date", "timestamp", "double", "boolean", "string", "decimal", "int", "string")
    )
)
_TABLE = """version: 1
table:
  name: "{name}"
  pattern: "{name}-[0-9]+[.]csv"
  rename: "{name}_final"
  primaryKey: ["column_0"]
  metadata:
    format: "DSV"
    withHeader: true
    separator: ","
    writeStrategy:
      type: "UPSERT_BY_KEY_AND_TIMESTAMP"
      key: ["column_0"]
      timestamp: "column_3"
  attributes:
"""
_TASK = """version: 1
task:
  name: "{name}"
  table: "{name}"
  writeStrategy:
    type: "OVERWRITE"
  tags: ["daily", "kpi"]
  freshness: {{warn: "1 day", error: "2 days"}}
"""


def write_project(root: Path, tables: int = 1000, tasks: int = 500) -> None:
    """Write a project.

    Args:
        root: its folder.
        tables: how many, in ten domains.
        tasks: how many transforms, in five domains.
    """

    def write(name: str, text: str) -> None:
        path = root / "metadata" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    write(
        "application.sl.yml",
        "version: 1\napplication:\n  connectionRef: duckdb\n  connections:\n    duckdb: {type: duckdb}\n",
    )
    write("env.sl.yml", 'version: 1\nenv:\n  incoming: "{{SL_ROOT}}/incoming"\n')
    for n in range(10):
        directory = f'"{{{{incoming}}}}/domain_{n}"'
        write(
            f"load/domain_{n}/_config.sl.yml",
            f"version: 1\nload:\n  name: domain_{n}\n  metadata: {{directory: {directory}}}\n",
        )
    for n in range(tables):
        write(f"load/domain_{n % 10}/table_{n}.sl.yml", _TABLE.format(name=f"table_{n}") + _ATTRIBUTES)
    for n in range(5):
        write(
            f"transform/kpi_{n}/_config.sl.yml",
            f"version: 1\ntransform:\n  name: kpi_{n}\n  default: {{tags: [kpi]}}\n",
        )
    for n in range(tasks):
        write(f"transform/kpi_{n % 5}/task_{n}.sl.yml", _TASK.format(name=f"task_{n}"))
        write(f"transform/kpi_{n % 5}/task_{n}.sql", "SELECT 1 AS a")


def _open(root: Path, tables: int, tasks: int) -> None:
    from starlake_core_project import Project

    project = Project.load(root, environ={})
    found = sum(len(project.tables(name)) for name in project.domain_names())
    assert (found, len(project.tasks())) == (tables, tasks)


def _parse(root: Path) -> None:
    for path in sorted((root / "metadata").rglob("*.sl.yml")):
        yaml.load(path.read_text(), Loader=yaml.CSafeLoader)


def _cpu(work: Callable[[], object]) -> float:
    gc.collect()
    started = time.process_time()
    work()
    return time.process_time() - started


def ratio_of_opening(root: Path, rounds: int = 5, tables: int = 1000, tasks: int = 500) -> tuple[float, float, float]:
    """CPU seconds of opening a project completely and of parsing its files alone, and the median ratio of interleaved rounds.

    Args:
        root: an empty folder.
        rounds: how many pairs.
        tables, tasks: how many there are.
    """
    write_project(root, tables, tasks)
    _open(root, tables, tasks)
    pairs = [(_cpu(lambda: _open(root, tables, tasks)), _cpu(lambda: _parse(root))) for _ in range(rounds)]
    ours, theirs = min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)
    return ours, theirs, statistics.median(ours / theirs for ours, theirs in pairs)
