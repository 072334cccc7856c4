"""Fixture of a second sender: notes posted to a webhook, with nothing but `sinal_core.outbox`, a real
PostgreSQL and a strict HTTP receiver that fails by script.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sinal_core.aio.backoff import Backoff
from sinal_core.aio.breaker import BreakerState, Policy
from sinal_core.outbox.answers import Answer, Kind, Usage, Verdict, by_status, retry_after_s
from sinal_core.outbox.ports import Key, News, Unsendable
from sinal_core.outbox.postgres import NewEntry, Pending, PostgresLedger, StoredEntry, schema
from sinal_core.outbox.terms import Terms
from sinal_core.outbox.worker import OutboxWorker
from sinal_core.postgres.database import Database

PRODUCT = "notes"
# the longest that a worker waits: a slow machine shall not look like a receiver that hangs
PATIENT_S = 25.0
QUICK = Policy(threshold=3, base_s=0.2, cap_s=0.5, pause_base_s=0.2)
TERMS = Terms(identity="first", most=50, retry=Backoff(base_s=0.05, cap_s=0.2))


class Receiver:
    """Takes a JSON list of notes, each with `key` and `text`; refuses anything else.

    `faults` are used up by one request each: a status, `hang` and `reset` (both after it took the
    notes), or `wait` (answered once `go` is set). Notes of `poison` are refused with all of their
    request.
    """

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.sizes: list[int] = []  # of each request
        self.faults: deque[int | str] = deque()
        self.poison: set[str] = set()
        self.retry_after: str | None = None
        self.go = asyncio.Event()
        app = web.Application()
        app.router.add_post("/hook", self._post)
        self._server = TestServer(app)

    async def start(self) -> None:
        await self._server.start_server()

    async def stop(self) -> None:
        self.go.set()
        await self._server.close()

    @property
    def url(self) -> str:
        return str(self._server.make_url("/hook"))

    async def _post(self, request: web.Request) -> web.Response:
        notes = await request.json()
        self.sizes.append(len(notes))
        fault = self.faults.popleft() if self.faults else None
        if isinstance(fault, int):
            headers = {"Retry-After": self.retry_after} if self.retry_after else {}
            return web.Response(status=fault, headers=headers)
        if request.content_type != "application/json" or not all(
            note.keys() == {"key", "text"} for note in notes
        ):
            return web.Response(status=400)
        bad = [place for place, note in enumerate(notes) if note["key"] in self.poison]
        if bad:
            return web.json_response({"bad": bad}, status=422)
        self.taken += [note["key"] for note in notes]
        if fault in ("hang", "wait"):
            await self.go.wait()
        if fault == "reset" and request.transport is not None:
            request.transport.abort()
        return web.json_response({"taken": len(notes)})


class Seen:
    """The metrics of one destination."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.dead: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.doubts = 0
        self.state = BreakerState.CLOSED

    def show(self, state: BreakerState, reason: str | None) -> None:
        assert reason or state is BreakerState.CLOSED
        self.state = state

    def answered(self, kind: Kind, at: float, latency_s: float) -> None:
        assert at > 0 and latency_s >= 0
        self.kinds[kind] += 1

    def doubted(self) -> None:
        self.doubts += 1

    def settled(
        self,
        outcomes: Mapping[str, int],
        dead: Mapping[str, int],
        delivered: Sequence[StoredEntry],
        now: float,
    ) -> None:
        assert len(delivered) <= outcomes.get("delivered", 0) and now > 0
        self.outcomes.update(outcomes)
        self.dead.update(dead)


class Note(msgspec.Struct):
    """What a note's payload is."""

    text: str
    wanted: bool = True


class Hook:
    """The webhook as a destination."""

    def __init__(
        self, url: str, http: aiohttp.ClientSession, terms: Terms, metrics: Seen, timeout_s: float
    ) -> None:
        self._url, self._http, self._timeout = url, http, aiohttp.ClientTimeout(total=timeout_s)
        self.terms, self.metrics = terms, metrics

    def withheld(self, entry: StoredEntry) -> str | None:
        return None if msgspec.json.decode(entry.payload, type=Note).wanted else "not_wanted"

    def payload(self, entry: StoredEntry) -> dict[str, str]:
        text = msgspec.json.decode(entry.payload, type=Note).text
        if not text:
            raise Unsendable("empty", "a note without a text")
        return {"key": entry.key, "text": text}

    async def send(self, payloads: Sequence[dict[str, str]]) -> Answer:
        try:
            async with self._http.post(self._url, json=payloads, timeout=self._timeout) as answer:
                text = await answer.text()
        except aiohttp.ClientConnectorError as error:
            return Answer(verdict=Verdict(kind="retry", answer=type(error).__name__))
        except (aiohttp.ClientError, TimeoutError) as error:
            return Answer(verdict=Verdict(kind="in_doubt", answer=type(error).__name__))
        wait_s = retry_after_s(answer.headers.get("Retry-After"), time.time())
        return Answer(verdict=_verdict(answer.status, text, wait_s), usage=Usage(regain_s=wait_s))

    def mended(self, payload: dict[str, str], verdict: Verdict) -> dict[str, str] | None:
        del payload, verdict
        return None


