"""What ECS would refuse, reported when a pipeline is built."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlake_core import Limit

__all__ = ["LIMITS", "LONGEST_OVERRIDES", "Asked", "overrides_size"]

LONGEST_OVERRIDES = 8192
"""The number of characters that ECS allows for the overrides, as JSON."""

_API = "https://docs.aws.amazon.com/AmazonECS/latest/APIReference"
_GUIDE = "https://docs.aws.amazon.com/AmazonECS/latest/developerguide"
_IDS = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/resource-ids.html"

_SUBNET = re.compile(r"subnet-[0-9a-z]+")
_SECURITY_GROUP = re.compile(r"sg-[0-9a-z]+")
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-[0-9]+")
_TAG = re.compile(r"[\w +\-=.:/@]*")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_ARN = re.compile(r"arn:[\w-]+:ecs:\S+")
_REVISION = re.compile(r":[0-9]+")
_PLATFORM = re.compile(r"LATEST|[0-9]+\.[0-9]+\.[0-9]+")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(vcpu|gb|)\s*", re.IGNORECASE)

_MOST_SUBNETS, _MOST_GROUPS, _MOST_TAGS, _OWN_TAGS = 16, 5, 50, 2
_MOST_PROVIDERS, _MOST_WEIGHT, _MOST_BASE = 20, 1000, 100_000
_MOST_CONSTRAINTS, _MOST_STRATEGIES, _LONGEST_EXPRESSION = 10, 5, 2000
_STORAGE = (21, 200)
_SIZES: dict[int, Sequence[int]] = {
    256: (512, 1024, 2048),
    512: range(1024, 4096 + 1, 1024),
    1024: range(2048, 8192 + 1, 1024),
    2048: range(4096, 16_384 + 1, 1024),
    4096: range(8192, 30_720 + 1, 1024),
    8192: range(16_384, 61_440 + 1, 4096),
    16_384: range(32_768, 122_880 + 1, 8192),
}
"""Maps the CPU units of a task to the MiB of memory that it can have."""


@dataclass(frozen=True)
class Asked:
    """A request to ECS, with everything that a run can add.

    Attributes:
        region: the region of the cluster.
        request: the parameters of ``RunTask``.
    """

    region: str
    request: Mapping[str, Any]

    @property
    def network(self) -> Mapping[str, Any]:
        """Subnets, security groups and public address."""
        found: Mapping[str, Any] = self.request["networkConfiguration"]["awsvpcConfiguration"]
        return found

    @property
    def overrides(self) -> Mapping[str, Any]:
        """What the task overrides of its definition."""
        found: Mapping[str, Any] = self.request["overrides"]
        return found

    @property
    def tags(self) -> Mapping[str, str]:
        """Maps the names of tags to their values."""
        return {tag["key"]: tag.get("value", "") for tag in self.request["tags"]}

    @property
    def providers(self) -> Sequence[Mapping[str, Any]]:
        """The capacity providers, with their weights."""
        found: Sequence[Mapping[str, Any]] = self.request.get("capacityProviderStrategy", ())
        return found

    @property
    def on_fargate(self) -> bool:
        """Whether the sizes of Fargate apply: a launch type or a capacity provider may be another one."""
        names = [str(one.get("capacityProvider", "")) for one in self.providers]
        return self.request.get("launchType", "FARGATE") == "FARGATE" and all(
            name.startswith("FARGATE") for name in names
        )


Found = Iterator[Mapping[str, object]]


def overrides_size(overrides: Mapping[str, Any]) -> int:
    """The number of characters of the overrides, as ECS counts them.

    Args:
        overrides: the overrides of a request.
    """
    return len(json.dumps(overrides, separators=(",", ":")))


def _size(asked: Asked) -> Found:
    size = overrides_size(asked.overrides)
    if size > LONGEST_OVERRIDES:
        yield {"size": size}


def _names(asked: Asked) -> Iterator[str]:
    for container in asked.overrides["containerOverrides"]:
        for variable in container.get("environment", ()):
            yield variable.get("name", "")


def _no_names(asked: Asked) -> Found:
    yield from ({"name": name} for name in _names(asked) if not name or "=" in name or "\0" in name)


def _odd_names(asked: Asked) -> Found:
    for name in _names(asked):
        if name and "=" not in name and not _IDENTIFIER.fullmatch(name):
            yield {"name": name}


def _no_subnet(asked: Asked) -> Found:
    if not asked.network["subnets"]:
        yield {}


def _odd_ids(ids: Sequence[str], form: re.Pattern[str]) -> Found:
    wrong = [text for text in ids if not form.fullmatch(text)]
    if wrong:
        yield {"ids": ", ".join(map(repr, wrong))}


def _many(items: Sequence[object], most: int) -> Found:
    if len(items) > most:
        yield {"count": len(items)}


def _long_tags(asked: Asked) -> Found:
    for name, text in asked.tags.items():
        if not (0 < len(name) <= 128 and len(text) <= 256):
            yield {"name": name, "text": text}


def _reserved_tags(asked: Asked) -> Found:
    yield from ({"name": name} for name in asked.tags if name.lower().startswith("aws:"))


def _odd_tags(asked: Asked) -> Found:
    for name, text in asked.tags.items():
        if not (_TAG.fullmatch(name) and _TAG.fullmatch(text)):
            yield {"name": name, "text": text}


def _many_tags(asked: Asked) -> Found:
    if len(asked.tags) > _MOST_TAGS:
        yield {"count": len(asked.tags) - _OWN_TAGS}


def _odd_region(asked: Asked) -> Found:
    if not _REGION.fullmatch(asked.region):
        yield {"region": asked.region}


def _odd_cluster(asked: Asked) -> Found:
    name = asked.request["cluster"]
    if not _NAME.fullmatch(name) and not _ARN.fullmatch(name):
        yield {"name": name}


def _odd_definition(asked: Asked) -> Found:
    name = asked.request["taskDefinition"]
    family, colon, revision = name.partition(":")
    if _ARN.fullmatch(name) or (_NAME.fullmatch(family) and (not colon or _REVISION.fullmatch(colon + revision))):
        return
    yield {"name": name}


def _odd_containers(asked: Asked) -> Found:
    for container in asked.overrides["containerOverrides"]:
        if not _NAME.fullmatch(container["name"]):
            yield {"name": container["name"]}


def _odd_platform(asked: Asked) -> Found:
    version = asked.request.get("platformVersion", "LATEST")
    if not _PLATFORM.fullmatch(version):
        yield {"version": version}


def _two_launches(asked: Asked) -> Found:
    if asked.providers and "launchType" in asked.request:
        yield {"launch_type": asked.request["launchType"]}


def _odd_weights(asked: Asked) -> Found:
    for one in asked.providers:
        weight, base = one.get("weight", 0), one.get("base", 0)
        if not 0 <= weight <= _MOST_WEIGHT or not 0 <= base <= _MOST_BASE:
            yield {"provider": one.get("capacityProvider", ""), "weight": weight, "base": base}


def _no_weight(asked: Asked) -> Found:
    if len(asked.providers) > 1 and not any(one.get("weight", 0) for one in asked.providers):
        yield {"count": len(asked.providers)}


def _odd_storage(asked: Asked) -> Found:
    size = asked.overrides.get("ephemeralStorage", {}).get("sizeInGiB", _STORAGE[0])
    if not _STORAGE[0] <= size <= _STORAGE[1]:
        yield {"size": size}


def _units(text: Any, unit: str) -> int | None:
    """Parse CPU units or MiB from a string such as 1024, 1 vCPU or 2 GB; None if it is not one."""
    found = _SIZE.fullmatch(str(text))
    if found is None or found[2].lower() not in ("", unit):
        return None
    return int(float(found[1]) * 1024) if found[2] else int(float(found[1]))


def _odd_task_size(asked: Asked) -> Found:
    if not asked.on_fargate:
        return
    given = {name: asked.overrides.get(name) for name in ("cpu", "memory")}
    cpu, memory = _units(given["cpu"], "vcpu"), _units(given["memory"], "gb")
    memories = {one for sizes in _SIZES.values() for one in sizes}
    fits = (given["cpu"] is None or cpu in _SIZES) and (given["memory"] is None or memory in memories)
    if fits and cpu in _SIZES and memory is not None:
        fits = memory in _SIZES[cpu]
    if not fits:
        yield {"sizes": " and ".join(f"{name} {value!r}" for name, value in given.items() if value is not None)}


def _large_containers(asked: Asked) -> Found:
    if not asked.on_fargate:
        return
    task_cpu, task_memory = _units(asked.overrides.get("cpu"), "vcpu"), _units(asked.overrides.get("memory"), "gb")
    most = {"cpu": task_cpu or max(_SIZES), "memory": task_memory or max(_SIZES[max(_SIZES)])}
    for container in asked.overrides["containerOverrides"]:
        for name, limit in most.items():
            if container.get(name, 0) > limit:
                yield {"container": container["name"], "name": name, "value": container[name], "most": limit}


def _long_expressions(asked: Asked) -> Found:
    for one in asked.request.get("placementConstraints", ()):
        if len(one.get("expression", "")) > _LONGEST_EXPRESSION:
            yield {"count": len(one["expression"])}


def _service_tags(asked: Asked) -> Found:
    if asked.request.get("propagateTags") == "SERVICE":
        yield {}


LIMITS: tuple[Limit[Asked], ...] = (
    Limit(
        "subnets of a task",
        "at least 1",
        "option 'aws_task_private_subnets' of plugin 'fargate' is empty: a task on Fargate needs a subnet; write one or more, "
        "such as subnet-0123abcd,subnet-4567cdef",
        f"{_API}/API_AwsVpcConfiguration.html",
        _no_subnet,
    ),
    Limit(
        "ids of subnets, in aws_network_configuration too",
        "subnet- followed by letters and digits",
        "option 'aws_task_private_subnets' of plugin 'fargate' has {ids}; write a list of ids, or ids separated by commas, such as "
        "subnet-0123abcd,subnet-4567cdef",
        _IDS,
        lambda asked: _odd_ids(asked.network["subnets"], _SUBNET),
    ),
    Limit(
        "number of subnets, in aws_network_configuration too",
        f"at most {_MOST_SUBNETS}",
        f"option 'aws_task_private_subnets' of plugin 'fargate' has {{count}} ids; ECS allows at most {_MOST_SUBNETS}",
        f"{_API}/API_AwsVpcConfiguration.html",
        lambda asked: _many(asked.network["subnets"], _MOST_SUBNETS),
    ),
    Limit(
        "ids of security groups, in aws_network_configuration too",
        "sg- followed by letters and digits",
        "option 'aws_task_security_groups' of plugin 'fargate' has {ids}; write a list of ids, or ids separated by commas, such as sg-0123abcd",
        _IDS,
        lambda asked: _odd_ids(asked.network["securityGroups"], _SECURITY_GROUP),
    ),
    Limit(
        "number of security groups, in aws_network_configuration too",
        f"at most {_MOST_GROUPS}",
        f"option 'aws_task_security_groups' of plugin 'fargate' has {{count}} ids; ECS allows at most {_MOST_GROUPS}",
        f"{_API}/API_AwsVpcConfiguration.html",
        lambda asked: _many(asked.network["securityGroups"], _MOST_GROUPS),
    ),
    Limit(
        "length of a tag",
        "a name of 1 to 128 characters, a value of at most 256",
        "option 'aws_tags' of plugin 'fargate' has the tag {name!r}: {text!r}; a name has 1 to 128 characters, and a value at most 256",
        f"{_API}/API_Tag.html",
        _long_tags,
    ),
    Limit(
        "tag names",
        "not starting with aws:",
        "option 'aws_tags' of plugin 'fargate' has the tag {name!r}; names that start with aws: are reserved for AWS",
        f"{_API}/API_Tag.html",
        _reserved_tags,
    ),
    Limit(
        "characters of a tag",
        "letters, digits, spaces and + - = . _ : / @",
        "option 'aws_tags' of plugin 'fargate' has the tag {name!r}: {text!r}; AWS allows letters, digits, spaces and + - = . _ : / @",
        f"{_API}/API_Tag.html",
        _odd_tags,
    ),
    Limit(
        "number of tags",
        f"at most {_MOST_TAGS}, of which {_OWN_TAGS} name the task and the attempt",
        f"option 'aws_tags' of plugin 'fargate' has {{count}} tags; at most {_MOST_TAGS - _OWN_TAGS} are allowed",
        f"{_API}/API_RunTask.html",
        _many_tags,
    ),
    Limit(
        "region",
        "such as eu-west-3, in lower case",
        "option 'aws_region' of plugin 'fargate' is {region!r}, which is not an AWS region; write one such as eu-west-3",
        "https://docs.aws.amazon.com/general/latest/gr/rande.html",
        _odd_region,
    ),
    Limit(
        "overrides of a task",
        f"at most {LONGEST_OVERRIDES} characters of JSON",
        "its command and variables, with the longest names that a run can add to them, are {size} characters as JSON, and ECS allows "
        f"{LONGEST_OVERRIDES}; set variables that never change in the task definition instead of sl_env_var",
        f"{_API}/API_RunTask.html",
        _size,
    ),
    Limit(
        "name of a variable",
        "at least one character, and no =",
        "{name!r} is not a valid name for a variable; correct it in sl_env_var or aws_run_task",
        "https://pubs.opengroup.org/onlinepubs/9699919799/basedefs/V1_chap08.html",
        _no_names,
    ),
    Limit(
        "name of a variable, for programs",
        "letters without accents, digits and _, not starting with a digit",
        "variable {name!r} may not reach the program in the container, because shells drop such names; a name such as MY_VARIABLE is safe",
        "",
        _odd_names,
    ),
    Limit(
        "cluster name",
        "up to 255 letters, digits, - and _, or an ARN",
        "{name!r} is not a valid cluster name; set aws_cluster_name to one that aws ecs list-clusters shows",
        f"{_API}/API_CreateCluster.html",
        _odd_cluster,
    ),
    Limit(
        "task definition name",
        "a family of up to 255 letters, digits, - and _, optionally with : and a revision, or an ARN",
        "{name!r} is not a valid task definition; set aws_task_definition_name to one that aws ecs list-task-definitions shows",
        f"{_API}/API_RegisterTaskDefinition.html",
        _odd_definition,
    ),
    Limit(
        "name of a container",
        "up to 255 letters, digits, - and _",
        "{name!r} is not a valid container name; set aws_task_definition_container_name (or name in aws_run_task) to one that aws ecs "
        "describe-task-definition --task-definition NAME shows",
        f"{_API}/API_ContainerDefinition.html",
        _odd_containers,
    ),
    Limit(
        "platform version",
        "LATEST, or a version such as 1.4.0",
        "{version!r} is not a platform version; set aws_platform_version to 1.4.0, or remove it",
        f"{_GUIDE}/platform-fargate.html",
        _odd_platform,
    ),
    Limit(
        "launch type and capacity providers",
        "only one of the two",
        "there are capacity providers and the launch type {launch_type}; remove launchType from aws_run_task, or remove aws_capacity_provider and "
        "capacityProviderStrategy",
        f"{_API}/API_RunTask.html",
        _two_launches,
    ),
    Limit(
        "number of capacity providers",
        f"at most {_MOST_PROVIDERS}",
        "{count} capacity providers in aws_run_task; remove some",
        f"{_API}/API_RunTask.html",
        lambda asked: _many(asked.providers, _MOST_PROVIDERS),
    ),
    Limit(
        "weight and base of a capacity provider",
        f"0 to {_MOST_WEIGHT}, and 0 to {_MOST_BASE}",
        "the capacity provider {provider} has weight {weight} and base {base}; correct capacityProviderStrategy in aws_run_task",
        f"{_API}/API_CapacityProviderStrategyItem.html",
        _odd_weights,
    ),
    Limit(
        "weights of several capacity providers",
        "at least one greater than 0",
        "{count} capacity providers, and none has a weight; set a weight for one in capacityProviderStrategy of aws_run_task",
        f"{_API}/API_CapacityProviderStrategyItem.html",
        _no_weight,
    ),
    Limit(
        "ephemeral storage",
        f"{_STORAGE[0]} to {_STORAGE[1]} GiB; the default is 20",
        "the ephemeral storage is {size} GiB; correct overrides.ephemeralStorage.sizeInGiB in aws_run_task",
        f"{_API}/API_EphemeralStorage.html",
        _odd_storage,
    ),
    Limit(
        "size of a task",
        "one that Fargate offers, such as cpu '1024' with memory '2048' to '8192' in steps of 1024",
        "Fargate does not offer a task with {sizes}; correct overrides.cpu and overrides.memory in aws_run_task",
        f"{_GUIDE}/task-cpu-memory-error.html",
        _odd_task_size,
    ),
    Limit(
        "size of a container",
        "at most that of its task, and of the largest task: 16384 CPU units and 122880 MiB",
        "container {container!r} requests {name} {value}, but the task has at most {most}; lower the option {name}, or raise overrides.{name} in "
        "aws_run_task",
        f"{_GUIDE}/task-cpu-memory-error.html",
        _large_containers,
    ),
    Limit(
        "placement constraints",
        f"at most {_MOST_CONSTRAINTS}",
        "{count} placementConstraints in aws_run_task; remove some",
        f"{_API}/API_RunTask.html",
        lambda asked: _many(asked.request.get("placementConstraints", ()), _MOST_CONSTRAINTS),
    ),
    Limit(
        "expression of a placement constraint",
        f"at most {_LONGEST_EXPRESSION} characters",
        "an expression of placementConstraints in aws_run_task has {count} characters; shorten it",
        f"{_API}/API_PlacementConstraint.html",
        _long_expressions,
    ),
    Limit(
        "placement strategy",
        f"at most {_MOST_STRATEGIES} rules",
        "{count} rules in placementStrategy of aws_run_task; remove some",
        f"{_API}/API_RunTask.html",
        lambda asked: _many(asked.request.get("placementStrategy", ()), _MOST_STRATEGIES),
    ),
    Limit(
        "propagation of tags",
        "TASK_DEFINITION or NONE",
        "propagateTags in aws_run_task is SERVICE, which only applies to services; write TASK_DEFINITION",
        f"{_API}/API_RunTask.html",
        _service_tags,
    ),
)
"""In the order in which they are reported."""
