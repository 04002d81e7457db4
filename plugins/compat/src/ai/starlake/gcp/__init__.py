"""``ai.starlake.gcp``, as documented."""

from starlake_core_compat.clouds import StarlakeDataprocClusterConfig, StarlakeDataprocMachineConfig

__all__ = ["StarlakeDataprocClusterConfig", "StarlakeDataprocMachineConfig"]
