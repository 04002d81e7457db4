"""preload and stage, line by line of the contract of the Starlake command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Sandbox


def preload(sandbox: Sandbox, *arguments: str, **environ: str) -> int:
    return sandbox.run("preload", "--domain", "shop", *arguments, **environ).code


@pytest.mark.parametrize("strategy", ["imported", "IMPORTED", "Imported"])
def test_imported_is_ready_when_any_table_has_a_file(sandbox: Sandbox, strategy: str) -> None:
    sandbox.table("others", "table: {pattern: others.*}")
    assert preload(sandbox, "--strategy", strategy) == 1
    sandbox.incoming("items1.csv", "id\n")
    assert preload(sandbox, "--strategy", strategy) == 0
    assert preload(sandbox, "--strategy", strategy, "--tables", "items,others") == 0
    assert preload(sandbox, "--strategy", strategy, "--tables", "others") == 1


def test_imported_wants_the_whole_name_to_match_and_overlooks_hidden_files(sandbox: Sandbox) -> None:
    for name in ("items1.csv.part", "myitems1.csv", ".items1.csv"):
        sandbox.incoming(name, "id\n")
    assert preload(sandbox, "--strategy", "imported") == 1


def test_pending_looks_into_stage(sandbox: Sandbox) -> None:
    sandbox.incoming("items1.csv", "id\n")
    assert preload(sandbox, "--strategy", "pending", "--tables", "items") == 1
    assert sandbox.run("stage", "--domains", "shop").code == 0
    assert preload(sandbox, "--strategy", "pending", "--tables", "items") == 0


def test_quirk_pending_without_tables_is_ready(sandbox: Sandbox) -> None:
    assert preload(sandbox, "--strategy", "pending") == 0
    assert sandbox.run("preload", "--domain", "nowhere", "--strategy", "pending").code == 0


def test_quirk_imported_with_an_unknown_domain(sandbox: Sandbox) -> None:
    assert sandbox.run("preload", "--domain", "nowhere", "--strategy", "imported").code == 0
    assert sandbox.run("preload", "--domain", "nowhere", "--strategy", "imported", "--tables", "items").code == 1


@pytest.mark.parametrize("strategy", ["imported", "pending"])
def test_quirk_an_empty_tables_value_is_one_table_without_a_name(sandbox: Sandbox, strategy: str) -> None:
    sandbox.incoming("items1.csv", "id\n")
    sandbox.staged("items1.csv", "id\n")
    assert preload(sandbox, "--strategy", strategy, "--tables", "") == 1


def test_ack_deletes_the_file_it_finds(sandbox: Sandbox) -> None:
    ack = sandbox.write("go.ack", "")
    assert preload(sandbox, "--strategy", "ack", "--globalAckFilePath", str(ack)) == 0
    assert not ack.exists()
    assert preload(sandbox, "--strategy", "ack", "--globalAckFilePath", str(ack)) == 1
    assert preload(sandbox, "--strategy", "ack") == 1


@pytest.mark.parametrize(
    "strategy",
    [(), ("--strategy", "none"), ("--strategy", "imorted"), ("--strategy", "")],  # codespell:ignore imorted
)
def test_quirk_an_unknown_strategy_is_ready(sandbox: Sandbox, strategy: tuple[str, ...]) -> None:
    assert preload(sandbox, *strategy) == 0


def test_not_ready_with_a_sentinel_succeeds_and_leaves_an_empty_mark(sandbox: Sandbox) -> None:
    mark = sandbox.root / "mark"
    assert preload(sandbox, "--strategy", "imported", "--notReadySentinel", str(mark)) == 0
    assert mark.read_bytes() == b""


def test_quirk_a_stale_sentinel_stays_when_ready(sandbox: Sandbox) -> None:
    mark = sandbox.write("mark", "old")
    sandbox.incoming("items1.csv", "id\n")
    assert preload(sandbox, "--strategy", "imported", "--notReadySentinel", str(mark)) == 0
    assert mark.read_text() == "old"


def test_a_sentinel_that_cannot_be_written_is_a_warning(sandbox: Sandbox) -> None:
    result = sandbox.run(
        "preload", "--domain", "shop", "--strategy", "imported", "--notReadySentinel", "/nowhere/at/all"
    )
    assert result.code == 0
    assert not Path("/nowhere").exists()


def test_a_domain_without_directory_fails_even_with_a_sentinel(sandbox: Sandbox) -> None:
    sandbox.write("metadata/load/shop/_config.sl.yml", "load: {name: shop}")
    mark = sandbox.root / "mark"
    result = sandbox.run("preload", "--domain", "shop", "--strategy", "imported", "--notReadySentinel", str(mark))
    assert result.code == 1
    assert "directory attribute is mandatory" in result.err
    assert not mark.exists()
    assert sandbox.run("stage", "--domains", "shop").code == 1
    assert sandbox.run("stage", "--domains", "shop", "--tables", "").code == 0


def test_domain_is_required(sandbox: Sandbox) -> None:
    result = sandbox.run("preload", "--strategy", "imported")
    assert result.code == 1
    assert "Missing option --domain" in result.err


def test_stage_moves_the_files_of_the_selected_tables(sandbox: Sandbox) -> None:
    sandbox.table("others", "table: {pattern: others.*}")
    for name in ("items1.csv", "others1.csv", "unknown.txt"):
        sandbox.incoming(name, name)
    assert sandbox.run("stage", "--domains", "shop", "--tables", "").code == 0
    assert sandbox.run("stage", "--domains", "nowhere").code == 0
    assert sandbox.files("stage") == []
    assert sandbox.run("stage", "--domains", "shop", "--tables", "items").code == 0
    assert sandbox.files("stage") == ["shop/items1.csv"]


def test_quirk_stage_ignores_tables_without_domains(sandbox: Sandbox) -> None:
    sandbox.incoming("items1.csv", "id\n")
    assert sandbox.run("stage", "--tables", "").code == 0
    assert sandbox.files("stage") == ["shop/items1.csv"]


def test_stage_never_replaces_a_file_that_waits(sandbox: Sandbox) -> None:
    sandbox.staged("items1.csv", "old")
    newer = sandbox.incoming("items1.csv", "new")
    result = sandbox.run("stage", "--domains", "shop")
    assert result.code == 0
    assert newer.read_text() == "new"
    assert (sandbox.root / "datasets/stage/shop/items1.csv").read_text() == "old"


def test_quirk_archives_are_not_unpacked(sandbox: Sandbox) -> None:
    sandbox.table("zips", "table: {pattern: 'zips.*'}")
    sandbox.incoming("zips1.zip", "PK")
    assert sandbox.run("stage").code == 0
    assert sandbox.files("stage") == ["shop/zips1.zip"]


def test_a_file_with_an_ack_extension_waits_for_its_companion(sandbox: Sandbox) -> None:
    sandbox.write("metadata/load/shop/_config.sl.yml", 'load: {metadata: {directory: "incoming/shop", ack: ".ok"}}')
    sandbox.incoming("items1.csv", "id\n")
    assert preload(sandbox, "--strategy", "imported") == 1
    sandbox.run("stage")
    assert sandbox.files("stage") == []
    ack = sandbox.incoming("items1.ok", "")
    assert preload(sandbox, "--strategy", "imported") == 0
    sandbox.run("stage")
    assert sandbox.files("stage") == ["shop/items1.csv"]
    assert not ack.exists()


def test_areas_and_datasets_can_be_renamed(sandbox: Sandbox) -> None:
    sandbox.incoming("items1.csv", "id\n")
    sandbox.run("stage", SL_DATASETS=str(sandbox.root / "lake"), SL_AREA_STAGE="waiting")
    assert (sandbox.root / "lake/waiting/shop/items1.csv").is_file()


def test_options_reach_the_yaml(sandbox: Sandbox) -> None:
    sandbox.write("metadata/load/shop/_config.sl.yml", 'load: {metadata: {directory: "{{SL_ROOT}}/{{place}}"}}')
    sandbox.write("arrived/items1.csv", "id\n")
    assert preload(sandbox, "--strategy", "imported", "--options", "place=arrived") == 0
    result = sandbox.finish(sandbox.process("preload", "--domain", "shop", "--strategy", "imported"))
    assert result.code == 1
    assert "_config.sl.yml:2: variable 'place' is not defined, so it is empty" in result.err


class TestUnderARunKey:
    def test_ready_stays_ready_when_the_files_have_moved(self, sandbox: Sandbox) -> None:
        sandbox.incoming("items1.csv", "id\n")
        assert preload(sandbox, "--strategy", "imported", SL_RUN_KEY="k") == 0
        sandbox.run("stage")
        assert preload(sandbox, "--strategy", "imported", SL_RUN_KEY="k") == 0
        assert preload(sandbox, "--strategy", "imported", SL_RUN_KEY="other") == 1
        assert preload(sandbox, "--strategy", "imported", "--tables", "items", SL_RUN_KEY="k") == 1

    def test_not_ready_is_not_remembered(self, sandbox: Sandbox) -> None:
        assert preload(sandbox, "--strategy", "imported", SL_RUN_KEY="k") == 1
        sandbox.incoming("items1.csv", "id\n")
        assert preload(sandbox, "--strategy", "imported", SL_RUN_KEY="k") == 0

    def test_without_a_key_nothing_is_written(self, sandbox: Sandbox) -> None:
        sandbox.incoming("items1.csv", "id\n")
        assert preload(sandbox, "--strategy", "imported") == 0
        assert not (sandbox.root / "datasets").exists()

    def test_a_repeated_ack_check_spares_the_next_ack_file(self, sandbox: Sandbox) -> None:
        ack = sandbox.write("go.ack", "first")
        arguments = ("--strategy", "ack", "--globalAckFilePath", str(ack))
        assert preload(sandbox, *arguments, SL_RUN_KEY="k") == 0
        sandbox.write("go.ack", "second")
        assert preload(sandbox, *arguments, SL_RUN_KEY="k") == 0
        assert ack.read_text() == "second"
        assert preload(sandbox, *arguments, SL_RUN_KEY="k2") == 0
        assert not ack.exists()

    def test_a_crash_between_recording_and_deleting_is_made_good(
        self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ack = sandbox.write("go.ack", "first")
        arguments = ("--strategy", "ack", "--globalAckFilePath", str(ack))
        with monkeypatch.context() as patch:
            patch.setattr(Path, "unlink", _crash)
            assert preload(sandbox, *arguments, SL_RUN_KEY="k") == 1
        assert ack.exists()
        assert preload(sandbox, *arguments, SL_RUN_KEY="k") == 0
        assert not ack.exists()


def _crash(*_: object, **__: object) -> None:
    raise OSError("the machine stops here")


def test_another_attempt_of_a_check_is_the_same_check(sandbox: Sandbox) -> None:
    """Each attempt has a marker of its own; that must not hide that the first one was ready and used the ack file up."""
    ack = sandbox.write("go.ack", "")
    check = ("preload", "--domain", "shop", "--strategy", "ack", "--globalAckFilePath", str(ack), "--notReadySentinel")
    first = sandbox.run(*check, str(sandbox.root / "marker-1"), SL_RUN_KEY="p/r/t")
    assert first.code == 0
    assert not ack.exists()
    second = sandbox.run(*check, str(sandbox.root / "marker-2"), SL_RUN_KEY="p/r/t")
    assert second.code == 0
    assert "already done under this run key" in second.out
    assert not (sandbox.root / "marker-2").exists()


def test_a_file_that_fits_two_tables_is_staged_and_fails_the_command(sandbox: Sandbox) -> None:
    """As in Starlake, which stages no later domain then."""
    sandbox.table("items_all", "table: {pattern: 'items.*', attributes: [{name: id, type: int}]}")
    sandbox.write("metadata/load/tail/_config.sl.yml", 'load: {metadata: {directory: "{{SL_ROOT}}/incoming/tail"}}')
    sandbox.table("t", "table: {pattern: 't.*', attributes: [{name: id, type: int}]}", domain="tail")
    sandbox.incoming("items1.csv", "id\n1\n")
    sandbox.write("incoming/tail/t1.csv", "id\n1\n")
    done = sandbox.run("stage")
    assert done.code == 1
    assert "items1.csv fits items and items_all" in done.err
    assert sandbox.files("stage") == ["shop/items1.csv"]
    assert sandbox.run("stage").code == 0
    assert sandbox.files("stage") == ["shop/items1.csv", "tail/t1.csv"]
    assert sandbox.run("load", "--domains", "shop").code == 0
    assert sandbox.query("SELECT id FROM shop.items") == [(1,)]
