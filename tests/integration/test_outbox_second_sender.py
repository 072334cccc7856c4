"""A second product sends with `sinal_core.outbox` alone: over a real broker, a real PostgreSQL and a
strict HTTP receiver, what was promised happens, whatever fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count

import msgspec
import pytest

from sinal_core.aio.breaker import Policy
from sinal_core.nats import Bus, Lanes, dispatch_lane
from sinal_core.outbox.messages import Pointer, encode
from sinal_core.outbox.ports import Key
from sinal_core.outbox.postgres import Pending, PostgresLedger, StoredEntry, schema
from sinal_core.outbox.publishing import OutboxPublisher
from sinal_core.outbox.recovery import Recovery, Subjects
from sinal_core.outbox.testing import FakeMessage
from sinal_core.outbox.worker import OutboxWorker
from sinal_core.postgres.database import Database
from sinal_crds import names

from tests.support.eventually import PATIENCE_S
from tests.support.fix_bus import MakeTenant
from tests.support.fix_outbox import PRODUCT, OutboxRig
from tests.support.nats_process import NatsProcess

LANE = dispatch_lane("loja", "hook", batch=50, linger_s=0.05)
KEY: Key = ("loja", "hook")
# longer than a test waits for anything: what is sent all the same was called
LONG = Policy(threshold=1, base_s=100 * PATIENCE_S, cap_s=200 * PATIENCE_S)
SUBJECTS = Subjects(recovered="test.recovered", stopped="test.stopped")

Worker = OutboxWorker[StoredEntry, dict[str, str]]


class Room:
    """The second product with its lane."""

    def __init__(self, rig: OutboxRig, bus: Bus, nats_url: str) -> None:
        self.rig, self.bus, self._nats_url = rig, bus, nats_url
        self.publisher = OutboxPublisher(bus, rig.ledger, names.out_subject)

    async def send(self, *keys: str, text: str = "oi", wanted: bool = True) -> list[Pending]:
        """Write notes and publish them."""
        pending = await self.rig.add(*keys, text=text, wanted=wanted)
        assert await self.publisher.publish(pending)
        return pending

    @asynccontextmanager
    async def process(self, worker: Worker) -> AsyncIterator[Lanes]:
        """A worker at the lane, with a connection of its own, as another process has."""
        bus = await Bus.connect(self._nats_url, name="notes")
        lanes = Lanes(bus, worker.handle, batch=50, concurrency=4, in_flight=100)
        lanes.set([LANE])
        running = asyncio.create_task(lanes.run())
        try:
            yield lanes
        finally:
            await lanes.drain(30)
            await running
            await bus.close()

    async def until(self, holds: Callable[[dict[str, str]], bool]) -> None:
        """Wait until the entries' statuses, by key, are so."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds(await self.rig.statuses()):
                await asyncio.sleep(0.02)

    async def all_are(self, status: str) -> None:
        await self.until(lambda found: set(found.values()) == {status})


@pytest.fixture
async def room(
    outbox_rig: OutboxRig, bus: Bus, nats_server: NatsProcess, make_tenant: MakeTenant
) -> Room:
    await make_tenant("loja", names.dispatch_consumer("hook"))
    return Room(outbox_rig, bus, nats_server.url)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await holds():
            await asyncio.sleep(0.02)


async def test_notes_share_a_request_arrive_once_and_the_ledger_knows_the_answer(
    room: Room,
) -> None:
    keys = [f"n{n}" for n in range(120)]
    await room.send(*keys)
    async with room.process(room.rig.new_worker()):
        await room.all_are("delivered")
    assert sorted(room.rig.receiver.taken) == sorted(keys)
    assert max(room.rig.receiver.sizes) <= 50 and len(room.rig.receiver.sizes) < 20
    requests = await room.rig.rows("select * from notes_outbox_requests")
    assert {(line["verdict"], line["http_status"]) for line in requests} == {("delivered", 200)}
    assert sum(line["entries"] for line in requests) == 120
    assert room.rig.hooks.seen[KEY].outcomes == {"delivered": 120}


