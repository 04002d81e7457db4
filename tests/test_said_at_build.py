"""What is wrong is said while a pipeline is drawn: options, keywords and arguments of a wrong type, on every entrance."""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pytest

from starlake_core import (
    STR,
    GraphError,
    OptionGroup,
    OptionsError,
    Orchestration,
    StarlakeError,
    StarlakePipeline,
    hookimpl,
    option,
)
from starlake_core.dsl.verbs import Verbs
from starlake_core.testing import FakeEnvironment, RecordingOrchestrator

Draw = Callable[..., StarlakePipeline]


class AcmeOptions(OptionGroup):
    prefixes = ("ac_",)
    elsewhere: ClassVar[Mapping[str, str]] = {
        "acme_network": "It belongs to the machine; write: acme machines set --network NAME"
    }

    acme_region: str = option(STR, "here")
    ac_zone: str = option(STR, "a")


class Acme(FakeEnvironment):
    @hookimpl
    def sl_options(self) -> list[type[OptionGroup]]:
        return [AcmeOptions]


def opened(options: dict[str, Any], environment: Any = None) -> Orchestration:
    return Orchestration(
        options,
        orchestrator=RecordingOrchestrator(),
        environment=environment or Acme(),
        filename="p.py",
        namespace={},
    )


# options of a plugin


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ac_size", r"p.py: unknown option 'ac_size': plugin '.*' has no such option\. It has: ac_zone, acme_region$"),
        ("acme_network", r"p.py: 'acme_network' is not an option of plugin '.*'. It belongs to the machine; write: acme machines set --network NAME"),
        ("ac_zonne", "p.py: unknown option 'ac_zonne'. Did you mean 'ac_zone'"),
    ],
)  # fmt: skip
def test_a_name_that_belongs_to_a_plugin_and_is_no_option_is_refused(name: str, message: str) -> None:
    with pytest.raises(OptionsError, match=message):
        opened({name: "x"})


def test_names_of_plugins_that_are_not_selected_are_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    opened({"ac_size": "x", "acme_network": "y"}, FakeEnvironment())
    assert [record.getMessage()[:35] for record in caplog.records] == [
        "p.py: option 'ac_size' is ignored: n",
        "p.py: option 'acme_network' is ignor",
    ] or len(caplog.records) == 2


def test_the_name_of_a_plugin_is_a_prefix_of_its_own() -> None:
    environment = Acme()
    orchestration = opened({}, environment)
    (own,) = (names for names in orchestration.plugins.own_names() if "ac_" in names.prefixes)
    assert own.prefixes == (f"{own.plugin}_", "ac_")


# options of a task


def with_load(options: dict[str, Any]) -> None:
    with opened(options) as orchestration, orchestration.sl_create_pipeline(name="p") as pipeline:
        pipeline.sl_load("x", "sales", "orders")


@pytest.mark.parametrize("name", ["x", "sales.orders", "sales"])
def test_options_of_a_task_as_plain_text_are_refused(name: str) -> None:
    with pytest.raises(
        OptionsError, match=rf"option '{name}' has the name of a task.*{name}': \{{'options': 'k=v,k2=v2'\}}"
    ):
        with_load({name: "a=1,b=2"})


def test_plain_text_under_the_name_of_no_task_is_ignored_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with_load({"other": "a=1,b=2"})
    assert "option 'other' is ignored" in caplog.text


@pytest.mark.parametrize(
    "value", [{"retries": 3, "email_on_failure": True}, '{"retries": 3, "email_on_failure": true}']
)
def test_an_object_for_another_host_is_no_section_of_a_task(value: Any, caplog: pytest.LogCaptureFixture) -> None:
    with_load({"default_dag_args": value})
    assert "no task uses the options of 'default_dag_args'" in caplog.text


@pytest.mark.parametrize("value", [{"other_memory": 2048, "other_zone": "b"}, '{"other_memory": 2048}'])
def test_a_task_may_have_options_for_another_environment_alone(value: Any, caplog: pytest.LogCaptureFixture) -> None:
    """One file for several environments."""
    with_load({"x": value})
    assert "option 'x' is ignored" in caplog.text


def test_a_wrong_option_of_a_task_that_is_there_is_refused() -> None:
    with pytest.raises(OptionsError, match="unknown option 'email_on_failure' of task 'x'"):
        with_load({"x": {"retries": 3, "email_on_failure": True}})


# arguments of a pipeline and of verbs


@pytest.mark.parametrize(
    ("schedule", "cron"),
    [
        ("@daily", "cron='0 0 \\* \\* \\*'"),
        ("0 5 * * *", "cron='0 5 \\* \\* \\*'"),
        ([1], "cron='0 2 \\* \\* \\*'"),
        (5, "cron="),
    ],
)
def test_a_time_in_place_of_a_schedule_is_refused(schedule: Any, cron: str) -> None:
    with pytest.raises(StarlakeError, match=rf"must be a StarlakeSchedule.*sl_create_pipeline\({cron}"):
        opened({}).sl_create_pipeline(schedule)


@pytest.mark.parametrize("keyword", ["name", "cron", "description"])
def test_a_keyword_of_a_pipeline_takes_a_string(keyword: str) -> None:
    arguments: dict[str, Any] = {keyword: 5}
    with pytest.raises(StarlakeError, match=rf"sl_create_pipeline\({keyword}=5\) is not allowed; use a string"):
        opened({}).sl_create_pipeline(**arguments)


def test_one_tag_is_one_tag() -> None:
    assert opened({}).sl_create_pipeline(name="p", tags="finance").tags == ("finance",)


