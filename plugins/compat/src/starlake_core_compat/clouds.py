"""The size of a Dataproc cluster, as options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["StarlakeDataprocClusterConfig", "StarlakeDataprocMachineConfig"]


@dataclass(frozen=True)
class StarlakeDataprocMachineConfig:
    """The machines of one role.

    Attributes:
        num_instances: the number of machines.
        machine_type: the machine type.
        disk_type: the type of the boot disk.
        disk_size: the size of the boot disk, in GB.
    """

    num_instances: int | None = None
    machine_type: str | None = None
    disk_type: str | None = None
    disk_size: int | None = None


@dataclass(frozen=True)
class StarlakeDataprocClusterConfig:
    """A cluster. What is not set is left to the options and their defaults.

    Attributes:
        cluster_id: the last part of its name.
        dataproc_name: the first part of its name.
        master_config, worker_config: the machines.
        idle_delete_ttl: the idle seconds after which Dataproc deletes it.
        single_node: whether the master works alone.
    """

    cluster_id: str | None = None
    dataproc_name: str | None = None
    master_config: StarlakeDataprocMachineConfig = StarlakeDataprocMachineConfig()
    worker_config: StarlakeDataprocMachineConfig = StarlakeDataprocMachineConfig()
    idle_delete_ttl: int | None = None
    single_node: bool = False

    def to_options(self) -> Mapping[str, Any]:
        """The equivalent options: ``options = {**options, **cluster.to_options()}``."""
        found = {
            "cluster_id": self.cluster_id,
            "dataproc_name": self.dataproc_name,
            "dataproc_idle_delete_ttl": self.idle_delete_ttl,
            "dataproc_num_workers": 0 if self.single_node else self.worker_config.num_instances,
        }
        for kind, machines in (("master", self.master_config), ("worker", self.worker_config)):
            for what in ("machine_type", "disk_type", "disk_size"):
                found[f"dataproc_{kind}_{what}"] = getattr(machines, what)
        return {name: value for name, value in found.items() if value is not None}
