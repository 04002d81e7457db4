"""A short identifier for a piece of work."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

__all__ = ["fingerprint"]


def fingerprint(command: str, arguments: Sequence[str]) -> str:
    """A hash of a command and its arguments, exactly as they were given."""
    return hashlib.sha256(json.dumps([command, *arguments]).encode()).hexdigest()
