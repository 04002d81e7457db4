"""What each option of a plugin changes: the same is built twice, with two values of one option."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from ..dsl.pipeline import StarlakePipeline
from ..errors import StarlakeError
from ..model.graph_json import graph_json
from ..options import Option, OptionGroup, Options
from ..options.values import _Field
from ..plugins.manager import Plugins
from .corpus import Graph

__all__ = ["EVERYTHING", "Build", "options_of", "rendered", "what_is_read", "without_effect"]

Build = Callable[[Mapping[str, Any]], str]
"""Returns what options lead to, as text; raises a :class:`StarlakeError` for values that are refused."""

_PROBES: tuple[Any, ...] = (
    *("kit-value", "kit", True, False, 7, 3, 1, 600, 3600, 0.5),
    *("https://kit.example", "kit@kit.example", "gs://kit/kit.jar"),
    *({"kit": "value"}, {"kit": {"deep": "value"}}),
    *("2026-01-02", "Europe/Paris", "0 3 * * *"),
)
"""Of every type of the core, at least one value can be made of these."""
_MOST_VALUES = 6


def _everything(p: StarlakePipeline) -> None:
    """Each kind of job: around a pipeline, a check, an import, a load and a transform."""
    start, end, done = p.start_task(), p.end_task(), p.sl_dummy_op("all_done")
    before, after = p.pre_tasks(), p.post_tasks()
    check, load, work = (
        p.sl_pre_load("sales"),
        p.sl_load(domain="sales", table="orders"),
        p.sl_transform("kpi", "kpi.a"),
    )
    assert check is not None, "the strategy of EVERYTHING has a check"
    check >> p.sl_import(domain="sales") >> load >> work >> [done, end]
    if before is None:
        start >> check
    else:
        start >> before >> check
    if after is not None:
        done >> after >> end


EVERYTHING = Graph("everything", _everything, {"pre_load_strategy": "imported"})
"""A pipeline with a job of each kind."""


def rendered(pipeline: StarlakePipeline) -> str:
    """Return the graph of a pipeline and its whole jobs, as text."""
    jobs = [f"{task.path}: {task.job.to_json()}" for task in pipeline.tasks() if task.job is not None]
    return "\n".join((graph_json(pipeline), *jobs))


def options_of(plugins: Plugins, plugin: str) -> list[Option]:
    """Return the options that a plugin declares.

    Args:
        plugins: the selected plugins.
        plugin: its name.
    """
    return [one.option for one in plugins.declared_options() if one.plugin == plugin]


def _values(option: Option) -> list[Any]:
    """Return values of the type of an option, as users write them."""
    found: dict[str, Any] = {}
    words = re.findall(r"[^\s,;()]+", option.type.allowed)
    for probe in (*_PROBES, *words):
        try:
            found.setdefault(repr(option.type.read(probe)), probe)
        except Exception:  # not a value of this type
            continue
    return [*[*found.values()][:_MOST_VALUES], option.default]


def without_effect(
    options: Sequence[Option], build: Build, ways: Sequence[Mapping[str, Any]], values: Mapping[str, Any]
) -> list[str]:
    """Return a sentence for each option that changes nothing, or changes something although it must not.

    Args:
        options: the options.
        build: builds everything that an option can change.
        ways: the ways to use the plugin, each with the options that it needs.
        values: values by name, for options whose type is not enough to make one up.
    """
    bases = [(way, build(way)) for way in ways]
    found = []
    for option in options:
        tried, changes = [], False
        for way, value in [
            (number, value)
            for number in range(len(bases))
            for value in ([values[option.name]] if option.name in values else _values(option))
        ]:
            given, base = bases[way]
            try:
                changes = build({**given, option.name: value}) != base
            except StarlakeError:
                continue
            tried.append(value)
            if changes:
                break
        if option.effective and not tried:
            found.append(
                f"no value of option '{option.name}' ({option.type.allowed}) is accepted; add one to option_values"
            )
        elif option.effective and not changes:
            found.append(
                f"option '{option.name}' changes neither a job nor the pipeline (tried {', '.join(dict.fromkeys(map(repr, tried)))}); use "
                "it, declare it with effective=False, or add the options that it depends on to option_sets"
            )
        elif not option.effective and changes:
            found.append(f"option '{option.name}' is declared with effective=False, and changes a job or the pipeline")
    return found


class _Given(Mapping[str, Any]):
    """Explicit options, and a note of those that are read."""

    def __init__(self, given: Mapping[str, Any], found: set[str]) -> None:
        self._given, self._found = given, found

    def __getitem__(self, name: str) -> Any:
        self._found.add(name)
        return self._given[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)


@contextmanager
def what_is_read() -> Iterator[set[str]]:
    """In this block, note the names of the options that plugins read."""
    found: set[str] = set()
    read, of_group = Options.__getitem__, _Field.__get__

    def group(self: OptionGroup, options: Options) -> None:  # without the values that it keeps
        vars(self)["_options"] = options

    def attribute(self: _Field, group: OptionGroup | None, owner: type) -> Any:
        if group is not None:
            found.add(self.option.name)
        return of_group(self, group, owner)

    def item(self: Options, name: Any) -> Any:
        frame: FrameType | None = sys._getframe(1)
        if frame is not None and frame.f_code is Mapping.get.__code__:
            frame = frame.f_back
        reader = "" if frame is None else str(frame.f_globals.get("__name__", ""))
        # The core looks at all of them, for warnings.
        if isinstance(name, str) and not reader.startswith(("starlake_core.", "collections.abc", "_collections_abc")):
            found.add(name)
        return read(self, name)

    call = Plugins._call

    def asked(self: Plugins, hook: str, **keywords: Any) -> Any:
        if hook == "sl_find_options":
            keywords["given"] = _Given(keywords["given"], found)
        return call(self, hook, **keywords)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Plugins, "_call", asked)
        patch.setattr(OptionGroup, "__init__", group)
        patch.setattr(_Field, "__get__", attribute)
        patch.setattr(Options, "__getitem__", item)
        yield found
