"""What the end of a Starlake command means: exit codes, and the marker with which a check says *not ready*."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Collection, Sequence
from dataclasses import replace

from ..errors import OutageError, RunnerError, StarlakeError
from ..logs import get_logger
from .job import Job
from .outcome import Outcome, Verdict
from .run import RunKey

__all__ = [
    "WILL_NOT_PASS",
    "is_preload",
    "marker_of",
    "may_pass",
    "outcome_from_exit_code",
    "remote_marker",
    "request_marker",
]

logger = get_logger(__name__)

WILL_NOT_PASS = 78
"""The exit code of a command that finds the project, its own options or its installation wrong (``EX_CONFIG`` of *sysexits.h*). Starlake
itself ends with 0 and 1 only."""

_MARKER_FLAG = "--notReadySentinel"
_FINAL = {
    WILL_NOT_PASS: "exit code 78: the project, the options of the command or its installation are wrong",
    126: "exit code 126: the program cannot be executed",
    127: "exit code 127: a program was not found",
}
# What Python raises where a program, not its surroundings, is wrong.
_PROGRAM = (
    ImportError,
    TypeError,
    AttributeError,
    NameError,
    LookupError,
    SyntaxError,
    AssertionError,
    NotImplementedError,
    RecursionError,
)


def may_pass(error: BaseException) -> bool:
    """Whether another attempt may get past an error that a plugin, or the runtime, raised instead of running a job.

    What is misspelt, missing or not allowed is there again at the next try; so is a fault of a program. What the machine or a service was short
    of may be there by then.

    Args:
        error: that was raised.
    """
    if isinstance(error, StarlakeError):
        return isinstance(error, OutageError)
    return not isinstance(error, _PROGRAM)


def outcome_from_exit_code(
    code: int,
    *,
    check: bool = False,
    marked: bool | None = None,
    stopped: bool = False,
    about: str = "",
    tail: str = "",
) -> Outcome:
    """How a Starlake command ended: the one place that takes a check for *not ready*.

    Args:
        code: its exit code; negative for the number of a signal.
        check: whether it is a check.
        marked: whether it left the marker that it was asked for; None if it was asked for none.
        stopped: whether somebody had asked for its end.
        about: the task, for a warning.
        tail: the end of its output.
    """
    if code == 0:
        return Outcome(Verdict.NOT_READY, 0, "not ready") if marked else Outcome(Verdict.SUCCEEDED, 0)
    if stopped:
        return Outcome(Verdict.CANCELLED, code, "cancelled", tail=tail)
    if check and marked is None and code == 1:
        logger.warning(
            "%s: exit code 1 of a check without a marker is taken for 'not ready'; it could also be a failure. Starlake 1.5.15 "
            "and later can tell the two apart (options pre_load_not_ready_sentinel and pre_load_not_ready_sentinel_path)",
            about,
        )
        return Outcome(Verdict.NOT_READY, 1, "not ready, or failed: exit code 1 without a marker", tail=tail)
    return Outcome(Verdict.FAILED, code, _explained(code), tail=tail, final=code in _FINAL)


def _explained(code: int) -> str:
    if code < 0:
        with contextlib.suppress(ValueError):
            name = signal.Signals(-code).name
            hint = "; the machine may have been out of memory" if name == "SIGKILL" else ""
            return f"killed by {name}{hint}"
    return _FINAL.get(code) or f"exit code {code}"


def is_preload(arguments: Sequence[str]) -> bool:
    """Whether a command is Starlake's own ``preload``, which can be asked for a marker. Other commands can be checks too.

    Args:
        arguments: the command and what follows it.
    """
    return tuple(arguments[:1]) == ("preload",)


def marker_of(arguments: Collection[str]) -> str | None:
    """The marker that a command was asked to leave when a check is not ready.

    Args:
        arguments: of the command.
    """
    words = list(arguments)
    return words[words.index(_MARKER_FLAG) + 1] if _MARKER_FLAG in words[:-1] else None


def request_marker(job: Job, path: str) -> Job:
    """The check, asked to leave a marker.

    Args:
        job: bound.
        path: of the marker, as the command sees it.
    """
    return replace(job, arguments=(*job.arguments, _MARKER_FLAG, path))


def remote_marker(job: Job, key: RunKey, scheme: str) -> tuple[str | None, Job]:
    """The marker of a check that runs in a service, in the object storage that both it and the worker reach.

    It is the one that the pipeline asks for; else, where SL_ROOT is in that storage, one below ``.starlake-core/not-ready`` there, named by the
    attempt. Each attempt has one of its own, so it need not be removed before the verdict is known to everybody.

    Args:
        job: bound.
        key: of the attempt.
        scheme: of the storage, such as ``gs``.

    Returns:
        The marker, None where there can be none; and the job that leaves it.

    Raises:
        RunnerError: the pipeline asks for a marker elsewhere.
    """
    if not job.check:
        return None, job
    asked = marker_of(job.arguments)
    if asked is not None:
        if not asked.startswith(f"{scheme}://"):
            raise RunnerError(
                f"the marker of the pre-load ({asked}) is not where both the service and this worker can reach it; set "
                f"pre_load_not_ready_sentinel_path to a folder such as {scheme}://bucket/not-ready"
            )
        return asked, job
    root = job.env.get("SL_ROOT", "")
    if not root.startswith(f"{scheme}://") or not is_preload(job.arguments):
        return None, job
    path = f"{root.rstrip('/')}/.starlake-core/not-ready/{key.attempt_hash}"
    return path, request_marker(job, path)