def _verdict(status: int, text: str, wait_s: float | None) -> Verdict:
    if status == 200:
        return Verdict(kind="delivered", http_status=status, answer=text)
    if status == 422:
        blame = tuple(msgspec.json.decode(text)["bad"])
        return Verdict(kind="data", http_status=status, answer=text, blame=blame)
    if status == 401:
        return Verdict(kind="credential", http_status=status, answer=text)
    return by_status(status, text, wait_s=wait_s)


class Hooks:
    """The webhooks of all tenants: one URL, as many destinations as are asked for."""

    def __init__(self, url: str, http: aiohttp.ClientSession, timeout_s: float) -> None:
        self._url, self._http, self._timeout_s = url, http, timeout_s
        self.terms = TERMS
        self.suspended = False
        self.seen: dict[Key, Seen] = {}

    def usable(self, tenant: str, name: str) -> Hook | None:
        seen = self.seen.setdefault((tenant, name), Seen())
        if self.suspended:
            return None
        return Hook(self._url, self._http, self.terms, seen, self._timeout_s)


class OutboxRig:
    """A product's tables, its receiver, and as many workers as a test wants."""

    def __init__(self, database: Database, receiver: Receiver, http: aiohttp.ClientSession) -> None:
        self.database, self.receiver, self._http = database, receiver, http
        self.ledger = PostgresLedger(database, PRODUCT)
        self.wait_for_receiver(PATIENT_S)

    def wait_for_receiver(self, timeout_s: float) -> None:
        """Workers made from now on give the receiver so long to answer."""
        self.hooks = Hooks(self.receiver.url, self._http, timeout_s)

    def new_worker(
        self,
        *,
        policy: Policy = QUICK,
        herald: Callable[[str, str, News], None] | None = None,
        lease_s: float = 60.0,
    ) -> OutboxWorker[StoredEntry, dict[str, str]]:
        """A worker without a past, with a ledger of its own as another process has."""
        ledger = PostgresLedger(self.database, PRODUCT)
        return OutboxWorker(ledger, self.hooks, lease_s=lease_s, policy=policy, herald=herald)

    async def add(
        self, *keys: str, tenant: str = "loja", text: str = "oi", **note: Any
    ) -> list[Pending]:
        """Notes as a product writes them, in a transaction of its own."""
        expires_at = note.pop("expires_at", None)
        payload = msgspec.json.encode(Note(text, **note)).decode()
        entries = [
            NewEntry(
                tenant=tenant, destination="hook", key=key, payload=payload, expires_at=expires_at
            )
            for key in keys
        ]
        async with self.database.transaction() as connection:
            return await self.ledger.add(connection, entries)

    async def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """Ask PostgreSQL beside the worker."""
        async with self.database.autocommit() as connection:
            cursor = await connection.execute(query.encode(), values)
            return await cursor.fetchall() if cursor.description else []

    async def statuses(self) -> dict[str, str]:
        """Of every entry, by its key."""
        found = await self.rows("select key, status from notes_outbox_entries")
        return {line["key"]: line["status"] for line in found}

    async def outcomes(self, key: str) -> list[str | None]:
        """Of every attempt of an entry, oldest first."""
        found = await self.rows(
            "select a.outcome from notes_outbox_attempts a join notes_outbox_entries e "
            "on e.id = a.entry_id where e.key = %s order by a.id",
            key,
        )
        return [line["outcome"] for line in found]

    async def expire_leases(self) -> None:
        """As if every worker had been away for longer than a lease."""
        await self.rows(
            "update notes_outbox_entries set lease_until = now() - interval '1 second' "
            "where status = 'sending'"
        )


@pytest.fixture
async def outbox_rig(postgres: str) -> AsyncIterator[OutboxRig]:
    """A second product beside the hub, in one database."""
    receiver = Receiver()
    await receiver.start()
    # no connection is kept: one that the receiver has just closed would be a doubt
    fresh = aiohttp.TCPConnector(force_close=True)
    try:
        async with (
            await Database.open(postgres) as database,
            aiohttp.ClientSession(connector=fresh) as http,
        ):
            async with database.transaction() as connection:
                await connection.execute(schema(PRODUCT).encode())
            yield OutboxRig(database, receiver, http)
    finally:
        await receiver.stop()
