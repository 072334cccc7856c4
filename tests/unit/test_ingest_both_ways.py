"""A tracking request that came whole is taken at once, or as any other: its sender, the broker, the
disk and the counters cannot tell which.

Limits, broker and disk are those of the usual way too; what one step cannot do at once goes on from
there, and nothing is read a second time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from sinal_core.http import body as bodies
from sinal_core.http.exchange import Header, Request
from sinal_core.limiter import LocalLimiter
from sinal_core.nats.errors import (
    BusError,
    BusRefused,
    BusUnavailable,
    LaneFull,
    LaneMissing,
    MessageTooLarge,
)
from sinal_core.plans.testing import StaticPlans
from sinal_crds.names import own_path
from sinal_hub.ingest import app
from sinal_hub.ingest.settings import EdgeSettings
from sinal_hub.ingest.testing import Client, MemoryBus, Reply
from sinal_hub.intake.ports import Published
from sinal_hub.model.events import decode_event
from sinal_hub.spool import SpoolEntry, SpoolFull, SpoolState

from tests.support.fix_ingest import LANDING, PUBLIC_KEY, SERVER_KEY, EdgeWorld
from tests.unit.test_ingest_any_input import FIELDS

LEAD, BATCH = "/api/v1/track/lead", "/api/v1/track/batch"
PEER = ("203.0.113.9", 4_711)


class Bus(MemoryBus):
    """A broker that a publish need not be awaited for, unless it `hesitates`."""

    def __init__(self, *, error: BusError | None, hesitates: bool) -> None:
        super().__init__()
        self.error, self.hesitates = error, hesitates

    def begin(
        self,
        subject: str,
        body: bytes,
        *,
        msg_id: str,
        timeout_s: float,
        done: Callable[[Published | BusError], None],
    ) -> bool:
        if self.hesitates:
            return False
        if isinstance(self.error, MessageTooLarge):  # known before anything is sent
            raise self.error
        done(self.error or self.store(subject, body, msg_id=msg_id))
        return True


class Disk:
    """A spool: `due` where a tenant's events wait there, `full` where nothing more fits."""

    state = SpoolState(spooling=False, accepts=True, records=0, bytes=0, oldest_s=0.0)

    def __init__(self, *, due: bool, clears: bool, full: bool) -> None:
        self._due, self._clears, self._full = due, clears, full
        self.told: list[str] = []
        self.entries: list[SpoolEntry] = []

    def is_due(self, tenant: str) -> bool:
        return self._due

    async def clears(self, tenant: str) -> bool:
        return self._clears

    async def take(self, entries: Sequence[SpoolEntry]) -> None:
        if self._full:
            raise SpoolFull
        self.entries += entries

    def failed(self) -> None:
        self.told.append("failed")

    def succeeded(self) -> None:
        self.told.append("succeeded")

    def observe(self) -> None:
        """Nothing is measured."""


class Buckets(LocalLimiter):
    """A tenant's limit: what is not `near` is known to another process alone."""

    def __init__(self, world: EdgeWorld, *, near: bool, left: int, broken: bool) -> None:
        super().__init__(clock=world.clock)
        self._near, self._left, self._broken = near, left, broken

    def spend(self, bucket: str, cost: int, *, per_minute: int) -> bool:
        if self._broken:
            raise RuntimeError
        return self._near and self._spent(cost)

    async def take(self, bucket: str, cost: int, *, per_minute: int) -> float:
        if self._broken:
            raise RuntimeError
        return 0.0 if self._spent(cost) else 7.0

    def _spent(self, cost: int) -> bool:
        if self._left < cost:
            return False
        self._left -= cost
        return True


@dataclass(frozen=True)
class Around:
    """What an edge finds around it."""

    error: BusError | None = None
    hesitates: bool = False
    spools: bool = False
    due: bool = False
    clears: bool = False
    full: bool = False
    near: bool = True
    left: int = 10_000
    broken: bool = False


@dataclass(frozen=True)
class Posted:
    """One request of a page or a server."""

    path: str = LEAD
    raw: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: {"origin": LANDING})


