"""Finding, loading and checking plugins, with distributions that exist only in a folder of the test."""

from __future__ import annotations

import importlib
import json
import re
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from click.testing import CliRunner

from starlake_core import (
    STR,
    Command,
    Job,
    Option,
    Options,
    OptionsError,
    PluginConflictError,
    PluginContractError,
    PluginFailedError,
    PluginLoadError,
    PluginNotFoundError,
    Report,
    StarlakeOrchestrator,
    TaskState,
    hookimpl,
    plugins,
)
from starlake_core.cli.app import app
from starlake_core.dsl.orchestration import Overrides
from starlake_core.dsl.pipeline_files import load_file
from starlake_core.plugins import ROLES, Plugins, choose, installed, manager, select
from starlake_core.plugins.doubts import find_strays, unmet_requirements
from starlake_core.plugins.hookspecs import HOOKS_VERSION, HookSpecs, hookspec

ENVIRONMENT = """
from starlake_core import hookimpl
@hookimpl
def sl_create_job(command, options): ...
@hookimpl
def sl_create_runner(job): ...
"""
ORCHESTRATOR = """
from starlake_core import hookimpl
@hookimpl
def sl_create_task(task): ...
@hookimpl
def sl_create_task_group(group, create_children): ...
@hookimpl
def sl_create_pipeline(pipeline, create_children): ...
"""

