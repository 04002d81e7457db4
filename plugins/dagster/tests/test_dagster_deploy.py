"""Bringing files into Dagster's workspace and taking them out: loaded by Dagster before, all or nothing, and nothing else is touched."""

from __future__ import annotations

import ast
import os
import runpy
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from dagster_runs import draw, repository
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlake_core_dagster import deploying
from starlake_core_dagster.deploying import MODULE
from starlake_core_dagster.places import Place, place_of

from starlake_core import NothingFoundError, Options, RunError, StarlakeError
from starlake_core import file_transaction as file_swap
from starlake_core.dsl.orchestration import Overrides, overriding

PIPELINE = """\
from starlake_core import Orchestration

with Orchestration({{"sl_env_var": {{"SL_ROOT": "/"}}}}) as orchestration:
    with orchestration.sl_create_pipeline(name="{name}", cron="0 0 * * *") as pipeline:
        pipeline.sl_load("load_{table}", "sales", "{table}")
"""
LINES = [
    "- python_file:",
    "    relative_path: starlake_definitions.py",
    "    location_name: starlake",
]
ENTRY = "".join(f"  {line}\n" for line in LINES)


def deploy(files: list[Path], workspace: Path) -> list[Path]:
    return deploying.deploy(files, Place.of_workspace(workspace))


def delete(files: list[Path], workspace: Path) -> list[Path]:
    return deploying.delete(files, Place.of_workspace(workspace))


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SL_EXECUTION_ENVIRONMENT", "shell")
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return tmp_path / "dagster" / "workspace.yaml"


def write(folder: Path, name: str, table: str = "orders", pipeline: str = "") -> Path:
    file = folder / f"{name}.py"
    file.write_text(PIPELINE.format(name=pipeline or name, table=table))
    return file


def listed(workspace: Path) -> list[str]:
    tree = ast.parse((workspace.parent / MODULE).read_text())
    (found,) = (ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign) and _names(node))
    return list(found)


def _names(node: ast.Assign) -> bool:
    return [getattr(target, "id", "") for target in node.targets] == ["FILES"]


def jobs(workspace: Path) -> set[str]:
    """The jobs that Dagster finds when it runs the module."""
    defs = runpy.run_path(str(workspace.parent / MODULE))["defs"]
    return {job.name for job in repository(defs).get_all_jobs()} - {"__ASSET_JOB"}


def tree(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    }


# -- from nothing to nothing


def test_a_workspace_is_made_where_there_is_none(source: Path, workspace: Path) -> None:
    daily, hourly = write(source, "daily"), write(source, "hourly", "people")
    before = tree(source)
    assert deploy([hourly, daily], workspace) == [workspace.parent / MODULE, workspace]
    assert workspace.read_text() == f"load_from:\n{ENTRY}"
    assert listed(workspace) == ["../project/daily.py", "../project/hourly.py"]
    assert jobs(workspace) == {"daily", "hourly"}
    assert tree(source) == before
    assert tree(workspace.parent).keys() == {MODULE, "workspace.yaml"}


def test_files_are_added_and_taken_out_one_by_one(source: Path, workspace: Path) -> None:
    daily, hourly = write(source, "daily"), write(source, "hourly", "people")
    deploy([daily], workspace)
    first = tree(workspace.parent)
    # Twice is once.
    assert deploy([daily], workspace) == [workspace.parent / MODULE]
    assert tree(workspace.parent) == first
    assert deploy([hourly, daily], workspace) == [workspace.parent / MODULE]
    assert jobs(workspace) == {"daily", "hourly"}

    assert delete([hourly], workspace) == [workspace.parent / MODULE]
    assert tree(workspace.parent) == first
    delete([daily], workspace)
    assert (listed(workspace), jobs(workspace)) == ([], set())
    assert workspace.read_text() == f"load_from:\n{ENTRY}"
    with pytest.raises(NothingFoundError, match=r"not deployed in .*workspace.yaml: .*daily\.py \(deployed: nothing\)"):
        delete([daily], workspace)
    deploy([daily], workspace)
    assert tree(workspace.parent) == first


def test_only_what_is_deployed_is_taken_out_and_all_of_it_or_nothing(source: Path, workspace: Path) -> None:
    daily, hourly = write(source, "daily"), write(source, "hourly", "people")
    with pytest.raises(NothingFoundError, match=r"there is no workspace in .*dagster; set the option 'workspace'"):
        delete([daily], workspace)
    deploy([daily], workspace)
    before = tree(workspace.parent)
    with pytest.raises(
        NothingFoundError, match=r"not deployed in .*: \.\./project/hourly\.py \(deployed: .*daily\.py\)"
    ):
        delete([daily, hourly], workspace)
    assert tree(workspace.parent) == before


