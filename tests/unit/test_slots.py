"""Our click id inside what a checkout's slot came back with."""

from __future__ import annotations

import pytest

from sinal_hub.gateways import _tracking
from sinal_hub.gateways._body import Node
from sinal_hub.model.events import Event
from sinal_hub.model.evidence import Subject, subject_of
from sinal_hub.model.sale import Sale, Tracking
from sinal_hub.model.slots import ids_in, ours_in

from tests.support.sales import fields_of

ID = "Ab3dEfGh1jKlMn0pQrStUv"
SCRATCHED = [
    f" {ID} ",
    f'"{ID}"',
    f"'{ID}'",
    f"A|{ID}",
    f"{ID}|A",
    f"%7B{ID}%7D",
    f"fb|{ID}|natal",
    f"{ID},",
    f"a_{ID}",
]


@pytest.mark.parametrize("slot", SCRATCHED)
def test_an_id_is_found_in_a_slot_that_others_wrote_into(slot: str) -> None:
    assert ours_in(slot) == ID
    assert _tracking.read([Node({"sck": slot})], trust=("xcod", "sck")).click_id == ID


@pytest.mark.parametrize(
    "slot", ["", "HOTMART_PRODUCT_PAGE", "fb|natal", f"{ID}|{ID[::-1]}", f"x{ID}", f"{ID}x"]
)
def test_nothing_else_is_taken_for_one(slot: str) -> None:
    assert ours_in(slot) is None


def test_an_id_that_stands_alone_comes_before_one_in_a_bundle() -> None:
    found = _tracking.read([Node({"xcod": f"A|{ID[::-1]}", "sck": ID})], trust=("xcod", "sck"))
    assert found.click_id == ID


def test_a_bundle_of_damaged_ids_leaves_what_is_long_enough() -> None:
    assert ids_in(f"A|{ID[:15].lower()}|fb", least=10) == [ID[:15].lower()]
    assert ids_in("c1", least=10) == ["c1"]
    assert ids_in(None, least=10) == []


def _subject(tracking: Tracking) -> Subject:
    sale = Sale(
        gateway="hotmart", event="X", event_key="k", status="approved", order_id="HP1",
        occurred_at="2025-05-02T13:04:05Z", tracking=tracking,
    )  # fmt: skip
    return subject_of(
        Event(
            id="ev_1",
            key="k",
            kind="sale",
            tenant="loja",
            funnel="curso",
            received_at=0,
            occurred_at=0,
            source="webhook",
            **fields_of(sale),
        )
    )


def test_a_sale_asks_for_what_its_slots_hold() -> None:
    assert _subject(Tracking(click_id=f"A|{ID}")).click_ids == [ID]
    assert _subject(Tracking(click_id="fb", src=f"x|{ID[:16]}")).click_ids == sorted(
        ["fb", ID[:16]]
    )
    assert _subject(Tracking(click_id=ID, src="campanha-de-natal")).click_ids == [ID]
