"""The id that Meta is told: sha256(tenant|order|event|value|currency), the same however the value
was written.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from sinal_hub.model.events import event_row_id, meta_event_id

words = st.text(st.characters(codec="utf-8", exclude_characters="|"), min_size=1, max_size=40)
cents = st.integers(0, 10**10)


def test_it_is_the_documented_digest() -> None:
    expected = hashlib.sha256(b"loja|HP16015479281022|Purchase|297.00|BRL").hexdigest()
    assert meta_event_id("loja", "HP16015479281022", "Purchase", "297", "brl") == expected


def test_an_event_without_value_has_an_id_too() -> None:
    assert (
        meta_event_id("loja", "1", "Lead", None, None)
        == hashlib.sha256(b"loja|1|Lead||").hexdigest()
    )


@given(words, words, words, cents)
def test_the_way_a_value_is_written_does_not_matter(
    tenant: str, order: str, name: str, amount: int
) -> None:
    value = Decimal(amount) / 100
    forms = {f"{value:.2f}", f"{value:.4f}", str(value), str(value.normalize()), f"{value:E}"}
    assert len({meta_event_id(tenant, order, name, form, "BRL") for form in forms}) == 1
    assert meta_event_id(tenant, order, name, f"{value:.2f}", "brl") == meta_event_id(
        tenant, order, name, f"{value:.2f}", "BRL"
    )


@given(st.lists(st.tuples(words, words, words, cents), min_size=2, max_size=8, unique=True))
def test_another_fact_has_another_id(facts: list[tuple[str, str, str, int]]) -> None:
    ids = {
        meta_event_id(tenant, order, name, f"{amount / 100:.2f}", "BRL")
        for tenant, order, name, amount in facts
    }
    assert len(ids) == len(facts)


@given(st.lists(st.tuples(words, words), min_size=2, max_size=8, unique=True))
def test_a_row_id_belongs_to_one_key_of_one_tenant(keys: list[tuple[str, str]]) -> None:
    ids = {event_row_id(tenant, key) for tenant, key in keys}
    assert len(ids) == len(keys)
    assert ids == {event_row_id(tenant, key) for tenant, key in keys}
    assert all(len(row_id) == 29 and row_id.isascii() for row_id in ids)
