"""What the exit code of a Starlake command means, and the marker by which a check reports *not ready*."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Collection, Sequence
from dataclasses import replace

from ..errors import OutageError, PluginFailedError, RunnerError, StarlakeError
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
"""The exit code for an error in the project, the options of the command or its installation (``EX_CONFIG`` of
*sysexits.h*). Starlake itself exits with 0 or 1 only."""

_MARKER_FLAG = "--notReadySentinel"
_FINAL = {
    WILL_NOT_PASS: "exit code 78: the project, the options of the command or its installation are wrong",
    126: "exit code 126: the program cannot be executed",
    127: "exit code 127: a program was not found",
}
# What Python raises for a mistake in a program, rather than in its surroundings.
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
    """Return whether another attempt may succeed after a plugin or the runtime raised an error instead of running a
    job.

    A typo, a missing resource, a missing permission or a bug is still there at the next attempt. A shortage of the
    machine or a service may be over.

    Args:
        error: the error.
    """
    if isinstance(error, PluginFailedError):
        return error.may_pass
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
    """Return how a Starlake command ended. Only this function decides that a check is *not ready*.

    Args:
        code: its exit code; the negative number of a signal if one killed it.
        check: whether it is a check.
        marked: whether it wrote the marker; None if it was not told to write one.
        stopped: whether it had been told to stop.
        about: the task, for a warning.
        tail: the last lines of its output.
    """
    if code == 0:
        return Outcome(Verdict.NOT_READY, 0, "not ready") if marked else Outcome(Verdict.SUCCEEDED, 0)
    if stopped:
        return Outcome(Verdict.CANCELLED, code, "cancelled", tail=tail)
    if check and marked is None and code == 1:
        logger.warning(
            "%s: exit code 1 of a check without a marker counts as 'not ready', but it could also be a failure. Starlake 1.5.15 "
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
    """Return whether a command is Starlake's own ``preload``, which can write a marker. Other commands can be checks
    too.

    Args:
        arguments: the command and its arguments.
    """
    return tuple(arguments[:1]) == ("preload",)


def marker_of(arguments: Collection[str]) -> str | None:
    """Return the path of the marker that a command writes when a check is not ready.

    Args:
        arguments: the command and its arguments.
    """
    words = list(arguments)
    return words[words.index(_MARKER_FLAG) + 1] if _MARKER_FLAG in words[:-1] else None


def request_marker(job: Job, path: str) -> Job:
    """Return a check that writes a marker when it is not ready.

    Args:
        job: the bound job.
        path: the path of the marker, as the command sees it.
    """
    return replace(job, arguments=(*job.arguments, _MARKER_FLAG, path))


def remote_marker(job: Job, key: RunKey, scheme: str) -> tuple[str | None, Job]:
    """Return the marker of a check that runs in a service, in object storage that both the service and the worker can
    reach.

    It is the marker that the pipeline names. If the pipeline names none and SL_ROOT is in that storage, it is a file
    below ``.starlake-core/not-ready`` there, named after the attempt. Each attempt has its own marker, so it can stay
    until everybody knows the verdict.

    Args:
        job: the bound job.
        key: the key of the attempt.
        scheme: the URI scheme of the storage, such as ``gs``.

    Returns:
        The marker, or None if there cannot be one, and the job that writes it.

    Raises:
        RunnerError: the pipeline names a marker in another storage.
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
