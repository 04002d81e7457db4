"""What commands tell programs: one JSON document on the standard output, described in docs/reference/json.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click

from ..masking import mask_text
from ..model.run import Report
from ..plain_text import plain

__all__ = ["VERSION", "emit", "masked", "report_data"]

VERSION = 1
"""Of the documents. Keys may be added within a version; one that is removed or means something else is a new version."""


def emit(command: str, data: Mapping[str, Any]) -> None:
    """Write the document of a command.

    Args:
        command: its name.
        data: what it has to say.
    """
    click.echo(json.dumps({"version": VERSION, "command": command, **data}, indent=2, ensure_ascii=True))


def masked(text: str) -> str:
    """What others wrote, without secrets and control characters.

    Args:
        text: of any origin.
    """
    return plain(mask_text(text))


def report_data(report: Report) -> dict[str, Any]:
    """How a run ended, as part of a document.

    Args:
        report: of the run.
    """
    return {
        "pipeline": report.pipeline_id,
        "run": report.run_id,
        "state": report.state,
        "reason": masked(report.reason),
        "interval_start": _moment(report.interval.start if report.interval else None),
        "interval_end": _moment(report.interval.end if report.interval else None),
        "started": _moment(report.started),
        "ended": _moment(report.ended),
        "group": report.group,
        "datasets": list(report.datasets),
        "tasks": [
            {
                "task": task.id,
                "state": task.state,
                "reason": masked(task.reason),
                "exit_code": task.exit_code,
                "attempts": task.attempts,
                "seconds": task.duration,
                "log": task.log,
            }
            for task in report.tasks
        ],
    }


def _moment(value: datetime | None) -> str | None:
    return value.isoformat() if value is not None else None
