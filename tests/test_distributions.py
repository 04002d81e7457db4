"""What all distributions declare alike: bounds on each other, who made them, where their home is, and that they are typed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # which pytest needs there

ROOT = Path(__file__).parent.parent
FOLDERS = [ROOT, *sorted(file.parent for file in ROOT.glob("plugins/*/pyproject.toml"))]
BOUNDS = ">=0.1,<0.2"


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


@every_distribution
def test_a_distribution_says_who_made_it_and_where_its_home_is(folder: Path) -> None:
    project = DECLARED[folder]["project"]
    assert project["authors"] == [{"name": "starlake_core contributors"}]
    assert project["urls"] == {"Homepage": "https://starlake.ai"}


@every_distribution
def test_a_distribution_is_typed(folder: Path) -> None:
    assert [package for package in packages(folder) if not is_typed(package)] == []
    assert "Typing :: Typed" in DECLARED[folder]["project"]["classifiers"]


@every_distribution
def test_a_wheel_can_be_built_from_the_source_distribution(folder: Path) -> None:
    """A list of what the source distribution includes has all packages, from the root: a bare name is found in any folder."""
    included = DECLARED[folder]["tool"]["hatch"]["build"]["targets"].get("sdist", {}).get("include")
    if included is not None:
        assert [path for path in included if not path.startswith("/")] == []
        parts = [f"/{package.relative_to(folder).parts[0]}" for package in packages(folder)]
        assert set(parts) <= set(included)
