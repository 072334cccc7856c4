"""A slug that another Tenant takes brings it nothing: neither data nor keys nor quarantine of who
had it before.

The data under a slug are bound to the Tenant's UID. Another Tenant that has the slug is held until
the data are handed over or purged; a Tenant of the same namespace and name goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx
import msgspec
import pytest
from fastapi import FastAPI
from nats.aio.client import Client
from pydantic import SecretStr

from sinal_api.app import Parts, build
from sinal_core.nats import Bus, Lanes
from sinal_core.nats.departures import DepartureBucket
from sinal_core.plans import Plans
from sinal_crds import names
from sinal_crds.keyring import Keyring
from sinal_crds.plan import Limits, TenantPlan
from sinal_crds.tenant_status import ORPHANS_KEY, Orphan, encode_orphans
from sinal_hub.matching.worker import MatchWorker
from sinal_hub.model.events import Event, encode
from sinal_hub.privacy.purges import Purger
from sinal_hub.quarantine.keeping import SealedQuarantine
from sinal_hub.quarantine.queue import QuarantineBucket
from sinal_hub.store.owners import OwnerStore
from sinal_hub.store.plan_owners import OwnersGate
from sinal_hub.store.purging import TABLES, PurgeStore
from sinal_operator.provision import Provisioner, Retired

from tests.support.eventually import PATIENCE_S, eventually
from tests.support.fix_matching import Room, tenant_plan
from tests.support.fix_operations import ADMIN_KEY

SLUG = "loja"
SMALL = Limits(max_bytes=1 << 20)
Policy = Literal["Retain", "Delete"]


def tenant(namespace: str, uid: str, policy: Policy = "Retain") -> TenantPlan:
    return msgspec.structs.replace(
        tenant_plan(), namespace=namespace, name=SLUG, uid=uid, limits=SMALL, deletion_policy=policy
    )


@dataclass
class Platform:
    """Provisioner, matching and API over a real broker and database."""

    room: Room
    client: Client
    bus: Bus
    keyring: Keyring
    plans: Plans
    app: FastAPI
    provisioner: Provisioner
    made: list[TenantPlan] = field(default_factory=list)

    async def declare(self, plan: TenantPlan) -> None:
        """Make a Tenant, and wait until the runtime has seen it."""
        report = await self.provisioner.reconcile([plan])
        assert report.tenants[SLUG].ready, report
        await eventually(lambda: plan.uid in (self._uid, self._held_uid))

    async def delete(self, plan: TenantPlan) -> None:
        """Take a Tenant away, as its deletionPolicy says, and wait until the runtime has seen
        that.
        """
        await self.provisioner.reconcile([], [Retired.of(plan)])
        await eventually(lambda: plan.uid not in (self._uid, self._held_uid))

    @property
    def _uid(self) -> str | None:
        found = self.plans.snapshot.tenants.get(SLUG)
        return found.uid if found is not None else None

    @property
    def _held_uid(self) -> str | None:
        found = self.plans.snapshot.held.get(SLUG)
        return found.plan.uid if found is not None else None

    async def call(
        self, method: str, path: str, key: str = ADMIN_KEY, **options: Any
    ) -> httpx.Response:
        """One request to the API."""
        transport = httpx.ASGITransport(app=self.app)
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://api", headers=headers
        ) as client:
            return await client.request(method, f"/api/v1/{path}", **options)

    async def key(self) -> str:
        """A new admin's key of the tenant, made by the platform's administrator."""
        made = await self.call(
            "POST", "keys", json={"tenant": SLUG, "role": "admin", "name": "console"}
        )
        assert made.status_code == 201, made.text
        found: str = made.json()["key"]
        return found

    async def publish(self, order: str) -> Event:
        """A sale that ingest took for the slug."""
        sale = self.room.sale(order=order)
        await self.bus.publish(names.in_subject(SLUG, "sale"), encode(sale), msg_id=sale.key)
        return sale

    async def orders(self, key: str) -> set[str]:
        """Orders of the events that a key reads."""
        answer = await self.call("GET", "events", key)
        assert answer.status_code == 200, answer.text
        return {event["order_id"] for event in answer.json()["events"]}

    async def stored(self, count: int) -> None:
        """Wait until so many events are in the tables."""
        async with asyncio.timeout(PATIENCE_S):
            while len(await self.room.rows("select 1 from events")) < count:
                await asyncio.sleep(0.05)

    async def ownerless(self) -> dict[tuple[str, str], dict[str, str]]:
        """What the state of the platform says of things that are nobody's, by area and subject."""
        found = (await self.call("GET", "status")).json()["findings"]
        words = ("is not there", "is retained", "has a queue and no plan")
        return {
            (one["area"], one["subject"]): one
            for one in found
            if any(word in one["detail"] for word in words)
        }

    async def retained_queue_is_gone(self) -> None:
        """The retained stream, which no other Tenant gets, is removed by a person."""
        await self.client.jetstream().delete_stream(names.stream(SLUG))


