"""What commands say to programs: one JSON document on the standard output, described in docs/json.md."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import click

from ..loading import LoadedFile
from ..masking import mask_text
from ..options import Declared
from ..plain import plain
from ..plugins import Installed
from ..run import Report

__all__ = ["VERSION", "emit", "file_data", "form", "option_data", "plugin_data", "report_data"]

VERSION = 1
"""Of the documents. Keys may be added within a version; one that is removed or means something else is a new version."""

form = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="For people, or one JSON document for programs (docs/json.md).",
)
"""The option of commands that have such a document."""


def emit(command: str, data: Mapping[str, Any]) -> None:
    """Write the document of a command.

    Args:
        command: its name.
        data: what it has to say.
    """
    click.echo(json.dumps({"version": VERSION, "command": command, **data}, indent=2, ensure_ascii=True))


def _moment(value: datetime | None) -> str | None:
    return value.isoformat() if value is not None else None


def _told(text: str) -> str:
    return plain(mask_text(text))


def report_data(report: Report) -> dict[str, Any]:
    """How a run ended."""
    return {
        "pipeline": report.pipeline_id,
        "run": report.run_id,
        "state": report.state,
        "reason": _told(report.reason),
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
                "reason": _told(task.reason),
                "exit_code": task.exit_code,
                "attempts": task.attempts,
                "seconds": task.duration,
                "log": task.log,
            }
            for task in report.tasks
        ],
    }


def file_data(file: LoadedFile) -> dict[str, Any]:
    """What came of a pipeline file."""
    return {
        "file": str(file.path),
        "ok": not file.problems,
        "pipelines": [{"pipeline": p.id, "tasks": sum(1 for _ in p.tasks())} for p in file.pipelines],
        "problems": [_told(problem) for problem in file.problems],
        "warnings": [_told(warning) for warning in file.warnings],
    }


def plugin_data(plugin: Installed, trouble: str) -> dict[str, Any]:
    """An installed plugin."""
    return {
        "role": plugin.role,
        "name": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "loads": not trouble,
        "problem": _told(trouble),
    }


def option_data(item: Declared) -> dict[str, Any]:
    """An option."""
    option = item.option
    default: Any = option.default
    if not (default is None or isinstance(default, (bool, int, str, Mapping))):
        default = list(default) if isinstance(default, Sequence) else str(default)
    return {
        "option": option.name,
        "aliases": list(option.aliases),
        "plugin": item.plugin,
        "type": option.type.name,
        "allowed": option.type.allowed,
        "default": default,
        "required": option.required,
        "variable": option.env or None,
        "effective": option.effective,
        "meaning": option.doc,
    }
