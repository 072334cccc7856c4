"""Whom matching drops and whose consent is gone: decided by digests and by when something
happened.
"""

from __future__ import annotations

import hashlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinal_hub.matching.suppression import SuppressionList, Trait, blank_row, key_of, traits
from sinal_hub.model.events import Event, Forget, UserData
from sinal_hub.model.sale import Customer, Sale, Tracking
from sinal_hub.privacy.data_subject import NoSuchPerson, Person, mentions
from sinal_hub.store.matching_rows import Mark

from tests.support.sales import fields_of

EMAIL = hashlib.sha256(b"ana@example.com").hexdigest()
PHONE = hashlib.sha256(b"5511987654321").hexdigest()


def event(*, at: int = 1_000, **fields: object) -> Event:
    values = {
        "id": "ev_1",
        "key": "k",
        "kind": "lead",
        "tenant": "loja",
        "funnel": "curso",
        "source": "browser",
    }
    return Event(**values | {"received_at": at, "occurred_at": at} | fields)  # type: ignore[arg-type]


def sale(order: str = "HP1", parent: str | None = None) -> Sale:
    return Sale(
        gateway="hotmart",
        event="X",
        event_key="hotmart:1",
        status="approved",
        order_id=order,
        parent_order_id=parent,
        occurred_at="2025-05-02T13:04:05Z",
        customer=Customer(em=[EMAIL], ph=[PHONE]),
        tracking=Tracking(click_id="c1", session_id="s1", external_id="x1"),
    )


def marked(
    one: Event, kind: str, trait: Trait, value: str, at: int, *, tenant: str = "loja"
) -> SuppressionList:
    marks = SuppressionList([one])
    key = key_of(tenant, trait, value)
    marks.take([Mark(key=key, kind=kind, at_ms=at)])  # type: ignore[arg-type]
    return marks


@given(
    happened=st.integers(0, 10_000), received=st.integers(0, 10_000), asked=st.integers(0, 10_000)
)
def test_an_erased_person_s_past_is_dropped_and_a_new_start_is_not(
    happened: int, received: int, asked: int
) -> None:
    one = event(user=UserData(em=[EMAIL]), occurred_at=happened, received_at=received)
    assert marked(one, "erased", "em", EMAIL, asked).erased(one) is (
        min(happened, received) <= asked
    )


def test_an_erased_order_stays_erased() -> None:
    for late in (
        event(kind="sale", **fields_of(sale()), at=9_999),
        event(kind="sale", **fields_of(sale("HP2", "HP1")), at=9_999),
    ):
        assert marked(late, "erased", "order", "HP1", 1).erased(late)


@pytest.mark.parametrize(
    ("trait", "value"),
    [
        ("em", EMAIL),
        ("ph", PHONE),
        ("order", "HP1"),
        ("click", "c1"),
        ("session", "s1"),
        ("external", "x1"),
    ],
)
def test_a_sale_is_known_by_all_it_tells(trait: Trait, value: str) -> None:
    one = event(kind="sale", **fields_of(sale()))
    assert (trait, value) in traits(one)
    assert marked(one, "erased", trait, value, 1_000).erased(one)
    assert not marked(one, "erased", trait, value, 1_000, tenant="outra").erased(one)


@pytest.mark.parametrize(
    ("said", "at", "left"),
    [
        (None, 500, False),
        (None, 2_000, False),
        (True, 500, False),
        (True, 2_000, True),
        (False, 2_000, False),
    ],
)
def test_a_withdrawn_consent_stands_until_an_event_says_yes_later(
    said: bool | None, at: int, left: bool
) -> None:
    one = event(click_id="c1", consent_ads=said, at=at)
    assert marked(one, "no_consent", "click", "c1", 1_000).obeyed(one).consent_ads is left
    assert marked(one, "no_consent", "click", "another", 1_000).obeyed(one) == one


def test_the_row_of_a_dropped_event_tells_nothing_of_anybody() -> None:
    row = blank_row(event(kind="sale", **fields_of(sale())))
    assert (row.outcome, row.reason, bytes(row.body)) == ("withheld", "erased", b"{}")
    # without the address in memory that the body's repr has
    told = repr(row).replace(repr(row.body), "")
    assert all(value not in told for value in (EMAIL, PHONE, "HP1", "c1", "s1"))


@pytest.mark.parametrize(
    "body",
    [
        b'{"buyer": {"email": "Ana@Example.com"}}',
        b"email=ana%40example.com&total=10",
        b'{"phone": "+55 (11) 98765-4321"}',
        b'{"phone": "11987654321"}',
        EMAIL.encode(),
        b'{"transaction": "HP1"}',
        b'{"transaction":HP1}',
        b"order=HP1&total=10",
        rb'{"email": "\u0061na\u0040example.com", "emoji": "\ud83d\ude00"}',
    ],
)
def test_a_body_of_unknown_form_is_searched_in_clear(body: bytes) -> None:
    wanted = Forget(tenant="loja", emails=[EMAIL], phones=[PHONE], orders=["HP1"])
    assert mentions(body, wanted, country="BR")
    other = Forget(tenant="loja", emails=["0" * 64], phones=["1" * 64], orders=["HP9"])
    assert not mentions(body, other, country="BR")


@pytest.mark.parametrize(
    ("body", "held"),
    [
        (b'{"id": 42}', True),
        (b"id=42&n=1", True),
        (rb'{"ref": "shop\/42"}', True),
        (b'{"total": 1420, "phone": "+5511942000000", "id": "A42"}', False),
        (b'{"id": 4}', False),
    ],
)
def test_an_order_is_a_word_of_its_own_and_no_part_of_another_buyer_s_numbers(
    body: bytes, held: bool
) -> None:
    """Else an export would show, and an erasure would lose, what others bought."""
    assert mentions(body, Forget(tenant="loja", orders=["42"]), country="BR") is held


@pytest.mark.parametrize("filler", [b"a", b"@", b"1", b"1 ", b"a@", b"%40"])
def test_a_search_takes_no_longer_than_its_body_is_long(filler: bytes) -> None:
    wanted = Forget(tenant="loja", emails=[EMAIL], phones=[PHONE], orders=["HP1"])
    hostile = filler * (500_000 // len(filler))
    began = time.process_time()
    assert mentions(hostile + b" ana@example.com", wanted, country="BR")
    assert time.process_time() - began < 10


def test_a_person_is_hashed_as_meta_wants_it_or_refused_by_name() -> None:
    person = Person.of(country="BR", email=" Ana@Example.com ", phone="(11) 98765-4321")
    assert (person.emails, person.phones) == ([EMAIL], [PHONE])
    assert Person.of(country="BR", email=EMAIL) == Person.of(country="BR", email="ana@example.com")
    with pytest.raises(NoSuchPerson, match="email") as error:
        Person.of(country="BR", email="nobody")
    assert error.value.field == "email" and "nobody@" not in str(error.value)
