"""A project on one DuckDB file, and a program that writes to it as the Starlake command line does: it opens the file for itself alone.

DuckDB lets one process at a time open a file for writing; to the others it says ``IO Error: Could not set lock on
file``. The program needs
``duckdb``, as any reader of the file does.
"""

from __future__ import annotations

import itertools
import os
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

__all__ = ["LOCK_ERROR", "OneWriter", "main"]

LOCK_ERROR = "Could not set lock on file"

# Only there so that no test hangs.
_PATIENCE = 300.0

_APPLICATION = """
application:
  connectionRef: "shop"
  connections:
    shop: { type: "jdbc", options: { url: "jdbc:duckdb:{{SL_ROOT}}/datasets/shop.db" } }
"""
_SCRIPT = '#!/bin/sh\nexec {python} {program} "$@"\n'


class OneWriter:
    """The project and the program in a folder.

    Args:
        root: of the project; made if it does not exist.
        tables: of the domain ``shop``; each has a transform of its name in the domain ``kpi`` too.

    Attributes:
        program: path of the program.
        database: path of the file.
    """

    def __init__(self, root: Path, tables: Sequence[str] = ("orders", "customers", "items")) -> None:
        self.root = root
        self.tables = tuple(tables)
        self.program = root / "starlake"
        self.database = root / "datasets" / "shop.db"
        files = {"application.sl.yml": _APPLICATION, "load/shop/_config.sl.yml": "load: { name: shop }\n"}
        for table in tables:
            files[f"load/shop/{table}.sl.yml"] = f"table: {{ name: {table}, pattern: '{table}.*' }}\n"
            files[f"transform/kpi/{table}.sql"] = "SELECT 1\n"
        for name, text in files.items():
            path = root / "metadata" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self.database.parent.mkdir(exist_ok=True)
        words = {"python": shlex.quote(sys.executable), "program": shlex.quote(str(Path(__file__).resolve()))}
        self.program.write_text(_SCRIPT.format(**words), encoding="utf-8")
        self.program.chmod(0o755)

    def calls(self) -> list[str]:
        """What every call was about and how it ended: ``load shop.orders 0``."""
        path = self.root / "calls"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def meet(self) -> None:
        """Make each process that opens the file keep it open until another one finds it open, so that two concurrent
        processes do meet."""
        (self.root / "meet").touch()

    def lock_errors(self) -> int:
        """How many calls found the file open elsewhere."""
        return sum(call.endswith(" 1") for call in self.calls())


def _has_failed(root: Path) -> bool:
    calls = root / "calls"
    return calls.exists() and any(call.endswith(" 1") for call in calls.read_text(encoding="utf-8").splitlines())


def main(arguments: Sequence[str]) -> int:
    """Be the program for one call: write to the database of the project under ``SL_ROOT``.

    Args:
        arguments: the command and what follows it.

    Returns:
        0, or 1 where somebody else has the file open.
    """
    import duckdb

    words = dict(itertools.pairwise(arguments))
    what = words.get("--name") or f"{words.get('--domains')}.{words.get('--tables')}"
    root = Path(os.environ["SL_ROOT"])
    code = 0
    try:
        with duckdb.connect(str(root / "datasets" / "shop.db")) as connection:
            sys.stdout.write("open\n")
            sys.stdout.flush()
            connection.execute("CREATE TABLE IF NOT EXISTS written (what VARCHAR, run VARCHAR, number BIGINT)")
            # Enough to be in the way of others for a moment.
            rows = "SELECT $what, $run, range FROM range(100000)"
            connection.execute(f"INSERT INTO written {rows}", {"what": what, "run": os.environ.get("SL_RUN_KEY", "")})
            gives_up = time.monotonic() + _PATIENCE
            while (root / "meet").exists() and not _has_failed(root) and time.monotonic() < gives_up:
                time.sleep(0.05)
    except duckdb.IOException as error:
        sys.stderr.write(f"ERROR {error}\n")
        code = 1
    with (root / "calls").open("a", encoding="utf-8") as calls:
        calls.write(f"{arguments[0]} {what} {code}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
