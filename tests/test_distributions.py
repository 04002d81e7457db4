"""What all distributions declare alike: their version, bounds on each other, who made them, where their home is, and that they are typed."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from tools import version

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # which pytest needs there

ROOT = Path(__file__).parent.parent
FOLDERS = version.folders()
BOUNDS = version.bounds(version.version())
CLASSIFIERS = {
    "Development Status :: 4 - Beta",
    "Intended Audience :: Developers",
    "Operating System :: POSIX",
    "Programming Language :: Python :: 3",
    *(f"Programming Language :: Python :: 3.{minor}" for minor in range(10, 14)),
    "Typing :: Typed",
}


def read(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


DECLARED = {folder: read(folder) for folder in FOLDERS}
OURS = {declared["project"]["name"] for declared in DECLARED.values()}
every_distribution = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: DECLARED[folder]["project"]["name"])


def requirements(project: dict[str, Any]) -> list[Requirement]:
    extras = project.get("optional-dependencies", {}).values()
    return [Requirement(text) for text in [*project["dependencies"], *(text for extra in extras for text in extra)]]


def packages(folder: Path) -> list[Path]:
    return [folder / path for path in DECLARED[folder]["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]]


def is_typed(package: Path) -> bool:
    """Whether checkers of types take a package for typed; in a namespace, what is below it has to say so."""
    if (package / "py.typed").is_file() or (package / "__init__.py").is_file():
        return (package / "py.typed").is_file()
    below = [folder for folder in package.iterdir() if folder.is_dir() and any(folder.rglob("*.py"))]
    return bool(below) and all(map(is_typed, below))


@every_distribution
def test_what_is_ours_is_needed_within_the_same_bounds(folder: Path) -> None:
    project = DECLARED[folder]["project"]
    needed = [requirement for requirement in requirements(project) if requirement.name in OURS]
    assert [str(found) for found in needed if found.specifier != Requirement(f"x{BOUNDS}").specifier] == []
    assert Requirement(f"x{BOUNDS}").specifier.contains(project["version"])
    assert folder == ROOT or "starlake-core" in {found.name for found in needed}


def test_every_file_says_what_the_one_place_says() -> None:
    different = [file for file, text in version.expected(version.version()) if text != file.read_text(encoding="utf-8")]
    assert different == []


def test_another_version_is_written_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in FOLDERS:
        copy = tmp_path / folder.relative_to(ROOT)
        copy.mkdir(parents=True, exist_ok=True)
        for name in ("pyproject.toml", "CHANGELOG.md"):
            shutil.copy(folder / name, copy)
    monkeypatch.setattr(version, "ROOT", tmp_path)
    assert version.main(["7.3.1"]) == 0
    assert version.main([]) == 0
    for folder in version.folders():
        project = read(folder)["project"]
        assert project["version"] == "7.3.1"
        assert {str(found.specifier) for found in requirements(project) if found.name in OURS} <= {"<8,>=7.3"}
        assert (folder / "CHANGELOG.md").read_text(encoding="utf-8").count("\n## 7.3.1 (unreleased)\n") == 1
    assert version.main(["--released", "2026-11-29"]) == 0
    assert "\n## 7.3.1 (2026-11-29)\n" in (tmp_path / "plugins" / "shell" / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["7.3"], "'7.3' is not a version; use MAJOR.MINOR.PATCH"),
        (["--released", "today"], "'today' is not a date; use YYYY-MM-DD"),
    ],
)
def test_what_is_no_version_is_refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        version.main(arguments)
    assert message in capsys.readouterr().err


@every_distribution
def test_the_metadata_is_complete(folder: Path) -> None:
    project = DECLARED[folder]["project"]
    assert project["authors"] == [{"name": "starlake_core contributors"}]
    assert project["urls"] == version.links(folder)
    assert project["requires-python"] == ">=3.10"
    assert project["keywords"][0] == "starlake"
    assert set(project["classifiers"]) >= CLASSIFIERS
    assert project["classifiers"] == sorted(project["classifiers"])
    title = (folder / project["readme"]).read_text(encoding="utf-8").partition("\n")[0]
    assert title == f"# {'starlake_core' if folder == ROOT else project['name']}"
    assert project["license"] == "Apache-2.0"
    assert project["license-files"] == ["LICENSE"]
    assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


@every_distribution
def test_a_distribution_is_typed(folder: Path) -> None:
    assert [package for package in packages(folder) if not is_typed(package)] == []


@every_distribution
def test_a_wheel_can_be_built_from_the_source_distribution(folder: Path) -> None:
    """A list of what the source distribution includes has all packages, from the root: a bare name is found in any folder."""
    included = DECLARED[folder]["tool"]["hatch"]["build"]["targets"].get("sdist", {}).get("include")
    if included is not None:
        assert [path for path in included if not path.startswith("/")] == []
        parts = [f"/{package.relative_to(folder).parts[0]}" for package in packages(folder)]
        assert set(parts) <= set(included)
