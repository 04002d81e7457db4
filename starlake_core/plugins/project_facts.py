"""What the project says about a job, according to the reader of projects that is installed in the worker."""

from __future__ import annotations

import functools
import os

from ..errors import PluginError
from ..logs import get_logger
from ..model.facts import ProjectFacts
from ..model.job import Job
from . import Plugins, installed

__all__ = ["facts_of", "readers"]

logger = get_logger(__name__)


@functools.cache
def readers() -> Plugins:
    """Return the readers of projects that are installed."""
    plugins = Plugins()
    for plugin in installed("project"):
        try:
            plugins.add("project", plugin.name)
        except PluginError as error:
            logger.warning("the reader of projects cannot be loaded: %s", error)
    return plugins


def facts_of(job: Job) -> ProjectFacts | None:
    """Return what the project says about the work of a job.

    Args:
        job: the bound job, with the project as SL_ROOT if it is known.

    Returns:
        None if no reader of projects is installed, the project is not on this machine, or it cannot be read. The last
        case causes a warning.
    """
    environ = {**os.environ, **job.env}
    try:
        return readers().read_facts(job, environ)
    except (
        Exception
    ) as error:  # a fault of the reader or the project must not fail a run that Starlake itself may accept
        logger.warning("the project %s cannot be read here: %s", environ.get("SL_ROOT", ""), error)
        return None
