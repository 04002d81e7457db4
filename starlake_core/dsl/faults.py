"""Pipelines that cannot be built, although the others of the same file can."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..logs import get_logger
from ..model.facts import PipelineFault
from ..plugins import Plugins, choose
from .orchestration import current_overrides

__all__ = ["publish_faults"]

logger = get_logger(__name__)


def publish_faults(
    faults: Sequence[PipelineFault],
    *,
    orchestrator: Any = None,
    filename: str = "",
    namespace: dict[str, Any] | None = None,
) -> None:
    """Report pipelines that cannot be built, and let the others of the file load.

    On the command line, they are problems of the file. The orchestrator reports them in its own way, for example as import errors. If it has none,
    each is a warning.

    Args:
        faults: the pipelines, and what is wrong.
        orchestrator: as for :class:`Orchestration`.
        filename: the path of the pipeline file.
        namespace: the globals of the pipeline file.

    Raises:
        PluginError: the orchestrator cannot be used.
    """
    if not faults:
        return
    overrides = current_overrides()
    if overrides.faults is not None:
        overrides.faults.extend(faults)
        return
    plugins = Plugins()
    plugins.add("orchestrator", choose("orchestrator", overrides.orchestrator, orchestrator))
    if not plugins.publish_faults(faults, filename, {} if namespace is None else namespace):
        for fault in faults:
            logger.warning("%s cannot be built: %s", fault.pipeline, fault.message)