async def test_one_key_is_one_entry_and_a_message_more_sends_nothing(room: Room) -> None:
    (first,) = await room.send("n1")
    assert await room.rig.add("n1") == []
    again = msgspec.structs.replace(first, publications=7)  # as after a lost ack
    async with room.process(room.rig.new_worker()), room.process(room.rig.new_worker()):
        await room.publisher.publish([again])
        await room.all_are("delivered")
        async with asyncio.timeout(PATIENCE_S):
            while any(depth.pending + depth.in_flight for depth in await room.bus.depths()):
                await asyncio.sleep(0.02)
    assert room.rig.receiver.taken == ["n1"]


async def test_retry_after_stops_the_destination_and_counts_against_no_note(room: Room) -> None:
    receiver = room.rig.receiver
    receiver.faults.append(429)
    receiver.retry_after = "2"
    await room.send("n1", "n2")
    loop = asyncio.get_running_loop()
    async with room.process(room.rig.new_worker()):
        await until(lambda: _has(room.rig, "throttled"))
        stopped_at = loop.time()
        await room.all_are("delivered")
    assert loop.time() - stopped_at > 1.5  # of two seconds, some had passed when it was read
    assert await room.rig.outcomes("n1") == ["throttled", "delivered"]
    lines = await room.rig.rows("select attempts from notes_outbox_entries")
    assert {line["attempts"] for line in lines} == {1}


async def test_server_errors_are_tried_again_and_open_the_breaker(room: Room) -> None:
    room.rig.receiver.faults.extend([500, 500, 503, 500])
    await room.send("n1")
    async with room.process(room.rig.new_worker()):
        await room.all_are("delivered")
    assert room.rig.receiver.taken == ["n1"]
    assert await room.rig.outcomes("n1") == ["retry"] * 4 + ["delivered"]


async def test_as_many_tries_as_the_terms_allow_and_then_a_dead_letter(room: Room) -> None:
    room.rig.receiver.faults.extend([500] * 3)
    room.rig.hooks.terms = msgspec.structs.replace(room.rig.hooks.terms, most_tries=3)
    await room.send("n1")
    async with room.process(room.rig.new_worker()):
        await room.all_are("dead")
        (letter,) = await room.rig.ledger.letters("loja")
        assert (letter.reason, letter.attempts, letter.status) == ("exhausted", 3, "dead")
        await room.publisher.publish(await room.rig.ledger.send_again("loja", [letter]))
        await room.all_are("delivered")  # a replay has tries of its own
    assert await room.rig.ledger.letters("loja") == []


@pytest.mark.parametrize("fault", ["hang", "reset"])
async def test_an_answer_that_did_not_come_is_told_as_a_doubt_and_sent_under_the_same_key(
    room: Room, fault: str
) -> None:
    rig = room.rig
    rig.receiver.faults.append(fault)
    await room.send("n1")
    rig.wait_for_receiver(1)
    async with room.process(rig.new_worker()):
        await until(lambda: _has(rig, "in_doubt"))
    rig.wait_for_receiver(20)
    async with room.process(rig.new_worker()):
        await room.all_are("delivered")
    assert rig.receiver.taken == ["n1", "n1"]
    assert await rig.outcomes("n1") == ["in_doubt", "delivered"]
    assert (await rig.rows("select in_doubt from notes_outbox_entries"))[0]["in_doubt"] == 1


async def test_a_parking_destination_leaves_a_doubt_to_a_person_who_may_replay_it(
    room: Room,
) -> None:
    rig = room.rig
    rig.hooks.terms = msgspec.structs.replace(rig.hooks.terms, on_doubt="Park")
    rig.receiver.faults.append("reset")
    await room.send("n1")
    async with room.process(rig.new_worker()):
        await room.all_are("dead")
        assert rig.receiver.taken == ["n1"]
        (letter,) = await rig.ledger.letters("loja", reason="in_doubt")
        assert msgspec.json.decode(letter.body)["text"] == "oi"
        again = await rig.ledger.send_again("loja", [letter])
        assert await rig.ledger.send_again("loja", [letter]) == []  # it has moved since
        await room.publisher.publish(again)
        await room.all_are("delivered")
    assert rig.receiver.taken == ["n1", "n1"]


