"""Backfills of assets by the loop of Dagster's own daemon, whose runs are in this process."""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from dagster import AssetKey, DagsterInstance, DagsterRun, DagsterRunStatus, Definitions, RunsFilter
from dagster._core.execution.api import execute_run
from dagster._core.execution.backfill import BULK_ACTION_TERMINAL_STATUSES, PartitionBackfill
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.backfill import execute_backfill_iteration
from dagster._utils.hosted_user_process import recon_job_from_origin

try:
    from dagster._core.remote_origin import InProcessCodeLocationOrigin
except ImportError:  # Dagster 1.10
    from dagster._core.remote_representation.origin import InProcessCodeLocationOrigin

__all__ = ["GIVEN", "IN_PROCESS", "backfill"]

GIVEN: dict[str, Definitions] = {}
"""The definitions that the file of a code location has."""

IN_PROCESS: Any = {
    "run_coordinator": {"module": "dagster._core.run_coordinator", "class": "DefaultRunCoordinator"},
    "run_launcher": {"module": "dagster._core.test_utils", "class": "MockedRunLauncher"},
}
"""How an instance has to be set up, so that its runs are left to this process."""

# The module of this file may be imported under a name that a code location does not know.
FILE = "import sys\n\ndefs = sys.modules[{module!r}].GIVEN[{file!r}]\n"


def backfill(
    defs: Definitions, instance: DagsterInstance, folder: Path, keys: Sequence[AssetKey], partitions: Sequence[str]
) -> list[DagsterRun]:
    """Backfill partitions of assets, and return the runs, in their order.

    Args:
        defs: the code location.
        instance: made with :data:`IN_PROCESS`.
        folder: for the file of the code location.
        keys: of the assets.
        partitions: their keys.
    """
    file = str(folder / "location.py")
    GIVEN[file] = defs
    Path(file).write_text(FILE.format(module=__name__, file=file), encoding="utf-8")
    origin = InProcessCodeLocationOrigin(
        LoadableTargetOrigin(executable_path=sys.executable, python_file=file, working_directory=str(folder)),
        location_name="here",
    )
    target = InProcessWorkspaceLoadTarget(origin)
    with create_test_daemon_workspace_context(target, instance) as context:
        about: dict[str, Any] = {
            "backfill_id": "b",
            "asset_graph": context.create_request_context().asset_graph,
            "partition_names": list(partitions),
            "asset_selection": list(keys),
            "backfill_timestamp": datetime.now(timezone.utc).timestamp(),
            "tags": {},
            "dynamic_partitions_store": instance,
            "all_partitions": False,
            "title": None,
            "description": None,
            "run_config": None,
        }
        known = inspect.signature(PartitionBackfill.from_asset_partitions).parameters
        instance.add_backfill(
            PartitionBackfill.from_asset_partitions(**{name: about[name] for name in about if name in known})
        )
        while instance.get_backfill("b").status not in BULK_ACTION_TERMINAL_STATUSES:
            errors = [error for error in execute_backfill_iteration(context, logging.getLogger("daemon")) if error]
            assert not errors, errors
            for run in instance.get_runs(
                RunsFilter(statuses=[DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING])
            ):
                execute_run(recon_job_from_origin(run.job_code_origin), run, instance, raise_on_error=False)
    return sorted(instance.get_runs(), key=lambda run: int(instance.get_run_record_by_id(run.run_id).storage_id))
