"""Finding, loading and checking plugins: one small plugin manager per orchestration.

Only the plugins that were asked for are imported, by name, through their entry point. The scan of the installed distributions
happens once per process.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pluggy

from .errors import PluginConflictError, PluginContractError, PluginLoadError, PluginNotFoundError, did_you_mean
from .general_options import GENERAL_OPTIONS
from .hookspecs import HookSpecs
from .options import Declared

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["ROLES", "Installed", "Plugins", "choose", "installed", "select"]

logger = logging.getLogger(__name__)

ROLES: Mapping[str, str] = {
    "orchestrator": "starlake_core.orchestrators",
    "environment": "starlake_core.environments",
    "project": "starlake_core.projects",
    "add-on": "starlake_core.addons",
}
"""Role to entry-point group."""

_REQUIRED: Mapping[str, tuple[str, ...]] = {
    "orchestrator": ("sl_create_task", "sl_create_task_group", "sl_create_pipeline"),
    "environment": ("sl_create_job", "sl_create_runner"),
    "project": (),
    "add-on": (),
}
_VARIABLES: Mapping[str, str] = {"orchestrator": "SL_ORCHESTRATOR", "environment": "SL_EXECUTION_ENVIRONMENT"}
# The plugins of this project, so that a known word leads to the right installation.
_OURS: Mapping[str, tuple[str, ...]] = {
    "orchestrator": ("airflow", "dagster", "local"),
    "environment": ("cloud_run", "dataproc", "duckdb", "fargate", "shell"),
    "project": ("project",),
    "add-on": (),
}
_ALIASES = {"composer": "airflow"}


@dataclass(frozen=True)
class Installed:
    """A plugin that is installed, whether or not it loads.

    Attributes:
        role: ``orchestrator``, ``environment``, ``project`` or ``add-on``.
        name: the word that the user types.
        entry_point: where its module is.
        distribution: name of the distribution that provides it.
        version: of that distribution.
    """

    role: str
    name: str
    entry_point: EntryPoint
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.role} '{self.name}' ({self.distribution} {self.version})"

    def load(self) -> Any:
        """Import the module of the plugin.

        Raises:
            PluginLoadError: it does not import, with the reason.
        """
        try:
            return self.entry_point.load()
        except (Exception, SystemExit) as error:
            raise PluginLoadError(f"{self} does not load: {type(error).__name__}: {error}") from error


@functools.cache
def _scan() -> Mapping[str, tuple[Installed, ...]]:
    from importlib.metadata import distributions

    found: dict[str, dict[tuple[str, str, str], Installed]] = {role: {} for role in ROLES}
    roles = {group: role for role, group in ROLES.items()}
    for distribution in distributions():
        for entry_point in distribution.entry_points:
            role = roles.get(entry_point.group)
            if role is None:
                continue
            name = distribution.metadata["Name"] or "unknown"
            # An editable install may list an entry point twice; the same distribution and value is one plugin.
            key = (entry_point.name, name.lower().replace("_", "-"), entry_point.value)
            found[role].setdefault(key, Installed(role, entry_point.name, entry_point, name, distribution.version))
    return {
        role: tuple(sorted(plugins.values(), key=lambda p: (p.name, p.distribution))) for role, plugins in found.items()
    }


def installed(role: str | None = None) -> tuple[Installed, ...]:
    """The installed plugins, sorted by role and name, without importing any of them.

    Args:
        role: only this role.
    """
    found = _scan()
    return tuple(plugin for each in ROLES if role in (None, each) for plugin in found[each])


def rescan() -> None:
    """Forget what was found, after distributions were installed into this process."""
    _scan.cache_clear()
    _selected.cache_clear()


def find(role: str, name: str) -> Installed:
    """The installed plugin of a role and name.

    Raises:
        PluginNotFoundError: there is none; the message tells an installable name from a typing error.
        PluginConflictError: two distributions provide it.
    """
    name = _ALIASES.get(name.lower(), name.lower())
    found = [plugin for plugin in installed(role) if plugin.name.lower() == name]
    if len(found) > 1:
        providers = " and ".join(f"{plugin.distribution} {plugin.version}" for plugin in found)
        raise PluginConflictError(f"{role} '{name}' is provided by {providers}; uninstall all but one")
    if found:
        return found[0]
    if name in _OURS[role]:
        package = "starlake-core-" + name.replace("_", "-")
        raise PluginNotFoundError(f"{role} '{name}' is not installed. Install it with: pip install {package}")
    names = [plugin.name for plugin in installed(role)]
    raise PluginNotFoundError(
        f"no {role} '{name}' (installed: {', '.join(names) or 'none'}).{did_you_mean(name, [*names, *_OURS[role]])}"
    )


def choose(role: str, override: str | None, argument: Any, environ: Mapping[str, str] | None = None) -> Any:
    """Decide which orchestrator or environment an orchestration uses.

    The order: the command line, the argument in the file, the environment variable (``SL_ORCHESTRATOR``,
    ``SL_EXECUTION_ENVIRONMENT``), the installed orchestrator whose host is already imported in this process, the only one
    installed (for the orchestrator, ``local`` when it is among several).

    Args:
        role: ``orchestrator`` or ``environment``.
        override: what the command line says.
        argument: what the file says: a name, an enum of names, or a plugin object.
        environ: the environment, that of this process by default.

    Returns:
        A name or a plugin object.

    Raises:
        PluginNotFoundError: nothing decides.
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


