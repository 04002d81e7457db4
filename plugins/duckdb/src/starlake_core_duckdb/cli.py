"""The program: arguments in, exit code out."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Mapping, Sequence

from starlake_core.contract import commands, parse_arguments
from starlake_core.errors import StarlakeError

from .context import open_context
from .errors import is_lasting, unsupported

__all__ = ["main"]

_SUPPORTED = ("preload", "stage", "load", "transform", "infer-schema", "autoload")
_HELP = ("help", "--help")


def _usage() -> str:
    lines = [
        "Usage: python -m starlake_core_duckdb <command> [options]",
        "       python -m starlake_core_duckdb --version",
        "",
    ]
    for name in _SUPPORTED:
        options = commands()[name]["options"]
        lines.append(
            f"  {name} " + " ".join(f"--{o['name']}" if o.get("required") else f"[--{o['name']}]" for o in options)
        )
    lines += [
        "",
        "SL_ROOT names the project. Every other Starlake command needs the real command line, 'starlake'.",
        "",
    ]
    return "\n".join(lines)


def _run(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    parsed = parse_arguments(arguments)
    if parsed.name not in _SUPPORTED:
        raise unsupported(f"the command {parsed.name}")
    context = open_context(parsed.name, tuple(arguments[1:]), parsed.values, environ)
    # By name, because DuckDB is only loaded by the commands that need it.
    module = importlib.import_module(f".commands.{parsed.name.replace('-', '_')}", __package__)
    code: int = module.run(context)
    return code


def main(arguments: Sequence[str], environ: Mapping[str, str] | None = None) -> int:
    """Carry out one command.

    Args:
        arguments: the command and its options.
        environ: the environment; by default, that of the process.

    Returns:
        The exit code: 0 for success and help, 1 for everything else. If ``SL_RUN_KEY`` is set, as runners do, 78 for what would fail
        again in another attempt.
    """
    environ = os.environ if environ is None else environ
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s", stream=sys.stderr)
    if list(arguments) == ["--version"]:
        from importlib.metadata import version

        sys.stdout.write(f"starlake-core-duckdb {version('starlake-core-duckdb')}\n")
        return 0
    if not arguments or arguments[0] in _HELP or (len(arguments) > 1 and arguments[1] == "--help"):
        sys.stdout.write(_usage())
        return 0
    try:
        return _run(arguments, environ)
    except (StarlakeError, OSError) as error:
        sys.stderr.write(f"ERROR {error}\n")
        lasting = is_lasting(error)
    except Exception as error:
        import traceback

        from starlake_core.runtime import may_pass

        # Show what Python itself would show, but choose the exit code.
        traceback.print_exc()
        lasting = not may_pass(error)
    if lasting and environ.get("SL_RUN_KEY"):
        from starlake_core.runtime import WILL_NOT_PASS

        return WILL_NOT_PASS
    return 1
