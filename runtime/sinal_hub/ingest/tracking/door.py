"""Tracking events: one, a batch, or a beacon. All of a request is accepted or none of it.

The order is that of cost: size, shape, who, rate, fields, broker. What is over the limit costs a
look at its sender. One bad event refuses its batch and is named, because a sender that is told half
of it was taken has no good next step. One bad field does not: it is left out, and the answer's
`warnings` name it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

from sinal_core.aio.clock import WallClock
from sinal_core.http import body, client_ip, problem
from sinal_core.http.exchange import Answer, Header, Request, json_answer
from sinal_core.http.problem import SUSPENDED, FieldError
from sinal_core.nats.errors import BusError
from sinal_crds.plan import TenantPlan
from sinal_hub.gateways import text
from sinal_hub.ingest.http import mount
from sinal_hub.ingest.http.observe import Observer
from sinal_hub.ingest.tracking import admission, cookies
from sinal_hub.ingest.tracking.glance import glance
from sinal_hub.ingest.tracking.origins import LandingHosts
from sinal_hub.intake import events_from, ports, publisher, tracking_schema
from sinal_hub.intake.fields import Fields
from sinal_hub.intake.ports import Limiter, Plans, Published
from sinal_hub.intake.tracking_schema import KINDS
from sinal_hub.model.events import TRACKING_KINDS, Event, Kind

MAX_BODY = 256 * 1024
MAX_INFLATED = 2 * 1024 * 1024  # 500 events of 4 KiB
MAX_BATCH = 500
# What compressed bodies may come to, beside the limit of events: a few kilobytes on the wire are
# megabytes of work.
INFLATED_PER_EVENT = 1024
MIN_INFLATED_PER_MINUTE = 4 * MAX_INFLATED


class Entry(NamedTuple):
    """One event of a request before it is understood."""

    kind: Kind
    source: Mapping[str, object]
    path: str  # of its fields, with the closing dot


class Understood(NamedTuple):
    """The events of a request that may be accepted."""

    events: list[Event]
    dropped: list[tuple[str, ...]]  # of each, the malformed ids that it lost
    unknown: int  # fields that nobody reads
    warnings: list[FieldError]  # fields that could not be used


class Receipt(NamedTuple):
    """One event on its way, and how the way ended."""

    event: Event
    dropped: tuple[str, ...]
    warnings: list[FieldError]
    cookies: tuple[Header, ...]
    result: Published | BusError


class Tracking:
    """The doors for page scripts and shop servers."""

    def __init__(
        self,
        *,
        plans: Plans,
        out: publisher.EventPublisher,
        limiter: Limiter,
        landing_hosts: LandingHosts,
        observer: Observer,
        clock: WallClock,
        trusted_proxies: int,
        country: client_ip.Country,
        body_timeout_s: float,
    ) -> None:
        self._plans = plans
        self._out = out
        self._limiter = limiter
        self._hosts = landing_hosts
        self._observer = observer
        self._clock = clock
        self._trusted_proxies = trusted_proxies
        self._country = country
        self._body_timeout_s = body_timeout_s
        self._admitted = admission.AdmissionCache()

    async def one(self, request: Request, slug: str | None, kind: Kind) -> Answer:
        """`POST /api/v1/track/<kind>`."""
        return await self._accept(request, slug, [Entry(kind, await self._read(request, slug), "")])

    async def batch(self, request: Request, slug: str | None) -> Answer:
        """`POST /api/v1/track/batch`: `{"events": [{"type": …}]}`.

        A `funnel` beside `events` stands for all.
        """
        return await self._accept(
            request, slug, entries(await self._read(request, slug, batch=True))
        )

    async def beacon(self, request: Request, slug: str | None, entry: Entry) -> None:
        """One event out of query parameters; the page that loads it is its URL where it names none.

        Raises Problem.
        """
        if (page := request.headers.get("referer")) and not entry.source.get("url"):
            entry = entry._replace(source={**entry.source, "url": page[: tracking_schema.MAX_URL]})
        await self._accept(request, slug, [entry])

    def begin(
        self, request: Request, slug: str | None, kind: Kind | None, done: Callable[[Receipt], None]
    ) -> bool:
        """Take a whole request with one event (`kind`: its path's, None for a batch) without
        waiting for anything.

        `done` is called when the broker has told what became of it. False where the request must be
        taken by `one` or `batch`: nothing has happened then, and they find out what is wrong with
        it.
        """
        raw = request.whole_body or b""
        if len(raw) > MAX_BODY or not self._out.is_direct or "content-encoding" in request.headers:
            return False
        try:
            body.check_media_type(request)
            document = body.json_object(raw)
            found = [Entry(kind, document, "")] if kind else entries(document)
            if len(found) != 1:
                return False
            callers = self._callers(request, slug, found)
        except problem.Problem:
            return False
        tenant = callers[0].tenant
        bucket = f"{tenant.slug}:events"
        if not self._limiter.spend(bucket, 1, per_minute=tenant.limits.events_per_minute):
            return False
        if self._begin(request, found, callers, done):
            return True
        self._limiter.give_back(bucket, 1)  # the usual way takes it again
        return False

    def _begin(
        self,
        request: Request,
        found: list[Entry],
        callers: list[ports.Caller],
        done: Callable[[Receipt], None],
    ) -> bool:
        """Understand the one event and send it on its way."""
        try:
            understood = self._understand(request, found, callers)
        except problem.Problem:
            return False
        (event,) = understood.events
        dropped, warnings = understood.dropped[0], understood.warnings
        baked = cookies.headers(request, callers[0], event)
        if not self._out.begin(
            event, lambda result: done(Receipt(event, dropped, warnings, baked, result))
        ):
            return False
        self._observer.understood(
            event.tenant,
            understood.events,
            unknown=understood.unknown,
            warnings=len(understood.warnings),
        )
        return True

    def accepted(self, receipt: Receipt) -> Answer:
        """The answer to what `begin` took and the broker has."""
        duplicate = not isinstance(receipt.result, BusError) and receipt.result.duplicate
        return _answer(
            [receipt.event], [duplicate], [receipt.dropped], receipt.warnings, receipt.cookies
        )

    async def rescue(self, receipt: Receipt) -> Answer:
        """The answer to what `begin` took and the broker has not: spooled, or a Problem."""
        event, error = receipt.event, receipt.result
        duplicates = await self._stored(
            self._out.settle([event], [publisher.encode_safe(event)], [error])
        )
        return _answer([event], duplicates, [receipt.dropped], receipt.warnings, receipt.cookies)

    async def _read(
        self, request: Request, slug: str | None, *, batch: bool = False
    ) -> dict[str, object]:
        body.check_media_type(request)
        raw = await body.read(request, limit=MAX_BODY, deadline_s=self._body_timeout_s)
        encoding = request.headers.get("content-encoding", "").strip().lower()
        data = body.inflate(raw, encoding=encoding, limit=MAX_INFLATED)
        if data is not raw:
            seen = glance(data, batch=batch)
            callers = self._callers(
                request, slug, [Entry("pageview", {"funnel": seen.funnel}, seen.path)]
            )
            await self._admit_inflated(callers[0].tenant, seen.weight)
        return body.json_object(text.transcoded(data, request.headers.get("content-type", "")))

    async def _accept(self, request: Request, slug: str | None, found: list[Entry]) -> Answer:
        callers = self._callers(request, slug, found)
        await self._admit_rate(callers[0].tenant, len(found))
        understood = self._understand(request, found, callers)
        events, dropped, _, warnings = understood
        self._observer.understood(
            request.tenant,
            understood.events,
            unknown=understood.unknown,
            warnings=len(understood.warnings),
        )
        baked = cookies.headers(request, callers[-1], events[-1])
        return _answer(events, await self._stored(self._out.put(events)), dropped, warnings, baked)

    async def _stored(self, storing: Awaitable[list[bool]]) -> list[bool]:
        try:
            return await storing
        except publisher.EventTooLarge:
            raise publisher.too_large() from None

    def _understand(
        self, request: Request, found: list[Entry], callers: list[ports.Caller]
    ) -> Understood:
        now_ms = int(self._clock.time() * 1000)
        visitor = self._visitor(request) if request.source == "browser" else events_from.NOBODY
        errors: list[FieldError] = []
        warnings: list[FieldError] = []
        events: list[Event] = []
        dropped: list[tuple[str, ...]] = []
        unknown = 0
        for entry, caller in zip(found, callers, strict=True):
            fields = Fields(entry.source, path=entry.path, errors=errors, warnings=warnings)
            drafted = tracking_schema.read(
                fields,
                now_ms=now_ms,
                country=caller.tenant.country,
                believe_client=caller.is_server,
            )
            if errors:
                continue
            unknown += drafted.unknown_fields
            dropped.append(drafted.dropped)
            events.append(
                events_from.tracking_event(
                    drafted, kind=entry.kind, caller=caller, visitor=visitor, now_ms=now_ms
                )
            )
        if errors:
            raise problem.invalid(errors)
        return Understood(events, dropped, unknown, warnings)

    def _callers(
        self, request: Request, slug: str | None, found: list[Entry]
    ) -> list[ports.Caller]:
        snapshot = self._plans.snapshot
        if len(found) == 1 and (
            known := self._admitted.find(snapshot, request, slug, found[0].source.get("funnel"))
        ):
            request.source, request.tenant, request.page_admitted = (
                "browser",
                known.tenant.slug,
                True,
            )
            return [known]
        where = mount.place(snapshot, request, slug)
        gate = admission.Admission(
            snapshot=snapshot, landing_hosts=self._hosts, request=request, where=where
        )
        request.source = "server" if gate.is_server else "browser"
        callers: list[ports.Caller] = []
        for entry in found:
            errors: list[FieldError] = []
            funnel = Fields(entry.source, path=entry.path, errors=errors).text(
                "funnel", mount.MAX_CREDENTIAL
            )
            if errors:
                raise problem.invalid(errors)
            callers.append(gate.admit(funnel, field=entry.path + "funnel"))
            if callers[-1].tenant.slug != callers[0].tenant.slug:
                raise problem.invalid(
                    [FieldError(entry.path + "funnel", "belongs to another tenant than events[0]")]
                )
        request.tenant = callers[0].tenant.slug
        request.page_admitted = not gate.is_server
        if any(caller.tenant.shuts(caller.funnel) for caller in callers):
            request.source = SUSPENDED
            raise problem.suspended()
        self._admitted.remember(snapshot, request, slug, callers[0])
        return callers

    def _visitor(self, request: Request) -> events_from.Visitor:
        ip = client_ip.client_ip(
            request.peer,
            request.headers.get("x-forwarded-for"),
            trusted_proxies=self._trusted_proxies,
        )
        return events_from.visitor(
            ip=ip,
            user_agent=request.user_agent,
            cookies=request.cookies,
            country=self._country.of(request.headers),
        )

    async def _admit_inflated(self, tenant: TenantPlan, size: int) -> None:
        """Before anything is read of it but its sender.

        What is refused for its bytes has spent no events.
        """
        most = max(MIN_INFLATED_PER_MINUTE, INFLATED_PER_EVENT * tenant.limits.events_per_minute)
        if wait_s := await self._limiter.take(f"{tenant.slug}:inflated", size, per_minute=most):
            raise problem.retry(
                429, "The tenant's limit of compressed bodies per minute is used up.", wait_s
            )

    async def _admit_rate(self, tenant: TenantPlan, count: int) -> None:
        """Before anything is done for it."""
        per_minute = tenant.limits.events_per_minute
        if wait_s := await self._limiter.take(
            f"{tenant.slug}:events", count, per_minute=per_minute
        ):
            raise problem.retry(429, "The tenant's limit of events per minute is used up.", wait_s)


def entries(document: dict[str, object]) -> list[Entry]:
    """The events of a batch body; raises Problem 400 naming what is wrong."""
    listed = document.get("events")
    if not isinstance(listed, list) or not listed:
        raise problem.invalid([FieldError("events", "must be a list of 1 to 500 events")])
    if len(listed) > MAX_BATCH:
        raise problem.invalid(
            [FieldError("events", f"has {len(listed)} entries: at most {MAX_BATCH} fit a batch")]
        )
    errors: list[FieldError] = []
    found = [
        _entry(item, f"events[{at}]", document.get("funnel"), errors)
        for at, item in enumerate(listed)
    ]
    if errors:
        raise problem.invalid(errors)
    return [entry for entry in found if entry is not None]


def _entry(item: object, path: str, funnel: object, errors: list[FieldError]) -> Entry | None:
    if not isinstance(item, dict):
        errors.append(FieldError(path, "must be an object"))
        return None
    name = item.get("type")
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        errors.append(FieldError(f"{path}.type", "must be one of " + ", ".join(TRACKING_KINDS)))
        return None
    return Entry(
        kind, item if "funnel" in item or funnel is None else {**item, "funnel": funnel}, f"{path}."
    )


def _answer(
    events: Sequence[Event],
    duplicates: Sequence[bool],
    dropped: Sequence[tuple[str, ...]],
    warnings: Sequence[FieldError],
    baked: Sequence[Header],
) -> Answer:
    content: dict[str, object] = {"events": list(map(_receipt, events, duplicates, dropped))}
    if warnings:
        content["warnings"] = [warning._asdict() for warning in warnings[: problem.MAX_ERRORS]]
    return json_answer(202, content, headers=baked)


def _receipt(event: Event, duplicate: bool, dropped: tuple[str, ...]) -> dict[str, object]:
    receipt: dict[str, object] = {
        "id": event.id,
        "event_id": event.event_id,
        "click_id": event.click_id,
        "session_id": event.session_id,
        "duplicate": duplicate,
    }
    if dropped:
        receipt["dropped"] = dropped
    return receipt
