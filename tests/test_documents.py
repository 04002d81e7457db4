"""Documents that are passed on to a service: how they are read, and what they are merged under."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starlake_core import DOCUMENT, OptionGroup, OptionsError, Orchestration, hookimpl, merge_under, option
from starlake_core.testing import FakeEnvironment, RecordingOrchestrator

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(st.text(max_size=5), VALUES, max_size=4)


class AcmeOptions(OptionGroup):
    acme_config: dict[str, Any] = option(DOCUMENT, {})


class Acme(FakeEnvironment):
    @hookimpl
    def sl_options(self) -> list[type[OptionGroup]]:
        return [AcmeOptions]


def read(value: Any, folder: Path) -> dict[str, Any]:
    opened = Orchestration(
        {"acme_config": value},
        orchestrator=RecordingOrchestrator(),
        environment=Acme(),
        filename=str(folder / "pipelines" / "p.py"),
        namespace={},
    )
    return opened.options[AcmeOptions].acme_config


@given(DOCUMENTS)
def test_a_mapping_and_its_json_are_the_same(document: dict[str, Any]) -> None:
    assert DOCUMENT.read(document) == DOCUMENT.read(json.dumps(document)) == document


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.json", '{"a": [1, {"b": null}]}'), ("a.yml", "a: [1, {b: null}]"), ("a.yaml", "a:\n- 1\n- b:\n")],
)
def test_a_file_is_relative_to_the_pipeline_file(name: str, text: str, tmp_path: Path) -> None:
    if not name.endswith(".json"):
        pytest.importorskip("yaml")
    folder = tmp_path / "pipelines" / "config"
    folder.mkdir(parents=True)
    (folder / name).write_text(text)
    assert read(f"config/{name}", tmp_path) == {"a": [1, {"b": None}]}
    assert read(str(folder / name), tmp_path) == {"a": [1, {"b": None}]}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("missing.json", r"the file .*/pipelines/missing\.json cannot be read: No such file"),
        ("config", r"the file name 'config' does not end with \.json, \.yml or \.yaml"),
        ("broken.json", "broken.json is not JSON: "),
        ("list.json", "use a mapping, a JSON object, or the path"),
        ("{broken", "use a mapping, a JSON object, or the path"),
        ([1], "use a mapping, a JSON object, or the path"),
        (5, "use a mapping"),
        ({"a": {1: "x"}}, "1 in a is not a string, as names must be"),
        ({"a": [{"b": object}]}, r"a\[0\]\.b is <class 'object'>; use only"),
    ],
)  # fmt: skip
def test_what_is_no_document_is_refused(value: Any, message: str, tmp_path: Path) -> None:
    folder = tmp_path / "pipelines"
    folder.mkdir()
    (folder / "broken.json").write_text("{")
    (folder / "list.json").write_text("[]")
    with pytest.raises(OptionsError, match=message):
        read(value, tmp_path)


@given(DOCUMENTS, DOCUMENTS)
def test_what_a_plugin_sends_stays_and_conflicts_are_named(own: dict[str, Any], mine: dict[str, Any]) -> None:
    merged, conflicts = merge_under(own, mine)
    _, again = merge_under(own, merged)
    assert again == []
    assert set(merged) == {*own, *mine}
    assert merge_under({}, mine) == (mine, [])
    assert merge_under(own, {}) == (own, [])
    if not conflicts:
        _, reversed_conflicts = merge_under(mine, own)
        assert reversed_conflicts == []


def test_a_conflict_is_named_by_its_path() -> None:
    own = {"name": "x", "config": {"gce": {"zone": "a"}, "count": 1}}
    given = {"name": "y", "config": {"gce": {"zone": "a", "tags": ["t"]}, "count": 2}, "more": True}
    merged, conflicts = merge_under(own, given)
    assert conflicts == ["name", "config.count"]
    assert merged == {"name": "x", "config": {"gce": {"zone": "a", "tags": ["t"]}, "count": 1}, "more": True}
