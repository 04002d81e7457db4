"""An add-on that writes down how attempts end, in the file that a variable names, whichever process hears of it."""

from __future__ import annotations

import os
from pathlib import Path

from starlake_core import Job, RunKey, hookimpl
from starlake_core.runtime import Outcome


@hookimpl
def sl_task_ended(job: Job, key: RunKey, outcome: Outcome) -> None:
    with Path(os.environ["ACME_ENDS"]).open("a", encoding="utf-8") as file:
        file.write(f"{key.task.rpartition('/')[2]} {key.attempt.partition('.')[0]}: {outcome.verdict}\n")
