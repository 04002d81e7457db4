"""Credentials that an orchestrator stores, for runners whose services need them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Credentials", "credentials_of", "offering"]


@dataclass(frozen=True)
class Credentials:
    """The credentials that an orchestrator offers to its runners.

    Attributes:
        name: identifies the credentials; runners are not shared between different credentials.
        sources: for each kind of credentials, a function that returns them, called when a runner needs them. The kinds
            are ``google`` (a ``google.auth.credentials.Credentials``) and ``aws`` (a ``boto3.session.Session``).
    """

    name: str = ""
    sources: Mapping[str, Callable[[], Any]] = field(default_factory=dict, compare=False, repr=False)


_NONE = Credentials()
_offered: ContextVar[Credentials] = ContextVar("starlake_core_credentials", default=_NONE)


@contextmanager
def offering(credentials: Credentials | None) -> Iterator[None]:
    """In this block, :func:`credentials_of` returns these credentials.

    Args:
        credentials: the credentials; None for none.
    """
    token = _offered.set(credentials or _NONE)
    try:
        yield
    finally:
        _offered.reset(token)


def credentials_of(kind: str) -> Any:
    """Return the credentials of a kind that the orchestrator offers. Call it in ``sl_create_runner``, not later.

    Args:
        kind: ``google`` or ``aws``.

    Returns:
        An object of the service's SDK, or None to use the SDK's default credentials.
    """
    source = _offered.get().sources.get(kind)
    return source() if source is not None else None
