"""The demo's folder: ours or left alone, never written over, and finished after an interruption at any moment."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from starlake_core_project.bakery import INCOMING, data_files, project_files
from starlake_core_project.demo import MARKER, show_demo, write_demo

from starlake_core import NothingFoundError, RunError


def files(folder: Path) -> dict[str, bytes]:
    """What is in the folder, without what the demo notes for itself."""
    found = (path for path in folder.rglob("*") if path.is_file())
    names = ((path.relative_to(folder).as_posix(), path) for path in found)
    return {name: path.read_bytes() for name, path in names if not name.startswith(MARKER)}


def begun() -> dict[str, bytes]:
    both = {**data_files(1), **data_files(2)}
    return {**project_files(), **{f"{INCOMING}/{name}": content for name, content in both.items()}}


def arrived(day: int) -> dict[str, bytes]:
    return {f"{INCOMING}/{name}": content for name, content in data_files(day).items()}


@pytest.mark.parametrize("there", [False, True], ids=["new", "empty"])
def test_it_is_written_to_a_new_or_empty_folder(tmp_path: Path, there: bool) -> None:
    folder = tmp_path / "a" / "bakery"
    if there:
        folder.mkdir(parents=True)
    written = write_demo(folder, again=False)
    assert (written.made, written.waiting, written.pipelines) == (True, 5, folder / "dags")
    assert files(folder) == begun()


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for again in (False, True):
        with pytest.raises(
            NothingFoundError, match=r"not empty and was not created by the demo.*mine\.txt.*demo FOLDER"
        ):
            write_demo(tmp_path, again)
    with pytest.raises(NothingFoundError, match="is a file"):
        write_demo(tmp_path / "mine.txt", again=False)
    with pytest.raises(NothingFoundError, match="create the demo first"):
        write_demo(tmp_path / "none", again=True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"cannot write the demo to .*file/below.*demo FOLDER"):
        write_demo(tmp_path / "file" / "below", again=False)


def test_nothing_that_is_there_is_written_over(tmp_path: Path) -> None:
    folder = tmp_path / "bakery"
    write_demo(folder, again=False)
    (folder / "README.md").write_text("my own words")
    (folder / "dags" / "starbake_kpi.py").unlink()
    (folder / INCOMING / "orders-2026-11-01.json").unlink()
    before = files(folder)
    written = write_demo(folder, again=False)
    assert (written.made, written.came, written.waiting) == (False, (), 4)
    assert files(folder) == before


def test_again_brings_the_files_of_the_next_day_and_touches_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "bakery"
    write_demo(folder, again=False)
    (folder / "README.md").write_text("my own words")
    (folder / "metadata" / "application.sl.yml").unlink()
    for name in data_files(1):
        (folder / INCOMING / name).unlink()
    before = files(folder)
    for day in (3, 4):
        written = write_demo(folder, again=True)
        assert [name for name, _ in written.came] == [str(folder / name) for name in arrived(day)]
        before |= arrived(day)
        assert files(folder) == before
    assert dict(written.came)[str(folder / INCOMING / "customers-2026-11-04.csv")] == "8 rows"


def test_a_file_of_the_user_in_the_way_is_not_written_over(tmp_path: Path) -> None:
    folder = tmp_path / "bakery"
    write_demo(folder, again=False)
    own = folder / INCOMING / "orders-2026-11-03.json"
    own.write_text("{}")
    before = files(folder)
    with pytest.raises(RunError, match=r"orders-2026-11-03\.json already exists"):
        write_demo(folder, again=True)
    assert files(folder) == before
    own.unlink()
    write_demo(folder, again=True)
    assert files(folder) == {**begun(), **arrived(3)}


class Killed(BaseException):
    """The end of the process, as far as the folder can see."""


def dying(function: Callable[..., object], after: int) -> Callable[..., object]:
    """A function that works some times, and then the process is gone."""
    left = [after]

    def wrapped(*arguments: object, **keywords: object) -> object:
        if not left[0]:
            raise Killed
        left[0] -= 1
        return function(*arguments, **keywords)

    return wrapped


WRITES = (Path, "write_bytes"), (os, "replace")


@pytest.mark.parametrize("where", WRITES, ids=["write", "move"])
@pytest.mark.parametrize("again", [False, True])
def test_an_interruption_at_any_moment_is_made_good(tmp_path: Path, where: tuple[object, str], again: bool) -> None:
    owner, name = where
    moments = 0
    while True:
        folder = tmp_path / f"{moments}"
        if again:
            write_demo(folder, again=False)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(owner, name, dying(getattr(owner, name), moments))
            try:
                write_demo(folder, again)
                break
            except Killed:
                pass
        # What is there is whole, and some of it is loaded before somebody goes on.
        wanted = {**begun(), **(arrived(3) if again else {})}
        assert all(wanted[name] == content for name, content in files(folder).items())
        loaded = [name for name in files(folder) if "orders-2026-11-03" in name]
        for gone in loaded:
            (folder / gone).unlink()
        write_demo(folder, again)
        assert files(folder) == {name: content for name, content in wanted.items() if name not in loaded}
        moments += 1
    assert moments > 3


def test_a_marker_of_another_version_is_not_touched(tmp_path: Path) -> None:
    for text in ('{"version": 2}', "what?", "[]"):
        (tmp_path / MARKER).write_text(text)
        with pytest.raises(RunError, match="not written by this version"):
            write_demo(tmp_path, again=False)
        assert (tmp_path / MARKER).read_text() == text


def test_there_is_nothing_to_show_without_a_database(tmp_path: Path) -> None:
    write_demo(tmp_path, again=False)
    assert show_demo(tmp_path) is None
    (tmp_path / "datasets" / "duckdb.db").write_text("no database")
    assert show_demo(tmp_path) is None