STRANGE: list[Any] = [
    None,
    0,
    5,
    1.5,
    True,
    b"x",
    object(),
    [1],
    [None],
    {"a": 1},
    {1, 2},
    ("x", 3),
    len,
    "",
    [],
    {},
    [[]],
]
NEEDED: dict[str, Any] = {
    "task_id": "x",
    "domain": "sales",
    "table": "orders",
    "transform_name": "kpi.a",
    "arguments": ["freshness"],
    "factory": object,
    "group_id": "g",
}
VERBS = [
    name
    for name, made in vars(Verbs).items()
    if inspect.isfunction(made) and not name.startswith("_") and name not in ("option_names", "sl_spark_config")
]
KEYWORDS = ["retries", "retry_delay", "timeout", "pool", "params", "trigger", "inlets", "outlets"]


@pytest.mark.parametrize("verb", VERBS)
def test_no_argument_of_a_wrong_type_is_a_raw_error(verb: str) -> None:
    """Each argument of each verb, and each keyword, with values of types that it does not take: taken, or refused by name."""
    signature = inspect.signature(getattr(Verbs, verb))
    own = [name for name in list(signature.parameters)[1:] if name != "keywords"]
    takes_keywords = "keywords" in signature.parameters
    assert own or takes_keywords
    with opened({}) as orchestration:
        pipeline = orchestration.sl_create_pipeline(name="p")
        for name in (*own, *(KEYWORDS if takes_keywords else ())):
            for number, value in enumerate(STRANGE):
                given = {other: NEEDED[other] for other in own if other in NEEDED and other != name}
                if "task_id" in given:
                    given["task_id"] = f"x_{name}_{number}"
                if "group_id" in given:
                    given["group_id"] = f"g_{name}_{number}"
                with contextlib.suppress(GraphError):  # two nodes of one id, or an empty name
                    _refused_by_name(functools.partial(getattr(pipeline, verb), **given, **{name: value}), verb, name)


def _refused_by_name(call: Callable[[], object], *names: str) -> None:
    """Make a call that is either fine or refused with one of the names in the message."""
    try:
        call()
    except GraphError:
        raise
    except StarlakeError as error:
        message = str(error)
    else:
        return
    assert any(name in message for name in names), message


def needs(argument: int) -> None:
    """A factory that cannot be called as one is."""


@pytest.mark.parametrize(
    "factory",
    [needs, lambda one, two: None, functools.partial(needs), type("Node", (), {"__init__": lambda self, x: None})],
)
def test_a_factory_of_a_native_node_is_called_without_arguments(factory: Any) -> None:
    with pytest.raises(
        StarlakeError,
        match=r"add_native\(\) of task n of pipeline p: factory is called without arguments.*functools.partial",
    ):
        opened({}).sl_create_pipeline(name="p").add_native("n", factory)


# templates


@pytest.mark.parametrize("options", [{"k": "{{ params.q }}"}, "k={{ params.q }}"])
def test_a_template_in_the_variables_of_a_transform_is_warned_about(
    options: Any, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = opened({}).sl_create_pipeline(name="p")
    with caplog.at_level(logging.WARNING):
        pipeline.sl_transform(transform_name="kpi.a", transform_options=options)
    assert (
        "{{ params.q }} in the variables of kpi.a in pipeline p is passed on as it is; run-time values are written ${sl_ds}"
        in caplog.text
    )


def test_a_template_in_the_section_of_a_task_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    pipeline = opened({"kpi.a": {"options": "k={{ ds }}"}}).sl_create_pipeline(name="p")
    pipeline.sl_transform(transform_name="kpi.a")
    assert "{{ ds }} in the variables of kpi.a" in caplog.text


def test_what_is_under_a_secret_name_is_not_repeated(caplog: pytest.LogCaptureFixture) -> None:
    pipeline = opened({}).sl_create_pipeline(name="p")
    pipeline.sl_transform(transform_name="kpi.a", transform_options={"db_password": "{{hunter2}}"})
    assert "hunter2" not in caplog.text


# keywords


@pytest.mark.parametrize("keyword", ["retries", "retry_delay", "timeout"])
@pytest.mark.parametrize("verb", ["start_task", "end_task", "sl_dummy_op"])
def test_how_a_job_runs_is_nothing_to_a_task_without_one(
    verb: str, keyword: str, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = opened({}).sl_create_pipeline(name="p")
    getattr(pipeline, verb)("x", **{keyword: 3})
    assert f"{keyword} has no effect on task x of pipeline p, which runs nothing" in caplog.text


class Picky(RecordingOrchestrator):
    """One that tells the keywords of pipelines from those of tasks."""

    @hookimpl
    def sl_task_keywords(self) -> list[str]:
        return ["queue", "owner"]

    @hookimpl
    def sl_pipeline_keywords(self) -> list[str]:
        return ["doc", "owner"]


@pytest.fixture
def picky() -> Orchestration:
    return Orchestration({}, orchestrator=Picky(), environment=FakeEnvironment(), filename="p.py", namespace={})


def test_a_refusal_of_a_pipeline_names_keywords_of_pipelines(picky: Orchestration) -> None:
    with pytest.raises(StarlakeError, match=r"does not take the keyword 'queue'; .* takes doc, owner\.$"):
        picky.sl_create_pipeline(name="p", queue="x")
    with pytest.raises(StarlakeError, match=r"takes doc, owner.* Did you mean 'tags'"):
        picky.sl_create_pipeline(name="p", tag="x")
    assert picky.sl_create_pipeline(name="p", doc="x").native_options == {"doc": "x"}


def test_a_refusal_of_a_verb_names_keywords_of_verbs(picky: Orchestration) -> None:
    with pytest.raises(StarlakeError, match=r"does not take the keyword 'doc'.*: owner, queue\."):
        picky.sl_create_pipeline(name="p").sl_load("x", "d", "t", doc="x")
