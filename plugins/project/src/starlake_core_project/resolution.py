"""Resolves variables that use each other, regardless of the order and file of their definitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import ProjectError
from .templates import Names, Templates, names_in
from .undefined import Use

__all__ = ["Source", "resolved"]


@dataclass(frozen=True)
class Source:
    """A source of variables.

    Attributes:
        path: the file, whose values may use variables; None for a source whose values are final.
        values: the values, as written.
        own_first: values prefer the variables of this file to those of sources with a higher priority.
    """

    path: Path | None
    values: Mapping[str, str]
    own_first: bool = False


_Definition = tuple[str, int]
"""The name of a variable, and the position of the source that defines it."""


def resolved(
    sources: Sequence[Source], templates: Templates, only: str | None = None
) -> tuple[dict[str, str], dict[str, tuple[Use, ...]]]:
    """Return every variable with the value from the source of the highest priority.

    A value may use every other variable. If it uses its own name, that means the definition of the next lower priority.
    In the file of an environment, Starlake prefers the variables of that file; ``own_first`` does the same.

    Args:
        sources: the sources, lowest priority first.
        templates: renders the values.
        only: resolve only this variable and what it needs; by default all.

    Returns:
        The values, and the undefined variables, by the name of the variable that needs them.

    Raises:
        ProjectError: variables need each other in a circle, or the template of a value is invalid.
    """
    values: dict[str, str] = {}
    wanted: dict[str, int] = {}
    for position, source in enumerate(sources):
        if source.path is None or "{" not in "".join(source.values.values()):
            for name in source.values:
                wanted.pop(name, None)
            values.update(source.values)
            continue
        for name, text in source.values.items():
            if "{{" in text or "{%" in text or "{#" in text or "${" in text:
                wanted[name] = position
                values.pop(name, None)
            else:
                wanted.pop(name, None)
                values[name] = text
    if only is not None:
        wanted = {name: position for name, position in wanted.items() if name == only}
    if not wanted:
        return values, {}
    return _Resolution(sources, templates).run(values, wanted)


class _Resolution:
    def __init__(self, sources: Sequence[Source], templates: Templates) -> None:
        self._sources = sources
        self._templates = templates
        self._needs: dict[_Definition, dict[str, _Definition | None]] = {}

    def _definition(self, name: str, below: int | None = None) -> _Definition | None:
        positions = range(len(self._sources) if below is None else below)
        return next(((name, at) for at in reversed(positions) if name in self._sources[at].values), None)

    def _look(self, start: _Definition) -> None:
        """Find what a definition needs, directly and indirectly."""
        waiting = [start]
        while waiting:
            name, position = definition = waiting.pop()
            if definition in self._needs:
                continue
            source = self._sources[position]
            needs: dict[str, _Definition | None] = {}
            if source.path is not None:
                for other in names_in(source.values[name], self._templates, source.path):
                    own = source.own_first and other != name and other in source.values
                    needs[other] = (
                        (other, position) if own else self._definition(other, position if other == name else None)
                    )
            self._needs[definition] = needs
            waiting.extend(need for need in needs.values() if need is not None)

    def run(
        self, values: dict[str, str], wanted: Mapping[str, int]
    ) -> tuple[dict[str, str], dict[str, tuple[Use, ...]]]:
        from graphlib import CycleError, TopologicalSorter

        for name, position in wanted.items():
            self._look((name, position))
        graph = {at: [need for need in needs.values() if need is not None] for at, needs in self._needs.items()}
        try:
            order = list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            raise self._circle(error.args[1]) from None
        final: dict[_Definition, str] = {}
        missing: dict[_Definition, tuple[Use, ...]] = {}
        for definition in order:
            final[definition], missing[definition] = self._filled(definition, final, missing)
        values.update({name: final[name, position] for name, position in wanted.items()})
        return values, {name: missing[name, at] for name, at in wanted.items() if missing[name, at]}

    def _filled(
        self, definition: _Definition, final: Mapping[_Definition, str], missing: Mapping[_Definition, tuple[Use, ...]]
    ) -> tuple[str, tuple[Use, ...]]:
        name, position = definition
        source = self._sources[position]
        text = source.values[name]
        if source.path is None:
            return text, ()
        known = {other: need for other, need in self._needs[definition].items() if need is not None}
        names = Names(
            {other: final[need] for other, need in known.items()},
            incomplete={other: missing[need] for other, need in known.items() if missing[need]},
        )
        rendering = self._templates.render(text, names, source.path)
        return rendering.plain, tuple(rendering.uses)

    def _circle(self, nodes: Sequence[_Definition]) -> ProjectError:
        # The sorter lists a variable before the variables that need it.
        way = " -> ".join(name for name, _ in reversed(nodes))
        name, position = nodes[-1]
        path = self._sources[position].path
        return ProjectError(f"{path}: the variable {name!r} uses itself: {way}; define one of them without the others")
