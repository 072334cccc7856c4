"""A broker that comes back without its disk: what waited in it is published again, though lanes are
busy with newer.
"""

from __future__ import annotations

from types import SimpleNamespace

import msgspec
import pytest
from nats.aio.client import Client

from sinal_core.nats import Bus
from sinal_core.outbox.ledger import Ref
from sinal_core.outbox.messages import Pointer
from sinal_crds import names
from sinal_hub.model.events import encode
from sinal_hub.status import lost_messages
from sinal_hub.status.lost_messages import Stranded
from sinal_hub.store.housekeeping import HousekeepingStore
from sinal_hub.store.matching import MatchStore

from tests.support.fix_bus import MakeTenant
from tests.support.fix_dispatch import DispatchRig

STREAM, SUBJECT = names.stream("loja"), names.out_subject("loja", "principal")
CONSUMER = names.dispatch_consumer("principal")


class Broker:
    """The lane of one destination, as matching fills it and as it is lost."""

    def __init__(self, rig: DispatchRig, bus: Bus, client: Client, make_tenant: MakeTenant) -> None:
        self.rig, self._bus, self._js, self._make = rig, bus, client.jetstream(), make_tenant
        plan = rig.plans.tenants["loja"]
        tenants = {"loja": plan, "outra": msgspec.structs.replace(plan, slug="outra")}
        plans = SimpleNamespace(snapshot=SimpleNamespace(tenants=tenants))
        self.stranded = Stranded(
            HousekeepingStore(rig.database), MatchStore(rig.database), bus, plans, surveys=bus
        )

    async def publish(self, name: str, *, age_s: float) -> Ref:
        ref = await self.rig.add(name)
        body = encode(Pointer(id=ref.id, created_at=ref.created_ms))
        await self._bus.publish(SUBJECT, body, msg_id=f"{name}:principal:0")
        moment = (
            "update capi_events set published_at = now() - make_interval(secs => %s) where id = %s"
        )
        self.rig.rows(moment, age_s, ref.id)
        return ref

    async def lose_everything(self) -> None:
        await self._js.delete_stream(STREAM)
        await self._make("loja", CONSUMER)

    async def messages(self) -> int:
        return (await self._js.stream_info(STREAM)).state.messages

    def generations(self, *refs: Ref) -> list[int]:
        return [self.rig.row(ref)["generation"] for ref in refs]


@pytest.fixture
async def broker(
    dispatch_rig: DispatchRig, bus: Bus, client: Client, make_tenant: MakeTenant
) -> Broker:
    await make_tenant("loja", CONSUMER)
    return Broker(dispatch_rig, bus, client, make_tenant)


async def test_a_lane_that_is_never_empty_gets_back_what_a_lost_stream_had(broker: Broker) -> None:
    lost = await broker.publish("lost", age_s=1)
    await broker.lose_everything()
    newer = await broker.publish("newer", age_s=-10)
    assert await broker.stranded.rescue() == 1
    assert broker.generations(lost, newer) == [1, 0]
    assert await broker.messages() == 2
    assert await broker.stranded.rescue() == 0


async def test_each_tenants_rows_are_judged_by_its_own_stream(
    broker: Broker, make_tenant: MakeTenant
) -> None:
    await make_tenant("outra", CONSUMER)
    others = await broker.publish("others", age_s=0)
    broker.rig.rows("update capi_events set tenant_id = 'outra'")
    lost = await broker.publish("lost", age_s=0)
    await broker.lose_everything()
    assert await broker.stranded.rescue() == 1
    assert broker.generations(lost, others) == [1, 0]


async def test_more_rows_than_are_taken_at_once_all_come_back(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lost_messages, "LIMIT", 2)
    lost = [await broker.publish(f"lost-{number}", age_s=1) for number in range(5)]
    await broker.lose_everything()
    assert await broker.stranded.rescue() == 5
    assert broker.generations(*lost) == [1] * 5
    assert await broker.messages() == 5


async def test_what_a_lost_worker_held_at_that_moment_follows_when_its_claim_ends(
    broker: Broker,
) -> None:
    held = await broker.publish("held", age_s=1)
    await broker.rig.store.claim("loja", "principal", [held], lease_s=30)
    await broker.lose_everything()
    assert await broker.stranded.rescue() == 0
    broker.rig.rows("update capi_events set lease_until = now() - interval '1 second'")
    assert await broker.stranded.rescue() == 1
    # its next claim must know that it may have been sent
    assert broker.rig.row(held)["status"] == "sending"
    assert await broker.messages() == 1


async def test_a_stream_that_kept_its_messages_is_left_alone(broker: Broker) -> None:
    waiting = await broker.publish("waiting", age_s=-10)
    assert await broker.stranded.rescue() == 0
    assert broker.generations(waiting) == [0]
