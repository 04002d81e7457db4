"""The contract in the docstrings of the hooks: it says what one has to know, and its examples work."""

from __future__ import annotations

import inspect
import re
import textwrap
from typing import Any

import pluggy
import pytest

import starlake_core
import starlake_core.runtime
from starlake_core import hookimpl
from starlake_core.plugins.hookspecs import HookSpecs

HOOKS = {name: function for name, function in vars(HookSpecs).items() if name.startswith("sl_")}
DOCUMENTED = {
    *("sl_options", "sl_create_job", "sl_create_runner", "sl_create_preload", "sl_create_lifecycle", "sl_create_task"),
    *(
        "sl_create_task_group",
        "sl_create_pipeline",
        "sl_publish_pipelines",
        "sl_run_pipeline",
        "sl_deploy",
        "sl_delete",
    ),
}


def docstring(name: str) -> str:
    return inspect.getdoc(HOOKS[name]) or ""


def example(name: str) -> str:
    return textwrap.dedent(docstring(name).partition("Example::")[2])


def spec(name: str) -> dict[str, Any]:
    found: dict[str, Any] = HOOKS[name].starlake_core_spec
    return found


def test_the_hooks_of_the_design_exist() -> None:
    assert set(HOOKS) >= DOCUMENTED


@pytest.mark.parametrize("name", sorted(HOOKS))
def test_a_docstring_says_when_and_by_whom_and_for_which_role(name: str) -> None:
    text = docstring(name)
    assert re.search(r"\bCalled\b", text)
    assert re.search(r"\bRequired for (orchestrators|environments|pages)\b|\bOptional\b", text)
    assert re.search(r"orchestrator|environment|add-on|readers of projects|pages|every role", text)


@pytest.mark.parametrize("name", sorted(name for name in HOOKS if spec(name)["firstresult"]))
def test_a_docstring_says_what_none_means(name: str) -> None:
    required_containers = {"sl_create_task_group", "sl_create_pipeline", "sl_create_runner"}
    assert "None" in docstring(name) or name in required_containers


@pytest.mark.parametrize("name", sorted(HOOKS))
def test_create_hooks_stop_at_the_first_answer(name: str) -> None:
    assert name.startswith("sl_create_") <= bool(spec(name)["firstresult"])


@pytest.mark.parametrize("name", sorted(HOOKS))
def test_every_parameter_is_typed(name: str) -> None:
    signature = inspect.signature(HOOKS[name])
    assert all(
        parameter.annotation is not parameter.empty for key, parameter in signature.parameters.items() if key != "self"
    )
    assert signature.return_annotation is not signature.empty


@pytest.mark.parametrize("name", sorted(HOOKS))
def test_the_example_is_an_implementation_that_pluggy_accepts(name: str) -> None:
    names = {word: getattr(starlake_core, word) for word in starlake_core.__all__}
    names |= {word: getattr(starlake_core.runtime, word) for word in starlake_core.runtime.__all__}
    namespace: dict[str, Any] = {**names, "hookimpl": hookimpl}
    exec(compile(example(name), f"example of {name}", "exec"), namespace)
    made = [key for key in namespace if key.startswith("sl_")]
    assert made == [name]

    class Plugin:
        pass

    setattr(Plugin, name, staticmethod(namespace[name]))
    manager = pluggy.PluginManager("starlake_core")
    manager.add_hookspecs(HookSpecs)
    manager.register(Plugin())
    manager.check_pending()
    (implementation,) = getattr(manager.hook, name).get_hookimpls()
    wanted = [key for key in inspect.signature(HOOKS[name]).parameters if key != "self"]
    assert list(implementation.argnames) == wanted


def test_some_examples_answer_as_they_say() -> None:
    from starlake_core import Job, Options
    from starlake_core.model.command import stage_command

    namespace: dict[str, Any] = {**{word: getattr(starlake_core, word) for word in starlake_core.__all__}}
    for name in ("sl_options", "sl_create_job", "sl_create_lifecycle", "sl_task_keywords", "sl_create_preload"):
        exec(example(name), namespace)
    (group,) = namespace["sl_options"]()
    assert [option.name for option in group.declared] == ["SL_STARLAKE_PATH"]
    command = stage_command("t", "d")
    made = namespace["sl_create_job"](command, Options({"sl_env_var": {"A": "1"}, "SL_STARLAKE_PATH": "starlake"}))
    assert made == Job("shell", command.vector, {"A": "1"}, {"executable": "starlake"})
    assert namespace["sl_create_lifecycle"](None, None).setup[0][1].environment == "dataproc"
    assert "trigger_rule" in namespace["sl_task_keywords"]()
    preload = starlake_core.Preload("t", "hr", (), starlake_core.StarlakePreLoadStrategy.PENDING)
    assert namespace["sl_create_preload"](preload, None, None) is None
    sales = starlake_core.Preload("check", "sales", (), starlake_core.StarlakePreLoadStrategy.PENDING)
    checked = namespace["sl_create_preload"](sales, None, lambda command: Job("shell", command.vector))
    assert checked == Job("shell", ("preload", "--domain", "hub", "--strategy", "pending"))
