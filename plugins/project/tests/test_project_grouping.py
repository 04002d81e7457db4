"""The pipelines of a project: how they are grouped and named."""

from __future__ import annotations

from pathlib import Path

import pytest
from grouping_cases import CASES, DAILY, Case
from starlake_core_project import Project, ProjectError
from starlake_core_project.catalogue import read_catalogue
from starlake_core_project.grouping import Draft, Drafts, group
from starlake_core_project.publishing import plan
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


@pytest.mark.parametrize(
    "arguments",
    [
        {"by": "domains"},
        {"names": {"x": "y"}},
        {"names": {"s_load": ""}},
        {"names": {"s_load": "my load"}},
        {"cron": "never"},
    ],
)
def test_wrong_arguments_are_refused(tmp_path: Path, arguments: dict[str, object]) -> None:
    root = Case("", {}, tables={"s.a": ""}).write(tmp_path)
    with pytest.raises(ProjectError, match=next(iter(arguments))):
        drafts_of(root, **arguments)


def faults(root: Path, **arguments: object) -> dict[str, list[str]]:
    found = drafts_of(root, **arguments).drafts
    return {draft.id: [fault.message.replace(f"{root}/metadata/", "") for fault in draft.faults] for draft in found}


def test_two_files_with_the_same_name_are_a_fault_of_both(tmp_path: Path) -> None:
    root = Case("", {}, tables={"s.a": "", "s.b": "", "t.c": ""}, tasks={"k.a": "", "k.b": "name: a"}).write(tmp_path)
    path = root / "metadata/load/s/b.sl.yml"
    path.write_text(path.read_text(encoding="utf-8").replace("table:", "table:\n  name: a"), encoding="utf-8")
    found = faults(root)
    assert (
        "load/s/a.sl.yml: describes the table s.a, and so does load/s/b.sl.yml; rename one of them" in found["s_load"]
    )
    assert [line.partition(":")[0] for line in found["k_transform"]] == [
        "transform/k/a.sl.yml",
        "transform/k/b.sl.yml",
    ]
    assert found["t_load"] == []


@pytest.mark.parametrize("by", ["domain", "project"])
def test_a_table_that_is_loaded_and_computed_cannot_be_in_one_pipeline(tmp_path: Path, by: str) -> None:
    root = Case("", {}, tables={"s.a": ""}, tasks={"s.a": ""}).write(tmp_path)
    ((fault,),) = faults(root, by=by).values()
    assert "group by dag" in fault
    assert list(faults(root)) == ["s_load", "s_transform"]


def test_a_freshness_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    root = Case(
        "",
        {},
        tables={"s.a": "freshness: {error: soon}", "t.a": "", "u.a": ""},
        tasks={"k.a": "freshness: {warn: 1 fortnight}", "m.a": ""},
        domains={"t": "metadata: {freshness: {warn: later}}"},
        configs={"m": "freshness: {error: never}"},
    ).write(tmp_path)
    found = {name: " ".join(lines).partition(": '")[0] for name, lines in faults(root).items()}
    assert found == {
        "k_transform": "transform/k/a.sl.yml:2: task.freshness.warn",
        "m_transform": "transform/m/_config.sl.yml:2: transform.default.freshness.error",
        "s_load": "load/s/a.sl.yml:5: table.metadata.freshness.error",
        "t_load": "load/t/_config.sl.yml:2: load.metadata.freshness.warn",
        "u_load": "",
    }


@pytest.mark.parametrize("lines", ["  tags: [red, 'x']\n", "  tags:\n    - red\n    - x\n"], ids=["flow", "block"])
def test_the_tags_of_a_broken_table_are_recognised(tmp_path: Path, lines: str) -> None:
    root = Case("", {}, tasks={"k.a": "tags: [red]"}, tables={"s.a": ""}).write(tmp_path)
    path = root / "metadata/load/s/a.sl.yml"
    path.write_text(path.read_text(encoding="utf-8") + lines + "  colour: red\n", encoding="utf-8")
    found = faults(root, by="tag")
    assert sorted(found) == ["red", "x"]
    assert all("colour" in lines[0] for lines in found.values())


def test_names_may_name_pipelines_that_are_not_selected(tmp_path: Path) -> None:
    root = Case("", {}, tables={"s.a": "", "t.a": ""}).write(tmp_path)
    found = plan(root, select="t.a", names={"s_load": "x", "t_load": "y"})
    assert [draft.id for draft in found.drafts.drafts] == ["y"]


def test_pipelines_with_the_same_pinned_id_are_a_fault(tmp_path: Path) -> None:
    root = Case("", {}, tables={"s.a": "", "t.a": ""}).write(tmp_path)
    message = "2 pipelines have the id 'x'; give them different ids with names="
    found = drafts_of(root, names={"s_load": "x", "t_load": "x"}).drafts
    assert [[fault.message for fault in draft.faults] for draft in found] == [[message], [message]]


@pytest.mark.parametrize(
    ("keys", "condition", "message"),
    [
        (("s.a & s.b", ""), "s.a & s.b", ""),
        (("s.a & s.b", "s.a & s.b"), "s.a & s.b", ""),
        (("any", "all"), "", ""),
        (("s.a & s.b", "s.a"), None, "transform/k/a.sl.yml:2: the condition 's.a & s.b' is that of the whole pipeline"),
        (("s.a & s.b", "all"), None, "in which others say 'all'"),
        (("some", ""), None, "transform/k/a.sl.yml:2: dataset_triggering_strategy is 'some'; use any, all, or"),
    ],
)
def test_a_condition_is_that_of_the_whole_pipeline(
    tmp_path: Path, keys: tuple[str, str], condition: str | None, message: str
) -> None:
    tasks = {
        f"k.{name}": f"dataset_triggering_strategy: '{text}'" if text else ""
        for name, text in zip("ab", keys, strict=True)
    }
    root = Case("", {}, tables={"s.a": "", "s.b": ""}, tasks=tasks).write(tmp_path)
    draft = next(draft for draft in plan(root).drafts.drafts if draft.kind == "transform")
    if condition is not None:
        assert (draft.condition, draft.faults) == (condition, ())
    else:
        assert message in draft.faults[0].message


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
