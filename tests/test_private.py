"""Names for files, and folders for one user alone."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starlake_core import Job, RunKey
from starlake_core.private_files import private_file, private_folder
from starlake_core.runtime import ProcessRunner, execute
from starlake_core.short_names import file_name


@given(st.text(), st.sampled_from(["", ".log", ".1.log"]))
def test_any_text_becomes_the_name_of_a_file(text: str, ending: str) -> None:
    name = file_name(text, ending)
    assert len(name.encode()) <= 200
    assert name.isascii()
    assert not set(name) & set("/\\\0 \n")
    assert name[0] not in ".-" or text[:1] == "-"
    assert name.endswith(ending)


@given(st.text(), st.text())
def test_two_texts_have_two_names(one: str, other: str) -> None:
    assert (file_name(one) == file_name(other)) == (one == other)


def test_a_name_of_a_task_stays_as_it_is() -> None:
    assert file_name("load_starbake.starbake_orders_load", ".1.log") == "load_starbake.starbake_orders_load.1.log"


def test_folders_and_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        private_folder(tmp_path / "a" / "b")
        wide = tmp_path / "wide"
        wide.mkdir(mode=0o777)
        private_folder(wide)
        file = tmp_path / "file"
        file.touch(mode=0o666)
        private_file(file)
        private_file(tmp_path / "no such file")
    finally:
        os.umask(before)
    for path, mode in ((tmp_path / "a" / "b", 0o700), (wide, 0o700), (file, 0o600)):
        assert stat.S_IMODE(path.stat().st_mode) == mode
    with pytest.raises(NotADirectoryError):
        private_folder(file)


def _marker(env: dict[str, str]) -> Path:
    lines: list[str] = []
    runner = ProcessRunner(
        lambda job: ("/bin/sh", "-c", 'echo "$0"; stat -c "%a" "$(dirname "$0")"', job.arguments[-1])
    )
    job = Job("fake", ("preload",), env, check=True)
    outcome = execute(job, runner, RunKey("p/r/t", "1"), on_line=lines.append, timeout=30)
    assert outcome.succeeded, outcome
    assert lines[1] == "700"
    return Path(lines[0])


def test_the_folder_of_markers_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _marker({"SL_ROOT": str(tmp_path)}).parent == tmp_path / ".starlake-core" / "not-ready"
    # Another user was there first.
    common = tmp_path / "tmp"
    (common / ".starlake-core").mkdir(parents=True)
    (common / ".starlake-core").chmod(0o000)
    monkeypatch.setattr(tempfile, "tempdir", str(common))
    monkeypatch.delenv("SL_ROOT", raising=False)
    mine = _marker({})
    assert mine.is_relative_to(common)
    assert not mine.is_relative_to(common / ".starlake-core")
