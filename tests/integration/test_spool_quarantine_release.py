"""Quarantine with a real broker: listed without content, read again after a fix, published once,
forgotten.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from nats.aio.client import Client as NatsClient
from pydantic import SecretStr

from sinal_api import problems, quarantine
from sinal_api.access import Access
from sinal_core.nats import Bus
from sinal_core.plans.testing import StaticPlans
from sinal_crds.keyring import Keyring
from sinal_hub.gateways import NotThisGateway
from sinal_hub.intake.publisher import EventPublisher
from sinal_hub.model.events import decode_event
from sinal_hub.model.sale import Sale
from sinal_hub.quarantine.keeping import SealedQuarantine
from sinal_hub.quarantine.queue import QuarantineBucket
from sinal_hub.quarantine.release import Quarantined
from sinal_hub.services.keys import KeyCheck
from sinal_hub.services.quarantined import QuarantineService
from sinal_hub.store.api_keys import KeyOwner
from sinal_hub.store.audit import AuditEntry

from tests.support.fix_bus import MakeTenant
from tests.support.fix_ingest import OTHER, SignedGateway, a_sale, a_tenant

KEYRING = Keyring.generate()
RAW = b"<new format of maria@loja.example>"


class FixedGateway(SignedGateway):
    """The adapter of the next release: it reads what yesterday's did not."""

    fixed = False
    knows_word = False
    occurred_at = "2026-09-21T13:00:00Z"

    def parse(self, raw: bytes, *, country: str = "BR", clear: bool = False) -> list[Sale]:
        """One sale, once it is fixed."""
        if not self.fixed or b"garbage" in raw:
            raise NotThisGateway("no list of sales")
        if b"new word" in raw and not self.knows_word:
            return [a_sale(event_key="signed:HP1:ignored", status="ignored", event="SETTLED")]
        return [a_sale(event_key=f"signed:{hash(raw)}", occurred_at=self.occurred_at)]


class Operations:
    """Audit rows and keys in memory."""

    def __init__(self) -> None:
        self.audit: list[AuditEntry] = []

    async def write(self, audit: AuditEntry) -> None:
        self.audit.append(audit)

    async def owner_of(self, key_sha256: str) -> KeyOwner | None:
        from sinal_hub.services.keys import digest

        known = {digest(f"sak_{role}_{tenant}"): (role, tenant) for role, tenant in KEYS}
        found = known.get(key_sha256)
        return KeyOwner(id="k1", tenant_id=found[1], role=found[0], name="test") if found else None  # type: ignore[arg-type]


KEYS = [("viewer", "loja"), ("operator", "loja"), ("operator", "outra")]


class World:
    """A bucket with what is needed to read it again."""

    def __init__(self, bus: Bus) -> None:
        self.gateway, self.operations = FixedGateway(), Operations()
        bucket = QuarantineBucket(bus)
        self.sealed = SealedQuarantine(bucket=bucket, keyring=KEYRING)
        self.quarantined = Quarantined(
            bucket=bucket,
            keyring=KEYRING,
            plans=StaticPlans(a_tenant(), OTHER),
            gateways={"signed": self.gateway},
            out=EventPublisher(bus=bus),
        )
        app = FastAPI()
        app.state.access = Access(KeyCheck(SecretStr("sak_admin"), self.operations))
        problems.install(app)
        service = QuarantineService(self.quarantined, self.operations)  # type: ignore[arg-type]
        app.include_router(quarantine.routes(service))
        self._app = app

    async def keep(
        self, raw: bytes = RAW, *, tenant: str = "loja", integration: str = "vendas"
    ) -> str:
        return await self.sealed.keep(
            tenant=tenant,
            integration=integration,
            gateway="signed",
            raw=raw,
            reason="no list of sales",
        )

    async def call(
        self, method: str, path: str = "", *, key: str = "sak_admin", **options: Any
    ) -> Any:
        headers: Mapping[str, str] = {"authorization": f"Bearer {key}"}
        async with AsyncClient(
            transport=ASGITransport(app=self._app), base_url="http://api"
        ) as http:
            return await http.request(
                method, f"/api/v1/quarantine{path}", headers=headers, **options
            )


@pytest.fixture
async def world(bus: Bus, make_tenant: MakeTenant) -> World:
    """Tenants `loja` and `outra`, nothing kept yet."""
    await make_tenant("loja")
    return World(bus)


async def test_empty_quarantine_is_an_empty_list(world: World) -> None:
    answer = await world.call("GET")
    assert (answer.status_code, answer.json()) == (200, {"deliveries": [], "next_cursor": None})


async def test_kept_deliveries_are_listed_newest_first_without_their_content(world: World) -> None:
    ids = [await world.keep() for _ in range(5)]
    first = await world.call("GET", "?limit=3")
    second = await world.call("GET", f"?limit=3&cursor={first.json()['next_cursor']}")
    listed = first.json()["deliveries"] + second.json()["deliveries"]
    assert [one["id"] for one in listed] == sorted(ids, reverse=True)
    assert second.json()["next_cursor"] is None
    shown = (await world.call("GET", f"/{ids[0]}")).json()
    assert (shown["integration"], shown["reason"]) == ("vendas", "no list of sales")
    assert "maria" not in first.text and set(shown) == {
        "id", "tenant", "integration", "gateway", "reason", "received_at", "expires_at", "sealed_bytes",
        "body_sha256",
    }  # fmt: skip


