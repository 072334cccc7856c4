"""A webhook's URL as panels and people write it, and the answer in the code that each gateway takes
for "taken".
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sinal_crds.plan import IntegrationPlan
from sinal_hub.gateways import answers, eduzz, kiwify, mercadopago, registry, yampi
from sinal_hub.ingest.testing import sha256
from sinal_hub.ingest.webhooks import door
from sinal_hub.intake import publisher

from tests.support.fix_ingest import (
    OTHER,
    SECRET,
    TOKEN,
    EdgeWorld,
    SignedGateway,
    a_sale,
    a_tenant,
)

SIGNED = {"x-signature": SECRET}
DOOR = "/api/v1/webhooks/signed"
DOCS = Path(__file__).parents[2] / "docs" / "users" / "gateways.md"


def body(**changes: Any) -> bytes:
    return msgspec.json.encode([a_sale(**changes)])


def world_with(edge_world: EdgeWorld, gateway: Any, **credentials: str) -> EdgeWorld:
    """The tenant with one integration of a real gateway."""
    plan = IntegrationPlan(
        name="vendas",
        gateway=gateway.NAME,
        funnel="curso",
        token_sha256=sha256(TOKEN),
        credentials=credentials,
    )
    edge_world.tenants = (a_tenant(integrations=(plan,)), OTHER)
    edge_world.gateways = {gateway.NAME: gateway}
    return edge_world


@pytest.mark.parametrize(
    "path",
    [f"{DOOR}/{TOKEN}/", f"{DOOR}/{TOKEN}//", f"{DOOR}//{TOKEN}", f"/{DOOR}/{TOKEN}", f"{DOOR}/{TOKEN} ",
     f"/api//v1/webhooks/signed/{TOKEN}/", f"/api/v1/webhooks/SIGNED/{TOKEN}", f"/api/v1/webhooks/Signed/{TOKEN}/",
     f"/t/loja{DOOR}/{TOKEN}/", f"/t/loja/{DOOR}/{TOKEN}", f"/api/v1/webhooks/ signed/ {TOKEN}"],
)  # fmt: skip
async def test_a_url_with_slashes_blanks_or_capitals_is_the_same_door(
    edge_world: EdgeWorld, path: str
) -> None:
    reply = await edge_world.client().post(path, body(), headers=SIGNED)
    assert (reply.status, len(edge_world.bus.events)) == (202, 1)


@pytest.mark.parametrize(
    "path", [f"{DOOR}/", f"{DOOR}//", "/api/v1/webhooks/Signed", "/api/v1//webhooks/signed/"]
)
async def test_so_it_is_on_a_host_of_the_tenant_s_own(edge_world: EdgeWorld, path: str) -> None:
    reply = await edge_world.client(host="t.loja.example").post(path, body(), headers=SIGNED)
    assert (reply.status, edge_world.bus.events[0].integration) == (202, "vendas")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_panel_may_look_at_it_there_too(edge_world: EdgeWorld, method: str) -> None:
    assert (await edge_world.client().send(method, f"{DOOR}/{TOKEN}/")).status == 200


@pytest.mark.parametrize(
    "path", [f"{DOOR}/{TOKEN.upper()}/", f"{DOOR}/{TOKEN}/x/", f"{DOOR}/x/", "/api/v1/webhooks//"]
)
async def test_another_url_stays_another(edge_world: EdgeWorld, path: str) -> None:
    assert (await edge_world.client().post(path, body(), headers=SIGNED)).status in (401, 404)
    assert edge_world.bus.messages == []


ORDER = json.dumps(
    {
        "order_id": "o1",
        "webhook_event_type": "order_approved",
        "Commissions": {"charge_amount": 5073},
    }
).encode()
RIGHT = hmac.new(b"k", ORDER, hashlib.sha1).hexdigest()


@pytest.mark.parametrize(
    "query",
    ["signature=abc&signature=RIGHT", "signature=abc?signature=RIGHT", "signature=abc&amp;signature=RIGHT",
     "signature=&signature=RIGHT", "a=1&signature=abc&b=2&signature=RIGHT&c=3", "a=1?signature=RIGHT",
     "signature=RIGHT&signature=", "%20signature%20=%20RIGHT%20", "signature=abc?b=2?signature=RIGHT&c"],
)  # fmt: skip
async def test_of_several_signatures_the_last_counts(edge_world: EdgeWorld, query: str) -> None:
    client = world_with(edge_world, kiwify, token="k").client()
    url = f"/api/v1/webhooks/kiwify/{TOKEN}?"
    assert (await client.post(url + query.replace("RIGHT", RIGHT), ORDER)).status == 202


@pytest.mark.parametrize(
    "query", ["signature=RIGHT&signature=abc", "signature=RIGHT?signature=abc"]
)
async def test_an_earlier_one_does_not(edge_world: EdgeWorld, query: str) -> None:
    client = world_with(edge_world, kiwify, token="k").client()
    url = f"/api/v1/webhooks/kiwify/{TOKEN}?"
    assert (await client.post(url + query.replace("RIGHT", RIGHT), ORDER)).status == 401


NOTICES: dict[str, tuple[Any, dict[str, str], bytes]] = {
    "eduzz": (eduzz, {"secret": "s"}, b'{"event": "ping", "data": {}, "sentDate": "2026-11-30T09:00:00Z"}'),
    "mercadopago": (
        mercadopago, {"webhookSecret": "s", "accessToken": "a"},
        b'{"type": "payment", "data": {"id": "1"}, "user_id": 1}'
    ),
    "yampi": (yampi, {"webhookSecret": "s"}, b'{"event": "order.paid", "resource": {"id": 1}}'),
}  # fmt: skip


class Believed:
    """A gateway whose check always holds."""

    def __init__(self, gateway: Any) -> None:
        self._gateway = gateway

    def verify(self, *_: object) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._gateway, name)


@pytest.mark.parametrize("name", sorted(NOTICES))
async def test_a_gateway_hears_the_code_that_it_takes_for_taken(
    edge_world: EdgeWorld, name: str
) -> None:
    gateway, credentials, raw = NOTICES[name]
    world = world_with(edge_world, gateway, **credentials)
    world.gateways = {name: Believed(gateway)}
    client, url = world.client(), f"/api/v1/webhooks/{name}/{TOKEN}"
    taken, again, unreadable = [await client.post(url, sent) for sent in (raw, raw, b"<html>")]
    assert [taken.status, again.status, unreadable.status] == [200, 200, 200]
    assert taken.json()["events"] and unreadable.json()["quarantined"], "with the same body as ever"


async def test_a_package_s_gateway_says_its_own_code(edge_world: EdgeWorld) -> None:
    class Wants201(SignedGateway):
        ACCEPTED = 201

    edge_world.gateways["signed"] = Wants201()
    assert (await edge_world.client().post(f"{DOOR}/{TOKEN}", body(), headers=SIGNED)).status == 201


def test_every_gateway_s_expectation_is_known_and_the_edge_keeps_to_it() -> None:
    assert set(answers.EXPECTED) == set(registry())
    assert {name: one.code for name, one in answers.EXPECTED.items() if one.code != 202} == {
        "eduzz": 200, "mercadopago": 200, "yampi": 200,
    }  # fmt: skip
    most = publisher.SPOOL_AFTER_S + door.COPY_S
    assert [
        name
        for name, one in answers.EXPECTED.items()
        if one.within_s is not None and one.within_s <= most
    ] == []


def test_the_page_says_the_same() -> None:
    page = DOCS.read_text()
    for name, one in answers.EXPECTED.items():
        within = f"{one.within_s:g} s" if one.within_s else "not said"
        assert f"| `{name}` | {one.code} | {within} |" in page


async def test_a_copy_that_is_slow_to_be_kept_does_not_hold_up_the_answer(
    edge_world: EdgeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go = asyncio.Event()

    async def slow(**_: object) -> str:
        await let_go.wait()
        return "kept-late"

    monkeypatch.setattr(edge_world.quarantine, "keep", slow)
    monkeypatch.setattr(door, "COPY_S", 0.01)
    new_word = body(
        event="PURCHASE_SETTLED", status="ignored", event_key="signed:HP1:ignored:PURCHASE_SETTLED"
    )
    reply = await edge_world.client().post(f"{DOOR}/{TOKEN}", new_word, headers=SIGNED)
    assert (reply.status, len(edge_world.bus.messages)) == (202, 1)
    assert "kept" not in reply.json()
    let_go.set()
    await asyncio.sleep(0)
