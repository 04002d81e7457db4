"""Your own orchestrator, in the documented steps: a job, an orchestration, their registration, and a pipeline that runs.

The orchestrator is a list of program calls. ``python extending.py`` runs it.
"""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

from ai.starlake.common import sanitize_id
from ai.starlake.job import IStarlakeJob, StarlakeExecutionEnvironment, StarlakeJobFactory
from ai.starlake.orchestration import (
    AbstractOrchestration,
    AbstractPipeline,
    AbstractTaskGroup,
    OrchestrationFactory,
    StarlakeDomain,
    StarlakeSchedule,
    StarlakeTable,
)


@dataclass
class Call:
    """A task of this orchestrator: one call of the command line, after those before it."""

    task_id: str
    command_arguments: list
    params: dict = field(default_factory=dict)
    after: list = field(default_factory=list)

    def __rshift__(self, other: "Call") -> "Call":
        other.after.append(self.task_id)
        return other


class CallsJob(IStarlakeJob):
    def sl_orchestrator(cls) -> str:
        return "calls"

    def sl_execution_environment(cls) -> str:
        return "shell"

    def sl_job(self, task_id: str, arguments: list, spark_config=None, **kwargs: Any) -> Call:
        return Call(task_id=task_id, command_arguments=arguments, **kwargs)

    def sl_load(self, task_id: str, domain: str, table: str, spark_config=None, **kwargs: Any) -> Call:
        params = {**kwargs.pop("params", {}), "sizing": spark_config.memory}
        return super().sl_load(task_id, domain, table, spark_config, params=params, **kwargs)


class CallsPipeline(AbstractPipeline):
    def run(self, program: list) -> None:
        for call in self.dag.tasks.values():
            if call.command_arguments:
                date = [
                    word.replace("${sl_scheduled_date}", "2026-11-02T00:00:00.000+0000")
                    for word in call.command_arguments
                ]
                subprocess.run([*program, *date], check=True)


class CallsGroup(AbstractTaskGroup):
    pass


class CallsOrchestration(AbstractOrchestration):
    def sl_orchestrator(cls) -> str:
        return "calls"

    def sl_create_pipeline(self, schedule=None, dependencies=None, **kwargs: Any) -> AbstractPipeline:
        return CallsPipeline(self.job, schedule=schedule, dependencies=dependencies, orchestration=self, **kwargs)

    def sl_create_task_group(self, group_id: str, pipeline: AbstractPipeline, **kwargs: Any) -> AbstractTaskGroup:
        return CallsGroup(name=group_id, pipeline=pipeline, **kwargs)


StarlakeJobFactory.register_job(CallsJob)
OrchestrationFactory.register_orchestration(CallsOrchestration)

schedule = StarlakeSchedule(
    name="daily",
    cron="0 0 * * *",
    domains=[StarlakeDomain(name="starbake", tables=[StarlakeTable(name="customers"), StarlakeTable(name="products")])],
)

sl_job = StarlakeJobFactory.create_job(
    filename=os.path.basename(__file__),
    module_name=f"{__name__}",
    orchestrator="calls",
    execution_environment=StarlakeExecutionEnvironment.SHELL,
    options={},
)

with (
    OrchestrationFactory.create_orchestration(job=sl_job) as orchestration,
    orchestration.sl_create_pipeline(schedule=schedule) as pipeline,
):
    start = pipeline.start_task()

    def load_domain(domain: StarlakeDomain) -> AbstractTaskGroup:
        with orchestration.sl_create_task_group(group_id=sanitize_id(domain.name), pipeline=pipeline) as group:
            stage = pipeline.sl_import(f"import_{domain.name}", domain.name, {table.name for table in domain.tables})
            with orchestration.sl_create_task_group(f"load_{domain.name}", pipeline=pipeline) as loads:
                for table in domain.tables:
                    pipeline.sl_load(
                        task_id=sanitize_id(f"load_{domain.name}_{table.name}"),
                        domain=domain.name,
                        table=table.name,
                        spark_config=pipeline.sl_spark_config(f"{domain.name}.{table.name}".lower()),
                        params={"cron": schedule.cron},
                    )
            stage >> loads
        return group

    domains = [load_domain(domain) for domain in schedule.domains]
    start >> domains
    end = pipeline.end_task()
    end << domains

if __name__ == "__main__":
    pipeline.run([sys.executable, "-m", "starlake_core_duckdb"])
