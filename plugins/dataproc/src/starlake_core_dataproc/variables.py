"""How variables reach a driver.

A job of Dataproc has no variables of its own. A driver in YARN (``cluster``) and one of a batch get them through properties. One on the master
(``client``) is started by Dataproc's agent with the environment of the cluster, so that a job can only give it system properties, which Starlake's
configuration reads where it reads variables; what a command substitutes in YAML and SQL goes through its ``--options`` as well.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

from starlake_core.contract import commands

__all__ = ["DRIVER_PREFIXES", "EXECUTOR", "JAVA_OPTIONS", "OF_CLUSTER", "variables_as_properties", "with_options"]

EXECUTOR = "spark.executorEnv."
OF_CLUSTER = "spark-env:"
# Not extraJavaOptions, which the images of Dataproc and users set: Spark puts one before the other.
JAVA_OPTIONS = "spark.driver.defaultJavaOptions"
_DRIVER = {"cluster": "spark.yarn.appMasterEnv.", "serverless": "spark.dataproc.driverEnv."}
DRIVER_PREFIXES = tuple(_DRIVER.values())
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def variables_as_properties(env: Mapping[str, str], mode: str, java_options: str = "") -> dict[str, str]:
    """Spark properties that bring variables to the driver and to the executors.

    Args:
        env: the variables.
        mode: ``client``, ``cluster`` or ``serverless``.
        java_options: what the driver's JVM is given besides.
    """
    properties = {f"{EXECUTOR}{name}": value for name, value in env.items()}
    if mode in _DRIVER:
        return {**properties, **{f"{_DRIVER[mode]}{name}": value for name, value in env.items()}}
    # Spark splits them as a shell does.
    words = [shlex.quote(f"-D{name}={value}") for name, value in env.items() if _NAME.fullmatch(name)]
    return {**properties, JAVA_OPTIONS: " ".join(filter(None, (java_options, *words)))}


def with_options(arguments: Sequence[str], env: Mapping[str, str]) -> tuple[str, ...]:
    """A command whose ``--options`` hold variables too, where it takes any. Those that it has already win.

    A value with a comma is left out: the command line has no escape for it.

    Args:
        arguments: the command and what follows it.
        env: the variables.
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
    # An option of this command line may stand only once.
    flag, end = words[place : place + 1], place + 1
    if words[place] == "--options":
        return (*words[:end], f"{text},{given}", *words[end + 1 :])
    return (*words[:place], f"{flag[0][: len('--options=')]}{text},{given}", *words[end:])


def _options_of(words: Sequence[str], known: Mapping[str, Mapping[str, object]]) -> tuple[int, str | None]:
    """Where ``--options`` stands in a vector, and its value. What follows another option is the value of that one, whatever it looks like."""
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
