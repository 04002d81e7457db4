"""A plugin full of mistakes. Each line that a type checker has to report ends with what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlake_core import (
    STR,
    Command,
    Integer,
    Job,
    OptionGroup,
    Options,
    Report,
    Run,
    RunKey,
    RunRequest,
    StarlakePipeline,
    TaskReport,
    option,
)
from starlake_core.plugins import Plugins
from starlake_core.runtime import AttemptInfo, Runner, Status


class AcmeOptions(OptionGroup):
    region: str = option(STR, required=True)
    retries: int = option(Integer(0), 1)
    zone: str | None = option(STR)
    size: str = option(Integer(0), 1)  # E: expression has type "int", variable has type "str"


def reads(options: Options) -> None:
    group = options[AcmeOptions]
    group.region.upper()
    group.retrys  # E: "AcmeOptions" has no attribute "retrys"
    group.retries.upper()  # E: "int" has no attribute "upper"
    group.zone.upper()  # E: Item "None" of "str | None" has no attribute "upper"


def calls(
    plugins: Plugins, pipeline: StarlakePipeline, request: RunRequest, command: Command, options: Options
) -> None:
    plugins.run_pipeline(pipeline, request)
    plugins.run_pipline(pipeline, request)  # E: "Plugins" has no attribute "run_pipline"
    plugins.run_pipeline(pipelin=pipeline, request=request)  # E: Unexpected keyword argument "pipelin"
    plugins.create_job(options, command)  # E: Argument 1 to "create_job" of "Plugins" has incompatible type "Options"
    plugins.create_job(command, options).env.append("x")  # E: has no attribute "append"


def reports(run: Run) -> None:
    Report(run.pipeline_id, run.run_id, state="sucess")  # E: Argument "state" to "Report" has incompatible type "str"
    TaskReport("t", "failed")  # E: Argument 2 to "TaskReport" has incompatible type "str"


class AcmeRunner(Runner):
    interval = "5"  # E: expression has type "str", base class "Runner" defined the type as "float"
    detached = "yes"  # E: expression has type "str", base class "Runner" defined the type as "bool"

    def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
        return ()

    def submit(self, job: Job, key: RunKey) -> int:  # E: Return type "int" of "submit" incompatible
        return 1

    def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
        return {}

    def cancel(self, handle: str) -> None: ...

    def tail(self, handle: str) -> str:  # E: Signature of "tail" incompatible with supertype
        return ""


runner = AcmeRunner()  # E: Cannot instantiate abstract class "AcmeRunner" with abstract attribute "logs"


def imports() -> object:
    from starlake_core.runtime import Runer  # E: Module "starlake_core.runtime" has no attribute "Runer"

    return Runer
