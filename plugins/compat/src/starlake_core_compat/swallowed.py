"""Keywords that the replaced classes accepted and ignored: those without an effect here cause a warning."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from starlake_core.errors import did_you_mean
from starlake_core.logs import get_logger

__all__ = ["warn_of_keywords"]

logger = get_logger(__name__)


def warn_of_keywords(what: str, keywords: Mapping[str, Any], known: Collection[str]) -> None:
    """Warn about keywords that have no effect.

    Args:
        what: the class or method that was called.
        keywords: the keywords that nothing uses.
        known: the keywords that it accepts, for the hint.
    """
    for name in keywords:
        logger.warning("%s: the keyword '%s' has no effect.%s", what, name, did_you_mean(name, known))
