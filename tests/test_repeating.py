"""A load is green only if its rows are in the table, whatever failed before; nothing is there twice without the user's word.

The command line is the stand-in that keeps the areas of a project as Starlake does.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from starlake_core import Job, RunKey, RunnerError
from starlake_core.model.command import load_command, preload_command, transform_command
from starlake_core.runtime import (
    AttemptInfo,
    LocalStorage,
    Outcome,
    ProcessRunner,
    Status,
    Storage,
    Verdict,
    execute,
    finish,
    start,
)
from starlake_core.testing import StandIn, Step, TableModel, Warehouse

ROWS = ["1,one", "2,two"]


@pytest.fixture
def stand_in(tmp_path: Path) -> StandIn:
    made = StandIn(tmp_path / "bin")
    made.keep(TableModel("sales", "orders", r"orders.*\.csv"), TableModel("sales", "people", r"people.*\.csv"))
    return made


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    describe(folder, "APPEND")
    put(folder, "stage", "orders-1.csv")
    return folder


def describe(root: Path, strategy: str, more: str = "") -> None:
    load = root / "metadata" / "load" / "sales"
    load.mkdir(parents=True, exist_ok=True)
    (load / "_config.sl.yml").write_text("load: { name: sales }")
    for table in ("orders", "people"):
        (load / f"{table}.sl.yml").write_text(
            f"table:\n  name: {table}\n  pattern: '{table}.*\\.csv'\n  attributes: [ {{ name: id, required: true }} ]\n{more}"
            f"  metadata: {{ writeStrategy: {{ type: {strategy}, key: [ id ] }} }}\n"
        )


def put(root: Path, area: str, name: str, rows: Sequence[str] = ROWS) -> Path:
    path = root / "datasets" / area / "sales" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{row}\n" for row in rows))
    return path


def files(root: Path) -> dict[str, list[str]]:
    """What is in the areas."""
    found = {
        folder.parent.name: sorted(file.name for file in folder.iterdir())
        for folder in (root / "datasets").glob("*/sales")
    }
    return {area: names for area, names in found.items() if names}


def rows(root: Path, table: str = "orders") -> list[str]:
    return Warehouse(root).rows("sales", table) or []


class Task:
    """A task that is tried again and again, with a worker of its own for every attempt."""

    def __init__(self, stand_in: StandIn, root: Path, arguments: Sequence[str], run: str = "run-1") -> None:
        self.stand_in = stand_in
        self.job = Job("shell", tuple(arguments), {"SL_ROOT": str(root)})
        self.run = run
        self.attempts = 0

    def runner(self) -> ProcessRunner:
        return ProcessRunner(lambda job: (str(self.stand_in.path), *job.arguments))

    def attempt(self, word: str = "", timeout: float | None = None) -> Outcome:
        self.attempts += 1
        key = RunKey(f"pipeline/{self.run}/{'.'.join(self.job.arguments)}", str(self.attempts))
        job = replace(self.job, retry_unsafe=word)
        return execute(job, self.runner(), key, timeout=timeout, again=self.attempts > 1)


@pytest.fixture
def load(stand_in: StandIn, root: Path) -> Task:
    return Task(stand_in, root, load_of("orders"))


def load_of(table: str) -> tuple[str, ...]:
    vector = load_command("load", "sales", table).vector
    return tuple(word.replace("${sl_scheduled_date}", "2026-11-02T00:00:00.000+0000") for word in vector)


MOMENTS = ["before the move", "in the move", "after the move", "after the rows", "after the archive"]


# -- loads that end with an error code


@pytest.mark.parametrize("strategy", ["APPEND", "OVERWRITE", "UPSERT_BY_KEY", "SCD2"])
@pytest.mark.parametrize("at", ["before the move", "in the move", "after the move"])
def test_a_load_that_failed_is_put_back_and_loaded(load: Task, root: Path, at: str, strategy: str) -> None:
    describe(root, strategy)
    put(root, "stage", "orders-2.csv", ["3,three"])
    load.stand_in.script("load:sales.orders", Step(at=at), Step())
    first = load.attempt()
    assert (first.verdict, first.final) == (Verdict.FAILED, False)
    assert load.attempt().succeeded
    assert sorted(rows(root)) == ["1,one", "2,two", "3,three"]
    assert files(root) == {"archive": ["orders-1.csv", "orders-2.csv"]}


def test_files_are_matched_as_java_does(load: Task, root: Path) -> None:
    """Python takes this pattern too, and then no file matches it."""
    pattern = r"orders-[0-9&&[^5]]\.csv"
    table = root / "metadata" / "load" / "sales" / "orders.sl.yml"
    table.write_text(table.read_text().replace(r"orders.*\.csv", pattern))
    put(root, "ingesting", "orders-5.csv")
    load.stand_in.script("load:sales.orders", Step(at="after the move"), Step())
    load.attempt()
    assert load.attempt().succeeded
    assert rows(root) == ROWS
    assert files(root) == {"archive": ["orders-1.csv"], "ingesting": ["orders-5.csv"]}


def test_the_fault_without_the_cure(stand_in: StandIn, root: Path) -> None:
    """The negative control: the second try is green and the table is empty."""
    runner = ProcessRunner(lambda job: (str(stand_in.path), *job.arguments), keyed=True)
    stand_in.script("load:sales.orders", Step(at="after the move"), Step())
    job = Job("shell", load_of("orders"), {"SL_ROOT": str(root)})
    ends = [execute(job, runner, RunKey("p/r/load", str(number))).verdict for number in (1, 2)]
    assert ends == [Verdict.FAILED, Verdict.SUCCEEDED]
    assert rows(root) == []
    assert files(root) == {"ingesting": ["orders-1.csv"]}


def test_files_of_other_loads_stay_where_they_are(load: Task, root: Path) -> None:
    put(root, "ingesting", "people-1.csv")
    put(root, "ingesting", "orders-old.csv")
    load.stand_in.script("load:sales.orders", Step(at="after the move"), Step())
    load.attempt()
    assert load.attempt().succeeded
    assert files(root) == {"archive": ["orders-1.csv"], "ingesting": ["orders-old.csv", "people-1.csv"]}


def test_files_of_an_earlier_run_are_named(load: Task, root: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(root, "ingesting", "orders-old.csv")
    assert load.attempt().succeeded
    assert "orders-old.csv" in caplog.text
    assert f"mv {root}/datasets/ingesting/sales/orders-old.csv {root}/datasets/stage/sales/" in caplog.text


@pytest.mark.parametrize("at", ["after the rows"])
def test_an_error_after_the_rows_is_not_repeated(load: Task, root: Path, at: str) -> None:
    """The output says that the rows are in: the real command line logs it before the audit and the archive, which may fail."""
    load.stand_in.script("load:sales.orders", Step(at=at), Step())
    first = load.attempt()
    assert first.final
    assert "are in sales.orders" in first.reason
    with pytest.raises(RunnerError, match="it is not known"):
        load.attempt()
    assert rows(root) == ROWS


def test_a_table_with_expectations_may_fail_with_its_rows_in(load: Task, root: Path) -> None:
    describe(root, "APPEND", "  expectations: [ { expect: 'is_unique(id) => count == 1', failOnError: true } ]\n")
    load.stand_in.script("load:sales.orders", Step(at="after the move"))
    assert load.attempt().final


# -- loads whose end is not known


@pytest.mark.parametrize("strategy", ["OVERWRITE", "UPSERT_BY_KEY"])
@pytest.mark.parametrize("at", MOMENTS)
def test_a_killed_load_is_repeated_where_rows_may_come_twice(load: Task, root: Path, at: str, strategy: str) -> None:
    describe(root, strategy)
    load.stand_in.keep(TableModel("sales", "orders", strategy=strategy))
    load.stand_in.script("load:sales.orders", Step(at=at, how="dies"), Step())
    first = load.attempt()
    assert (first.verdict, first.final) == (Verdict.FAILED, False)
    assert load.attempt().succeeded
    assert rows(root) == ROWS
    assert files(root) == {"archive": ["orders-1.csv"]}


@pytest.mark.parametrize("strategy", ["APPEND", "SCD2", "UPSERT_BY_KEY_AND_TIMESTAMP"])
@pytest.mark.parametrize("at", ["in the move", "after the move", "after the rows"])
def test_a_killed_append_needs_a_person(load: Task, root: Path, at: str, strategy: str) -> None:
    describe(root, strategy)
    load.stand_in.script("load:sales.orders", Step(at=at, how="dies"), Step())
    first = load.attempt()
    assert first.final
    with pytest.raises(RunnerError) as refused:
        load.attempt()
    for text in (first.reason, str(refused.value)):
        assert "orders-1.csv" in text
        assert strategy in text
        assert f"mv {root}/datasets/ingesting/sales/orders-1.csv {root}/datasets/stage/sales/" in text
        assert "--retry-unsafe doubtful" in text
    assert files(root)["ingesting"] == ["orders-1.csv"]


@pytest.mark.parametrize("at", ["before the move", "after the archive"])
def test_a_killed_append_is_repeated_where_no_row_is_in_doubt(load: Task, root: Path, at: str) -> None:
    load.stand_in.script("load:sales.orders", Step(at=at, how="dies"), Step())
    assert not load.attempt().final
    assert load.attempt().succeeded
    assert rows(root) == ROWS


def test_the_word_of_the_user_repeats_it(load: Task, root: Path) -> None:
    load.stand_in.script("load:sales.orders", Step(at="after the rows", how="dies"), Step())
    load.attempt()
    assert load.attempt("doubtful").succeeded
    assert rows(root) == ROWS * 2


@pytest.mark.parametrize(("area", "wanted"), [("stage", ROWS * 2), ("archive", ROWS)])
def test_what_the_user_types_settles_it(load: Task, root: Path, area: str, wanted: list[str]) -> None:
    load.stand_in.script("load:sales.orders", Step(at="after the rows", how="dies"), Step())
    load.attempt()
    (root / "datasets" / area / "sales").mkdir(parents=True, exist_ok=True)
    shutil.move(root / "datasets/ingesting/sales/orders-1.csv", root / "datasets" / area / "sales")
    assert load.attempt().succeeded
    assert rows(root) == wanted


def test_a_time_out_is_an_end_that_nobody_knows(load: Task, root: Path) -> None:
    load.stand_in.script("load:sales.orders", Step(at="after the rows", how="goes on"))
    outcome = load.attempt(timeout=2)
    assert outcome.final
    assert "time-out" in outcome.reason
    assert "it is not known" in outcome.reason


def test_a_lost_worker_is_an_end_that_nobody_knows(load: Task, stand_in: StandIn, root: Path) -> None:
    """Nobody concludes: the note of the attempt is all that is left."""
    stand_in.script("load:sales.orders", Step(at="after the move", how="dies"), Step())
    runner = load.runner()
    key = RunKey(f"pipeline/run-1/{'.'.join(load.job.arguments)}", "0")
    handle = start(load.job, runner, key)
    while not runner.poll([handle])[handle].ended:
        runner.wait([handle], 1)
    with pytest.raises(RunnerError, match="it is not known"):
        load.attempt()


def test_a_table_that_is_loaded_by_two_runs_at_once(load: Task, stand_in: StandIn, root: Path) -> None:
    other = Task(stand_in, root, load_of("orders"), "run-2")
    stand_in.script("load:sales.orders", Step(at="after the move"), Step(at="after the move"), Step())
    load.attempt()
    put(root, "stage", "orders-2.csv", ["3,three"])
    other.attempt()
    assert load.attempt().succeeded
    assert files(root) == {"archive": ["orders-1.csv"], "ingesting": ["orders-2.csv"]}
    assert other.attempt().succeeded
    assert sorted(rows(root)) == ["1,one", "2,two", "3,three"]


def test_a_move_that_was_not_finished(load: Task, root: Path) -> None:
    """Between two file systems a file is copied, then deleted: the whole one is in the stage area."""
    load.stand_in.script("load:sales.orders", Step(at="before the move", how="dies"), Step())
    load.attempt()
    put(root, "ingesting", "orders-1.csv", ["1,o"])
    assert load.attempt().succeeded
    assert rows(root) == ROWS
    assert files(root) == {"archive": ["orders-1.csv"]}


def test_two_files_of_one_name_are_for_a_person(load: Task, root: Path) -> None:
    load.stand_in.script("load:sales.orders", Step(at="after the move"), Step())
    load.attempt()
    put(root, "stage", "orders-1.csv", ["9,another"])
    with pytest.raises(RunnerError, match="another file with that name"):
        load.attempt("doubtful")
    assert rows(root) == []


# -- successes that are none


def test_a_success_that_leaves_files_in_ingesting_is_a_failure(load: Task, root: Path) -> None:
    """The real command line ignores that the move to the archive failed."""
    load.stand_in.script("load:sales.orders", Step())
    (root / "datasets" / "archive").mkdir(parents=True)
    # What the command leaves: the file as it was when it was loaded.
    load.stand_in.path.write_text(
        "#!/bin/sh\n"
        f"mkdir -p {root}/datasets/ingesting/sales; mv {root}/datasets/stage/sales/*.csv {root}/datasets/ingesting/sales/\n"
    )
    outcome = load.attempt()
    assert (outcome.verdict, outcome.final) == (Verdict.FAILED, True)
    assert "orders-1.csv" in outcome.reason
    assert "the command succeeded and left" in outcome.reason


def test_a_success_that_loads_nothing_is_a_failure(load: Task, root: Path) -> None:
    load.stand_in.keep(TableModel("sales", "another"))
    outcome = load.attempt()
    assert (outcome.verdict, outcome.final) == (Verdict.FAILED, True)
    assert "loaded none of orders-1.csv" in outcome.reason


def test_nothing_to_load_is_a_success_and_leaves_no_note(load: Task, root: Path) -> None:
    (root / "datasets/stage/sales/orders-1.csv").unlink()
    assert load.attempt().succeeded
    assert not list((root / ".starlake-core").rglob("*.json"))


# -- what the project does not say


def test_without_a_project_the_usual_areas_are_taken(load: Task, root: Path) -> None:
    shutil.rmtree(root / "metadata")
    load.stand_in.script("load:sales.orders", Step(at="after the move"), Step())
    assert not load.attempt().final
    assert load.attempt().succeeded
    assert rows(root) == ROWS


def test_without_a_project_a_killed_load_needs_a_person(load: Task, root: Path) -> None:
    shutil.rmtree(root / "metadata")
    load.stand_in.script("load:sales.orders", Step(at="after the move", how="dies"))
    assert "its write strategy is not known" in load.attempt().reason


@pytest.mark.parametrize("name", ["elsewhere", "busy"])
def test_areas_that_variables_move(load: Task, root: Path, name: str) -> None:
    shutil.move(root / "datasets", root / "elsewhere")
    load.job = replace(
        load.job, env={**load.job.env, "SL_DATASETS": str(root / "elsewhere"), "SL_AREA_INGESTING": "busy"}
    )
    load.stand_in.script("load:sales.orders", Step(at="after the move"), Step())
    if name == "busy":
        shutil.rmtree(root / "metadata")
    load.attempt()
    assert (root / "elsewhere/busy/sales/orders-1.csv").exists()
    assert load.attempt().succeeded
    assert rows(root) == ROWS


# -- transforms and checks


@pytest.fixture
def transform(stand_in: StandIn, root: Path) -> Task:
    task = transform_command("t", "kpi.day", options={"sl_data_interval_start": "x", "sl_data_interval_end": "y"})
    return Task(stand_in, root, [word.replace("${sl_scheduled_date}", "2026-11-02") for word in task.vector])


def write_transform(root: Path, strategy: str, more: str = "") -> None:
    folder = root / "metadata" / "transform" / "kpi"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "day.sql").write_text("SELECT 1 AS a")
    (folder / "day.sl.yml").write_text(f"task: {{ name: day, writeStrategy: {{ type: {strategy} }}{more} }}")


@pytest.mark.parametrize("how", ["fails", "dies"])
@pytest.mark.parametrize("at", ["before the move", "after the rows"])
def test_a_transform_that_overwrites_is_repeated(transform: Task, root: Path, at: str, how: str) -> None:
    write_transform(root, "OVERWRITE")
    transform.stand_in.keep(TableModel("kpi", "day", strategy="OVERWRITE"))
    transform.stand_in.script("transform:kpi.day", Step(at=at, how=how), Step())
    assert not transform.attempt().final
    assert transform.attempt().succeeded
    assert len(Warehouse(root).rows("kpi", "day") or ()) == 1
    assert not (root / ".starlake-core").exists()


def test_a_transform_that_appends_is_repeated_after_an_error(transform: Task, root: Path) -> None:
    write_transform(root, "APPEND")
    transform.stand_in.script("transform:kpi.day", Step(at="before the move"), Step())
    assert not transform.attempt().final
    assert transform.attempt().succeeded
    assert len(Warehouse(root).rows("kpi", "day") or ()) == 1


@pytest.mark.parametrize("more", ["", ", postsql: [ 'SELECT 1' ]"])
def test_a_transform_that_appends_and_whose_end_is_not_known_needs_a_person(
    transform: Task, root: Path, more: str
) -> None:
    write_transform(root, "APPEND", more)
    transform.stand_in.script("transform:kpi.day", Step(at="after the rows", how="fails" if more else "dies"), Step())
    first = transform.attempt()
    assert first.final
    assert "mark the task as succeeded" in first.reason
    with pytest.raises(RunnerError, match="APPEND"):
        transform.attempt()
    assert transform.attempt("doubtful").succeeded
    assert len(Warehouse(root).rows("kpi", "day") or ()) == 2


def test_who_asks_for_a_transform_anew_has_given_his_word(transform: Task, root: Path) -> None:
    write_transform(root, "APPEND")
    transform.stand_in.script("transform:kpi.day", Step(at="after the rows", how="dies"), Step())
    transform.attempt()
    key = RunKey(f"pipeline/run-1/{'.'.join(transform.job.arguments)}", "2", generation=1)
    assert execute(transform.job, transform.runner(), key, again=True).succeeded
    assert len(Warehouse(root).rows("kpi", "day") or ()) == 2


def test_a_program_that_does_not_start_leaves_no_doubt(transform: Task, root: Path) -> None:
    write_transform(root, "APPEND")
    program = transform.stand_in.path.read_text()
    transform.stand_in.path.unlink()
    with pytest.raises(RunnerError, match="not found"):
        transform.attempt()
    transform.stand_in.path.write_text(program)
    transform.stand_in.path.chmod(0o755)
    assert transform.attempt().succeeded


@pytest.fixture
def check(stand_in: StandIn, root: Path) -> Task:
    (root / "today.ack").touch()
    task = Task(stand_in, root, preload_command("c", "sales", ["orders"], "ack", ack_file="today.ack").vector)
    task.job = replace(task.job, check=True)
    return task


def test_an_acknowledgement_that_is_there_is_looked_for_again(check: Task, root: Path) -> None:
    check.stand_in.script("preload:sales", Step(at="before the move", how="dies"), Step())
    assert not check.attempt().final
    assert check.attempt().succeeded
    assert not (root / "today.ack").exists()


def test_an_acknowledgement_that_a_killed_check_took_is_for_a_person(check: Task, root: Path) -> None:
    check.stand_in.script("preload:sales", Step(at="after the rows", how="dies"), Step())
    first = check.attempt()
    assert first.final
    assert f"touch {root}/today.ack" in first.reason
    with pytest.raises(RunnerError, match="is gone"):
        check.attempt()
    (root / "today.ack").touch()
    assert check.attempt().succeeded


def test_a_check_that_finds_nothing_leaves_no_doubt(check: Task, root: Path) -> None:
    (root / "today.ack").unlink()
    assert [check.attempt().verdict for _ in range(2)] == [Verdict.NOT_READY, Verdict.NOT_READY]


# -- services


class Service(ProcessRunner):
    """Runs processes and remembers how they ended, as a service does.

    Args:
        program: to run.
        reaches: the storage that it reaches.
    """

    detached = True

    def __init__(self, program: Path, reaches: Storage | None = None) -> None:
        super().__init__(lambda job: (str(program), *job.arguments))
        self.reaches = reaches
        self.known: list[tuple[str, str]] = []

    def submit(self, job: Job, key: RunKey) -> str:
        local = replace(job, env={**job.env, "SL_ROOT": job.spec["root"]})
        handle = super().submit(local, key)
        self.known.append((key.attempt, handle))
        return handle

    def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
        return [AttemptInfo(attempt, handle, self.poll([handle])[handle]) for attempt, handle in self.known]

    def storage(self, root: str) -> Storage | None:
        return self.reaches


class Bucket(LocalStorage):
    """A folder of this machine in the place of a bucket."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def _here(self, path: str) -> str:
        return path.replace("mem://bucket", str(self.root))

    def list(self, folder: str) -> dict[str, str]:
        return dict(super().list(self._here(folder)))

    def move(self, source: str, target: str) -> None:
        super().move(self._here(source), self._here(target))

    def read(self, path: str) -> bytes | None:
        return super().read(self._here(path))

    def write(self, path: str, content: bytes) -> None:
        super().write(self._here(path), content)

    def delete(self, path: str) -> None:
        super().delete(self._here(path))


