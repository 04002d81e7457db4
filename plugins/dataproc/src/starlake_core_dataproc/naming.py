"""Names that Dataproc accepts, derived from the names of tasks and runs; the same input gives the same name."""

from __future__ import annotations

import re

from starlake_core import RunKey

__all__ = [
    "CHECK_LABEL",
    "OWNER_LABEL",
    "OWN_LABELS",
    "TASK_LABEL",
    "TIMEOUT_LABEL",
    "batch_id",
    "cluster_name",
    "job_id",
    "labels_of",
    "request_id",
]

OWNER_LABEL = "starlake_core"
TASK_LABEL = "starlake_task"
CHECK_LABEL = "starlake_check"
TIMEOUT_LABEL = "starlake_timeout"
OWN_LABELS = (OWNER_LABEL, TASK_LABEL, CHECK_LABEL, TIMEOUT_LABEL)

_LONGEST_CLUSTER = 51
_LONGEST_JOB = 100
_LONGEST_BATCH = 63
_HASH = 12


def _readable(text: str, longest: int) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:longest].strip("-")


def _about(key: RunKey, longest: int) -> str:
    """Pipeline and task, for readers of the list of jobs."""
    # Without the deployment, which is part of the hash.
    first, _, rest = (key.former or key.task).partition("/")
    return _readable(f"{first} {rest.rpartition('/')[2]}", longest)


def job_id(key: RunKey) -> str:
    """The id of the job of an attempt.

    Args:
        key: the key of the attempt.
    """
    return "-".join(filter(None, (_about(key, _LONGEST_JOB - _HASH - 1), key.attempt_hash)))


def batch_id(key: RunKey) -> str:
    """The id of the batch of an attempt, which starts with a letter.

    Args:
        key: the key of the attempt.
    """
    return "-".join(filter(None, ("sl", _about(key, _LONGEST_BATCH - _HASH - 4), key.attempt_hash)))


def request_id(key: RunKey) -> str:
    """The request id by which Dataproc ignores a repeated request.

    Args:
        key: the key of the attempt.
    """
    return f"starlake-{key.attempt_hash}"


def cluster_name(name: str, config: str | None) -> str:
    """The name of the cluster of a run, with a placeholder until the job is bound.

    Args:
        name: the first part of the name.
        config: the second part, if any.
    """
    longest = _LONGEST_CLUSTER - _HASH - 1
    return _readable(f"{name} {config or ''}", longest) + "-${sl_run_hash}"


def labels_of(key: RunKey, given: dict[str, str], check: bool, timeout: int | None) -> dict[str, str]:
    """The labels of a job or batch: those by which it is found again, and those of the user.

    Args:
        key: the key of the attempt.
        given: the user's labels.
        check: whether it is a check.
        timeout: after how many seconds to cancel it.
    """
    labels = {**given, OWNER_LABEL: "run", TASK_LABEL: key.task_hash}
    if check:
        labels[CHECK_LABEL] = "yes"
    if timeout:
        labels[TIMEOUT_LABEL] = str(timeout)
    return labels