COMMAND, OPTIONS = Command("stage", ("--domains", "sales")), Options({})

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a distribution with one plugin; nothing else of this machine is installed meanwhile."""
    standard = [
        path for path in sys.path if path.startswith(sysconfig.get_path("stdlib")) and "site-packages" not in path
    ]
    for name in ("packaging.requirements", "croniter", "starlake_core.testing.fake"):  # before their folder is hidden
        importlib.import_module(name)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *standard])
    before = set(sys.modules)
    plugins.rescan()

    def add(
        role: str,
        name: str,
        source: str = "",
        *,
        distribution: str = "acme",
        version: str = "1.2.0",
        folder: str = "",
        module: str = "",
        group: str = "",
        value: str = "",
        requires: Sequence[str] = (),
    ) -> None:
        module = module or f"{distribution.replace('-', '_')}_{name.lower()}_plugin"
        (tmp_path / f"{module}.py").write_text(source)
        place = tmp_path / folder
        info = place / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        needs = "".join(f"Requires-Dist: {one}\n" for one in requires)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n{needs}")
        with (info / "entry_points.txt").open("a") as file:
            file.write(f"[{group or f'starlake_core.{role}'}]\n{name} = {module}{value}\n")
        if folder and str(place) not in sys.path:
            sys.path.append(str(place))
        plugins.rescan()

    yield add
    plugins.rescan()
    for name in set(sys.modules) - before:
        if name.endswith("_plugin"):
            del sys.modules[name]


def imported(name: str) -> bool:
    return any(module.endswith(f"{name}_plugin") for module in sys.modules)


# finding


def test_only_what_was_asked_for_is_imported(install: Install) -> None:
    install("orchestrators", "one", ORCHESTRATOR)
    install("environments", "two", ENVIRONMENT, distribution="two")
    install("environments", "three", "raise SystemExit('imported')", distribution="three")
    assert [(plugin.role, plugin.name) for plugin in installed()] == [
        ("orchestrator", "one"),
        ("environment", "three"),
        ("environment", "two"),
    ]
    assert [plugin.name for plugin in installed("environment")] == ["three", "two"]
    assert not imported("one")
    selected = select("one", "two")
    assert (selected.orchestrator, selected.environment, selected.addons) == ("one", "two", ())
    assert imported("one")
    assert not imported("three")


def test_a_typing_error(install: Install) -> None:
    install("orchestrators", "airflow", distribution="starlake-core-airflow")
    install("orchestrators", "local", distribution="starlake-core-local")
    with pytest.raises(PluginNotFoundError) as caught:
        select("airflw")
    assert str(caught.value) == "no orchestrator 'airflw' (installed: airflow, local). Did you mean 'airflow'?"
    with pytest.raises(PluginNotFoundError) as caught:
        select(None, "xyz")
    assert str(caught.value) == "no environment 'xyz' (installed: none)."


@pytest.mark.parametrize(
    ("role", "name", "package"),
    [
        ("orchestrator", "dagster", "dagster"),
        ("orchestrator", "composer", "airflow"),
        ("environment", "cloud_run", "cloud-run"),
    ],
)
def test_a_plugin_of_this_project_that_is_not_installed(install: Install, role: str, name: str, package: str) -> None:
    with pytest.raises(PluginNotFoundError) as caught:
        select(**{role: name})
    assert (
        f"{role} '{package.replace('-', '_')}' is not installed. Install it with: pip install starlake-core-{package}"
        == str(caught.value)
    )


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_host", "ModuleNotFoundError: No module named 'no_such_host'"),
        ("from starlake_core import nothing_of_that_name", "ImportError: cannot import name 'nothing_of_that_name'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def", "SyntaxError: invalid syntax"),
    ],
)
def test_a_plugin_that_does_not_load(install: Install, source: str, reason: str) -> None:
    install("orchestrators", "airflow", source, distribution="starlake-core-airflow")
    with pytest.raises(PluginLoadError) as caught:
        select("airflow")
    assert str(caught.value).startswith(f"orchestrator 'airflow' (starlake-core-airflow 1.2.0) does not load: {reason}")
    assert caught.value.__cause__ is not None


def test_a_module_that_does_not_exist(install: Install, tmp_path: Path) -> None:
    install("environments", "x")
    (tmp_path / "acme_x_plugin.py").unlink()
    with pytest.raises(PluginLoadError, match=r"environment 'x' \(acme 1\.2\.0\) does not load: ModuleNotFoundError"):
        select(None, "x")


def test_two_distributions_with_one_name(install: Install) -> None:
    install("environments", "shell", ENVIRONMENT, distribution="starlake-core-shell", version="1.2.0")
    install("environments", "shell", ENVIRONMENT, distribution="acme-shell", version="0.1")
    with pytest.raises(PluginConflictError) as caught:
        select(None, "shell")
    assert (
        str(caught.value)
        == "environment 'shell' is provided by acme-shell 0.1 and starlake-core-shell 1.2.0; uninstall all but one"
    )


def test_an_editable_twin_is_one_plugin(install: Install) -> None:
    install("environments", "shell", ENVIRONMENT, distribution="acme-shell", module="twin_plugin")
    install("environments", "shell", ENVIRONMENT, distribution="acme_shell", module="twin_plugin", folder="editable")
    assert len(installed("environment")) == 1
    assert select(None, "shell").environment == "shell"


def test_one_name_may_stand_for_an_orchestrator_and_an_environment(install: Install) -> None:
    install("orchestrators", "both", ORCHESTRATOR, module="when_plugin")
    install("environments", "both", ENVIRONMENT, module="where_plugin")
    selected = select("both", "both")
    assert (selected.orchestrator, selected.environment) == ("both", "both")


def test_a_name_is_found_in_any_case(install: Install) -> None:
    install("environments", "shell", ENVIRONMENT)
    assert select(None, "SHELL").environment == "shell"


def test_a_name_with_capitals_is_found(install: Install) -> None:
    install("environments", "MyCloud", ENVIRONMENT)
    assert select(None, "MyCloud").environment == "MyCloud"


# the contract


def contract_error(install: Install, source: str, role: str = "environments", name: str = "shell") -> str:
    install(role, name, source)
    with pytest.raises(PluginContractError) as caught:
        select(**{role.rstrip("s"): name})
    return str(caught.value)


def test_a_required_hook_is_missing(install: Install) -> None:
    message = contract_error(install, ENVIRONMENT.rpartition("@hookimpl")[0])
    assert message == "environment 'shell' (acme 1.2.0) does not implement sl_create_runner"


@pytest.mark.parametrize("hook", ["sl_create_task", "sl_create_task_group", "sl_create_pipeline"])
def test_an_orchestrator_needs_three_hooks(install: Install, hook: str) -> None:
    parts = ORCHESTRATOR.split("@hookimpl")
    source = "@hookimpl".join(part for part in parts if f"def {hook}(" not in part)
    assert contract_error(install, source, "orchestrators").endswith(f"does not implement {hook}")


def test_an_addon_needs_no_hook(install: Install) -> None:
    install("addons", "labels")
    assert select(addons=["labels"]).addons == ("labels",)


def test_a_misspelt_hook(install: Install) -> None:
    message = contract_error(install, ENVIRONMENT + "\n@hookimpl\ndef sl_create_jobb(command): ...")
    assert (
        message
        == "environment 'shell' (acme 1.2.0) implements unknown hook sl_create_jobb. Did you mean 'sl_create_job'?"
    )


def test_a_hook_with_an_argument_that_does_not_exist(install: Install) -> None:
    message = contract_error(install, ENVIRONMENT.replace("(job)", "(jobs)"))
    assert "environment 'shell' (acme 1.2.0) breaks the contract of a hook" in message
    assert "sl_create_runner" in message
    assert "jobs" in message


def test_a_forgotten_marker(install: Install) -> None:
    message = contract_error(install, ENVIRONMENT + "\ndef sl_options(): return []")
    assert message == "environment 'shell' (acme 1.2.0) defines sl_options without the @hookimpl marker; add it"


@pytest.mark.parametrize(
    "broken",
    [
        {"sl_create_job": hookimpl(lambda command: None)},
        {"sl_options": hookimpl(lambda nothing_like_that: None)},
        {"sl_create_jobb": hookimpl(lambda: None)},
    ],
)
def test_a_plugin_that_fails_its_check_answers_nothing(broken: dict[str, Any]) -> None:
    made = Plugins()
    with pytest.raises(PluginContractError):
        made.add("environment", SimpleNamespace(name="broken", **broken))
    assert not made.implements("sl_options")
    assert not made.implements("sl_create_job")
    assert made.environment == ""
    assert [item.plugin for item in made.declared_options() if item.plugin != "core"] == []


def good(name: str = "good", **hooks: Any) -> SimpleNamespace:
    return SimpleNamespace(
        name=name,
        sl_create_job=hookimpl(lambda command, options: Job(name, command.vector)),
        sl_create_runner=hookimpl(lambda job: None),
        **hooks,
    )


def test_after_a_failure_another_plugin_can_take_the_place() -> None:
    made = Plugins()
    with pytest.raises(PluginContractError):
        made.add("environment", SimpleNamespace(name="good"))
    made.add("environment", good())
    assert made.create_job(COMMAND, OPTIONS).environment == "good"
    assert made.label("environment") == "environment 'good'"


def test_every_selection_has_plugins_of_its_own() -> None:
    one, other = select(None, good("one")), select(None, good("other"))
    assert one.create_job(COMMAND, OPTIONS).environment == "one"
    assert other.create_job(COMMAND, OPTIONS).environment == "other"


def test_an_addon_that_is_named_twice_is_loaded_once(install: Install) -> None:
    install("addons", "labels")
    assert select(addons=["labels", "labels"]).addons == ("labels",)


def test_the_options_of_all_plugins_are_declared_in_order() -> None:
    def option(name: str) -> Any:
        return hookimpl(lambda: [Option(name, STR)])

    made = select(None, good(sl_options=option("a")), [SimpleNamespace(name="addon", sl_options=option("b"))])
    found = [(item.plugin, item.option.name) for item in made.declared_options()]
    assert found[-2:] == [("good", "a"), ("addon", "b")]
    assert {plugin for plugin, _ in found[:-2]} == {"core"}


# near misses and versions


@pytest.mark.parametrize(
    "group",
    [
        "starlake_core.environment",
        "starlake-core.environments",
        "starlake.environments",
        "starlake_core.enviroments",  # codespell:ignore
    ],  # codespell:ignore
)
def test_a_group_that_nothing_reads_is_named(install: Install, group: str) -> None:
    install("", "kubernetes", ENVIRONMENT, distribution="acme-k8s", group=group)
    with pytest.raises(PluginNotFoundError) as caught:
        select(None, "kubernetes")
    assert str(caught.value) == (
        f"no environment 'kubernetes' (installed: none). acme-k8s 1.2.0 declares 'kubernetes' in the entry-point group '{group}', which "
        "nothing reads. Did you mean 'starlake_core.environments'?"
    )


def test_groups_of_others_are_no_near_misses(install: Install) -> None:
    for group in ("console_scripts", "pytest11", "airflow.plugins", "my.environments"):
        install("", "kubernetes", ENVIRONMENT, distribution=group.replace(".", "-"), group=group)
    assert find_strays(ROLES.values()) == ()


def test_a_group_of_the_core_that_resembles_none_lists_them(install: Install) -> None:
    install("", "labels", group="starlake_core.something_else")
    (stray,) = find_strays(ROLES.values())
    assert str(stray).endswith(f"which nothing reads. The groups are {', '.join(ROLES.values())}.")


def test_a_plugin_with_another_role_is_named(install: Install) -> None:
    install("addons", "labels", distribution="acme-labels")
    with pytest.raises(
        PluginNotFoundError, match=r"acme-labels 1\.2\.0 has an add-on of this name \(group starlake_core"
    ):
        select(None, "labels")


def test_requirements_that_are_not_met_are_found_without_an_import(install: Install) -> None:
    install("", "x", distribution="starlake-core", version="0.1.0", group="console_scripts")
    wanted = ["starlake-core>=0.5", "acme-sdk>=2", "pytest; extra == 'testing'", "nothing; python_version < '3'"]
    install("environments", "acme", "raise ImportError('acme_sdk')", requires=wanted)
    assert unmet_requirements("acme") == (
        "it needs starlake-core>=0.5, but starlake-core 0.1.0 is installed",
        "it needs acme-sdk>=2, which is not installed",
    )
    with pytest.raises(
        PluginLoadError, match=r"acme_sdk.*; it needs starlake-core>=0\.5, but .*; it needs acme-sdk>=2"
    ):
        select(None, "acme")


@pytest.mark.parametrize(
    ("needed", "told"),
    [
        ("2.0", "needs version 2.0 of the hooks, but starlake-core has .*; install a newer starlake-core"),
        ("1.99", "needs version 1.99 of the hooks, but starlake-core has .*; install a newer starlake-core"),
        ("0.9", "needs version 0.9 of the hooks, but starlake-core has .*; install a newer version of the plugin"),
        ("one", "sets needs_hooks to 'one'; write the major and minor version of the hooks"),
    ],
)
def test_a_plugin_declares_which_version_of_the_hooks_it_needs(install: Install, needed: str, told: str) -> None:
    assert re.search(told, contract_error(install, f"needs_hooks = {needed!r}\n{ENVIRONMENT}"))


def test_the_version_of_today_fits(install: Install) -> None:
    install("environments", "acme", f"needs_hooks = {HOOKS_VERSION!r}\n{ENVIRONMENT}")
    assert select(None, "acme").environment == "acme"


def test_a_misspelt_hook_without_a_marker(install: Install) -> None:
    message = contract_error(install, ENVIRONMENT + "\ndef sl_option(): return []")
    assert (
        message == "environment 'shell' (acme 1.2.0) defines sl_option, which is not a hook. Did you mean 'sl_options'?"
    )


def test_a_hook_of_a_newer_core_is_optional_if_it_says_so(install: Install) -> None:
    newer = ENVIRONMENT + "\n@hookimpl{}\ndef sl_paint_it_black(task): ..."
    assert "mark it with @hookimpl(optionalhook=True)" in contract_error(install, newer.format(""))
    install("environments", "new", newer.format("(optionalhook=True)"), distribution="new")
    assert select(None, "new").environment == "new"


def test_an_entry_point_that_names_a_class(install: Install) -> None:
    source = "from starlake_core import hookimpl\nclass Plugin:\n    @hookimpl\n    def sl_options(self): return []"
    install("addons", "labels", source, module="labels_plugin", value=":Plugin")
    with pytest.raises(PluginContractError, match="is the class Plugin; its entry point must name a module"):
        select(addons=["labels"])


def test_a_job_of_an_environment_that_no_worker_finds(install: Install) -> None:
    job = "return Job({!r}, command.vector)"
    source = "from starlake_core import Job\n" + BROKEN
    install("environments", "kubernetes", source.format(job=job.format("kubernets"), runner="pass"))  # codespell:ignore
    with pytest.raises(PluginContractError) as caught:
        select(None, "kubernetes").create_job(COMMAND, OPTIONS)
    assert str(caught.value) == (
        "environment 'kubernetes' (acme 1.2.0) returned from sl_create_job a Job of the environment 'kubernets', which is neither selected nor "
        "installed; use 'kubernetes', the name of its entry point. Did you mean 'kubernetes'?"
    )
    install("environments", "other", source.format(job=job.format("kubernetes"), runner="pass"), distribution="other")
    assert select(None, "other").create_job(COMMAND, OPTIONS).environment == "kubernetes"


def test_an_option_that_nobody_declares_is_a_mistake_of_the_plugin_that_reads_it(install: Install) -> None:
    install("environments", "acme", BROKEN.format(job="return options['acme_resource']", runner="pass"))
    with pytest.raises(
        PluginFailedError,
        match=r"^environment 'acme' \(acme 1\.2\.0\) failed in sl_create_job: UnknownOptionError: no option 'acme_resource'.*"
        r"acme_acme_plugin\.py, line \d+\)$",
    ):
        select(None, "acme").create_job(COMMAND, OPTIONS)


def test_the_line_of_the_plugin_is_named_and_not_that_of_a_library(install: Install) -> None:
    install("environments", "acme", BROKEN.format(job="__import__('json').loads('{')", runner="pass"))
    with pytest.raises(PluginFailedError, match=r"JSONDecodeError: .*/acme_acme_plugin\.py, line 5\)$"):
        select(None, "acme").create_job(COMMAND, OPTIONS)


def test_a_hook_that_is_going_to_be_removed_warns(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    """``warn_on_impl`` and ``warn_on_impl_args`` are how hooks and their arguments are deprecated."""

    class Specs(HookSpecs):
        @hookspec(
            warn_on_impl_args={"options": DeprecationWarning("options of sl_create_job go in 2.0; use command.options")}
        )
        def sl_create_job(self, command: Any, options: Any) -> Any: ...

    monkeypatch.setattr(manager, "HookSpecs", Specs)
    install("environments", "acme", ENVIRONMENT)
    with pytest.warns(DeprecationWarning, match=r"options of sl_create_job go in 2\.0"):
        select(None, "acme")


def test_two_selected_plugins_in_conflict_are_named(orchestrate: Any) -> None:
    from starlake_core import BOOL

    addon = SimpleNamespace(name="addon", sl_options=hookimpl(lambda: [Option("size", BOOL)]))
    with pytest.raises(PluginContractError, match="plugins 'good' and 'addon' both declare the option 'size'"):
        orchestrate(environment=good(sl_options=hookimpl(lambda: [Option("size", STR)])), addons=[addon])


def test_a_required_option_of_a_plugin_is_asked_for_when_the_orchestration_opens(orchestrate: Any) -> None:
    environment = good(sl_options=hookimpl(lambda: [Option("cloud_run_job_name", STR, required=True)]))
    with pytest.raises(OptionsError, match="option 'cloud_run_job_name' of plugin 'good' is required"):
        orchestrate(environment=environment)
    assert orchestrate({"cloud_run_job_name": "x"}, environment=environment).options["cloud_run_job_name"] == "x"


def test_addons_come_from_the_options_and_the_variable(
    install: Install, orchestrate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("addons", "labels")
    install("addons", "costs", distribution="costs")
    assert orchestrate({"plugins": "labels, costs"}).plugins.addons == ("labels", "costs")
    assert orchestrate({"plugins": ["costs"]}).plugins.addons == ("costs",)
    monkeypatch.setenv("SL_PLUGINS", "labels")
    assert orchestrate().plugins.addons == ("labels",)
    assert orchestrate({"plugins": []}).plugins.addons == ()


# choosing


def test_the_order_of_choice(install: Install) -> None:
    install("orchestrators", "only", ORCHESTRATOR)
    environ = {"SL_ORCHESTRATOR": "from_variable"}
    argument = object()
    assert choose("orchestrator", "from_command_line", "from_file", environ) == "from_command_line"
    assert choose("orchestrator", None, "from_file", environ) == "from_file"
    assert choose("orchestrator", None, argument, environ) is argument
    assert choose("orchestrator", None, StarlakeOrchestrator.COMPOSER, environ) == "airflow"
    assert choose("orchestrator", None, None, environ) == "from_variable"
    assert choose("orchestrator", None, None, {"SL_ORCHESTRATOR": ""}) == "only"
    assert choose("orchestrator", None, None, {}) == "only"


def test_the_variable_of_the_environment(install: Install) -> None:
    assert choose("environment", None, None, {"SL_EXECUTION_ENVIRONMENT": "shell", "SL_ORCHESTRATOR": "x"}) == "shell"


def test_the_host_that_is_imported_already_decides(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("orchestrators", "hosta", ORCHESTRATOR, distribution="a")
    install("orchestrators", "hostb", ORCHESTRATOR, distribution="b")
    install("orchestrators", "local", ORCHESTRATOR, distribution="l")
    assert choose("orchestrator", None, None, {}) == "local"
    monkeypatch.setitem(sys.modules, "hosta", sys)
    assert choose("orchestrator", None, None, {}) == "hosta"
    assert choose("orchestrator", None, None, {"SL_ORCHESTRATOR": "local"}) == "local"
    monkeypatch.setitem(sys.modules, "hostb", sys)
    with pytest.raises(PluginNotFoundError, match=r"which orchestrator\? Several are installed: hosta, hostb, local"):
        choose("orchestrator", None, None, {})


def test_a_host_without_its_plugin_decides_nothing(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("orchestrators", "only", ORCHESTRATOR)
    monkeypatch.setitem(sys.modules, "airflow", sys)
    assert choose("orchestrator", None, None, {}) == "only"


@pytest.mark.parametrize(
    ("role", "group", "flag"),
    [("orchestrator", "orchestrators", "--orchestrator"), ("environment", "environments", "--environment")],
)
def test_several_and_nothing_decides(install: Install, role: str, group: str, flag: str) -> None:
    install(group, "a", distribution="a")
    install(group, "b", distribution="b")
    with pytest.raises(PluginNotFoundError) as caught:
        choose(role, None, None, {})
    for part in (f"which {role}? Several are installed: a, b", flag, f"{role}=", "SL_"):
        assert part in str(caught.value)


def test_nothing_is_installed(install: Install) -> None:
    with pytest.raises(PluginNotFoundError, match=r"no orchestrator is installed.*pip install starlake-core-local"):
        choose("orchestrator", None, None, {})
    with pytest.raises(PluginNotFoundError, match=r"no environment is installed.*pip install starlake-core-shell"):
        choose("environment", None, None, {})


def test_the_only_environment_is_chosen(install: Install) -> None:
    install("environments", "only", ENVIRONMENT)
    assert choose("environment", None, None, {}) == "only"


# -- what a plugin returns and raises

BROKEN = """
from starlake_core import hookimpl
@hookimpl
def sl_create_job(command, options):
    {job}
