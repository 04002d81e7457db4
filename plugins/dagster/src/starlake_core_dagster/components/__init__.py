"""Components for projects of Dagster's ``dg``: a Starlake project, or pipeline files, with attributes in a ``defs.yaml``."""

from __future__ import annotations

from .pipelines import StarlakePipelinesComponent
from .project import StarlakeProjectComponent

__all__ = ["StarlakePipelinesComponent", "StarlakeProjectComponent"]
