"""Deleting a tenant: its plan goes, its queue as its policy says, and nothing waits for ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from sinal_crds.schema import MANIFESTS
from sinal_crds.tenant_status import Orphan

from tests.cluster.support import shop
from tests.cluster.support.control_plane import ControlPlane
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.lanes import lanes
from tests.cluster.support.operator import OperatorProcess
from tests.cluster.support.waiting import until
from tests.support.nats_process import NatsProcess


@pytest.fixture
def impatient(
    account: Path, kubectl: Kubectl, nats_server: NatsProcess, tmp_path: Path
) -> Iterator[OperatorProcess]:
    """An operator that lets a tenant go after two seconds without NATS."""
    process = OperatorProcess(
        tmp_path,
        kubeconfig=account,
        nats_url=nats_server.url,
        settings={"SINAL_DELETION_PATIENCE_S": "2"},
    )
    process.start()
    process.wait_ready()
    yield process
    process.kill()


async def test_a_retained_queue_waits_for_a_tenant_of_the_same_name(
    nats_server: NatsProcess, running: OperatorProcess, kubectl: Kubectl
) -> None:
    kubectl.apply(shop.shop())
    kubectl.wait("tenant", "loja")
    first = kubectl.get("tenant", "loja")["metadata"]["uid"]
    async with lanes(nats_server.url, running.keyring) as look:
        assert await look.streams() == {"T-loja": first}
        await look.jetstream.publish("t.loja.in.sale", b"sold")
        kubectl.do("delete", "tenant", "loja", "--timeout=120s")
        assert await look.plans() == {}
        assert await look.streams() == {"T-loja": f"retained:{kubectl.namespace}/loja"}

        kubectl.apply(shop.tenant())
        kubectl.wait("tenant", "loja")
        second = kubectl.get("tenant", "loja")["metadata"]["uid"]
        assert second != first
        assert await look.streams() == {"T-loja": second}
        message = await look.jetstream.get_msg("T-loja", subject="t.loja.in.sale")
        assert message.data == b"sold"


async def test_a_tenant_is_renamed_by_saying_whose_place_the_new_one_takes(
    nats_server: NatsProcess, running: OperatorProcess, kubectl: Kubectl
) -> None:
    """In one namespace.

    The new one first, as a change in Git makes it, and the webhook URL stays.
    """
    kubectl.apply(shop.shop())
    kubectl.wait("gatewayintegration", "vendas")
    url = kubectl.get("gatewayintegration", "vendas")["status"]["webhookURL"]
    kubectl.apply(shop.tenant("nova", slug="loja"))
    until(lambda: kubectl.condition("tenant", "nova").get("reason") == "SlugTaken")
    async with lanes(nats_server.url, running.keyring) as look:
        await look.jetstream.publish("t.loja.in.sale", b"sold")
        kubectl.do("delete", "tenant", "loja", "--timeout=120s")
        until(lambda: kubectl.condition("tenant", "nova").get("reason") == "StreamForeign")
        assert "sinal.dev/heir-of: loja" in kubectl.condition("tenant", "nova")["message"]
        kubectl.do("annotate", "tenant", "nova", "sinal.dev/heir-of=loja")
        # whose is immutable
        kubectl.do("delete", "destination/pixel", "funnel/curso", "gatewayintegration/vendas")
        kubectl.apply(
            shop.destination(of="nova"), shop.funnel(of="nova"), shop.integration(of="nova")
        )
        kubectl.wait("tenant", "nova")
        kubectl.wait("gatewayintegration", "vendas")
        message = await look.jetstream.get_msg("T-loja", subject="t.loja.in.sale")
        assert message.data == b"sold"
    assert kubectl.get("gatewayintegration", "vendas")["status"]["webhookURL"] == url


async def test_a_retained_queue_is_not_for_a_tenant_of_another_namespace(
    nats_server: NatsProcess, running: OperatorProcess, kubectl: Kubectl
) -> None:
    kubectl.apply(shop.tenant())
    kubectl.wait("tenant", "loja")
    kubectl.do("delete", "tenant", "loja", "--timeout=120s")
    other = kubectl.in_namespace(f"{kubectl.namespace}-b")
    other.do("create", "namespace", other.namespace)
    other.apply(shop.tenant())
    until(lambda: other.condition("tenant", "loja").get("reason") == "StreamForeign")


async def test_the_queue_goes_too_where_the_policy_says_delete(
    nats_server: NatsProcess, running: OperatorProcess, kubectl: Kubectl
) -> None:
    kubectl.apply(shop.tenant(deletionPolicy="Delete"))
    kubectl.wait("tenant", "loja")
    kubectl.do("delete", "tenant", "loja", "--timeout=120s")
    async with lanes(nats_server.url, running.keyring) as look:
        assert await look.streams() == {}
        assert await look.plans() == {}


async def test_deleting_succeeds_when_nats_has_nothing_of_it(
    nats_server: NatsProcess, running: OperatorProcess, kubectl: Kubectl
) -> None:
    kubectl.apply(shop.tenant(deletionPolicy="Delete"))
    kubectl.wait("tenant", "loja")
    async with lanes(nats_server.url, running.keyring) as look:
        await look.jetstream.delete_stream("T-loja")
        kubectl.do("delete", "tenant", "loja", "--timeout=120s")
        assert await look.streams() == {}


async def test_the_loser_of_a_slug_takes_nothing_of_the_winner_along(
    nats_server: NatsProcess, running: OperatorProcess, kubectl: Kubectl
) -> None:
    kubectl.apply(shop.tenant("winner", slug="shop"))
    kubectl.wait("tenant", "winner")
    await asyncio.sleep(1)  # creation times are whole seconds
    kubectl.apply(shop.tenant("loser", slug="shop", deletionPolicy="Delete"))
    until(lambda: kubectl.condition("tenant", "loser").get("reason") == "SlugTaken")
    kubectl.do("delete", "tenant", "loser", "--timeout=120s")
    async with lanes(nats_server.url, running.keyring) as look:
        assert set(await look.streams()) == {"T-shop"}
        assert set(await look.plans()) == {"shop"}


@pytest.mark.parametrize(
    ("policy", "order", "restarted"),
    [
        ("Retain", ("old", "new"), False),
        ("Retain", ("old", "new", "newer"), True),
        ("Delete", ("old", "new", "newer"), False),
        ("Delete", ("newer", "old", "new"), True),
    ],
)
async def test_what_is_deleted_stops_whoever_waits_for_its_slug(
    nats_server: NatsProcess,
    running: OperatorProcess,
    kubectl: Kubectl,
    policy: str,
    order: tuple[str, ...],
    restarted: bool,
) -> None:
    """A rename in Git: the new one first, then the old one is pruned."""

    def waits(name: str) -> bool:
        return kubectl.condition("tenant", name).get("reason") == "SlugTaken"

    def works(names: frozenset[str]) -> bool:
        return any(kubectl.condition("tenant", name).get("status") == "True" for name in names)

    kubectl.apply(shop.tenant("old", slug="shop", deletionPolicy=policy))
    kubectl.wait("tenant", "old")
    for name in sorted(set(order) - {"old"}):
        kubectl.apply(shop.tenant(name, slug="shop", deletionPolicy=policy))
        until(partial(waits, name))
    living = {"old", *order}
    async with lanes(nats_server.url, running.keyring) as look:
        for name in order:
            if restarted:
                await running.stop()
                kubectl.do("delete", "tenant", name, "--wait=false")
                running.start()
            kubectl.do("delete", "tenant", name, "--ignore-not-found", "--timeout=120s")
            living.discard(name)
            plans = await look.plans()
            assert {plan.name for plan in plans.values()} <= living, (
                f"{name} is gone, and its plan is in force"
            )
            if policy == "Delete" and living:
                until(partial(works, frozenset(living)))
        assert await look.plans() == {}
        kept = {"T-shop": f"retained:{kubectl.namespace}/old"} if policy == "Retain" else {}
        assert await look.streams() == kept


async def test_a_plan_whose_tenant_went_without_the_operator_is_told_to_the_runtime(
    nats_server: NatsProcess, running: OperatorProcess, kubectl: Kubectl
) -> None:
    """For `sinal doctor`: somebody took the finalizer away while no operator ran, and the sales go
    on.
    """
    kubectl.apply(shop.tenant())
    kubectl.wait("tenant", "loja")
    async with lanes(nats_server.url, running.keyring) as look:
        assert await look.orphans() == []
        await running.stop()
        kubectl.do(
            "patch", "tenant", "loja", "--type=merge", '--patch={"metadata":{"finalizers":null}}'
        )
        kubectl.do("delete", "tenant", "loja", "--timeout=120s")
        running.start()
        async with asyncio.timeout(120):
            while not (told := await look.orphans()):
                await asyncio.sleep(0.1)
        assert told == [Orphan(slug="loja", namespace=kubectl.namespace, name="loja")]
        kubectl.apply(shop.tenant())
        kubectl.wait("tenant", "loja")
        async with asyncio.timeout(120):
            while await look.orphans():
                await asyncio.sleep(0.1)


async def test_a_dead_nats_does_not_hold_a_tenant_for_ever(
    nats_server: NatsProcess, impatient: OperatorProcess, kubectl: Kubectl
) -> None:
    kubectl.apply(shop.tenant(deletionPolicy="Delete"))
    kubectl.wait("tenant", "loja")
    nats_server.stop()
    kubectl.do("delete", "tenant", "loja", "--timeout=120s")
    (event,) = [e for e in kubectl.list("events") if e["reason"] == "ReleasedUncleaned"]
    assert "stream T-loja" in event["message"]
    assert "T-loja" in impatient.log.read_text()
    nats_server.start()
    async with lanes(nats_server.url, impatient.keyring) as look:
        streams = await look.streams()
        deadline = time.monotonic() + 120
        while streams and time.monotonic() < deadline:
            streams = await look.streams()
        assert streams == {}, "it was to be removed as soon as NATS answers"


async def test_a_namespace_goes_with_its_tenants(
    control_plane: ControlPlane,
    nats_server: NatsProcess,
    running: OperatorProcess,
    kubectl: Kubectl,
) -> None:
    control_plane.start_controllers()
    kubectl.apply(shop.shop())
    kubectl.wait("tenant", "loja")
    kubectl.do("delete", "namespace", kubectl.namespace, "--timeout=120s")
    async with lanes(nats_server.url, running.keyring) as look:
        assert await look.plans() == {}


async def test_the_definition_of_tenants_can_be_deleted_while_the_operator_runs(
    nats_server: NatsProcess, running: OperatorProcess, kubectl: Kubectl
) -> None:
    """Discovery lists no `patch` of it then, and Kopf serves it no more.

    The Tenants must go all the same.
    """
    kubectl.apply(shop.shop(), shop.tenant("dropped", deletionPolicy="Delete"))
    kubectl.wait("tenant")
    try:
        kubectl.do("delete", "crd", "tenants.sinal.dev", "--timeout=60s")
        async with lanes(nats_server.url, running.keyring) as look:
            assert await look.plans() == {}
            assert set(await look.streams()) == {"T-loja"}
    finally:
        Kubectl(kubectl.kubeconfig, "").do("apply", "-f", str(MANIFESTS))
    until(lambda: kubectl.run("get", "tenants").returncode == 0, timeout_s=60)
    kubectl.apply(shop.tenant())
    kubectl.wait("tenant", "loja", timeout_s=60)
