"""The cache of projects: used only for the same content, and never trusted."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from grouping_cases import Case
from starlake_core_project import publish, publishing
from starlake_core_project.bakery import write_bakery

from starlake_core import graph_json


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_bakery(tmp_path / "bakery", days=1)
    return tmp_path / "bakery"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The projects whose files were read, and not taken from the cache."""
    seen: list[Path] = []
    real = publishing.read_catalogue

    def counted(project: publishing.Project) -> publishing.Catalogue:
        seen.append(project.root)
        return real(project)

    monkeypatch.setattr(publishing, "read_catalogue", counted)
    return seen


def graphs(root: Path, **arguments: object) -> list[str]:
    made = publish(root, orchestrator="local", environment="duckdb", **arguments)  # type: ignore[arg-type]
    details = [repr(task.details) for pipeline in made for task in pipeline.tasks()]
    return [*map(graph_json, made), *details]


def test_an_unchanged_project_is_not_read_again(root: Path, read: list[Path]) -> None:
    first = graphs(root)
    assert graphs(root) == first
    assert len(read) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "metadata/transform/kpi/overview.sql").write_text("SELECT 1 AS a", encoding="utf-8"),
        lambda root: (root / "metadata/load/starbake/orders.sl.yml").unlink(),
        lambda root: (root / "metadata/env.BQ.sl.yml").write_text("version: 1\nenv: {a: b}\n", encoding="utf-8"),
        lambda root: (root / "metadata/load/starbake/orders.sl.yml").rename(
            root / "metadata/load/starbake/orders2.sl.yml"
        ),
    ],
    ids=["query", "gone", "env", "renamed"],
)
def test_a_change_is_seen(root: Path, read: list[Path], change: Callable[[Path], object]) -> None:
    graphs(root)
    change(root)
    assert graphs(root) == graphs(root, cache=False)
    assert len(read) == 3


def test_variables_of_the_process_are_part_of_the_content(
    root: Path, read: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = root / "metadata/transform/kpi/overview.sql"
    path.write_text("SELECT * FROM kpi.{{ SOURCE_OF_TEST }}", encoding="utf-8")
    monkeypatch.setenv("SOURCE_OF_TEST", "product_sales")
    first = graphs(root)
    monkeypatch.setenv("UNRELATED_OF_TEST", "x")
    assert graphs(root) == first
    assert len(read) == 1
    monkeypatch.setenv("SOURCE_OF_TEST", "customer_value")
    assert graphs(root) != first
    assert len(read) == 2


@pytest.mark.parametrize("damage", [b"", b"x", b"\0" * 500, None], ids=["empty", "short", "zeros", "flipped"])
def test_a_damaged_or_foreign_file_is_ignored(root: Path, read: list[Path], damage: bytes | None) -> None:
    first = graphs(root)
    (file,) = (root / ".starlake-core/cache").iterdir()
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(bytes(data) if damage is None else damage)
    assert graphs(root) == first
    assert len(read) == 2
    assert graphs(root) == first
    assert len(read) == 2


def test_it_can_be_turned_off_or_elsewhere(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graphs(root, cache=False)
    monkeypatch.setenv("SL_PROJECT_CACHE", "off")
    graphs(root)
    assert not (root / ".starlake-core").exists()
    monkeypatch.setenv("SL_PROJECT_CACHE", str(tmp_path / "there"))
    graphs(root)
    assert [path.suffix for path in (tmp_path / "there").iterdir()] == [".msgpack"]


def test_a_folder_that_cannot_be_written_is_no_obstacle(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "file").touch()
    monkeypatch.setenv("SL_PROJECT_CACHE", str(root / "file" / "below"))
    assert graphs(root)


def test_warnings_are_repeated_and_broken_projects_are_not_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = Case("", {}, tasks={"k.a": "", "k.b": ""}).write(tmp_path)
    (root / "metadata/transform/k/a.sql").write_text("SELECT ( FROM k.b", encoding="utf-8")
    for count in (1, 2):
        graphs(root)
        assert sum("cannot be parsed" in line for line in caplog.messages) == count
    (root / "metadata/transform/k/b.sl.yml").write_text("version: 1\ntask: {colour: red}\n", encoding="utf-8")
    graphs(root)
    graphs(root)
    assert len(list((root / ".starlake-core/cache").iterdir())) == 1


def test_what_is_read_through_a_link_counts(root: Path, read: list[Path], tmp_path: Path) -> None:
    there = tmp_path / "there"
    (root / "metadata/transform/kpi").rename(there)
    (root / "metadata/transform/kpi").symlink_to(there)
    (there / "again").symlink_to(there)
    first = graphs(root)
    (there / "overview.sql").write_text("SELECT 1 AS a", encoding="utf-8")
    assert graphs(root) != first
    assert len(read) == 2


def test_variables_in_a_file_that_is_included_count(
    root: Path, read: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "metadata/transform/kpi/overview.sql").write_text("{% include 'parts/source.txt' %}", encoding="utf-8")
    (root / "metadata/parts").mkdir()
    (root / "metadata/parts/source.txt").write_text("SELECT * FROM kpi.{{ SOURCE_OF_TEST }}", encoding="utf-8")
    monkeypatch.setenv("SOURCE_OF_TEST", "product_sales")
    first = graphs(root)
    monkeypatch.setenv("SOURCE_OF_TEST", "customer_value")
    assert graphs(root) != first


def test_a_change_that_keeps_size_and_time_is_seen(root: Path, read: list[Path]) -> None:
    path = root / "metadata/transform/kpi/overview.sql"
    path.write_text("SELECT * FROM kpi.product_sales", encoding="utf-8")
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    first = graphs(root)
    path.write_text("SELECT * FROM kpi.product_sbles", encoding="utf-8")
    os.utime(path, ns=times)
    assert graphs(root) != first
    assert len(read) == 2


def test_a_full_disk_is_no_obstacle_and_leaves_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("starlake_core_project.cache.os.replace", full)
    assert graphs(root)
    assert list((root / ".starlake-core/cache").iterdir()) == []


def test_what_a_killed_process_left_is_removed(root: Path) -> None:
    folder = root / ".starlake-core/cache"
    folder.mkdir(parents=True)
    for name, hours in (("old.tmp", 2), ("new.tmp", 0)):
        (folder / name).touch()
        os.utime(folder / name, (time.time() - hours * 3600,) * 2)
    graphs(root)
    assert sorted(path.suffix for path in folder.iterdir()) == [".msgpack", ".tmp"]
    assert (folder / "new.tmp").exists()


def test_many_processes_at_once(root: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from starlake_core_project.publishing import plan;"
        "print([item.full_name for item in plan(Path(sys.argv[1])).catalogue.items])"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, root], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    outputs = {process.communicate()[0] for process in running}
    assert len(outputs) == 1
    assert "kpi.overview" in outputs.pop()
    assert [path.suffix for path in (root / ".starlake-core/cache").iterdir()] == [".msgpack"]


def test_many_at_once(root: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        contents = list(pool.map(lambda _: publishing.plan(root).catalogue.items, range(16)))
    assert {tuple(item.full_name for item in items) for items in contents} == {
        tuple(item.full_name for item in contents[0])
    }
    assert len(list((root / ".starlake-core/cache").glob("*"))) == 1