def test_the_workspace_is_in_the_working_directory_unless_the_option_names_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for asked, expected in [(None, "workspace.yaml"), ("there/w.yaml", "there/w.yaml"), ("~/w.yaml", "home/w.yaml")]:
        assert place_of(Options({"workspace": asked})).workspace == tmp_path / expected


PROJECTS = {
    "pyproject": (
        "pyproject.toml",
        '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "shop"\n',
        "src/shop/defs",
    ),
    "dg.toml": ("dg.toml", 'directory_type = "project"\n[project]\nroot_module = "shop"\n', "shop/defs"),
    "own module": (
        "pyproject.toml",
        '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "shop"\ndefs_module = "shop.all.here"\n',
        "src/shop/all/here",
    ),
}


@pytest.mark.parametrize(("file", "text", "defs"), PROJECTS.values(), ids=PROJECTS)
def test_in_a_project_of_dg_the_files_are_listed_where_it_looks_for_definitions(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, text: str, defs: str
) -> None:
    root, options = tmp_path / "dg", Options({"workspace": None})
    folder = root / defs
    folder.mkdir(parents=True)
    (root / file).write_text(text)
    (root / "docs").mkdir()
    monkeypatch.chdir(root / "docs")
    daily, hourly = write(source, "daily"), write(source, "hourly", "people")
    assert place_of(options) == Place(folder)
    assert deploying.deploy([daily], place_of(options)) == [folder / MODULE]
    deploying.deploy([hourly], place_of(options))
    assert tree(root).keys() == {file, f"{defs}/{MODULE}"}
    assert jobs(folder / "x") == {"daily", "hourly"}
    deploying.delete([daily], place_of(options))
    assert jobs(folder / "x") == {"hourly"}
    with pytest.raises(NothingFoundError, match=rf"not deployed in {folder}: .*daily\.py"):
        deploying.delete([daily], place_of(options))
    assert place_of(Options({"workspace": "w.yaml"})).workspace == root / "docs" / "w.yaml"


needs_components = pytest.mark.skipif(find_spec("dagster.components") is None, reason="Dagster 1.11 has components")


@needs_components
def test_a_project_is_deployed_as_a_component_and_taken_out_again(tmp_path: Path) -> None:
    project, place = tmp_path / "My-Bakery", Place(tmp_path / "defs")
    place.folder.mkdir()
    project.mkdir()
    pipelines = [draw(lambda p: p.sl_load("x", "d", "x")).native]
    file = place.folder / "my_bakery" / "defs.yaml"
    with pytest.raises(NothingFoundError, match=f"not deployed in .*: there is no {file}"):
        deploying.delete_project(project, place)
    with overriding(Overrides("dagster", "shell", {"parallelism": 2})):
        for _again in range(2):
            assert deploying.deploy_project(project, pipelines, place) == [file]
    assert yaml.safe_load(file.read_text())["attributes"] == {
        "project": "../../My-Bakery",
        "environment": "shell",
        "options": {"parallelism": 2},
    }
    written = file.read_text()
    for more in ("  by: domain\n", "\npost_processing:\n  assets: []\n", "---\ntype: x\n", "  project: elsewhere\n"):
        file.write_text(written + more)
        with pytest.raises(RunError, match="says more than deploy writes, or something else"):
            deploying.delete_project(project, place)
    file.write_text(written)
    (file.parent / "mine.py").touch()
    assert deploying.delete_project(project, place) == [file]
    assert [one.name for one in file.parent.iterdir()] == ["mine.py"]
    (file.parent / "mine.py").unlink()
    file.write_text(written)
    deploying.delete_project(project, place)
    assert not file.parent.exists()
    assert deploying.delete_project(project, Place.of_workspace(tmp_path / "workspace.yaml")) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '[tool.dg]\ndirectory_type = "project"\n',
            r"is a project of dg, and the folder of its module dg\.defs is neither .*src/dg/defs nor",
        ),
        (
            '[tool.dg]\ndirectory_type = "workspace"\n',
            "is a workspace of dg, .* change to the folder of one of its projects",
        ),
        ("[tool.dg\n", r"pyproject\.toml cannot be read: "),
    ],
)
def test_a_project_of_dg_without_a_place_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    (tmp_path / "dg").mkdir()
    (tmp_path / "dg" / "pyproject.toml").write_text(text)
    monkeypatch.chdir(tmp_path / "dg")
    with pytest.raises(RunError, match=said):
        place_of(Options({"workspace": None}))


