"""The JSON documents that commands write to the standard output, described in docs/reference/json.md."""

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
"""The version of the documents. New keys do not change it; removing a key or changing its meaning does."""


def emit(command: str, data: Mapping[str, Any]) -> None:
    """Print the document of a command.

    Args:
        command: the name of the command.
        data: the content of the document.
    """
    click.echo(json.dumps({"version": VERSION, "command": command, **data}, indent=2, ensure_ascii=True))


def masked(text: str) -> str:
    """Return a string of any origin without secrets and control characters.

    Args:
        text: the text.
    """
    return plain(mask_text(text))


def report_data(report: Report) -> dict[str, Any]:
    """Return how a run ended, as part of a document.

    Args:
        report: the report of the run.
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
                "started": _moment(task.started),
                "seconds": task.duration,
                "log": task.log,
            }
            for task in report.tasks
        ],
    }


def _moment(value: datetime | None) -> str | None:
    return value.isoformat() if value is not None else None