@pytest.fixture
def service(stand_in: StandIn) -> Service:
    return Service(stand_in.path)


def remote(root: Path, **env: str) -> Job:
    return Job("cloud", load_of("orders"), env, {"root": str(root)}, endpoint="service")


def test_a_load_in_a_service_is_not_repeated_where_its_files_are_out_of_reach(
    service: Service, stand_in: StandIn, root: Path
) -> None:
    stand_in.script("load:sales.orders", Step(at="after the move"), Step())
    job = remote(root)
    first = execute(job, service, RunKey("p/r/t", "1"))
    assert first.final
    assert "cannot reach the project" in first.reason
    with pytest.raises(RunnerError, match="--retry-unsafe blind"):
        execute(job, service, RunKey("p/r/t", "2"), again=True)
    assert execute(replace(job, retry_unsafe="blind"), service, RunKey("p/r/t", "2"), again=True).succeeded


def test_a_load_in_a_service_that_succeeded_may_be_cleared(service: Service, stand_in: StandIn, root: Path) -> None:
    job = remote(root)
    assert execute(job, service, RunKey("p/r/t", "1")).succeeded
    put(root, "stage", "orders-2.csv", ["3,three"])
    assert execute(job, service, RunKey("p/r/t", "2"), again=True).succeeded
    assert sorted(rows(root)) == ["1,one", "2,two", "3,three"]