def test_another_project_of_python_is_none_of_dg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n[tool]\ndg = 1\n')
    monkeypatch.chdir(tmp_path)
    assert place_of(Options({"workspace": None})).workspace == tmp_path / "workspace.yaml"


def test_a_link_to_a_workspace_stays_a_link(source: Path, workspace: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared.yaml"
    shared.write_text("load_from:\n  - python_file: a.py\n")
    workspace.parent.mkdir()
    workspace.symlink_to(shared)
    deploy([write(source, "daily")], workspace)
    assert workspace.is_symlink()
    assert shared.read_text() == f"load_from:\n{ENTRY}  - python_file: a.py\n"
    assert jobs(workspace) == {"daily"}


# -- a workspace that is there

KEPT = [
    "# mine\nload_from:\n  - python_file: a.py  # first\n  # second\n  - python_module: b\n\nother: {x: 1}  # kept\n",
    "load_from:\n- python_file: a.py\n- python_module: b\n",
    "load_from:\n    - python_file:\n        relative_path: a.py\n        location_name: a\n",
    "load_from:   # a comment\n\n  # another one\n  - python_file: a.py",
    "load_from:\n  -\n    python_file: a.py\n",
    "load_from:\n  -   python_file: a.py\n",
    "---\nload_from:\n  - grpc_server: {host: localhost, port: 4266}\n...\n",
    "load_from:\r\n  - python_file: a.py\r\n# end\r\n",
    "\ufeffload_from:\n  - python_file: a.py\n",
    "base: &base\n  python_file: a.py\nload_from:\n  - *base\n",
    "note: |\n  load_from:\n  - x\nload_from:\n  - python_file: é.py\n",
    "# load_from:\n#   - python_file: x.py\nload_from:\n  - python_file: a.py\n",
    "load_from:\nother: 1\n",
    "load_from:  # none yet\n  # - python_file: a.py\n",
    "other: 1",
    "# nothing yet",
    "",
]


@pytest.mark.parametrize("text", KEPT, ids=repr)
def test_what_is_there_keeps_every_byte(source: Path, workspace: Path, text: str) -> None:
    workspace.parent.mkdir()
    workspace.write_bytes(text.encode())
    deploy([write(source, "daily")], workspace)
    after = workspace.read_bytes().decode()
    new = [line for line in after.splitlines(keepends=True) if line.strip() in {line.strip() for line in LINES}]
    assert [line.strip() for line in new[:3]] == [line.strip() for line in LINES]
    rest = after.replace("".join(new[:3]), "", 1)
    assert rest.removesuffix("load_from:\n").rstrip("\n") == text.rstrip("\n")
    before, now = (yaml.safe_load(one.removeprefix("\ufeff")) or {} for one in (text, after))
    ours = {"python_file": {"relative_path": MODULE, "location_name": "starlake"}}
    assert now == {**before, "load_from": [ours, *(before.get("load_from") or [])]}
    assert ("\r\n" in text) == ("\n" not in after.replace("\r\n", ""))
    # It is found again.
    deploy([source / "daily.py"], workspace)
    assert workspace.read_bytes().decode() == after


@pytest.mark.parametrize(
    "text", ["load_from: []\n", "load_from: [ ] # none\nother: 1\n", "load_from: null", "load_from: ~\n"]
)
def test_an_empty_list_is_filled(source: Path, workspace: Path, text: str) -> None:
    workspace.parent.mkdir()
    workspace.write_text(text)
    deploy([write(source, "daily")], workspace)
    after = workspace.read_text()
    assert yaml.safe_load(after)["load_from"] == [yaml.safe_load(ENTRY)[0]]
    assert ("# none" in after, "other: 1\n" in after) == ("# none" in text, "other" in text)


def test_an_entry_of_ours_in_another_form_counts(source: Path, workspace: Path) -> None:
    workspace.parent.mkdir()
    for entry in (MODULE, f"./{MODULE}", f"{{relative_path: ./{MODULE}}}"):
        text = f"load_from:\n  - python_file: {entry}\n"
        workspace.write_text(text)
        deploy([write(source, "daily")], workspace)
        assert workspace.read_text() == text


@pytest.mark.parametrize(
    "entry", ["python_module: starlake", "python_file: {relative_path: a.py, location_name: starlake}"]
)
def test_a_location_of_the_same_name_is_not_hidden(source: Path, workspace: Path, entry: str) -> None:
    """Dagster would load the last of the two without a word."""
    workspace.parent.mkdir()
    workspace.write_text(f"load_from:\n  - {entry}\n")
    deploy([write(source, "daily")], workspace)
    assert yaml.safe_load(workspace.read_text())["load_from"][0]["python_file"]["location_name"] == "starlake_2"


REFUSED = [
    ("load_from: [{python_file: a.py}]\n", "has a form that cannot be edited; add this under load_from:"),
    ("load_from: [\n  {python_file: a.py}\n]\n", "cannot be edited"),
    ('"load_from":\n  - python_file: a.py\n', "cannot be edited"),
    ('{"load_from": [{"python_file": "a.py"}]}\n', "cannot be edited"),
    ("load_from: &all\n  - python_file: a.py\nother: *all\n", "cannot be edited"),
    ("load_from:\n  - python_file: a.py\nload_from:\n  - python_file: b.py\n", "cannot be edited"),
    ("load_from:\n\t- python_file: a.py\n", "is not valid YAML"),
    ("load_from:\n  - a\n---\nother: 1\n", "is not valid YAML"),
    ("load_from: a.py\n", "is not a Dagster workspace"),
    ("- python_file: a.py\n", "is not a Dagster workspace"),
]


@pytest.mark.parametrize(("text", "said"), REFUSED, ids=lambda value: repr(value)[:40])
def test_a_workspace_in_a_strange_form_is_refused_with_what_to_write(
    source: Path, workspace: Path, text: str, said: str
) -> None:
    workspace.parent.mkdir()
    workspace.write_text(text)
    with pytest.raises(RunError) as refused:
        deploy([write(source, "daily")], workspace)
    assert said in str(refused.value)
    if "cannot be edited" in said:
        assert str(refused.value).endswith(ENTRY)
    assert tree(workspace.parent) == {"workspace.yaml": text.encode()}


def test_a_workspace_that_cannot_be_read_is_refused(source: Path, workspace: Path) -> None:
    workspace.parent.mkdir()
    workspace.write_bytes(b"load_from: \xff\n")
    with pytest.raises(RunError, match=r"workspace\.yaml cannot be read: 'utf-8' codec"):
        deploy([write(source, "daily")], workspace)
    workspace.unlink()
    workspace.mkdir()
    with pytest.raises(RunError, match=r"workspace\.yaml cannot be read: .*Is a directory"):
        deploy([source / "daily.py"], workspace)


PARTS = st.sampled_from(
    [
        "load_from:",
        "load_from: []",
        "  - python_file: a.py",
        "- python_module: b",
        "# c",
        "",
        "x: 1",
        "  y: [",
        "---",
        "    z: |",
    ]
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(PARTS, max_size=6), end=st.sampled_from(["\n", "\r\n"]), last=st.booleans())
def test_no_workspace_is_ever_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str], end: str, last: bool
) -> None:
    monkeypatch.setattr(deploying, "_check", lambda files, folder: None)  # what is tested here is the text alone
    monkeypatch.setattr(file_swap.os, "fsync", lambda handle: None)
    workspace = tmp_path / "workspace.yaml"
    text = (end.join(lines) + (end if last else "")).encode()
    workspace.write_bytes(text)
    try:
        deploy([tmp_path / "daily.py"], workspace)
    except RunError:
        assert workspace.read_bytes() == text
        return
    before, after = yaml.safe_load(text) or {}, yaml.safe_load(workspace.read_bytes())
    assert after.pop("load_from") == [yaml.safe_load(ENTRY)[0], *(before.pop("load_from", None) or [])]
    assert after == before


