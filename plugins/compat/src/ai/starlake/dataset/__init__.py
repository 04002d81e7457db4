"""``ai.starlake.dataset``, as documented."""

from starlake_core import StarlakeDataset

__all__ = ["StarlakeDataset"]
