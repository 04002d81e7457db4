"""Builds all distributions, checks them, and installs each of them alone.

Run it from the root of the repository::

    python -m tools.release FOLDER             # wheels and source distributions are left in FOLDER
    python -m tools.release FOLDER --publish   # fail if they cannot be published yet

It needs ``twine`` and ``uv``. When a distribution is installed, the others that it requires come from this build, and
everything else from the package index.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from tools import version
from tools.links import absolute

__all__ = ["build", "copy", "imports", "main", "missing", "obstacles"]


def _run(*words: object, folder: Path | None = None) -> str:
    """Run a command, and return what it printed.

    Raises:
        SystemExit: it failed; its output is the message.
    """
    vector = [*map(str, words)]
    done = subprocess.run(vector, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(vector)} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def copy(folder: Path, target: Path) -> None:
    """Copy the tracked files of a distribution, with a README whose links work on a package index.

    Args:
        folder: the folder with the ``pyproject.toml``.
        target: the folder to copy to.
    """
    names = _run("git", "ls-files", "-z", folder=folder).split("\0")
    for name in filter(None, names):
        if folder == version.ROOT and name.startswith("plugins/"):
            continue
        file = target / name
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / name, file)
    readme = target / "README.md"
    source = (folder / "README.md").relative_to(version.ROOT).as_posix()
    text = absolute(readme.read_text(encoding="utf-8"), source, f"v{version.version()}")
    readme.write_text(text, encoding="utf-8")


def build(folder: Path, target: Path) -> tuple[Path, Path]:
    """Build the source distribution of a folder, and a wheel from it, as an installation does.

    Args:
        folder: the folder with the ``pyproject.toml``.
        target: an empty folder for the two files.

    Returns:
        The source distribution and the wheel.
    """
    with tempfile.TemporaryDirectory() as place:
        copy(folder, Path(place))
        _run("uv", "build", "--quiet", "--out-dir", target, place)
    (source,) = target.glob("*.tar.gz")
    (wheel,) = target.glob("*.whl")
    return source, wheel


def missing(source: Path, wheel: Path) -> list[str]:
    """Return what is missing in the two files of a distribution."""
    with tarfile.open(source) as archive:
        in_source = [name.partition("/")[2] for name in archive.getnames()]
    with zipfile.ZipFile(wheel) as archive_of_wheel:
        in_wheel = archive_of_wheel.namelist()
    wanted = ("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "PKG-INFO")
    problems = [f"{source.name} has no {name}" for name in wanted if name not in in_source]
    if not any(name.endswith("/licenses/LICENSE") for name in in_wheel):
        problems.append(f"{wheel.name} has no LICENSE")
    if not any(name.endswith("/py.typed") for name in in_wheel):
        problems.append(f"{wheel.name} has no py.typed")
    return problems


def imports(wheel: Path) -> list[str]:
    """Return the import names of the packages in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        found = [Path(name).parent for name in archive.namelist() if name.endswith("/__init__.py")]
    tops = [folder for folder in found if folder.parent not in found]
    return sorted(".".join(folder.parts) for folder in tops if ".dist-info" not in folder.parts[0])


def _install(wheel: Path, constraints: Path, place: Path) -> str:
    """Install a wheel into a new virtual environment, import it, call it dry, and return the list of plugins."""
    _run("uv", "venv", "--quiet", "--python", sys.executable, place)
    python = place / "bin" / "python"
    _run("uv", "pip", "install", "--quiet", "--python", python, "--constraint", constraints, wheel)
    for package in imports(wheel):
        _run(python, "-W", "ignore", "-c", f"import {package}", folder=place)
    listed = _run(place / "bin" / "starlake-orchestrate", "plugins", folder=place)
    if any("loads" not in line for line in listed.splitlines()[1:] if line.strip()):
        sys.exit(f"with {wheel.name} alone a plugin does not load:\n{listed}")
    return _run(place / "bin" / "starlake-orchestrate", "plugins", "--check", folder=place)


def obstacles() -> list[str]:
    """Return the reasons why the distributions cannot be published yet."""
    found = []
    if version.ADDRESS == version.PLACEHOLDER:
        found.append("ADDRESS in tools/version.py is still a placeholder: give it the address of the repository")
    for folder in version.folders():
        file = folder / "CHANGELOG.md"
        if f"## {version.version()} (unreleased)" in file.read_text(encoding="utf-8"):
            found.append(f"{file.relative_to(version.ROOT)} has no date: run python -m tools.version --released DATE")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, check and install everything.

    Args:
        arguments: the command-line arguments; those of this process by default.
    """
    parser = argparse.ArgumentParser(prog="python -m tools.release", description="Build and check all distributions.")
    parser.add_argument("folder", type=Path, help="where wheels and source distributions are left")
    parser.add_argument("--publish", action="store_true", help="fail if something stands in the way of publishing")
    given = parser.parse_args(arguments)
    in_the_way = obstacles()
    if given.publish and in_the_way:
        sys.exit("\n".join(in_the_way))
    if version.main([]):
        return 1
    built = given.folder.resolve()
    if built.exists() and any(built.iterdir()):
        parser.error(f"{built} is not empty")
    wheels = []
    for number, folder in enumerate(version.folders()):
        place = built / f".{number}"
        source, wheel = build(folder, place)
        problems = missing(source, wheel)
        if problems:
            sys.exit("\n".join(problems))
        source.rename(built / source.name)
        wheels.append(wheel.rename(built / wheel.name))
        for rest in place.iterdir():
            rest.unlink()
        place.rmdir()
        print(f"built {wheel.name} and {source.name}", flush=True)
    _run(sys.executable, "-m", "twine", "check", "--strict", *sorted(built.iterdir()))
    environments = built.with_name(f"{built.name}-environments")
    environments.mkdir()
    constraints = environments / "constraints.txt"
    lines = [f"{wheel.name.partition('-')[0].replace('_', '-')} @ {wheel.as_uri()}\n" for wheel in wheels]
    constraints.write_text("".join(lines), encoding="utf-8")
    for wheel in wheels:
        listed = _install(wheel, constraints, environments / wheel.name.partition("-")[0])
        print(f"installed {wheel.name} alone\n{listed}", flush=True)
    for line in in_the_way:
        print(f"not to be published yet: {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