async def test_fixed_adapter_releases_a_delivery_once(world: World, client: NatsClient) -> None:
    kept = await world.keep()
    still = await world.call("POST", f"/{kept}/reparse")
    assert (still.json()["result"], still.json()["reason"]) == (
        "not_understood",
        "no list of sales",
    )
    world.gateway.fixed = True
    done = (await world.call("POST", f"/{kept}/reparse")).json()
    again = await world.call("POST", f"/{kept}/reparse")
    assert (done["result"], len(done["events"]), again.status_code) == ("released", 1, 404)
    message = await client.jetstream().get_msg("T-loja", 1)
    event = decode_event(message.data or b"")
    assert (event.id, event.integration, event.order_id) == (done["events"][0], "vendas", "HP1")
    assert (await world.call("GET")).json()["deliveries"] == []
    assert [(one.action, one.tenant, one.detail) for one in world.operations.audit] == [
        ("quarantine.reparse", "loja", {"results": {"not_understood": 1}}),
        ("quarantine.reparse", "loja", {"results": {"released": 1}}),
    ]


async def test_what_is_released_happened_no_later_than_it_was_received(
    world: World, client: NatsClient
) -> None:
    kept = await world.keep()
    received = datetime.fromisoformat((await world.call("GET", f"/{kept}")).json()["received_at"])
    # as a sale without a time has it
    world.gateway.fixed, world.gateway.occurred_at = True, "2099-01-01T00:00:00Z"
    await asyncio.sleep(0.01)
    assert (await world.call("POST", f"/{kept}/reparse")).json()["result"] == "released"
    event = decode_event((await client.jetstream().get_msg("T-loja", 1)).data or b"")
    assert event.occurred_at == round(received.timestamp() * 1000) < event.received_at


async def test_a_delivery_whose_word_is_still_new_stays_until_it_is_known(
    world: World, client: NatsClient
) -> None:
    kept = await world.keep(b"new word")
    world.gateway.fixed = True
    still = (await world.call("POST", f"/{kept}/reparse")).json()
    assert (still["result"], still["events"]) == ("not_understood", [])
    world.gateway.knows_word = True
    assert (await world.call("POST", f"/{kept}/reparse")).json()["result"] == "released"
    event = decode_event((await client.jetstream().get_msg("T-loja", 1)).data or b"")
    assert event.sale is not None and event.sale.status == "approved"


async def test_large_delivery_in_parts_is_released_whole(world: World, client: NatsClient) -> None:
    kept = await world.keep(random.Random(1).randbytes(1024 * 1024 - 100))
    world.gateway.fixed = True
    assert (await world.call("POST", f"/{kept}/reparse")).json()["result"] == "released"
    assert (await client.jetstream().stream_info("KV_sinal_quarantine")).state.messages == 0


async def test_gateway_is_read_again_in_pages_and_what_stays_is_told(world: World) -> None:
    for number in range(4):
        await world.keep(RAW + b"%d" % number)
    await world.keep(b"garbage")
    await world.keep(integration="removed")
    world.gateway.fixed = True
    cursor, results = None, dict[str, int]()
    while True:
        body = {"gateway": "signed", "limit": 2, "cursor": cursor}
        page = (await world.call("POST", "/reparse", json=body)).json()
        for result, count in page["results"].items():
            results[result] = results.get(result, 0) + count
        if (cursor := page["next_cursor"]) is None:
            break
    assert results == {"released": 4, "not_understood": 1, "integration_gone": 1}
    assert len((await world.call("GET", "?gateway=signed")).json()["deliveries"]) == 2
    assert (await world.call("GET", "?gateway=other")).json()["deliveries"] == []


async def test_roles_and_tenants_bound_what_a_key_reaches(world: World) -> None:
    kept = await world.keep()
    world.gateway.fixed = True
    for key in ("sak_operator_outra",):
        assert (await world.call("GET", key=key)).json()["deliveries"] == []
        assert (await world.call("GET", "?tenant=loja", key=key)).status_code == 404
        assert (await world.call("GET", f"/{kept}", key=key)).status_code == 404
        assert (await world.call("POST", f"/{kept}/reparse", key=key)).status_code == 404
        reparsed = await world.call("POST", "/reparse", json={"gateway": "signed"}, key=key)
        assert reparsed.json()["results"] == {}
    assert (await world.call("GET", f"/{kept}", key="sak_viewer_loja")).status_code == 200
    assert (await world.call("POST", f"/{kept}/reparse", key="sak_viewer_loja")).status_code == 403
    assert (await world.call("GET", key="sak_wrong")).status_code == 401
    assert (await world.call("POST", f"/{kept}/reparse", key="sak_operator_loja")).json()[
        "result"
    ] == "released"


@pytest.mark.parametrize(
    "kept_id", ["*", ">", "a.b", "x" * 300, "00000000-0000-7000-8000-00000000000g"]
)
async def test_words_that_are_no_id_find_nothing(world: World, kept_id: str) -> None:
    await world.keep()
    assert (await world.call("GET", f"/{kept_id}")).status_code == 404


async def test_lane_that_is_missing_is_told_and_nothing_is_forgotten(
    world: World, client: NatsClient
) -> None:
    kept = await world.keep()
    world.gateway.fixed = True
    await client.jetstream().delete_stream("T-loja")
    answer = await world.call("POST", f"/{kept}/reparse")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert (await world.call("GET", f"/{kept}")).status_code == 200
