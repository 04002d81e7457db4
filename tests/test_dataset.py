"""Datasets: names that orchestrators compare."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starlake_core import DatasetError, ScheduleError, StarlakeDataset, sanitize_id
from starlake_core.model.dataset import check_datasets

NAMES = st.text(min_size=1, max_size=8)
# Few letters, so that hypothesis finds names that nearly collide.
TRICKY = st.text(st.sampled_from("aA_./%2 é"), min_size=1, max_size=5)


@given(st.tuples(TRICKY, TRICKY), st.tuples(TRICKY, TRICKY))
def test_qualified_names_collide_only_when_case_is_the_difference(
    left: tuple[str, str], right: tuple[str, str]
) -> None:
    one, other = StarlakeDataset.table(*left), StarlakeDataset.table(*right)
    folded = [name.casefold() for name in left] == [name.casefold() for name in right]
    assert (one.identity == other.identity) == (one == other) == (one.uri == other.uri) == folded
    if folded:
        assert hash(one) == hash(other)


@given(NAMES, NAMES)
def test_a_qualified_name_is_a_uri_with_two_parts(domain: str, table: str) -> None:
    uri = StarlakeDataset.table(domain, table).uri
    parts = urlsplit(uri)
    assert parts.scheme == "starlake"
    assert parts.path.count("/") == 1
    assert uri.isascii()
    assert not parts.query
    assert not parts.fragment


def test_the_two_styles() -> None:
    assert StarlakeDataset.table("Starbake", "Orders").uri == "starlake://starbake/orders"
    assert StarlakeDataset.table("Starbake", "Orders.2$a", style="flat").uri == "starbake_orders_2sa"
    assert StarlakeDataset.table("Starbake", "Orders").sink == "Starbake.Orders"


def test_the_flat_style_lets_names_collide_and_the_check_finds_it() -> None:
    one, other = StarlakeDataset.table("a.b", "c", style="flat"), StarlakeDataset.table("a", "b_c", style="flat")
    assert one == other
    with pytest.raises(DatasetError) as caught:
        check_datasets([one, other], "kpi")
    message = str(caught.value)
    assert "pipeline kpi" in message
    assert "a.b.c" in message
    assert "a.b_c" in message
    assert "dataset_style=qualified" in message


@pytest.mark.parametrize("style", ["qualified", "flat"])
def test_names_that_differ_only_by_case_are_refused(style: str) -> None:
    datasets = [StarlakeDataset.table("sales", name, style=style) for name in ("Orders", "orders")]
    with pytest.raises(DatasetError, match=r"sales\.Orders.*sales\.orders.*rename"):
        check_datasets(datasets, "p")


def test_uris_that_differ_only_by_case_are_refused() -> None:
    with pytest.raises(DatasetError, match="share a name"):
        check_datasets([StarlakeDataset("s3://Bucket/x"), StarlakeDataset("s3://bucket/x")], "p")


def test_a_dataset_may_be_named_twice() -> None:
    check_datasets(
        [StarlakeDataset.table("a", "b"), StarlakeDataset.table("a", "b", cron="@daily"), StarlakeDataset("x")], "p"
    )


def test_a_dataset_knows_its_cron_and_name() -> None:
    dataset = StarlakeDataset("pipeline", "None")
    assert (dataset.cron, dataset.name) == (None, "pipeline")
    assert StarlakeDataset("u", " 0  0 * * * ", name="shown").cron == "0 0 * * *"
    assert StarlakeDataset("u", name="shown").name == "shown"
    with pytest.raises(ScheduleError):
        StarlakeDataset("u", "often")


@pytest.mark.parametrize("uri", ["", " a", "a\n"])
def test_a_uri_has_no_blanks_around_it(uri: str) -> None:
    with pytest.raises(DatasetError, match="URI"):
        StarlakeDataset(uri)


def test_a_dataset_compares_with_datasets_only() -> None:
    assert StarlakeDataset("a") != "a"
    assert StarlakeDataset("a") in {StarlakeDataset("A")}


@given(st.text())
def test_an_id_has_letters_digits_and_two_signs(text: str) -> None:
    made = sanitize_id(text)
    assert len(made) == len(text)
    assert all(sign.isascii() and (sign.isalnum() or sign in "_-") for sign in made)
    assert sanitize_id(made) == made


def test_an_id_that_is_legal_stays_as_it_is() -> None:
    assert sanitize_id("Load_orders-2") == "Load_orders-2"
    assert sanitize_id("kpi.a$b c") == "kpi_aSb_c"
