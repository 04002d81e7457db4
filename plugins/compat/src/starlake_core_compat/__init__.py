"""The documented API ``ai.starlake.*`` on top of :mod:`starlake_core`: old names, old subclasses, old conventions, and no scheduling.

Pipeline files import from ``ai.starlake``, which holds only names; the implementation is here.
"""

from __future__ import annotations

from .conflicts import refuse_others

refuse_others()
