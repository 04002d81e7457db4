"""Finds the module of the pipeline file that is being read."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

__all__ = ["calling_module", "ids_of_execution"]

_IDS = "__starlake_pipelines__"
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


def ids_of_execution(namespace: dict[str, Any]) -> set[str] | None:
    """Return the ids of the pipelines that the running execution of a module has made, to add to; None if it is not being executed.

    Functions that a module is called for later may build a pipeline again. But of two pipelines that one execution of a file makes with one id, a
    host keeps one, and does not say which.
    """
    if not any(frame.f_globals is namespace and frame.f_code.co_name == "<module>" for frame in _frames()):
        return None
    spec = namespace.get("__spec__")
    # A module that is loaded again keeps its globals, and gets another spec.
    of, ids = namespace.setdefault(_IDS, (spec, set()))
    if of is not spec:
        ids = set()
        namespace[_IDS] = (spec, ids)
    found: set[str] = ids
    return found
