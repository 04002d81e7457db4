"""The hooks of the environment ``fargate``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from starlake_core import Command, GeneralOptions, Job, OptionGroup, Options, OptionsError, hookimpl
from starlake_core.identity import deployment_name
from starlake_core.run import short_hash
from starlake_core.runtime import Runner

from .options import FargateOptions, problems
from .request import LONGEST_OVERRIDES, largest_overrides


@hookimpl
def sl_options() -> Sequence[type[OptionGroup]]:
    return [FargateOptions]


@hookimpl
def sl_find_options(given: Mapping[str, Any]) -> Mapping[str, Any]:
    earlier = given.get("retry_delay_in_seconds")
    return {} if earlier is None else {"retry_delay": earlier}


@hookimpl
def sl_create_job(command: Command, options: Options) -> Job:
    fargate, general = options[FargateOptions], options[GeneralOptions]
    wrong = problems(fargate)
    if wrong:
        raise OptionsError(wrong)
    spec: dict[str, Any] = {
        "cluster": fargate.aws_cluster_name,
        "task_definition": fargate.aws_task_definition_name,
        "container": fargate.aws_task_definition_container_name,
        "subnets": list(fargate.aws_task_private_subnets),
        "security_groups": list(fargate.aws_task_security_groups),
        "assign_public_ip": fargate.aws_assign_public_ip,
        "cpu": fargate.cpu,
        "memory": fargate.memory,
        "tags": {name: str(value) for name, value in fargate.aws_tags.items()},
        "platform_version": fargate.aws_platform_version or "",
        "capacity_provider": fargate.aws_capacity_provider or "",
        # What the runner is made of; the endpoint names all of it.
        "service": {
            "region": fargate.aws_region,
            "profile": fargate.aws_profile,
            "cluster": fargate.aws_cluster_name,
            "container": fargate.aws_task_definition_container_name,
            "endpoint_url": fargate.aws_endpoint_url or "",
            "async": fargate.fargate_async,
            "interval": fargate.fargate_async_poke_interval,
            "follow_logs": fargate.fargate_follow_logs,
            "missing_grace": fargate.fargate_missing_grace,
        },
    }
    job = Job("fargate", command.vector, general.sl_env_var, spec, _endpoint(spec["service"]))
    given, starlake_environment = general.deployment or "", general.sl_env_var.get("SL_ENV", "")
    size = largest_overrides(job, lambda host: deployment_name(given, starlake_environment, host))
    if size > LONGEST_OVERRIDES:
        raise OptionsError(
            [
                f"task '{command.task_id}': its command and variables, with the longest names that a run can add to them, are {size} characters as "
                f"JSON, and ECS allows {LONGEST_OVERRIDES}; put variables that are always the same into the task definition instead of sl_env_var"
            ]
        )
    return job


@hookimpl
def sl_create_runner(job: Job) -> Runner:
    from .aws import Aws
    from .runner import FargateRunner

    service = job.spec["service"]
    return FargateRunner(service, Aws(service))


def _endpoint(service: Mapping[str, Any]) -> str:
    """One runner for all that is in here."""
    return f"ecs:{service['region']}/{service['cluster']}#{short_hash(json.dumps(service, sort_keys=True))}"
