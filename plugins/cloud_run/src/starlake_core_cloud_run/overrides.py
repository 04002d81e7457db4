"""What a user gives of ``RunJobRequest.Overrides`` besides our options: how it is read, checked, and merged under what is sent in any case."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from starlake_core import merge_under
from starlake_core.logs import get_logger
from starlake_core.masking import mask_text

__all__ = ["merge_overrides", "read_overrides"]

logger = get_logger(__name__)

_OPTION = "option 'cloud_run_overrides' of plugin 'cloud_run'"
_REFERENCE = "https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.jobs/run#Overrides"
_HUMP = re.compile(r"(?<=[a-z0-9])[A-Z]")
_SECONDS = re.compile(r"([0-9]+)(?:\.([0-9]{1,9}))?s")


class _Wrong(Exception):
    """Something in the document cannot be read."""


def read_overrides(document: Mapping[str, Any], container: str) -> tuple[dict[str, Any], list[str], bool]:
    """Read the document of a user.

    Args:
        document: in the words of the REST reference (``taskCount``) or of the SDK (``task_count``).
        container: that runs Starlake; empty where the job has only one.

    Returns:
        The same in the words of the SDK, with mappings by name in place of lists of containers and variables, so that secrets among the
        variables are hidden by their names; what is wrong with it; and whether the SDK was there to check it.
    """
    problems = _refusals(document)
    try:
        return _by_name(_fields(document, ""), container), problems or [], problems is not None
    except _Wrong as error:
        return {}, problems or [f"{_OPTION}: {error}"], problems is not None


def _refusals(document: Mapping[str, Any]) -> list[str] | None:
    """What the message of the SDK does not take; None where it is not installed."""
    try:
        from google.cloud.run_v2 import RunJobRequest
        from google.protobuf import json_format
    except ImportError:
        logger.info("%s is checked by the worker: google-cloud-run is not installed here", _OPTION)
        return None
    try:
        json_format.ParseDict(dict(document), type(RunJobRequest.Overrides.pb(RunJobRequest.Overrides()))())
    except json_format.ParseError as error:
        said = mask_text(" ".join(str(error).split()).rstrip("."))
        return [f"{_OPTION}: {said}; it takes what {_REFERENCE} says"]
    return []


def _fields(value: Any, where: str) -> Any:
    """A document with the names of fields as the SDK writes them."""
    if isinstance(value, Mapping):
        made: dict[str, Any] = {}
        for name, item in value.items():
            field = _HUMP.sub(lambda found: f"_{found[0].lower()}", name)
            if field in made:
                raise _Wrong(
                    f"{where}{name} is there twice, as the REST reference and as the SDK write it; leave one out"
                )
            made[field] = _fields(item, f"{where}{name}.")
        return made
    return [_fields(item, where) for item in value] if isinstance(value, list) else value


def _by_name(overrides: Mapping[str, Any], container: str) -> dict[str, Any]:
    made = dict(overrides)
    if "timeout" in made and not isinstance(made["timeout"], Mapping):
        made["timeout"] = _duration(made["timeout"])
    if "container_overrides" in made:
        containers = _named(made["container_overrides"], "containerOverrides", container)
        for name, one in containers.items():
            if "env" in one:
                one["env"] = {
                    variable: item.get("value", "") if item.keys() <= {"value"} else item
                    for variable, item in _named(one["env"], f"env of container {name!r}", "").items()
                }
        made["container_overrides"] = containers
    return made


def _named(items: Any, where: str, default: str) -> dict[str, dict[str, Any]]:
    """A list of what has a name, as a mapping."""
    made: dict[str, dict[str, Any]] = {}
    for item in items if isinstance(items, list) else [None]:
        if not isinstance(item, Mapping):
            raise _Wrong(f"{where} is a list of mappings")
        name = item.get("name") or default
        if name in made:
            raise _Wrong(f"{where} has {name!r} twice; leave one out")
        made[name] = {field: value for field, value in item.items() if field != "name"}
    return made


def _duration(text: Any) -> dict[str, int]:
    found = _SECONDS.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise _Wrong(f"timeout is {text!r}; it is seconds and an s, such as '3600s'")
    return {"seconds": int(found[1]), "nanos": int((found[2] or "").ljust(9, "0"))}


def merge_overrides(
    own: Mapping[str, Any], given: Mapping[str, Any], container: str
) -> tuple[dict[str, Any], list[str]]:
    """What is sent: what a user gave, under what is ours.

    Args:
        own: overrides of one container, as the SDK takes them.
        given: as :func:`read_overrides` returns them.
        container: that runs Starlake; empty where the job has only one.

    Returns:
        The overrides as the SDK takes them, and a sentence for everything that both say in different ways.
    """
    mine = _by_name(own, container)
    mine["container_overrides"][container].setdefault("clear_args", False)
    merged, conflicts = merge_under(mine, given)
    names = dict.fromkeys((container, *merged["container_overrides"]))
    merged["container_overrides"] = [_container(name, merged["container_overrides"][name]) for name in names]
    return merged, [f"{_OPTION} has {path}, which {_owner(path, container)}; leave it out" for path in conflicts]


def _container(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """An override as the SDK takes it."""
    made = dict(values)
    if "env" in made:
        made["env"] = [
            {"name": variable, **(item if isinstance(item, Mapping) else {"value": item})}
            for variable, item in sorted(made["env"].items())
        ]
    if name:
        made["name"] = name
    return made


def _owner(path: str, container: str) -> str:
    """What says already what a user says too."""
    variable = path.removeprefix(f"container_overrides.{container}.env.")
    if variable != path:
        return (
            "names the attempt" if variable.startswith("SL_RUN_") else f"belongs to the option sl_env_var ({variable})"
        )
    if path.startswith("container_overrides"):
        return "is the Starlake command of the task"
    return f"belongs to the option cloud_run_task_{'count' if path == 'task_count' else 'timeout'}, which is given too"
