"""What the runtime sees of tenants reaches the bucket: counted in PostgreSQL, waiting in NATS, told
once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client
from nats.js.api import KeyValueConfig

from sinal_core.nats import Bus, status_bucket
from sinal_core.nats.status_bucket import StatusBucket
from sinal_crds.names import STATUS_BUCKET
from sinal_crds.tenant_status import PULSE_KEY, ObservedTenant, decode, decode_pulse
from sinal_hub.intake.counters import IntegrationCounters
from sinal_hub.model.events import Tallies, Tally
from sinal_hub.model.sale import Customer, Tracking
from sinal_hub.status import reject_counts
from sinal_hub.status.tenant_status import TenantStatusReporter
from sinal_hub.store.rollups import roll_up
from sinal_hub.store.tenant_status import DestinationKey, TenantStatusStore

from tests.support.fix_bus import MakeTenant
from tests.support.fix_dispatch import DispatchRig
from tests.support.fix_matching import NOW, Room
from tests.support.nats_process import NatsProcess

ZONES = {"loja": "America/Sao_Paulo"}


class Teller:
    """Housekeeping's teller on a real bucket, with a clock that a test sets."""

    def __init__(self, room: Room, bus: Bus, client: Client) -> None:
        self.room, self.bus, self.client = room, bus, client
        self.now = datetime.now(UTC).timestamp()
        self.facts = self.another()

    def another(self) -> TenantStatusReporter:
        """As a process that takes over would have it."""
        store = TenantStatusStore(self.room.database)
        return TenantStatusReporter(
            store, StatusBucket(self.bus), self.bus, self.room.plans, clock=lambda: self.now
        )

    async def tell(self, *, since: datetime | None = None) -> int:
        return await self.facts.tell(since)

    async def told(self, slug: str = "loja") -> ObservedTenant:
        bucket = await self.client.jetstream().key_value(STATUS_BUCKET)
        return decode((await bucket.get(slug)).value or b"")

    async def writes(self) -> int:
        info = await self.client.jetstream().stream_info(f"KV_{STATUS_BUCKET}")
        return int(info.state.last_seq)


async def make_bucket(client: Client) -> None:
    await client.jetstream().create_key_value(KeyValueConfig(bucket=STATUS_BUCKET, history=1))


@pytest.fixture
async def teller(
    room: Room, bus: Bus, client: Client, make_tenant: MakeTenant
) -> AsyncIterator[Teller]:
    await make_bucket(client)
    await make_tenant(
        "loja",
        "match",
        *(f"dispatch-{one.name}" for one in room.plans.snapshot.tenants["loja"].destinations),
    )
    yield Teller(room, bus, client)


async def fill(room: Room) -> None:
    """Two visits, a sale that is matched and one that is not; counted."""
    await room.deliver(room.visit(click_id="c1"), room.visit(click_id="c2"))
    await room.deliver(
        room.sale(order="HP1", tracking=Tracking(click_id="c1")),
        room.sale(order="HP2", customer=Customer(em=["d" * 64])),
    )
    await roll_up(room.database, since=None, zones=ZONES)


async def test_events_matches_and_times_are_told_by_funnel_and_tenant(teller: Teller) -> None:
    await fill(teller.room)
    assert await teller.tell() == 1
    facts = await teller.told()
    assert (facts.events_24h, facts.match_percent) == (4, 50.0)
    assert facts.last_event == int(NOW.timestamp()) // 60 * 60
    funnel = facts.funnels["curso"]
    assert (funnel.events_24h, funnel.match_percent, funnel.last_event) == (
        4,
        50.0,
        facts.last_event,
    )
    assert any(one.last_delivery == facts.last_event for one in facts.integrations.values())


async def test_what_waits_is_told_by_lane(teller: Teller) -> None:
    for number in range(3):
        await teller.bus.publish("t.loja.in.click", b"{}", msg_id=f"m{number}")
    await teller.tell()
    facts = await teller.told()
    assert facts.backlog == 3
    assert {one.backlog for one in facts.destinations.values()} == {0}


