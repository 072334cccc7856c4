"""What the runtime sees shows in `kubectl get`.

A token that Meta refuses is said, and is over when it is corrected.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import nats
import pytest

from sinal_cli.demo import deliveries
from sinal_cli.demo.deliveries import Buyer, DemoRequest
from sinal_crds.names import STATUS_BUCKET

from tests.cluster.support import shop
from tests.cluster.support.control_plane import ControlPlane
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.waiting import eventually, until
from tests.support.platform import Platform

EXAMPLES = Path(__file__).parents[2] / "examples"
WRONG = "EAAB-wrong-token"
HOTTOK = "demo-hottok"
ANA = Buyer("Ana Souza", "ana@example.com", "11980000001")
KINDS = "tenants,destinations,funnels,gatewayintegrations"
PATIENCE_S = 90.0  # for what goes through every process of a busy machine


class World:
    """The platform with a cluster, and what a buyer and a platform team do."""

    def __init__(self, platform: Platform, kubectl: Kubectl, http: aiohttp.ClientSession) -> None:
        self.platform, self.kubectl, self.http = platform, kubectl, http

    def apply(self, *, token: str) -> None:
        """The examples, with this token of the first pixel."""
        self.kubectl.apply(EXAMPLES)
        self.token(token)
        self.kubectl.wait("tenant", "loja", timeout_s=120)
        self.kubectl.wait("gwi", "hotmart", timeout_s=120)

    def token(self, token: str) -> None:
        """Put a token into the Secret of the first pixel."""
        values = json.dumps({"stringData": {"accessToken": token}})
        self.kubectl.do("patch", "secret", "meta-loja", "--type=merge", f"--patch={values}")

    async def visit(self) -> str:
        """A visit of the landing page; its click id."""
        key = self.kubectl.get("funnel", "curso")["status"]["publicKey"]
        event = {"funnel": key, "url": "https://loja.example/p?fbclid=IwAR0abcdefghij"}
        headers = {"Origin": "https://loja.example"}
        url = f"{self.platform.ingest}/t/loja/api/v1/track/click"
        async with self.http.post(url, json=event, headers=headers) as answer:
            assert answer.status == 202, await answer.text()
            return str((await answer.json())["events"][0]["click_id"])

    async def sell(self, order: str, *, click: str | None = None, hottok: str = HOTTOK) -> int:
        """A sale of the gateway; the status of its answer."""
        return await self.post(deliveries.hotmart(order, ANA, token=hottok, xcod=click))

    async def post(self, delivery: DemoRequest) -> int:
        """A delivery to the URL in the status."""
        url = self.kubectl.get("gwi", "hotmart")["status"]["webhookURL"]
        async with self.http.post(url, data=delivery.body, headers=delivery.headers) as answer:
            return answer.status

    def status(self, kind: str, name: str) -> dict[str, Any]:
        """The status of an object."""
        found: dict[str, Any] = self.kubectl.get(kind, name).get("status", {})
        return found

    def becomes(self, kind: str, name: str, type: str, state: str, reason: str) -> str:
        """Wait until a condition is so; its message."""

        def so() -> str:
            found = self.kubectl.condition(kind, name, type)
            return (
                str(found["message"])
                if (found.get("status"), found.get("reason")) == (state, reason)
                else ""
            )

        try:
            return until(so, timeout_s=PATIENCE_S, pause_s=0.3)
        except TimeoutError as error:
            raise TimeoutError(f"{kind}/{name} is {self.status(kind, name)}") from error

    def shows(self, kind: str, name: str, **wanted: Any) -> dict[str, Any]:
        """Wait until a status has these values; the status."""

        def so() -> dict[str, Any]:
            found = self.status(kind, name)
            return found if {key: found.get(key) for key in wanted} == wanted else {}

        try:
            return until(so, timeout_s=PATIENCE_S, pause_s=0.3)
        except TimeoutError as error:
            raise TimeoutError(f"{kind}/{name} is {self.status(kind, name)}") from error

    def table(self, kind: str, *options: str) -> dict[str, dict[str, str]]:
        """What `kubectl get` prints: a row by name, its cells by column."""
        head, *rows = self.kubectl.do("get", kind, *options).splitlines()
        starts = [
            at
            for at in range(len(head))
            if head[at] != " " and (at == 0 or head[at - 2 : at] == "  ")
        ]
        spans = list(zip(starts, [*starts[1:], None], strict=True))
        cells = [{head[a:b].strip(): row[a:b].strip() for a, b in spans} for row in rows]
        return {row["NAME"]: row for row in cells}

    def events(self, kind: str, name: str) -> set[tuple[str, str]]:
        """Type and reason of the events on an object."""
        about = [(e, e["involvedObject"]) for e in self.kubectl.list("events")]
        return {
            (e["type"], e["reason"]) for e, o in about if (o["kind"], o["name"]) == (kind, name)
        }


@pytest.fixture
async def world(
    control_plane: ControlPlane, kubectl: Kubectl, tmp_path: Path
) -> AsyncIterator[World]:
    """All roles as processes, quick to tell; the sandbox knows a wrong token."""
    settings = {
        "KUBECONFIG": str(control_plane.kubeconfig),
        "SINAL_FACTS_INTERVAL_S": "1",
        "SINAL_STATUS_INTERVAL_S": "1",
    }
    platform = Platform(
        tmp_path, manifests=[], settings=settings, sandbox=("--revoked-token", WRONG)
    )
    settings["SINAL_PUBLIC_URL"] = platform.ingest
    try:
        await platform.start()
        async with aiohttp.ClientSession() as http:
            yield World(platform, kubectl, http)
    finally:
        await platform.stop()


async def test_kubectl_shows_what_the_runtime_sees(world: World) -> None:
    world.apply(token="sandbox-token-principal")
    assert world.becomes("destination", "pixel-principal", "Delivering", "Unknown", "NoEventsYet")
    click = await world.visit()
    assert await world.sell("HP1", click=click) == 202
    assert await world.sell("HP2", hottok="not-the-hottok") == 401
    world.becomes("destination", "pixel-principal", "Delivering", "True", "Delivering")
    world.becomes("tenant", "loja", "Delivering", "True", "Delivering")
    world.becomes("tenant", "loja", "Receiving", "True", "EventsArrive")
    funnel = world.shows("funnel", "curso", events24h=2, matchPercent=100)
    tenant = world.shows("tenant", "loja", events24h=2, matchPercent=100, backlog=0)
    integration = world.shows("gwi", "hotmart", rejects=1, drift=0)
    destination = world.shows(
        "destination", "pixel-principal", backlog=0, breaker="Closed", deadLetters=0
    )
    times = (
        funnel["lastEvent"],
        tenant["lastEvent"],
        integration["lastDelivery"],
        destination["lastSuccess"],
    )
    assert all(time.strptime(one, "%Y-%m-%dT%H:%M:%SZ") for one in times)

    row = world.table("tn")["loja"]
    assert (row["READY"], row["REASON"], row["BACKLOG"], row["MATCH %"]) == (
        "True",
        "Ready",
        "0",
        "100",
    )
    assert row["LAST EVENT"] and row["AGE"]
    row = world.table("fn")["curso"]
    assert (row["TENANT"], row["MATCH %"]) == ("loja", "100")
    row = world.table("dest")["pixel-principal"]
    assert (row["TENANT"], row["BACKLOG"], row["BREAKER"], row["DELIVERING"]) == (
        "loja",
        "0",
        "Closed",
        "True",
    )
    assert world.table("gwi", "-o", "wide")["hotmart"]["REJECTS"] == "1"

    before = versions(world.kubectl)
    await asyncio.sleep(8)
    assert versions(world.kubectl) == before, "a platform at rest sees no write"


async def test_a_wrong_token_is_said_and_is_over_when_the_secret_is_corrected(world: World) -> None:
    world.apply(token=WRONG)
    assert await world.sell("HP1") == 202
    message = world.becomes("destination", "pixel-principal", "Delivering", "False", "TokenInvalid")
    assert "code 190, subcode 460" in message
    assert WRONG not in json.dumps(world.kubectl.list("destinations"))
    world.becomes("destination", "pixel-principal", "CredentialsValid", "False", "TokenInvalid")
    message = world.becomes("tenant", "loja", "Delivering", "False", "DestinationsFailing")
    assert "pixel-principal (TokenInvalid)" in message
    world.becomes("destination", "pixel-agencia", "Delivering", "True", "Delivering")
    status = world.shows("destination", "pixel-principal", backlog=1)
    assert status["breaker"] in ("Open", "HalfOpen")
    assert world.kubectl.condition("destination", "pixel-principal")["status"] == "True", (
        "it is as declared"
    )

    world.token("sandbox-token-principal")
    world.becomes("destination", "pixel-principal", "Delivering", "True", "Delivering")
    world.becomes("destination", "pixel-principal", "CredentialsValid", "True", "SecretFound")
    world.becomes("tenant", "loja", "Delivering", "True", "Delivering")
    world.shows("destination", "pixel-principal", backlog=0, breaker="Closed")
    told = {("Warning", "TokenInvalid"), ("Normal", "Delivering")}
    until(lambda: told <= world.events("Destination", "pixel-principal"), timeout_s=PATIENCE_S)
    assert not told & world.events("Destination", "pixel-agencia")


async def test_a_rotated_secret_reaches_the_running_edge(world: World) -> None:
    world.apply(token="sandbox-token-principal")
    assert await world.sell("HP1", hottok="rotated") == 401
    world.kubectl.apply(shop.secret("hotmart-loja", hottok=b"rotated"))

    async def believed() -> bool:
        return await world.sell("HP1", hottok="rotated") == 202

    await eventually(believed, timeout_s=PATIENCE_S)
    assert await world.sell("HP2", hottok=HOTTOK) == 401


async def test_a_bucket_that_is_lost_costs_statuses_nothing(world: World) -> None:
    world.apply(token="sandbox-token-principal")
    assert await world.sell("HP1") == 202
    world.becomes("destination", "pixel-principal", "Delivering", "True", "Delivering")
    world.shows("tenant", "loja", events24h=1, backlog=0)
    client = await nats.connect(world.platform.nats.url, connect_timeout=60)
    await client.jetstream().delete_stream(f"KV_{STATUS_BUCKET}")
    for _ in range(20):
        assert (
            world.kubectl.condition("destination", "pixel-principal", "Delivering")["status"]
            == "True"
        )
        assert world.status("tenant", "loja")["events24h"] == 1
        await asyncio.sleep(0.5)
    assert await world.sell("HP2") == 202
    world.shows("tenant", "loja", events24h=2)
    await client.close()


def versions(kubectl: Kubectl) -> dict[str, str]:
    """Resource versions of all objects of ours: any write changes one."""
    items = json.loads(kubectl.do("get", KINDS, "-o", "json"))["items"]
    return {f"{i['kind']}/{i['metadata']['name']}": i["metadata"]["resourceVersion"] for i in items}