# -- what does not load changes nothing


def test_files_that_do_not_load_together_change_nothing(source: Path, workspace: Path) -> None:
    daily = write(source, "daily")
    # A folder that was made for it goes, too.
    broken = source / "broken.py"
    broken.write_text("raise ValueError('so wrong')\n")
    with pytest.raises(StarlakeError, match=r"broken\.py, line 1: ValueError: so wrong"):
        deploy([daily, broken], workspace)
    assert not workspace.parent.exists()

    deploy([daily], workspace)
    before = tree(workspace.parent)
    twin, alike, empty = (
        write(source, "twin", pipeline="daily"),
        write(source, "alike", "t", "d.x"),
        source / "empty.py",
    )
    other = write(source, "other", "u", "d-x")
    empty.write_text("")
    for files, said in [
        ([twin], "the pipeline id 'daily' is taken by daily.py"),
        ([broken], "so wrong"),
        ([source / "nowhere.py"], r"nowhere\.py of .*starlake_definitions\.py no longer exists"),
        ([alike, other], "have the same name in Dagster"),
    ]:
        with pytest.raises(StarlakeError, match=said):
            deploy(files, workspace)
        assert tree(workspace.parent) == before
    # Where another file has pipelines, one without is not in the way.
    deploy([empty], workspace)
    assert jobs(workspace) == {"daily"}


