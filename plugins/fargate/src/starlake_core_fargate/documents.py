"""Reads and checks the user's parameters of ``RunTask``, and merges them with what the plugin itself sends."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from starlake_core import merge_under
from starlake_core.logs import get_logger
from starlake_core.masking import mask_text

__all__ = ["merge_request", "read_network", "read_run_task", "refusals"]

logger = get_logger(__name__)

_VALUE = re.compile(r", value: .*?(?=, type: |$)")
_RUN_TASK = "option 'aws_run_task' of plugin 'fargate'"
_NETWORK = "option 'aws_network_configuration' of plugin 'fargate'"
_OWNERS = {
    "capacityProviderStrategy": "belongs to the option aws_capacity_provider, which is set too; remove one of them",
    "clientToken": "is derived from the name of the attempt, and keeps it from starting twice; remove it",
    "cluster": "belongs to the option aws_cluster_name",
    "count": "is always 1, because an attempt is one task; remove it",
    "networkConfiguration": "belongs to the options aws_network_configuration, aws_task_private_subnets, aws_task_security_groups and "
    "aws_assign_public_ip",
    "platformVersion": "belongs to the option aws_platform_version, which is set too; remove one of them",
    "startedBy": "is the name by which attempts are found; remove it",
    "tags": "belongs to the option aws_tags, or names the task and the attempt",
    "taskDefinition": "belongs to the option aws_task_definition_name",
}
_OWNERS_OF_CONTAINER = {
    "command": "is the Starlake command of the task; remove it",
    "cpu": "belongs to the option cpu",
    "environment": "belongs to the option sl_env_var, or names the attempt",
    "memory": "belongs to the option memory",
}


def read_run_task(document: Mapping[str, Any], container: str) -> tuple[dict[str, Any], list[str]]:
    """Read the document of the option ``aws_run_task``.

    Args:
        document: the parameters of ``RunTask``, with AWS's names.
        container: the container that runs Starlake; an override without a name applies to it.

    Returns:
        The document with mappings by name in place of lists of containers, variables and tags, so that secret variables are masked by their
        names; and the problems.
    """
    problems: list[str] = []
    made = _by_name(document, container, problems)
    return made, [f"{_RUN_TASK}: {problem}" for problem in problems]


def _by_name(request: Mapping[str, Any], container: str, problems: list[str]) -> dict[str, Any]:
    made = dict(request)
    if "tags" in made:
        made["tags"] = _plain(_named(made["tags"], "tags", "key", "", problems))
    overrides = made.get("overrides")
    if isinstance(overrides, Mapping) and "containerOverrides" in overrides:
        containers = _named(overrides["containerOverrides"], "containerOverrides", "name", container, problems)
        for name, one in containers.items():
            if "environment" in one:
                where = f"environment of container {name!r}"
                one["environment"] = _plain(_named(one["environment"], where, "name", "", problems))
        made["overrides"] = {**overrides, "containerOverrides": containers}
    return made


def _named(items: Any, where: str, key: str, default: str, problems: list[str]) -> dict[str, dict[str, Any]]:
    """A list of named items, as a mapping."""
    made: dict[str, dict[str, Any]] = {}
    for item in items if isinstance(items, list) else [None]:
        if not isinstance(item, Mapping):
            problems.append(f"{where} must be a list of mappings, each with a {key}")
            continue
        name = str(item.get(key) or default)
        if name in made:
            problems.append(f"{where} has {name!r} twice; remove one")
        made[name] = {field: value for field, value in item.items() if field != key}
    return made


def _plain(named: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The values of variables or tags, which have nothing but a value."""
    return {name: item.get("value", "") if item.keys() <= {"value"} else item for name, item in named.items()}


