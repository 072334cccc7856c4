"""A match worker over a real PostgreSQL, with a broker that only remembers: for tests of matching
by what it leaves.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
import pytest
from psycopg.rows import dict_row

from sinal_core.nats.client import Outgoing, Published
from sinal_core.nats.errors import BusError, BusUnavailable
from sinal_core.nats.lane import match_lane
from sinal_core.nats.message import Message
from sinal_core.postgres.database import Database
from sinal_crds.plan import DEFAULT_EVENTS as DEFAULTS
from sinal_crds.plan import DestinationPlan, FunnelPlan, IntegrationPlan, MatchingPlan, TenantPlan
from sinal_hub.matching.worker import MatchWorker
from sinal_hub.model.events import Event, encode, event_row_id
from sinal_hub.model.sale import Client, Customer, Product, Sale, Tracking
from sinal_hub.store.reading import EventReader

from tests.support.sales import fields_of

NOW = datetime.now(UTC).replace(microsecond=0)
EMAIL = hashlib.sha256(b"ana@example.com").hexdigest()
PHONE = hashlib.sha256(b"5511987654321").hexdigest()
AGENT = (
    "Mozilla/5.0 (Linux; Android 14; SM-A155M) AppleWebKit/537.36 Chrome/126.0.0.0 Mobile "
    "Safari/537.36"
)
BUYER = Customer(em=[EMAIL])
NOTHING_TRACKED = Tracking()
NO_CLIENT = Client()


class MemoryPublisher:
    """Remembers what was published, once a message id as the broker does.

    `down` refuses everything.
    """

    def __init__(self) -> None:
        self.messages: dict[str, Outgoing] = {}
        self.attempts = 0
        self.down = False

    @property
    def connected(self) -> bool:
        return not self.down

    async def publish(
        self, subject: str, body: bytes, *, msg_id: str, timeout_s: float = 5.0
    ) -> Published:
        self.attempts += 1
        if self.down:
            raise BusUnavailable(subject)
        known = msg_id in self.messages
        self.messages.setdefault(msg_id, Outgoing(subject, body, msg_id))
        return Published(len(self.messages), known)

    async def publish_many(
        self, messages: Sequence[Outgoing], *, timeout_s: float = 5.0
    ) -> list[Published | BusError]:
        answers: list[Published | BusError] = []
        for message in messages:
            try:
                answers.append(
                    await self.publish(message.subject, message.body, msg_id=message.msg_id)
                )
            except BusError as error:
                answers.append(error)
        return answers

    def request_provision(self, slug: str | None = None) -> None:
        """Nobody provisions here."""


@dataclass
class Settlements:
    """The answers that messages got, as the broker would see them."""

    answers: list[bytes] = field(default_factory=list)

    async def settle(self, message: Message, body: bytes) -> None:
        self.answers.append(body.split(b" ")[0])

    async def touch(self, message: Message) -> None:
        """Nobody counts."""

    async def hold(self, message: Message, delay_s: float, *, whole_lane: bool) -> None:
        del whole_lane
        await message.nak(delay_s)


@dataclass
class Snapshot:
    tenants: dict[str, TenantPlan]


@dataclass
class Plans:
    snapshot: Snapshot


@dataclass
class Room:
    """The worker, its neighbours, and shorthand for what happens around it."""

    url: str
    database: Database
    bus: MemoryPublisher
    plans: Plans
    worker: MatchWorker
    reader: EventReader
    now: list[datetime]
    settlements: Settlements = field(default_factory=Settlements)
    numbers: Any = field(default_factory=itertools.count)

    def plan(self, **changes: Any) -> None:
        """Change the tenant's plan."""
        tenants = self.plans.snapshot.tenants
        tenants["loja"] = msgspec.structs.replace(tenants["loja"], **changes)

    def funnel(self, **changes: Any) -> None:
        """Change the tenant's funnel."""
        funnel = self.plans.snapshot.tenants["loja"].funnels[0]
        self.plan(funnels=(msgspec.structs.replace(funnel, **changes),))

    def matching(self, **changes: Any) -> None:
        """Change the funnel's matching."""
        self.funnel(matching=MatchingPlan(**changes))

    def pass_time(self, **amount: float) -> None:
        """Let the worker's clock run."""
        self.now[0] += timedelta(**amount)

    def ms(self, minutes: float = 0) -> int:
        """Unix ms of so many minutes after the test began."""
        return round((NOW + timedelta(minutes=minutes)).timestamp() * 1000)

    def visit(self, kind: str = "click", *, at: float = -10, **fields: Any) -> Event:
        """A tracking event `at` minutes from the sale."""
        key = fields.pop("key", f"visit-{next(self.numbers)}")
        values = {
            "ip": "203.0.113.7",
            "user_agent": AGENT,
            "url": "https://loja.example/p",
        } | fields
        return msgspec.convert(
            {
                "id": event_row_id("loja", key),
                "key": key,
                "kind": kind,
                "tenant": "loja",
                "funnel": "curso",
                "received_at": self.ms(at),
                "occurred_at": self.ms(at),
                "source": "browser",
                **values,
            },
            Event,
        )

    def sale(
        self,
        status: str = "approved",
        *,
        order: str | None = "HP1",
        gateway: str = "hotmart",
        at: float = 0,
        key: str | None = None,
        customer: Customer = BUYER,
        tracking: Tracking = NOTHING_TRACKED,
        client: Client = NO_CLIENT,
        consent: bool | None = None,
        **fields: Any,
    ) -> Event:
        """A sale of a webhook `at` minutes from the first one."""
        key = key or f"{gateway}:{order}:{status}:{next(self.numbers)}"
        moment = NOW + timedelta(minutes=at)
        values: dict[str, Any] = {
            "value": "297.00",
            "currency": "BRL",
            "products": [Product(id="4774438", name="Curso", value="297.00")],
            **fields,
        }
        sale = Sale(
            gateway=gateway,
            event="X",
            event_key=key,
            status=status,  # type: ignore[arg-type]
            order_id=order,
            occurred_at=moment.isoformat().replace("+00:00", "Z"),
            customer=customer,
            tracking=tracking,
            client=client,
            **values,
        )
        return Event(
            id=event_row_id("loja", key),
            key=key,
            kind="sale",
            tenant="loja",
            funnel="curso",
            received_at=self.ms(at),
            occurred_at=self.ms(at),
            source="webhook",
            natural_key=True,
            consent_ads=consent,
            integration="hotmart-principal",
            **fields_of(sale),
        )

    def message(
        self, body: Event | bytes, *, deliveries: int = 1, settlements: Settlements | None = None
    ) -> Message:
        """One delivery of an event."""
        return Message(
            settler=settlements or self.settlements,
            subject="t.loja.in.sale",
            body=body if isinstance(body, bytes) else encode(body),
            reply="",
            deliveries=deliveries,
            seq=next(self.numbers),
            stored_at_ns=0,
            touched=0.0,
        )

    async def deliver(self, *events: Event | bytes, deliveries: int = 1) -> list[bytes]:
        """Hand events over as one batch; returns the answers their messages got."""
        self.settlements.answers.clear()
        await self.worker.handle(
            match_lane("loja"), [self.message(event, deliveries=deliveries) for event in events]
        )
        return list(self.settlements.answers)

    async def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """Rows of a query, past every policy."""
        async with await psycopg.AsyncConnection.connect(
            self.url, row_factory=dict_row
        ) as connection:
            return await (await connection.execute(query.encode(), values)).fetchall()

    async def sent(self) -> list[tuple[str, dict[str, Any]]]:
        """Meta events of the outbox, by name and payload, oldest first."""
        found = await self.rows("select event_name, payload_json from capi_events order by id")
        return [(row["event_name"], msgspec.json.decode(row["payload_json"])) for row in found]

    async def outcome(self, event: Event) -> tuple[str, str | None]:
        """State and reason as the operations API tells them."""
        detail = await self.reader.get_event("loja", event.id)
        assert detail is not None, event.id
        return detail.outcome.state, detail.outcome.reason

    async def match(self, event: Event) -> tuple[str, str, float, str | None]:
        """Decision, rule, score and click as the operations API tells them."""
        detail = await self.reader.get_event("loja", event.id)
        assert detail is not None and detail.match is not None, event.id
        return detail.match.decision, detail.match.rule, detail.match.score, detail.match.click_id


