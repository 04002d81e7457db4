"""The identity of runs and work: tells a run from an earlier one with the same id, and different work under the same
name."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable, Mapping, Sequence

from ..masking import mask_arguments, mask_mapping

__all__ = ["Kinship", "deployment_name", "digest_of", "first_difference", "instance_of", "kinship"]

_MARK = "~"
_WHOLE, _PART = 12, 4


class Kinship(enum.Enum):
    """Whether two instances belong to the same run."""

    SAME = "same"
    OTHER = "other"
    UNKNOWN = "unknown"


def instance_of(began: object, lasting: object = "", epoch: int = 0) -> str:
    """Return the instance of a run, which changes when the run is deleted and created again under the same id.

    >>> instance_of("2026-01-31T00:00:01", 7)
    '7~2026-01-31T00:00:01~0'

    Args:
        began: when the run began, or another mark from that moment; empty if nothing is known about the run.
        lasting: a mark that the run keeps forever, if there is one.
        epoch: how often the run was restarted with the same ``lasting``, each time with another ``began``.
    """
    return f"{lasting}{_MARK}{began}{_MARK}{epoch}" if began or lasting else ""


def kinship(one: str, other: str) -> Kinship:
    """Return whether two instances belong to the same run.

    >>> kinship("7~a~0", "7~b~0").value, kinship("7~a~0", "7~b~1").value, kinship("7~a~0", "8~b~1").value, kinship("", "7~a~0").value
    ('other', 'unknown', 'other', 'same')

    Args:
        one, other: results of :func:`instance_of`.

    Returns:
        ``SAME`` also if one is empty, as in earlier versions; ``UNKNOWN`` if one may be a restart of the other.
    """
    if not one or not other or one == other:
        return Kinship.SAME
    (mine, _, epoch), (theirs, _, their_epoch) = _parts(one), _parts(other)
    return Kinship.UNKNOWN if mine == theirs and epoch != their_epoch else Kinship.OTHER


def _parts(instance: str) -> tuple[str, str, str]:
    lasting, _, rest = instance.partition(_MARK)
    began, _, epoch = rest.rpartition(_MARK)
    return lasting, began, epoch


def deployment_name(given: str, starlake_environment: str, host: str = "") -> str:
    """Return the name of a deployment, which is part of the names of its jobs.

    >>> deployment_name("", "PROD", "airflow.example.com"), deployment_name("blue", "PROD"), deployment_name("", "")
    ('PROD@airflow.example.com', 'blue', '')

    Args:
        given: the option ``deployment``.
        starlake_environment: ``SL_ENV`` of the pipeline.
        host: the host of this installation of the orchestrator.
    """
    return given or "@".join(filter(None, (starlake_environment, host)))


def _items(environment: str, arguments: Sequence[str], env: Mapping[str, str]) -> list[tuple[str, str]]:
    """The names and values that define a piece of work. A changed secret does not make it different work."""
    shown = mask_arguments(arguments)
    return [
        ("environment", environment),
        *((f"argument {number}", argument) for number, argument in enumerate(shown, start=1)),
        *((f"variable {name}", value) for name, value in sorted(mask_mapping(env).items())),
    ]


def _hash(texts: Iterable[str], length: int) -> str:
    return hashlib.sha256("\x1f".join(texts).encode(errors="surrogateescape")).hexdigest()[:length]


def digest_of(environment: str, arguments: Sequence[str], env: Mapping[str, str]) -> str:
    """Return a digest that identifies a piece of work: hexadecimal digits for the whole, and a few for each part.

    Args:
        environment: the environment that runs it.
        arguments: the command and its arguments, without values that change with each attempt.
        env: the declared variables.
    """
    items = _items(environment, arguments, env)
    parts = "".join(_hash(item, _PART) for item in items)
    return f"{_hash((text for item in items for text in item), _WHOLE)}.{parts}"


def first_difference(digest: str, own: str, environment: str, arguments: Sequence[str], env: Mapping[str, str]) -> str:
    """Return the first difference between two pieces of work, for a message. Secrets are masked.

    >>> one, other = (digest_of("shell", [name], {}) for name in ("load", "stage"))
    >>> first_difference(one, other, "shell", ["stage"], {})
    "argument 1 is now 'stage'"

    Args:
        digest: the digest of the other work.
        own: the digest of this work.
        environment, arguments, env: the bound parts of this work.

    Returns:
        An empty string if the work is the same or a digest is empty.
    """
    if not digest or not own or digest == own:
        return ""
    theirs, mine = digest.partition(".")[2], own.partition(".")[2]
    for number, (name, value) in enumerate(_items(environment, arguments, env)):
        place = slice(number * _PART, (number + 1) * _PART)
        if theirs[place] != mine[place]:
            return f"{name} is now {value!r}"
    return f"it had {len(theirs) // _PART - 1} arguments and variables, and has {len(mine) // _PART - 1} now"
