"""Play a schedule on a stage: the load and the faults together, then wait until all is settled,
then judge.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable

import aiohttp
import psycopg

from sinal_core.postgres.database import Database
from sinal_hub.store.housekeeping import HousekeepingStore

from tests.support.chaos import records, verdict
from tests.support.chaos.faults import Fault, Kind
from tests.support.chaos.schedule import Schedule
from tests.support.chaos.senders import Senders
from tests.support.chaos.stage import Stage
from tests.support.chaos.verdict import Verdict

ACCEPT_WITHIN_S = 240.0
SETTLE_WITHIN_S = 240.0
FEW = 10  # answers; the first ones may be of events that the broker had taken
DISPATCHERS = ("dispatch", "dispatch-2")


class Play:
    """One run of one schedule."""

    def __init__(self, stage: Stage, session: aiohttp.ClientSession, schedule: Schedule) -> None:
        self._stage, self._session, self._schedule = stage, session, schedule
        self._senders = Senders(stage, session)
        self._faults: list[str] = []
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._acts: dict[Kind, Callable[[Fault], Awaitable[None]]] = {
            "kill": self._kill,
            "freeze": self._freeze,
            "restart": self._restart,
            "wipe": self._wipe,
            "disk_full": self._fill_disk,
            "spool_full": self._fill_spool,
            "graph": self._wait,
        }

    async def run(self) -> Verdict:
        """Everything; raises TimeoutError when it does not come to an end."""
        began = time.monotonic()
        await self._arm()
        async with asyncio.timeout(ACCEPT_WITHIN_S), asyncio.TaskGroup() as group:
            group.create_task(self._senders.play(self._schedule.orders))
            for fault in self._schedule.faults:
                group.create_task(self._inflict(fault))
        accepted = time.monotonic()
        await self._settled()
        settled = time.monotonic()
        ids = set(self._senders.receipts.ids.values())
        found = verdict.judge(
            self._schedule,
            self._senders.receipts,
            await records.read(self._stage, self._session, ids),
        )
        found.faults += self._faults
        found.faults += await self._balance()
        found.faults += [f"{role} ended by itself" for role in self._stage.dead_roles()]
        found.counted["accept_ms"] = round((accepted - began) * 1000)
        found.counted["settle_ms"] = round((settled - accepted) * 1000)
        found.counted["refused_posts"] = sum(
            n for answer, n in self._senders.receipts.answers.items() if answer != "202"
        )
        return found

    async def _arm(self) -> None:
        """An empty sandbox with the schedule's faults of the Graph API."""
        async with self._session.delete(f"{self._stage.sandbox_url}/_sandbox") as answer:
            assert answer.status == 204
        script = {"faults": [fault.script for fault in self._schedule.faults if fault.script]}
        async with self._session.post(
            f"{self._stage.sandbox_url}/_sandbox/faults", json=script
        ) as answer:
            assert answer.status < 300, await answer.text()

    async def _inflict(self, fault: Fault) -> None:
        """One fault, from its time on; those of one target wait for each other."""
        await asyncio.sleep(fault.at_s)
        async with contextlib.AsyncExitStack() as held:
            # Always in one sequence: two faults with the same targets would else wait for each
            # other.
            for target in sorted({fault.target, *(DISPATCHERS if fault.kind == "wipe" else ())}):
                await held.enter_async_context(self._locks[target])
            await self._acts[fault.kind](fault)

    async def _kill(self, fault: Fault) -> None:
        self._stage.kill_role(fault.target)
        await asyncio.sleep(fault.for_s)
        self._stage.start_role(fault.target)

    async def _freeze(self, fault: Fault) -> None:
        self._stage.freeze(fault.target)
        await asyncio.sleep(fault.for_s)
        self._stage.wake(fault.target)

    async def _restart(self, fault: Fault) -> None:
        service = self._stage.service(fault.target)
        service.kill()
        await asyncio.sleep(fault.for_s)
        await service.start()

    async def _wipe(self, fault: Fault) -> None:
        """What only NATS has goes with its disk: what waits to be sent is in PostgreSQL, what was
        accepted must be.
        """
        for role in DISPATCHERS:
            self._stage.kill_role(role)
        await self._senders.pause()
        await self._all_recorded()
        await self._stage.wipe_nats(down_s=fault.for_s)
        for role in DISPATCHERS:
            self._stage.start_role(role)
        self._senders.resume()

    async def _fill_disk(self, fault: Fault) -> None:
        """A nats-server that met a full disk refuses the stream until it starts again, whatever is
        freed.
        """
        if self._stage.disk is not None:
            self._stage.disk.fill()
            await asyncio.sleep(fault.for_s)
            self._stage.disk.free()
            self._stage.nats.kill()
            await self._stage.nats.start()

    async def _fill_spool(self, fault: Fault) -> None:
        """Neither broker nor spool can take an event: senders must be told so, and what they were
        told holds.
        """
        disk = self._stage.spool_disk
        if disk is None:
            return
        answers = self._senders.receipts.answers
        self._stage.nats.kill()
        disk.fill()
        before = answers.copy()
        await asyncio.sleep(fault.for_s)
        said = answers - before
        disk.free()
        await self._stage.nats.start()
        if said.total() >= FEW and not said["503"]:
            self._faults.append(f"with nowhere to put an event the edge said {dict(said)}, not 503")

    async def _wait(self, fault: Fault) -> None:
        """The sandbox has the script and keeps its time."""
        await asyncio.sleep(fault.for_s)

    async def _all_recorded(self) -> None:
        """Until PostgreSQL has every fact that was accepted."""
        while (left := await self._left()) is None or "'missing': 0" not in left:
            if left is None:
                return
            await asyncio.sleep(0.1)

    async def _settled(self) -> None:
        left: str | None = "nothing was read"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_WITHIN_S):
                while left is not None:
                    await asyncio.sleep(0.2)
                    left = await self._left()
        if left is not None:
            raise TimeoutError(f"not settled after {SETTLE_WITHIN_S:.0f} s: {left}")

    async def _left(self) -> str | None:
        try:
            return await records.unsettled(self._stage, set(self._senders.receipts.ids.values()))
        except psycopg.OperationalError as error:
            return type(error).__name__

    async def _balance(self) -> list[str]:
        """The ledger's own sum and production's own check of it, over everything that this stage
        has ever played.
        """
        totals = await self._stage.settled(self._session, accepted=0)
        ended = totals["delivered"] + totals["withheld"] + totals["dead"]
        wrong = [] if totals["accepted"] == ended else [f"the ledger does not add up: {totals}"]
        async with await Database.open(self._stage.postgres.url(), max_size=1) as database:
            return wrong + [
                f"ledger check: {fault}"
                for fault in await HousekeepingStore(database).faults(grace_s=0)
            ]
