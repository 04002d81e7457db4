"""Finds the installed plugins, and chooses those of an orchestration.

Only the selected plugins are imported, by name, through their entry points. Installed distributions are scanned once
per process.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import PluginConflictError, PluginLoadError, PluginNotFoundError, did_you_mean
from .blame import place_in_plugin
from .files import PluginFile, find_files

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["ROLES", "PluginInfo", "choose", "find", "installed"]

ROLES: Mapping[str, str] = {
    "orchestrator": "starlake_core.orchestrators",
    "environment": "starlake_core.environments",
    "project": "starlake_core.projects",
    "page": "starlake_core.pages",
    "add-on": "starlake_core.addons",
}
"""The entry-point group of each role."""

_VARIABLES: Mapping[str, str] = {"orchestrator": "SL_ORCHESTRATOR", "environment": "SL_EXECUTION_ENVIRONMENT"}
# The plugins of this project, so that a message can name the package to install.
_OURS: Mapping[str, tuple[str, ...]] = {
    "orchestrator": ("airflow", "dagster", "local"),
    "environment": ("cloud_run", "dataproc", "duckdb", "fargate", "shell"),
    "project": ("project",),
    "page": ("page",),
    "add-on": ("template",),
}
_ALIASES = {"composer": "airflow"}


@dataclass(frozen=True)
class PluginInfo:
    """An installed plugin, whether or not it loads.

    Attributes:
        role: ``orchestrator``, ``environment``, ``project``, ``page`` or ``add-on``.
        name: the name that users type.
        entry_point: the entry point of its module, or its file.
        distribution: the name of the distribution that provides it, or of its file.
        version: the version of that distribution; empty for a file.
    """

    role: str
    name: str
    entry_point: EntryPoint | PluginFile
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.role} '{self.name}' ({f'{self.distribution} {self.version}'.rstrip()})"

    def load(self) -> Any:
        """Import the module of the plugin.

        Raises:
            PluginLoadError: the import failed; the message has the reason.
        """
        try:
            return self.entry_point.load()
        except (Exception, SystemExit) as error:
            what = error.msg if isinstance(error, SyntaxError) else str(error)
            raise PluginLoadError(
                f"{self} does not load: {type(error).__name__}: {what}{place_in_plugin(error)}{_unmet(self.distribution)}"
            ) from error


def _unmet(distribution: str) -> str:
    """Return which requirements of a distribution are not met, as the end of a message."""
    from .doubts import unmet_requirements

    return "".join(f"; {problem}" for problem in unmet_requirements(distribution))


@functools.cache
def _scan() -> Mapping[str, tuple[PluginInfo, ...]]:
    from importlib.metadata import distributions

    found: dict[str, dict[tuple[str, str, str], PluginInfo]] = {role: {} for role in ROLES}
    roles = {group: role for role, group in ROLES.items()}
    for distribution in distributions():
        for entry_point in distribution.entry_points:
            role = roles.get(entry_point.group)
            if role is None:
                continue
            name = distribution.metadata["Name"] or "unknown"
            # An editable install may list an entry point twice. Entries with the same distribution and value are one
            # plugin.
            key = (entry_point.name, name.lower().replace("_", "-"), entry_point.value)
            found[role].setdefault(key, PluginInfo(role, entry_point.name, entry_point, name, distribution.version))
    for role, file in find_files():
        name = file.path.stem
        found[role][name, str(file.path), ""] = PluginInfo(role, name, file, file.path.name, "")
    return {
        role: tuple(sorted(plugins.values(), key=lambda p: (p.name, p.distribution))) for role, plugins in found.items()
    }


def installed(role: str | None = None) -> tuple[PluginInfo, ...]:
    """Return the installed plugins, sorted by role and name, without importing any of them.

    Args:
        role: return only this role.
    """
    found = _scan()
    return tuple(plugin for each in ROLES if role in (None, each) for plugin in found[each])


def rescan() -> None:
    """Scan again, after distributions were installed while this process runs."""
    from .doubts import forget

    _scan.cache_clear()
    forget()


def find(role: str, name: str) -> PluginInfo:
    """Return the installed plugin with a role and name.

    Raises:
        PluginNotFoundError: there is none; the message distinguishes an installable name from a typo.
        PluginConflictError: two distributions provide it.
    """
    name = _ALIASES.get(name.lower(), name.lower())
    found = [plugin for plugin in installed(role) if plugin.name.lower() == name]
    if len(found) > 1:
        providers = " and ".join(f"{plugin.distribution} {plugin.version}".rstrip() for plugin in found)
        raise PluginConflictError(f"{role} '{name}' is provided by {providers}; uninstall all but one")
    if found:
        return found[0]
    if name in _OURS[role]:
        package = "starlake-core-" + name.replace("_", "-")
        raise PluginNotFoundError(f"{role} '{name}' is not installed. Install it with: pip install {package}")
    names = [plugin.name for plugin in installed(role)]
    raise PluginNotFoundError(
        f"no {role} '{name}' (installed: {', '.join(names) or 'none'}).{_elsewhere(name)}{did_you_mean(name, [*names, *_OURS[role]])}"
    )


def check_name(role: str, name: str) -> None:
    """Refuse the name of a plugin that neither is installed nor can be, such as a misspelt one.

    Raises:
        PluginNotFoundError: there is none of that name.
    """
    if _ALIASES.get(name.lower(), name.lower()) not in _OURS[role]:
        find(role, name)


def _elsewhere(name: str) -> str:
    """Return where a name is declared, if not in the group of its role."""
    from .doubts import find_strays

    stray = next((stray for stray in find_strays(ROLES.values()) if stray.name.lower() == name), None)
    if stray is not None:
        return f" {stray}"
    other = next((plugin for plugin in installed() if plugin.name.lower() == name), None)
    if other is None:
        return ""
    return f" {other.distribution} {other.version} has {_a(other.role)} of this name (group {ROLES[other.role]})."


def _a(role: str) -> str:
    return f"an {role}" if role[0] in "aeio" else f"a {role}"


def choose(role: str, override: str | None, argument: Any, environ: Mapping[str, str] | None = None) -> Any:
    """Choose the orchestrator or environment of an orchestration.

    The first of these wins: the command line, the argument in the file, the environment variable (``SL_ORCHESTRATOR``
    or ``SL_EXECUTION_ENVIRONMENT``), the installed orchestrator whose host is already imported in this process, the
    only installed one (or ``local`` among several orchestrators).

    Args:
        role: ``orchestrator`` or ``environment``.
        override: the choice on the command line.
        argument: the choice in the file: a name, a member of an enum, or a plugin object.
        environ: the environment variables; those of this process by default.

    Returns:
        A name or a plugin object.

    Raises:
        PluginNotFoundError: none of these makes a choice.
    """
    environ = os.environ if environ is None else environ
    for value in (override, argument, environ.get(_VARIABLES[role])):
        if value:
            return str(value) if isinstance(value, str) else value
    names = list(dict.fromkeys(plugin.name for plugin in installed(role)))
    if role == "orchestrator":
        hosts = [name for name in names if name != "local" and name in sys.modules]
        if len(hosts) == 1:
            return hosts[0]
        if "local" in names and not hosts:
            return "local"
    if len(names) == 1:
        return names[0]
    flag = f"--{role}" if role == "orchestrator" else "--environment"
    if names:
        raise PluginNotFoundError(
            f"which {role}? Several are installed: {', '.join(names)}. Name one: {flag} on the command line, {role}= in the "
            f"pipeline file, or the variable {_VARIABLES[role]}"
        )
    example = "local" if role == "orchestrator" else "shell"
    raise PluginNotFoundError(f"no {role} is installed. Install one, for example: pip install starlake-core-{example}")
