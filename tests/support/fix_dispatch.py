"""Fixture of delivery: a dispatch worker on a real PostgreSQL and a real Meta emulator, fed by
messages in memory.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import count
from typing import Any, Protocol

import aiohttp
import msgspec
import psycopg
import pytest
from psycopg.rows import dict_row

from sinal_core.aio.breaker import Policy
from sinal_core.nats.lane import Lane, dispatch_lane
from sinal_core.outbox.ledger import Ref
from sinal_core.outbox.messages import Pointer
from sinal_core.outbox.ports import News
from sinal_core.outbox.testing import FakeMessage
from sinal_core.postgres.database import Database
from sinal_crds.plan import (
    BatchPlan,
    ConsentPlan,
    DestinationPlan,
    FunnelPlan,
    TenantPlan,
    WithheldField,
)
from sinal_hub.dispatch.settings import DeliverySettings
from sinal_hub.dispatch.worker import DispatchWorker
from sinal_hub.meta.client import GraphClient
from sinal_hub.model import events
from sinal_hub.store.delivery import DeliveryStore
from sinal_hub.store.tenant_status import DestinationHealthStore

TOKEN = "EAAB-secret-token"
# the longest time-out that settings allow: a slow machine shall not look like a Meta that hangs
PATIENT_S = 25.0
EMAIL = "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"
_pixels = count(9_100_000_000)
_workers = count(1)
_INSERT = """
insert into capi_events (tenant_id, source_event, funnel, destination, event_name, event_id, event_time, payload_json,
    consent_ads, received_at)
values ('loja', %(source)s, 'curso', %(destination)s, 'Purchase', %(event_id)s, %(event_time)s, %(payload)s,
    %(consent)s, now())
