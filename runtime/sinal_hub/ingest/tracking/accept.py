"""What becomes of a tracking request: each rule of the door stands here, once.

Nothing here waits. A request is taken in steps, in the order of their cost, and each step ends in a
value or raises the Problem that refuses the request: `entries_of` says what the body holds,
`Acceptance.ask` who sends it, `Acceptance.accept` which events come of it. Between the last two
stands the tenant's limit, which the door asks (`Asked.price`): what is over the limit costs a look
at its sender.

One bad event refuses its batch and is named, because a sender that is told half of it was taken has
no good next step. One bad field does not: it is left out, and the answer's `warnings` name it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from sinal_core.http import body, client_ip, problem
from sinal_core.http.exchange import Answer, Header, Request, json_answer
from sinal_core.http.problem import SUSPENDED, FieldError
from sinal_crds.plan import TenantPlan
from sinal_hub.gateways import text
from sinal_hub.ingest.http import mount
from sinal_hub.ingest.tracking import admission, cookies
from sinal_hub.ingest.tracking.origins import LandingHosts
from sinal_hub.intake import events_from, tracking_schema
from sinal_hub.intake.fields import Fields
from sinal_hub.intake.ports import Caller, Plans
from sinal_hub.intake.tracking_schema import KINDS
from sinal_hub.model.events import TRACKING_KINDS, Event, Kind

MAX_INFLATED = 2 * 1024 * 1024  # 500 events of 4 KiB
MAX_BATCH = 500
# What compressed bodies may come to, beside the limit of events: a few kilobytes on the wire are
# megabytes of work.
INFLATED_PER_EVENT = 1024
MIN_INFLATED_PER_MINUTE = 4 * MAX_INFLATED


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One event of a request before it is understood."""

    kind: Kind
    source: Mapping[str, object]
    path: str  # of its fields, with the closing dot


class Price(msgspec.Struct, frozen=True, gc=False):
    """What a request takes out of a bucket of its tenant's, and what is said where it is empty."""

    bucket: str
    cost: int
    per_minute: int
    refusal: str


class Asked(msgspec.Struct, frozen=True, gc=False):
    """Events whose senders are known, each beside its own."""

    entries: list[Entry]
    callers: list[Caller]

    @property
    def price(self) -> Price:
        """What they cost their tenant."""
        tenant = self.callers[0].tenant
        return Price(
            f"{tenant.slug}:events",
            len(self.entries),
            tenant.limits.events_per_minute,
            "The tenant's limit of events per minute is used up.",
        )


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """The decision: the events to publish, and what their sender is told once they are stored."""

    events: list[Event]
    dropped: list[tuple[str, ...]]  # of each, the malformed ids that it lost
    unknown: int  # fields that nobody reads
    warnings: list[FieldError]  # fields that could not be used
    cookies: tuple[Header, ...]

    def answer(self, duplicates: Iterable[bool]) -> Answer:
        """202; `duplicates` says of each event whether the broker had it before."""
        receipts = list(map(_receipt, self.events, duplicates, self.dropped))
        content: dict[str, object] = {"events": receipts}
        if self.warnings:
            shown = self.warnings[: problem.MAX_ERRORS]
            content["warnings"] = [warning._asdict() for warning in shown]
        return json_answer(202, content, headers=self.cookies)


class Acceptance:
    """The rules that need the plans, and how this edge is reached."""

    def __init__(
        self,
        *,
        plans: Plans,
        landing_hosts: LandingHosts,
        trusted_proxies: int,
        country: client_ip.Country,
    ) -> None:
        self._plans = plans
        self._hosts = landing_hosts
        self._trusted_proxies = trusted_proxies
        self._country = country
        self._admitted = admission.AdmissionCache()

    def ask(self, request: Request, slug: str | None, entries: list[Entry]) -> Asked:
        """Who sends each of the events; noted on the request.

        Raises Problem 400, 401, 403 or 404.
        """
        return Asked(entries, self._callers(request, slug, entries))

    def accept(self, request: Request, asked: Asked, *, now_ms: int) -> Accepted:
        """The events, understood; raises Problem 400 naming every field that refuses one."""
        visitor = self._visitor(request) if request.source == "browser" else events_from.NOBODY
        errors: list[FieldError] = []
        warnings: list[FieldError] = []
        events: list[Event] = []
        dropped: list[tuple[str, ...]] = []
        unknown = 0
        for entry, caller in zip(asked.entries, asked.callers, strict=True):
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
        baked = cookies.headers(request, asked.callers[-1], events[-1])
        return Accepted(events, dropped, unknown, warnings, baked)

    def _callers(self, request: Request, slug: str | None, entries: list[Entry]) -> list[Caller]:
        snapshot = self._plans.snapshot
        if len(entries) == 1 and (
            known := self._admitted.find(snapshot, request, slug, entries[0].source.get("funnel"))
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
        callers: list[Caller] = []
        for entry in entries:
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
        # behind the look at suspension: a caller that is shut out is refused each time
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


def entries_of(request: Request, kind: Kind | None, data: bytes) -> list[Entry]:
    """The events of a whole body: one of `kind`, or without a kind those of a batch.

    A batch is `{"events": [{"type": …}]}`; a `funnel` beside `events` stands for all.

    Raises Problem 400.
    """
    content_type = request.headers.get("content-type", "")
    document = body.json_object(text.transcoded(data, content_type))
    return _listed(document) if kind is None else [Entry(kind, document, "")]


def inflated_price(tenant: TenantPlan, weight: int) -> Price:
    """What a compressed body of this weight costs, beside its events."""
    most = max(MIN_INFLATED_PER_MINUTE, INFLATED_PER_EVENT * tenant.limits.events_per_minute)
    words = "The tenant's limit of compressed bodies per minute is used up."
    return Price(f"{tenant.slug}:inflated", weight, most, words)


def _listed(document: dict[str, object]) -> list[Entry]:
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
