"""Credentials that an orchestrator keeps, for runners whose services need some."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Credentials", "credentials_of", "offering"]


@dataclass(frozen=True)
class Credentials:
    """What an orchestrator offers to the runners that it makes.

    Attributes:
        name: tells these credentials from others; runners with other credentials are other runners.
        sources: kind of credentials to a function that gets them, called when a runner asks. The kinds are ``google`` (a
            ``google.auth.credentials.Credentials``) and ``aws`` (a ``boto3.session.Session``).
    """

    name: str = ""
    sources: Mapping[str, Callable[[], Any]] = field(default_factory=dict, compare=False, repr=False)


_NONE = Credentials()
_offered: ContextVar[Credentials] = ContextVar("starlake_core_credentials", default=_NONE)


@contextmanager
def offering(credentials: Credentials | None) -> Iterator[None]:
    """While this block is open, :func:`credentials_of` answers with these credentials.

    Args:
        credentials: None for none.
    """
    token = _offered.set(credentials or _NONE)
    try:
        yield
    finally:
        _offered.reset(token)


def credentials_of(kind: str) -> Any:
    """The credentials of a kind that the orchestrator offers. To be called in ``sl_create_runner``, not later.

    Args:
        kind: ``google`` or ``aws``.

    Returns:
        An object of the service's SDK, or None: the runner takes the default chain of the SDK.
    """
    source = _offered.get().sources.get(kind)
    return source() if source is not None else None
