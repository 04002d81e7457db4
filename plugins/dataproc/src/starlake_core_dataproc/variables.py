"""How environment variables reach a driver.

A Dataproc job has no environment variables of its own. A driver in YARN (``cluster``) or in a batch gets them through properties. A driver on the
master (``client``) is started by Dataproc's agent with the environment of the cluster, so that a job can only give it system properties, which
Starlake's configuration reads like variables. Substitutions in YAML and SQL go through the ``--options`` of the command as well.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

from starlake_core.contract import commands

__all__ = ["DRIVER_PREFIXES", "EXECUTOR", "JAVA_OPTIONS", "OF_CLUSTER", "variables_as_properties", "with_options"]

EXECUTOR = "spark.executorEnv."
OF_CLUSTER = "spark-env:"
# Not extraJavaOptions, which Dataproc's images and users set: Spark puts one before the other.
JAVA_OPTIONS = "spark.driver.defaultJavaOptions"
_DRIVER = {"cluster": "spark.yarn.appMasterEnv.", "serverless": "spark.dataproc.driverEnv."}
DRIVER_PREFIXES = tuple(_DRIVER.values())
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def variables_as_properties(env: Mapping[str, str], mode: str, java_options: str = "") -> dict[str, str]:
    """Spark properties that pass environment variables to the driver and the executors.

    Args:
        env: the environment variables.
        mode: ``client``, ``cluster`` or ``serverless``.
        java_options: further options of the driver's JVM.
    """
    properties = {f"{EXECUTOR}{name}": value for name, value in env.items()}
    if mode in _DRIVER:
        return {**properties, **{f"{_DRIVER[mode]}{name}": value for name, value in env.items()}}
    # Spark splits them like a shell.
    words = [shlex.quote(f"-D{name}={value}") for name, value in env.items() if _NAME.fullmatch(name)]
    return {**properties, JAVA_OPTIONS: " ".join(filter(None, (java_options, *words)))}


def with_options(arguments: Sequence[str], env: Mapping[str, str]) -> tuple[str, ...]:
    """A command whose ``--options`` also hold variables, if it accepts ``--options``. Those that it already has win.

    A value with a comma is left out, because the command line has no escape for it.

    Args:
        arguments: the command and its arguments.
        env: the environment variables.
    """
    words = tuple(arguments)
    known = {option["name"]: option for option in commands().get(words[0], {}).get("options", ())} if words else {}
    if known.get("options", {}).get("type") != "map":
        return words
    pairs = [(name, value) for name, value in env.items() if "," not in name + value and name and "=" not in name]
    place, given = _options_of(words, known)
    if given is not None:
        taken = {part.partition("=")[0] for part in given.split(",")}
        pairs = [(name, value) for name, value in pairs if name not in taken]
    text = ",".join(f"{name}={value}" for name, value in pairs)
    if not text:
        return words
    if given is None:
        return (*words, "--options", text)
    # This command line accepts the option only once.
    flag, end = words[place : place + 1], place + 1
    if words[place] == "--options":
        return (*words[:end], f"{text},{given}", *words[end + 1 :])
    return (*words[:place], f"{flag[0][: len('--options=')]}{text},{given}", *words[end:])


def _options_of(words: Sequence[str], known: Mapping[str, Mapping[str, object]]) -> tuple[int, str | None]:
    """The position of ``--options`` in a vector, and its value. What follows another option is the value of that option, whatever it looks like."""
    index = 1
    while index < len(words):
        word = words[index]
        if word == "--options" and index + 1 < len(words):
            return index, words[index + 1]
        if word.startswith(("--options=", "--options:")):
            return index, word[len("--options=") :]
        takes_value = word.startswith("--") and known.get(word[2:], {}).get("type", "flag") != "flag"
        index += 2 if takes_value else 1
    return 0, None