class World:
    """An edge with all that stands around it, fresh."""

    def __init__(self, around: Around) -> None:
        world = EdgeWorld()
        self.bus = Bus(error=around.error, hesitates=around.hesitates)
        self.disk = (
            Disk(due=around.due, clears=around.clears, full=around.full) if around.spools else None
        )
        limiter = Buckets(world, near=around.near, left=around.left, broken=around.broken)
        self.edge = app.build(
            bus=self.bus,
            plans=StaticPlans(*world.tenants),
            limiter=limiter,
            quarantine=world.quarantine,
            settings=EdgeSettings(),
            detour=self.disk,
            beginner=self.bus,
            clock=world.clock,
        )
        self.client = Client(self.edge)
        self.at_once = 0

    async def usually(self, posted: Posted) -> Reply:
        """The answer of the way that waits."""
        return await self.client.post(posted.path, posted.raw, headers=posted.headers)

    async def whole(self, posted: Posted) -> Reply:
        """The answer of the way for what came whole, where the edge takes it so."""
        answered: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        def reply(status: int, headers: list[Header], content: bytes) -> None:
            told = {name.decode(): value.decode("latin-1") for name, value in headers}
            answered.set_result(Reply(status, told, content, cookies_of(headers)))

        given = {"host": "ingest.example", **posted.headers}
        headers = [(name.encode(), value.encode("latin-1")) for name, value in given.items()]
        request = Request.whole("POST", posted.path, headers=headers, body=posted.raw, peer=PEER)
        if not self.edge.begin(request, reply):
            return await self.usually(posted)
        self.at_once += 1
        return await answered

    def left_behind(self) -> object:
        """What broker and disk have and were told."""
        spooled = self.disk.entries if self.disk else []
        told = self.disk.told if self.disk else []
        kept = [(entry.tenant, entry.subject, entry.msg_id, entry.body) for entry in spooled]
        return self.bus.messages, kept, told, self.bus.provisions


def cookies_of(headers: list[Header]) -> tuple[str, ...]:
    return tuple(value.decode("latin-1") for name, value in headers if name == b"set-cookie")


def counted() -> dict[tuple[str, ...], float]:
    """What was counted of requests, but for how long they took."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in REGISTRY.collect()
        if family.name.startswith("sinal_ingest")
        for sample in family.samples
        if not sample.name.endswith(("_sum", "_bucket", "_created"))
    }


def without_chance(world: World, replies: list[Reply], raw: bytes) -> str:
    """All that an edge did, each id that it drew by lot replaced by its place."""
    text = repr((replies, world.left_behind()))
    events = [body for _, _, body in world.bus.messages]
    events += [entry.body for entry in world.disk.entries] if world.disk else []
    for at, content in enumerate(events):
        event = decode_event(content)
        if not event.natural_key:
            for name in ("id", "key", "event_id", "click_id", "session_id"):
                if (word := getattr(event, name)) and word.encode() not in raw:
                    text = text.replace(word, f"<{name} {at}>")
    return text


async def done_by(
    around: Around, posted: Posted, way: Callable[[World, Posted], Any]
) -> tuple[str, dict[tuple[str, ...], float]]:
    before, world = counted(), World(around)
    # twice: a repeat of what has a key of its own is told from the first
    replies = [await way(world, posted) for _ in range(2)]
    after = counted()
    counts = {key: value - before.get(key, 0.0) for key, value in after.items()}
    return without_chance(world, replies, posted.raw), {k: v for k, v in counts.items() if v}


ERRORS = st.sampled_from(
    [
        BusUnavailable("away"),
        LaneMissing("T-loja"),
        LaneFull("T-loja"),
        MessageTooLarge("T-loja"),
        BusRefused(500, 10_001, "no"),
    ]
)
SELDOM = st.sampled_from([False, False, False, True])
AROUND = st.builds(
    Around,
    error=st.none() | st.none() | ERRORS,
    hesitates=SELDOM,
    spools=st.booleans(),
    due=SELDOM,
    clears=st.booleans(),
    full=SELDOM,
    near=SELDOM.map(lambda seldom: not seldom),
    left=st.sampled_from([10_000, 10_000, 10_000, 0, 1, 2]),
    broken=st.tuples(SELDOM, SELDOM).map(all),
)
PLAIN = st.fixed_dictionaries(
    {"origin": st.just(LANDING)},
    optional={"user-agent": st.sampled_from(["Mozilla/5.0", "Googlebot/2.1"])},
)
ODD = st.fixed_dictionaries(
    {},
    optional={
        "origin": st.sampled_from([LANDING, "https://evil.example", ""]),
        "content-type": st.sampled_from(
            [
                "application/json",
                "text/plain;charset=UTF-8",
                "application/json; charset=iso-8859-1",
                "application/json; charset=utf-16",
                "text/xml",
            ]
        ),
        "content-encoding": st.sampled_from(["gzip", "identity"]),
        "authorization": st.sampled_from([f"Bearer {SERVER_KEY}", "Bearer sk_wrong", "Basic x"]),
        "cookie": st.just("_fbp=fb.1.1700000000000.1; _sinal=a.b; _fbc=fb.1.1700000000000.IwAR1"),
        "user-agent": st.sampled_from(["Mozilla/5.0", "Googlebot/2.1"]),
        "host": st.sampled_from(["t.loja.example", "t.outra.example"]),
        "x-forwarded-for": st.just("198.51.100.7"),
    },
)
HEADERS = st.builds(lambda plain, odd: plain | odd, PLAIN, ODD)
FUNNELS = st.just(PUBLIC_KEY) | st.sampled_from([PUBLIC_KEY, "curso", "fk_outra", "fk_nobody", 7])
EVENTS = st.builds(
    lambda fields, funnel, own: {**fields, "funnel": funnel} | own,
    st.just({}) | FIELDS,
    FUNNELS,
    st.sampled_from(
        [
            {},
            {"event_id": "e1"},
            {"event_id": "e2", "url": f"{LANDING}/?fbclid=IwAR1&utm_source=fb", "novel": 1},
            {"user": {"email": "maria@loja.example", "zip": 1}, "consent_ads": True},
            {"order_id": "a\0b"},
        ]
    ),
)
SINGLE = EVENTS.map(msgspec.json.encode)
LISTED = EVENTS.map(lambda event: {"type": "click", **event})
BATCHES = st.lists(LISTED, min_size=1, max_size=3).map(
    lambda found: msgspec.json.encode({"events": found})
)
ONES = [LEAD, f"/t/loja{LEAD}"]
MANY = [BATCH, f"/t/loja/{own_path('loja')}"]
ELSEWHERE = [f"/t/outra{BATCH}", f"/t/nobody{LEAD}", "/api/v1/track/no", "/api/v1/webhooks/signed"]
POSTED = (
    st.builds(Posted, st.sampled_from(ONES), SINGLE, PLAIN)
    | st.builds(Posted, st.sampled_from(MANY), BATCHES, PLAIN)
    | st.builds(Posted, st.sampled_from(ONES + MANY), SINGLE | BATCHES, HEADERS)
    | st.builds(
        Posted,
        st.sampled_from(ONES + MANY + ELSEWHERE),
        SINGLE | BATCHES | st.just(b'{"events":[]}') | st.binary(max_size=40),
        HEADERS,
    )
)
LENIENT = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
GOOD = {"funnel": PUBLIC_KEY, "event_id": "e1", "url": f"{LANDING}/p?fbclid=IwAR1"}
TAKEN = Posted(raw=msgspec.json.encode(GOOD))


@LENIENT
@given(AROUND, POSTED)
async def test_both_ways_answer_store_and_count_the_same(around: Around, posted: Posted) -> None:
    usual = await done_by(around, posted, World.usually)
    assert await done_by(around, posted, World.whole) == usual


@pytest.mark.parametrize("way", [World.usually, World.whole])
async def test_a_repeat_is_told_from_the_first(way: Callable[[World, Posted], Any]) -> None:
    world = World(Around())
    replies = [await way(world, TAKEN) for _ in range(2)]
    assert [reply.json()["events"][0]["duplicate"] for reply in replies] == [False, True]
    assert len(world.bus.messages) == 1


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The size of every body whose values were made."""
    found: list[int] = []
    json_object = bodies.json_object

    def counting(raw: bytes) -> dict[str, object]:
        found.append(len(raw))
        return json_object(raw)

    monkeypatch.setattr(bodies, "json_object", counting)
    return found


