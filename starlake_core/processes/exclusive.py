"""Resources with one user at a time, such as a database file that allows one writer, across the processes of a machine.

Three processes hold a resource: this process, the process of the command, which inherits the descriptor of a lock, and
the watchdog, which holds a second lock. So the resource is free exactly when no process of the command is alive,
whichever of the three is killed, and in whatever order.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import pwd
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import RunnerError
from ..logs import get_logger
from ..model.job import AUTOMATIC, Job
from ..model.run import RunKey
from ..plugins.project_facts import facts_of
from .supervisor import guard

__all__ = ["POOL_PREFIX", "Lease", "exclusively", "inherited", "occupy", "pool_of", "resource_of"]

logger = get_logger(__name__)

POOL_PREFIX = "starlake_"
"""The prefix of the names of pools for resources."""

_FILE = re.compile(r"(?P<kind>[A-Za-z][A-Za-z0-9+.-]*):(?P<path>/(?!/).*)", re.DOTALL)
_SHORTEST, _LONGEST = 0.02, 0.5
_LET_GO_SECONDS = 5.0
_READABLE = 40


def resource_of(job: Job) -> str:
    """Return the resource that only this job may use while it runs; empty for none.

    Args:
        job: the bound job, with the project as SL_ROOT if it is known.
    """
    if job.exclusive != AUTOMATIC:
        return job.exclusive
    if job.endpoint:
        return ""  # a service does not write to a file on this machine
    facts = facts_of(job)
    return facts.single_writer if facts is not None else ""


def pool_of(resource: str) -> str:
    """Return the name of a pool with one slot for a resource. It has letters, digits and ``_``, and no path of this
    machine.

    >>> pool_of("duckdb:/data/shop.db")
    'starlake_duckdb_shop_db'
    >>> pool_of("warehouse")
    'starlake_warehouse'
    """
    found = _FILE.fullmatch(resource)
    shown = f"{found['kind']}_{os.path.basename(found['path'])}" if found is not None else resource
    return f"{POOL_PREFIX}{re.sub(r'[^A-Za-z0-9]+', '_', shown).strip('_')[:100]}"


class Lease:
    """A resource, held for one attempt.

    Attributes:
        resource: its name.
        descriptor: the descriptor of the lock that the process of the attempt inherits.
    """

    def __init__(self, resource: str, key: RunKey, descriptor: int, second: int, path: str) -> None:
        self.resource = resource
        self.descriptor = descriptor
        self._key = key
        self._second = second
        self._path = path

    def release(self) -> None:
        """Release the resource. It is free as soon as no process of the attempt is alive."""
        with _changed:
            if _leases.pop(_name(self._key), None) is not self:
                return
        guard.release(self._path)
        # The next user finds it free, unless a process of the attempt still has the first lock.
        deadline = time.monotonic() + _LET_GO_SECONDS
        while not _locked(self._second) and time.monotonic() < deadline:
            time.sleep(0.001)
        _close(self._second)
        _close(self.descriptor)
        with _changed:
            _changed.notify_all()


_leases: dict[tuple[str, str], Lease] = {}
_descriptors: set[int] = set()
_changed = threading.Condition()


def _after_fork() -> None:
    """Drop the leases of the parent in a forked child, which does not use them and must not block others."""
    global _changed
    _changed = threading.Condition()
    _leases.clear()
    for descriptor in _descriptors:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _descriptors.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _name(key: RunKey) -> tuple[str, str]:
    return key.task, key.attempt


def inherited(key: RunKey) -> tuple[int, ...]:
    """Return the descriptors that the process of an attempt must inherit.

    Args:
        key: the key of the attempt.
    """
    lease = _leases.get(_name(key))
    return () if lease is None else (lease.descriptor,)


def occupy(
    resource: str,
    key: RunKey,
    *,
    wait: bool = True,
    stop: Callable[[], bool] | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> Lease | None:
    """Take a resource for an attempt, and wait while another process has it.

    Args:
        resource: its name; ``KIND:/path`` for a file.
        key: the key of the attempt.
        wait: whether to wait.
        stop: called during the wait, which ends when it returns true.
        on_wait: called with a message that says what the attempt waits for and who has it, whenever that changes.

    Returns:
        The lease, which you must release; None if another process has the resource and this one does not wait, or
        stopped waiting.

    Raises:
        RunnerError: the lock cannot be kept on this machine, or belongs to another user.
    """
    path = _place(resource)
    queue: int | None = None
    told, pause = "", _SHORTEST
    try:
        while True:
            if queue is None:
                queue = _open(f"{path}.queue")
                if not _locked(queue):
                    _close(queue)
                    queue = None
            lease, user = _taken(resource, key, path) if queue is not None else (None, _user(f"{path}.lock"))
            if lease is not None:
                return lease
            line = f"waiting for {resource}, used by {user or 'another process'}"
            if on_wait is not None and line != told:
                on_wait(line)
                told = line
            if not wait or (stop is not None and stop()):
                return None
            with _changed:
                _changed.wait(pause)
            pause = min(_LONGEST, pause * 1.5)
    finally:
        if queue is not None:
            _close(queue)


@contextlib.contextmanager
def exclusively(
    job: Job,
    key: RunKey,
    *,
    stop: Callable[[], bool] | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> Iterator[bool]:
    """In this block, only this attempt may use the resource of its job.

    :func:`starlake_core.runtime.execute` does this. If you call ``start``, ``wait`` and ``finish`` one by one, open
    such a block around them.

    Args:
        job: the bound job.
        key: the key of the attempt.
        stop, on_wait: see :func:`occupy`.

    Yields:
        False if the wait was stopped. Then nothing may be started.

    Raises:
        RunnerError: see :func:`occupy`.
    """
    # An orchestrator that waits in its own way has already taken it.
    resource = "" if inherited(key) else resource_of(job)
    if not resource:
        yield True
        return
    lease = occupy(resource, key, stop=stop, on_wait=on_wait)
    if lease is None:
        yield False
        return
    try:
        yield True
    finally:
        lease.release()


def _taken(resource: str, key: RunKey, path: str) -> tuple[Lease | None, str]:
    """Return the lease, or a description of what uses the resource."""
    descriptor = _open(f"{path}.lock")
    second: int | None = None
    try:
        if not _locked(descriptor):
            return None, _user(f"{path}.lock")
        second = _open(f"{path}.watched")
        if not _locked(second):
            return None, f"processes left behind by {_user(f'{path}.lock') or 'a killed process'}"
        # The first lock protects the second one, which may be free for a moment.
        fcntl.flock(second, fcntl.LOCK_UN)
        guard.hold(f"{path}.watched")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"task": key.task, "pid": os.getpid()}).encode(), 0)
        lease = Lease(resource, key, descriptor, second, f"{path}.watched")
        with _changed:
            _leases[_name(key)] = lease
        descriptor, second = -1, None
        return lease, ""
    finally:
        for kept in (descriptor, second):
            if kept is not None and kept >= 0:
                _close(kept)


def _user(path: str) -> str:
    """Return the task and process recorded in a lock; empty if unknown."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        told = json.loads(Path(path).read_text(encoding="utf-8"))
        return f"{told['task']} (pid {int(told['pid'])})"
    return ""


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open(path: str) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise RunnerError(
            f"the lock of a resource with one user at a time cannot be kept at {path}: {error.strerror}. Run all its users as the same "
            "operating-system user, or set the option exclusive=none"
        ) from error
    _descriptors.add(descriptor)
    return descriptor


