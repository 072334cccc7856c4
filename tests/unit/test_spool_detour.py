"""The way round an absent broker: nothing overtakes, nothing is lost, and a tenant's trouble is its
own.
"""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import REGISTRY

from sinal_core.nats.errors import LaneFull
from sinal_hub.spool import Detour, Owner, SpoolFull, SpoolLimits
from sinal_hub.spool.circuit import POLICY
from sinal_hub.spool.erasure import keep_others

from tests.support.eventually import PATIENCE_S, eventually
from tests.support.fix_spool import SpoolWorld, entry


def keys(tenant: str, count: int) -> list[str]:
    return [f"{tenant}:{number}" for number in range(count)]


async def test_broker_away_then_back_gets_each_once_and_in_order(spool_world: SpoolWorld) -> None:
    bus = spool_world.broker.bus
    bus.connected = False
    async with spool_world.running() as detour:
        for number in range(700):
            assert detour.is_due("loja")
            await detour.take([entry("loja", number)])
            if number < 50:
                await detour.take([entry("outra", number)])
        assert (detour.state.records, detour.state.spooling, bus.stored) == (750, True, [])
        bus.connected = True
        await eventually(lambda: not detour.is_due("loja") and not detour.is_due("outra"))
        assert (spool_world.broker.keys("loja"), spool_world.broker.keys("outra")) == (
            keys("loja", 700),
            keys("outra", 50),
        )
        assert not detour.state.spooling


async def test_new_events_go_behind_what_is_spooled(spool_world: SpoolWorld) -> None:
    bus = spool_world.broker.bus
    bus.connected = False
    async with spool_world.running() as detour:
        await detour.take([entry("loja", number) for number in range(300)])
        bus.connected = True
        number = 300
        while not await detour.clears("loja"):
            await detour.take([entry("loja", number)])
            number += 1
        # directly, nothing is before it any more
        await spool_world.broker.publish(entry("loja", number), timeout_s=1)
    assert spool_world.broker.keys("loja") == keys("loja", number + 1)