LATE = {
    "limit used up": (Around(left=0), 429),
    "limit known elsewhere": (Around(near=False), 202),
    "broker busy": (Around(hesitates=True), 202),
    "message too large": (Around(error=MessageTooLarge("T-loja")), 413),
    "broker away": (Around(error=BusUnavailable("away")), 503),
    "broker away, with a disk": (Around(error=BusUnavailable("away"), spools=True), 202),
    "events wait on the disk": (Around(spools=True, due=True), 202),
    "a fault of ours": (Around(broken=True), 500),
}


@pytest.mark.parametrize("name", LATE)
async def test_what_cannot_be_ended_at_once_is_read_once(name: str, read: list[int]) -> None:
    around, status = LATE[name]
    world = World(around)
    assert (await world.whole(TAKEN)).status == status
    assert (world.at_once, read) == (1, [len(TAKEN.raw)])


@pytest.mark.parametrize("count", [1, 3])
async def test_a_batch_is_read_once(count: int, read: list[int]) -> None:
    raw = msgspec.json.encode({"events": [{"type": "click", "funnel": PUBLIC_KEY}] * count})
    world = World(Around())
    reply = await world.whole(Posted(BATCH, raw))
    assert (reply.status, len(reply.json()["events"])) == (202, count)
    assert (world.at_once, read) == (1, [len(raw)])


async def test_a_refusal_is_read_once(read: list[int]) -> None:
    world = World(Around())
    wrong = replace(TAKEN, raw=msgspec.json.encode(GOOD | {"order_id": "a\0b"}))
    assert (await world.whole(wrong)).status == 400
    assert (world.at_once, len(read), world.bus.messages) == (1, 1, [])
