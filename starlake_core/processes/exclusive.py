"""Resources with one user at a time, such as a database file that takes one writer, across the processes of a machine.

A resource is held by three at once: this process, the process of the command, which inherits the descriptor of a lock, and the watchdog, which
holds a second lock. So it is free exactly when nothing of the command is alive, whoever of them is killed, and in whatever order.
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
"""What the names of pools begin with that keep the users of a resource apart."""

_FILE = re.compile(r"(?P<kind>[A-Za-z][A-Za-z0-9+.-]*):(?P<path>/(?!/).*)", re.DOTALL)
_SHORTEST, _LONGEST = 0.02, 0.5
_LET_GO_SECONDS = 5.0
_READABLE = 40


def resource_of(job: Job) -> str:
    """The resource that a job has to itself while it runs; empty for none.

    Args:
        job: bound, with the project as SL_ROOT where something says what it is.
    """
    if job.exclusive != AUTOMATIC:
        return job.exclusive
    if job.endpoint:
        return ""  # a service does not write to a file of this machine
    facts = facts_of(job)
    return facts.single_writer if facts is not None else ""


def pool_of(resource: str) -> str:
    """The name of a pool of one slot for a resource, without a path of the machine: letters, digits and ``_``.

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
        descriptor: of the lock that the process of the attempt inherits.
    """

    def __init__(self, resource: str, key: RunKey, descriptor: int, second: int, path: str) -> None:
        self.resource = resource
        self.descriptor = descriptor
        self._key = key
        self._second = second
        self._path = path

    def release(self) -> None:
        """Give the resource back. It is free as soon as nothing of the attempt is alive."""
        with _changed:
            if _leases.pop(_name(self._key), None) is not self:
                return
        guard.release(self._path)
        # Whoever comes next finds it free, unless a process of the attempt still has the first lock.
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
    """A forked child is not the user of what its parent holds, and must not keep it from others."""
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
    """The descriptors that the process of an attempt has to inherit.

    Args:
        key: of the attempt.
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
    """Take a resource for an attempt, and wait while others have it. Who waits is next.

    Args:
        resource: its name; ``KIND:/path`` for a file.
        key: of the attempt.
        wait: whether to wait.
        stop: asked while waiting; true gives it up.
        on_wait: told in a line for people what is waited for and who has it, whenever that changes.

    Returns:
        The lease, which has to be released; None if others have it and nobody waits (any more).

    Raises:
        RunnerError: its lock cannot be kept on this machine, or belongs to another user.
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
    """While this block is open, an attempt has the resource of its job to itself.

    :func:`starlake_core.runtime.execute` does this. Who calls ``start``, ``wait`` and ``finish`` one by one opens such a block around them.

    Args:
        job: bound.
        key: of the attempt.
        stop, on_wait: see :func:`occupy`.

    Yields:
        False if the wait was given up: nothing is to be started then.

    Raises:
        RunnerError: see :func:`occupy`.
    """
    # An orchestrator that waits in its own way has taken it before.
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
    """The lease, or who has the resource."""
    descriptor = _open(f"{path}.lock")
    second: int | None = None
    try:
        if not _locked(descriptor):
            return None, _user(f"{path}.lock")
        second = _open(f"{path}.watched")
        if not _locked(second):
            return None, f"what {_user(f'{path}.lock') or 'a killed process'} has left behind"
        # The first lock keeps others from the second one, so it may be free for a moment.
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
    """Who wrote himself into a lock; empty where nobody knows."""
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
            f"the lock of a resource with one user at a time cannot be kept at {path}: {error.strerror}. All who use it have to run as one user; "
            "the option exclusive=none does without"
        ) from error
    _descriptors.add(descriptor)
    return descriptor


def _close(descriptor: int) -> None:
    _descriptors.discard(descriptor)
    os.close(descriptor)


def _place(resource: str) -> str:
    """The path of the locks of a resource, without their endings: beside its file, or where all processes of the user find it."""
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
            break  # another place would be another lock
    raise RunnerError(
        f"the lock of {resource} cannot be kept: {trouble}. All who use it have to run as one user; the option exclusive=none does without"
    )


def _home() -> str:
    """A folder that all processes of a user agree on, whatever their variables say."""
    user = os.getuid()
    try:
        home = pwd.getpwuid(user).pw_dir
    except KeyError:
        home = ""
    if home and home != "/" and os.access(home, os.W_OK | os.X_OK):
        return os.path.join(home, ".starlake-core")
    return f"/tmp/.starlake-core-{user}"
