"""A Starlake command line of a few lines of sh, driven by files in its project."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlake_core import Orchestration, StarlakePipeline

# Each call is one line of the file "calls". "exit/<what>" holds exit codes, one a line, used one after the other; the last one stays.
# "ready/<domain>" says that a domain is ready; a check that finds none writes the marker that it was given.
PROGRAM = """#!/bin/sh
command=$1
what=$command
for word in "$@"; do
  case $previous in
    --tables|--name) what=$word ;;
    --domain) domain=$word ;;
    --notReadySentinel) marker=$word ;;
  esac
  previous=$word
done
if [ "$command" = preload ]; then what=preload-$domain; fi
echo "$command $what $SL_RUN_KEY" >> calls
echo "$SL_RUN_INSTANCE" >> instances
echo "output of $what"
if [ -f "hang/$what" ]; then sleep 60 & echo $! >> pids; echo $$ >> pids; wait; fi
code=0
if [ -f "exit/$what" ]; then
  code=$(head -n 1 "exit/$what")
  if [ "$(wc -l < "exit/$what")" -gt 1 ]; then sed -i 1d "exit/$what"; fi
fi
if [ "$command" = preload ] && [ "$code" = 0 ] && [ ! -f "ready/$domain" ]; then : > "$marker"; fi
exit $code
"""


class Project:
    """A folder that stands for a Starlake project."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.program = root / "starlake"
        self.program.write_text(PROGRAM)
        self.program.chmod(0o755)
        for folder in ("exit", "ready", "hang"):
            (root / folder).mkdir()

    def exits(self, what: str, *codes: int) -> None:
        """The exit codes of the next calls about something; the last one stays."""
        (self.root / "exit" / what).write_text("".join(f"{code}\n" for code in codes))

    def ready(self, *domains: str) -> None:
        """Some domains are ready."""
        for domain in domains:
            (self.root / "ready" / domain).touch()

    def calls(self) -> list[str]:
        """Command and subject of every call, in order."""
        file = self.root / "calls"
        return [" ".join(line.split(" ")[:2]) for line in file.read_text().splitlines()] if file.exists() else []

    def run_keys(self) -> list[str]:
        """The run key of every call, in order."""
        return [line.split(" ", 2)[2] for line in (self.root / "calls").read_text().splitlines()]

    def options(self, **options: Any) -> dict[str, Any]:
        """Options that point at this project, with quick retries."""
        given = {"retries": 0, "retry_delay": 0, "state_dir": str(self.root / "state")}
        return {"SL_STARLAKE_PATH": str(self.program), "sl_env_var": {"SL_ROOT": str(self.root)}, **given, **options}

    def pipeline(self, draw: Callable[[StarlakePipeline], object], **options: Any) -> StarlakePipeline:
        """A pipeline on the local orchestrator and the shell."""
        with (
            Orchestration(
                self.options(**options), orchestrator="local", environment="shell", filename="test.py", namespace={}
            ) as orchestration,
            orchestration.sl_create_pipeline(name="test", cron="0 0 * * *") as pipeline,
        ):
            draw(pipeline)
        return pipeline