async def test_one_poisoned_note_costs_no_other_its_delivery(room: Room) -> None:
    rig = room.rig
    rig.receiver.poison = {"n7"}
    await room.send(*(f"n{n}" for n in range(40)))
    async with room.process(rig.new_worker()):
        await room.until(lambda found: not {"pending", "sending"} & set(found.values()))
        assert sorted(rig.receiver.taken) == sorted(f"n{n}" for n in range(40) if n != 7)
        (letter,) = await rig.ledger.letters("loja", destination="hook")
        assert letter.reason == "rejected" and '"bad"' in (letter.detail or "")
        rig.receiver.poison = set()
        await room.publisher.publish(await rig.ledger.send_again("loja", [letter]))
        await room.all_are("delivered")
    assert rig.receiver.taken.count("n7") == 1


async def test_what_must_not_or_cannot_be_sent_is_never_sent(room: Room) -> None:
    rig = room.rig
    await room.send("n1", text="")
    await room.send("n2", wanted=False)
    async with room.process(rig.new_worker()):
        await room.until(lambda found: found == {"n1": "dead", "n2": "withheld"})
    assert rig.receiver.sizes == []
    assert await rig.outcomes("n1") == await rig.outcomes("n2") == []
    assert await rig.rows("select 1 from notes_outbox_requests") == []
    dead, withheld = await rig.ledger.settled("loja")
    assert (dead.reason, withheld.reason) == ("empty", "not_wanted")
    assert rig.hooks.seen[KEY].dead == {"empty": 1}


async def test_a_worker_that_is_lost_leaves_its_claim_to_another_as_a_doubt(room: Room) -> None:
    rig = room.rig
    rig.receiver.faults.append("wait")
    (note,) = await rig.add("n1")
    lost = asyncio.create_task(rig.new_worker().handle(LANE, [_message(note)]))
    await until(lambda: _taken(rig, 1))
    lost.cancel()
    await asyncio.gather(lost, return_exceptions=True)
    await room.publisher.publish([note])
    async with room.process(rig.new_worker()):
        await until(lambda: _is_held(room.bus))
        assert rig.receiver.taken == ["n1"]  # the claim of the lost one still holds
    await rig.expire_leases()
    async with room.process(rig.new_worker()):
        await room.all_are("delivered")
    assert await rig.outcomes("n1") == ["in_doubt", "delivered"]
    assert rig.hooks.seen[KEY].doubts == 1


async def test_a_message_that_was_never_published_or_is_lost_is_published_by_the_sweep(
    room: Room,
) -> None:
    rig = room.rig
    await rig.add("n1")
    assert await room.publisher.sweep(quiet_s=3_600) == 0  # who wrote it publishes it
    assert await room.publisher.sweep(quiet_s=0) == 1
    assert await room.publisher.sweep(quiet_s=0, lost_s=3_600) == 0
    async with room.process(rig.new_worker()):
        await room.all_are("delivered")
    await room.send("n2")
    await room.bus.link.client.jetstream().purge_stream(names.stream("loja"))
    assert await room.publisher.sweep(lost_s=0) == 1
    async with room.process(rig.new_worker()):
        await room.all_are("delivered")
    assert rig.receiver.taken == ["n1", "n2"]


async def test_a_stopped_destination_is_called_when_another_process_is_answered_well(
    room: Room,
) -> None:
    rig = room.rig
    rig.receiver.faults.append(500)
    stopped = Recovery(
        rig.ledger,
        room.bus,
        SUBJECTS,
        wake=lambda *_: lanes.wake(LANE.id),
        try_now=lambda *key: worker.try_now(*key),  # noqa: PLW0108 - made below
    )
    worker = rig.new_worker(policy=LONG, herald=stopped.told)
    well = Recovery(rig.ledger, room.bus, SUBJECTS, wake=_nothing, try_now=_nothing)
    other = rig.new_worker(herald=well.told)
    async with room.process(worker) as lanes:
        for recovery in (stopped, well):
            recovery.follow({KEY: "terms"})
            await recovery.start()
        running = [asyncio.create_task(recovery.run()) for recovery in (stopped, well)]
        await room.send("n1")
        await until(lambda: _has(rig, "retry"))
        numbers = count(2)
        async with asyncio.timeout(PATIENCE_S):
            while (await rig.statuses())["n1"] != "delivered":
                await stopped.remind()  # as every worker does now and then
                (more,) = await rig.add(f"n{next(numbers)}")
                await other.handle(LANE, [_message(more)])
                await asyncio.sleep(0.05)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    assert rig.receiver.taken.count("n1") == 1


