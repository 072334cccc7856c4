"""Attack: somebody once had the keyring, and computes every webhook URL and server key of today and
tomorrow.

Operator, broker and edge are real. The mint key is rotated: URLs and keys of before are taken
beside the new ones, and nobody computes these from what was known; once they are retired, those of
before lead nowhere.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec
import pytest
from nats.aio.client import Client

from sinal_core.nats import Bus
from sinal_core.plans import Plans
from sinal_crds.compile import Compilation, compile
from sinal_crds.keyring import Keyring
from sinal_crds.loading import load_text
from sinal_hub.ingest.server import IngestServer
from sinal_hub.ingest.settings import ServerSettings
from sinal_operator.provision import Provisioner

from tests.support.eventually import eventually
from tests.support.probes import ProbedClient, probed

KNOWN = Keyring.generate()  # what somebody has
PAGE = "https://curso.example"
SHOP = """
apiVersion: sinal.dev/v1alpha1
kind: Tenant
metadata: {name: loja}
spec: {}
---
apiVersion: sinal.dev/v1alpha1
kind: Funnel
metadata: {name: curso}
spec: {tenantRef: loja, landingHosts: [curso.example]}
---
apiVersion: sinal.dev/v1alpha1
kind: GatewayIntegration
metadata: {name: vendas}
spec: {tenantRef: loja, funnelRef: curso, gateway: kirvano}
"""


def compiled(keyring: Keyring) -> Compilation:
    loaded = load_text(SHOP)
    loaded.raise_for_errors()
    return compile(loaded.objects, loaded.secrets, keyring)


@dataclass
class Site:
    """An edge that reads what an operator with this keyring has published."""

    client: Client
    plans: Plans
    http: ProbedClient

    async def runs_with(self, keyring: Keyring) -> None:
        """The operator was started with that keyring, and the edge has seen its plan."""
        plan = compiled(keyring).plans[0]
        report = await Provisioner(self.client, keyring).reconcile([plan])
        assert report.tenants["loja"].ready, report
        await eventually(lambda: self.plans.snapshot.tenants.get("loja") == plan)

    async def answers(self, keyring: Keyring) -> list[int]:
        """Of the doors to what that keyring mints: webhook, script, page, server."""
        found = compiled(keyring).minted["loja"]
        keys, token = found["funnels"]["curso"], found["webhooks"]["vendas"]["token"]
        page = {"funnel": keys["public_key"], "url": f"{PAGE}/p"}
        server = {"authorization": f"Bearer {keys['server_key']}"}
        answers = [
            await self.http.post(f"/t/loja/api/v1/webhooks/kirvano/{token}", content=b"{}"),
            await self.http.get("/t/loja/s.js", params={"f": keys["public_key"]}),
            await self.http.post(
                "/t/loja/api/v1/track/pageview", json=page, headers={"origin": PAGE}
            ),
            await self.http.post(
                "/t/loja/api/v1/track/lead", json={"funnel": "curso"}, headers=server
            ),
        ]
        return [answer.status_code for answer in answers]

    async def counted(self) -> dict[str, float]:
        """How often keys of before were used, by which."""
        lines = (await self.http.get(f"{self.http.probes}/metrics")).text.splitlines()
        mine = [
            line
            for line in lines
            if line.startswith("sinal_ingest_earlier_keys_total{") and 'tenant="loja"' in line
        ]
        return {
            line.partition('what="')[2].partition('"')[0]: float(line.rpartition(" ")[2])
            for line in mine
        }


@pytest.fixture
async def site(bus: Bus, client: Client) -> AsyncIterator[Site]:
    """A platform whose keyring is known to somebody.

    The edge's keyring never changes, and needs no mint key.
    """
    assert (
        (await Provisioner(client, KNOWN).reconcile([compiled(KNOWN).plans[0]]))
        .tenants["loja"]
        .ready
    )
    plans = Plans(bus, KNOWN)
    await plans.start()
    server = IngestServer(ServerSettings(port=0), bus, plans, keyring=KNOWN)
    await server.start()
    async with probed(server) as probes, ProbedClient(server.url, probes) as http:
        yield Site(client, plans, http)
    await server.stop()
    await plans.stop()


async def test_old_and_new_together_then_the_new_alone(site: Site) -> None:
    rotated = KNOWN.rotate_mint(now=int(time.time()))
    assert await site.answers(KNOWN) == [202, 200, 202, 202]
    assert await site.answers(rotated) == [401, 404, 404, 401]

    await site.runs_with(rotated)
    before = await site.counted()
    assert await site.answers(rotated) == [202, 200, 202, 202]
    assert await site.counted() == before
    assert await site.answers(KNOWN) == [202, 200, 202, 202]
    used = {what: times - before.get(what, 0) for what, times in (await site.counted()).items()}
    assert used == {"webhook-token": 1, "server-key": 1, "public-key": 1}
    guessed = KNOWN.rotate_mint(now=int(time.time()))  # by who has the old keyring
    assert await site.answers(guessed) == [401, 404, 404, 401]

    await site.runs_with(rotated.retire_mint())
    assert await site.answers(rotated) == [202, 200, 202, 202]
    assert await site.answers(KNOWN) == [401, 404, 404, 401]


async def test_a_key_of_before_is_told_of_once(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    await site.runs_with(KNOWN.rotate_mint(now=int(time.time())))
    for _ in range(3):
        await site.answers(KNOWN)
    told = [line for line in capsys.readouterr().out.splitlines() if "ingest.earlier_key" in line]
    assert len(told) == 3  # one of each
    found = compiled(KNOWN).minted["loja"]
    assert not any(
        key in line for line in told for key in (found["webhooks"]["vendas"]["token"], "sk_", "fk_")
    )


async def test_the_operator_writes_a_plan_again_when_it_is_started_with_another_mint_key(
    site: Site,
) -> None:
    rotated = KNOWN.rotate_mint(now=1)
    plan = compiled(rotated).plans[0]
    assert msgspec.structs.replace(plan, integrations=()) != msgspec.structs.replace(
        compiled(KNOWN).plans[0]
    )
    report = await Provisioner(site.client, rotated).reconcile([plan])
    assert report.tenants["loja"].result == "updated"
    report = await Provisioner(site.client, rotated).reconcile([plan])
    assert report.tenants["loja"].result == "unchanged"
