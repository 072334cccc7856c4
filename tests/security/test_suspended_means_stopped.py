"""Attack: none.

Somebody who was cut off goes on being collected from, because only the manifest says `suspended`.

Before: no code of the edge looked at it. A suspended tenant's pages, servers and gateways were
answered 202, and what they sent was stored.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec
import pytest
from nats.aio.client import Client as NatsClient
from prometheus_client import REGISTRY

from sinal_core.nats import Bus, dispatch_lane
from sinal_core.outbox.messages import Pointer
from sinal_core.plans.testing import StaticPlans
from sinal_crds.keyring import Keyring
from sinal_crds.names import dispatch_consumer, out_subject
from sinal_crds.plan import FunnelPlan, IntegrationPlan, TenantPlan
from sinal_hub.dispatch import recovery as dispatchers
from sinal_hub.ingest.server import IngestServer
from sinal_hub.ingest.settings import ServerSettings
from sinal_hub.ingest.testing import sha256
from sinal_hub.model.events import decode_event, encode
from sinal_hub.quarantine.queue import QuarantineBucket

from tests.support.eventually import eventually
from tests.support.fix_bus import MakeTenant
from tests.support.fix_dispatch import DispatchRig
from tests.support.fix_ingest import LANDING, PUBLIC_KEY, SECRET, SERVER_KEY, TOKEN, a_tenant
from tests.support.fix_lanes import RunLanes

PAGE = {"origin": LANDING, "content-type": "text/plain;charset=UTF-8"}
PROOF = {"x-hotmart-hottok": SECRET}
HOOK, OTHER_HOOK = f"/api/v1/webhooks/hotmart/{TOKEN}", "/api/v1/webhooks/hotmart/tok-other"
SALE = {
    "id": "0f4b8a1e-6f0e-4f7a-8f3e-2f4f3c1f9a11",
    "creation_date": 1_789_995_600_000,
    "event": "PURCHASE_APPROVED",
    "version": "2.0.0",
    "data": {
        "product": {"id": 4_774_438, "name": "Curso"},
        "buyer": {"email": "maria@loja.example"},
        "purchase": {
            "transaction": "HP1",
            "status": "APPROVED",
            "price": {"value": 297.0, "currency_value": "BRL"},
        },
    },
}


def hotmart(name: str, token: str, **changes: Any) -> IntegrationPlan:
    secret = {"hottok": SECRET}
    return IntegrationPlan(
        name=name,
        gateway="hotmart",
        funnel="curso",
        token_sha256=sha256(token),
        credentials=secret,
        **changes,
    )


def shop(*, tenant: bool = False, funnel: bool = False, integration: bool = False) -> TenantPlan:
    """The tenant with what is suspended of it."""
    (curso,) = a_tenant().funnels
    open_funnel = FunnelPlan(
        name="outro", type="lead", public_key="fk_outro", server_key_sha256=sha256("sk_outro")
    )
    return a_tenant(
        suspended=tenant,
        funnels=(msgspec.structs.replace(curso, suspended=funnel), open_funnel),
        integrations=(
            hotmart("vendas", TOKEN, suspended=integration),
            hotmart("outra", "tok-other"),
        ),
    )


@dataclass
class Door:
    """An edge over HTTP and a real broker, and what came through it."""

    http: httpx.AsyncClient
    plans: StaticPlans
    client: NatsClient
    bus: Bus

    async def page(self, kind: str = "pageview", **event: Any) -> httpx.Response:
        body = json.dumps({"funnel": PUBLIC_KEY, **event}).encode()
        return await self.http.post(f"/api/v1/track/{kind}", content=body, headers=PAGE)

    async def server(self, key: str = SERVER_KEY, funnel: str = "curso") -> httpx.Response:
        batch = {"funnel": funnel, "events": [{"type": "lead"}, {"type": "pageview"}]}
        return await self.http.post(
            "/api/v1/track/batch", json=batch, headers={"authorization": f"Bearer {key}"}
        )

    async def sale(
        self, url: str = HOOK, *, raw: bytes | None = None, proof: bool = True
    ) -> httpx.Response:
        body = json.dumps(SALE).encode() if raw is None else raw
        return await self.http.post(url, content=body, headers=PROOF if proof else {})

    async def stored(self) -> list[str]:
        """Kinds of events in the tenant's stream, and of deliveries in quarantine."""
        js = self.client.jetstream()
        info = await js.stream_info("T-loja")
        messages = [await js.get_msg("T-loja", seq) for seq in range(1, info.state.last_seq + 1)]
        kept = await QuarantineBucket(self.bus).held("loja")
        return [decode_event(message.data or b"").kind for message in messages] + ["kept"] * len(
            kept
        )


