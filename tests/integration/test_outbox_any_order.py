"""The outbox's ledger under any order of claims, answers, kills and leases that run out: over a real
PostgreSQL no entry arrives twice unless a doubt was told, and none is lost.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, Literal

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from sinal_core.aio.backoff import Backoff
from sinal_core.aio.breaker import Policy
from sinal_core.nats import dispatch_lane
from sinal_core.outbox.answers import Answer, Kind, Verdict
from sinal_core.outbox.ledger import Answered, Claim, ClaimLost, Ref, Request, Result
from sinal_core.outbox.messages import Pointer, encode
from sinal_core.outbox.postgres import NewEntry, PostgresLedger, StoredEntry
from sinal_core.outbox.terms import OnDoubt, Terms
from sinal_core.outbox.testing import FakeMessage
from sinal_core.outbox.worker import OutboxWorker

from tests.support.fix_outbox import PRODUCT, OutboxRig, Seen

AT_ONCE = Policy(threshold=1_000_000, base_s=0.0, cap_s=0.0, pause_base_s=0.0)
PROCESSES = 3
POISON = "k3"
Dies = Literal["before", "after"]
REFUSALS: tuple[Kind, ...] = ("retry", "throttle", "credential", "unknown")
_tenants = count(1)

Settlement = tuple[Sequence[Result[StoredEntry]], Request | None, Answered | None]


class Killed(BaseException):
    """The process ended here."""


class MortalLedger(PostgresLedger):
    """A process that may end just before or just after its next claim or settlement."""

    dies: tuple[str, Dies] | None = None
    on_settled: Callable[[Settlement], None]

    async def claim(
        self, tenant: str, destination: str, refs: Sequence[Ref], *, lease_s: float
    ) -> Claim[StoredEntry]:
        self._die("claim", "before")
        claim = await super().claim(tenant, destination, refs, lease_s=lease_s)
        self._die("claim", "after")
        return claim

    async def settle(
        self,
        tenant: str,
        results: Sequence[Result[StoredEntry]],
        *,
        request: Request | None,
        answered: Answered | None = None,
    ) -> set[int]:
        self._die("settle", "before")
        moved = await super().settle(tenant, results, request=request, answered=answered)
        self.on_settled((results, request, answered))
        self._die("settle", "after")
        return moved

    def _die(self, statement: str, when: Dies) -> None:
        if self.dies == (statement, when):
            raise Killed


class Process:
    """One worker and the request that it waits for, which the test answers."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.ledger = MortalLedger(world.rig.database, PRODUCT)
        self.ledger.on_settled = world.settlements.append
        self.terms, self.metrics = world.terms, Seen()
        self._worker: OutboxWorker[StoredEntry, str] = OutboxWorker(
            self.ledger, self, lease_s=60.0, policy=AT_ONCE
        )
        self._asked = asyncio.Event()
        self.asking: list[str] = []  # keys of the request under way
        self._answer: asyncio.Future[Answer] | None = None
        self._task: asyncio.Task[None] | None = None

    def usable(self, tenant: str, name: str) -> Process:
        assert (tenant, name) == (self._world.tenant, "hook")
        return self

    def withheld(self, entry: StoredEntry) -> None:
        del entry

    def payload(self, entry: StoredEntry) -> str:
        return entry.key

    async def send(self, payloads: Sequence[str]) -> Answer:
        self.asking = list(payloads)
        self._world.leaves(self.asking)
        self._answer = asyncio.get_running_loop().create_future()
        self._asked.set()
        return await self._answer

    def mended(self, payload: str, verdict: Verdict) -> None:
        del payload, verdict

    @property
    def idle(self) -> bool:
        return self._task is None

    async def begin(self, refs: Sequence[Ref]) -> None:
        """Be given these messages, up to the first request."""
        messages = [FakeMessage(encode(Pointer(id=r.id, created_at=r.created_ms))) for r in refs]
        lane = dispatch_lane(self._world.tenant, "hook")
        self._asked.clear()
        self._task = asyncio.create_task(self._worker.handle(lane, messages))
        await self._until_asked()

    async def answer(self, verdict: Verdict) -> None:
        """End the request, up to the next one."""
        assert self._answer is not None
        self._world.returns(self.asking)
        self.asking = []
        self._asked.clear()
        self._answer.set_result(Answer(verdict=verdict))
        await self._until_asked()

    async def kill(self) -> None:
        """End in the middle of the request."""
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task, self.asking = None, []

    async def _until_asked(self) -> None:
        """Until a request leaves or nothing is left to do."""
        assert self._task is not None
        asked = asyncio.create_task(self._asked.wait())
        await asyncio.wait({self._task, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if self._task.done():
            task, self._task = self._task, None
            error = task.exception()
            assert error is None or isinstance(error, Killed | ClaimLost), error


class World:
    """A tenant of its own, its entries, what the other side took, and processes that come and
    go.
    """

    def __init__(self, rig: OutboxRig, on_doubt: OnDoubt) -> None:
        self.rig, self.tenant = rig, f"t{next(_tenants)}"
        self.terms = Terms(
            identity=1,
            most=4,
            on_doubt=on_doubt,
            retry=Backoff(base_s=0.0, cap_s=0.0),
            most_refusals=3,
        )
        self.refs: dict[str, Ref] = {}
        self.taken: Counter[str] = Counter()
        self.settlements: list[Settlement] = []
        self._away: set[str] = set()  # keys of requests under way or lost, under a lease that holds
        self.processes = [Process(self) for _ in range(PROCESSES)]

    async def add(self, key: str) -> None:
        entry = NewEntry(tenant=self.tenant, destination="hook", key=key, payload=f"of {key}")
        async with self.rig.database.transaction() as connection:
            for pending in await self.rig.ledger.add(connection, [entry]):
                assert key not in self.refs  # one key, one entry
                self.refs[key] = pending.ref

    async def judge(self, process: Process, kind: Kind, *, arrives: bool) -> None:
        """The other side answers as `kind`, or refuses a batch that it would never take."""
        keys = process.asking
        if POISON in keys and kind in ("delivered", "in_doubt"):
            kind = "data" if kind == "delivered" else kind
        elif kind == "delivered" or (kind == "in_doubt" and arrives):
            self.taken.update(keys)
        wait_s = 0.0 if kind == "throttle" else None
        await process.answer(Verdict(kind=kind, retry_after_s=wait_s, answer=kind))

    def leaves(self, keys: Sequence[str]) -> None:
        """A request begins: nobody else may have one with the same entry."""
        assert not self._away & set(keys)
        self._away |= set(keys)

    def returns(self, keys: Sequence[str]) -> None:
        """It is answered."""
        self._away -= set(keys)

    async def end_leases(self) -> None:
        """Workers were away for too long, also those whose request is still under way."""
        await self.rig.expire_leases()
        self._away.clear()

    async def settle_again(self, number: int) -> None:
        """An earlier settlement of which the acknowledgement was lost is run once more."""
        if self.settlements:
            results, request, answered = self.settlements[number % len(self.settlements)]
            moved = await self.rig.ledger.settle(
                self.tenant, results, request=request, answered=answered
            )
            assert not moved

    async def replay(self) -> None:
        letters = await self.rig.ledger.letters(self.tenant)
        await self.rig.ledger.send_again(self.tenant, letters)

    async def rows(self, query: str) -> list[dict[str, Any]]:
        return await self.rig.rows(query, self.tenant)

    async def waiting(self) -> bool:
        query = "select 1 from notes_outbox_entries where settled_at is null and tenant_id = %s"
        return bool(await self.rows(query))

    async def finish(self) -> None:
        """The other side is well again, and nobody dies any more."""
        for process in self.processes:
            if not process.idle:
                await process.kill()
        for _ in range(50):
            if not await self.waiting():
                return
            await self.end_leases()
            process = Process(self)
            await process.begin(list(self.refs.values()))
            while not process.idle:
                await self.judge(process, "delivered", arrives=True)
        raise AssertionError("entries are still waiting")


async def a_step(world: World, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
    """Anything that may happen next."""
    number = draw(st.integers(0, PROCESSES - 1))
    process = world.processes[number]
    what = draw(st.sampled_from(("add", "lease", "replay", "echo", *["work"] * 8)))
    if what == "add":
        await world.add(f"k{draw(st.integers(0, 6))}")
    elif what == "lease":
        await world.end_leases()
    elif what == "replay":
        await world.replay()
    elif what == "echo":
        await world.settle_again(draw(st.integers(0, 100)))
    elif process.idle and world.refs:
        chosen = draw(st.lists(st.sampled_from(sorted(world.refs)), min_size=1, max_size=6))
        process.ledger.dies = draw(
            st.sampled_from((None, None, ("claim", "before"), ("claim", "after")))
        )
        await process.begin([world.refs[key] for key in chosen])
        if process.idle and process.ledger.dies:
            world.processes[number] = Process(world)
        process.ledger.dies = None
    elif not process.idle:
        await end_of_a_request(world, number, draw)


async def end_of_a_request(
    world: World, number: int, draw: Callable[[st.SearchStrategy[Any]], Any]
) -> None:
    process = world.processes[number]
    arrives = draw(st.booleans())
    kind: Kind = draw(st.sampled_from(("delivered", "delivered", "in_doubt", *REFUSALS)))
    how = draw(st.sampled_from(("answered", "answered", "killed", "before", "after")))
    event(f"{kind}, {how}")
    if how == "killed":
        if arrives and POISON not in process.asking:
            world.taken.update(process.asking)
        await process.kill()
        world.processes[number] = Process(world)
        return
    process.ledger.dies = None if how == "answered" else ("settle", how)
    await world.judge(process, kind, arrives=arrives)
    if how != "answered":
        if not process.idle:  # it found nothing to settle
            await process.kill()
        world.processes[number] = Process(world)


@given(st.data())
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_nothing_arrives_twice_without_a_doubt_and_nothing_is_lost(
    outbox_rig: OutboxRig, data: st.DataObject
) -> None:
    world = World(outbox_rig, data.draw(st.sampled_from(("Retry", "Park"))))
    await world.add("k0")
    for _ in range(data.draw(st.integers(1, 40))):
        await a_step(world, data.draw)
    await world.finish()

    told = await world.rows(
        "select e.key, count(*) as doubts from notes_outbox_attempts a "
        "join notes_outbox_entries e on e.id = a.entry_id "
        "where a.outcome = 'in_doubt' and a.tenant_id = %s group by e.key"
    )
    doubts = {line["key"]: line["doubts"] for line in told}
    for key, times in world.taken.items():
        assert times <= 1 + doubts.get(key, 0), (key, world.taken, doubts)
    ends = await world.rows("select id, key, status from notes_outbox_entries where tenant_id = %s")
    assert {line["key"] for line in ends} == world.refs.keys()
    kept = {letter.entry: letter.body for letter in await world.rig.ledger.letters(world.tenant)}
    for line in ends:
        if line["status"] == "delivered":
            assert world.taken[line["key"]] >= 1
        else:
            assert line["status"] == "dead" and kept[line["id"]] == f"of {line['key']}"
    assert world.taken[POISON] == 0
    open_attempts = "select 1 from notes_outbox_attempts where outcome is null and tenant_id = %s"
    assert await world.rows(open_attempts) == []