def test_a_listed_file_that_is_gone_is_named_and_can_be_taken_out(source: Path, workspace: Path) -> None:
    daily, hourly = write(source, "daily"), write(source, "hourly", "people")
    deploy([daily, hourly], workspace)
    daily.unlink()
    before = tree(workspace.parent)
    with pytest.raises(
        RunError, match=r"^\.\./project/daily\.py of .* no longer exists; remove it with: starlake-orchestrate delete"
    ):
        deploy([hourly], workspace)
    assert tree(workspace.parent) == before
    delete([daily], workspace)
    assert jobs(workspace) == {"hourly"}


@pytest.mark.parametrize(
    "text", ["FILES = [", "files = []\n", "FILES = 5\n", "FILES = other()\n", "FILES = []\nFILES = []\n"]
)
def test_a_module_without_a_list_that_can_be_read_is_left_alone(source: Path, workspace: Path, text: str) -> None:
    workspace.parent.mkdir()
    (workspace.parent / MODULE).write_text(text)
    daily = write(source, "daily")
    for act in (deploy, delete):
        with pytest.raises(
            RunError, match=r"has no list FILES of file names that can be read .*; deploy writes this file"
        ):
            act([daily], workspace)
    assert tree(workspace.parent) == {MODULE: text.encode()}


def test_a_failure_in_the_middle_brings_back_what_was_there(
    source: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.parent.mkdir()
    workspace.write_text("load_from:\n  - python_file: a.py\n")
    daily, replace, times = write(source, "daily"), os.replace, []

    def full(old: Path, new: Path) -> None:
        times.append(new)
        if len(times) == 2:
            raise OSError(28, "No space left on device")
        replace(old, new)

    before = tree(workspace.parent)
    monkeypatch.setattr(file_swap.os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        deploy([daily], workspace)
    assert tree(workspace.parent) == before


def test_names_of_files_are_kept_as_they_are(source: Path, workspace: Path) -> None:
    odd = source / "a 'quoted' \"näme\"\\.py"
    odd.write_text(PIPELINE.format(name="odd", table="orders"))
    deploy([odd], workspace)
    assert listed(workspace) == [f"../project/{odd.name}"]
    assert jobs(workspace) == {"odd"}
    delete([odd], workspace)
    assert listed(workspace) == []


# -- in processes of their own

DEPLOY = """\
import sys
from importlib.util import find_spec
from pathlib import Path
from starlake_core_dagster.deploying import deploy
from starlake_core_dagster.places import Place
deploy([Path(sys.argv[1])], Place.of_workspace(Path(sys.argv[2])))
"""


def test_two_deployments_at_once_are_both_there_and_dagster_loads_them(source: Path, workspace: Path) -> None:
    files = [write(source, name, name) for name in ("daily", "hourly")]
    workspace.parent.mkdir()
    at_once = [subprocess.Popen([sys.executable, "-c", DEPLOY, str(file), str(workspace)]) for file in files]
    assert [one.wait(120) for one in at_once] == [0, 0]
    assert listed(workspace) == ["../project/daily.py", "../project/hourly.py"]
    assert workspace.read_text() == f"load_from:\n{ENTRY}"
    assert jobs(workspace) == {"daily", "hourly"}


def test_what_the_command_line_says_is_kept_with_the_files(source: Path, workspace: Path) -> None:
    """A location is loaded without a command line."""
    file = write(source, "daily")
    asked = Overrides(environment="shell", options={"parallelism": "3"})
    with overriding(asked):
        deploy([file], workspace)
    text = (workspace.parent / MODULE).read_text(encoding="utf-8")
    assert "ENVIRONMENT = 'shell'\n" in text
    assert "OPTIONS = {'parallelism': '3'}\n" in text
    deploy([file], workspace)
    assert (workspace.parent / MODULE).read_text(encoding="utf-8") == text
    assert jobs(workspace) == {"daily"}