async def test_a_reader_asks_for_one_entry(teller: Teller) -> None:
    await teller.tell()
    entry = await status_bucket.read(teller.bus.api, "loja")
    assert entry is not None and decode(entry) == await teller.told()
    assert await status_bucket.read(teller.bus.api, "nobody") is None


async def test_what_hangs_there_is_not_written_again_by_anybody(teller: Teller) -> None:
    await fill(teller.room)
    await teller.tell()
    before = await teller.writes()
    for facts in (teller.facts, teller.another(), teller.facts):
        teller.now += 20
        assert await facts.tell(None) == 0
    assert await teller.writes() == before + 1, "the pulse alone"


async def test_news_of_a_tenant_wait_for_their_turn(teller: Teller) -> None:
    await fill(teller.room)
    await teller.tell()
    await teller.room.deliver(teller.room.visit(click_id="c3"))
    await roll_up(teller.room.database, since=None, zones=ZONES)
    teller.now += 10
    assert await teller.tell() == 0
    teller.now += 25
    assert await teller.tell() == 1
    assert (await teller.told()).events_24h == 5


async def test_a_pulse_says_that_somebody_looks(teller: Teller) -> None:
    await teller.tell()
    bucket = await teller.client.jetstream().key_value(STATUS_BUCKET)
    first = decode_pulse((await bucket.get(PULSE_KEY)).value or b"").at
    assert first == int(teller.now)
    teller.now += 60
    await teller.tell()
    assert decode_pulse((await bucket.get(PULSE_KEY)).value or b"").at == first + 60


async def test_a_wiped_bucket_is_filled_again(teller: Teller) -> None:
    await fill(teller.room)
    await teller.tell()
    await teller.client.jetstream().delete_key_value(STATUS_BUCKET)
    await make_bucket(teller.client)
    teller.now += 40
    assert await teller.tell() == 1
    assert (await teller.told()).events_24h == 4


async def test_what_is_told_of_a_tenant_goes_with_it(teller: Teller) -> None:
    await teller.tell()
    teller.room.plans.snapshot.tenants.clear()
    await teller.tell()
    bucket = await teller.client.jetstream().key_value(STATUS_BUCKET)
    assert await bucket.keys() == [PULSE_KEY]


async def test_nothing_of_a_person_is_told(teller: Teller) -> None:
    await fill(teller.room)
    await teller.tell()
    entry = msgspec.json.encode(await teller.told()).decode()
    assert "HP1" not in entry and "c1" not in entry and "203.0.113.7" not in entry


async def test_times_are_kept_when_their_events_are_no_news(room: Room) -> None:
    await fill(room)
    store = TenantStatusStore(room.database)
    before = (await store.look([], since=None)).sightings
    assert (await store.look([], since=datetime.now(UTC) + timedelta(hours=1))).sightings == before
    assert len(before) == 2, "from pages, and from the integration"


async def test_a_tenant_that_never_was_silent_and_is_now(room: Room) -> None:
    await fill(room)
    store = TenantStatusStore(room.database)
    await store.look([], since=None)

    async def quiet(*days: int, last_days_ago: float) -> bool:
        await room.rows("delete from rollups returning 1")
        at = NOW - timedelta(days=last_days_ago)
        await room.rows("update sightings set last_at = %s returning 1", at)
        for day in days:
            await room.rows(
                "insert into rollups (tenant_id, grain, bucket, funnel, kind, status, outcome, "
                "reason, rule, events) "
                "values ('loja', 'hour', %s, 'curso', 'click', '', 'withheld', '', '', 1) "
                "returning 1",
                at - timedelta(days=day, hours=1),
            )
        return "loja" in (await store.look([], since=NOW + timedelta(hours=1))).quiet

    assert await quiet(*range(7), last_days_ago=1.1)
    assert await quiet(*range(7), last_days_ago=30)
    assert not await quiet(*range(7), last_days_ago=0.9), "a night is not silence"
    assert not await quiet(*range(6), last_days_ago=1.1), "it has been silent before"


