"""The options of the environment ``fargate``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from starlake_core import BOOL, CSV, DURATION, JSON_MAP, STR, Integer, OneOf, OptionGroup, Seconds, option

__all__ = ["FargateOptions", "problems"]

_SUBNET = re.compile(r"subnet-[0-9a-z]+")
_SECURITY_GROUP = re.compile(r"sg-[0-9a-z]+")
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-[0-9]+")
_TAG = re.compile(r"[\w +\-=.:/@]*")
_MOST_SUBNETS, _MOST_GROUPS, _MOST_TAGS = 16, 5, 48

_INTERVAL = Seconds(math.ulp(0.0), "seconds, or a number with s, m, h or d, greater than 0", name="duration")


class FargateOptions(OptionGroup):
    """Which task is run and where, how it is waited for, and what is accepted from earlier generators."""

    aws_cluster_name: str = option(STR, required=True, doc="ECS cluster: its name or ARN.")
    aws_task_definition_name: str = option(
        STR, required=True, doc="Task definition with the Starlake image: family, family:revision or ARN."
    )
    aws_task_definition_container_name: str = option(
        STR, required=True, doc="Container of the task definition that runs Starlake."
    )
    aws_task_private_subnets: tuple[str, ...] = option(CSV, (), doc="Subnets of the tasks; at least one.")
    aws_task_security_groups: tuple[str, ...] = option(
        CSV, (), doc="Security groups of the tasks; those of the VPC by default."
    )
    aws_assign_public_ip: str = option(
        OneOf("DISABLED", "ENABLED"),
        "DISABLED",
        doc="A public address for the tasks, which they need in a subnet without NAT or VPC endpoints.",
    )
    cpu: int = option(Integer(1), 1024, doc="CPU units of the container; no more than the task definition has.")
    memory: int = option(Integer(4), 2048, doc="MiB of memory of the container; no more than the task definition has.")
    aws_region: str = option(STR, "eu-west-3", doc="Region of the cluster.")
    aws_profile: str = option(
        STR,
        "default",
        doc="Profile of the worker's AWS configuration; 'default' is the usual chain of variables, files and roles.",
    )
    aws_conn_id: str | None = option(
        STR,
        env="",
        doc="Connection with the credentials, where the orchestrator keeps connections; not used elsewhere.",
    )
    aws_endpoint_url: str | None = option(
        STR,
        doc="Address of all AWS services, for an emulator; the worker's AWS_ENDPOINT_URL_ECS and its like name one service each.",
    )
    aws_tags: dict[str, Any] = option(JSON_MAP, {}, doc="Further tags of the tasks.")
    aws_platform_version: str | None = option(STR, doc="Platform version of Fargate; the latest by default.")
    aws_capacity_provider: str | None = option(
        STR, doc="Capacity provider in place of the launch type FARGATE, such as FARGATE_SPOT."
    )
    fargate_async: bool = option(BOOL, True, doc="Wait without a worker where the orchestrator can.")
    fargate_async_poke_interval: float = option(_INTERVAL, 30.0, doc="Time between two looks at the tasks.")
    fargate_follow_logs: bool = option(
        BOOL, False, doc="Read the output while a task runs; otherwise the end of it after a failure."
    )
    fargate_missing_grace: int = option(
        DURATION,
        60,
        doc="How long ECS may not know a task before it is lost: what was just started takes a moment to be seen.",
    )
    retry_on_failure: bool = option(
        BOOL,
        False,
        effective=False,
        doc="A failed pre-load always fails, and retries says how often it is tried again.",
    )
    retry_delay_in_seconds: int | None = option(
        DURATION,
        env="",
        doc="Another name of retry_delay, from earlier generators; retry_delay wins where both are given.",
    )
    aws_sdk: str = option(STR, "/usr/local/aws-cli", name="AWS_SDK", effective=False, doc="No command line is used.")


def problems(fargate: FargateOptions) -> list[str]:
    """What is wrong with values in a way that no kind of option can tell.

    Args:
        fargate: the options of a task.
    """
    subnets, groups = fargate.aws_task_private_subnets, fargate.aws_task_security_groups
    found = [
        *_ids("aws_task_private_subnets", subnets, _SUBNET, "subnet-0123abcd,subnet-4567cdef", _MOST_SUBNETS),
        *_ids("aws_task_security_groups", groups, _SECURITY_GROUP, "sg-0123abcd", _MOST_GROUPS),
        *_tags(fargate.aws_tags),
    ]
    if not subnets:
        found.append(
            "option 'aws_task_private_subnets' of plugin 'fargate' is empty: a task on Fargate needs a subnet; write "
            "subnet-0123abcd,subnet-4567cdef"
        )
    if not _REGION.fullmatch(fargate.aws_region):
        found.append(
            f"option 'aws_region' of plugin 'fargate' is {fargate.aws_region!r}, which is not an AWS region; write one such as eu-west-3"
        )
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
            f"option 'aws_endpoint_url' of plugin 'fargate' is {url!r}; an address begins with http:// or https://"
        )
    return found


def _ids(name: str, ids: Sequence[str], form: re.Pattern[str], example: str, most: int) -> list[str]:
    wrong = [text for text in ids if not form.fullmatch(text)]
    if wrong:
        return [
            f"option '{name}' of plugin 'fargate' has {', '.join(map(repr, wrong))}; it is a list of ids, or ids separated by commas: {example}"
        ]
    if len(ids) > most:
        return [f"option '{name}' of plugin 'fargate' has {len(ids)} ids; ECS allows {most}"]
    return []


def _tags(tags: Mapping[str, Any]) -> list[str]:
    found = []
    for name, value in tags.items():
        text = "" if isinstance(value, (dict, list)) else str(value)
        if isinstance(value, (dict, list)) or not (0 < len(name) <= 128 and len(text) <= 256):
            found.append(f"has the tag {name!r}: {value!r}; a name has 1 to 128 characters and a text of at most 256")
        elif name.lower().startswith("aws:"):
            found.append(f"has the tag {name!r}; names that begin with aws: belong to AWS")
        elif not (_TAG.fullmatch(name) and _TAG.fullmatch(text)):
            found.append(f"has the tag {name!r}: {value!r}; AWS allows letters, digits, spaces and + - = . _ : / @")
    if len(tags) > _MOST_TAGS:
        found.append(f"has {len(tags)} tags; there is room for {_MOST_TAGS}")
    return [f"option 'aws_tags' of plugin 'fargate' {problem}" for problem in found]
