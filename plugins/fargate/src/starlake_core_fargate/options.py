"""The options of the environment ``fargate``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from starlake_core import BOOL, CSV, DOCUMENT, DURATION, JSON_MAP, STR, Integer, OneOf, OptionGroup, Seconds, option

__all__ = ["FargateOptions", "problems"]

_DEFINITION = "It is set in the task definition; write "
_CONTAINER = "in containerDefinitions[] of TASK.json, then type: aws ecs register-task-definition --cli-input-json file://TASK.json"
_CREDENTIALS = (
    "Credentials cannot be options, because pipelines are displayed; use a role of the worker, boto3's environment variables on the worker, or "
    "aws_profile: 'PROFILE'"
)
_NOT_MODELLED = {
    "capacity_provider_strategy": "{'capacityProviderStrategy': [{'capacityProvider': 'FARGATE_SPOT', 'weight': 1}]}",
    "ebs_volumes": "{'volumeConfigurations': [{'name': 'data', 'managedEBSVolume': {'roleArn': 'ARN', 'sizeInGiB': 100}}]}",
    "enable_ecs_managed_tags": "{'enableECSManagedTags': True}",
    "enable_execute_command": "{'enableExecuteCommand': True}",
    "ephemeral_storage": "{'overrides': {'ephemeralStorage': {'sizeInGiB': 100}}}",
    "execution_role": "{'overrides': {'executionRoleArn': 'ARN'}}",
    "execution_role_arn": "{'overrides': {'executionRoleArn': 'ARN'}}",
    "group": "{'group': 'NAME'}",
    "launch_type": "{'launchType': 'EC2'}",
    "overrides": "{'overrides': {'taskRoleArn': 'ARN'}}",
    "placement_constraints": "{'placementConstraints': [{'type': 'distinctInstance'}]}",
    "placement_strategy": "{'placementStrategy': [{'type': 'spread', 'field': 'attribute:ecs.availability-zone'}]}",
    "propagate_tags": "{'propagateTags': 'TASK_DEFINITION'}",
    "task_cpu": "{'overrides': {'cpu': '2048', 'memory': '8192'}}",
    "task_execution_role_arn": "{'overrides': {'executionRoleArn': 'ARN'}}",
    "task_memory": "{'overrides': {'cpu': '2048', 'memory': '8192'}}",
    "task_role": "{'overrides': {'taskRoleArn': 'ARN'}}",
    "task_role_arn": "{'overrides': {'taskRoleArn': 'ARN'}}",
    "volume_configurations": "{'volumeConfigurations': [{'name': 'data', 'managedEBSVolume': {'roleArn': 'ARN', 'sizeInGiB': 100}}]}",
}
"""What the option aws_run_task sets, with an example of each."""
_EFS = "{'volumes': [{'name': 'data', 'efsVolumeConfiguration': {'fileSystemId': 'fs-ID'}}]} and mountPoints "
_LOGS = "logConfiguration: {'logDriver': 'awslogs', 'options': {'awslogs-group': 'GROUP', ...}} "
_OF_DEFINITION = {
    "architecture": "runtimePlatform: {'cpuArchitecture': 'ARM64'} ",
    "efs": _EFS,
    "efs_volumes": _EFS,
    "image": "image: 'IMAGE' ",
    "log_driver": _LOGS,
    "log_group": _LOGS,
    "log_stream_prefix": _LOGS,
    "logs_group": _LOGS,
    "logs_stream_prefix": _LOGS,
    "mount_points": _EFS,
    "secrets": "secrets: [{'name': 'DB_PASSWORD', 'valueFrom': 'ARN'}] ",
    "stop_timeout": "stopTimeout: 120 ",
    "volumes": _EFS,
}
_WRITE = {
    "access_key_id": _CREDENTIALS,
    "assume_role": _CREDENTIALS,
    "awslogs_group": f"{_DEFINITION}{_LOGS}{_CONTAINER}",
    "cluster": "Write aws_cluster_name: 'CLUSTER'",
    "container_name": "Write aws_task_definition_container_name: 'CONTAINER'",
    "cpu": "Write cpu: 1024 for the container, and aws_run_task: {'overrides': {'cpu': '2048', 'memory': '8192'}} for the task",
    "default_region": "Write aws_region: 'eu-west-3'",
    "environment": "Write sl_env_var: {'NAME': 'VALUE'}",
    "gpu": "Fargate has no GPUs; write aws_run_task: {'launchType': 'EC2', 'overrides': {'containerOverrides': [{'resourceRequirements': "
    "[{'type': 'GPU', 'value': '1'}]}]}}",
    "memory": "Write memory: 2048 for the container, and aws_run_task: {'overrides': {'cpu': '2048', 'memory': '8192'}} for the task",
    "secret_access_key": _CREDENTIALS,
    "security_groups": "Write aws_task_security_groups: 'sg-0123abcd'",
    "session_token": _CREDENTIALS,
    "spot": "Write aws_capacity_provider: 'FARGATE_SPOT'",
    "subnets": "Write aws_task_private_subnets: 'subnet-0123abcd,subnet-4567cdef'",
    "task_definition": "Write aws_task_definition_name: 'FAMILY'",
    "vpc": "It follows from the subnets; write aws_task_private_subnets: 'subnet-0123abcd,subnet-4567cdef'",
}

_INTERVAL = Seconds(math.ulp(0.0), "seconds, or a number with s, m, h or d, greater than 0", name="duration")


class FargateOptions(OptionGroup):
    """Which task runs where, how it is waited for, and what is accepted from earlier generators."""

    prefixes = ("aws_", "fargate_")
    elsewhere: ClassVar[Mapping[str, str]] = {
        f"{prefix}{name}": sentence
        for prefix in ("aws_", "fargate_")
        for name, sentence in {
            **{name: f"Write aws_run_task: {example}" for name, example in _NOT_MODELLED.items()},
            **{name: f"{_DEFINITION}{example}{_CONTAINER}" for name, example in _OF_DEFINITION.items()},
            **_WRITE,
        }.items()
    }

    aws_cluster_name: str = option(STR, required=True, doc="The ECS cluster: its name or ARN.")
    aws_task_definition_name: str = option(
        STR, required=True, doc="The task definition with the Starlake image: family, family:revision or ARN."
    )
    aws_task_definition_container_name: str = option(
        STR, required=True, doc="The container of the task definition that runs Starlake."
    )
    aws_task_private_subnets: tuple[str, ...] = option(CSV, (), doc="The subnets of the tasks; at least one.")
    aws_task_security_groups: tuple[str, ...] = option(
        CSV, (), doc="The security groups of the tasks. The default is the default group of the VPC."
    )
    aws_assign_public_ip: str = option(
        OneOf("DISABLED", "ENABLED"),
        "DISABLED",
        doc="Whether tasks get a public address, which they need in a subnet without NAT or VPC endpoints.",
    )
    cpu: int = option(Integer(1), 1024, doc="CPU units of the container; at most those of the task definition.")
    memory: int = option(Integer(4), 2048, doc="Memory of the container in MiB; at most that of the task definition.")
    aws_region: str = option(STR, "eu-west-3", doc="The region of the cluster.")
    aws_profile: str = option(
        STR,
        "default",
        doc="The profile of the worker's AWS configuration; 'default' means the usual chain of variables, files and roles.",
    )
    aws_conn_id: str | None = option(
        STR,
        env="",
        effective=False,
        doc="The orchestrator airflow reads it: the connection with the credentials. For other orchestrators, set aws_profile.",
    )
    aws_endpoint_url: str | None = option(
        STR,
        doc="The address of all AWS services, for an emulator. For a single service, set AWS_ENDPOINT_URL_ECS or a similar variable on the worker.",
    )
    aws_tags: dict[str, Any] = option(JSON_MAP, {}, doc="Further tags of the tasks.")
    aws_platform_version: str | None = option(STR, doc="The platform version of Fargate. The default is the latest.")
    aws_capacity_provider: str | None = option(
        STR, doc="A capacity provider in place of the launch type FARGATE, such as FARGATE_SPOT."
    )
    aws_run_task: dict[str, Any] = option(
        DOCUMENT,
        {},
        doc="Further parameters of RunTask: overrides of the task, capacityProviderStrategy, enableExecuteCommand and so on.",
    )
    aws_network_configuration: dict[str, Any] = option(
        DOCUMENT,
        {},
        doc="The network as in RunTask (awsvpcConfiguration), in place of the options for subnets, security groups and public address.",
    )
    fargate_async: bool = option(BOOL, True, doc="Wait without a worker, if the orchestrator can.")
    fargate_async_poke_interval: float = option(_INTERVAL, 30.0, doc="Time between two polls.")
    fargate_follow_logs: bool = option(
        BOOL, False, doc="Read the output while a task runs; otherwise only its end, after a failure."
    )
    fargate_missing_grace: int = option(
        DURATION,
        60,
        doc="How long ECS may not know a task before it counts as lost: a new task takes a moment to appear.",
    )
    retry_on_failure: bool = option(
        BOOL,
        False,
        effective=False,
        doc="A pre-load that crashes always fails; `retries` sets how often it is retried.",
    )
    retry_delay_in_seconds: int | None = option(
        DURATION,
        env="",
        doc="Another name for retry_delay, from earlier generators; retry_delay wins if both are set.",
    )
    aws_sdk: str = option(
        STR, "/usr/local/aws-cli", name="AWS_SDK", effective=False, doc="The command line is never called."
    )


def problems(fargate: FargateOptions) -> list[str]:
    """Problems of values that the types of the options cannot find.

    Args:
        fargate: the options of a task.
    """
    found = [
        f"option 'aws_tags' of plugin 'fargate' has the tag {name!r}: {value!r}; a name has 1 to 128 characters, and a value at most 256"
        for name, value in fargate.aws_tags.items()
        if isinstance(value, (dict, list))
    ]
    for name, value in (
        ("aws_cluster_name", fargate.aws_cluster_name),
        ("aws_task_definition_name", fargate.aws_task_definition_name),
        ("aws_task_definition_container_name", fargate.aws_task_definition_container_name),
    ):
        if not value.strip():
            found.append(f"option '{name}' of plugin 'fargate' is empty; name one that exists in ECS")
    url = fargate.aws_endpoint_url
    if url and not url.startswith(("http://", "https://")):
        found.append(
            f"option 'aws_endpoint_url' of plugin 'fargate' is {url!r}; write an address that starts with http:// or https://"
        )
    return found
