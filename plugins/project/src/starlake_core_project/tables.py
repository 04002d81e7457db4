"""Reads ``metadata/load``: domains and their tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .errors import JavaPatternError, ProjectError
from .fields import Fields
from .java_patterns import java_pattern
from .model import Attribute, Domain, Table
from .sections import merged_metadata, read_metadata
from .text import read_yaml

__all__ = ["SUFFIX", "domain_names", "is_plain_name", "read_domain", "read_table"]

SUFFIX = ".sl.yml"


def is_plain_name(name: str) -> bool:
    """Whether a name from the command line can be a file's name: not empty, and no way out of the folder."""
    return bool(name) and "/" not in name and "\0" not in name and name not in (".", "..")


def _plain(section: Fields, default: str) -> str:
    # The name becomes a folder of the datasets area.
    name = section.text("name") or default
    if not is_plain_name(name):
        raise ProjectError(f"{section.source}: {section.where}.name {name!r} cannot be the name of a directory")
    return name


def domain_names(metadata: Path) -> tuple[str, ...]:
    """The folders below ``metadata/load``, sorted."""
    folder = metadata / "load"
    if not folder.is_dir():
        return ()
    return tuple(sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != "."))


def read_domain(metadata: Path, name: str, variables: Mapping[str, str]) -> Domain | None:
    """A domain without its tables.

    Returns:
        None when there is no folder of that name.

    Raises:
        ProjectError: ``_config.sl.yml`` is broken.
    """
    folder = metadata / "load" / name
    if not is_plain_name(name) or not folder.is_dir():
        return None
    config = folder / f"_config{SUFFIX}"
    section = Fields.document(read_yaml(config, variables) if config.is_file() else None, config).child("load")
    logical = _plain(section, name)
    return Domain(
        name=logical,
        final_name=section.text("rename") or logical,
        path=folder,
        table_names=tuple(
            sorted(path.name[: -len(SUFFIX)] for path in folder.glob(f"*{SUFFIX}") if path.name[0] not in "._")
        ),
        tags=section.texts("tags"),
        database=section.text("database"),
        metadata=read_metadata(section),
    )


def _read_attribute(section: Fields) -> Attribute:
    name = section.text("name")
    if not name:
        raise ProjectError(f"{section.source}: {section.where} has no name")
    return Attribute(
        name=name,
        type=section.text("type") or "string",
        array=section.flag("array") or False,
        required=section.flag("required") or False,
        rename=section.text("rename"),
        default=section.text("default"),
        trim=section.text("trim"),
        ignore=section.flag("ignore") or False,
        script=section.text("script"),
        privacy=section.text("privacy"),
        attributes=tuple(_read_attribute(item) for item in section.children("attributes")),
    )


def read_table(domain: Domain, name: str, variables: Mapping[str, str]) -> Table | None:
    """One table of a domain.

    Returns:
        None when there is no file of that name.

    Raises:
        ProjectError: the file is broken, has no pattern or a pattern that Java refuses or that cannot be translated.
    """
    path = domain.path / f"{name}{SUFFIX}"
    if not is_plain_name(name) or name[0] in "._" or not path.is_file():
        return None
    section = Fields.document(read_yaml(path, variables), path).child("table")
    pattern = section.text("pattern")
    if not pattern:
        raise ProjectError(f"{path}: table.pattern is missing; it says which files belong to the table")
    try:
        java_pattern(pattern)
    except JavaPatternError as error:
        raise ProjectError(f"{path}: table.pattern: {error}") from error
    logical = _plain(section, name)
    return Table(
        name=logical,
        final_name=section.text("rename") or logical,
        domain=domain.name,
        final_domain=domain.final_name,
        path=path,
        pattern=pattern,
        attributes=tuple(_read_attribute(item) for item in section.children("attributes")),
        primary_key=section.texts("primaryKey"),
        tags=section.texts("tags"),
        presql=section.texts("presql"),
        postsql=section.texts("postsql"),
        streams=section.mapping("streams"),
        has_expectations=bool(section.values.get("expectations")),
        metadata=merged_metadata(domain.metadata, read_metadata(section)),
    )
