"""What a webhook hears about the end of an attempt."""

from __future__ import annotations

import re
from typing import Any

from starlake_core import Job, RunKey
from starlake_core.runtime import Outcome, mask_text, secret_arguments, secret_values

__all__ = ["message"]

_KEY = re.compile(
    r"(?:(?P<deployment>[^:/]+):)?(?P<pipeline>[^/]+)/(?P<run>.+)/(?P<task>[^/\[\]]+)(?:\[(?P<partition>.*)\])?",
    re.DOTALL,
)
_LONGEST = 300


def message(job: Job, key: RunKey, outcome: Outcome, form: str) -> dict[str, Any]:
    """Return what to send, without secrets.

    Args:
        job: the bound job.
        key: the key of the attempt.
        outcome: how it ended.
        form: ``text`` for the text alone, ``json`` for all details.
    """
    secrets = secret_values({**secret_arguments(job.arguments), **job.env})
    found = _KEY.fullmatch(key.task)
    parts = {} if found is None else {name: part for name, part in found.groupdict().items() if part}
    reason = mask_text(outcome.reason, secrets)
    where = f"{parts['task']} of {parts['pipeline']}" if parts else key.task
    line = f"{where}: {outcome.verdict}" + (f", {reason}" if reason else "")
    text = {"text": line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."}
    if form == "text":
        return text
    return {
        **text,
        **parts,
        "key": key.task,
        "attempt": key.attempt,
        "verdict": outcome.verdict.value,
        "exit_code": outcome.exit_code,
        "final": outcome.final,
        "reason": reason,
        "log": mask_text(outcome.log, secrets),
        "tail": mask_text(outcome.tail, secrets),
        "environment": job.environment,
        "command": list(job.masked().arguments),
    }
