"""Checks what a plugin is when it is selected: its hooks, their names, and the version of the hooks that it needs."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import PluginContractError, did_you_mean, near_miss
from .hookspecs import HOOKS_VERSION, HookSpecs
from .registry import installed

if TYPE_CHECKING:
    import pluggy

    from ..model.job import Job

__all__ = ["check_job", "check_plugin", "hooks_of"]

_REQUIRED: Mapping[str, tuple[str, ...]] = {
    "orchestrator": ("sl_create_task", "sl_create_task_group", "sl_create_pipeline"),
    "environment": ("sl_create_job", "sl_create_runner"),
    "project": (),
    "page": ("sl_create_page", "sl_serve_page"),
    "add-on": (),
}
_NEEDS = "needs_hooks"
_KNOWN = tuple(name for name in vars(HookSpecs) if name.startswith("sl_"))


def check_plugin(manager: pluggy.PluginManager, key: str, role: str, label: str) -> None:
    """Check a registered plugin.

    Args:
        manager: where it is registered.
        key: its name there.
        role: its role.
        label: its name, distribution and version.

    Raises:
        PluginContractError: it lacks a hook, misspells one, or needs another version of the hooks.
    """
    plugin = manager.get_plugin(key)
    _check_version(plugin, label)
    if inspect.isclass(plugin):
        raise PluginContractError(
            f"{label} is the class {plugin.__name__}; its entry point must name a module, or an object with the hooks as methods"
        )
    implemented = set(hooks_of(manager, plugin))
    for name in implemented - set(_KNOWN):
        if _is_optional(manager, plugin, name) and near_miss(name, _KNOWN) is None:
            continue
        hint = did_you_mean(name, _KNOWN) or (
            f" starlake-core has version {HOOKS_VERSION} of the hooks; if a newer one has it, mark it with "
            "@hookimpl(optionalhook=True), or require that version"
        )
        raise PluginContractError(f"{label} implements unknown hook {name}.{hint}")
    for name in _functions(plugin):
        if name in _KNOWN and name not in implemented:
            raise PluginContractError(f"{label} defines {name} without the @hookimpl marker; add it")
        near = near_miss(name, _KNOWN) if name not in implemented and name not in _KNOWN else None
        if near is not None:
            raise PluginContractError(f"{label} defines {name}, which is not a hook. Did you mean '{near}'?")
    for name in _REQUIRED[role]:
        if name not in implemented:
            raise PluginContractError(f"{label} does not implement {name}")


def check_job(job: Job, environment: str, hook: str, label: str) -> None:
    """Refuse a job whose environment a worker cannot load by its name.

    Args:
        job: the job that a hook returned.
        environment: the selected environment.
        hook: the hook.
        label: the plugin that returned it.

    Raises:
        PluginContractError: its environment is neither selected nor installed.
    """
    known = [environment, *(plugin.name for plugin in installed("environment"))]
    if job.environment not in known:
        raise PluginContractError(
            f"{label} returned from {hook} a Job of the environment '{job.environment}', which is neither selected nor installed; use "
            f"'{environment}', the name of its entry point.{did_you_mean(job.environment, known)}"
        )


def hooks_of(manager: pluggy.PluginManager, plugin: Any) -> list[str]:
    """Return the names of all functions of a plugin that are marked as hooks, whether or not there are such hooks.

    Args:
        manager: any manager of the core.
        plugin: the module or object.
    """
    return [name for name in dir(plugin) if manager.parse_hookimpl_opts(plugin, name) is not None]


def _is_optional(manager: pluggy.PluginManager, plugin: Any, name: str) -> bool:
    options = manager.parse_hookimpl_opts(plugin, name)
    return options is not None and options["optionalhook"]


def _functions(plugin: Any) -> list[str]:
    """Return the functions of a plugin whose names begin like those of hooks. Only a module is looked through for near
    misses, because the methods of an object may serve other purposes."""
    if inspect.ismodule(plugin):
        return [name for name in dir(plugin) if name.startswith("sl_") and inspect.isfunction(getattr(plugin, name))]
    return [name for name in _KNOWN if callable(getattr(plugin, name, None))]


def _check_version(plugin: Any, label: str) -> None:
    """Compare the version of the hooks that a plugin declares in ``needs_hooks`` with that of the core."""
    needed = getattr(plugin, _NEEDS, None)
    if needed is None:
        return
    try:
        major, minor = map(int, needed.split("."))
    except (AttributeError, ValueError):
        raise PluginContractError(
            f"{label} sets {_NEEDS} to {needed!r}; write the major and minor version of the hooks, such as {HOOKS_VERSION!r}"
        ) from None
    own_major, own_minor = map(int, HOOKS_VERSION.split("."))
    if major == own_major and minor <= own_minor:
        return
    newer = (major, minor) > (own_major, own_minor)
    what = "install a newer starlake-core" if newer else "install a newer version of the plugin"
    raise PluginContractError(
        f"{label} needs version {needed} of the hooks, but starlake-core has {HOOKS_VERSION}; {what}"
    )
