"""``ai.starlake.dataset``, as documented."""

from starlake_core_compat.datasets import DatasetTriggeringStrategy, StarlakeDataset

__all__ = ["DatasetTriggeringStrategy", "StarlakeDataset"]
