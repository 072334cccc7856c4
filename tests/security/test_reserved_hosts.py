"""Attack: a tenant declares the host that all tenants share, and everybody's events are asked for
at its door.

Before: `spec.ingest.hosts: [in.example.com]` turned every other tenant's webhook, script and
tracking into 404, and gateways switch off URLs that answer errors.
"""

from __future__ import annotations

import msgspec
import pytest

from sinal_core.limiter import LocalLimiter
from sinal_core.plans.snapshot import Snapshot
from sinal_core.plans.testing import StaticPlans
from sinal_crds.compile import compile
from sinal_crds.hosts import ReservedHosts
from sinal_crds.keyring import Keyring
from sinal_crds.loading import load_text
from sinal_hub.ingest import app
from sinal_hub.ingest.settings import EdgeSettings
from sinal_hub.ingest.testing import Client

from tests.support.fix_ingest import (
    LANDING,
    OTHER,
    PUBLIC_KEY,
    SECRET,
    SERVER_KEY,
    TOKEN,
    EdgeWorld,
    a_sale,
    a_tenant,
)

SHARED = "in.example.com"
RESERVED = ReservedHosts.of(f"https://{SHARED}:8443", others=["api.example.com"])
OWN = "track.rival.example"
CLAIMS = [
    SHARED,
    "sinal-ingest.sinal",
    "sinal-ingest.sinal.svc",
    "x.y.svc.cluster.local",
    "api.example.com",
    "203.0.113.10",
    "10.96.0.12",
    "localhost",
]
MANIFEST = """
apiVersion: sinal.dev/v1alpha1
kind: Tenant
metadata: {{name: rival}}
spec:
  ingest: {{hosts: [{claimed}, {own}]}}
"""


@pytest.mark.parametrize("claimed", CLAIMS)
def test_no_plan_has_a_host_of_the_platform(claimed: str) -> None:
    loaded = load_text(MANIFEST.format(claimed=claimed, own=OWN))
    loaded.raise_for_errors()
    compilation = compile(loaded.objects, loaded.secrets, Keyring.generate(), reserved=RESERVED)
    assert [plan.hosts for plan in compilation.plans] == [(OWN,)]
    [problem] = compilation.problems
    assert (problem.reason, problem.field) == ("HostReserved", "spec.ingest.hosts[0]")
    assert claimed in problem.message


@pytest.mark.parametrize("claimed", CLAIMS)
def test_an_older_plan_that_has_one_leads_nowhere(claimed: str) -> None:
    rival = msgspec.structs.replace(OTHER, hosts=(claimed, OWN))
    snapshot = Snapshot([a_tenant(), rival], reserved=RESERVED)
    assert snapshot.by_host(claimed) is snapshot.by_host(f"{claimed.upper()}.:443") is None
    assert snapshot.by_host(OWN) == rival


def client_of(world: EdgeWorld, *, reserved: ReservedHosts, host: str = SHARED) -> Client:
    rival = msgspec.structs.replace(OTHER, slug="a-rival", hosts=(SHARED, "sinal-ingest.sinal.svc"))
    edge = app.build(
        bus=world.bus,
        plans=StaticPlans(a_tenant(), rival, reserved=reserved),
        limiter=LocalLimiter(clock=world.clock),
        quarantine=world.quarantine,
        settings=EdgeSettings(),
        gateways=world.gateways,
        clock=world.clock,
        tally=world.tally,
    )
    return Client(edge, host=host)


async def statuses(client: Client) -> list[int]:
    """Of the four doors of tenant `loja` on the shared host: webhook, script, page, server."""
    body = msgspec.json.encode([a_sale()])
    page = {"funnel": PUBLIC_KEY, "url": f"{LANDING}/p"}
    answers = [
        await client.post(
            f"/t/loja/api/v1/webhooks/signed/{TOKEN}", body, headers={"x-signature": SECRET}
        ),
        await client.get(f"/t/loja/s.js?f={PUBLIC_KEY}"),
        await client.post("/t/loja/api/v1/track/pageview", page, headers={"origin": LANDING}),
        await client.post(
            "/t/loja/api/v1/track/lead", page, headers={"authorization": f"Bearer {SERVER_KEY}"}
        ),
    ]
    return [answer.status for answer in answers]


@pytest.mark.parametrize("host", [SHARED, "sinal-ingest.sinal.svc"])
async def test_everybody_else_goes_on(edge_world: EdgeWorld, host: str) -> None:
    assert await statuses(client_of(edge_world, reserved=RESERVED, host=host)) == [
        202,
        200,
        202,
        202,
    ]


async def test_a_right_token_is_believed_whatever_host_it_came_to(edge_world: EdgeWorld) -> None:
    """A proof stronger than a header: even where a host was taken, no sale is refused."""
    client = client_of(edge_world, reserved=ReservedHosts())
    body = msgspec.json.encode([a_sale()])
    for path in (f"/api/v1/webhooks/signed/{TOKEN}", f"/t/loja/api/v1/webhooks/signed/{TOKEN}"):
        assert (await client.post(path, body, headers={"x-signature": SECRET})).status == 202
    other = await client.post(
        f"/t/outra/api/v1/webhooks/signed/{TOKEN}", body, headers={"x-signature": SECRET}
    )
    assert other.status in (401, 404)
