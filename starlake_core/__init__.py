"""Pipelines for Starlake projects: write them once, and run them on any orchestrator and in any environment.

Import everything that a pipeline file or a plugin needs from here. ``starlake_core.runtime`` runs jobs, and
``starlake_core.testing`` is the conformance kit.

The names are those of :mod:`.public`. They are imported on first use, because a program that needs only a module, such as
``starlake_core.contract``, would take twice as long to start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .public import *  # noqa: F403
    from .public import __all__ as __all__
else:

    def __getattr__(name):
        if name.startswith("__") and name != "__all__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        from .renamed import earlier_name

        public = import_module(".public", __name__)
        globals().update({each: getattr(public, each) for each in public.__all__}, __all__=public.__all__)
        return globals()[name] if name in globals() else earlier_name(__name__, name)

    def __dir__():
        return sorted({*globals(), *__getattr__("__all__")})