@pytest.fixture
async def platform(
    room: Room, client: Client, bus: Bus, keyring: Keyring
) -> AsyncIterator[Platform]:
    provisioner = Provisioner(client, keyring)
    await provisioner.reconcile([])
    async with AsyncExitStack() as stack:
        plans = Plans(
            bus, keyring, gate=OwnersGate(OwnerStore(room.database), DepartureBucket(bus))
        )
        await plans.start(timeout_s=60)
        stack.push_async_callback(plans.stop)
        worker = MatchWorker(room.database, bus, plans, clock=lambda: room.now[0])
        lanes = Lanes(bus, worker.handle, batch=50, concurrency=2, in_flight=100)
        plans.subscribe(lambda snapshot: lanes.set(snapshot.lanes("match")))
        working = asyncio.create_task(lanes.run())
        app = build(
            Parts(room.database, bus, plans, SecretStr(ADMIN_KEY), streams=bus, keyring=keyring)
        )
        yield Platform(room, client, bus, keyring, plans, app, provisioner)
        await lanes.drain(60)
        await asyncio.wait_for(working, 60)


async def test_a_retained_tenant_keeps_its_data_from_who_takes_its_slug(platform: Platform) -> None:
    mine, theirs = tenant("ns-a", "uid-a"), tenant("ns-b", "uid-b")
    await platform.declare(mine)
    old_key = await platform.key()
    await platform.publish("ORDER-OF-A")
    await platform.stored(1)
    await platform.delete(mine)
    assert await platform.orders(old_key) == {"ORDER-OF-A"}, "a plan that is away ends no key"

    await platform.retained_queue_is_gone()
    await platform.declare(theirs)
    await platform.publish("ORDER-OF-B")
    assert SLUG not in platform.plans.snapshot.tenants
    assert (await platform.call("GET", "events", old_key)).status_code == 401
    refused = await platform.call(
        "POST", "keys", json={"tenant": SLUG, "role": "admin", "name": "console"}
    )
    assert refused.status_code == 409 and "another Tenant" in refused.json()["detail"]
    state = (await platform.call("GET", "status", params={"tenant": SLUG})).json()
    (told,) = [one for one in state["findings"] if one["area"] == "plans"]
    assert (
        "SlugTakenOver" in told["detail"]
        and "ns-a/loja" in told["detail"]
        and "ns-b/loja" in told["detail"]
    )
    assert f"sinal tenants handover {SLUG}" in told["advice"]
    stored = await platform.room.rows("select order_id from events")
    assert stored == [{"order_id": "ORDER-OF-A"}], "what came for the other one waits in its queue"

    handed = await platform.call("POST", f"tenants/{SLUG}/handover")
    assert handed.status_code == 200, handed.text
    await platform.stored(2)  # it waited, and nothing of it was lost
    new_key = await platform.key()
    assert await platform.orders(new_key) == {"ORDER-OF-A", "ORDER-OF-B"}
    assert (await platform.call("GET", "events", old_key)).status_code == 401
    (audit,) = (await platform.call("GET", "audit", params={"action": "tenant.handover"})).json()[
        "audit"
    ]
    assert audit["detail"]["from_home"] == "ns-a/loja" and audit["detail"]["to_home"] == "ns-b/loja"


