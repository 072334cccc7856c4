"""Tracking events: one, a batch, or a beacon. All of a request is accepted or none of it.

The rules are in `accept.py`; here is what has to be waited for: a body that is still coming, the
tenant's limit, the broker, the disk. There are two ways through, with the same steps. `post` waits.
`begin` takes a request that came whole and waits for nothing: where a step cannot be done at once,
it hands over the rest of the way, to be awaited from that step on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from sinal_core.aio.clock import WallClock
from sinal_core.http import body, problem
from sinal_core.http.exchange import Answer, Request
from sinal_core.nats.errors import BusError
from sinal_hub.ingest.http.observe import Observer
from sinal_hub.ingest.tracking import accept
from sinal_hub.ingest.tracking.accept import Acceptance, Accepted, Asked, Entry, Price
from sinal_hub.ingest.tracking.glance import glance
from sinal_hub.intake import publisher, tracking_schema
from sinal_hub.intake.ports import Limiter, Published
from sinal_hub.model.events import Kind

MAX_BODY = 256 * 1024

# How `begin` ends: with the answer, or with the rest of the way to it.
Ending = Answer | Awaitable[Answer]


class Tracking:
    """The doors for page scripts and shop servers."""

    def __init__(
        self,
        *,
        rules: Acceptance,
        out: publisher.EventPublisher,
        limiter: Limiter,
        observer: Observer,
        clock: WallClock,
        body_timeout_s: float,
    ) -> None:
        self._rules = rules
        self._out = out
        self._limiter = limiter
        self._observer = observer
        self._clock = clock
        self._body_timeout_s = body_timeout_s

    async def post(self, request: Request, slug: str | None, kind: Kind | None) -> Answer:
        """`POST /api/v1/track/<kind>`, or without a kind `POST /api/v1/track/batch`."""
        entries = await self._read(request, slug, kind)
        return await self._limited(request, self._rules.ask(request, slug, entries))

    async def beacon(self, request: Request, slug: str | None, entry: Entry) -> None:
        """One event out of query parameters; the page that loads it is its URL where it names none.

        Raises Problem.
        """
        if (page := request.headers.get("referer")) and not entry.source.get("url"):
            entry = Entry(entry.kind, {**entry.source, "url": page[: tracking_schema.MAX_URL]}, "")
        await self._limited(request, self._rules.ask(request, slug, [entry]))

    def begin(
        self,
        request: Request,
        slug: str | None,
        kind: Kind | None,
        done: Callable[[Ending], None],
    ) -> bool:
        """Take a request that came whole without waiting; `done` is called once with how it ended.

        False where it must go by `post`; nothing has been looked at then.

        Raises Problem.
        """
        raw = request.whole_body
        if (
            raw is None
            or len(raw) > MAX_BODY
            or not self._out.is_direct
            or "content-encoding" in request.headers
        ):
            return False
        body.check_media_type(request)
        asked = self._rules.ask(request, slug, accept.entries_of(request, kind, raw))
        price = asked.price
        if not self._limiter.spend(price.bucket, price.cost, per_minute=price.per_minute):
            done(self._limited(request, asked))
            return True
        accepted = self._accept(request, asked)
        if len(accepted.events) > 1 or not self._out.begin(
            accepted.events[0], partial(self._published, accepted, done)
        ):
            done(self._stored(accepted))
        return True

    def _published(
        self, accepted: Accepted, done: Callable[[Ending], None], result: Published | BusError
    ) -> None:
        if isinstance(result, BusError):
            done(self._rescued(accepted, result))
        else:
            done(accepted.answer([result.duplicate]))

    async def _read(self, request: Request, slug: str | None, kind: Kind | None) -> list[Entry]:
        body.check_media_type(request)
        raw = await body.read(request, limit=MAX_BODY, deadline_s=self._body_timeout_s)
        encoding = request.headers.get("content-encoding", "").strip().lower()
        data = body.inflate(raw, encoding=encoding, limit=accept.MAX_INFLATED)
        if data is not raw:
            await self._admit_inflated(request, slug, data, batch=kind is None)
        return accept.entries_of(request, kind, data)

    async def _admit_inflated(
        self, request: Request, slug: str | None, data: bytes, *, batch: bool
    ) -> None:
        """Before anything is read of it but its sender.

        What is refused for its bytes has spent no events.
        """
        seen = glance(data, batch=batch)
        first = Entry("pageview", {"funnel": seen.funnel}, seen.path)
        asked = self._rules.ask(request, slug, [first])
        await self._admit(accept.inflated_price(asked.callers[0].tenant, seen.weight))

    async def _admit(self, price: Price) -> None:
        wait_s = await self._limiter.take(price.bucket, price.cost, per_minute=price.per_minute)
        if wait_s:
            raise problem.retry(429, price.refusal, wait_s)

    async def _limited(self, request: Request, asked: Asked) -> Answer:
        """From the limit on, before which nothing is done for a request."""
        await self._admit(asked.price)
        return await self._stored(self._accept(request, asked))

    def _accept(self, request: Request, asked: Asked) -> Accepted:
        now_ms = int(self._clock.time() * 1000)
        accepted = self._rules.accept(request, asked, now_ms=now_ms)
        self._observer.understood(
            request.tenant,
            accepted.events,
            unknown=accepted.unknown,
            warnings=len(accepted.warnings),
        )
        return accepted

    async def _stored(self, accepted: Accepted) -> Answer:
        """From the broker on."""
        try:
            return accepted.answer(await self._out.put(accepted.events))
        except publisher.EventTooLarge:
            raise publisher.too_large() from None

    async def _rescued(self, accepted: Accepted, error: BusError) -> Answer:
        """From the broker's refusal on: spooled, or a Problem."""
        try:
            return accepted.answer(await self._out.rescue(accepted.events[0], error))
        except publisher.EventTooLarge:
            raise publisher.too_large() from None
