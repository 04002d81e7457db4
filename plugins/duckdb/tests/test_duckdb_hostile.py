"""What lies in the folders of a project must not decide what the engine imports, reads or holds in memory."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest
from starlake_core_duckdb.compressed import check_size, read_size
from starlake_core_duckdb.errors import EngineError
from starlake_core_duckdb.plugin import sl_create_runner

from starlake_core import Job, RunKey
from starlake_core.runtime import ProcessRunner, execute

APPLICATION = "version: 1\napplication: {}\n"
DOMAIN = 'version: 1\nload:\n  name: "d"\n  metadata: {{directory: "incoming"}}\n'
TABLE = """version: 1
table:
  name: "t"
  pattern: "t.*"
  attributes: [{name: "a", type: "string"}]
  metadata: {format: "FORMAT", withHeader: true, separator: ";"}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    load = root / "metadata" / "load" / "d"
    load.mkdir(parents=True)
    (root / "metadata" / "application.sl.yml").write_text(APPLICATION)
    (load / "_config.sl.yml").write_text(DOMAIN.format())
    (load / "t.sl.yml").write_text(TABLE.replace("FORMAT", "DSV"))
    (root / "incoming").mkdir()
    return root


def engine(root: Path, *arguments: str, **env: str) -> tuple[int | None, str]:
    job = Job("duckdb", arguments, {"SL_ROOT": str(root), **env}, {"include_env": []})
    runner = sl_create_runner(job)
    lines: list[str] = []
    outcome = execute(job, runner, RunKey("p/r/" + arguments[0], "1"), on_line=lines.append, timeout=120)
    return outcome.exit_code, "\n".join(lines)


HOSTILE = "import pathlib; pathlib.Path({flag!r}).touch(); raise SystemExit('hijacked')\n"


@pytest.mark.parametrize(
    "name", ["yaml", "json", "duckdb", "starlake_core", "starlake_core_duckdb", "encodings", "runpy"]
)
def test_nothing_of_a_project_is_imported(name: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flag = root / "HIJACKED"
    (root / f"{name}.py").write_text(HOSTILE.format(flag=str(flag)))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", "/nowhere"]))
    monkeypatch.chdir(root)
    (root / "incoming" / "t.csv").write_text("a\n1\n")
    assert engine(root, "stage", "--domains", "d")[0] == 0
    code, output = engine(root, "load", "--domains", "d")
    assert code == 0, output
    assert not flag.exists()


def test_the_line_of_a_dry_run_imports_nothing_of_the_project_either(root: Path) -> None:
    flag = root / "HIJACKED"
    (root / "yaml.py").write_text(HOSTILE.format(flag=str(flag)))
    job = Job("duckdb", ("stage", "--domains", "d"), {"SL_ROOT": str(root)}, {"include_env": []})
    runner = sl_create_runner(job)
    assert isinstance(runner, ProcessRunner)
    subprocess.run(["bash", "-c", runner.describe(job)], check=True, capture_output=True)
    assert not flag.exists()


def test_an_interpreter_without_the_switch_imports_nothing_either(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from starlake_core.processes.runner import python_module

    monkeypatch.setattr(sys, "version_info", (3, 10, 0))
    vector = python_module("starlake_core_duckdb")
    assert "-P" not in vector
    flag = root / "HIJACKED"
    for name in ("yaml", "runpy", "json"):
        (root / f"{name}.py").write_text(HOSTILE.format(flag=str(flag)))
    done = subprocess.run(
        [*vector, "stage", "--domains", "d"],
        cwd=root,
        env={"SL_ROOT": str(root), "PATH": ""},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done
    assert not flag.exists()


@pytest.mark.parametrize("where", ["incoming", "datasets/stage/d"])
def test_a_link_is_no_data(where: str, root: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a\nhunter22\n")
    folder = root / where
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "t.csv").symlink_to(secret)
    code, output = engine(
        root,
        "preload",
        "--domain",
        "d",
        "--strategy",
        "imported" if where == "incoming" else "pending",
        "--tables",
        "t",
    )
    assert code == 1
    assert "NOT READY" in output
    _, staged = engine(root, "stage", "--domains", "d")
    code, output = engine(root, "load", "--domains", "d")
    assert code == 0
    assert "no files to load" in output
    assert "t.csv is a link and stays where it is" in staged + output
    assert "hunter22" not in output
    assert (folder / "t.csv").is_symlink()
    assert secret.read_text() == "a\nhunter22\n"


@pytest.mark.parametrize("kind", ["DSV", "JSON"])
def test_what_a_compressed_file_becomes_is_bounded(kind: str, root: Path) -> None:
    (root / "metadata" / "load" / "d" / "t.sl.yml").write_text(TABLE.replace("FORMAT", kind))
    line = "x" * 1000 if kind == "DSV" else '{"a": "' + "x" * 1000 + '"}'
    stage = root / "datasets" / "stage" / "d"
    stage.mkdir(parents=True)
    with gzip.open(stage / "t.gz", "wt") as file:
        file.write("a\n" if kind == "DSV" else "")
        for _ in range(3000):
            file.write(line + "\n")
    code, output = engine(root, "load", "--domains", "d", SL_DUCKDB_MAX_DECOMPRESSED="1M")
    assert code != 0
    assert "t.gz becomes larger than 1048576 bytes" in output
    assert "SL_DUCKDB_MAX_DECOMPRESSED" in output
    assert (stage / "t.gz").exists()
    code, output = engine(root, "load", "--domains", "d", SL_DUCKDB_MAX_DECOMPRESSED="1G")
    assert code == 0, output
    assert "3000 row(s)" in output


@pytest.mark.parametrize(
    ("text", "size"), [(None, 2 * 1024**3), ("5", 5), ("2k", 2048), ("1 MiB", 1024**2), ("3GB", 3 * 1024**3)]
)
def test_sizes(text: str | None, size: int) -> None:
    assert read_size(text) == size


@pytest.mark.parametrize("text", ["much", "-1", "1.5G", "1P"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(EngineError, match="SL_DUCKDB_MAX_DECOMPRESSED"):
        read_size(text)


def test_a_broken_archive_is_named(tmp_path: Path) -> None:
    file = tmp_path / "t.gz"
    file.write_bytes(b"no gzip at all")
    with pytest.raises(EngineError, match=r"t.gz cannot be decompressed"):
        check_size(file, "t.gz", 10)