@hookimpl
def sl_create_runner(job):
    {runner}
"""


@pytest.mark.parametrize(
    ("body", "error", "told"),
    [
        ("return 1 + command", PluginFailedError, "failed in sl_create_job: TypeError: unsupported operand"),
        ("raise KeyError('x')", PluginFailedError, "failed in sl_create_job: KeyError: 'x'"),
        (
            "import acme_sdk",
            PluginLoadError,
            r"cannot run sl_create_job: ModuleNotFoundError: No module named 'acme_sdk'.*installed here",
        ),
        (
            "return 'a job'",
            PluginContractError,
            "returned 'a job' from sl_create_job for the command stage; it must return a Job",
        ),
        ("return None", PluginContractError, "returned None from sl_create_job for the command stage"),
        ("from starlake_core import OptionsError; raise OptionsError(['wrong'])", OptionsError, "^wrong$"),
    ],
)
def test_an_error_of_a_plugin_names_plugin_distribution_and_hook(
    install: Install, body: str, error: type[Exception], told: str
) -> None:
    install("environments", "acme", BROKEN.format(job=body, runner="pass"))
    with pytest.raises(error, match=told) as caught:
        select(None, "acme").create_job(COMMAND, OPTIONS)
    if error is not OptionsError:
        assert str(caught.value).startswith("environment 'acme' (acme 1.2.0) ")


def test_a_missing_sdk_has_to_be_installed_where_tasks_run(install: Install) -> None:
    install("environments", "acme", BROKEN.format(job="pass", runner="import acme_sdk"))
    with pytest.raises(PluginLoadError, match=r"^environment 'acme' \(acme 1\.2\.0\) .*acme_sdk.*where tasks run$"):
        select(None, "acme").create_runner(Job("acme"))


def test_of_several_plugins_the_one_that_raised_is_named() -> None:
    def fail(command: Command, options: Options) -> Job:
        raise ZeroDivisionError

    quiet = SimpleNamespace(name="quiet", sl_create_job=hookimpl(tryfirst=True)(lambda command, options: None))
    for addons in ([quiet, SimpleNamespace(name="loud", sl_create_job=hookimpl(fail))], []):
        environment = (
            good()
            if addons
            else SimpleNamespace(name="loud", sl_create_job=hookimpl(fail), sl_create_runner=hookimpl(lambda job: None))
        )
        role = "add-on" if addons else "environment"
        with pytest.raises(
            PluginFailedError,
            match=rf"^{role} 'loud' failed in sl_create_job: ZeroDivisionError \(tests/test_plugins\.py, line \d+\)$",
        ):
            select(None, environment, addons).create_job(COMMAND, OPTIONS)


def test_of_several_plugins_all_that_may_have_returned_it_are_named() -> None:
    addon = SimpleNamespace(name="labels", sl_create_job=hookimpl(lambda command, options: 3))
    with pytest.raises(
        PluginContractError,
        match=r"environment 'good'.* or .*add-on 'labels'|add-on 'labels'.* or .*environment 'good'",
    ):
        select(None, good(), [addon]).create_job(COMMAND, OPTIONS)


def test_an_option_that_is_none_is_named() -> None:
    made = select(None, good(sl_options=hookimpl(lambda: [Option("size", STR), "retries"])))
    with pytest.raises(
        PluginContractError, match="environment 'good' returned 'retries' from sl_options instead of an Option"
    ):
        made.declared_options()


def test_lists_of_findings_are_lists_of_strings() -> None:
    def answering(answer: object) -> list[str]:
        return select(None, good(sl_check_pipelines=hookimpl(lambda pipelines: answer))).check_pipelines([])

    assert answering(("one", "two")) == ["one", "two"]
    for wrong in ("one", [1], 7):
        with pytest.raises(
            PluginContractError, match=r"environment 'good' returned .* from sl_check_pipelines instead of a"
        ):
            answering(wrong)


def test_reports_of_a_backfill_are_checked_as_they_come_and_end_with_whoever_asks() -> None:
    ended: list[str] = []

    def backfill(pipeline: Any, requests: Any) -> Iterator[Any]:
        try:
            yield from requests
            raise ZeroDivisionError
        finally:
            ended.append("ended")

    made = select(None, good(sl_backfill=hookimpl(backfill)))
    report = Report("p", "r", TaskState.SUCCEEDED)
    asked: Any = [report, report]
    reports = iter(made.backfill(cast(Any, None), asked) or ())
    assert next(reports) == report
    cast(Any, reports).close()
    assert ended == ["ended"]
    with pytest.raises(PluginFailedError, match="environment 'good' failed in sl_backfill: ZeroDivisionError"):
        list(made.backfill(cast(Any, None), asked) or ())
    with pytest.raises(PluginContractError, match="environment 'good' returned 3 from sl_backfill instead of a Report"):
        list(made.backfill(cast(Any, None), cast(Any, [report, 3])) or ())


def test_only_one_module_touches_the_hooks_of_pluggy() -> None:
    root = Path(plugins.__file__).parents[2]
    sources = [*root.glob("starlake_core/**/*.py"), *root.glob("plugins/*/src/**/*.py")]
    assert len(sources) > 100
    touching = [path.name for path in sources if re.search(r"\.hook\b", path.read_text(encoding="utf-8"))]
    assert touching == ["manager.py"]


# -- the command that lists and calls them


def listed(*arguments: str, code: int = 0) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["plugins", *arguments, "--format", "json"])
    assert done.exit_code == code, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


WORKS = """
import itertools
COUNT = itertools.count()
from starlake_core import STR, Integer, Job, Option, Options, OptionGroup, hookimpl, option
from starlake_core.runtime import ProcessRunner
class AcmeOptions(OptionGroup):
    acme_region: str = option(STR, required=True)