def _close(descriptor: int) -> None:
    _descriptors.discard(descriptor)
    os.close(descriptor)


def _place(resource: str) -> str:
    """Return the path of the locks of a resource, without suffix: next to its file, or where all processes of the user
    find it."""
    found = _FILE.fullmatch(resource)
    folders = [_home()]
    if found is not None:
        real = os.path.realpath(found["path"])
        resource = f"{found['kind'].lower()}:{real}"
        folders.insert(0, os.path.join(os.path.dirname(real), ".starlake-core"))
    name = f"{pool_of(resource).removeprefix(POOL_PREFIX)[:_READABLE]}-{hashlib.sha256(resource.encode()).hexdigest()[:12]}"
    trouble: OSError | None = None
    for folder in folders:
        place = os.path.join(folder, "exclusive")
        try:
            os.makedirs(place, mode=0o700, exist_ok=True)
        except OSError as error:
            trouble = error
            continue
        if os.access(place, os.W_OK | os.X_OK):
            return os.path.join(place, name)
        trouble = PermissionError(13, "Permission denied", place)
        if os.lstat(place).st_uid != os.getuid():
            break  # a lock in another place would be a different lock
    raise RunnerError(
        f"the lock of {resource} cannot be kept: {trouble}. Run all its users as the same operating-system user, or set the option "
        "exclusive=none"
    )


def _home() -> str:
    """Return a folder that is the same for all processes of a user, whatever their environment variables."""
    user = os.getuid()
    try:
        home = pwd.getpwuid(user).pw_dir
    except KeyError:
        home = ""
    if home and home != "/" and os.access(home, os.W_OK | os.X_OK):
        return os.path.join(home, ".starlake-core")
    return f"/tmp/.starlake-core-{user}"
