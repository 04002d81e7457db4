"""Asks a database in a process of its own, so that a query can be stopped, and a driver that crashes stops nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from starlake_core import Job, RunKey
from starlake_core.processes.runner import python_module, worker_environment
from starlake_core.runtime import Outcome, ProcessRunner, Status, Verdict, mask_text

from .ask import NOT_READY, PARAMETERS_VARIABLE, SQL_VARIABLE, URL_VARIABLE

__all__ = ["NAME", "QueryRunner"]

NAME = "query"
_ALL = ("*",)


class QueryRunner(ProcessRunner):
    """Runs the queries of checks, each in a process that ends with the answer."""

    def __init__(self) -> None:
        super().__init__(lambda job: python_module("starlake_core_query.ask"), _environment)

    def submit(self, job: Job, key: RunKey) -> str:
        """Start to ask. The answer is the exit code, so the process is none of Starlake's checks, whose exit code 1 is
        in doubt."""
        return super().submit(replace(job, check=False), key)

    def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
        """Return the states of queries; *not ready* says why."""
        return {handle: self._answered(handle, status) for handle, status in super().poll(handles).items()}

    def _answered(self, handle: str, status: Status) -> Status:
        outcome = status.outcome
        if outcome is None or outcome.verdict is not Verdict.FAILED:
            return status
        lines = [line for line in self.logs(handle, None)[0] if line.strip()]
        last = lines[-1] if lines else ""
        if outcome.exit_code == NOT_READY:
            return replace(status, outcome=Outcome(Verdict.NOT_READY, outcome.exit_code, last))
        return replace(status, outcome=replace(outcome, reason=last or outcome.reason))

    def describe(self, job: Job) -> str:
        """Return the query as a comment of the shell.

        Args:
            job: the bound job.
        """
        where = "the database of query_url" if job.spec["secret_url"] else f"the database of {URL_VARIABLE}"
        parameters = json.dumps(job.spec["parameters"], ensure_ascii=False)
        return f"# in {job.environment}: ask {where}: {mask_text(' '.join(job.spec['sql'].split()))} with {parameters}"


def _environment(job: Job) -> dict[str, str]:
    # A driver may need any variable of the worker (certificates, a wallet, the profile of a cloud).
    own = {SQL_VARIABLE: job.spec["sql"], PARAMETERS_VARIABLE: json.dumps(job.spec["parameters"])}
    url = {URL_VARIABLE: job.spec["secret_url"]} if job.spec["secret_url"] else {}
    return {**worker_environment(_ALL), **job.env, **url, **own}