def _listed(named: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    return [
        {key: name, **(item if isinstance(item, Mapping) else {"value": item})} for name, item in sorted(named.items())
    ]


def merge_request(own: Mapping[str, Any], given: Mapping[str, Any], container: str) -> tuple[dict[str, Any], list[str]]:
    """Merge the user's parameters with ours; ours win.

    Args:
        own: our parameters of ``RunTask``.
        given: the result of :func:`read_run_task`.
        container: the container that runs Starlake.

    Returns:
        The parameters, and a sentence for each value that both set differently.
    """
    merged, conflicts = merge_under(_by_name(own, container, []), given)
    containers = merged["overrides"]["containerOverrides"]
    listed = []
    for name in dict.fromkeys((container, *containers)):
        one = dict(containers[name])
        if "environment" in one:
            one["environment"] = _listed(one["environment"], "name")
        listed.append({"name": name, **one})
    merged["overrides"] = {**merged["overrides"], "containerOverrides": listed}
    if "tags" in merged:
        merged["tags"] = _listed(merged["tags"], "key")
    return merged, [f"{_RUN_TASK} has {path}, which {_owner(path, container)}" for path in conflicts]


def _owner(path: str, container: str) -> str:
    """What already sets a value that the user sets too."""
    of_container = path.removeprefix(f"overrides.containerOverrides.{container}.")
    if of_container != path:
        return _OWNERS_OF_CONTAINER.get(of_container.partition(".")[0], "starlake_core itself sets; remove it")
    return _OWNERS.get(path.partition(".")[0], "starlake_core itself sets; remove it")


def read_network(document: Mapping[str, Any], own: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The network of a task.

    Args:
        document: the option ``aws_network_configuration``: the ``awsvpcConfiguration`` of ``RunTask``, or a mapping that contains it.
        own: what other options set.

    Returns:
        The ``awsvpcConfiguration``, and the problems of the document.
    """
    inner = document.get("awsvpcConfiguration")
    given = inner if isinstance(inner, Mapping) and len(document) == 1 else document
    merged, conflicts = merge_under(own, given)
    options = {
        "subnets": "aws_task_private_subnets",
        "securityGroups": "aws_task_security_groups",
        "assignPublicIp": "aws_assign_public_ip",
    }
    problems = [
        f"{_NETWORK} has {path}, and so has the option {options[path]}; remove one of them" for path in conflicts
    ]
    for name in ("subnets", "securityGroups"):
        ids = merged.setdefault(name, [])
        if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
            problems.append(f"{_NETWORK}: {name} is {ids!r}; it must be a list of ids")
            merged[name] = []
    merged.setdefault("assignPublicIp", "DISABLED")
    return merged, problems


def refusals(request: Mapping[str, Any]) -> list[str] | None:
    """What the SDK does not accept of the parameters of ``RunTask``; None if it is not installed.

    Args:
        request: the parameters, with those of the user.
    """
    try:
        shape = _shape()
        from botocore.validate import ParamValidator
    except ImportError:
        logger.info("%s is checked by the worker: boto3 is not installed here", _RUN_TASK)
        return None
    told = ParamValidator().validate(request, shape)
    lines = told.generate_report().splitlines() if told.has_errors() else []
    return [
        f"{_RUN_TASK} or 'aws_network_configuration': {_without_secrets(line)}"
        for line in (*lines, *_no_words(request, shape, ""))
    ]


def _without_secrets(line: str) -> str:
    """A message of the SDK without the values of variables, because the SDK does not know which are secret."""
    return mask_text(_VALUE.sub("", line) if "environment" in line else line)


@functools.lru_cache(maxsize=1)
def _shape() -> Any:
    """The SDK's description of the parameters of ``RunTask``."""
    import botocore.loaders
    import botocore.model

    description = botocore.loaders.Loader().load_service_model("ecs", "service-2")
    return botocore.model.ServiceModel(description, "ecs").operation_model("RunTask").input_shape


def _no_words(value: Any, shape: Any, where: str) -> Iterator[str]:
    """Values that are not one of the allowed words, which the SDK leaves to the service to check."""
    if shape.type_name == "structure" and isinstance(value, Mapping):
        for name, item in value.items():
            if name in shape.members:
                yield from _no_words(item, shape.members[name], f"{where}.{name}".lstrip("."))
    elif shape.type_name == "list" and isinstance(value, Sequence) and not isinstance(value, str):
        for number, item in enumerate(value):
            yield from _no_words(item, shape.member, f"{where}[{number}]")
    elif shape.type_name == "string" and isinstance(value, str) and shape.enum and value not in shape.enum:
        yield f"Invalid value for parameter {where}, value: {value}, valid values: {', '.join(shape.enum)}"