@hookimpl
def sl_options():
    return [AcmeOptions]
@hookimpl
def sl_create_job(command, options):
    return Job("acme", command.vector, {}, {"region": options[AcmeOptions].acme_region})
@hookimpl
def sl_create_runner(job):
    return ProcessRunner(lambda job: job.arguments)
"""


def test_a_plugin_that_works_is_called_and_its_hooks_are_named(install: Install) -> None:
    install("environments", "acme", WORKS)
    (plugin,) = listed("--check")["plugins"]
    assert plugin["hooks"] == ["sl_create_job", "sl_create_runner", "sl_options"]
    assert {"options", "equal jobs for equal commands", "job of load", "pipeline two_domains"} <= set(plugin["called"])
    assert plugin["problems"] == plugin["notes"] == []


def test_names_that_are_masked_are_named(install: Install) -> None:
    install("environments", "acme", WORKS.replace("acme_region", "acme_api_key").replace('"region"', '"private_key"'))
    (plugin,) = listed("--check")["plugins"]
    assert [note.partition(". If")[0] for note in plugin["notes"]] == [
        "these options count as secret, so they are masked in every copy that is shown or stored: acme_api_key",
        "these values of the spec count as secret, so they are masked in every copy that is shown or stored: private_key",
    ]


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("return [AcmeOptions]", "return [Option('n', Integer(minimum=1))]", "failed in sl_options: TypeError"),
        ("acme_region: str", "retries: str", "both declare the option 'retries', but differently"),
        ("options[AcmeOptions].acme_region", "options['acme_regions']", "failed in sl_create_job: UnknownOptionError"),
        ('"acme", command', '"acmee", command', "a Job of the environment 'acmee'"),
        ('{"region":', '{"made": object(), "region":', "the job of transform does not survive JSON"),
        ('{"region":', '{"made": (1, 2), "region":', "is another one after it was stored as JSON"),
        ('{"region":', '{"made": next(COUNT), "region":', "returned another job for the same command"),
        (
            "return ProcessRunner",
            "import acme_sdk; return ProcessRunner",
            "cannot run sl_create_runner: ModuleNotFound",
        ),
        (
            "return ProcessRunner(lambda job: job.arguments)",
            "return job",
            "from sl_create_runner; its class must inherit",
        ),
    ],
)
def test_what_fails_is_told_with_plugin_distribution_and_hook(
    install: Install, right: str, wrong: str, told: str
) -> None:
    assert right in WORKS
    install("environments", "acme", WORKS.replace(right, wrong))
    (plugin,) = listed("--check", code=1)["plugins"]
    assert plugin["loads"]
    assert any(told in problem for problem in plugin["problems"])
    assert all("acme" in problem for problem in plugin["problems"])


def test_an_orchestrator_and_an_addon_are_called_too(install: Install) -> None:
    install("orchestrators", "slow", ORCHESTRATOR.replace("create_children): ...", "create_children): 1 / 0"))
    source = "from starlake_core import hookimpl\n@hookimpl(wrapper=True)\ndef sl_create_job(command):\n    return (yield).nothing"
    install("addons", "labels", source, distribution="labels")
    addon, orchestrator = sorted(listed("--check", code=1)["plugins"], key=lambda plugin: str(plugin["role"]))
    assert "orchestrator 'slow' (acme 1.2.0) failed in sl_create_pipeline: ZeroDivisionError" in str(orchestrator)
    assert "add-on 'labels' (labels 1.2.0) failed in sl_create_job: AttributeError" in str(addon["problems"])


def test_what_a_plugin_asks_for_is_no_fault_of_it(install: Install) -> None:
    asks = "from starlake_core.errors import RunnerError; raise RunnerError('no credentials')"
    install("environments", "acme", WORKS.replace("return ProcessRunner", f"{asks}\n    return ProcessRunner"))
    (plugin,) = listed("--check")["plugins"]
    assert plugin["problems"] == []
    assert plugin["notes"] == ["it asks for more than a sample: no credentials"]


def test_what_nothing_reads_and_what_is_missing_is_listed(install: Install) -> None:
    install("environments", "acme", WORKS, requires=["acme-sdk>=2"])
    install("", "labels", distribution="labels", group="starlake_core.addon")
    found = listed()
    assert found["plugins"][0]["warnings"] == ["it needs acme-sdk>=2, which is not installed"]
    assert found["strays"] == [
        "labels 1.2.0 declares 'labels' in the entry-point group 'starlake_core.addon', which nothing reads. Did you mean "
        "'starlake_core.addons'?"
    ]
    shown = CliRunner().invoke(app, ["plugins"]).stdout
    assert "warning: environment 'acme' (acme 1.2.0): it needs acme-sdk>=2" in shown
    assert listed("--check", code=1)["plugins"][0]["problems"]


def test_a_name_that_is_not_installed_is_refused(install: Install) -> None:
    install("environments", "acme", WORKS)
    done = CliRunner().invoke(app, ["plugins", "acm"])
    assert done.exit_code == 2
    assert "no plugin 'acm' is installed. Did you mean 'acme'?" in done.output


def test_a_pipeline_file_is_not_blamed_for_a_plugin(install: Install, tmp_path: Path) -> None:
    install("environments", "acme", WORKS.replace("options[AcmeOptions].acme_region", "1 / 0"))
    file = tmp_path / "mine.py"
    file.write_text(
        "from starlake_core import Orchestration\n"
        "from starlake_core.testing import RecordingOrchestrator\n"
        "with Orchestration({'acme_region': 'x'}, orchestrator=RecordingOrchestrator(), environment='acme') as o:\n"
        "    with o.sl_create_pipeline(name='p') as p:\n"
        "        p.sl_transform('t', 'kpi.t')\n"
    )
    (problem,) = load_file(file, Overrides()).problems
    assert problem.startswith("environment 'acme' (acme 1.2.0) failed in sl_create_job: ZeroDivisionError")
    assert "mine.py" not in problem


def test_a_trace_names_who_was_asked_who_answered_and_how_long_it_took(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrap(command: Command) -> Iterator[Any]:
        job = yield
        return job

    def fail(job: Job) -> Any:
        raise KeyError("secret")

    quiet = SimpleNamespace(name="quiet", sl_create_job=hookimpl(tryfirst=True)(lambda command, options: None))
    around = SimpleNamespace(name="around", sl_create_job=hookimpl(wrapper=True)(wrap))
    environment = good()
    environment.sl_create_runner = hookimpl(fail)
    select(None, environment, [quiet, around]).create_job(COMMAND, OPTIONS)
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("SL_TRACE_PLUGINS", "1")
    traced = select(None, environment, [quiet, around])
    traced.create_job(COMMAND, OPTIONS)
    with pytest.raises(PluginFailedError, match=r"environment 'good' failed in sl_create_runner"):
        traced.create_runner(Job("good"))
    lines = [re.sub(r"\d+\.\d ms", "N ms", line) for line in capsys.readouterr().err.splitlines()]
    assert lines[1] == f"sl_create_job {COMMAND.task_id or 'Command'}: environment 'good' answered Job (N ms)"
    assert "add-on 'quiet' passed (N ms)" in lines[0]
    assert "add-on 'around' wrapped Job (N ms)" in lines[2]
    assert "environment 'good' raised KeyError (N ms)" in lines[3]
    assert not any("secret" in line for line in lines)


# -- plugins that are files


def test_a_file_in_a_folder_is_a_plugin(install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "polite.py").write_text(WORKS.replace("acme", "polite").replace("Acme", "Polite"))
    (folder / "labels.py").write_text(
        "from starlake_core import hookimpl\n@hookimpl(wrapper=True)\ndef sl_create_job():\n    return (yield)\n"
    )
    (folder / "slow.py").write_text(ORCHESTRATOR)
    (folder / "_helper.py").write_text("1 / 0")
    (folder / "tool.py").write_text("1 / 0")
    install("environments", "acme", WORKS)
    monkeypatch.setenv("SL_PLUGINS_DIR", str(folder))
    plugins.rescan()
    found = [(plugin.role, plugin.name, str(plugin)) for plugin in installed()]
    assert found == [
        ("orchestrator", "slow", "orchestrator 'slow' (slow.py)"),
        ("environment", "acme", "environment 'acme' (acme 1.2.0)"),
        ("environment", "polite", "environment 'polite' (polite.py)"),
        ("add-on", "labels", "add-on 'labels' (labels.py)"),
    ]
    assert select("slow", "polite", ["labels"]).environment == "polite"
    (plugin,) = listed("polite", "--check")["plugins"]
    assert plugin["problems"] == []
    (folder / "acme.py").write_text(WORKS)
    plugins.rescan()
    with pytest.raises(PluginConflictError, match=r"is provided by acme 1\.2\.0 and acme\.py; uninstall all but one"):
        select(None, "acme")
