"""Reads the file of ``--events`` for all pipelines of a command."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from rich.text import Text

from ..dsl.pipeline import StarlakePipeline
from ..errors import did_you_mean
from ..freshness import Recorded
from ..orchestrators.event_files import read_event_file
from ..plain_text import plain
from ._console import stderr

__all__ = ["read_events"]


def read_events(path: Path, pipelines: Sequence[StarlakePipeline], now: datetime) -> Recorded:
    """Read a file of events, and warn about datasets that start none of the pipelines.

    Args:
        path: the file, see docs/reference/events.md.
        pipelines: the pipelines of the command.
        now: when events happened that do not say so, aware.

    Raises:
        RunError: the file cannot be read, or an event in it.
    """
    datasets = [one for pipeline in pipelines if pipeline.trigger is not None for one in pipeline.trigger.datasets]
    recorded = read_event_file(path, datasets, now)
    known = {dataset.identity for dataset in datasets}
    names = sorted({dataset.sink or dataset.uri for dataset in datasets})
    for name in dict.fromkeys(event.dataset for event in recorded.events):
        if name.casefold() not in known:
            text = f"no pipeline here is started by {name!r}, which {path} names.{did_you_mean(name, names)}"
            stderr().print(Text("warning: ", style="yellow").append(plain(text)), soft_wrap=True)
    return recorded
