"""Fixtures of the edge: two tenants, an application over in-memory ports, and a client for it."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import pytest

from sinal_core.limiter import LocalLimiter
from sinal_core.plans.testing import StaticPlans
from sinal_crds.plan import FunnelPlan, IntegrationPlan, Limits, TenantPlan
from sinal_hub.gateways import Gateway, NotThisGateway
from sinal_hub.ingest import app
from sinal_hub.ingest.settings import EdgeSettings
from sinal_hub.ingest.testing import Client, MemoryBus, MemoryQuarantine, sha256
from sinal_hub.intake.counters import IntegrationCounters
from sinal_hub.model.sale import Client as Buyer
from sinal_hub.model.sale import Customer, Product, Sale, Tracking

NOW = 1_789_997_600.0  # 2026-09-21T13:33:20Z
PUBLIC_KEY, SERVER_KEY = "fk_curso", "sk_curso-secret"
OTHER_PUBLIC_KEY = "fk_outra"
TOKEN, OPEN_TOKEN = "tok-signed-3f9a", "tok-open-77c1"
SECRET = "gateway-secret"
LANDING = "https://curso.example"


class SignedGateway:
    """A gateway that signs: `x-signature` is the secret; its body is one of our sales."""

    NAME = "signed"
    SECRET_KEYS: tuple[str, ...] = ("secret",)
    AUTHENTICATES = True

    def verify(
        self,
        raw: bytes,
        headers: Mapping[str, str],
        query: Mapping[str, str],
        secret: Mapping[str, str],
    ) -> bool:
        """Compare the header with the secret."""
        return hmac.compare_digest(
            headers.get("x-signature", "").encode(), secret.get("secret", "").encode()
        )

    def parse(self, raw: bytes, *, country: str = "BR", clear: bool = False) -> list[Sale]:
        """The body's sales.

        `BOOM` is a fault of the adapter, `FLOAT` one that its types do not allow.
        """
        if raw == b"BOOM":
            raise KeyError("buyer maria@loja.example")
        if raw == b"FLOAT":
            return [a_sale(value=297.0)]
        try:
            return msgspec.json.decode(raw, type=list[Sale])
        except msgspec.MsgspecError:
            raise NotThisGateway("no list of sales") from None


class OpenGateway(SignedGateway):
    """A gateway that sends nothing to check."""

    NAME = "open"
    SECRET_KEYS: tuple[str, ...] = ()
    AUTHENTICATES = False

    def verify(
        self,
        raw: bytes,
        headers: Mapping[str, str],
        query: Mapping[str, str],
        secret: Mapping[str, str],
    ) -> bool:
        """The URL is all there is."""
        return True


def a_sale(**changes: object) -> Sale:
    """A sale as a gateway module gives it."""
    sale = Sale(
        gateway="signed",
        event="PURCHASE_APPROVED",
        event_key="signed:HP1:approved",
        status="approved",
        order_id="HP1",
        value="297.00",
        currency="BRL",
        occurred_at="2026-09-21T13:00:00Z",
        products=[Product(id="42")],
        customer=Customer(em=["a" * 64]),
        tracking=Tracking(click_id="click1", fbclid="IwAR1", utm_source="fb"),
        client=Buyer(ip="2001:db8::1", user_agent="Mozilla/5.0"),
    )
    return msgspec.structs.replace(sale, **changes)


def a_tenant(**changes: object) -> TenantPlan:
    """The tenant `loja` with a funnel, a signing and an open integration."""
    tenant = TenantPlan(
        slug="loja",
        namespace="default",
        name="loja",
        uid="u1",
        hosts=("t.loja.example",),
        limits=Limits(events_per_minute=100_000),
        funnels=(
            FunnelPlan(
                name="curso",
                type="lead",
                public_key=PUBLIC_KEY,
                server_key_sha256=sha256(SERVER_KEY),
                landing_hosts=("curso.example", "*.promo.example"),
            ),
        ),
        integrations=(
            IntegrationPlan(
                name="vendas",
                gateway="signed",
                funnel="curso",
                token_sha256=sha256(TOKEN),
                credentials={"secret": SECRET},
            ),
            IntegrationPlan(
                name="aberta", gateway="open", funnel="curso", token_sha256=sha256(OPEN_TOKEN)
            ),
        ),
    )
    return msgspec.structs.replace(tenant, **changes)


OTHER = TenantPlan(
    slug="outra",
    namespace="default",
    name="outra",
    uid="u2",
    hosts=("t.outra.example",),
    funnels=(
        FunnelPlan(
            name="site",
            type="lead",
            public_key=OTHER_PUBLIC_KEY,
            server_key_sha256=sha256("sk_outra"),
            landing_hosts=("outra.example",),
        ),
    ),
)


@dataclass
class Clock:
    """Time that stands until it is moved."""

    now: float = NOW

    def time(self) -> float:
        """Unix seconds."""
        return self.now

    def monotonic(self) -> float:
        """The same."""
        return self.now


@dataclass
class EdgeWorld:
    """An edge with everything around it in memory; change a part, then take `client`."""

    tenants: tuple[TenantPlan, ...] = field(default_factory=lambda: (a_tenant(), OTHER))
    bus: MemoryBus = field(default_factory=MemoryBus)
    quarantine: MemoryQuarantine = field(default_factory=MemoryQuarantine)
    clock: Clock = field(default_factory=Clock)
    settings: dict[str, object] = field(default_factory=dict)
    gateways: dict[str, Gateway] = field(
        default_factory=lambda: {"signed": SignedGateway(), "open": OpenGateway()}
    )

    tally: IntegrationCounters = field(default_factory=lambda: IntegrationCounters(worker="edge-1"))

    def edge(self) -> app.Edge:
        """The application as configured now."""
        return app.build(
            bus=self.bus,
            plans=StaticPlans(*self.tenants),
            limiter=LocalLimiter(clock=self.clock),
            quarantine=self.quarantine,
            settings=EdgeSettings(**self.settings),  # type: ignore[arg-type]  # by name, as a test wants it
            gateways=self.gateways,
            clock=self.clock,
            tally=self.tally,
        )

    def client(self, *, host: str = "ingest.example", peer: str | None = "203.0.113.9") -> Client:
        """A client of a fresh application."""
        return Client(self.edge(), host=host, peer=peer)


@pytest.fixture
def edge_world() -> EdgeWorld:
    """Tenants `loja` and `outra` behind an edge over memory."""
    return EdgeWorld()