async def test_what_waited_for_too_long_is_given_up_and_kept(room: Room) -> None:
    rig = room.rig
    past = datetime.now(UTC) - timedelta(seconds=1)
    await rig.add("n1", expires_at=past)
    await rig.add("n2", expires_at=past + timedelta(hours=1))
    worker = rig.new_worker()
    assert await worker.sweep({KEY}) == {"loja": 1}
    assert await rig.statuses() == {"n1": "dead", "n2": "pending"}
    (letter,) = await rig.ledger.letters("loja")
    assert letter.reason == "too_old"
    assert len(await rig.ledger.send_again("loja", [letter])) == 1
    assert await worker.sweep({KEY}) == {}  # whoever replays it wants it sent


async def test_a_message_that_names_no_entry_is_kept(room: Room) -> None:
    rig = room.rig
    message = FakeMessage(b'{"id": "x\x00"}', deliveries=3)
    newer = FakeMessage(b'{"id": 1, "created_at": 1, "v": 2}')
    await rig.new_worker().handle(LANE, [message, newer])
    assert (message.settlement, newer.settlement) == ("term", "nak")
    (letter,) = await rig.ledger.letters("loja")
    assert (letter.reason, letter.attempts, letter.entry) == ("internal_error", 3, None)
    assert await rig.ledger.send_again("loja", [letter]) == []


async def test_a_suspended_destination_keeps_its_messages(room: Room) -> None:
    rig = room.rig
    rig.hooks.suspended = True
    await room.send("n1")
    async with room.process(rig.new_worker()) as lanes:
        await until(lambda: _is_held(room.bus))
        rig.hooks.suspended = False
        lanes.wake(LANE.id)
        await room.all_are("delivered")


async def test_tenants_see_their_own_and_old_ends_are_purged(outbox_rig: OutboxRig) -> None:
    rig = outbox_rig
    soon = datetime.now(UTC) - timedelta(seconds=1)
    for tenant in ("loja", "outra"):
        await rig.add("n1", tenant=tenant, expires_at=soon)
    await rig.new_worker().sweep(set())
    for tenant in ("loja", "outra"):
        assert len(await rig.ledger.letters(tenant)) == 1
    tables = ("entries", "requests", "attempts", "letters")
    async with rig.database.transaction(tenant="outra") as connection:
        for table in tables:
            found = await connection.execute(
                f"select 1 from notes_outbox_{table} where tenant_id <> 'outra'".encode()
            )
            assert await found.fetchall() == []
    (foreign,) = await rig.ledger.letters("loja")
    assert await rig.ledger.send_again("outra", [foreign]) == []
    assert await rig.ledger.purge(datetime.now(UTC) + timedelta(seconds=1)) == 2
    for table in tables:
        assert await rig.rows(f"select 1 from notes_outbox_{table}") == []


async def test_two_products_have_tables_of_their_own(outbox_rig: OutboxRig, postgres: str) -> None:
    async with await Database.open(postgres) as database:
        async with database.transaction() as connection:
            await connection.execute(schema("alerts").encode())
        await outbox_rig.add("n1")
        alerts = PostgresLedger(database, "alerts")
        assert await alerts.unpublished(quiet_s=0, lost_s=0) == []
    with pytest.raises(ValueError, match="not a name for tables"):
        schema(f'{PRODUCT}"; drop')


async def _has(rig: OutboxRig, outcome: str) -> bool:
    found = await rig.rows("select 1 from notes_outbox_attempts where outcome = %s", outcome)
    return bool(found)


async def _taken(rig: OutboxRig, count: int) -> bool:
    return len(rig.receiver.taken) >= count


async def _is_held(bus: Bus) -> bool:
    return any(depth.in_flight for depth in await bus.depths())


def _message(one: Pending) -> FakeMessage:
    return FakeMessage(encode(Pointer(id=one.ref.id, created_at=one.ref.created_ms)))


def _nothing(*_: str) -> None:
    """No lane of its own."""
