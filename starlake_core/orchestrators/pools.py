"""Pools for tasks that must use a resource one at a time, for orchestrators that have pools."""

from __future__ import annotations

import os

from ..logs import get_logger
from ..model.graph import Task
from ..model.job import AUTOMATIC
from ..runtime import in_project, pool_of, resource_of

__all__ = ["DrawnResources"]

logger = get_logger(__name__)


class DrawnResources:
    """The resources of the tasks of a pipeline, as far as they are known when it is built, which is when an
    orchestrator must know its pools.

    The project is asked once for the loads of a domain and once for its transforms, because the answer is nearly always
    the same. If the project is not on this machine, nothing is known. In any case the worker asks again for each job.

    Args:
        source: the path of the pipeline file; may be empty.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._known: dict[tuple[str, str], str] = {}
        self._own: set[str] = set()

    def of(self, task: Task) -> str:
        """Return the resource of a task; empty for none.

        Args:
            task: a task of the pipeline.
        """
        job = task.job
        if job is None or not job.exclusive:
            return ""
        if job.exclusive != AUTOMATIC:
            return job.exclusive
        words = task.command.name if task.command is not None else "", task.domain
        if words not in self._known:
            job = in_project(job, self._source)
            root = (job.env.get("SL_ROOT") or os.environ.get("SL_ROOT") or "").removeprefix("file://")
            there = root and os.path.isdir(os.path.join(root, "metadata"))
            self._known[words] = resource_of(job) if there else ""
        return self._known[words]

    def pool(self, task: Task, default: str) -> str:
        """Return the pool of a task: its own pool, or that of its resource; empty for the default pool. If it has both,
        a warning is logged once.

        Args:
            task: a task of the pipeline.
            default: the name of the orchestrator's default pool.
        """
        own = task.pool if task.pool and task.pool != default else ""
        resource = self.of(task)
        if not own or not resource or own == pool_of(resource):
            return own or (pool_of(resource) if resource else "")
        if own not in self._own:
            self._own.add(own)
            logger.warning(
                "task %s has the pool '%s'; the pool '%s' would keep it apart from others that use %s. On one machine tasks wait for each other all "
                "the same; on several, give '%s' one slot, or leave it out",
                task.path,
                own,
                pool_of(resource),
                resource,
                own,
            )
        return own
