"""The operator is killed again and again while everything changes: in the end NATS is exactly as
declared.

`OPERATOR_KILLS` and `SEED` choose another storm than that of every run; docs/operators/operator.md
has figures of a long one.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sinal_crds.compile import compile
from sinal_crds.keyring import Keyring
from sinal_crds.loading import Objects, parse
from sinal_crds.plan import TenantPlan
from sinal_crds.secrets import Secrets, secret_data
from sinal_operator.provision.desired import retained

from tests.cluster.support import shop
from tests.cluster.support.api import Api
from tests.cluster.support.control_plane import ControlPlane
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.lanes import Lanes, lanes
from tests.cluster.support.operator import OperatorProcess
from tests.cluster.support.waiting import eventually
from tests.support.nats_process import NatsProcess

KILLS = int(os.environ.get("OPERATOR_KILLS", "10"))
SEED = int(os.environ.get("SEED", "1"))
TENANTS = tuple(f"t{n:02d}" for n in range(12))
COUNTRIES = ("BR", "PT", "AR", "MX")


def policy(tenant: str) -> str:
    """The deletion policy that a tenant always has."""
    return "Delete" if int(tenant[1:]) % 2 else "Retain"


class Storm:
    """Random changes of a dozen tenants and what is theirs."""

    def __init__(self, api: Api, dice: random.Random) -> None:
        self._api, self._dice = api, dice
        self.changes = 0
        self.over = False

    async def blow(self) -> None:
        """One change after the other, a few of them at once, until it is over."""
        async with asyncio.TaskGroup() as gusts:
            for _ in range(3):
                gusts.create_task(self._gust())

    async def _gust(self) -> None:
        while not self.over:
            await self._change()
            self.changes += 1
            await asyncio.sleep(self._dice.expovariate(10))

    def _change(self) -> Awaitable[None]:
        pick = self._dice.choice
        tenant = pick(TENANTS)
        pixel, funnel = f"{tenant}-{pick('ab')}", f"{tenant}-f"
        changes: tuple[Callable[[], Awaitable[None]], ...] = (
            lambda: self._api.apply(
                shop.tenant(tenant, deletionPolicy=policy(tenant), country=pick(COUNTRIES))
            ),
            lambda: self._api.apply(
                shop.tenant(tenant, deletionPolicy=policy(tenant), suspended=pick((True, False)))
            ),
            lambda: self._api.delete("Tenant", tenant),
            lambda: self._api.apply(
                shop.destination(pixel, of=tenant, pixel=str(self._dice.randrange(10**8, 10**9)))
            ),
            lambda: self._api.delete("Destination", pixel),
            lambda: self._api.apply(shop.funnel(funnel, of=tenant, to=pixel)),
            lambda: self._api.delete("Funnel", funnel),
            lambda: self._api.apply(shop.integration(f"{tenant}-i", of=tenant, to=funnel)),
            lambda: self._api.delete("GatewayIntegration", f"{tenant}-i"),
            lambda: self._api.apply(
                shop.secret(accessToken=self._dice.randbytes(6).hex().encode(), hottok=b"h")
            ),
        )
        return pick(changes)()


async def wanted(api: Api, keyring: Keyring) -> dict[str, TenantPlan]:
    """Plans of what is declared, compiled from the API server's objects."""
    manifests = [parse(body) for kind in shop.KINDS for body in await api.list(kind)]
    secrets = {
        (body["metadata"]["namespace"], body["metadata"]["name"]): secret_data(body)
        for body in await api.list("Secret")
    }
    return {
        plan.slug: plan for plan in compile(Objects.of(manifests), Secrets(secrets), keyring).plans
    }


async def differences(look: Lanes, plans: dict[str, TenantPlan], namespace: str) -> list[str]:
    """What NATS has that it should not, and the reverse."""
    found: list[str] = []
    streams, there = await look.streams(), await look.plans()
    for slug in sorted(plans.keys() | there.keys()):
        if plans.get(slug) != there.get(slug):
            found.append(f"plan of {slug}: {there.get(slug)} instead of {plans.get(slug)}")
    for slug in TENANTS:
        owner = streams.pop(f"T-{slug}", None)
        if slug in plans:
            if owner != plans[slug].uid:
                found.append(f"stream of {slug} belongs to {owner} and not to {plans[slug].uid}")
                continue
            consumers = {"match", *(f"dispatch-{one.name}" for one in plans[slug].destinations)}
            if (actual := await look.consumers(slug)) != consumers:
                found.append(
                    f"consumers of {slug}: {sorted(actual)} instead of {sorted(consumers)}"
                )
        elif owner is not None and (policy(slug) == "Delete" or owner != retained(namespace, slug)):
            found.append(f"stream of {slug} is left over, owned by {owner}")
    return found + [f"stream {name} is nobody's" for name in streams]


async def unready(api: Api) -> list[str]:
    """Objects on their way out, and tenants whose status does not say that they are ready as they
    stand.
    """
    found = []
    for kind in shop.KINDS:
        for body in await api.list(kind):
            conditions: list[dict[str, Any]] = body.get("status", {}).get("conditions", [])
            ready = next((one for one in conditions if one["type"] == "Ready"), {})
            current = ready.get("observedGeneration") == body["metadata"]["generation"]
            lame = kind == "Tenant" and ready.get("status") != "True"
            if "deletionTimestamp" in body["metadata"] or not current or lame:
                found.append(f"{kind} {body['metadata']['name']}: {ready}")
    return found


@pytest.mark.timeout(900)
async def test_killed_at_random_during_a_storm_of_changes_it_comes_to_exactly_what_is_declared(
    control_plane: ControlPlane,
    nats_server: NatsProcess,
    operator: OperatorProcess,
    kubectl: Kubectl,
) -> None:
    dice = random.Random(SEED)
    operator.start()
    async with (
        Api(control_plane.kubeconfig, kubectl.namespace) as api,
        lanes(nats_server.url, operator.keyring) as look,
    ):
        await api.apply(shop.secret())
        storm = Storm(api, dice)
        blowing = asyncio.create_task(storm.blow())
        for _ in range(KILLS):
            await asyncio.wait({blowing}, timeout=dice.uniform(0.5, 5))
            assert not blowing.done(), blowing.result()
            operator.kill()
            operator.start()
        storm.over = True
        await blowing
        over = time.monotonic()
        left: list[str] = []

        async def exact() -> bool:
            left[:] = await unready(api)
            if not left:
                left[:] = await differences(
                    look, await wanted(api, operator.keyring), kubectl.namespace
                )
            return not left

        try:
            await eventually(exact, timeout_s=300)
        except TimeoutError:
            pytest.fail(
                (f"after {storm.changes} changes and {KILLS} kills (SEED={SEED}):\n")
                + "\n".join(left)
            )
        took = time.monotonic() - over
        print(
            f"\n{storm.changes} changes, {KILLS} kills, SEED={SEED}: as declared {took:.1f} s "
            "after the last change"
        )
        assert storm.changes > 5 * KILLS
