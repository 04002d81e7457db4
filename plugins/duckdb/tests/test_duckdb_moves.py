"""Folders on several file systems: whatever step a process ends at, no file is lost and none is loaded twice."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Sandbox


class Killed(BaseException):
    """The process ends here; nothing of it runs any more."""


class Disk:
    """Every folder is a file system of its own, and the process ends at a step that changes one."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.left = 0
        self._rename = os.rename
        patch.setattr(os, "rename", self._counted(self._across))
        patch.setattr(os, "unlink", self._counted(os.unlink))
        patch.setattr(shutil, "copy2", self._counted(shutil.copy2))

    def _across(self, source: Any, target: Any) -> None:
        if Path(source).parent != Path(target).parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        self._rename(source, target)

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            if str(arguments[0]).endswith((".db", ".wal", ".tmp", ".sqlite-journal")):
                return call(*arguments, **named)
            self.left -= 1
            if self.left == 0:
                raise Killed
            return call(*arguments, **named)

        return counted


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    with monkeypatch.context() as patch:
        yield Disk(patch)


def hidden(sandbox: Sandbox) -> list[Path]:
    return [path for path in sandbox.root.rglob(".*") if path.suffix in (".move", ".moved") or len(path.name) == 33]


@pytest.mark.parametrize("command", ["stage", "load"])
def test_a_process_that_ends_between_two_steps(sandbox: Sandbox, disk: Disk, command: str) -> None:
    for step in range(1, 99):
        sandbox.incoming(f"items{step}.csv", f"id,label\n{step},a\n")
        if command == "load":
            assert sandbox.run("stage").code == 0
        disk.left = step
        try:
            assert sandbox.run(command).code == 0
        except Killed:
            ended = False
        else:
            ended = True
        disk.left = 0
        strategy = ("imported", "pending") if command == "stage" else ()
        ready = [
            sandbox.run("preload", "--domain", "shop", "--tables", "items", "--strategy", name) for name in strategy
        ]
        assert not ready or any(result.code == 0 for result in ready)
        assert sandbox.run("stage").code == 0
        assert sandbox.run("load").code == 0
        assert sandbox.query("SELECT count(*), count(DISTINCT id) FROM shop.items") == [(step, step)]
        assert sandbox.files("archive") == sorted(f"shop/items{number}.csv" for number in range(1, step + 1))
        assert sandbox.files("stage") == sandbox.files("ingesting") == []
        assert list((sandbox.root / "incoming/shop").glob("*.csv")) == []
        if ended:
            break
    assert step > 4
    assert hidden(sandbox) == []


def test_a_file_that_cannot_be_copied_stays(sandbox: Sandbox, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, target: Path) -> None:
        target.write_text("id")
        raise OSError(errno.ENOSPC, "No space left on device")

    sandbox.incoming("items.csv", "id,label\n1,a\n")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copy2", full)
        assert sandbox.run("stage").code == 1
    assert sandbox.files("stage") == []
    assert hidden(sandbox) == []
    assert sandbox.run("stage").code == sandbox.run("load").code == 0
    assert sandbox.query("FROM shop.items") == [(1, "a")]
