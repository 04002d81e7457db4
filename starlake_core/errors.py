"""The exceptions of starlake_core.

There is one class per cause, below :class:`StarlakeError`, so that callers can catch as much or as little
as they want::

    StarlakeError
    ├── PluginError
    │   ├── PluginNotFoundError      no plugin with that name is installed
    │   ├── PluginLoadError          it is installed, but its module cannot be imported
    │   ├── PluginConflictError      two distributions provide the same name
    │   ├── PluginContractError      a hook is missing, misspelt or returns the wrong type
    │   └── PluginFailedError        a hook raised an exception outside this tree
    ├── OptionsError                 one or more option values are wrong (all of them, at once)
    ├── UnknownOptionError           code reads an option that no selected plugin declares
    ├── ContractError                the Starlake command line would refuse an argument vector
    ├── CommandError                 a value cannot be written as a Starlake argument
    ├── ScheduleError                a cron expression, a time zone or a date cannot be read
    ├── DependenciesError            a lineage cannot be read
    ├── DatasetError                 two datasets share a name
    ├── GraphError
    │   ├── CycleError               tasks wait for each other
    │   ├── DuplicateIdError         two nodes have the same id
    │   └── EdgeError                the graph cannot have an edge
    ├── BindError                    a run-time value is unknown or missing
    ├── RunError                     a run cannot be started, resumed or found
    │   ├── RunnerError              an environment cannot submit or watch a job: grant or create something
    │   └── OutageError              a service does not answer now; a later attempt may succeed
    ├── PipelineFileError            a pipeline file does not load
    └── NothingFoundError            a path, a pattern or a run does not exist

A message says what was given, what is wrong and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .plain_text import plain

__all__ = [
    "BindError",
    "CommandError",
    "ContractError",
    "CycleError",
    "DatasetError",
    "DependenciesError",
    "DuplicateIdError",
    "EdgeError",
    "GraphError",
    "NothingFoundError",
    "OptionsError",
    "OutageError",
    "PipelineFileError",
    "PluginConflictError",
    "PluginContractError",
    "PluginError",
    "PluginFailedError",
    "PluginLoadError",
    "PluginNotFoundError",
    "RunError",
    "RunnerError",
    "ScheduleError",
    "StarlakeError",
    "UnknownOptionError",
    "did_you_mean",
    "near_miss",
]


class StarlakeError(Exception):
    """The root of the tree above. A message may quote foreign text, so ``str()`` escapes control characters except
    newline and tab."""

    def __str__(self) -> str:
        return plain(super().__str__())


class PluginError(StarlakeError):
    """A plugin cannot be used."""


class PluginNotFoundError(PluginError):
    """No plugin with this name and role is installed."""


class PluginLoadError(PluginError):
    """A plugin is installed, but its module cannot be imported."""


class PluginConflictError(PluginError):
    """Two distributions provide a plugin with the same name and role."""


class PluginContractError(PluginError):
    """A plugin lacks a hook, misspells one, or returns the wrong type from one."""


class PluginFailedError(PluginError):
    """A hook of a plugin, or a method of its runner, raised an unexpected exception, because of a bug in the plugin or
    in a library.

    Attributes:
        may_pass: whether another attempt may succeed, as after a shortage of a service.
    """

    may_pass = False


class _Problems(StarlakeError):
    """An error that reports several problems at once.

    Args:
        problems: one complete sentence for each problem.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(map(plain, problems))
        super().__init__("\n".join(self.problems))


class OptionsError(_Problems):
    """Options are wrong; ``problems`` has a line for each."""


class UnknownOptionError(StarlakeError, KeyError):
    """Code reads an option that no selected plugin declares."""

    def __str__(self) -> str:
        return plain(str(self.args[0]))  # KeyError would quote it


class ContractError(_Problems):
    """The Starlake command line would refuse the arguments; ``problems`` has a line for each."""


class CommandError(StarlakeError):
    """A value cannot be written as an argument of a Starlake command."""


class ScheduleError(StarlakeError):
    """A cron expression, a time zone or a date cannot be read."""


class DependenciesError(StarlakeError):
    """A lineage cannot be read."""


class DatasetError(StarlakeError):
    """Two datasets share a name."""


class GraphError(StarlakeError):
    """The graph of a pipeline is wrong."""


class CycleError(GraphError):
    """Nodes of a graph wait for each other."""


class DuplicateIdError(GraphError):
    """Two nodes of one group have the same id."""


class EdgeError(GraphError):
    """An edge joins nodes that cannot be joined."""


class BindError(StarlakeError):
    """A run-time value of a job is unknown or missing."""


class RunError(StarlakeError):
    """A run cannot be started, resumed or found."""


class RunnerError(RunError):
    """An environment cannot submit, watch or cancel a job."""


class OutageError(RunError):
    """The service of an environment did not answer while its runner tried. A retry of the task may succeed."""


class PipelineFileError(StarlakeError):
    """A pipeline file does not load."""


class NothingFoundError(StarlakeError):
    """A path, a pattern or a run does not exist."""


def _closest(word: str, known: Iterable[str], cutoff: float) -> list[str]:
    import difflib  # takes longer than the rest of this module, and is needed for mistakes alone

    return difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the hint at the end of a message about an unknown name.

    Args:
        word: the given name.
        known: the valid names.

    Returns:
        ``" Did you mean 'x'?"``, or an empty string.
    """
    by_lower = {name.lower(): name for name in known}
    close = _closest(word.lower(), by_lower, 0.75)
    return f" Did you mean '{by_lower[close[0]]}'?" if close else ""


def near_miss(word: str, known: Iterable[str]) -> str | None:
    """Return the known name of which a word is probably a typo. It is closer to the word than related names are to each
    other.

    Args:
        word: the given name.
        known: the valid names.

    Returns:
        The name, or None if there is no such name.
    """
    by_lower = {name.lower(): name for name in known}
    text = word.lower()
    swapped = (text[:i] + text[i + 1] + text[i] + text[i + 2 :] for i in range(len(text) - 1))
    for candidate in (text, *swapped):
        if candidate in by_lower:
            return by_lower[candidate]
    close = _closest(text, by_lower, 0.88)
    if close:
        return by_lower[close[0]]
    # Two edits in longer words (retrys), and one in shorter words.
    found = []
    for name in by_lower:
        most = min(2, len(text) // 3, len(name) // 3)
        distance = _edits(text, name, most)
        if distance <= most:
            found.append((distance, name))
    return by_lower[min(found)[1]] if found else None


def _edits(one: str, other: str, most: int) -> int:
    """Return how many letters must be changed, added or removed to turn one word into another; if more than ``most``,
    any larger number."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    row = list(range(len(other) + 1))
    for index, letter in enumerate(one, 1):
        before, row[0] = row[0], index
        for place, wanted in enumerate(other, 1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (letter != wanted))
        if min(row) > most:
            return most + 1
    return row[-1]
