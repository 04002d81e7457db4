"""A process that runs a DAG on a database with one writer, several times: ``airflow_one_writer.py NAME ROOT TIMES OPTIONS``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from airflow_runs import draw, run_dag, state
from one_writer import OneWriter

from starlake_core import StarlakePipeline


def build(pipeline: StarlakePipeline) -> None:
    for table in ("orders", "customers"):
        pipeline.sl_load(domain="shop", table=table) >> pipeline.sl_transform(table, f"kpi.{table}")


def main(name: str, root: str, times: str, options: str) -> None:
    place = OneWriter(Path(root))
    given = {"SL_STARLAKE_PATH": str(place.program), **json.loads(options)}
    dag = draw(place.root, build, given, name=name).native
    ends = [state(run_dag(dag)) for _ in range(int(times))]
    sys.stdout.write(f"\n{json.dumps(ends)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
