"""What a page about pipelines shows: the request that a plugin for pages answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from .graph import Pipeline
from .run import Report

__all__ = ["LivePage", "Page"]


@dataclass(frozen=True)
class Page:
    """The pipelines and runs that a page shows.

    Attributes:
        pipelines: the pipelines.
        runs: runs of these pipelines, newest first.
        title: the heading of the page.
        made: its date, from which it says when pipelines run next; None for a page that does not depend on the date.
        sql: whether it shows SQL.
    """

    pipelines: Sequence[Pipeline]
    runs: Sequence[Report] = ()
    title: str = "Starlake"
    made: datetime | None = None
    sql: bool = True


@dataclass(frozen=True)
class LivePage:
    """A page that a server on this machine shows, and keeps up to date.

    Attributes:
        load: returns the page as it is now; called again when somebody asks for it.
        read_runs: returns the runs as they are now, newest first; called often.
        start: the arguments of the process that runs all the pipelines; empty if the page cannot start anything.
        port: the port to listen on; 0 for any.
        opened: called with the address of the page when the server is ready.
    """

    load: Callable[[], Page]
    read_runs: Callable[[], Sequence[Report]]
    start: tuple[str, ...] = ()
    port: int = 0
    opened: Callable[[str], None] = print
