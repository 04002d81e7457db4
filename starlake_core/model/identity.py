"""Which run, and which work: what tells a run that was made again under an old name from the old one, and other work from ours."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable, Mapping, Sequence

from ..masking import mask_arguments, mask_mapping

__all__ = ["Kinship", "deployment_name", "digest_of", "first_difference", "instance_of", "kinship"]

_MARK = "~"
_WHOLE, _PART = 12, 4


class Kinship(enum.Enum):
    """Whether two instances are of one run."""

    SAME = "same"
    OTHER = "other"
    UNKNOWN = "unknown"


def instance_of(began: object, lasting: object = "", epoch: int = 0) -> str:
    """The instance of a run: what is not the same any more when a run is deleted and made again under its id.

    >>> instance_of("2026-01-31T00:00:01", 7)
    '7~2026-01-31T00:00:01~0'

    Args:
        began: when the run began, or another mark that it got then; empty for a run of which nothing is known.
        lasting: a mark that the run keeps for ever, where there is one.
        epoch: how often the run was begun anew under the same ``lasting``, each time with another ``began``.
    """
    return f"{lasting}{_MARK}{began}{_MARK}{epoch}" if began or lasting else ""


def kinship(one: str, other: str) -> Kinship:
    """Whether two instances are of one run.

    >>> kinship("7~a~0", "7~b~0").value, kinship("7~a~0", "7~b~1").value, kinship("7~a~0", "8~b~1").value, kinship("", "7~a~0").value
    ('other', 'unknown', 'other', 'same')

    Args:
        one, other: of :func:`instance_of`.

    Returns:
        ``SAME`` also where one says nothing, as those of earlier versions do; ``UNKNOWN`` where one of them may be the other, begun anew.
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
    """The name of a deployment, which is part of the names of jobs.

    >>> deployment_name("", "PROD", "airflow.example.com"), deployment_name("blue", "PROD"), deployment_name("", "")
    ('PROD@airflow.example.com', 'blue', '')

    Args:
        given: by the user, the option ``deployment``.
        starlake_environment: ``SL_ENV`` of the pipeline.
        host: what tells this installation of the orchestrator from another one.
    """
    return given or "@".join(filter(None, (starlake_environment, host)))


def _items(environment: str, arguments: Sequence[str], env: Mapping[str, str]) -> list[tuple[str, str]]:
    """What makes up a piece of work: name and value. What is secret may change without being other work."""
    shown = mask_arguments(arguments)
    return [
        ("environment", environment),
        *((f"argument {number}", argument) for number, argument in enumerate(shown, start=1)),
        *((f"variable {name}", value) for name, value in sorted(mask_mapping(env).items())),
    ]


def _hash(texts: Iterable[str], length: int) -> str:
    return hashlib.sha256("\x1f".join(texts).encode(errors="surrogateescape")).hexdigest()[:length]


def digest_of(environment: str, arguments: Sequence[str], env: Mapping[str, str]) -> str:
    """What tells one piece of work from another: hexadecimal digits for all of it, and a few for each part.

    Args:
        environment: that does it.
        arguments: the command and its arguments, without what is another one for each attempt.
        env: the variables that were declared.
    """
    items = _items(environment, arguments, env)
    parts = "".join(_hash(item, _PART) for item in items)
    return f"{_hash((text for item in items for text in item), _WHOLE)}.{parts}"


def first_difference(digest: str, own: str, environment: str, arguments: Sequence[str], env: Mapping[str, str]) -> str:
    """The first part in which two pieces of work differ, for a message; secrets are masked.

    >>> one, other = (digest_of("shell", [name], {}) for name in ("load", "stage"))
    >>> first_difference(one, other, "shell", ["stage"], {})
    "argument 1 is now 'stage'"

    Args:
        digest: of the other work.
        own: of this work.
        environment, arguments, env: of this work, bound.

    Returns:
        An empty text for the same work, or where one digest is empty.
    """
    if not digest or not own or digest == own:
        return ""
    theirs, mine = digest.partition(".")[2], own.partition(".")[2]
    for number, (name, value) in enumerate(_items(environment, arguments, env)):
        place = slice(number * _PART, (number + 1) * _PART)
        if theirs[place] != mine[place]:
            return f"{name} is now {value!r}"
    return f"it had {len(theirs) // _PART - 1} arguments and variables, and has {len(mine) // _PART - 1} now"
