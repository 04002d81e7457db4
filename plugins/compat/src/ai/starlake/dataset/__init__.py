"""``ai.starlake.dataset``, as documented."""

from typing import TYPE_CHECKING

from starlake_core_compat.datasets import AbstractEvent, DatasetTriggeringStrategy, StarlakeDataset
from starlake_core_compat.names import StarlakeDatasetType
from starlake_core_compat.removed import hints_of

__all__ = ["AbstractEvent", "DatasetTriggeringStrategy", "StarlakeDataset", "StarlakeDatasetType"]

if not TYPE_CHECKING:
    __getattr__ = hints_of(__name__)