@pytest.fixture
async def door(bus: Bus, client: NatsClient, make_tenant: MakeTenant) -> AsyncIterator[Door]:
    await make_tenant("loja")
    plans = StaticPlans(shop())
    server = IngestServer(ServerSettings(port=0), bus, plans, keyring=Keyring.generate())
    await server.start()
    try:
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as http:
            yield Door(http, plans, client, bus)
    finally:
        await server.stop()


def refused(status: int) -> float:
    """Requests so far that were refused because of it."""
    return sample(
        "sinal_ingest_requests_total", tenant="loja", source="suspended", status=str(status)
    )


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0


@pytest.mark.parametrize("what", ["tenant", "funnel"])
async def test_pages_and_servers_are_refused_and_nothing_is_stored(door: Door, what: str) -> None:
    assert (await door.page(event_id="before")).status_code == 202
    door.plans.set(shop(**{what: True}))
    before = refused(403)
    answers = [
        await door.page(),
        await door.page("lead", event_id="e1"),
        await door.server(),
        await door.http.post(
            "/t/loja/api/v1/track/pageview",
            content=json.dumps({"funnel": PUBLIC_KEY}),
            headers=PAGE,
        ),
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()["error"]) == (403, "suspended"), answer.text
    assert answers[0].headers["access-control-allow-origin"] == LANDING, (
        "the page's script sees that it is for good"
    )
    pixel = await door.http.get(
        "/api/v1/track/p.gif", params={"funnel": PUBLIC_KEY}, headers={"origin": LANDING}
    )
    assert (pixel.status_code, pixel.headers["content-type"]) == (403, "image/gif")
    script = await door.http.get("/s.js", params={"f": PUBLIC_KEY})
    assert (script.status_code, b"SINAL" in script.content) == (200, False), (
        "pages go on calling what it defines"
    )
    assert refused(403) == before + 5
    assert await door.stored() == ["pageview"]
    door.plans.set(shop())
    assert (await door.page("lead", event_id="e1")).status_code == 202
    assert await door.stored() == ["pageview", "lead"]


async def test_other_funnels_of_the_tenant_go_on(door: Door) -> None:
    door.plans.set(shop(funnel=True))
    assert (await door.server("sk_outro", "outro")).status_code == 202
    assert await door.stored() == ["lead", "pageview"]


async def test_who_is_not_known_hears_what_it_heard_before(door: Door) -> None:
    door.plans.set(shop(tenant=True))
    stranger = await door.http.post(
        "/api/v1/track/pageview",
        json={"funnel": PUBLIC_KEY},
        headers={"origin": "https://elsewhere.example"},
    )
    assert (stranger.status_code, "error" in stranger.json()) == (403, False)
    wrong_key = await door.http.post(
        "/api/v1/track/lead",
        json={"funnel": "curso"},
        headers={"authorization": "Bearer sk_guessed"},
    )
    assert wrong_key.status_code == 401
    for answer in (
        await door.sale(proof=False),
        await door.sale("/api/v1/webhooks/hotmart/tok-guessed"),
    ):
        assert (answer.status_code, "error" in answer.json()) == (401, False)


