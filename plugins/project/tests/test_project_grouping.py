"""The pipelines of a project: how they are grouped and named."""

from __future__ import annotations

from pathlib import Path

import pytest
from grouping_cases import CASES, DAILY, Case
from starlake_core_project import Project, ProjectError
from starlake_core_project.catalogue import read_catalogue
from starlake_core_project.grouping import Draft, Drafts, group
from starlake_core_project.scheduling import Schedules, seconds_of


def drafts_of(root: Path, **arguments: object) -> Drafts:
    project = Project.load(root, environ={})
    return group(project, read_catalogue(project), **arguments)  # type: ignore[arg-type]


def shown(drafts: Drafts) -> dict[str, tuple[str | None, str]]:
    return {
        draft.id: (draft.schedule.cron, " ".join(item.full_name for item in draft.items))
        for draft in drafts.drafts
        if not draft.faults
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_pipelines_of_a_project(case: Case, tmp_path: Path) -> None:
    assert shown(drafts_of(case.write(tmp_path), **case.arguments)) == case.expected


def only(drafts: Drafts) -> Draft:
    (draft,) = drafts.drafts
    return draft


def test_orchestrator_environment_options_and_description_come_from_the_dag(tmp_path: Path) -> None:
    case = Case(
        "",
        {},
        dags={"all": "{{domain}}.py"},
        tables={"s.a": ""},
        application="  dagRef: {load: all}\n",
        template="load/dagster__scheduled_table__cloud_run.py.j2",
    )
    dag = only(drafts_of(case.write(tmp_path))).dag
    assert (dag.orchestrator, dag.environment, dag.comment) == ("dagster", "cloud_run", "tables of s")
    assert dict(dag.options) == {"pre_load_strategy": "none"}


def test_a_dag_that_does_not_exist_is_reported_where_it_is_named(tmp_path: Path) -> None:
    misspelt = "dagRef: nigth"  # codespell:ignore
    case = Case("", {}, dags={"night": "x.py"}, tables={"s.a": misspelt, "s.b": "dagRef: night"})
    drafts = drafts_of(case.write(tmp_path))
    broken = next(draft for draft in drafts.drafts if draft.faults)
    assert [draft.id for draft in drafts.drafts] == ["nigth", "x"]  # codespell:ignore
    assert str(tmp_path / "metadata/load/s/a.sl.yml:5") in broken.faults[0].message
    assert "Did you mean 'night'?" in broken.faults[0].message


@pytest.mark.parametrize(
    ("keys", "message"),
    [("schedule: dayly", "Did you mean 'daily'"), ("schedule: 99 1 * * *", "99 1 * * *")],  # codespell:ignore
)
def test_a_schedule_that_cannot_be_read_is_a_fault_of_its_pipeline(tmp_path: Path, keys: str, message: str) -> None:
    case = Case(
        "", {}, dags={"all": "{{domain}}.py"}, tables={"s.a": keys, "t.a": ""}, application="  dagRef: {load: all}\n"
    )
    drafts = drafts_of(case.write(tmp_path))
    assert list(shown(drafts)) == ["t"]
    (fault,) = next(draft for draft in drafts.drafts if draft.id == "s").faults
    assert "a.sl.yml:5: " in fault.message
    assert message in fault.message


def test_a_broken_table_belongs_to_the_pipeline_that_its_file_names(tmp_path: Path) -> None:
    root = Case(
        "",
        {},
        dags={"all": "{{domain}}.py", "own": "own.py"},
        tables={"s.a": "dagRef: own, schedule: daily", "s.b": "", "t.a": ""},
        application="  dagRef: {load: all}\n",
    ).write(tmp_path)
    path = root / "metadata/load/s/a.sl.yml"
    path.write_text(path.read_text(encoding="utf-8") + "  colour: red\n", encoding="utf-8")
    drafts = drafts_of(root)
    assert shown(drafts) == {"s": (None, "s.b"), "t": (None, "t.a")}
    broken = next(draft for draft in drafts.drafts if draft.faults)
    assert (broken.id, broken.schedule.cron) == ("own", DAILY)
    assert f"{path}:6: " in broken.faults[0].message


def test_broken_settings_of_a_domain_stop_its_tables_only(tmp_path: Path) -> None:
    root = Case(
        "", {}, dags={"all": "{{domain}}.py"}, tables={"s.a": "", "t.a": ""}, application="  dagRef: {load: all}\n"
    ).write(tmp_path)
    (root / "metadata/load/s/_config.sl.yml").write_text("version: 1\nload: [\n", encoding="utf-8")
    drafts = drafts_of(root)
    assert shown(drafts) == {"t": (None, "t.a")}
    assert [draft.id for draft in drafts.drafts if draft.faults] == ["s"]


@pytest.mark.parametrize("arguments", [{"by": "domains"}, {"names": {"x": "y"}}, {"cron": "never"}])
def test_wrong_arguments_are_refused(tmp_path: Path, arguments: dict[str, object]) -> None:
    root = Case("", {}, tables={"s.a": ""}).write(tmp_path)
    with pytest.raises(ProjectError, match=next(iter(arguments))):
        drafts_of(root, **arguments)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2 days", 172800),
        ("1d", 86400),
        ("1 hour", 3600),
        ("90 minutes", 5400),
        ("30s", 30),
        ("1.5 h", 5400),
        (None, 0),
        ("", 0),
    ],
)
def test_durations(text: str | None, seconds: int) -> None:
    assert seconds_of(text) == seconds


def test_a_duration_that_cannot_be_read() -> None:
    with pytest.raises(ProjectError, match="'soon' is not a duration"):
        seconds_of("soon")


def test_a_macro_is_a_raw_expression() -> None:
    assert Schedules({}).of("@daily").name == "cron1"
