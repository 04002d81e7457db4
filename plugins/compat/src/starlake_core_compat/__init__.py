"""The documented API ``ai.starlake.*`` on top of :mod:`starlake_core`: old names, old subclasses, old conventions, and no scheduling.

What pipeline files import lies in ``ai.starlake``, which holds names only; what stands behind them is here.
"""

from __future__ import annotations

from .conflicts import refuse_others

refuse_others()
