"""An environment whose jobs outlive the process that submits them: what a cloud service does, with processes and files.

Every attempt has a folder with its key, the process group, its output and, in the end, its exit code. Any process can find, poll, cancel and
read an attempt by the path of its folder. Put the folder of this module on the path: the metadata beside it makes it an installed plugin.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from starlake_core import (
    JSON_MAP,
    STR,
    Command,
    GeneralOptions,
    Job,
    OptionGroup,
    Options,
    RunKey,
    hookimpl,
    option,
)
from starlake_core.runtime import AttemptInfo, Outcome, Runner, Status, Verdict

# The parent of the job: it waits for it, and writes the exit code aside and renames it, so that it is there as a whole or not at all.
_PARENT = """
import json, os, subprocess, sys
folder, vector, env = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
with open(os.path.join(folder, "log"), "ab") as log:
    code = subprocess.call(vector, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
with open(os.path.join(folder, "exit.tmp"), "w") as file:
    file.write(str(code))
os.replace(os.path.join(folder, "exit.tmp"), os.path.join(folder, "exit"))
"""


class DetachedOptions(OptionGroup):
    detached_folder: str = option(STR, required=True, doc="Where the attempts are kept.")
    detached_program: str = option(STR, "starlake", doc="What stands for Starlake.")
    detached_settings: dict[str, Any] = option(JSON_MAP, {}, doc="Stands for what a service is told besides.")


@hookimpl
def sl_options() -> Sequence[type[OptionGroup]]:
    return [DetachedOptions]


@hookimpl
def sl_create_job(command: Command, options: Options) -> Job:
    detached = options[DetachedOptions]
    return Job(
        "detached",
        command.vector,
        options[GeneralOptions].sl_env_var,
        {
            "folder": detached.detached_folder,
            "program": detached.detached_program,
            "settings": detached.detached_settings,
        },
        endpoint=detached.detached_folder,
    )


@hookimpl
def sl_create_runner(job: Job) -> Runner:
    return DetachedRunner(Path(str(job.spec["folder"])))


class DetachedRunner(Runner):
    interval = 0.2
    detached = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
        keys = {
            path: json.loads((path / "key.json").read_text())
            for path in self._folder.glob("*/")
            if (path / "pid").exists()
        }
        mine = sorted((key["time"], str(path)) for path, key in keys.items() if key["SL_RUN_TASK"] == task)
        return [AttemptInfo.told(keys[Path(handle)], handle, self._status(handle)) for _, handle in mine]

    def submit(self, job: Job, key: RunKey) -> str:
        folder = self._folder / f"{key.task_hash}-{key.attempt_hash}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            return str(folder)
        (folder / "key.json").write_text(json.dumps({**key.variables, "time": time.time()}))
        env = {**os.environ, **job.env, **key.variables}
        vector = [str(job.spec["program"]), *job.arguments]
        if job.check:
            vector += ["--notReadySentinel", str(folder / "not-ready")]
        process = subprocess.Popen(
            [sys.executable, "-c", _PARENT, str(folder), json.dumps(vector), json.dumps(env)],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        process.returncode = 0  # it is not waited for: it outlives this process
        (folder / "pid.tmp").write_text(str(process.pid))
        os.replace(folder / "pid.tmp", folder / "pid")
        return str(folder)

    def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
        if (self._folder / "polls").exists():
            with (self._folder / "polls").open("a") as file:
                file.write(f"{len(handles)}\n")
        return {handle: self._status(handle) for handle in handles}

    def _status(self, handle: str) -> Status:
        folder = Path(handle)
        if (folder / "cancelled").exists():
            return Status(Outcome(Verdict.CANCELLED, reason="cancelled", log=str(folder / "log")))
        if not (folder / "exit").exists():
            return Status(detail="running")
        code = int((folder / "exit").read_text())
        ready = Verdict.NOT_READY if (folder / "not-ready").exists() else Verdict.SUCCEEDED
        verdict = ready if code == 0 else Verdict.FAILED
        return Status(Outcome(verdict, code, "" if code == 0 else f"exit code {code}", log=str(folder / "log")))

    def cancel(self, handle: str) -> None:
        folder = Path(handle)
        if (folder / "exit").exists() or (folder / "cancelled").exists():
            return
        try:
            os.killpg(int((folder / "pid").read_text()), signal.SIGKILL)
        except ProcessLookupError:
            return
        (folder / "cancelled").touch()

    def logs(self, handle: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
        try:
            text = (Path(handle) / "log").read_bytes()[int(cursor or 0) :]
        except FileNotFoundError:
            return (), cursor
        whole = text[: text.rfind(b"\n") + 1]
        return whole.decode(errors="replace").splitlines(), str(int(cursor or 0) + len(whole))

    def console_url(self, handle: str) -> str:
        return f"file://{handle}"