class Plugins:
    """The plugins of one orchestration.

    Attributes:
        hook: calls the hooks of exactly these plugins.
        orchestrator: name of the orchestrator, empty where only an environment was selected (in a worker).
        environment: name of the environment.
        addons: names of the add-ons.
        loadable_addons: those that another process can load by name.
    """

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager("starlake_core")
        self._manager.add_hookspecs(HookSpecs)
        self._labels: dict[str, str] = {}
        self.orchestrator = ""
        self.environment = ""
        self.addons: tuple[str, ...] = ()
        self.loadable_addons: tuple[str, ...] = ()
        self._declared: tuple[Declared, ...] | None = None
        self._keywords: frozenset[str] | None = None

    @property
    def hook(self) -> Any:
        """The caller of the hooks."""
        return self._manager.hook

    def add(self, role: str, plugin: Any) -> None:
        """Load, register and check one plugin.

        Args:
            role: of the plugin.
            plugin: its entry-point name, or the plugin object itself.

        Raises:
            PluginError: it is not installed, does not load, misses a hook or misspells one.
        """
        self._declared = self._keywords = None
        if isinstance(plugin, str):
            found = find(role, plugin)
            name, label, module = found.name, str(found), found.load()
        else:
            name = str(getattr(plugin, "name", None) or getattr(plugin, "__name__", type(plugin).__name__)).rpartition(
                "."
            )[2]
            label, module = f"{role} '{name}'", plugin
        # One object may have two roles; pluggy takes it once.
        key = self._manager.get_name(module) or f"{role}:{name}"
        try:
            if not self._manager.is_registered(module):
                self._manager.register(module, key)
            self._check(key, role, label)
        except (ValueError, pluggy.PluginValidationError) as error:
            # A plugin that fails its validation stays half registered.
            if self._manager.get_plugin(key) is not None:
                self._manager.unregister(name=key)
            raise PluginContractError(f"{label} breaks the contract of a hook: {error}") from error
        except PluginContractError:
            self._manager.unregister(name=key)
            raise
        self._labels[role] = label
        if role == "orchestrator":
            self.orchestrator = name
        elif role == "environment":
            self.environment = name
        elif role == "add-on":
            self.addons = (*self.addons, name)
            if isinstance(plugin, str):
                self.loadable_addons = (*self.loadable_addons, name)

    def _check(self, key: str, role: str, label: str) -> None:
        known = [name for name in vars(HookSpecs) if name.startswith("sl_")]
        plugin = self._manager.get_plugin(key)
        implemented = set()
        for name in dir(plugin):
            if self._manager.parse_hookimpl_opts(plugin, name) is None:
                continue
            if name not in known:
                raise PluginContractError(f"{label} implements unknown hook {name}.{did_you_mean(name, known)}")
            implemented.add(name)
        forgotten = [name for name in known if name not in implemented and callable(getattr(plugin, name, None))]
        if forgotten:
            raise PluginContractError(f"{label} defines {forgotten[0]} without the @hookimpl marker; add it")
        for name in _REQUIRED[role]:
            if name not in implemented:
                raise PluginContractError(f"{label} does not implement {name}")

    def label(self, role: str) -> str:
        """Name, distribution and version of the plugin of a role, for messages."""
        return self._labels.get(role, role)

    def direct(self, name: str) -> Callable[..., Any]:
        """What to call for a hook that is called for every task: the function itself, where only one plugin implements it.

        Args:
            name: of a hook that stops at the first answer.
        """
        caller = getattr(self.hook, name)
        found = caller.get_hookimpls()
        alone = len(found) == 1 and not (found[0].wrapper or found[0].hookwrapper)
        called: Callable[..., Any] = caller
        if alone and set(found[0].argnames) == set(caller.spec.argnames):
            called = found[0].function
        return called

    def declared_options(self) -> Sequence[Declared]:
        """Every option of the core and of every selected plugin, in the order core, orchestrator, environment, add-ons."""
        if self._declared is None:
            self._declared = tuple(self._declare())
        return self._declared

    def _declare(self) -> list[Declared]:
        declared = [Declared(option, "core") for option in GENERAL_OPTIONS]
        for key, plugin in self._manager.list_name_plugin():
            implementation = getattr(plugin, "sl_options", None)
            if implementation is not None:
                declared.extend(Declared(option, key.partition(":")[2]) for option in implementation())
        return declared

    def task_keywords(self) -> frozenset[str]:
        """The orchestrator's own keywords that the verbs of a pipeline accept."""
        if self._keywords is None:
            found: Iterable[Sequence[str]] = self.hook.sl_task_keywords()
            self._keywords = frozenset(word for words in found for word in words)
        return self._keywords


def select(orchestrator: Any = None, environment: Any = None, addons: Sequence[Any] = ()) -> Plugins:
    """Load the plugins of one orchestration.

    Args:
        orchestrator: name or plugin object; None for a worker that only runs jobs.
        environment: name or plugin object.
        addons: names or plugin objects.

    Raises:
        PluginError: one of them cannot be used.
    """
    wanted = (orchestrator, environment, *addons)
    if all(one is None or isinstance(one, str) for one in wanted):
        return _selected(orchestrator, environment, tuple(addons))
    return _make(orchestrator, environment, addons)


@functools.cache
def _selected(orchestrator: str | None, environment: str | None, addons: tuple[str, ...]) -> Plugins:
    """A selection of names: what it holds does not change, so a process makes it once."""
    return _make(orchestrator, environment, addons)


def _make(orchestrator: Any, environment: Any, addons: Sequence[Any]) -> Plugins:
    plugins = Plugins()
    if orchestrator is not None:
        plugins.add("orchestrator", orchestrator)
    if environment is not None:
        plugins.add("environment", environment)
    for index, addon in enumerate(addons):
        if addon not in addons[:index]:
            plugins.add("add-on", addon)
    return plugins