def test_files_in_the_storage_that_a_service_reaches_are_put_back(stand_in: StandIn, root: Path) -> None:
    service = Service(stand_in.path, Bucket(root))
    stand_in.script("load:sales.orders", Step(at="after the move"), Step())
    job = remote(root, SL_ROOT="mem://bucket")
    assert not execute(job, service, RunKey("p/r/t", "1")).final
    assert execute(job, service, RunKey("p/r/t", "2"), again=True).succeeded
    assert rows(root) == ROWS


def test_the_project_on_this_machine_says_what_is_in_the_storage(
    stand_in: StandIn, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe(root, "OVERWRITE")
    monkeypatch.setenv("SL_ROOT", str(root))
    service = Service(stand_in.path, Bucket(root))
    stand_in.keep(TableModel("sales", "orders", strategy="OVERWRITE"))
    stand_in.script("load:sales.orders", Step(at="after the rows", how="dies"), Step())
    job = remote(root, SL_ROOT="mem://bucket")
    assert not execute(job, service, RunKey("p/r/t", "1")).final
    assert execute(job, service, RunKey("p/r/t", "2"), again=True).succeeded
    assert rows(root) == ROWS


def test_a_service_knows_how_an_attempt_ended_that_nobody_concluded(stand_in: StandIn, root: Path) -> None:
    service = Service(stand_in.path, Bucket(root))
    stand_in.script("load:sales.orders", Step(at="after the move"), Step())
    job = remote(root, SL_ROOT="mem://bucket")
    handle = start(job, service, RunKey("p/r/t", "1"))
    while not service.poll([handle])[handle].ended:
        service.wait([handle], 1)
    assert execute(job, service, RunKey("p/r/t", "2"), again=True).succeeded
    assert rows(root) == ROWS


def test_an_append_that_succeeded_while_nobody_looked_is_taken(stand_in: StandIn, root: Path) -> None:
    service = Service(stand_in.path)
    job = replace(remote(root), arguments=("transform", "--name", "kpi.day"))
    first = start(job, service, RunKey("p/r/t", "1"))
    while not service.poll([first])[first].ended:
        service.wait([first], 1)
    assert start(job, service, RunKey("p/r/t", "2"), again=True) == first
    assert len(Warehouse(root).rows("kpi", "day") or ()) == 1
    third = start(job, service, RunKey("p/r/t", "3"), counts=lambda attempt: int(attempt) > 2)
    assert third != first, "a clear has the work done anew"
    while not service.poll([third])[third].ended:
        service.wait([third], 1)


def test_a_keyed_environment_repeats_everything(stand_in: StandIn, root: Path) -> None:
    runner = ProcessRunner(lambda job: (str(stand_in.path), *job.arguments), keyed=True)
    stand_in.script("load:sales.orders", Step(at="after the rows", how="dies"))
    outcome = execute(Job("duckdb", load_of("orders"), {"SL_ROOT": str(root)}), runner, RunKey("p/r/t", "1"))
    assert not outcome.final
    assert not (root / ".starlake-core").exists()


def test_finish_without_a_job_says_nothing_about_repetition(stand_in: StandIn, root: Path) -> None:
    runner = ProcessRunner(lambda job: (str(stand_in.path), *job.arguments))
    assert finish(runner, "unknown", Outcome(Verdict.FAILED, 1)) == Outcome(Verdict.FAILED, 1)
    assert Status().outcome is None


def test_a_project_that_cannot_be_written_is_out_of_reach(load: Task, root: Path) -> None:
    (root / ".starlake-core").write_text("a file is in the way of the folder")
    load.stand_in.script("load:sales.orders", Step(at="after the move"))
    assert "It is not retried" in load.attempt().reason
