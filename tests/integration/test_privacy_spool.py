"""An erasure reaches the disks of edges: who is told takes the buyer out of its spool."""

from __future__ import annotations

from sinal_core.nats import Bus
from sinal_hub.model.events import Event, Forget, encode
from sinal_hub.model.sale import Customer, Sale
from sinal_hub.privacy.spools import BroadcastSpools, obey
from sinal_hub.spool import SpoolEntry

from tests.support.eventually import eventually
from tests.support.fix_spool import SpoolWorld
from tests.support.sales import fields_of

ANA, BIA = "a" * 64, "b" * 64


def spooled(order: str, email: str) -> SpoolEntry:
    sale = Sale(
        gateway="hotmart",
        event="X",
        event_key=f"hotmart:{order}",
        status="approved",
        order_id=order,
        occurred_at="2025-05-02T13:04:05Z",
        customer=Customer(em=[email]),
    )
    event = Event(
        id=f"ev_{order}",
        key=order,
        kind="sale",
        tenant="loja",
        funnel="f",
        received_at=0,
        occurred_at=0,
        source="webhook",
        **fields_of(sale),
    )
    return SpoolEntry("loja", "t.loja.in.sale", order, 0, encode(event))


async def test_a_buyer_is_taken_out_of_the_spool_and_others_stay(
    bus: Bus, spool_world: SpoolWorld
) -> None:
    spool_world.broker.bus.connected = False
    async with spool_world.running() as detour:
        await detour.take([spooled("HP1", ANA), spooled("HP2", BIA), spooled("HP3", BIA)])
        await obey(bus, detour)
        await bus.flush()
        await BroadcastSpools(bus).erase(Forget(tenant="loja", emails=[ANA], orders=["HP3"]))
        await eventually(lambda: detour.state.records == 1)
        spool_world.broker.bus.connected = True
        await eventually(lambda: not detour.state.spooling)
    assert [one.msg_id for one in spool_world.broker.bus.stored] == ["HP2"]
