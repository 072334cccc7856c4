"""Whatever dies, the operator comes to the declared state by itself."""

from __future__ import annotations

import signal
import time

from tests.cluster.support import shop
from tests.cluster.support.control_plane import ControlPlane
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.lanes import Lanes, lanes
from tests.cluster.support.operator import OperatorProcess
from tests.cluster.support.waiting import eventually, until
from tests.support.nats_process import NatsProcess


async def names(look: Lanes) -> tuple[set[str], set[str]]:
    """Slugs that have a stream, and slugs that have a plan."""
    return {name.removeprefix("T-") for name in await look.streams()}, set(await look.plans())


async def test_killed_amid_changes_it_converges_after_its_restart(
    nats_server: NatsProcess, running: OperatorProcess, kubectl: Kubectl
) -> None:
    kubectl.apply(*(shop.tenant(f"t{n}", deletionPolicy="Delete") for n in range(3)))
    running.kill()
    kubectl.apply(*(shop.tenant(f"t{n}") for n in range(3, 6)))
    kubectl.do("delete", "tenant", "t0", "t1", "--wait=false")
    running.start()
    kubectl.wait("tenant", "t2", "t3", "t4", "t5", timeout_s=120)
    async with lanes(nats_server.url, running.keyring) as look:

        async def converged() -> bool:
            return await names(look) == ({"t2", "t3", "t4", "t5"}, {"t2", "t3", "t4", "t5"})

        await eventually(converged)


async def test_a_wiped_nats_is_made_anew(
    nats_server: NatsProcess, running: OperatorProcess, kubectl: Kubectl
) -> None:
    kubectl.apply(shop.shop())
    kubectl.wait("tenant", "loja")
    nats_server.wipe()
    async with lanes(nats_server.url, running.keyring) as look:

        async def anew() -> bool:
            if await names(look) != ({"loja"}, {"loja"}):
                return False
            return await look.consumers("loja") == {"match", "dispatch-pixel"}

        await eventually(anew)


async def test_what_vanished_while_the_api_server_was_away_is_noticed(
    control_plane: ControlPlane,
    nats_server: NatsProcess,
    running: OperatorProcess,
    kubectl: Kubectl,
) -> None:
    kubectl.apply(shop.shop(), shop.destination("second"))
    kubectl.wait("tenant", "loja")
    kubectl.wait("destination", "second")
    running.freeze()
    control_plane.api_server.restart(signal.SIGKILL)
    kubectl.do("delete", "destination", "second")
    kubectl.apply(shop.tenant(country="PT"))
    running.thaw()
    async with lanes(nats_server.url, running.keyring) as look:

        async def noticed() -> bool:
            plan = (await look.plans())["loja"]
            return plan.country == "PT" and [d.name for d in plan.destinations] == ["pixel"]

        await eventually(noticed, timeout_s=120)
    kubectl.wait("tenant", "loja")


async def test_a_restarted_etcd_is_no_news_and_what_changes_afterwards_is_seen(
    control_plane: ControlPlane,
    nats_server: NatsProcess,
    running: OperatorProcess,
    kubectl: Kubectl,
) -> None:
    kubectl.apply(shop.shop())
    kubectl.wait("tenant", "loja")
    control_plane.etcd.restart(signal.SIGKILL)
    until(lambda: kubectl.run("get", "--raw", "/readyz").returncode == 0, timeout_s=120)
    kubectl.apply(shop.tenant(country="PT"), shop.destination("second"))
    async with lanes(nats_server.url, running.keyring) as look:

        async def seen() -> bool:
            plan = (await look.plans())["loja"]
            return plan.country == "PT" and {d.name for d in plan.destinations} == {
                "pixel",
                "second",
            }

        await eventually(seen, timeout_s=120)
    kubectl.wait("destination", "second", timeout_s=120)
    assert running.running


async def test_two_operators_at_once_do_no_harm(
    control_plane: ControlPlane,
    nats_server: NatsProcess,
    running: OperatorProcess,
    kubectl: Kubectl,
) -> None:
    second = running.twin()
    second.start()
    try:
        second.wait_ready()
        kubectl.apply(shop.shop())
        kubectl.wait("tenant", "loja")
        kubectl.do("delete", "tenant", "loja", "--timeout=120s")
        kubectl.apply(shop.tenant())
        kubectl.wait("tenant", "loja")
    finally:
        second.kill()
    async with lanes(nats_server.url, running.keyring) as look:
        assert await names(look) == ({"loja"}, {"loja"})


async def test_it_ends_at_once_and_leaves_all_as_it_is(
    nats_server: NatsProcess, running: OperatorProcess, kubectl: Kubectl
) -> None:
    kubectl.apply(shop.shop())
    kubectl.wait("tenant", "loja")
    begun = time.monotonic()
    await running.stop()
    assert time.monotonic() - begun < 30, "a kubelet would have killed it"
    assert "role.stopped" in running.log.read_text()
    async with lanes(nats_server.url, running.keyring) as look:
        assert await names(look) == ({"loja"}, {"loja"})
