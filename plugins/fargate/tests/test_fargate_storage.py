"""A load that failed on Fargate: its files are put back in S3, with the real SDK against the emulator."""

from __future__ import annotations

from dataclasses import replace

import pytest
from emulators.ecs import BUCKET
from fargate_lab import KEY, ROOT, Lab
from starlake_core_fargate.storage import Folders

from starlake_core import RunKey, RunnerError
from starlake_core.runtime import execute

STAGE, INGESTING = f"{ROOT}/datasets/stage/sales", f"{ROOT}/datasets/ingesting/sales"


@pytest.fixture
def folders(lab: Lab) -> Folders:
    found = lab.runner().storage(ROOT)
    assert isinstance(found, Folders)
    return found


def test_files_of_a_folder(folders: Folders) -> None:
    for name in ("a/1.csv", "a/2.csv", "a/.hidden", "a/below/3.csv"):
        folders.write(f"{ROOT}/{name}", name.encode())
    assert set(folders.list(f"{ROOT}/a")) == {"1.csv", "2.csv"}
    about = folders.list(f"{ROOT}/a")["1.csv"]
    folders.move(f"{ROOT}/a/1.csv", f"{ROOT}/b/1.csv")
    folders.move(f"{ROOT}/a/1.csv", f"{ROOT}/b/1.csv")  # the answer to the first was lost
    assert folders.list(f"{ROOT}/b") == {"1.csv": about}
    assert folders.read(f"{ROOT}/b/1.csv") == b"a/1.csv"
    assert folders.read(f"{ROOT}/a/1.csv") is None
    with pytest.raises(RunnerError, match="is gone"):
        folders.move(f"{ROOT}/a/none.csv", f"{ROOT}/b/none.csv")


def test_a_project_elsewhere_is_out_of_reach(lab: Lab) -> None:
    assert lab.runner().storage("gs://bucket/project") is None


def test_a_load_that_failed_is_put_back_and_loaded(lab: Lab, folders: Folders) -> None:
    folders.write(f"{STAGE}/orders-1.csv", b"1,one\n")
    stage, ingesting = lab.object(STAGE), lab.object(INGESTING)
    move = f"mkdir -p {ingesting} && mv {stage}/orders-1.csv {ingesting}/"
    first = execute(replace(lab.job(f"{move} && exit 1"), retry_unsafe=""), lab.runner(), KEY)
    assert (first.exit_code, first.final) == (1, False)
    assert set(folders.list(INGESTING)) == {"orders-1.csv"}
    done = lab.object(f"{ROOT}/datasets/archive/sales")
    again = f"mkdir -p {done} && mv {stage}/orders-1.csv {done}/"
    second = execute(replace(lab.job(again), retry_unsafe=""), lab.runner(), RunKey(KEY.task, "2"), again=True)
    assert second.succeeded
    assert (done / "orders-1.csv").read_bytes() == b"1,one\n"
    assert BUCKET in ROOT
