"""What is declared otherwise reaches the runtime's plan at once.

What is not changed costs nothing.
"""

from __future__ import annotations

import json
import time

from tests.cluster.support import shop
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.lanes import lanes
from tests.cluster.support.operator import OperatorProcess
from tests.cluster.support.waiting import eventually, until
from tests.support.nats_process import NatsProcess

ACTS_S = 2
KINDS = "tenants,destinations,funnels,gatewayintegrations"


def versions(kubectl: Kubectl) -> dict[str, str]:
    """Resource versions of all objects of ours: any write changes one."""
    items = json.loads(kubectl.do("get", KINDS, "-o", "json"))["items"]
    return {f"{i['kind']}/{i['metadata']['name']}": i["metadata"]["resourceVersion"] for i in items}


async def test_a_rotated_secret_reaches_the_plan_without_a_restart(
    nats_server: NatsProcess, running: OperatorProcess, kubectl: Kubectl
) -> None:
    kubectl.apply(shop.shop())
    kubectl.wait("destination", "pixel")
    async with lanes(nats_server.url, running.keyring) as look:

        async def rotated_s(number: int) -> float:
            token, hottok = f"token-{number}", f"hottok-{number}"
            kubectl.apply(shop.secret(accessToken=token.encode(), hottok=hottok.encode()))
            applied = time.monotonic()

            async def rotated() -> bool:
                plan = (await look.plans())["loja"]
                held = plan.destinations[0].access_token, plan.integrations[0].credentials
                return held == (token, {"hottok": hottok})

            await eventually(rotated)
            return time.monotonic() - applied

        took = await rotated_s(2)
        for number in (3, 4):  # what a busy machine spoilt is tried again
            if took > ACTS_S:
                took = await rotated_s(number)
    assert took <= ACTS_S
    assert "token-2" not in running.log.read_text()


async def test_what_is_added_and_removed_follows_in_nats(
    nats_server: NatsProcess, running: OperatorProcess, kubectl: Kubectl
) -> None:
    kubectl.apply(shop.shop())
    kubectl.wait("tenant", "loja")
    async with lanes(nats_server.url, running.keyring) as look:
        assert await look.consumers("loja") == {"match", "dispatch-pixel"}
        assert set(await look.streams()) == {"T-loja"}

        kubectl.apply(shop.destination("second"))
        kubectl.wait("destination", "second")
        assert kubectl.get("destination", "second")["status"]["consumer"] == "dispatch-second"
        assert await look.consumers("loja") == {"match", "dispatch-pixel", "dispatch-second"}

        kubectl.do("delete", "destination", "second")

        async def removed() -> bool:
            gone = "second" not in {d.name for d in (await look.plans())["loja"].destinations}
            return gone and await look.consumers("loja") == {"match", "dispatch-pixel"}

        await eventually(removed)


async def test_what_somebody_breaks_in_nats_is_mended_and_told(
    nats_server: NatsProcess, running: OperatorProcess, kubectl: Kubectl
) -> None:
    kubectl.apply(shop.shop())
    kubectl.wait("tenant", "loja")
    async with lanes(nats_server.url, running.keyring) as look:
        await look.jetstream.delete_consumer("T-loja", "match")

        async def mended() -> bool:
            return "match" in await look.consumers("loja")

        await eventually(mended)
    until(
        lambda: any(
            event["message"] == "consumer match created" for event in kubectl.list("events")
        )
    )


def test_a_status_that_somebody_spoils_is_put_right(
    running: OperatorProcess, kubectl: Kubectl
) -> None:
    kubectl.apply(shop.shop())
    kubectl.wait("gwi", "vendas")
    url = kubectl.get("gwi", "vendas")["status"]["webhookURL"]
    spoilt = json.dumps({"status": {"webhookURL": "http://elsewhere.example"}})
    kubectl.do(
        "patch", "gwi", "vendas", "--subresource=status", "--type=merge", f"--patch={spoilt}"
    )
    until(lambda: kubectl.get("gwi", "vendas")["status"]["webhookURL"] == url)


def test_a_condition_of_another_writer_stays(running: OperatorProcess, kubectl: Kubectl) -> None:
    theirs = {
        "type": "Audited",
        "status": "True",
        "reason": "ByHand",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    kubectl.apply(shop.tenant())
    kubectl.wait("tenant", "loja")
    ours = kubectl.get("tenant", "loja")["status"]["conditions"]
    change = json.dumps({"status": {"conditions": [theirs, *ours]}})
    kubectl.do(
        "patch", "tenant", "loja", "--subresource=status", "--type=merge", f"--patch={change}"
    )
    kubectl.apply(shop.tenant(suspended=True))
    until(lambda: kubectl.condition("tenant", "loja")["reason"] == "Suspended")
    assert kubectl.condition("tenant", "loja", "Audited") == theirs


def test_a_quiet_cluster_sees_no_write(running: OperatorProcess, kubectl: Kubectl) -> None:
    kubectl.apply(shop.shop(), shop.funnel("lost", of="nobody"))
    kubectl.wait("tenant", "loja")
    kubectl.wait("gwi", "vendas")
    until(lambda: kubectl.condition("funnel", "lost")["status"] == "False")
    time.sleep(1)
    before, events = versions(kubectl), len(kubectl.list("events"))
    time.sleep(12)  # two rounds of the drift loop
    assert versions(kubectl) == before
    assert len(kubectl.list("events")) == events


def test_nothing_of_ours_is_written_into_what_people_own(
    running: OperatorProcess, kubectl: Kubectl
) -> None:
    kubectl.apply(shop.shop())
    kubectl.wait("tenant", "loja")
    kubectl.wait("gwi", "vendas")
    for kind, name in (
        ("secret", "keys"),
        ("destination", "pixel"),
        ("funnel", "curso"),
        ("gwi", "vendas"),
    ):
        metadata = kubectl.get(kind, name)["metadata"]
        assert "finalizers" not in metadata
        assert set(metadata["annotations"]) == {"kubectl.kubernetes.io/last-applied-configuration"}
    assert kubectl.get("tenant", "loja")["metadata"]["finalizers"] == ["sinal.dev/finalizer"]