returning id, created_at
"""


class Emulator(Protocol):
    """The running Meta emulator."""

    url: str


class PlansInForce:
    """Plans that a test replaces by setting `tenants`."""

    def __init__(self) -> None:
        self.tenants: dict[str, TenantPlan] = {}

    @property
    def snapshot(self) -> PlansInForce:
        """Itself."""
        return self


class DispatchRig:
    """One worker and what it works on.

    Destinations have pixels of their own, so tests share an emulator.
    """

    def __init__(
        self, database: Database, url: str, sandbox_url: str, http: aiohttp.ClientSession
    ) -> None:
        self.database, self.url, self.sandbox_url, self.http = database, url, sandbox_url, http
        self.store = DeliveryStore(database)
        self._graphs: list[GraphClient] = []
        self._beside: psycopg.Connection[dict[str, Any]] | None = None
        self.pixels = {name: str(next(_pixels)) for name in ("principal", "outro")}
        self.plans = PlansInForce()
        self.plan()
        self.wait_for_meta(PATIENT_S)

    def wait_for_meta(self, timeout_s: float) -> None:
        """A worker without a past that gives Meta so long to answer."""
        self._timeout_s = timeout_s
        self.graph = GraphClient(self.sandbox_url, timeout_s=timeout_s)
        self._graphs.append(self.graph)
        self.worker = self.new_worker()

    async def close(self) -> None:
        """Close its connections."""
        if self._beside is not None:
            self._beside.close()
        for graph in self._graphs:
            await graph.close()

    def new_worker(
        self,
        policy: Policy | None = None,
        *,
        herald: Callable[[str, str, News], None] | None = None,
    ) -> DispatchWorker:
        """A worker without a past, as after a restart.

        It is quick to try again unless told otherwise.
        """
        policy = policy or Policy(threshold=3, base_s=0.6, cap_s=2.0, pause_base_s=0.8)
        circuits = DestinationHealthStore(self.database, worker=f"worker-{next(_workers)}")
        settings = DeliverySettings(graph_timeout_s=self._timeout_s)
        return DispatchWorker(
            self.store,
            self.plans,
            self.graph,
            settings,
            policy=policy,
            circuits=circuits,
            herald=herald,
        )

    def plan(
        self,
        *,
        consent: ConsentPlan | None = None,
        withheld: tuple[WithheldField, ...] = (),
        suspended: bool = False,
        **destination: Any,
    ) -> None:
        """Put a plan in force; other keywords change both destinations."""
        fields: dict[str, Any] = {
            "access_token": TOKEN,
            "batch": BatchPlan(max_events=1_000),
        } | destination
        destinations = tuple(
            DestinationPlan(name=name, pixel_id=pixel, **fields)
            for name, pixel in self.pixels.items()
        )
        funnel = FunnelPlan(
            name="curso",
            type="course",
            public_key="fk",
            server_key_sha256="",
            consent=consent or ConsentPlan(),
            withheld=withheld,
        )
        tenant = TenantPlan(
            slug="loja",
            namespace="n",
            name="loja",
            uid="u",
            suspended=suspended,
            destinations=destinations,
            funnels=(funnel,),
        )
        self.plans.tenants = {"loja": tenant}

    async def add(
        self,
        event_id: str,
        *,
        destination: str = "principal",
        consent: bool | None = True,
        **changes: Any,
    ) -> Ref:
        """One row of the outbox; keywords change the event."""
        event: dict[str, Any] = {
            "event_name": "Purchase",
            "event_time": int(time.time()),
            "event_id": event_id,
            "action_source": "system_generated",
            "user_data": {"em": [EMAIL]},
            "custom_data": {"value": 97.0, "currency": "BRL"},
        }
        event |= changes
        values = {
            "source": f"ev_{event_id}",
            "destination": destination,
            "event_id": event_id,
            "event_time": event["event_time"],
            "payload": msgspec.json.encode(event).decode(),
            "consent": consent,
        }
        async with self.database.autocommit() as connection:
            row = await (await connection.execute(_INSERT, values)).fetchone()
        assert row is not None
        return Ref(row["id"], int(row["created_at"].timestamp() * 1000))

    async def handle(self, *refs: Ref, destination: str = "principal") -> list[FakeMessage]:
        """Give the worker one batch of messages."""
        messages = [
            FakeMessage(events.encode(Pointer(id=r.id, created_at=r.created_ms))) for r in refs
        ]
        await self.worker.handle(self.lane(destination), messages)
        return messages

    @staticmethod
    def lane(destination: str = "principal") -> Lane:
        """The lane of a destination."""
        return dispatch_lane("loja", destination)

    async def fault(self, *faults: dict[str, Any], destination: str = "principal") -> None:
        """Make the emulator fail for a destination's pixel."""
        script = [{"pixel": self.pixels[destination]} | fault for fault in faults]
        async with self.http.post(
            f"{self.sandbox_url}/_sandbox/faults", json={"faults": script, "append": True}
        ) as r:
            assert r.status < 300, await r.text()

    async def received(self, destination: str = "principal") -> list[dict[str, Any]]:
        """What the emulator took for a destination, oldest first."""
        query = {"pixel": self.pixels[destination], "limit": "2000"}
        async with self.http.get(f"{self.sandbox_url}/_sandbox/events", params=query) as r:
            found: list[dict[str, Any]] = (await r.json())["events"]
            return found

    async def requests(self, destination: str = "principal") -> list[dict[str, Any]]:
        """Requests the emulator saw for a destination."""
        query = {"pixel": self.pixels[destination], "limit": "1000"}
        async with self.http.get(f"{self.sandbox_url}/_sandbox/requests", params=query) as r:
            found: list[dict[str, Any]] = (await r.json())["requests"]
            return found

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Ask PostgreSQL beside the worker, over one connection: making one stops the worker's loop
        for longer.
        """
        if self._beside is None or self._beside.closed:
            self._beside = psycopg.connect(self.url, autocommit=True, row_factory=dict_row)
        cursor = self._beside.execute(query.encode(), values)
        return cursor.fetchall() if cursor.description else []

    def statuses(self, refs: Sequence[Ref]) -> set[str]:
        """What rows of the outbox say of themselves."""
        found = self.rows(
            "select status from capi_events where id = any(%s)", [ref.id for ref in refs]
        )
        assert len(found) == len(refs)
        return {line["status"] for line in found}

    def row(self, ref: Ref) -> dict[str, Any]:
        """A row of the outbox."""
        return self.rows("select * from capi_events where id = %s", ref.id)[0]

    def outcomes(self, ref: Ref) -> list[str | None]:
        """Outcomes of a row's attempts, oldest first."""
        found = self.rows(
            "select outcome from dispatch_attempts where capi_event_id = %s order by id", ref.id
        )
        return [line["outcome"] for line in found]

    def make_due(self) -> None:
        """As if every waiting time had passed."""
        self.rows(
            "update capi_events set next_attempt_at = now() - interval '1 second' where "
            "status = 'pending'"
        )

    def expire_leases(self) -> None:
        """As if a worker had been lost for longer than a lease."""
        self.rows(
            "update capi_events set lease_until = now() - interval '1 second' where status = "
            "'sending'"
        )


@pytest.fixture
async def dispatch_rig(postgres: str, sandbox: Emulator) -> AsyncIterator[DispatchRig]:
    """A dispatch worker ready to work."""
    # no connection is kept: the emulator closes one that was quiet for seconds just when a slow
    # test uses it again
    fresh = aiohttp.TCPConnector(force_close=True)
    async with (
        await Database.open(postgres) as database,
        aiohttp.ClientSession(connector=fresh) as http,
    ):
        rig = DispatchRig(database, postgres, sandbox.url, http)
        try:
            yield rig
        finally:
            await rig.close()
