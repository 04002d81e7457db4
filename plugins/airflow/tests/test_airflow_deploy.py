"""Bringing files to Airflow's folder and taking them away: parsed by a real DagBag before, all or nothing."""

from __future__ import annotations

import os
import re
import subprocess
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import SimpleNamespace

import pytest
from airflow.configuration import conf
from breadth import once_on_airflow
from load_fault_runs import in_a_process
from starlake_core_airflow import dag_check, dag_ignore, deploying
from starlake_core_airflow.dag_modules import local_modules
from starlake_core_airflow.deploying import dags_folder, delete, deploy, safe_mode_problem

from starlake_core import NothingFoundError, Options, RunError
from starlake_core import file_transaction as file_swap

SYNTAX = conf.get("core", "dag_ignore_file_syntax").lower()


def dag(dag_id: str, imports: str = "") -> str:
    return f"""# airflow dag
from datetime import datetime
{imports}
try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG
with DAG("{dag_id}", start_date=datetime(2026, 1, 1), schedule=None):
    pass
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "dags"
    folder.mkdir()
    return folder


@pytest.fixture
def checks_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are checked in forks of this process, which has imported Airflow: a Python of their own, as other tests have it, takes seconds to."""

    def run(command: Sequence[str], *, env: Mapping[str, str], **_: object) -> subprocess.CompletedProcess[str]:
        def check() -> bool:
            os.environ.clear()
            os.environ.update(env)
            warnings.simplefilter("ignore")  # those of pytest are errors
            dag_check._main(*command[-3:])
            return True

        assert in_a_process(check)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(dag_check, "subprocess", SimpleNamespace(run=run, DEVNULL=subprocess.DEVNULL))


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / (name.replace("__in__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def tree(folder: Path) -> dict[str, str]:
    return {
        file.relative_to(folder).as_posix(): file.read_text()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    }


def with_modules(source: Path) -> None:
    write(
        source,
        daily=dag("daily", "from helpers import x\nimport json, httpx, starlake_core"),
        hourly=dag("hourly", "def later():\n    import common.deep.er"),
        helpers="from common.deep import er\nx = er.y\n",
        common__in____init__="",
        common__in__deep__in____init__="",
        common__in__deep__in__er="# airflow dag\ny = 1\n",
        unused="",
        json="raise Exception",
        httpx="raise Exception",
        starlake_core="raise Exception",
    )
    (source / "common" / "data.yml").write_text("a: 1\n")


def test_files_come_with_the_modules_that_they_import_and_go_with_them(source: Path, target: Path) -> None:
    with_modules(source)
    (target / ".airflowignore").write_text("# mine\nnot_a_dag\n")
    (target / "other.py").write_text(dag("other"))
    before = tree(target)
    written = deploy([source / "daily.py", source / "hourly.py"], target)
    assert written[:2] == [target / "daily.py", target / "hourly.py"]
    brought = {"helpers.py", "common/__init__.py", "common/deep/__init__.py", "common/deep/er.py", "common/data.yml"}
    assert {file.relative_to(target).as_posix() for file in written[2:]} == brought
    now = tree(target)
    assert now.keys() == before.keys() | brought | {"daily.py", "hourly.py"}
    assert {name: now[name] for name in brought | {"daily.py"}} == {
        name: (source / name).read_text() for name in brought | {"daily.py"}
    }
    text = now[".airflowignore"]
    assert text.startswith(before[".airflowignore"])
    assert dag_ignore.own_names(text) == ("common", "helpers.py")
    ignored = [(PurePosixPath("."), text)]
    hidden = dag_ignore.hidden_by(
        [PurePosixPath(n) for n in ("helpers.py", "common/deep/er.py", "daily.py", "sub/helpers.py")], ignored
    )
    assert set(hidden) == {"helpers.py", "er.py"}

    assert deploy([source / "daily.py"], target)[0] == target / "daily.py"
    assert tree(target) == now

    assert target / "daily.py" in delete([Path("elsewhere/daily.py")], target)
    left = tree(target)
    assert left.keys() == now.keys() - {"daily.py", "helpers.py"}
    assert dag_ignore.own_names(left[".airflowignore"]) == ("common",)

    assert delete([source / "hourly.py", source / "daily.py"], target)[0] == target / "hourly.py"
    assert tree(target) == before
    assert not (target / "common").exists()
    with pytest.raises(NothingFoundError, match=r"none of hourly\.py is in"):
        delete([source / "hourly.py"], target)


@once_on_airflow
@pytest.mark.usefixtures("checks_fork")
def test_a_module_that_another_file_may_import_stays(source: Path, target: Path) -> None:
    write(source, daily=dag("daily", "import helpers"), helpers="")
    deploy([source / "daily.py"], target)
    (target / "broken.py").write_text("import helpers\nthis is no Python")
    assert delete([source / "daily.py"], target) == [target / "daily.py"]
    assert (target / "helpers.py").exists()


@once_on_airflow
@pytest.mark.usefixtures("checks_fork")
def test_what_a_package_lost_goes_with_the_next_deployment(source: Path, target: Path) -> None:
    write(source, daily=dag("daily", "import common"), common__in____init__="", common__in__old="")
    deploy([source / "daily.py"], target)
    (source / "common" / "old.py").unlink()
    deploy([source / "daily.py"], target)
    assert set(tree(target)) == {"daily.py", "common/__init__.py", ".airflowignore"}


def test_files_that_do_not_load_change_nothing(source: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT", "3")
    said = {
        "missing": (dag("missing", "import nowhere"), "No module named 'nowhere'"),
        "wrong": (dag("wrong", "raise ValueError('so wrong')"), "so wrong"),
        "unclosed": ("# airflow dag\nx = (", "was never closed|SyntaxError"),
        "empty": ("# airflow dag\n", "no DAG in .*empty.py"),
        "slow": (dag("slow", "import time\ntime.sleep(20)"), "[Tt]ime-?out"),
    }
    write(source, fine=dag("fine"), **{name: text for name, (text, _) in said.items()})
    write(target, missing="what is there")
    with pytest.raises(RunError) as caught:
        deploy([source / f"{name}.py" for name in ("fine", *said)], target)
    assert {name for name, (_, words) in said.items() if re.search(words, str(caught.value))} == set(said), caught.value
    assert all(str(source / f"{name}.py") in str(caught.value) for name in said)
    assert "fine.py" not in str(caught.value)
    assert tree(target) == {"missing.py": "what is there"}


@once_on_airflow
def test_the_configuration_of_this_process_and_the_modules_of_the_real_folder_are_there(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANTED", "1")
    write(target, shared="")
    write(source, daily=dag("daily", "import os, shared\nassert os.environ['WANTED']\nprint('noise')"))
    deploy([source / "daily.py"], target)
    assert set(tree(target)) == {"daily.py", "shared.py"}


@pytest.mark.parametrize("where", [".", ".."])
def test_a_file_that_would_be_hidden_is_refused_with_the_pattern(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(target.parent / "dags"))
    folder = (target / "below") if where == ".." else target
    folder.mkdir(exist_ok=True)
    (folder / where / ".airflowignore").write_text(
        "# comment\nnothing\n" + ("dai*\n" if SYNTAX == "glob" else "dai.*\n")
    )
    write(source, daily=dag("daily"))
    with pytest.raises(RunError, match=r"the pattern 'dai\.?\*' in .*airflowignore hides it"):
        deploy([source / "daily.py"], folder)
    assert not (folder / "daily.py").exists()


def test_a_folder_below_airflows_own(source: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(target))
    write(
        source, daily=dag("daily", "try:\n    import helpers\nexcept ImportError:\n    pass"), helpers="# airflow dag"
    )
    deploy([source / "daily.py"], target / "below")
    ignored = [(PurePosixPath("below"), dag_ignore.read(target / "below"))]
    files = [PurePosixPath("below/helpers.py"), PurePosixPath("below/daily.py")]
    assert set(dag_ignore.hidden_by(files, ignored)) == {"helpers.py"}


@once_on_airflow
@pytest.mark.usefixtures("checks_fork")
def test_a_pipeline_file_may_import_another(source: Path, target: Path) -> None:
    text = dag("daily").replace("with DAG", "if __name__ != 'daily':\n  with DAG").replace("    pass", "      pass")
    write(source, daily=text, hourly=dag("hourly", "import daily"))
    deploy([source / "daily.py", source / "hourly.py"], target)
    assert set(tree(target)) == {"daily.py", "hourly.py"}
    deploy([source / "hourly.py"], target)
    assert set(tree(target)) == {"daily.py", "hourly.py"}


def test_files_in_the_way_are_refused(source: Path, target: Path) -> None:
    other = source / "other"
    write(source, daily=dag("daily", "import helpers"), helpers="x = 1", hourly=dag("hourly"))
    write(
        source,
        other__in__daily=dag("twin"),
        other__in__weekly=dag("weekly", "import helpers"),
        other__in__helpers="x = 2",
    )
    with pytest.raises(RunError, match="would have the same name"):
        deploy([source / "daily.py", other / "daily.py"], target)
    with pytest.raises(RunError, match=r"the modules .* would have the same name"):
        deploy([source / "daily.py", other / "weekly.py"], target)
    write(target, helpers="of somebody else")
    with pytest.raises(RunError, match=r"helpers\.py already exists"):
        deploy([source / "daily.py"], target)
    (target / "hourly.py").mkdir()
    with pytest.raises(RunError, match=r"hourly\.py already exists"):
        deploy([source / "hourly.py"], target)
    with pytest.raises(NothingFoundError, match="no file"):
        deploy([source / "nowhere.py"], target)
    assert tree(target) == {"helpers.py": "of somebody else"}


@once_on_airflow
@pytest.mark.usefixtures("checks_fork")
def test_a_file_that_is_in_the_folder_already_is_only_checked(target: Path) -> None:
    write(target, daily=dag("daily", "import helpers"), helpers="")
    assert deploy([target / "daily.py"], target) == [target / "daily.py"]
    assert set(tree(target)) == {"daily.py", "helpers.py"}


@once_on_airflow
@pytest.mark.usefixtures("checks_fork")
def test_the_folder_is_made_if_only_it_is_missing(source: Path, tmp_path: Path) -> None:
    write(source, daily=dag("daily", "import nowhere"))
    with pytest.raises(RunError, match="cannot load"):
        deploy([source / "daily.py"], tmp_path / "new")
    assert not (tmp_path / "new").exists()
    write(source, daily=dag("daily"))
    assert deploy([source / "daily.py"], tmp_path / "new") == [tmp_path / "new" / "daily.py"]
    with pytest.raises(RunError, match="option 'dags_folder'"):
        deploy([source / "daily.py"], tmp_path / "not" / "there")


# -- all or nothing


def failing(monkeypatch: pytest.MonkeyPatch, name: str, calls: int) -> None:
    real: Callable[..., None] = getattr(os, name)
    made = []

    def fail(*arguments: object) -> None:
        made.append(arguments)
        if len(made) == calls:
            raise OSError(28, "No space left on device")
        real(*arguments)

    monkeypatch.setattr(os, name, fail)


@pytest.mark.parametrize(
    ("name", "calls"), [("fsync", 1), ("fsync", 3), ("replace", 1), ("replace", 2), ("replace", 3), ("replace", 4)]
)
def test_a_failure_in_the_middle_brings_back_what_was_there(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch, name: str, calls: int
) -> None:
    write(target, a="old a", b="old b", gone="old gone")
    before = tree(target)
    failing(monkeypatch, name, calls)
    writes: dict[Path, Path | bytes] = {
        target / "a.py": b"new a",
        target / "new" / "er" / "c.py": b"new c",
        target / "b.py": b"new b",
    }
    with pytest.raises(OSError, match="No space"):
        file_swap.swap(writes, [target / "gone.py"])
    assert tree(target) == before
    assert not (target / "new").exists()


def test_nothing_is_left_over_and_modes_are_kept(target: Path) -> None:
    write(target, a="old a", gone="old gone")
    (target / "a.py").chmod(0o640)
    file_swap.swap({target / "a.py": b"new a", target / "b.py": b"b"}, [target / "gone.py"])
    assert tree(target) == {"a.py": "new a", "b.py": "b"}
    assert (target / "a.py").stat().st_mode & 0o777 == 0o640


def test_what_lies_aside_is_nothing_that_airflow_parses(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.utils.file import list_py_file_paths

    write(target, daily=dag("old"))
    seen: list[set[str]] = []
    real = os.replace

    def look(*arguments: Path) -> None:
        seen.append({Path(path).name for path in list_py_file_paths(str(target), safe_mode=False)} - {"example.py"})
        real(*arguments)

    monkeypatch.setattr(os, "replace", look)
    file_swap.swap({target / "daily.py": dag("new").encode(), target / "b.py": b""})
    assert len(seen) == 2
    assert all(names <= {"daily.py", "b.py"} for names in seen)


@once_on_airflow
@pytest.mark.usefixtures("checks_fork")
def test_a_deployment_that_cannot_write_says_so(source: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(source, daily=dag("daily"))
    failing(monkeypatch, "replace", 1)
    with pytest.raises(RunError, match=r"nothing was deployed to .*No space left"):
        deploy([source / "daily.py"], target)
    assert tree(target) == {}


# -- small things


def test_where_the_folder_is(tmp_path: Path) -> None:
    assert dags_folder(Options({"dags_folder": "~/dags"})) == Path.home() / "dags"
    assert dags_folder(Options({"dags_folder": None})) == Path(conf.get("core", "dags_folder"))


def test_a_file_that_the_safe_mode_passes_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "daily.py"
    file.write_text("from starlake_core import Orchestration\n")
    assert (safe_mode_problem(file) or "").endswith("Add this line: # airflow dag")
    with pytest.raises(RunError, match="# airflow dag"):
        deploy([file], tmp_path / "dags")
    monkeypatch.setenv("AIRFLOW__CORE__DAG_DISCOVERY_SAFE_MODE", "False")
    assert safe_mode_problem(file) is None
    monkeypatch.setenv("AIRFLOW__CORE__DAG_DISCOVERY_SAFE_MODE", "True")
    monkeypatch.setenv("AIRFLOW__CORE__MIGHT_CONTAIN_DAG_CALLABLE", f"{__name__}.never")
    assert f"{__name__}.never" in (safe_mode_problem(file) or "")
    monkeypatch.delenv("AIRFLOW__CORE__MIGHT_CONTAIN_DAG_CALLABLE")
    file.write_text("# Airflow DAG\n")
    assert safe_mode_problem(file) is None


def never(file_path: str, zip_file: object = None) -> bool:
    return False


def test_lines_of_the_other_syntax_are_known_and_rewritten() -> None:
    below = PurePosixPath("below")
    text = dag_ignore.with_own("mine\n", ["common", "helpers.py"], "regexp", below)
    assert "^below/helpers\\.py$" in text.splitlines()
    assert dag_ignore.own_names(text) == ("common", "helpers.py")
    text = dag_ignore.with_own(text, dag_ignore.own_names(text), "glob", below)
    assert [line for line in text.splitlines() if not line.startswith("#")] == ["mine", "/common/", "/helpers.py"]
    assert dag_ignore.with_own(text, [], "glob", below) == "mine\n"
    assert dag_ignore.with_own(dag_ignore.with_own("", ["a.py"], "glob", below), [], "glob", below) == ""


def test_modules_are_found_without_running_them(source: Path) -> None:
    with_modules(source)
    write(
        source,
        cycle_a="import cycle_b",
        cycle_b="import cycle_a\nfrom . import never\nfrom .never import more",
        names="import plain.one",
    )
    (source / "plain").mkdir()
    write(source, plain__in__one="")
    assert list(local_modules([source / "daily.py"], source)) == ["common", "helpers.py"]
    assert list(local_modules([source / "cycle_a.py"], source)) == ["cycle_a.py", "cycle_b.py"]
    assert list(local_modules([source / "names.py"], source)) == ["plain"]


def test_the_hooks_of_the_plugin_end_here() -> None:
    assert set(deploying.__all__) == {"dags_folder", "delete", "deploy", "safe_mode_problem"}
