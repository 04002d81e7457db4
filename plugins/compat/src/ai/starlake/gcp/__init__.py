"""``ai.starlake.gcp``, as documented."""

from typing import TYPE_CHECKING

from starlake_core_compat.clouds import StarlakeDataprocClusterConfig, StarlakeDataprocMachineConfig
from starlake_core_compat.removed import hints_of

__all__ = ["StarlakeDataprocClusterConfig", "StarlakeDataprocMachineConfig"]

if not TYPE_CHECKING:
    __getattr__ = hints_of(__name__)
