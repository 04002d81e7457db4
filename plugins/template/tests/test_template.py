"""A new plugin of each role is installed, found, called, type-checked and tested, as its author would do first."""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from breadth import ON_EVERY_VERSION
from click.testing import CliRunner

from starlake_core import Orchestration, TaskEvent, TaskState, request_run
from starlake_core.cli.app import app
from starlake_core.runtime import Verdict
from starlake_core.testing import FakeEnvironment

ROLES = ("environment", "service", "orchestrator", "addon")
QUICK = "success or test_find or hides_secrets or throttling or lost_reply or outage_is or cancel"
"""Of the template of a service, whose whole suite runs in the matrix."""
needs_tools = pytest.mark.skipif(
    importlib.util.find_spec("hatchling") is None or importlib.util.find_spec("pip") is None,
    reason="hatchling and pip are not installed",
)


def new_plugin(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["new-plugin", *map(str, arguments)])
    return done.exit_code, done.output


def typed(folder: Path, site: Path, *words: object) -> str:
    """What a command prints in a folder, with what is installed in another."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, "-m", *map(str, words)], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def mypy_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What mypy knows of the core, which all templates use."""
    return tmp_path_factory.mktemp("mypy")


@needs_tools
@pytest.mark.parametrize("role", ROLES)
def test_a_new_plugin_is_found_and_passes_at_once(role: str, tmp_path: Path, mypy_cache: Path) -> None:
    project, site = tmp_path / "project", tmp_path / "site"
    code, output = new_plugin(role, "my_cloud", "--folder", project)
    assert code == 0, output
    assert "starlake-orchestrate plugins my_cloud --check" in output
    assert "acme" not in "".join(file.read_text() for file in project.rglob("*") if file.is_file()).lower()
    options = ("-q", "--disable-pip-version-check", "--no-deps", "--no-build-isolation")
    typed(tmp_path, site, "pip", "install", *options, "--target", site, project)
    listed = typed(tmp_path, site, "starlake_core", "plugins", "my_cloud", "--check")
    assert "starlake-my-cloud" in listed
    assert "works" in listed
    quick = ("-k", QUICK) if role == "service" and not ON_EVERY_VERSION else ()
    typed(project, site, "mypy", "--cache-dir", mypy_cache)
    tested = typed(project, site, "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "-n", "2", *quick)
    assert " passed" in tested
    assert "xfailed" not in tested


def test_the_orchestrator_keeps_the_output_of_each_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert new_plugin("orchestrator", "my_times", "--folder", tmp_path / "plugin")[0] == 0
    monkeypatch.syspath_prepend(tmp_path / "plugin" / "src")
    plugin = importlib.import_module("starlake_my_times.plugin")
    fake = FakeEnvironment()
    fake.says("transform:kpi.work", "what went wrong")
    fake.script("transform:kpi.work", Verdict.FAILED)
    options = {"retries": 1, "retry_delay": 0}
    with (
        Orchestration(
            options, orchestrator=plugin, environment=fake, filename=str(tmp_path / "sales.py"), namespace={}
        ) as orchestration,
        orchestration.sl_create_pipeline(name="sales") as pipeline,
    ):
        pipeline.sl_transform("work", "kpi.work")
    events: list[TaskEvent] = []
    report = pipeline.start_run(request_run(pipeline, listener=events.append))
    task = report.task("work")
    assert (Path(task.log).read_text(), task.attempts) == ("what went wrong\n", 2)
    assert task.log.endswith(".2.log")
    assert report.started is not None
    assert report.ended is not None
    assert task.started is not None
    assert report.started <= task.started <= report.ended
    assert task.duration > 0
    changes = [(event.state, event.attempt) for event in events if event.line is None]
    assert changes == [(TaskState.RUNNING, 1), (TaskState.RUNNING, 2), (TaskState.FAILED, 2)]
    assert events[-1].log == task.log


def test_the_files_are_those_of_a_project(tmp_path: Path) -> None:
    for role in ROLES:
        assert new_plugin(role, "x", "--folder", tmp_path / role)[0] == 0
        found = {str(file.relative_to(tmp_path / role)) for file in (tmp_path / role).rglob("*") if file.is_file()}
        assert found >= {"README.md", "pyproject.toml", "src/starlake_x/plugin.py", "src/starlake_x/py.typed"}
        assert 'needs_hooks = "1.0"' in (tmp_path / role / "src" / "starlake_x" / "plugin.py").read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("environment", "My-Cloud"), "'My-Cloud' is not a name for a plugin"),
        (("addon", "template"), "already has add-on 'template'"),
        (("environment", "x", "--template", "nothing"), "no add-on 'nothing' (installed: template)"),
        (("envronment", "x"), "'envronment' is not one of"),
    ],
)
def test_what_cannot_be_written_is_refused(arguments: tuple[str, ...], told: str, tmp_path: Path) -> None:
    code, output = new_plugin(*arguments, "--folder", tmp_path / "new")
    assert code != 0
    assert told in output
    assert not (tmp_path / "new").exists()


def test_a_folder_with_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    code, output = new_plugin("environment", "x", "--folder", tmp_path)
    assert code == 1
    assert "is not an empty folder" in output
    assert [file.name for file in tmp_path.iterdir()] == ["mine"]
