"""``preload``: are there files to load?"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from ..check_log import FileIdentity, ReadyChecks
from ..context import Context
from ..files import data_files, matches, owner
from ..moves import unfinished
from ..selection import warn_of_unknown
from .stage import incoming_directory, incoming_files

__all__ = ["run"]

_log = logging.getLogger(__name__)


def _imported(context: Context, name: str, names: list[str] | None) -> dict[str, int]:
    domain = context.project.domain(name)
    tables = context.project.tables(domain, names) if domain is not None else ()
    if domain is None or not tables:
        # Starlake drops a domain without tables before it looks for files, so only the requested names are left.
        return dict.fromkeys(names or (), 0)
    directory = incoming_directory(context, domain)
    if not directory.is_dir():
        _log.error("the incoming directory %s of domain %s does not exist", directory, name)
    counts = {table.name: len(incoming_files(directory, [table])) for table in tables}
    for file in unfinished(context.stage(domain.name)):
        table = owner(tables, file)
        if table is not None:
            counts[table.name] += 1
    return counts


def _pending(context: Context, name: str, names: list[str] | None) -> dict[str, int]:
    domain = context.project.domain(name)
    stage = context.stage(domain.name if domain else name)
    waiting = [*(path.name for path in data_files(stage)), *unfinished(stage)]
    counts = dict.fromkeys(names or (), 0)
    for table in context.project.tables(domain, names or ()) if domain is not None else ():
        counts[table.name] = sum(matches(table, file) for file in waiting)
    return counts


def _ready(context: Context, strategy: str) -> bool:
    domain, names = context.values["domain"], context.values.get("tables")
    warn_of_unknown(context, [domain], names)
    counts = (_imported if strategy == "imported" else _pending)(context, domain, names)
    for table, count in counts.items():
        sys.stdout.write(f"{domain}.{table}: {count} file(s)\n")
    # As in Starlake, the domain is ready if no table is counted, or if at least one has files.
    return not counts or any(counts.values())


def _not_ready(context: Context) -> int:
    sys.stdout.write(f"NOT READY {context.values['domain']}\n")
    sentinel = context.values.get("notReadySentinel")
    if sentinel is None:
        return 1
    try:
        Path(sentinel).touch()
    except OSError as error:
        _log.warning("cannot write the not-ready sentinel %s: %s", sentinel, error)
    return 0


def run(context: Context) -> int:
    """Carry out the command.

    Under a run key a check that was ready stays ready when it is repeated, because the files or the ack file
    that made it ready may be gone by then.

    Raises:
        EngineError: the domain has no folder, but its strategy needs one.
        ProjectError: a file of the project is broken.
    """
    domain, strategy = context.values["domain"], context.values.get("strategy", "").lower()
    checks = ReadyChecks.of(context)
    found, consumed = checks.find()
    if found:
        if consumed is not None:
            consumed.delete()
        sys.stdout.write(f"READY {domain}: already done under this run key\n")
        return 0
    ack: FileIdentity | None = None
    if strategy == "ack":
        path = context.values.get("globalAckFilePath")
        ack = FileIdentity.of(Path(path)) if path else None
        ready = ack is not None
    else:
        ready = _ready(context, strategy) if strategy in ("imported", "pending") else True
    if not ready:
        return _not_ready(context)
    checks.record(ack)
    if ack is not None:
        ack.delete()
    sys.stdout.write(f"READY {domain}\n")
    return 0
