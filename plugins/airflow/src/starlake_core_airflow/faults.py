"""Pipelines that cannot be built, as import errors of their own.

Airflow has one import error for each file, and stops scheduling every DAG of a file that has one. A project is one file with many DAGs. So a pipeline
that cannot be built leaves a DAG that reports its error under its own name, ``file.py:pipeline``, when Airflow collects it, and is then left out.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from itertools import count
from typing import Any

from airflow.exceptions import AirflowClusterPolicySkipDag

from starlake_core import PipelineFault, sanitize_id

from .versions import AIRFLOW_3, DAG, AirflowException

__all__ = ["publish_faults"]


class _FaultyDag(DAG):  # type: ignore[misc, unused-ignore]
    """A DAG that only reports why it cannot be built. Airflow validates each DAG before it collects it."""

    def validate(self) -> None:
        fault: PipelineFault = self.params_of_fault[0]  # type: ignore[attr-defined]
        filename: str = self.params_of_fault[1]  # type: ignore[attr-defined]
        collecting = sys._getframe(1).f_locals.get("self")
        errors = getattr(collecting, "import_errors", None)
        if not isinstance(errors, dict):
            raise AirflowException(f"{fault.pipeline}: {fault.message}")
        key = f"{_shown(filename, collecting)}:{fault.pipeline}"
        told = errors.get(key)
        errors[key] = fault.message if told is None else f"{told}\n{fault.message}"
        raise AirflowClusterPolicySkipDag(fault.message)


def _shown(filename: str, collecting: Any) -> str:
    """The name of a file in import errors: relative to its bundle on Airflow 3."""
    bundle = getattr(collecting, "bundle_path", None) if AIRFLOW_3 else None
    return os.path.relpath(filename, bundle) if bundle and filename else filename


def publish_faults(faults: Sequence[PipelineFault], filename: str, namespace: dict[str, Any]) -> None:
    """Put a DAG that reports its error in the module of a pipeline file, for each pipeline that cannot be built.

    Args:
        faults: the pipelines, and what is wrong.
        filename: the path of the pipeline file.
        namespace: the globals of the pipeline file.
    """
    for fault in faults:
        name = sanitize_id(fault.pipeline)
        # A file may publish several projects, and their pipelines may have the same names.
        places = (f"_starlake_fault_{name}{f'_{number}' if number else ''}" for number in count())
        place = next(place for place in places if place not in namespace)
        # Airflow takes DAGs with one id for one DAG.
        dag = _FaultyDag(dag_id=place, schedule=None, start_date=datetime(2024, 1, 1, tzinfo=timezone.utc))
        object.__setattr__(dag, "params_of_fault", (fault, filename))
        namespace[place] = dag