async def test_a_tenant_that_comes_back_to_its_slug_has_what_it_had(platform: Platform) -> None:
    mine, theirs = tenant("ns-a", "uid-a"), tenant("ns-b", "uid-b")
    await platform.declare(mine)
    key = await platform.key()
    await platform.delete(mine)
    await platform.retained_queue_is_gone()
    await platform.declare(theirs)
    assert (await platform.call("GET", "events", key)).status_code == 401
    await platform.delete(theirs)
    await platform.retained_queue_is_gone()
    await platform.declare(tenant("ns-a", "uid-a-made-again"))
    assert SLUG in platform.plans.snapshot.tenants, "the same namespace and name"
    assert (await platform.call("GET", "events", key)).status_code == 200


async def test_a_tenant_that_takes_the_place_of_another_of_its_namespace_has_what_that_had(
    platform: Platform,
) -> None:
    """A rename: the queue with what waits in it, the rows, the keys.

    Nobody else gets them by saying so.
    """
    old = tenant("ns-a", "uid-a")
    await platform.declare(old)
    key = await platform.key()
    await platform.publish("ORDER-1")
    await platform.stored(1)
    await platform.delete(old)
    thief = msgspec.structs.replace(tenant("ns-b", "uid-b"), name="new", heir_of=SLUG)
    assert (await platform.provisioner.reconcile([thief])).tenants[SLUG].result == "foreign"

    await platform.declare(
        msgspec.structs.replace(tenant("ns-a", "uid-new"), name="new", heir_of=SLUG)
    )
    await platform.publish("ORDER-2")
    await platform.stored(2)
    assert await platform.orders(key) == {"ORDER-1", "ORDER-2"}
    assert await platform.room.rows("select home from tenants") == [{"home": "ns-a/new"}]


async def test_a_slug_is_handed_over_by_the_platforms_administrator_only(
    platform: Platform,
) -> None:
    await platform.declare(tenant("ns-a", "uid-a"))
    key = await platform.key()
    assert (await platform.call("POST", f"tenants/{SLUG}/handover", key)).status_code == 403
    assert (await platform.call("POST", f"tenants/{SLUG}/handover")).status_code == 404, (
        "nobody waits for it"
    )


async def test_rows_and_keys_from_before_there_were_owners_go_to_the_tenant_seen_first(
    platform: Platform,
) -> None:
    await platform.room.rows("select 1")
    async with platform.room.database.transaction() as connection:
        await connection.execute("insert into tenants (id, name) values ('loja', 'loja')")
    key = await platform.key()
    await platform.declare(tenant("ns-a", "uid-a"))
    assert (await platform.call("GET", "events", key)).status_code == 200
    (row,) = await platform.room.rows(
        "select t.owner, k.owner as of_key from tenants t, api_keys k"
    )
    assert row == {"owner": "uid-a", "of_key": "uid-a"}


async def purge(platform: Platform, *, batch: int = 5_000) -> None:
    await Purger(PurgeStore(platform.room.database, batch=batch), platform.bus).run()


async def keep(platform: Platform, body: bytes) -> None:
    """A delivery of the slug that no adapter understood."""
    sealed = SealedQuarantine(bucket=QuarantineBucket(platform.bus), keyring=platform.keyring)
    await sealed.keep(
        tenant=SLUG,
        integration="hotmart-principal",
        gateway="hotmart",
        raw=body,
        reason="unreadable",
    )


async def test_a_deleted_tenants_data_keys_and_quarantine_go_before_another_has_the_slug(
    platform: Platform,
) -> None:
    mine, theirs = tenant("ns-a", "uid-a", "Delete"), tenant("ns-b", "uid-b", "Delete")
    await platform.declare(mine)
    old_key = await platform.key()
    await keep(platform, b"SECRET-OF-A")
    for number in range(3):
        await platform.publish(f"ORDER-OF-A-{number}")
    await platform.stored(3)
    await platform.delete(mine)
    # quarantine's ids have milliseconds: what comes now is younger than the departure
    await asyncio.sleep(0.01)
    await platform.declare(theirs)
    assert SLUG not in platform.plans.snapshot.tenants, "not before the data are gone"
    await platform.publish("ORDER-OF-B")
    await keep(platform, b"SECRET-OF-B")
    assert (await platform.call("POST", f"tenants/{SLUG}/handover")).status_code == 409

    await purge(platform, batch=2)
    await eventually(lambda: SLUG in platform.plans.snapshot.tenants)
    await platform.stored(1)
    new_key = await platform.key()
    assert await platform.orders(new_key) == {"ORDER-OF-B"}
    assert (await platform.call("GET", "events", old_key)).status_code == 401
    assert len(await QuarantineBucket(platform.bus).held(SLUG)) == 1, "its own"
    seen = (await platform.call("GET", "audit", new_key)).json()["audit"]
    assert [line["action"] for line in seen] == ["key.create"], "nothing of who had the slug before"
    (line,) = (await platform.call("GET", "audit", params={"action": "tenant.purge"})).json()[
        "audit"
    ]
    assert line["target"] == "ns-a/loja" and line["detail"]["rows"] == {
        **line["detail"]["rows"], "events": 3, "conversions": 3, "capi_events": 3, "api_keys": 1, "quarantine": 1,
    }  # fmt: skip
    assert await DepartureBucket(platform.bus).all() == []


