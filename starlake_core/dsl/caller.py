"""Finds the module of the pipeline file that is being read."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

__all__ = ["calling_module"]

_CORE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def _frames() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


def calling_module() -> dict[str, Any]:
    """Return the globals of the first module on the stack that is not part of a package of this project.

    Only this function looks at the caller. A pipeline file gives its name to its pipelines, and an orchestrator may
    publish into its module.
    """
    for frame in _frames():
        name = str(frame.f_globals.get("__name__", ""))
        ours = name.partition(".")[0].startswith("starlake_core") or name.startswith("ai.starlake")
        if not ours and not frame.f_code.co_filename.startswith(_CORE):
            return frame.f_globals
    return {}
