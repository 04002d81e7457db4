"""Several processes on one database and one set of directories."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Sandbox


def test_eight_processes_at_once(sandbox: Sandbox) -> None:
    names = [f"t{number}" for number in range(6)]
    for name in names:
        sandbox.table(name, f"table: {{pattern: '{name}_.*', attributes: [{{name: id, type: int}}]}}")
        for part in range(3):
            sandbox.staged(f"{name}_{part}.csv", "id\n" + "".join(f"{row}\n" for row in range(500)))
    sandbox.write("metadata/transform/kpi/a.sql", "SELECT 1 AS n")
    sandbox.write("metadata/transform/kpi/b.sql", "SELECT 2 AS n")
    processes = [sandbox.process("load", "--domains", "shop", "--tables", name) for name in names]
    processes += [sandbox.process("transform", "--name", f"kpi.{name}") for name in "ab"]
    results = [sandbox.finish(process) for process in processes]
    assert [result.code for result in results] == [0] * 8, "\n".join(result.err for result in results)
    for name in names:
        assert sandbox.query(f"SELECT count(*), count(DISTINCT id) FROM shop.{name}") == [(1500, 500)]
    assert sandbox.query("SELECT * FROM kpi.a UNION ALL SELECT * FROM kpi.b") == [(1,), (2,)]
    assert len(sandbox.files("archive")) == 18
    assert sandbox.files("stage") == sandbox.files("unresolved") == sandbox.files("ingesting") == []


def test_the_same_work_twice_at_once_is_done_once(sandbox: Sandbox) -> None:
    sandbox.staged("items1.csv", "id\n1\n")
    processes = [sandbox.process("load", "--domains", "shop", "--tables", "items", SL_RUN_KEY="k") for _ in range(4)]
    results = [sandbox.finish(process) for process in processes]
    assert [result.code for result in results] == [0] * 4
    assert sum("already done" in result.out for result in results) == 3
    assert sandbox.query("SELECT id FROM shop.items") == [(1,)]