async def test_busy_tenant_comes_back_to_the_direct_way(spool_world: SpoolWorld) -> None:
    bus = spool_world.broker.bus
    bus.connected = False
    sent: dict[int, list[int]] = {}

    async def sender(detour: Detour, name: int) -> None:
        """Sends without a pause until three events in a row went directly."""
        mine, direct = sent.setdefault(name, []), 0
        while direct < 3:
            mine.append(name * 100_000 + len(mine))
            one = entry("loja", mine[-1])
            if detour.is_due("loja") and not await detour.clears("loja"):
                direct = 0
                await detour.take([one])
            else:
                direct += 1
                await spool_world.broker.publish(one, timeout_s=1)

    async with spool_world.running() as detour, asyncio.timeout(PATIENCE_S):
        senders = asyncio.gather(*(sender(detour, name) for name in range(20)))
        await eventually(lambda: all(len(sent.get(name, [])) > 5 for name in range(20)))
        bus.connected = True
        await senders
        await eventually(lambda: not detour.is_due("loja"))
    arrived = [int(key.partition(":")[2]) for key in spool_world.broker.keys("loja")]
    for name, mine in sent.items():
        assert [number for number in arrived if number // 100_000 == name] == mine


async def test_lost_acks_make_no_repeats(spool_world: SpoolWorld) -> None:
    broker = spool_world.broker
    broker.bus.connected = False
    async with spool_world.running() as detour:
        await detour.take([entry("loja", number) for number in range(20)])
        broker.loses_acks, broker.bus.connected = True, True
        await eventually(lambda: len(broker.bus.stored) >= 1 and broker.calls >= 3)
        assert detour.is_due("loja")
        broker.loses_acks = False
        await eventually(lambda: not detour.is_due("loja"))
    assert broker.keys("loja") == keys("loja", 20)


async def test_interrupted_replay_goes_on_where_it_was(spool_world: SpoolWorld) -> None:
    broker = spool_world.broker
    broker.bus.connected = False
    async with spool_world.running() as detour:
        await detour.take([entry("loja", number) for number in range(1_000)])
        broker.bus.connected = True
        await eventually(lambda: len(broker.bus.stored) > 100)
        broker.bus.connected = False
    sent, waiting = len(broker.bus.stored), detour.state.records
    assert waiting > 0
    broker.bus.connected, broker.calls = True, 0
    async with spool_world.running() as again:
        await eventually(lambda: not again.is_due("loja"))
    assert broker.keys("loja") == keys("loja", 1_000)
    # what was acked is not sent again, but for the window under way
    assert broker.calls <= 1_000 - sent + 256


async def test_silent_broker_is_asked_by_one_probe_at_a_time(spool_world: SpoolWorld) -> None:
    broker = spool_world.broker
    broker.silent = True
    async with spool_world.running() as detour:
        for _ in range(3):
            assert not detour.is_due("loja")
            detour.failed()
        assert detour.is_due("loja") and detour.is_due("outra")
        await detour.take([entry("loja", number) for number in range(100)])
        await detour.take([entry("outra", number) for number in range(100)])
        loop = asyncio.get_running_loop()
        started = loop.time()
        await eventually(lambda: broker.calls > 2)
        # one probe in each interval, whoever's events it takes
        most = 1 + (loop.time() - started) / POLICY.base_s
        assert broker.calls <= most + 1
        broker.silent = False
        await eventually(lambda: not detour.is_due("loja") and not detour.is_due("outra"))
    assert (broker.keys("loja"), broker.keys("outra")) == (keys("loja", 100), keys("outra", 100))


async def test_full_lane_waits_refuses_new_events_and_delays_nobody_else(
    spool_world: SpoolWorld,
) -> None:
    broker = spool_world.broker
    broker.bus.connected = False
    async with spool_world.running() as detour:
        await detour.take([entry("loja", number) for number in range(20)])
        await detour.take([entry("outra", number) for number in range(20)])
        broker.bus.full.add("loja")
        broker.bus.connected = True
        await eventually(lambda: broker.keys("outra") == keys("outra", 20) and broker.calls > 20)
        with pytest.raises(LaneFull):
            await detour.take([entry("loja", 20)])
        assert detour.is_due("loja") and not detour.is_due("outra")
        broker.bus.full.clear()
        await eventually(lambda: not detour.is_due("loja"))
        assert not detour.state.spooling
    assert broker.keys("loja") == keys("loja", 20)


async def test_missing_lane_asks_for_it_and_waits(spool_world: SpoolWorld) -> None:
    broker = spool_world.broker
    broker.bus.tenants.discard("loja")
    async with spool_world.running() as detour:
        await detour.take([entry("loja", 0)])
        await eventually(lambda: "loja" in broker.bus.provision_requests)
        assert detour.is_due("loja")
        broker.bus.tenants.add("loja")
        await eventually(lambda: not detour.is_due("loja"))
    assert broker.keys("loja") == ["loja:0"]


async def test_tenant_that_is_gone_for_a_day_is_given_up(spool_world: SpoolWorld) -> None:
    del spool_world.tenants["loja"]
    spool_world.broker.bus.tenants.discard("loja")
    before = REGISTRY.get_sample_value("sinal_spool_records_total", {"what": "orphaned"}) or 0
    async with spool_world.running() as detour:
        await detour.take([entry("loja", 0)])  # of long ago
        await eventually(lambda: not detour.is_due("loja"))
    assert (
        REGISTRY.get_sample_value("sinal_spool_records_total", {"what": "orphaned"}) == before + 1
    )


@pytest.mark.parametrize(
    ("now", "theirs"),
    [
        (Owner("uid-loja", "ns/loja"), True),
        (Owner("uid-made-again", "ns/loja"), True),
        (Owner("uid-new", "ns/new", legacy="ns/loja"), True),
        (Owner("uid-other", "other/loja"), False),
        (Owner("uid-other", "other/new", legacy="other/loja"), False),
    ],
)
async def test_what_was_taken_for_one_tenant_is_never_given_to_another(
    spool_world: SpoolWorld, now: Owner, theirs: bool
) -> None:
    """The slug changed hands while the broker was away.

    The other's own events are not held up by it.
    """
    bus = spool_world.broker.bus
    bus.connected = False
    async with spool_world.running() as detour:
        await detour.take([entry("loja", 0)])
    spool_world.tenants["loja"] = now
    async with spool_world.running() as detour:
        await detour.take([entry("loja", 1)])
        bus.connected = True
        await eventually(lambda: not detour.is_due("loja"))
    assert spool_world.broker.keys("loja") == (["loja:0", "loja:1"] if theirs else ["loja:1"])


async def test_a_record_of_a_release_that_named_no_tenant_goes_to_who_has_the_slug(
    spool_world: SpoolWorld,
) -> None:
    bus = spool_world.broker.bus
    bus.connected = False
    known = spool_world.tenants.pop("loja")
    async with spool_world.running() as detour:
        await detour.take([entry("loja", 0)])  # nobody knows whose it is: as those records are
        spool_world.tenants["loja"] = known
        bus.connected = True
        await eventually(lambda: not detour.is_due("loja"))
    assert spool_world.broker.keys("loja") == ["loja:0"]


async def test_full_spool_is_refused_and_says_so(spool_world: SpoolWorld) -> None:
    spool_world.broker.bus.connected = False
    async with spool_world.running(limits=SpoolLimits(max_bytes=5_000, free_bytes=0)) as detour:
        assert detour.state.accepts
        with pytest.raises(SpoolFull):
            for number in range(100):
                await detour.take([entry("loja", number, size=500)])
        assert not detour.state.accepts
        spool_world.broker.bus.connected = True
        await eventually(lambda: detour.state.records == 0)
        assert detour.state.accepts


async def test_metrics_tell_events_bytes_and_age(spool_world: SpoolWorld) -> None:
    spool_world.broker.bus.connected = False

    class Clock:
        def time(self) -> float:
            return entry("loja", 0).at_ms / 1000 + 90

    async with spool_world.running(clock=Clock()) as detour:
        await detour.take([entry("loja", number) for number in range(3)])
        detour.observe()
        on_disk = sum(path.stat().st_size for path in spool_world.segments())
        samples = [
            REGISTRY.get_sample_value(f"sinal_spool_{name}")
            for name in ("events", "bytes", "oldest_seconds")
        ]
        assert samples == [3, on_disk, 90]


async def test_erasure_takes_a_persons_events_of_one_tenant_only(spool_world: SpoolWorld) -> None:
    from sinal_hub.model.events import Event, UserData, encode
    from sinal_hub.spool import SpoolEntry

    def event(tenant: str, key: str, **changes: object) -> SpoolEntry:
        fields = {
            "id": key,
            "key": key,
            "kind": "lead",
            "tenant": tenant,
            "funnel": "f",
            "source": "server",
        }
        made = Event(**fields, received_at=0, occurred_at=0, **changes)  # type: ignore[arg-type]
        return SpoolEntry(tenant, f"t.{tenant}.in.lead", key, 0, encode(made))

    spool_world.broker.bus.connected = False
    person = UserData(em=["e" * 64])
    async with spool_world.running() as detour:
        await detour.take(
            [
                event("loja", "mail", user=person),
                event("loja", "other", user=UserData(em=["f" * 64])),
            ]
        )
        await detour.take(
            [
                event("loja", "phone", user=UserData(ph=["a" * 64])),
                event("loja", "order", order_id="HP1"),
            ]
        )
        await detour.take([event("outra", "same person", user=person)])
        keep = keep_others(tenant="loja", emails=["e" * 64], phones=["a" * 64], orders=["HP1"])
        assert await detour.erase(keep) == 3
        spool_world.broker.bus.connected = True
        await eventually(lambda: not detour.state.spooling)
    assert [one.msg_id for one in spool_world.broker.bus.stored] == ["other", "same person"]
