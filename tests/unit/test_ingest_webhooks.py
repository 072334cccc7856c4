"""Webhooks at the edge: who is believed, what becomes of a sale, and what of a delivery nobody
understands.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sinal_core.nats.errors import BusUnavailable, MessageTooLarge
from sinal_crds.plan import IntegrationPlan, Limits, TenantPlan
from sinal_hub.ingest.testing import MemoryQuarantine, sha256
from sinal_hub.model.sale import Customer, Product, Sale, Tracking, details_of
from sinal_hub.quarantine.new_words import MAX_WORDS, NewWords

from tests.support.fix_ingest import (
    OPEN_TOKEN,
    OTHER,
    SECRET,
    TOKEN,
    EdgeWorld,
    SignedGateway,
    a_sale,
    a_tenant,
)

SIGNED = {"x-signature": SECRET}
URL = f"/api/v1/webhooks/signed/{TOKEN}"


def body(*sales: Sale) -> bytes:
    return msgspec.json.encode(list(sales) or [a_sale()])


def with_integrations(*integrations: IntegrationPlan) -> TenantPlan:
    return a_tenant(integrations=integrations)


def integration(name: str, **changes: Any) -> IntegrationPlan:
    plan = IntegrationPlan(
        name=name,
        gateway="signed",
        funnel="curso",
        token_sha256=sha256(name),
        credentials={"secret": SECRET},
    )
    return msgspec.structs.replace(plan, **changes)


async def test_sale_becomes_an_event_of_its_tenant(edge_world: EdgeWorld) -> None:
    reply = await edge_world.client().post(URL, body(), headers=SIGNED)
    assert reply.status == 202
    [event] = edge_world.bus.events
    assert reply.json() == {"events": [{"id": event.id, "status": "approved", "duplicate": False}]}
    assert edge_world.bus.messages[0][:2] == ("t.loja.in.sale", "signed:HP1:approved:vendas")
    assert (event.tenant, event.funnel, event.integration, event.source) == (
        "loja",
        "curso",
        "vendas",
        "webhook",
    )
    assert (event.order_id, event.value, event.currency, event.natural_key) == (
        "HP1",
        "297.00",
        "BRL",
        True,
    )
    assert event.occurred_at == 1_789_995_600_000
    assert (event.click_id, event.fbclid, event.utm.source) == ("click1", "IwAR1", "fb")
    assert (event.ip, event.user_agent, event.user.em) == ("2001:db8::1", "Mozilla/5.0", ["a" * 64])
    assert event.sale == details_of(a_sale())
    assert event.event_id is None  # Meta's id of a sale is made of the order, in matching


async def test_a_sale_that_lies_in_the_future_happened_when_it_was_told(
    edge_world: EdgeWorld,
) -> None:
    for order, at in (("HP1", "2099-01-01T00:00:00Z"), ("HP2", "2020-01-01T00:00:00Z")):
        sale = a_sale(occurred_at=at, event_key=f"signed:{order}:approved", order_id=order)
        assert (await edge_world.client().post(URL, body(sale), headers=SIGNED)).status == 202
    future, past = edge_world.bus.events
    # Meta refuses what has not happened yet, and the sale with it
    assert future.occurred_at == future.received_at
    assert past.occurred_at == 1_577_836_800_000


async def test_a_header_of_the_test_button_marks_the_sale(
    edge_world: EdgeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    says = staticmethod(lambda headers: headers.get("x-test") == "true")
    monkeypatch.setattr(SignedGateway, "is_test", says, raising=False)
    for order, headers in (("HP1", SIGNED | {"x-test": "true"}), ("HP2", SIGNED)):
        sale = a_sale(event_key=f"signed:{order}:approved", order_id=order)
        assert (await edge_world.client().post(URL, body(sale), headers=headers)).status == 202
    assert [event.sale.test for event in edge_world.bus.events if event.sale] == [True, False]


async def test_repeated_delivery_is_told_to_be_one(edge_world: EdgeWorld) -> None:
    client = edge_world.client()
    first, second = [
        (await client.post(URL, body(), headers=SIGNED)).json()["events"][0] for _ in range(2)
    ]
    assert (first["duplicate"], second["duplicate"]) == (False, True)
    assert first["id"] == second["id"]
    assert len(edge_world.bus.messages) == 1


@pytest.mark.parametrize(
    ("host", "prefix"), [("any.example", ""), ("t.loja.example", ""), ("any.example", "/t/loja")]
)
async def test_token_works_wherever_its_tenant_answers(
    edge_world: EdgeWorld, host: str, prefix: str
) -> None:
    assert (
        await edge_world.client(host=host).post(prefix + URL, body(), headers=SIGNED)
    ).status == 202


async def test_not_being_believed_always_reads_the_same(edge_world: EdgeWorld) -> None:
    client = edge_world.client()
    replies = [
        await client.post(URL, body(), headers={"x-signature": "forged"}),
        await client.post(URL, body()),
        await client.post("/api/v1/webhooks/signed/unknown-token", body(), headers=SIGNED),
        await client.post("/api/v1/webhooks/signed/" + "x" * 4_000, body(), headers=SIGNED),
        # a token of another gateway
        await client.post(f"/api/v1/webhooks/open/{TOKEN}", body(), headers=SIGNED),
        await client.post(f"/api/v1/webhooks/nobody/{TOKEN}", body(), headers=SIGNED),
        await client.post(f"/t/outra{URL}", body(), headers=SIGNED),
        await edge_world.client(host="t.outra.example").post(
            "/api/v1/webhooks/signed", body(), headers=SIGNED
        ),
        await edge_world.client(host="t.loja.example").post("/api/v1/webhooks/signed", body()),
        # proves nothing
        await edge_world.client(host="t.loja.example").post("/api/v1/webhooks/open", body()),
    ]
    assert {reply.status for reply in replies} == {401}
    assert len({reply.body for reply in replies}) == 1
    assert edge_world.bus.messages == []


async def test_unknown_tenant_is_404_in_the_words_of_a_bad_token(edge_world: EdgeWorld) -> None:
    client = edge_world.client()
    unknown = await client.post(f"/t/nobody{URL}", body(), headers=SIGNED)
    shared = await client.post("/api/v1/webhooks/signed", body(), headers=SIGNED)
    bad = await client.post("/api/v1/webhooks/signed/bad", body(), headers=SIGNED)
    assert (unknown.status, shared.status) == (404, 404)
    assert unknown.json()["detail"] == shared.json()["detail"] == bad.json()["detail"]


async def test_unknown_token_costs_a_verification_too(edge_world: EdgeWorld) -> None:
    from tests.support.fix_ingest import SignedGateway

    seen: list[bool] = []

    class Counting(SignedGateway):
        def verify(self, raw: Any, headers: Any, query: Any, secret: Any) -> bool:
            seen.append(bool(secret["secret"]))
            return super().verify(raw, headers, query, secret)

    edge_world.gateways["signed"] = Counting()
    client = edge_world.client()
    await client.post("/api/v1/webhooks/signed/bad", body(), headers=SIGNED)
    await client.post(f"/t/nobody{URL}", body(), headers=SIGNED)
    await client.post("/api/v1/webhooks/signed", body(), headers=SIGNED)
    await client.post(URL, body(), headers={"x-signature": "forged"})
    assert seen == [True] * 4


async def test_own_host_takes_signed_deliveries_without_a_token(edge_world: EdgeWorld) -> None:
    reply = await edge_world.client(host="t.loja.example").post(
        "/api/v1/webhooks/signed", body(), headers=SIGNED
    )
    assert reply.status == 202
    assert edge_world.bus.events[0].integration == "vendas"


async def test_one_secret_for_two_integrations_is_told_apart_by_products_or_refused(
    edge_world: EdgeWorld,
) -> None:
    a, b = integration("a", products=("42",)), integration("b", products=("43",))
    edge_world.tenants = (with_integrations(a, b), OTHER)
    client = edge_world.client(host="t.loja.example")
    sale = a_sale(products=[Product(id="43")])
    assert (await client.post("/api/v1/webhooks/signed", body(sale), headers=SIGNED)).status == 202
    assert edge_world.bus.events[0].integration == "b"
    unnamed = a_sale(products=[])
    assert (
        await client.post("/api/v1/webhooks/signed", body(unnamed), headers=SIGNED)
    ).status == 401


async def test_products_of_no_interest_are_skipped_and_counted(edge_world: EdgeWorld) -> None:
    edge_world.tenants = (with_integrations(integration("a", products=("42",))), OTHER)
    sales = a_sale(), a_sale(event_key="signed:HP2:approved", products=[Product(id="7")])
    reply = await edge_world.client().post(
        "/api/v1/webhooks/signed/a", body(*sales), headers=SIGNED
    )
    assert (reply.status, reply.json()["skipped"], len(reply.json()["events"])) == (202, 1, 1)


async def test_gateway_that_sends_no_proof_lives_by_its_token(edge_world: EdgeWorld) -> None:
    assert (
        await edge_world.client().post(f"/api/v1/webhooks/open/{OPEN_TOKEN}", body())
    ).status == 202


async def test_gateway_whose_package_is_not_installed_is_asked_to_come_again(
    edge_world: EdgeWorld,
) -> None:
    edge_world.tenants = (a_tenant(integrations=(integration("a"),)),)
    edge_world.gateways = {}
    client = edge_world.client()
    reply = await client.post("/api/v1/webhooks/signed/a", body(), headers=SIGNED)
    assert (reply.status, reply.headers["retry-after"]) == (503, "60")
    for stranger in ("/api/v1/webhooks/signed/b", "/api/v1/webhooks/other/a"):
        assert (await client.post(stranger, body(), headers=SIGNED)).status == 401


async def test_missing_credentials_ask_the_gateway_to_come_again(edge_world: EdgeWorld) -> None:
    broken = integration("a", credentials={}, problem="Secret vendas is missing")
    edge_world.tenants = (with_integrations(broken), OTHER)
    reply = await edge_world.client().post("/api/v1/webhooks/signed/a", body(), headers=SIGNED)
    assert reply.status == 503 and reply.headers["retry-after"] == "60"


async def test_suspended_tenants_sales_wait_at_the_gateway(edge_world: EdgeWorld) -> None:
    edge_world.tenants = (a_tenant(suspended=True), OTHER)
    reply = await edge_world.client().post(URL, body(), headers=SIGNED)
    assert (reply.status, reply.headers["retry-after"], edge_world.bus.messages) == (
        503,
        "3600",
        [],
    )
    (told,) = edge_world.tally._refusing.untold(10)
    assert (told.reason, told.tenant, told.integration) == ("suspended", "loja", "vendas")


@pytest.mark.parametrize("raw", [b"<html>", b"", b"\xff\xfe", b"BOOM"])
async def test_verified_delivery_nobody_understands_is_kept_and_answered_2xx(
    edge_world: EdgeWorld, raw: bytes
) -> None:
    reply = await edge_world.client().post(URL, raw, headers=SIGNED)
    assert reply.status == 202
    assert reply.json() == {"events": [], "quarantined": True, "id": "kept-1"}
    [kept] = edge_world.quarantine.kept
    assert (kept["tenant"], kept["integration"], kept["gateway"], kept["raw"]) == (
        "loja",
        "vendas",
        "signed",
        raw,
    )
    assert "maria" not in str(kept["reason"])


async def test_what_an_adapter_gives_is_checked_before_it_is_published(
    edge_world: EdgeWorld,
) -> None:
    reply = await edge_world.client().post(URL, b"FLOAT", headers=SIGNED)
    assert (reply.status, reply.json()["quarantined"], edge_world.bus.messages) == (202, True, [])
    [kept] = edge_world.quarantine.kept
    assert kept["reason"] == "adapter fault: `value` is of the wrong type"


NEW_WORD = {
    "event": "PURCHASE_SETTLED",
    "status": "ignored",
    "event_key": "signed:HP1:ignored:PURCHASE_SETTLED",
}


async def test_a_sale_with_a_new_word_is_recorded_and_its_delivery_kept_for_the_fix(
    edge_world: EdgeWorld,
) -> None:
    client, raw = edge_world.client(), body(a_sale(**NEW_WORD))
    first, again = [(await client.post(URL, raw, headers=SIGNED)).json() for _ in range(2)]
    assert (first["events"][0]["status"], first["kept"]) == ("ignored", "kept-1")
    assert "kept" not in again, "a repeat is kept once"
    [kept] = edge_world.quarantine.kept
    assert (kept["tenant"], kept["integration"], kept["gateway"], kept["raw"]) == (
        "loja",
        "vendas",
        "signed",
        raw,
    )
    assert len(edge_world.bus.messages) == 1


@pytest.mark.parametrize("changes", [{}, NEW_WORD | {"order_id": None}])
async def test_what_needs_no_fix_is_not_kept(
    edge_world: EdgeWorld, changes: dict[str, Any]
) -> None:
    assert (
        "kept"
        not in (await edge_world.client().post(URL, body(a_sale(**changes)), headers=SIGNED)).json()
    )
    assert edge_world.quarantine.kept == []


async def test_a_copy_that_can_not_be_kept_costs_no_delivery(edge_world: EdgeWorld) -> None:
    edge_world.quarantine.broken = True
    reply = await edge_world.client().post(URL, body(a_sale(**NEW_WORD)), headers=SIGNED)
    assert (reply.status, len(edge_world.bus.messages)) == (202, 1)


async def test_copies_of_one_word_are_bounded(
    edge_world: EdgeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinal_hub.quarantine.new_words.MAX_COPIES", 3)
    client = edge_world.client()
    for order in range(5):
        sale = a_sale(
            **NEW_WORD | {"order_id": f"HP{order}", "event_key": f"signed:HP{order}:ignored:NEW"}
        )
        assert (await client.post(URL, body(sale), headers=SIGNED)).status == 202
    assert (len(edge_world.quarantine.kept), len(edge_world.bus.messages)) == (3, 5)


async def test_words_that_one_tenant_makes_up_take_no_place_of_another_s() -> None:
    quarantine = MemoryQuarantine()
    words = NewWords(quarantine)

    async def kept(tenant: str, word: str) -> bool:
        sale = a_sale(**NEW_WORD | {"event": word})
        return (
            await words.keep(SignedGateway(), [sale], tenant=tenant, integration="v", raw=b"{}")
            is not None
        )

    assert [await kept("rival", f"WORD_{n}") for n in range(MAX_WORDS + 2)] == [
        True
    ] * MAX_WORDS + [False] * 2
    assert await kept("loja", "PURCHASE_SETTLED")


async def test_delivery_that_can_not_be_kept_is_not_answered_2xx(edge_world: EdgeWorld) -> None:
    edge_world.quarantine.broken = True
    reply = await edge_world.client().post(URL, b"<html>", headers=SIGNED)
    assert reply.status == 503 and "retry-after" in reply.headers


async def test_unproven_delivery_is_never_kept(edge_world: EdgeWorld) -> None:
    assert (
        await edge_world.client().post(URL, b"<html>", headers={"x-signature": "forged"})
    ).status == 401
    assert edge_world.quarantine.kept == []


async def test_sale_too_large_for_the_broker_is_kept_aside(edge_world: EdgeWorld) -> None:
    edge_world.bus.error = MessageTooLarge("1048576")
    reply = await edge_world.client().post(URL, body(), headers=SIGNED)
    assert (reply.status, reply.json()["quarantined"]) == (202, True)


async def test_sale_is_not_accepted_without_the_brokers_ack(edge_world: EdgeWorld) -> None:
    edge_world.bus.error = BusUnavailable("away")
    assert (await edge_world.client().post(URL, body(), headers=SIGNED)).status == 503


async def test_webhook_takes_a_mebibyte_and_no_more(edge_world: EdgeWorld) -> None:
    client = edge_world.client()
    assert (await client.post(URL, b" " * (1024 * 1024 + 1), headers=SIGNED)).status == 413
    assert (await client.post(URL, body().ljust(1024 * 1024), headers=SIGNED)).status == 202


async def test_tracking_quota_does_not_cost_a_sale(edge_world: EdgeWorld) -> None:
    edge_world.tenants = (a_tenant(limits=Limits(events_per_minute=1)), OTHER)
    client = edge_world.client()
    keys = [a_sale(event_key=f"signed:{n}") for n in range(50)]
    assert {(await client.post(URL, body(sale), headers=SIGNED)).status for sale in keys} == {202}


async def test_odd_values_of_a_gateway_are_made_safe(edge_world: EdgeWorld) -> None:
    sale = a_sale(
        event_key="signed:é\r\nNats-Expected-Stream: x",
        products=[Product(id="42", name="a\0b")],
        tracking=Tracking(fbc="broken", fbp="fb.1.2", external_id="maria@loja.example"),
        customer=Customer(em=["a" * 64], clear={"email": "maria@loja.example"}),
    )
    assert (await edge_world.client().post(URL, body(sale), headers=SIGNED)).status == 202
    [(_, key, raw)] = edge_world.bus.messages
    [event] = edge_world.bus.events
    assert key.isascii() and key.isprintable() and key.startswith("signed:")
    assert event.sale is not None and event.sale.products[0].name == "ab"
    assert (event.fbc, event.fbp) == (None, None)
    assert b"maria" not in raw