async def breaker(rig: DispatchRig) -> Any:
    store = TenantStatusStore(rig.database)
    (found,) = (await store.look([DestinationKey("loja", "principal")], since=None)).deliveries
    return found


async def test_a_refused_token_is_told_with_metas_code_until_it_is_taken(
    dispatch_rig: DispatchRig,
) -> None:
    await dispatch_rig.fault({"kind": "auth", "times": 1})
    ref = await dispatch_rig.add("e1")
    await dispatch_rig.handle(ref)
    found = await breaker(dispatch_rig)
    assert (found.verdict, found.code, found.open, found.reason) == (
        "credential",
        190,
        True,
        "credential",
    )
    assert found.last_success is None
    dispatch_rig.plan(access_token="another")
    dispatch_rig.make_due()
    await dispatch_rig.handle(ref)
    found = await breaker(dispatch_rig)
    assert (found.verdict, found.open) == ("delivered", None)
    assert found.last_success is not None
    assert dispatch_rig.rows("select * from circuits") == []


async def test_a_breaker_of_a_process_that_is_gone_counts_only_until_another_delivers(
    dispatch_rig: DispatchRig,
) -> None:
    await dispatch_rig.fault({"kind": "auth", "times": 1})
    ref = await dispatch_rig.add("e1")
    await dispatch_rig.handle(ref)
    dispatch_rig.worker = dispatch_rig.new_worker()
    dispatch_rig.make_due()
    await dispatch_rig.handle(ref)
    assert len(dispatch_rig.rows("select * from circuits")) == 1, "nobody could take it away"
    assert (await breaker(dispatch_rig)).open is None


async def test_dead_letters_that_wait_are_counted_by_destination(dispatch_rig: DispatchRig) -> None:
    bad = await dispatch_rig.add("bad", event_time=1)
    await dispatch_rig.handle(bad)
    found = await breaker(dispatch_rig)
    assert (found.dead_letters, found.recently_dead) == (1, 1)
    dispatch_rig.rows("update dead_letters set replayed_at = now()")
    assert (await breaker(dispatch_rig)).dead_letters == 0


class Clock:
    def time(self) -> float:
        return NOW.timestamp()


async def test_what_the_edge_counts_is_kept_once_however_often_it_is_told(
    room: Room, bus: Bus
) -> None:
    store = TenantStatusStore(room.database)
    await reject_counts.keep(bus, store)
    await bus.flush()
    first, second = (
        IntegrationCounters(worker="a", clock=Clock()),
        IntegrationCounters(worker="b", clock=Clock()),
    )
    for _ in range(3):
        first.rejected("loja", "hotmart")
    second.drifted("loja", "hotmart")
    for tally in (first, second, first):
        await tally.tell(bus)
    first.rejected("loja", "hotmart")
    await first.tell(bus)
    (found,) = (await store.look([], since=NOW)).tallies
    assert (found.rejects, found.drift) == (4, 1)
    assert found.last_at == NOW


async def test_what_nobody_takes_is_told_later(
    room: Room, bus: Bus, nats_server: NatsProcess
) -> None:
    store = TenantStatusStore(room.database)
    tally = IntegrationCounters(worker="a", clock=Clock())
    tally.rejected("loja", "hotmart")
    await tally.tell(bus)  # nobody listens yet
    await reject_counts.keep(bus, store)
    await bus.flush()
    await tally.tell(bus)
    (found,) = (await store.look([], since=NOW)).tallies
    assert found.rejects == 1


async def test_counts_of_an_hour_end_with_the_day(room: Room) -> None:
    store = TenantStatusStore(room.database)
    old = int((datetime.now(UTC) - timedelta(hours=30)).timestamp()) // 3600 * 3600
    await store.note(
        Tallies(
            tallies=[Tally(tenant="loja", integration="hotmart", hour=old, worker="a", rejects=5)]
        )
    )
    assert (await store.look([], since=NOW)).tallies == []
