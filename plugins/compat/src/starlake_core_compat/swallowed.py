"""Keywords that the replaced classes took and passed over: those that say nothing here are named in a warning."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from starlake_core.errors import did_you_mean
from starlake_core.logs import get_logger

__all__ = ["warn_of_keywords"]

logger = get_logger(__name__)


def warn_of_keywords(what: str, keywords: Mapping[str, Any], known: Collection[str]) -> None:
    """Say which keywords have no effect.

    Args:
        what: the class or method that was called.
        keywords: those that nobody takes.
        known: those that it takes, for the hint.
    """
    for name in keywords:
        logger.warning("%s: the keyword '%s' has no effect.%s", what, name, did_you_mean(name, known))
