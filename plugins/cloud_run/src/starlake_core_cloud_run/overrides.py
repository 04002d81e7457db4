"""Reads and checks the user's ``RunJobRequest.Overrides``, and merges them with what the plugin itself sends."""

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
    """Part of the document cannot be read."""


def read_overrides(document: Mapping[str, Any], container: str) -> tuple[dict[str, Any], list[str], bool]:
    """Read the user's document.

    Args:
        document: with names as in the REST reference (``taskCount``) or the SDK (``task_count``).
        container: the container that runs Starlake; empty if the job has only one.

    Returns:
        The document with the names of the SDK, and with mappings by name in place of lists of containers and variables, so that secret
        variables are masked by their names; the problems; and whether the SDK was there to check it.
    """
    problems = _refusals(document)
    try:
        return _by_name(_fields(document, ""), container), problems or [], problems is not None
    except _Wrong as error:
        return {}, problems or [f"{_OPTION}: {error}"], problems is not None


def _refusals(document: Mapping[str, Any]) -> list[str] | None:
    """What the SDK's message does not accept; None if the SDK is not installed."""
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
        return [f"{_OPTION}: {said}; see the fields at {_REFERENCE}"]
    return []


def _fields(value: Any, where: str) -> Any:
    """A document with the field names of the SDK."""
    if isinstance(value, Mapping):
        made: dict[str, Any] = {}
        for name, item in value.items():
            field = _HUMP.sub(lambda found: f"_{found[0].lower()}", name)
            if field in made:
                raise _Wrong(f"{where}{name} is given twice, under its REST name and its SDK name; remove one")
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
    """A list of named items, as a mapping."""
    made: dict[str, dict[str, Any]] = {}
    for item in items if isinstance(items, list) else [None]:
        if not isinstance(item, Mapping):
            raise _Wrong(f"{where} must be a list of mappings")
        name = item.get("name") or default
        if name in made:
            raise _Wrong(f"{where} has {name!r} twice; remove one")
        made[name] = {field: value for field, value in item.items() if field != "name"}
    return made


def _duration(text: Any) -> dict[str, int]:
    found = _SECONDS.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise _Wrong(f"{text!r} is not a valid timeout; use seconds followed by s, such as '3600s'")
    return {"seconds": int(found[1]), "nanos": int((found[2] or "").ljust(9, "0"))}


def merge_overrides(
    own: Mapping[str, Any], given: Mapping[str, Any], container: str
) -> tuple[dict[str, Any], list[str]]:
    """Merge the user's overrides with ours; ours win.

    Args:
        own: our overrides of one container, in the form of the SDK.
        given: the result of :func:`read_overrides`.
        container: the container that runs Starlake; empty if the job has only one.

    Returns:
        The overrides in the form of the SDK, and a sentence for each value that both set differently.
    """
    mine = _by_name(own, container)
    mine["container_overrides"][container].setdefault("clear_args", False)
    merged, conflicts = merge_under(mine, given)
    names = dict.fromkeys((container, *merged["container_overrides"]))
    merged["container_overrides"] = [_container(name, merged["container_overrides"][name]) for name in names]
    return merged, [f"{_OPTION} has {path}, which {_owner(path, container)}; remove it" for path in conflicts]


def _container(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """An override in the form of the SDK."""
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
    """What already sets a value that the user sets too."""
    variable = path.removeprefix(f"container_overrides.{container}.env.")
    if variable != path:
        return (
            "names the attempt" if variable.startswith("SL_RUN_") else f"belongs to the option sl_env_var ({variable})"
        )
    if path.startswith("container_overrides"):
        return "is the Starlake command of the task"
    return f"belongs to the option cloud_run_task_{'count' if path == 'task_count' else 'timeout'}, which is given too"
