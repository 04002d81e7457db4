"""Says which plugin, and which line of it, raised an error."""

from __future__ import annotations

import sysconfig
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from ..errors import PluginFailedError, StarlakeError, UnknownOptionError
from ..model.exit_codes import may_pass

if TYPE_CHECKING:
    from ..model.job import Job
    from ..model.outcome import Outcome
    from ..model.run import RunKey
    from .runner import Runner

__all__ = ["blame", "blaming", "failed", "is_own_message", "label_runner", "place_in_plugin", "place_of", "told"]

_LABEL = "_starlake_plugin"
"""The attribute of a runner that names its plugin. Runners need not be hashable."""
_ENDED = "_starlake_ended"


def is_own_message(error: BaseException) -> bool:
    """Return whether an error is what a plugin has to say to users, rather than a mistake in it.

    An option that no plugin declares is a mistake of the plugin that reads it.

    Args:
        error: what a hook raised.
    """
    return isinstance(error, StarlakeError) and not isinstance(error, UnknownOptionError)


def failed(label: str, where: str, error: BaseException) -> PluginFailedError:
    """Return the error that blames a plugin for an exception.

    Args:
        label: the plugin, with its distribution.
        where: the hook, or the method of its runner.
        error: the exception.
    """
    what = f"{type(error).__name__}: {error}".rstrip(": ")
    return PluginFailedError(f"{label} failed in {where}: {what} ({place_of(error)})")


def place_of(error: BaseException) -> str:
    """Return the line that raised an error: that of the plugin, if a library or the core raised it on its behalf.

    Args:
        error: an error that was caught.
    """
    if isinstance(error, SyntaxError) and error.filename and error.lineno is not None:
        return _shown(error.filename, error.lineno)
    frames = _frames(error.__traceback__)
    own = [frame for frame in frames if not _is_foreign(frame[0])]
    if not own:
        return _shown(*frames[-1]) if frames else "nowhere"
    first = Path(own[0][0])
    is_package = (first.parent / "__init__.py").exists()
    inside = str(first.parent) + "/" if is_package else str(first)
    return _shown(*[frame for frame in own if frame[0].startswith(inside)][-1])


def place_in_plugin(error: BaseException) -> str:
    """Return the line of the plugin that could not be imported, in brackets; empty if none of it was.

    Args:
        error: an error that was caught.
    """
    inside = isinstance(error, SyntaxError) or any(not _is_foreign(file) for file, _ in _frames(error.__traceback__))
    return f" ({place_of(error)})" if inside else ""


def _shown(file: str, line: int) -> str:
    path = Path(file)
    return f"{path.parent.name}/{path.name}, line {line}" if path.parent.name else f"{path.name}, line {line}"


def _frames(trace: TracebackType | None) -> list[tuple[str, int]]:
    frames = []
    while trace is not None:
        if not trace.tb_frame.f_code.co_filename.startswith("<"):
            frames.append((trace.tb_frame.f_code.co_filename, trace.tb_lineno))
        trace = trace.tb_next
    return frames


_CORE = str(Path(__file__).parent.parent) + "/"
_STANDARD = sysconfig.get_path("stdlib") + "/"


def _is_foreign(file: str) -> bool:
    """Return whether a file is one of the core, of pluggy or of the standard library."""
    if file.startswith(_CORE) or "/pluggy/" in file:
        return True
    return file.startswith(_STANDARD) and "/site-packages/" not in file and "/dist-packages/" not in file


def label_runner(runner: Runner, label: str, ended: Callable[[Job, RunKey, Outcome], None]) -> None:
    """Remember which plugin made a runner, and who hears of the ends of its attempts.

    Args:
        runner: the runner.
        label: the plugin, with its distribution.
        ended: a method that is called for each end; its object is not kept alive.
    """
    with suppress(AttributeError, TypeError):  # a runner with slots has no place for it
        object.__setattr__(runner, _LABEL, label)
        object.__setattr__(runner, _ENDED, weakref.WeakMethod(ended))


def told(runner: Runner, job: Job, key: RunKey, outcome: Outcome) -> None:
    """Tell the plugins that were selected with a runner that an attempt has ended.

    Args:
        runner: the runner.
        job: the bound job.
        key: the key of the attempt.
        outcome: how it ended.
    """
    reference = getattr(runner, _ENDED, None)
    ended = reference() if reference is not None else None
    if ended is not None:
        ended(job, key, outcome)


@contextmanager
def blaming(runner: Runner, method: str) -> Iterator[None]:
    """Blame the plugin of a runner for exceptions in this block that are not messages for users.

    Args:
        runner: the runner.
        method: the method that is called in this block.

    Raises:
        PluginFailedError: it raised something else than a :class:`StarlakeError`; the cause is what it raised.
    """
    try:
        yield
    except Exception as error:
        if is_own_message(error) or _is_shortage(error):
            raise
        blamed = failed(*_of(runner, method), error)
        blamed.may_pass = may_pass(error)
        raise blamed from error


def blame(runner: Runner, method: str, error: BaseException) -> str:
    """Return a sentence that blames the plugin of a runner for an exception.

    Args:
        runner: the runner.
        method: the method that raised it.
        error: the exception.
    """
    return str(failed(*_of(runner, method), error))


def _of(runner: Runner, method: str) -> tuple[str, str]:
    kind = type(runner)
    label = getattr(runner, _LABEL, "") or f"the runner {kind.__module__}.{kind.__name__}"
    return label, f"{kind.__name__}.{method}"


def _is_shortage(error: Exception) -> bool:
    """Return whether the machine is short of something, which is not the plugin's fault."""
    return isinstance(error, (OSError, MemoryError)) and type(error).__module__ == "builtins"
