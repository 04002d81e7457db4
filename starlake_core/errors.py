"""Every exception that starlake_core raises on purpose.

One class per cause, all of them below :class:`StarlakeError`, so that a caller catches as much or as
little as it wants::

    StarlakeError
    ├── PluginError
    │   ├── PluginNotFoundError      no plugin of that name is installed
    │   ├── PluginLoadError          it is installed but its module does not import
    │   ├── PluginConflictError      two distributions provide the same name
    │   ├── PluginContractError      a hook is missing, misspelt, or broke its promise
    │   └── PluginFailedError        a hook raised something that is not of this tree
    ├── OptionsError                 one or more option values are wrong (all of them, at once)
    ├── UnknownOptionError           an option that is read and that no selected plugin declares
    ├── ContractError                an argument vector that the Starlake command line would refuse
    ├── CommandError                 a value that cannot be written as a Starlake argument
    ├── ScheduleError                a cron expression, a time zone or a date that cannot be read
    ├── DependenciesError            a lineage that cannot be read
    ├── DatasetError                 two datasets that fall on one name
    ├── GraphError
    │   ├── CycleError               tasks that wait for each other
    │   ├── DuplicateIdError         two nodes with one id
    │   └── EdgeError                an edge that the graph cannot hold
    ├── BindError                    a run-time value that is unknown or missing
    ├── RunError                     a run that cannot be started, resumed or found
    │   ├── RunnerError              an environment that cannot submit or watch a job: something is to be granted or created
    │   └── OutageError              a service that does not answer now; a later try may succeed
    ├── PipelineFileError            a pipeline file that does not load
    └── NothingFoundError            a path, a pattern or a run that names nothing

A message says what was asked, what was found and what to do.
"""

from __future__ import annotations

import difflib
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
    """The root of the tree above. A message may quote what others wrote: as a text it has no control characters but newline and tab."""

    def __str__(self) -> str:
        return plain(super().__str__())


class PluginError(StarlakeError):
    """A plugin cannot be used."""


class PluginNotFoundError(PluginError):
    """No plugin of the wanted name and role is installed."""


class PluginLoadError(PluginError):
    """A plugin is installed but its module does not import."""


class PluginConflictError(PluginError):
    """Two distributions provide a plugin of one name and role."""


class PluginContractError(PluginError):
    """A plugin misses a hook, misspells one, or broke the promise of one."""


class PluginFailedError(PluginError):
    """A hook of a plugin raised an error that is none of the plugin's messages: a fault of its program, or of what it calls."""


class _Problems(StarlakeError):
    """An error that reports several problems at once.

    Args:
        problems: one complete sentence each.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(map(plain, problems))
        super().__init__("\n".join(self.problems))


class OptionsError(_Problems):
    """One or more options have a wrong value; ``problems`` holds a line for each."""


class UnknownOptionError(StarlakeError, KeyError):
    """An option is read that no selected plugin declares."""

    def __str__(self) -> str:
        return plain(str(self.args[0]))  # that of KeyError quotes it


class ContractError(_Problems):
    """The Starlake command line would refuse these arguments; ``problems`` holds a line for each."""


class CommandError(StarlakeError):
    """A value cannot be written as an argument of a Starlake command."""


class ScheduleError(StarlakeError):
    """A cron expression, a time zone or a date cannot be read."""


class DependenciesError(StarlakeError):
    """A lineage cannot be read."""


class DatasetError(StarlakeError):
    """Two datasets fall on one name."""


class GraphError(StarlakeError):
    """The graph of a pipeline is wrong."""


class CycleError(GraphError):
    """Nodes of a graph wait for each other."""


class DuplicateIdError(GraphError):
    """Two nodes of one group have the same id."""


class EdgeError(GraphError):
    """An edge joins nodes that it cannot join."""


class BindError(StarlakeError):
    """A run-time value of a job is unknown or missing."""


class RunError(StarlakeError):
    """A run cannot be started, resumed or found."""


class RunnerError(RunError):
    """An environment cannot submit, watch or cancel a job."""


class OutageError(RunError):
    """The service of an environment did not answer, for as long as its runner tried; retries of the task try again."""


class PipelineFileError(StarlakeError):
    """A pipeline file does not load."""


class NothingFoundError(StarlakeError):
    """A path, a pattern or the id of a run names nothing."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The hint at the end of a message about an unknown name.

    Args:
        word: what was given.
        known: what would have been right.

    Returns:
        ``" Did you mean 'x'?"`` or an empty string.
    """
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), list(by_lower), n=1, cutoff=0.75)
    return f" Did you mean '{by_lower[close[0]]}'?" if close else ""


def near_miss(word: str, known: Iterable[str]) -> str | None:
    """The known name that a word is a typo of: closer to it than two related names are to each other.

    Args:
        word: what was given.
        known: what would have been right.

    Returns:
        The name; None where there is no such name.
    """
    by_lower = {name.lower(): name for name in known}
    text = word.lower()
    swapped = (text[:i] + text[i + 1] + text[i] + text[i + 2 :] for i in range(len(text) - 1))
    for candidate in (text, *swapped):
        if candidate in by_lower:
            return by_lower[candidate]
    close = difflib.get_close_matches(text, list(by_lower), n=1, cutoff=0.88)
    if close:
        return by_lower[close[0]]
    # Two edits in longer words (retrys), one in shorter ones.
    found = []
    for name in by_lower:
        most = min(2, len(text) // 3, len(name) // 3)
        distance = _edits(text, name, most)
        if distance <= most:
            found.append((distance, name))
    return by_lower[min(found)[1]] if found else None


def _edits(one: str, other: str, most: int) -> int:
    """How many letters are to be changed, added or left out to make one word of another; beyond ``most`` it only says that there are more."""
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