async def test_a_purge_that_was_stopped_goes_on_and_leaves_nothing(platform: Platform) -> None:
    mine = tenant("ns-a", "uid-a", "Delete")
    await platform.declare(mine)
    for number in range(3):
        await platform.publish(f"ORDER-OF-A-{number}")
    await platform.stored(3)
    await platform.delete(mine)
    (departure,) = await DepartureBucket(platform.bus).all()
    store = PurgeStore(platform.room.database, batch=1)
    assert await store.begin(departure)
    await store.purge(departure)
    await purge(platform)
    for table in (*TABLES, "tenants"):
        column = "id" if table == "tenants" else "tenant_id"
        assert await platform.room.rows(f"select 1 from {table} where {column} = 'loja'") == [], (
            table
        )
    (line,) = (await platform.call("GET", "audit", params={"action": "tenant.purge"})).json()[
        "audit"
    ]
    assert line["detail"]["rows"]["events"] == 3, "what went before it was stopped is counted too"


async def test_a_purge_takes_nothing_of_who_has_the_rows_by_now(platform: Platform) -> None:
    await platform.declare(tenant("ns-a", "uid-a", "Delete"))
    await platform.publish("ORDER")
    await platform.stored(1)
    await platform.delete(tenant("ns-a", "uid-a", "Delete"))
    await platform.room.rows("select 1")
    async with platform.room.database.transaction() as connection:
        await connection.execute("update tenants set owner = 'uid-b', home = 'ns-b/loja'")
    await purge(platform)
    assert len(await platform.room.rows("select 1 from events")) == 1
    assert (await platform.call("GET", "audit", params={"action": "tenant.purge_refused"})).json()[
        "audit"
    ]


async def test_what_nobody_owns_is_told_to_the_platforms_administrator_with_the_way_out(
    platform: Platform,
) -> None:
    mine = tenant("ns-a", "uid-a")
    await platform.declare(mine)
    key = await platform.key()
    assert await platform.ownerless() == {}
    await platform.delete(mine)
    await platform.publish("ORDER-THAT-WAITS")
    left = [Orphan(slug="left", namespace="ns-z", name="left")]
    await platform.client.jetstream().publish(
        f"$KV.{names.STATUS_BUCKET}.{ORPHANS_KEY}", encode_orphans(left)
    )
    async with platform.room.database.transaction() as connection:
        await connection.execute("update api_keys set owner = 'uid-of-one-that-is-gone'")
    told = await platform.ownerless()
    assert told.keys() == {("plans", "left"), ("lanes", SLUG), ("keys", f"{SLUG}: console")}
    assert "ns-z/left is not there" in told["plans", "left"]["detail"]
    assert "retained for the Tenant ns-a/loja" in told["lanes", SLUG]["detail"]
    assert "nats stream rm T-loja" in told["lanes", SLUG]["advice"]
    assert "sinal keys revoke" in told["keys", f"{SLUG}: console"]["advice"]
    assert (await platform.call("GET", "events", key)).status_code == 401, "as the finding says"


async def test_every_table_that_knows_a_tenant_is_purged(platform: Platform) -> None:
    known = await platform.room.rows(
        "select c.table_name from information_schema.columns c join pg_class t on t.relname = "
        "c.table_name "
        "where c.table_schema = 'public' and c.column_name = 'tenant_id' and not t.relispartition "
        "and t.relkind <> 'v'"
    )
    assert {row["table_name"] for row in known} == {*TABLES, "audit_log", "purges"}
