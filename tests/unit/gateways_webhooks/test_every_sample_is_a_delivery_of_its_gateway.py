"""What `sinal gateways send` plays is proved, read and matched as its gateway's own delivery would
be.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sinal_cli.samples import sample
from sinal_cli.samples.delivery import delivery, secret_of
from sinal_cli.samples.sample import Filling, NoSample
from sinal_hub.gateways import registry

SAMPLES = [(one["gateway"], one["event"], one["kind"]) for one in sample.listed()]
NO_CLICK = {"pushinpay", "mercadopago"}  # their deliveries have no place for one


def filling(gateway: str, click: str | None = None) -> Filling:
    return Filling(
        order=sample.fresh_order(gateway),
        event="",
        email="maria@example.com",
        phone="11987654321",
        click=click,
    )


def secrets(gateway: str) -> dict[str, str]:
    return dict.fromkeys(registry()[gateway].SECRET_KEYS, "old\ns3cret")


def test_every_gateway_has_samples_of_a_sale() -> None:
    assert {gateway for gateway, _, _ in SAMPLES} == registry().keys()
    for gateway in registry().keys() - {"mercadopago"}:
        assert {"approved", "refunded"} <= {kind for name, _, kind in SAMPLES if name == gateway}


@pytest.mark.parametrize(("gateway", "event", "kind"), SAMPLES)
def test_a_sample_is_proved_and_read_as_what_it_says(gateway: str, event: str, kind: str) -> None:
    given, secret = filling(gateway, "click-12345678"), secrets(gateway)
    sent = delivery(gateway, event, given, secret)
    headers = {name.lower(): value for name, value in sent.headers.items()}
    module = registry()[gateway]
    assert module.verify(sent.body, headers, sent.query, secret)
    if module.AUTHENTICATES:
        assert not module.verify(sent.body, headers, sent.query, dict.fromkeys(secret, "another"))
    (sale,) = module.parse(sent.body)
    assert sale.status == kind and not sale.test
    assert kind == "initiate_checkout" or sale.order_id == given.order or gateway == "mercadopago"
    soonest = given.now - timedelta(minutes=1)  # some gateways write no seconds
    # others no time at all
    assert soonest < datetime.fromisoformat(sale.occurred_at) <= datetime.now(UTC)
    if gateway not in NO_CLICK and kind == "approved":
        assert sale.tracking.click_id == "click-12345678"


@pytest.mark.parametrize("gateway", sorted(registry().keys() - {"mercadopago", "pushinpay"}))
def test_the_buyer_is_the_one_that_was_asked_for(gateway: str) -> None:
    word, _ = sample.find(gateway, "approved")
    sent = delivery(gateway, word, filling(gateway), secrets(gateway))
    (sale,) = registry()[gateway].parse(sent.body, clear=True)
    assert (
        isinstance(sale.customer.clear, dict)
        and "maria@example.com" in sale.customer.clear.values()
    )
    assert sale.tracking.click_id is None


def test_the_same_order_and_event_are_the_same_fact_and_others_are_not() -> None:
    given = filling("hotmart")
    keys = [
        registry()["hotmart"]
        .parse(delivery("hotmart", word, given, {"hottok": "t"}).body)[0]
        .event_key
        for word in ("approved", "PURCHASE_APPROVED", "PURCHASE_REFUNDED")
    ]
    assert keys[0] == keys[1] != keys[2]


def test_what_there_is_not_is_answered_with_what_there_is() -> None:
    with pytest.raises(NoSample, match=r"'hubla'; there are: appmax, braip"):
        sample.find("hubla")
    with pytest.raises(NoSample, match=r"no sample of 'paid'; there are: SALE_APPROVED"):
        sample.find("kirvano", "paid")
    with pytest.raises(
        NoSample,
        match=r"appmax numbers its orders: give at most 18 digits, not "
        r"'A1'",
    ):
        sample.check_order("appmax", "A1")


def test_the_newest_of_two_secrets_signs() -> None:
    assert secret_of({"token": "old\n new \n\n"}, "token") == "new"
    assert secret_of({}, "token") == ""