def tenant_plan() -> TenantPlan:
    """A tenant with one funnel, one destination and one integration."""
    return TenantPlan(
        slug="loja",
        namespace="default",
        name="Loja",
        uid="uid-1",
        destinations=(
            DestinationPlan(name="pixel", pixel_id="1234567890", access_token="secret-token"),
        ),
        funnels=(
            FunnelPlan(
                name="curso",
                type="sales",
                public_key="fk_1",
                server_key_sha256="0" * 64,
                landing_hosts=("loja.example",),
                destinations=("pixel",),
                events=dict(DEFAULTS),
            ),
        ),
        integrations=(
            IntegrationPlan(
                name="hotmart-principal", gateway="hotmart", funnel="curso", token_sha256="1" * 64
            ),
        ),
    )


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Room]:
    """A match worker with tenant `loja`, funnel `curso`, destination `pixel` on this database."""
    async with await Database.open(url, min_size=1, max_size=4) as database:
        bus, plans, now = MemoryPublisher(), Plans(Snapshot({"loja": tenant_plan()})), [NOW]
        worker = MatchWorker(database, bus, plans, clock=lambda: now[0])
        yield Room(url, database, bus, plans, worker, EventReader(database), now)


@pytest.fixture
async def room(postgres: str) -> AsyncIterator[Room]:
    """The same on a database of its own."""
    async with opened(postgres) as one:
        yield one
