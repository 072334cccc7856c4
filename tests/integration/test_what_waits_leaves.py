"""What waits for a destination leaves when the cause of its waiting ends, whatever its back-off:
over a real broker, a real PostgreSQL and a real Meta emulator, with several dispatchers.

Every back-off here is longer than a test waits for anything: what is delivered was called.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from sinal_core.aio.breaker import Policy
from sinal_core.nats import Bus, Lanes, dispatch_lane
from sinal_core.outbox.ledger import Ref
from sinal_core.outbox.messages import Pointer
from sinal_core.outbox.recovery import Recovery
from sinal_crds import names
from sinal_crds.plan import BatchPlan, RateLimit
from sinal_hub.dispatch import recovery as dispatchers
from sinal_hub.model.events import encode

from tests.support.eventually import PATIENCE_S, eventually
from tests.support.fix_bus import MakeTenant
from tests.support.fix_dispatch import DispatchRig
from tests.support.nats_process import NatsProcess

LONG_S = 100 * PATIENCE_S
POLICY = Policy(threshold=2, base_s=LONG_S, cap_s=2 * LONG_S, pause_base_s=LONG_S)
ONE_BY_ONE = {"batch": BatchPlan(max_events=1), "rate_limit": RateLimit(concurrency=1)}
SUBJECT = names.out_subject("loja", "principal")


class Shop:
    """One destination, its lane and as many dispatchers as a test wants."""

    def __init__(self, rig: DispatchRig, nats_url: str) -> None:
        self.rig, self._nats_url = rig, nats_url
        self._recoveries: list[Recovery] = []
        self._stack = AsyncExitStack()
        self.policy = POLICY

    async def start(self) -> AsyncExitStack:
        """A dispatcher more; closing what is returned ends it."""
        stack = AsyncExitStack()
        await stack.enter_async_context(self._dispatching())
        self._stack.push_async_callback(stack.aclose)
        return stack

    async def stop(self) -> None:
        await self._stack.aclose()

    def plan(self, **changes: Any) -> None:
        """A plan is in force, and every dispatcher sees it."""
        self.rig.plan(**(ONE_BY_ONE | changes))
        for recovery in self._recoveries:
            recovery.follow(dispatchers.terms(self.rig.plans))

    async def publish(self, bus: Bus, *event_ids: str) -> list[Ref]:
        """Rows and their messages, as matching makes them."""
        refs = []
        for event_id in event_ids:
            refs.append(await self.rig.add(event_id))
            self.rig.rows(
                "update capi_events set created_at = date_trunc('milliseconds', created_at)"
            )
            body = encode(Pointer(id=refs[-1].id, created_at=refs[-1].created_ms))
            await bus.publish(SUBJECT, body, msg_id=f"{event_id}:principal:0")
        return refs

    async def delivered(self, refs: list[Ref]) -> None:
        await eventually(lambda: self.rig.statuses(refs) == {"delivered"})

    async def received(self) -> list[str]:
        return [seen["event"]["event_id"] for seen in await self.rig.received()]

    async def remind(self) -> None:
        """As every dispatcher does now and then."""
        for recovery in self._recoveries:
            await recovery.remind()

    async def fault(self, kind: str) -> None:
        await self.rig.fault({"kind": kind})

    async def mend(self) -> None:
        await self._script([])

    async def _script(self, faults: list[dict[str, Any]]) -> None:
        body = {"faults": faults}
        async with self.rig.http.post(
            f"{self.rig.sandbox_url}/_sandbox/faults", json=body
        ) as answer:
            assert answer.status < 300, await answer.text()

    @asynccontextmanager
    async def _dispatching(self) -> AsyncIterator[None]:
        bus = await Bus.connect(self._nats_url, name="dispatch")
        recovery = dispatchers.recovery(
            self.rig.store,
            bus,
            wake=lambda *key: lanes.wake(dispatch_lane(*key).id),
            try_now=lambda *key: worker.try_now(*key),  # noqa: PLW0108 - made below
        )
        worker = self.rig.new_worker(self.policy, herald=recovery.told)
        lanes = Lanes(bus, worker.handle, batch=100, concurrency=4, in_flight=100)
        lanes.set([dispatch_lane("loja", "principal", batch=1, concurrency=1)])
        recovery.follow(dispatchers.terms(self.rig.plans))
        self._recoveries.append(recovery)
        await recovery.start()
        await bus.link.client.flush()  # the broker knows that it listens
        tasks = [asyncio.create_task(lanes.run()), asyncio.create_task(recovery.run())]
        try:
            yield
        finally:
            self._recoveries.remove(recovery)
            await lanes.drain(30)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await bus.close()


@pytest.fixture
async def shop(
    dispatch_rig: DispatchRig, nats_server: NatsProcess, make_tenant: MakeTenant
) -> AsyncIterator[Shop]:
    await make_tenant("loja", names.dispatch_consumer("principal"))
    shop = Shop(dispatch_rig, nats_server.url)
    shop.plan()
    try:
        yield shop
    finally:
        await shop.mend()
        await shop.stop()


def waiting(rig: DispatchRig) -> int:
    """Rows whose next try is further away than any test waits."""
    query = (
        "select 1 from capi_events where status = 'pending' and next_attempt_at > now() + "
        "make_interval(secs => %s)"
    )
    return len(rig.rows(query, PATIENCE_S))


async def test_a_mended_token_sends_what_waits_oldest_first_and_once(shop: Shop, bus: Bus) -> None:
    await shop.fault("auth")
    await shop.start()
    old = await shop.publish(bus, "e1", "e2", "e3")
    await eventually(lambda: waiting(shop.rig) == 1)
    new = await shop.publish(bus, "e4")
    await shop.mend()
    shop.plan(access_token="EAAB-mended")
    await shop.delivered([*old, *new])
    received = await shop.received()
    assert sorted(received) == ["e1", "e2", "e3", "e4"]
    # e4 may not have waited: it came just now
    assert [one for one in received if one != "e4"] == ["e1", "e2", "e3"]
    assert shop.rig.outcomes(old[0]) == ["auth", "delivered"]


async def test_a_token_mended_while_no_dispatcher_runs_sends_what_waits_at_its_start(
    shop: Shop, bus: Bus
) -> None:
    await shop.fault("auth")
    first = await shop.start()
    refs = await shop.publish(bus, "e1", "e2")
    await eventually(lambda: waiting(shop.rig) == 1)
    await first.aclose()
    await shop.mend()
    shop.plan(access_token="EAAB-mended")
    await shop.start()
    await shop.delivered(refs)
    assert sorted(await shop.received()) == ["e1", "e2"]


async def test_every_dispatcher_lets_go_of_what_it_has_parked(shop: Shop, bus: Bus) -> None:
    await shop.fault("auth")
    await shop.start()
    await shop.start()
    # the broker gives both of them some
    refs = await shop.publish(bus, *(f"e{n}" for n in range(40)))
    await eventually(lambda: waiting(shop.rig) == 2)
    await shop.mend()
    shop.plan(access_token="EAAB-mended")
    await shop.delivered(refs)
    assert sorted(await shop.received()) == sorted(f"e{n}" for n in range(40))


async def test_a_breaker_that_closes_sends_what_waits_whatever_its_own_back_off(
    shop: Shop, bus: Bus
) -> None:
    shop.policy = Policy(threshold=2, base_s=0.2, cap_s=0.4, pause_base_s=0.4)
    (patient,) = await shop.publish(bus, "e0")
    await shop.fault("status_500")
    await shop.start()
    await eventually(lambda: shop.rig.outcomes(patient) == ["retry"])
    shop.rig.rows(
        "update capi_events set next_attempt_at = now() + make_interval(secs => %s)", LONG_S
    )
    refs = await shop.publish(bus, "e1", "e2")
    await eventually(lambda: {len(shop.rig.outcomes(ref)) > 0 for ref in refs} == {True})
    await shop.mend()
    await shop.delivered([patient, *refs])
    assert sorted(await shop.received()) == ["e0", "e1", "e2"]


async def test_who_is_answered_well_calls_what_others_have_parked(shop: Shop, bus: Bus) -> None:
    await shop.fault("status_500")
    await shop.start()
    old = await shop.publish(bus, "e1", "e2", "e3", "e4")
    await eventually(lambda: waiting(shop.rig) == 1)  # the one that opened the breaker
    await shop.mend()
    await shop.start()  # its breaker is closed all the while
    await shop.remind()
    # the broker gives both of them some
    new = await shop.publish(bus, *(f"n{n}" for n in range(40)))
    await shop.delivered([*old, *new])
    assert sorted(await shop.received()) == sorted(
        ["e1", "e2", "e3", "e4", *(f"n{n}" for n in range(40))]
    )


async def test_a_tenant_that_is_resumed_sends_what_waits(shop: Shop, bus: Bus) -> None:
    await shop.start()
    shop.plan(suspended=True)
    refs = await shop.publish(bus, "e1", "e2")
    await asyncio.sleep(0)
    assert await shop.received() == []
    shop.plan()
    await shop.delivered(refs)
    assert await shop.received() == ["e1", "e2"]
