"""Reads ``metadata/load``: domains and their tables."""

from __future__ import annotations

from pathlib import Path

from .errors import JavaPatternError, Problem, ProjectError
from .java_patterns import java_pattern
from .keys import texts
from .migration import OLD_LAYOUT
from .model import Application, Domain, Format, Metadata, Table
from .reader import Reader
from .schema import DomainFile, DomainKeys, File, MigratedDomainFile, TableFile, TableKeys
from .sections import read_metadata

__all__ = ["SUFFIX", "check_layout", "domain_names", "is_plain_name", "read_domain", "read_table"]

SUFFIX = ".sl.yml"


def is_plain_name(name: str) -> bool:
    """Return whether a name from the command line can be a file name: it is not empty, and cannot escape from the folder."""
    return bool(name) and "/" not in name and "\0" not in name and name not in (".", "..")


def check_layout(metadata: Path) -> None:
    """Refuse the folders of the oldest projects, whose files would be ignored silently.

    Raises:
        ProjectError: an old folder exists, and the folder that replaces it does not.
    """
    old = [name for name, new in OLD_LAYOUT.items() if (metadata / name).is_dir() and not (metadata / new).is_dir()]
    if old:
        moves = " and ".join(f"{name} to {OLD_LAYOUT[name]}" for name in old)
        raise ProjectError(
            problems=[
                Problem(
                    metadata,
                    f"has the layout of Starlake before 1.0; move the files of {moves}, with one file per table or task",
                )
            ]
        )


def domain_names(metadata: Path) -> tuple[str, ...]:
    """Return the names of the folders below ``metadata/load``, sorted."""
    folder = metadata / "load"
    if not folder.is_dir():
        return ()
    return tuple(sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != "."))


def read_domain(application: Application, name: str, reader: Reader) -> Domain | None:
    """Read a domain, without its tables.

    Returns:
        The domain, or None if there is no folder of that name.

    Raises:
        ProjectError: ``_config.sl.yml`` is invalid.
    """
    folder = application.metadata / "load" / name
    if not is_plain_name(name) or not folder.is_dir():
        return None
    config = folder / f"_config{SUFFIX}"
    file = reader.read(config, DomainFile) if config.is_file() else None
    keys = (file.load if file else None) or DomainKeys()
    logical = _plain(keys.name or name, config, DomainFile, "load", reader)
    files = {path.name[: -len(SUFFIX)] for path in folder.glob(f"*{SUFFIX}") if path.name[0] not in "._"}
    inline = _inline(file, reader, config) if isinstance(file, MigratedDomainFile) else {}
    return Domain(
        name=logical,
        final_name=keys.rename or logical,
        path=folder,
        table_names=tuple(sorted({*files, *inline})),
        tags=texts(keys.tags),
        database=keys.database or application.keys.database or application.variables.get("database"),
        metadata=read_metadata(keys.metadata, Metadata(format=Format(empty_is_null=application.empty_is_null))),
        keys=keys,
        inline_tables=inline,
    )


def _inline(file: MigratedDomainFile, reader: Reader, path: Path) -> dict[str, TableKeys]:
    found: dict[str, TableKeys] = {}
    for index, keys in enumerate(file.tables or ()):
        if not keys.name:
            raise reader.wrong(path, DomainFile, ("tables", index), f"load.tables[{index}].name is missing")
        found[keys.name] = keys
    return found


def _plain(name: str, path: Path, file: type[File], root: str, reader: Reader) -> str:
    # The name becomes the name of a folder in the datasets area.
    if not is_plain_name(name):
        raise reader.wrong(path, file, (root, "name"), f"{root}.name {name!r} cannot be the name of a folder")
    return name


def read_table(domain: Domain, name: str, reader: Reader) -> Table | None:
    """Read one table of a domain, by the name of its file.

    Returns:
        The table, or None if there is no file of that name.

    Raises:
        ProjectError: the file is invalid, or its pattern is missing, invalid or cannot be translated.
    """
    path = domain.path / f"{name}{SUFFIX}"
    if not is_plain_name(name) or name[0] in "._":
        return None
    if path.is_file():
        keys = reader.read(path, TableFile).table or TableKeys()
    elif name in domain.inline_tables:
        path, keys = domain.path / f"_config{SUFFIX}", domain.inline_tables[name]
    else:
        return None
    if not keys.pattern:
        message = "table.pattern is missing; add the pattern of the names of its files"
        raise reader.wrong(path, TableFile, ("table",), message)
    try:
        java_pattern(keys.pattern)
    except JavaPatternError as error:
        raise reader.wrong(path, TableFile, ("table", "pattern"), f"table.pattern: {error}") from error
    logical = _plain(keys.name or name, path, TableFile, "table", reader)
    return Table(
        name=logical,
        final_name=keys.rename or logical,
        domain=domain.name,
        final_domain=domain.final_name,
        path=path,
        pattern=keys.pattern,
        attributes=keys.attributes or (),
        primary_key=texts(keys.primary_key),
        tags=texts(keys.tags),
        presql=texts(keys.presql),
        postsql=texts(keys.postsql),
        streams=texts(keys.streams),
        expectations=keys.expectations or (),
        filter=keys.filter,
        metadata=read_metadata(keys.metadata, domain.metadata),
        keys=keys,
        domain_keys=domain.keys,
    )