@pytest.mark.parametrize("what", ["tenant", "funnel", "integration"])
async def test_gateways_are_asked_to_come_again_and_lose_nothing(door: Door, what: str) -> None:
    door.plans.set(shop(**{what: True}))
    before = refused(503)
    for answer in (await door.sale(), await door.sale(raw=b"nobody understands this")):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "3600")
        assert answer.json()["error"] == "suspended"
    assert refused(503) == before + 2
    assert await door.stored() == []
    door.plans.set(shop())
    assert (await door.sale()).status_code == 202
    assert await door.stored() == ["sale"]


async def test_other_integrations_go_on(door: Door) -> None:
    door.plans.set(shop(integration=True))
    assert (await door.sale(OTHER_HOOK)).status_code == 202
    assert await door.stored() == ["sale"]


async def test_a_host_whose_secret_is_of_two_goes_on_for_the_one_that_is_not_suspended(
    door: Door,
) -> None:
    """Such a delivery says by its product whose it is."""
    (curso, outro), other = shop().funnels, "99"
    tenant = a_tenant(
        funnels=(curso, outro),
        integrations=(
            hotmart("vendas", TOKEN, products=("4774438",), suspended=True),
            hotmart("outra", "tok-other", products=(other,)),
        ),
    )
    door.plans.set(tenant)
    product = msgspec.json.encode(SALE | {"data": SALE["data"] | {"product": {"id": int(other)}}})  # type: ignore[operator]
    url, host = "/api/v1/webhooks/hotmart", {"host": "t.loja.example"}
    answers = [
        await door.http.post(url, content=raw, headers=PROOF | host)
        for raw in (json.dumps(SALE), product)
    ]
    assert [answer.status_code for answer in answers] == [503, 202]
    assert await door.stored() == ["sale"]


async def test_a_suspended_destination_waits_while_the_others_go_on(
    dispatch_rig: DispatchRig, bus: Bus, run_lanes: RunLanes, make_tenant: MakeTenant
) -> None:
    rig, both = dispatch_rig, ("principal", "outro")
    resting = {"tenant": "loja", "destination": "principal", "reason": "suspended"}
    await make_tenant("loja", *map(dispatch_consumer, both))
    suspend(rig, True)
    refs = {name: await rig.add(f"e-{name}", destination=name) for name in both}
    for name, ref in refs.items():
        rig.rows("update capi_events set created_at = date_trunc('milliseconds', created_at)")
        body = encode(Pointer(id=ref.id, created_at=ref.created_ms))
        await bus.publish(out_subject("loja", name), body, msg_id=f"{name}:0")
    async with run_lanes(
        rig.worker.handle, *(dispatch_lane("loja", name) for name in both)
    ) as lanes:
        recovery = dispatchers.recovery(
            rig.store,
            bus,
            wake=lambda *key: lanes.wake(dispatch_lane(*key).id),
            try_now=rig.worker.try_now,
        )
        recovery.follow(dispatchers.terms(rig.plans))
        await recovery.start()
        running = asyncio.create_task(recovery.run())
        await eventually(lambda: rig.row(refs["outro"])["status"] == "delivered")
        await eventually(lambda: sample("sinal_breaker_reason", **resting) == 1)
        row = rig.row(refs["principal"])
        assert (row["status"], row["attempts"]) == ("pending", 0)
        suspend(rig, False)
        recovery.follow(dispatchers.terms(rig.plans))
        await eventually(lambda: rig.row(refs["principal"])["status"] == "delivered")
        running.cancel()
    assert sample("sinal_breaker_reason", **resting) == 0


def suspend(rig: DispatchRig, stopped: bool) -> None:
    """Put a plan in force whose destination `principal` is suspended, or is not."""
    rig.plan()
    plan = rig.plans.tenants["loja"]
    destinations = tuple(
        msgspec.structs.replace(one, suspended=stopped and one.name == "principal")
        for one in plan.destinations
    )
    rig.plans.tenants = {"loja": msgspec.structs.replace(plan, destinations=destinations)}
