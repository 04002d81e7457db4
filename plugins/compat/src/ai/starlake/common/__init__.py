"""``ai.starlake.common``, as documented."""

from starlake_core import sanitize_id

__all__ = ["sanitize_id"]
