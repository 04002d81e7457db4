"""The hooks of the environment ``fargate``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from starlake_core import (
    BOOL,
    CSV,
    DURATION,
    JSON_MAP,
    STR,
    Command,
    Integer,
    Job,
    Kind,
    OneOf,
    Option,
    Options,
    OptionsError,
    hookimpl,
)
from starlake_core.identity import deployment_name
from starlake_core.run import short_hash
from starlake_core.runtime import Runner

from .request import LONGEST_OVERRIDES, largest_overrides

_SUBNET = re.compile(r"subnet-[0-9a-z]+")
_SECURITY_GROUP = re.compile(r"sg-[0-9a-z]+")
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-[0-9]+")
_TAG = re.compile(r"[\w +\-=.:/@]*")
_MOST_SUBNETS, _MOST_GROUPS, _MOST_TAGS = 16, 5, 48


def _read_seconds(value: Any) -> float:
    try:
        seconds = float(DURATION.read(value))
    except ValueError:
        seconds = float(value)
    if not 0 < seconds < float("inf"):
        raise ValueError
    return seconds


_SECONDS = Kind("duration", "seconds, or a number with s, m, h or d, greater than 0", _read_seconds)


@hookimpl
def sl_options() -> Sequence[Option]:
    return [
        Option("aws_cluster_name", STR, None, required=True, doc="ECS cluster: its name or ARN."),
        Option(
            "aws_task_definition_name",
            STR,
            None,
            required=True,
            doc="Task definition with the Starlake image: family, family:revision or ARN.",
        ),
        Option(
            "aws_task_definition_container_name",
            STR,
            None,
            required=True,
            doc="Container of the task definition that runs Starlake.",
        ),
        Option("aws_task_private_subnets", CSV, (), doc="Subnets of the tasks; at least one."),
        Option("aws_task_security_groups", CSV, (), doc="Security groups of the tasks; those of the VPC by default."),
        Option(
            "aws_assign_public_ip",
            OneOf("DISABLED", "ENABLED"),
            "DISABLED",
            doc="A public address for the tasks, which they need in a subnet without NAT or VPC endpoints.",
        ),
        Option("cpu", Integer(1), 1024, doc="CPU units of the container; no more than the task definition has."),
        Option("memory", Integer(4), 2048, doc="MiB of memory of the container; no more than the task definition has."),
        Option("aws_region", STR, "eu-west-3", doc="Region of the cluster."),
        Option(
            "aws_profile",
            STR,
            "default",
            doc="Profile of the worker's AWS configuration; 'default' is the usual chain of variables, files and roles.",
        ),
        Option(
            "aws_conn_id",
            STR,
            None,
            env="",
            doc="Connection with the credentials, where the orchestrator keeps connections; not used elsewhere.",
        ),
        Option(
            "aws_endpoint_url",
            STR,
            None,
            doc="Address of all AWS services, for an emulator; the worker's AWS_ENDPOINT_URL_ECS and its like name one service each.",
        ),
        Option("aws_tags", JSON_MAP, {}, doc="Further tags of the tasks."),
        Option("aws_platform_version", STR, None, doc="Platform version of Fargate; the latest by default."),
        Option(
            "aws_capacity_provider",
            STR,
            None,
            doc="Capacity provider in place of the launch type FARGATE, such as FARGATE_SPOT.",
        ),
        Option("fargate_async", BOOL, True, doc="Wait without a worker where the orchestrator can."),
        Option("fargate_async_poke_interval", _SECONDS, 30.0, doc="Time between two looks at the tasks."),
        Option(
            "fargate_follow_logs",
            BOOL,
            False,
            doc="Read the output while a task runs; otherwise the end of it after a failure.",
        ),
        Option(
            "fargate_missing_grace",
            DURATION,
            60,
            doc="How long ECS may not know a task before it is lost: what was just started takes a moment to be seen.",
        ),
        Option(
            "retry_on_failure",
            BOOL,
            False,
            doc="Without effect, for earlier options: a failed pre-load always fails, and retries says how often it is tried again.",
        ),
        Option(
            "retry_delay_in_seconds",
            DURATION,
            None,
            env="",
            doc="Another name of retry_delay, from earlier generators; retry_delay wins where both are given.",
        ),
        Option(
            "AWS_SDK", STR, "/usr/local/aws-cli", doc="Without effect, for earlier options: no command line is used."
        ),
    ]


@hookimpl
def sl_find_options(given: Mapping[str, Any]) -> Mapping[str, Any]:
    earlier = given.get("retry_delay_in_seconds")
    return {} if earlier is None else {"retry_delay": earlier}


@hookimpl
def sl_create_job(command: Command, options: Options) -> Job:
    _check(options)
    spec = {
        "cluster": options["aws_cluster_name"],
        "task_definition": options["aws_task_definition_name"],
        "container": options["aws_task_definition_container_name"],
        "subnets": list(options["aws_task_private_subnets"]),
        "security_groups": list(options["aws_task_security_groups"]),
        "assign_public_ip": options["aws_assign_public_ip"],
        "cpu": options["cpu"],
        "memory": options["memory"],
        "tags": {name: str(value) for name, value in options["aws_tags"].items()},
        "platform_version": options["aws_platform_version"] or "",
        "capacity_provider": options["aws_capacity_provider"] or "",
        # What the runner is made of; the endpoint names all of it.
        "service": {
            "region": options["aws_region"],
            "profile": options["aws_profile"],
            "cluster": options["aws_cluster_name"],
            "container": options["aws_task_definition_container_name"],
            "endpoint_url": options["aws_endpoint_url"] or "",
            "async": options["fargate_async"],
            "interval": options["fargate_async_poke_interval"],
            "follow_logs": options["fargate_follow_logs"],
            "missing_grace": options["fargate_missing_grace"],
        },
    }
    job = Job("fargate", command.vector, options["sl_env_var"], spec, _endpoint(spec["service"]))
    given, starlake_environment = options["deployment"] or "", options["sl_env_var"].get("SL_ENV", "")
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


def _check(options: Mapping[str, Any]) -> None:
    """What a kind of option cannot tell."""
    problems = [
        *_ids(options, "aws_task_private_subnets", _SUBNET, "subnet-0123abcd,subnet-4567cdef", _MOST_SUBNETS),
        *_ids(options, "aws_task_security_groups", _SECURITY_GROUP, "sg-0123abcd", _MOST_GROUPS),
        *_tags(options["aws_tags"]),
    ]
    if not options["aws_task_private_subnets"]:
        problems.append(
            "option 'aws_task_private_subnets' of plugin 'fargate' is empty: a task on Fargate needs a subnet; write "
            "subnet-0123abcd,subnet-4567cdef"
        )
    if not _REGION.fullmatch(options["aws_region"]):
        problems.append(
            f"option 'aws_region' of plugin 'fargate' is {options['aws_region']!r}, which is not an AWS region; write one such as eu-west-3"
        )
    for name in ("aws_cluster_name", "aws_task_definition_name", "aws_task_definition_container_name"):
        if not options[name].strip():
            problems.append(f"option '{name}' of plugin 'fargate' is empty; name one that exists in ECS")
    url = options["aws_endpoint_url"]
    if url and not url.startswith(("http://", "https://")):
        problems.append(
            f"option 'aws_endpoint_url' of plugin 'fargate' is {url!r}; an address begins with http:// or https://"
        )
    if problems:
        raise OptionsError(problems)


def _ids(options: Mapping[str, Any], name: str, form: re.Pattern[str], example: str, most: int) -> list[str]:
    wrong = [text for text in options[name] if not form.fullmatch(text)]
    if wrong:
        return [
            f"option '{name}' of plugin 'fargate' has {', '.join(map(repr, wrong))}; it is a list of ids, or ids separated by commas: {example}"
        ]
    if len(options[name]) > most:
        return [f"option '{name}' of plugin 'fargate' has {len(options[name])} ids; ECS allows {most}"]
    return []


def _tags(tags: Mapping[str, Any]) -> list[str]:
    problems = []
    for name, value in tags.items():
        text = "" if isinstance(value, (dict, list)) else str(value)
        if isinstance(value, (dict, list)) or not (0 < len(name) <= 128 and len(text) <= 256):
            problems.append(
                f"has the tag {name!r}: {value!r}; a name has 1 to 128 characters and a text of at most 256"
            )
        elif name.lower().startswith("aws:"):
            problems.append(f"has the tag {name!r}; names that begin with aws: belong to AWS")
        elif not (_TAG.fullmatch(name) and _TAG.fullmatch(text)):
            problems.append(f"has the tag {name!r}: {value!r}; AWS allows letters, digits, spaces and + - = . _ : / @")
    if len(tags) > _MOST_TAGS:
        problems.append(f"has {len(tags)} tags; there is room for {_MOST_TAGS}")
    return [f"option 'aws_tags' of plugin 'fargate' {problem}" for problem in problems]
