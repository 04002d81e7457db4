"""Which commands share an engine, and where its socket is."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import socket
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from starlake_core.logs import get_logger

__all__ = ["engine_path", "refuse"]

_log = get_logger(__name__)

_FELT = ("HOME", "TMPDIR", "TZ", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONUTF8", "PYTHONIOENCODING")
"""Variables that Python, DuckDB and the C library read from the process itself."""
_NOT_LOCAL = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "glusterfs", "lustre", "gpfs", "beegfs", "afs", "9p", "ncpfs", "pvfs2", "virtiofs"}
)  # fmt: skip
_told: set[str] = set()


def engine_path(folder: str, database: Path, environ: Mapping[str, str]) -> str | None:
    """The path of the socket of the engine for a command; None if the command cannot have one.

    Commands of one user share an engine if they write the same database, in the same version of the engine, and would be processes in
    the same folder, with the same of those variables that the process itself reads.

    Args:
        folder: the folder of the project.
        database: the database.
        environ: the environment of the command.
    """
    if not hasattr(socket, "AF_UNIX"):
        refuse("this system has no Unix sockets")
        return None
    try:
        place = _folder()
        for what in (place, str(database.parent)):
            kind = _network(os.path.realpath(what))
            if kind:
                refuse(f"{what} is on a network file system ({kind}), where locks of other machines do not count")
                return None
    except OSError as error:
        refuse(f"the socket of the engine has no place: {error}")
        return None
    felt = {name: value for name, value in environ.items() if name in _FELT or name.startswith("LC_")}
    said = [_version(), os.path.realpath(database), os.path.realpath(folder), sorted(felt.items()), _umask()]
    return os.path.join(place, hashlib.sha256(json.dumps(said).encode()).hexdigest()[:24])


def refuse(why: str) -> None:
    """Say why commands are processes, once for each reason.

    Args:
        why: the reason.
    """
    if why not in _told:
        _told.add(why)
        _log.warning("commands run as processes of their own: %s", why)


@functools.cache
def _version() -> tuple[str, ...]:
    return (version("starlake-core-duckdb"), version("duckdb"), sys.executable, sys.version, __file__)


def _umask() -> str:
    """The mode of new files; asking the system for it would change it for a moment."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            return next((line.split()[1] for line in status if line.startswith("Umask:")), "")
    except OSError:
        return ""


def _folder() -> str:
    """A folder for this user alone, the same for all processes, with a path that is short enough for a socket.

    Raises:
        OSError: it cannot be made, or belongs to somebody else.
    """
    user = os.getuid()
    place = f"/tmp/.starlake-core-{user}"
    for folder in (place, f"{place}/engine"):
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)
        found = os.lstat(folder)
        if not os.path.isdir(folder) or os.path.islink(folder) or found.st_uid != user:
            raise PermissionError(13, "belongs to somebody else", folder)
        if found.st_mode & 0o077:
            os.chmod(folder, 0o700)
    return f"{place}/engine"


@functools.lru_cache(maxsize=1024)
def _network(path: str) -> str:
    """The kind of the file system of a path if it is shared by machines; empty if it is local, or unknown.

    Asked once for each path, because the list of mounts is long, and every command needs it.
    """
    best, kind = "", ""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
            for line in mounts:
                before, _, after = line.partition(" - ")
                point = before.split()[4].replace("\\040", " ")
                inside = path == point or path.startswith(point.rstrip("/") + "/")
                if inside and len(point) >= len(best):
                    best, kind = point, after.split()[0]
    except (OSError, IndexError):
        return ""
    return kind if kind in _NOT_LOCAL or kind.startswith("fuse.") else ""
