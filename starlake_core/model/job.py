"""A piece of work in one environment: everything that an orchestrator hands over at run time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from ..errors import BindError, StarlakeError
from ..masking import mask_arguments, mask_mapping
from .identity import digest_of
from .run import PLACEHOLDERS, RETRY_UNSAFE, Attempt
from .run_options import with_options

__all__ = ["AUTOMATIC", "Job"]

AUTOMATIC = "auto"
"""A value of :attr:`Job.exclusive`: the worker asks the project which database the command writes to."""

_OF_ATTEMPT = ("sl_attempt_hash", "sl_run_id")
"""Placeholders whose values differ between attempts or re-executions of a run."""
_PLACEHOLDER = re.compile(r"\$\{(" + "|".join(PLACEHOLDERS) + r"|var:[^{}]+)\}")


def _filled(value: Any, values: Callable[[str], str]) -> Any:
    """Return a value with its placeholders filled in, at any depth."""
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda found: values(found[1]), value) if "${" in value else value
    if isinstance(value, Mapping):
        return {name: _filled(item, values) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_filled(item, values) for item in value]
    return value


def _value_if_set(attempt: Attempt, name: str) -> str:
    """Return the value of a placeholder, or the placeholder if it is a variable that is not set."""
    try:
        return attempt.value(name)
    except BindError:
        return f"${{{name}}}"


@dataclass(frozen=True, repr=False)
class Job:
    """A piece of work in one environment. It is frozen, comparable and JSON-serialisable.

    Attributes:
        environment: the entry-point name of the environment that runs it.
        arguments: the Starlake command and its arguments, without an executable; empty for a job that is not a Starlake
            command (such as setting up a cluster).
        env: environment variables for the process or container.
        spec: JSON values for the environment alone: executable, project, cluster, size.
        endpoint: jobs with the same endpoint share a runner and are polled in one call; empty for processes on the
            worker's machine.
        check: the job is the check of a pre-load: *not ready* is an answer, not a failure.
        plugins: the plugins that the worker loads in addition to the environment, by entry-point name.
        retry_unsafe: the user allows a repetition that is not safe: ``doubtful`` if the rows may already be written,
            ``blind`` also if the files cannot be put back; empty for neither.
        labels: labels of the job in its service, for costs and searches; see :attr:`starlake_core.runtime.Runner.labelled`.
            Labels are not part of the work, so they do not change its digest.
        addon_specs: JSON values that add-ons need in the worker, by the name of the add-on. They are not part of the work
            either. A placeholder for a variable that is not set stays as it is, because nothing of an add-on that only
            listens may stop the work.
        exclusive: the name of a resource that only one job may use at a time; ``auto`` for the database that the
            command writes to, if the project says that it allows one writer; empty for none.
        digest: for a bound job, identifies its work among work with the same name; comparisons ignore it.
    """

    environment: str
    arguments: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)
    endpoint: str = ""
    check: bool = False
    plugins: tuple[str, ...] = ()
    retry_unsafe: str = ""
    exclusive: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    addon_specs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    digest: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.arguments, str):
            raise StarlakeError(
                f"the arguments of a job must be a list of strings, not the string {self.arguments!r}; split it"
            )
        object.__setattr__(self, "arguments", tuple(self.arguments))
        object.__setattr__(self, "plugins", tuple(self.plugins))
        object.__setattr__(self, "env", dict(self.env))
        object.__setattr__(self, "spec", dict(self.spec))
        object.__setattr__(self, "labels", dict(self.labels))
        object.__setattr__(self, "addon_specs", dict(self.addon_specs))
        for argument in self.arguments:
            if not isinstance(argument, str):
                raise StarlakeError(f"the argument {argument!r} of a job is not a string: {self.arguments!r}")
        for name, value in self.env.items():
            if not isinstance(name, str) or not isinstance(value, str):
                raise StarlakeError(f"the variable {name!r} of a job is not a string: {value!r}")
        for name, value in self.labels.items():
            if not isinstance(name, str) or not isinstance(value, str):
                raise StarlakeError(f"the label {name!r} of a job is not a string: {value!r}")
        for name, values in self.addon_specs.items():
            if not isinstance(name, str) or not isinstance(values, Mapping):
                raise StarlakeError(f"the values of add-on {name!r} in a job are not a mapping: {values!r}")

    def __hash__(self) -> int:
        return hash((self.environment, self.arguments, self.endpoint))

    def __repr__(self) -> str:
        shown = self.masked()
        parts = [f"environment={shown.environment!r}", f"arguments={list(shown.arguments)!r}"]
        if shown.env:
            parts.append(f"env={dict(shown.env)!r}")
        if shown.spec:
            parts.append(f"spec={dict(shown.spec)!r}")
        if shown.check:
            parts.append("check=True")
        if shown.labels:
            parts.append(f"labels={dict(shown.labels)!r}")
        if shown.addon_specs:
            parts.append(f"addon_specs={dict(shown.addon_specs)!r}")
        if shown.exclusive:
            parts.append(f"exclusive={shown.exclusive!r}")
        return f"Job({', '.join(parts)})"

    def masked(self) -> Job:
        """Return the job without its secrets, to be shown or stored."""
        return replace(
            self,
            arguments=mask_arguments(self.arguments),
            env=mask_mapping(self.env),
            spec=mask_mapping(self.spec),
            addon_specs=mask_mapping(self.addon_specs),
        )

    def with_env(self, env: Mapping[str, str]) -> Job:
        """Return the job with further environment variables.

        Args:
            env: the variables, which replace those of the same name.
        """
        made = copy(self)
        object.__setattr__(made, "env", {**self.env, **env})
        return made

    def bind(self, attempt: Attempt) -> Job:
        """Fill in the values that only a run knows.

        Args:
            attempt: the attempt of the task.

        Returns:
            A job without placeholders. A ``$`` or a brace that is not part of a known placeholder stays as it is.

        Raises:
            BindError: a variable is not in the orchestrator's variable store, or its value cannot stand where it is
                used.
        """
        for flag, value in pairwise(self.arguments):
            if flag == "--options" and "${var:" in value:
                self._check_variables(value, attempt)

        return replace(
            self,
            arguments=self._bound_arguments(attempt, attempt.value),
            env=_filled(self.env, attempt.value),
            spec=_filled(self.spec, attempt.value),
            exclusive=_filled(self.exclusive, attempt.value),
            labels=_filled(self.labels, attempt.value),
            addon_specs=_filled(self.addon_specs, lambda name: _value_if_set(attempt, name)),
            retry_unsafe=max(self.retry_unsafe, attempt.run.retry_unsafe, key=RETRY_UNSAFE.index),
            digest=digest_of(self.environment, *self._work(attempt)),
        )

    def _work(self, attempt: Attempt) -> tuple[tuple[str, ...], dict[str, str]]:
        """Return arguments and variables as they are in every attempt and re-execution. Values of the variable store
        and names of the attempt or run keep their placeholders.
        """

        def value(name: str) -> str:
            return f"${{{name}}}" if name.startswith("var:") or name in _OF_ATTEMPT else attempt.value(name)

        return self._bound_arguments(attempt, value), _filled(self.env, value)

    def _bound_arguments(self, attempt: Attempt, value: Callable[[str], str]) -> tuple[str, ...]:
        """Return the arguments, with the variables that the run brings. Their values have no placeholders."""
        return with_options(_filled(self.arguments, value), attempt.run.options, attempt.task)

    def _check_variables(self, options: str, attempt: Attempt) -> None:
        for found in _PLACEHOLDER.finditer(options):
            if found[1].startswith("var:") and "," in attempt.value(found[1]):
                raise BindError(
                    f"the value of variable '{found[1][4:]}' has a comma, which the options of a Starlake command cannot escape "
                    f"({attempt.task}); pass it through a variable of sl_env_var instead"
                )

    def to_json(self) -> str:
        """Return the job as one canonical line of JSON: equal jobs give equal bytes."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the job as JSON values."""
        return {
            "environment": self.environment,
            "arguments": list(self.arguments),
            "env": dict(self.env),
            "spec": dict(self.spec),
            "endpoint": self.endpoint,
            "check": self.check,
            "plugins": list(self.plugins),
            **({"retry_unsafe": self.retry_unsafe} if self.retry_unsafe else {}),
            **({"exclusive": self.exclusive} if self.exclusive else {}),
            **({"labels": dict(self.labels)} if self.labels else {}),
            **(
                {"addon_specs": {name: dict(values) for name, values in self.addon_specs.items()}}
                if self.addon_specs
                else {}
            ),
        }

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Read a job that :meth:`to_json` wrote.

        Raises:
            StarlakeError: the string is not the JSON of a job.
        """
        try:
            values = json.loads(text)
            return cls(**values)
        except (TypeError, ValueError) as error:
            raise StarlakeError(f"not the JSON of a job ({error}): {text[:80]!r}") from error
