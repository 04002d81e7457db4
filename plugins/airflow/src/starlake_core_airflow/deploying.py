"""Copies pipeline files to the folder that Airflow loads, and removes them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from starlake_core import NothingFoundError, Options, RunError
from starlake_core.file_transaction import locked, swap

from . import dag_ignore
from .dag_check import parse
from .dag_modules import is_python, local_modules, module_files, names_any
from .options import AirflowOptions

__all__ = ["dags_folder", "delete", "deploy", "safe_mode_problem"]


def dags_folder(options: Options) -> Path:
    """The folder from which Airflow loads its DAGs.

    Args:
        options: the options of the pipeline; ``dags_folder`` overrides Airflow's configuration.
    """
    return Path(options[AirflowOptions].dags_folder or _conf("dags_folder")).expanduser()


def safe_mode_problem(file: Path) -> str | None:
    """What to do about a file that Airflow's safe mode would silently skip; None if it would not.

    Args:
        file: a pipeline file.
    """
    from airflow.configuration import conf
    from airflow.utils.file import might_contain_dag

    safe_mode = conf.getboolean("core", "dag_discovery_safe_mode", fallback=True)
    if might_contain_dag(str(file), safe_mode):
        return None
    heuristic = conf.get("core", "might_contain_dag_callable", fallback="") or ""
    if heuristic and not heuristic.endswith(".might_contain_dag_via_default_heuristic"):
        return (
            f"Airflow silently skips {file}: the function {heuristic} (core.might_contain_dag_callable) says that it "
            "contains no DAG. Change the file or the function"
        )
    return (
        f"Airflow silently skips {file}: its safe mode loads only files with both 'dag' and 'airflow' in their text. "
        "Add this line: # airflow dag"
    )


def _conf(key: str) -> str:
    from airflow.configuration import conf

    return str(conf.get("core", key))


# -- where


@dataclass(frozen=True)
class _Place:
    """A folder below the one that Airflow walks, or that folder itself.

    Attributes:
        root: the folder that Airflow walks.
        folder: the folder to which files are deployed.
    """

    root: Path
    folder: Path

    @property
    def below(self) -> PurePosixPath:
        return PurePosixPath(self.folder.relative_to(self.root).as_posix())

    def ignored(self) -> list[tuple[PurePosixPath, str]]:
        """The ``.airflowignore`` files that apply to the folder, outermost first."""
        folders = [self.root / path for path in (*reversed(self.below.parents), self.below)]
        found = {folder: dag_ignore.read(folder) for folder in folders}
        return [(PurePosixPath(f.relative_to(self.root).as_posix()), text) for f, text in found.items() if text]


def _place(folder: Path) -> _Place:
    folder = folder.expanduser().resolve()
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file; set the option 'dags_folder' to a folder")
    walked = Path(_conf("dags_folder")).expanduser().resolve()
    return _Place(walked if folder.is_relative_to(walked) else folder, folder)


# -- deploying


@dataclass(frozen=True)
class _Plan:
    """The files to write.

    Attributes:
        files: maps the name of each pipeline file to its source.
        modules: maps the name of each module or package next to them to its source.
        ignore: the text of ``.airflowignore``.
        stale: deployed files of packages that no longer exist in the source.
    """

    files: Mapping[str, Path]
    modules: Mapping[str, Path]
    ignore: str
    stale: tuple[Path, ...] = ()

    def contents(self, folder: Path) -> dict[Path, Path]:
        """Maps each file in a folder to its source: modules first, so that no pipeline file is there without them."""
        result: dict[Path, Path] = {}
        for name, path in self.modules.items():
            for file in module_files(path):
                result[folder / name / file.relative_to(path) if path.is_dir() else folder / name] = file
        return {**result, **{folder / name: path for name, path in self.files.items()}}


def deploy(files: Sequence[Path], dags_folder: Path) -> list[Path]:
    """Copy pipeline files, and the modules next to them that they import, to the folder from which Airflow loads them.

    Airflow parses them first, in another folder: nothing is written unless all of them load and contain a DAG.

    Args:
        files: pipeline files; they keep their names.
        dags_folder: the folder to copy them to.

    Returns:
        The files written.

    Raises:
        RunError: a file does not load, would be hidden, conflicts with another, or could not be written. In that case nothing
            has changed.
    """
    place = _place(dags_folder)
    sources = _sources(files)
    made = _made(place.folder)
    try:
        with locked(place.folder):
            plan = _plan(sources, place)
            _check(plan, place)
            contents = {target: source for target, source in plan.contents(place.folder).items() if target != source}
            writes: dict[Path, Path | bytes] = {}
            if plan.ignore != dag_ignore.read(place.folder):
                writes[place.folder / dag_ignore.NAME] = plan.ignore.encode()
            try:
                swap({**writes, **contents}, plan.stale)
            except OSError as error:
                raise RunError(f"nothing was deployed to {place.folder}: {error}") from error
    except BaseException:
        if made:
            with suppress(OSError):
                place.folder.rmdir()
        raise
    return [place.folder / name for name in plan.files] + [t for t in contents if t.name not in plan.files]


def _made(folder: Path) -> bool:
    """Create the folder if it is missing. Returns whether it was missing."""
    if folder.is_dir():
        return False
    try:
        folder.mkdir()
    except OSError as error:
        raise RunError(
            f"folder {folder} does not exist and cannot be created ({error.strerror}); set the option 'dags_folder' to another one"
        ) from error
    return True


def _sources(files: Sequence[Path]) -> dict[str, Path]:
    sources: dict[str, Path] = {}
    for file in files:
        path = file.resolve()
        if not path.is_file():
            raise NothingFoundError(f"there is no file {file}")
        if sources.setdefault(file.name, path) != path:
            raise RunError(
                f"{sources[file.name]} and {path} would have the same name in the DAGs folder; rename one of them"
            )
    return sources


def _plan(sources: Mapping[str, Path], place: _Place) -> _Plan:
    text = dag_ignore.read(place.folder)
    own = set(dag_ignore.own_names(text))
    modules: dict[str, Path] = {}
    for source in sources.values():
        found = local_modules([source], source.parent, (place.root, place.folder))
        for name, path in found.items():
            if sources.get(name) == path:
                continue
            if name in sources:
                raise RunError(
                    f"{source} imports {path}, which would have the same name in the DAGs folder as {sources[name]}; rename one of them"
                )
            if modules.setdefault(name, path) != path:
                raise RunError(
                    f"the modules {path} and {modules[name]} would have the same name in the DAGs folder; rename one of them"
                )
    in_place = {name for name, path in modules.items() if name not in own and _is_there(place.folder / name, path)}
    modules = {name: path for name, path in modules.items() if name not in in_place}
    for name, path in {**sources, **modules}.items():
        target = place.folder / name
        foreign = target.exists() and name in modules and name not in own
        if foreign or (target.exists() and target.is_dir() != path.is_dir()):
            raise RunError(f"{target} already exists and differs from {path}; rename or remove one of them")
    names = (own | modules.keys()) - sources.keys()
    plan = _Plan(dict(sources), modules, dag_ignore.with_own(text, names, _syntax(), place.below))
    written = plan.contents(place.folder)
    packages = [place.folder / name for name, path in modules.items() if path.is_dir()]
    stale = tuple(
        file for package in packages if package.is_dir() for file in module_files(package) if file not in written
    )
    return replace(plan, stale=stale)


def _syntax() -> str:
    from airflow.configuration import conf

    return str(conf.get("core", "dag_ignore_file_syntax", fallback="glob")).strip().lower()


def _is_there(target: Path, source: Path) -> bool:
    """Whether the same module is in the DAGs folder already, put there by someone else."""
    if not target.exists() or target.is_dir() != source.is_dir():
        return False
    if target.resolve() == source.resolve():
        return True
    ours = {file.relative_to(source): file for file in module_files(source)}
    theirs = {file.relative_to(target): file for file in module_files(target)}
    return ours.keys() == theirs.keys() and all(ours[p].read_bytes() == theirs[p].read_bytes() for p in ours)


def _check(plan: _Plan, place: _Place) -> None:
    """Refuse files that Airflow would not see or could not load."""
    problems = [problem for path in plan.files.values() if (problem := safe_mode_problem(path))]
    ignored = [(folder, text) for folder, text in place.ignored() if folder != place.below]
    if plan.ignore:
        ignored.append((place.below, plan.ignore))
    hidden = dag_ignore.hidden_by([place.below / name for name in plan.files], ignored)
    problems += [
        f"Airflow would ignore {place.folder / name}: the pattern {pattern} hides it. Remove the pattern or rename the file"
        for name, pattern in hidden.items()
    ]
    if problems:
        raise RunError("\n".join(problems))
    with tempfile.TemporaryDirectory(prefix="starlake-deploy-") as temporary:
        root = Path(temporary).resolve()
        folder = root / place.below
        folder.mkdir(parents=True, exist_ok=True)
        (folder / dag_ignore.NAME).write_text(plan.ignore, encoding="utf-8")
        for target, source in plan.contents(folder).items():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        parsed = parse(root, place.root)
        for name, path in plan.files.items():
            staged = str(folder / name)
            if staged in parsed.errors:
                told = parsed.errors[staged].strip().replace(str(folder), str(place.folder))
                problems.append(f"Airflow cannot load {path}:\n{told}")
            elif not parsed.dags.get(staged):
                problems.append(
                    f"Airflow finds no DAG in {path}. Create a pipeline in a 'with' block at the top level of the file, for the orchestrator "
                    "'airflow'"
                )
    if problems:
        raise RunError("\n".join([*problems, "Nothing was deployed"]))


# -- removing


def delete(files: Sequence[Path], dags_folder: Path) -> list[Path]:
    """Remove deployed pipeline files, and the modules that were deployed with them and that no other file imports.

    Args:
        files: pipeline files; only their names count.
        dags_folder: the folder to which they were deployed.

    Returns:
        The files removed.

    Raises:
        NothingFoundError: none of them exists there.
        RunError: they cannot be removed; in that case nothing has changed.
    """
    place = _place(dags_folder)
    folder = place.folder
    targets = list(dict.fromkeys(folder / file.name for file in files))
    there = [target for target in targets if target.is_file()]
    if not there:
        raise NothingFoundError(f"none of {', '.join(target.name for target in targets)} is in {folder}")
    with locked(folder):
        text = dag_ignore.read(folder)
        own = {name for name in dag_ignore.own_names(text) if (folder / name).exists()}
        others = [
            file
            for file in folder.rglob("*.py")
            if file not in there and file.relative_to(folder).parts[0] not in own and file.is_file()
        ]
        elsewhere = (place.root,)
        unused = own.intersection(local_modules(there, folder, elsewhere)).difference(
            local_modules(others, folder, elsewhere),
            *(names_any(file, own) for file in others if not is_python(file)),
        )
        left = [file for name in sorted(unused) for file in module_files(folder / name)]
        ignore = dag_ignore.with_own(text, own - unused, _syntax(), place.below)
        writes: dict[Path, Path | bytes] = {folder / dag_ignore.NAME: ignore.encode()} if ignore and unused else {}
        emptied = [folder / dag_ignore.NAME] if unused and not ignore else []
        try:
            swap(writes, [*there, *left, *emptied])
        except OSError as error:
            raise RunError(f"nothing was removed from {folder}: {error}") from error
        for name in unused:
            if (folder / name).is_dir():
                shutil.rmtree(folder / name, ignore_errors=True)
    return [*there, *left]
