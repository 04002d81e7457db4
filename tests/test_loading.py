"""Loading pipeline files: whatever a file or folder does is a line about that file, and nothing else suffers."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import starlake_core
from starlake_core.dsl.orchestration import Overrides
from starlake_core.dsl.pipeline_files import find_files, load_file, load_files

GOOD = """
from starlake_core import Orchestration
with Orchestration(orchestrator="local", environment="duckdb") as orchestration:
    with orchestration.sl_create_pipeline(name="{name}", cron=None) as pipeline:
        pipeline.sl_load(domain="d", table="t")
"""


def problems(path: Path) -> list[str]:
    return load_file(path, Overrides()).problems


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("class Own(BaseException): pass\nraise Own('x')", "line 2: Own: x"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("x = (", "line 1"),
        ("\0", "null bytes"),
    ],
)
def test_whatever_a_file_raises_is_a_problem_of_that_file(content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(content)
    (tmp_path / "good.py").write_text(GOOD.format(name="good"))
    bad, good = load_files([tmp_path / "bad.py", tmp_path / "good.py"], Overrides())
    assert len(bad.problems) == 1
    assert said in bad.problems[0]
    assert "line None" not in bad.problems[0]
    assert [p.id for p in good.pipelines] == ["good"]


def test_an_interrupt_is_none_of_its_problems(tmp_path: Path) -> None:
    (tmp_path / "f.py").write_text("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load_file(tmp_path / "f.py", Overrides())


def test_what_cannot_be_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "good.py").write_text(GOOD.format(name="good"))
    (tmp_path / "closed.py").write_text(GOOD.format(name="closed"))
    closed = tmp_path / "folder"
    closed.mkdir()
    # root may read everything, so that modes would test nothing where tests run as root.
    real_open, real_scan = Path.read_text, Path.iterdir

    def read_text(self: Path, *arguments: object, **keywords: object) -> str:
        if self.name == "closed.py":
            raise PermissionError(13, "Permission denied", str(self))
        return real_open(self, *arguments, **keywords)  # type: ignore[arg-type]

    def iterdir(self: Path) -> object:
        if self.name == "folder":
            raise PermissionError(13, "Permission denied", str(self))
        return real_scan(self)

    monkeypatch.setattr(Path, "read_text", read_text)
    monkeypatch.setattr(Path, "iterdir", iterdir)
    found = find_files([tmp_path])
    assert {path.name for path in found} == {"good.py", "closed.py", "folder"}
    loaded = {file.path.name: file for file in load_files([tmp_path], Overrides())}
    assert len(loaded["folder"].problems) == 1
    assert "cannot be read" in loaded["folder"].problems[0]
    assert [p.id for p in loaded["good.py"].pipelines] == ["good"]


def test_a_file_needs_no_ending(tmp_path: Path) -> None:
    (tmp_path / "pipelines").write_text(GOOD.format(name="x"))
    assert [p.id for p in load_file(tmp_path / "pipelines", Overrides()).pipelines] == ["x"]


def test_what_runs_is_what_stands_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python itself takes compiled code of the same size and second for current."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    file = tmp_path / "f.py"
    for name in ("x", "y"):
        file.write_text(GOOD.format(name=name))
        os.utime(file, (1_000_000_000, 1_000_000_000))
        assert [p.id for p in load_file(file, Overrides()).pipelines] == [name]
    assert [path.name for path in tmp_path.iterdir()] == ["f.py"]


def test_a_file_that_changes_the_working_directory_changes_its_own_only(tmp_path: Path) -> None:
    (tmp_path / "f.py").write_text("import os\nos.chdir('/')\n" + GOOD.format(name="x"))
    before = os.getcwd()
    assert not problems(tmp_path / "f.py")
    assert os.getcwd() == before


def test_a_neighbour_takes_no_place_of_another_module(tmp_path: Path) -> None:
    """A file may import its neighbours, and one that has the name of a library is not one that a file asks for."""
    (tmp_path / "colorsys.py").write_text("raise SystemExit('hijacked')")
    (tmp_path / "helper_of_this_test.py").write_text("value = 1")
    (tmp_path / "f.py").write_text("import colorsys\nfrom helper_of_this_test import value\n" + GOOD.format(name="x"))
    before = list(sys.path)
    assert not problems(tmp_path / "f.py")
    assert sys.path == before


def test_what_lies_below_the_folder_and_is_found_without_it_is_imported_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A virtual environment beside a pipeline file has the plugins; imported again, their classes would be others."""
    packages = tmp_path / ".venv" / "lib" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "installed_in_this_test.py").write_text("class Runner: ...")
    (tmp_path / "own_of_this_test").mkdir()
    (tmp_path / "own_of_this_test" / "parts.py").write_text("value = 1")
    monkeypatch.syspath_prepend(str(packages))
    text = "import installed_in_this_test\nfrom own_of_this_test.parts import value\n"
    (tmp_path / "f.py").write_text(text + GOOD.format(name="x"))
    assert not problems(tmp_path / "f.py")
    assert "installed_in_this_test" in sys.modules
    assert not {"own_of_this_test", "own_of_this_test.parts"} & {*sys.modules}
    monkeypatch.delitem(sys.modules, "installed_in_this_test")


def test_a_plugin_that_is_developed_beside_a_pipeline_file_is_imported_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = tmp_path / "plugin_of_this_test-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin-of-this-test\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[starlake_core.addons]\nof_this_test = plugin_of_this_test\n")
    (tmp_path / "plugin_of_this_test.py").write_text("class Runner: ...")
    (tmp_path / "helper_of_this_test.py").write_text("value = 1")
    monkeypatch.syspath_prepend(str(tmp_path))
    text = "import plugin_of_this_test\nfrom helper_of_this_test import value\n"
    (tmp_path / "f.py").write_text(text + GOOD.format(name="x"))
    assert not problems(tmp_path / "f.py")
    assert "plugin_of_this_test" in sys.modules
    assert "helper_of_this_test" not in sys.modules, "a file that is loaded again gets the helper as it is now"
    monkeypatch.delitem(sys.modules, "plugin_of_this_test")


def test_a_virtual_environment_beside_the_pipeline_file(tmp_path: Path) -> None:
    """The runner of an environment below the folder is one that the core knows."""
    packages = tmp_path / ".venv" / "site-packages"
    shutil.copytree(Path(starlake_core.__file__).parent, packages / "starlake_core")
    for name in ("shell", "local"):
        module = importlib.import_module(f"starlake_core_{name}")
        assert module.__file__
        shutil.copytree(Path(module.__file__).parent, packages / module.__name__)
    text = GOOD.format(name="x").replace('"duckdb"', '"shell", options={"SL_STARLAKE_PATH": "/bin/echo"}')
    (tmp_path / "f.py").write_text(text)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "starlake_core", "run", str(tmp_path / "f.py")],
        cwd=elsewhere,
        env={**os.environ, "PYTHONPATH": str(packages), "SL_ROOT": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done


def test_the_command_line_imports_nothing_of_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "yaml.py").write_text("raise SystemExit('hijacked')")
    (tmp_path / "f.py").write_text("import yaml\n" + GOOD.format(name="x"))
    done = subprocess.run(
        [sys.executable, "-m", "starlake_core", "check", "f.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done
