"""Kills what a dead process left behind. It runs as a script, in its own session, with only the standard library.

The parent writes lines to the standard input: ``+PGID`` for a live process group, ``-PGID`` when it has ended, ``L
PATH`` to hold a shared lock on a file, ``U PATH`` to release it (both are answered with a line), ``E PATH`` for the
socket of a helper that serves other processes too, ``e PATH`` when the parent no longer uses it, and ``Q`` when
everything has ended. When the pipe closes, the parent is gone. Then the watchdog kills every live group, and every
process that has the parent's token in its environment (because it was not yet announced, or left its group). The locks
are released when that is done, which tells others that nothing is left. A helper ends by itself; one that does not
respond is killed at last.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
import time

__all__ = [
    "ATTEMPT_VARIABLE",
    "GUARD_VARIABLE",
    "carriers",
    "end",
    "end_helper",
    "living_groups",
    "main",
    "still_living",
]

GUARD_VARIABLE = "STARLAKE_CORE_GUARD"
ATTEMPT_VARIABLE = "STARLAKE_CORE_ATTEMPT"
DONE = "done"

_TERM_SECONDS = 2.0
_SCAN_SECONDS = 0.5
_HELPER_SECONDS = 30.0


def carriers(token: str, more: tuple[str, ...] = ()) -> set[int]:
    """Return the ids of processes that have the token and other given strings in their environment; empty if the system
    has no /proc."""
    wanted = {word.encode(errors="surrogateescape") for word in (f"{GUARD_VARIABLE}={token}", *more)}
    found: set[int] = set()
    try:
        entries = os.listdir("/proc")
    except OSError:
        return found
    for entry in entries:
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open(f"/proc/{entry}/environ", "rb") as file:
                if wanted <= set(file.read().split(b"\0")):
                    found.add(int(entry))
        except OSError:
            continue
    return found


def living_groups() -> set[int] | None:
    """Return the process groups with a member that is not a zombie; None if the system has no /proc."""
    found = set()
    try:
        entries = os.listdir("/proc")
    except OSError:
        return None
    for entry in entries:
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat") as file:
                state, _, group = file.read().rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue
        if state not in "ZX":
            found.add(int(group))
    return found or None


def still_living(groups: set[int]) -> set[int]:
    """Return the process groups that have not ended."""
    living = living_groups() if groups else None
    if living is not None:
        return groups & living
    found = set()
    for group in groups:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            continue
        except PermissionError:
            pass
        found.add(group)
    return found


def end(groups: set[int], token: str, more: tuple[str, ...] = ()) -> None:
    """End groups and processes with the token (and other given strings), with SIGTERM first, and return when they are
    gone."""
    started = time.monotonic()
    while True:
        elapsed = time.monotonic() - started
        sign = signal.SIGTERM if elapsed < _TERM_SECONDS else signal.SIGKILL
        groups = still_living(groups)
        strays = carriers(token, more)
        # A process that is just being started shows its environment a moment later, so it may not be found at first.
        if not groups and not strays and elapsed >= _SCAN_SECONDS:
            return
        for group in groups:
            with contextlib.suppress(OSError):
                os.killpg(group, sign)
        for process in strays:
            with contextlib.suppress(OSError):
                os.kill(process, sign)
        time.sleep(0.02 if elapsed < 1 else 0.1)


def end_helper(path: str) -> None:
    """Kill a helper that does not respond. Its process id is in the file of its lock, which it holds while it lives."""
    import socket

    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_HELPER_SECONDS)
        try:
            connection.connect(path)
            connection.recv(1)  # it greets, or has ended
            return
        except TimeoutError:
            pass
        with open(f"{path}.lock", encoding="ascii") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.kill(int(lock.read() or "0") or os.getpid(), signal.SIGKILL)


def main(token: str) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    locks: dict[str, int] = {}
    helpers: set[str] = set()
    for line in sys.stdin:
        word = line.rstrip("\n")
        if word.startswith("+"):
            groups.add(int(word[1:]))
        elif word.startswith("-"):
            groups.discard(int(word[1:]))
        elif word.startswith("L "):
            answer = DONE
            try:
                locks[word[2:]] = os.open(word[2:], os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                fcntl.flock(locks[word[2:]], fcntl.LOCK_SH)
            except OSError as error:
                answer = str(error).replace("\n", " ")
            sys.stdout.write(answer + "\n")
            sys.stdout.flush()
        elif word.startswith("U "):
            if word[2:] in locks:
                os.close(locks.pop(word[2:]))
            sys.stdout.write(DONE + "\n")
            sys.stdout.flush()
        elif word.startswith("E "):
            helpers.add(word[2:])
        elif word.startswith("e "):
            helpers.discard(word[2:])
        elif word == "Q":
            return
    end(groups, token)
    for descriptor in locks.values():
        os.close(descriptor)
    for helper in sorted(helpers):
        end_helper(helper)


if __name__ == "__main__":
    main(sys.argv[1])
