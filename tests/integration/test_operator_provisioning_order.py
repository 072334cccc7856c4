"""The drift loop never works on what was declared before it had its turn: a deleted tenant would
come back.
"""

from __future__ import annotations

import asyncio
from typing import Literal

import nats

from sinal_crds.keyring import Keyring
from sinal_crds.plan import TenantPlan
from sinal_operator.provision import Provisioner, Report, Retired

from tests.support.nats_process import NatsProcess


class Watched(asyncio.Lock):
    """A lock that tells when somebody wants it."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted = asyncio.Event()

    async def acquire(self) -> Literal[True]:
        self.wanted.set()
        return await super().acquire()


async def test_a_tenant_that_was_deleted_meanwhile_is_not_made_again(
    nats_server: NatsProcess,
) -> None:
    client = await nats.connect(nats_server.url, connect_timeout=60)
    provisioner = Provisioner(client, Keyring.generate())
    plan = TenantPlan(
        slug="loja", namespace="default", name="loja", uid="u1", deletion_policy="Delete"
    )
    declared = [plan]
    reports: list[Report] = []
    await provisioner.reconcile(declared)

    busy = provisioner._lock = Watched()
    async with busy:  # another reconciliation is going on
        busy.wanted.clear()
        keeping = asyncio.create_task(
            provisioner.run(lambda: tuple(declared), 0.1, on_report=reports.append)
        )
        await asyncio.wait_for(busy.wanted.wait(), 60)  # the loop is due and waits
        declared.clear()
    await provisioner.reconcile([], [Retired.of(plan)])
    async with asyncio.timeout(60):
        while not reports:
            await asyncio.sleep(0.05)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)

    streams = {str(info.config.name) for info in await client.jetstream().streams_info()}
    assert "T-loja" not in streams
    await client.close()
