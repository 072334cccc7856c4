"""Out of quarantine: list what is kept, read it again with today's adapters, publish what they
understand, forget it.

Nothing of a body is ever shown. Reading again is safe to repeat and to interrupt: the sales have
keys of their own, and a delivery is forgotten only after the broker has all of them. What is not
released goes by the bucket's expiry.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec
import structlog

from sinal_core.aio.clock import WallClock
from sinal_crds.keyring import Keyring, UnknownKey
from sinal_crds.plan import IntegrationPlan, TenantPlan
from sinal_hub.gateways import Gateway, NotThisGateway
from sinal_hub.intake import events_from
from sinal_hub.intake.events_from import takes
from sinal_hub.intake.ports import Plans
from sinal_hub.intake.publisher import EventPublisher, EventTooLarge
from sinal_hub.model.events import Event
from sinal_hub.model.readback import ReadsBack
from sinal_hub.model.sale import MalformedSale, checked
from sinal_hub.quarantine.keeping import (
    QuarantinedDelivery,
    TamperedDelivery,
    join,
    open_kept,
    read_head,
)
from sinal_hub.quarantine.new_words import awaits_fix
from sinal_hub.quarantine.queue import KEEP_S, HeldDelivery, QuarantineBucket

log = structlog.get_logger(__name__)

AT_ONCE = 16
# heads that one page may look at: who asks for a gateway that has none goes on with the cursor
MAX_LOOKED = 2_000
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

Result = Literal[
    "released",
    "not_understood",
    "integration_gone",
    "gateway_unknown",
    "too_large",
    "cannot_open",
    "suspended",
]


class _Stays(Exception):
    """A delivery that stays in quarantine, and why."""

    def __init__(self, result: Result, reason: str) -> None:
        super().__init__(reason)
        self.result: Result = result
        self.reason = reason


class KeptDelivery(msgspec.Struct, kw_only=True, frozen=True):
    """A kept delivery as it may be shown: where it is from and why it is here, nothing of what it
    says.
    """

    id: str
    tenant: str
    integration: str
    gateway: str
    reason: str
    received_at: datetime
    expires_at: datetime
    sealed_bytes: int
    # where the body is not kept: the tenant's share of quarantine was used up
    body_sha256: str | None = None


class KeptPage(msgspec.Struct, kw_only=True, frozen=True):
    """Kept deliveries, newest first."""

    deliveries: list[KeptDelivery]
    next_cursor: str | None


class Reparsed(msgspec.Struct, kw_only=True, frozen=True):
    """What reading again came to; `events` are ids of the published sales."""

    id: str
    tenant: str
    result: Result
    reason: str | None = None
    events: list[str] = []
    duplicates: int = 0


class ReparsedPage(msgspec.Struct, kw_only=True, frozen=True):
    """The same of many, with how often each result came."""

    results: dict[str, int]
    deliveries: list[Reparsed]
    next_cursor: str | None


class Quarantined:
    """What is in quarantine, of one tenant or of all (`tenant=None`)."""

    def __init__(
        self,
        *,
        bucket: QuarantineBucket,
        keyring: Keyring,
        plans: Plans,
        gateways: Mapping[str, Gateway],
        out: EventPublisher,
        clock: WallClock = time,
    ) -> None:
        self._bucket, self._keyring, self._plans = bucket, keyring, plans
        self._gateways, self._out, self._clock = gateways, out, clock
        self._one_whole = asyncio.Lock()

    async def page(
        self,
        tenant: str | None,
        *,
        gateway: str | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> KeptPage:
        """A page, newest first; `before` is the `next_cursor` of the page before.

        Raises BusError.
        """
        found, cursor = await self._page(tenant, gateway, before, limit)
        return KeptPage(deliveries=[_shown(kept) for kept, _ in found], next_cursor=cursor)

    async def show(self, tenant: str | None, kept_id: str) -> KeptDelivery | None:
        """One of them, or None; raises BusError."""
        found = await self._find(tenant, kept_id)
        return _shown(found[0]) if found is not None else None

    async def reparse(self, tenant: str | None, kept_id: str) -> Reparsed | None:
        """Read one again and publish what it says; None when there is none.

        Raises BusError, Problem 429 or 503.
        """
        found = await self._find(tenant, kept_id)
        return await self._release(*found) if found is not None else None

    async def reparse_all(
        self, tenant: str | None, *, gateway: str, before: str | None = None, limit: int = 100
    ) -> ReparsedPage:
        """Read a page of a gateway's deliveries again; go on with `next_cursor`.

        Raises as `reparse`.
        """
        found, cursor = await self._page(tenant, gateway, before, limit)
        done = [await self._release(kept, held) for kept, held in found]
        results: dict[str, int] = {}
        for one in done:
            results[one.result] = results.get(one.result, 0) + 1
        return ReparsedPage(results=results, deliveries=done, next_cursor=cursor)

    async def _page(
        self, tenant: str | None, gateway: str | None, before: str | None, limit: int
    ) -> tuple[list[tuple[QuarantinedDelivery, HeldDelivery]], str | None]:
        there = await self._bucket.held(tenant)
        # an id begins with its time (UUID version 7), so this is the order of receipt
        ids = sorted(
            (key for key in there if before is None or key[1] < before),
            key=lambda key: key[1],
            reverse=True,
        )
        found: list[tuple[QuarantinedDelivery, HeldDelivery]] = []
        for start in range(0, len(ids), AT_ONCE):
            if start >= MAX_LOOKED:
                return found, ids[start - 1][1]
            chunk = ids[start : start + AT_ONCE]
            read = await asyncio.gather(*(self._read(*key, there[key]) for key in chunk))
            for at, one in enumerate(read, start + 1):
                if one is not None and gateway in (None, one.gateway):
                    found.append((one, there[one.tenant, one.id]))
                if len(found) == limit:
                    return found, found[-1][0].id if at < len(ids) else None
        return found, None

    async def _find(
        self, tenant: str | None, kept_id: str
    ) -> tuple[QuarantinedDelivery, HeldDelivery] | None:
        if not _ID.fullmatch(kept_id):
            return None
        heads = await self._bucket.held(tenant, kept_id)
        for slug, _ in heads:
            held = (await self._bucket.held(slug, f"{kept_id}.>")).get(
                (slug, kept_id), HeldDelivery()
            )
            kept = await self._read(slug, kept_id, held)
            return None if kept is None else (kept, held)
        return None

    async def _read(
        self, slug: str, kept_id: str, held: HeldDelivery
    ) -> QuarantinedDelivery | None:
        """What may be shown of one; its body is not read."""
        head = await self._bucket.head(slug, kept_id)
        if head is None:
            return None
        try:
            kept = read_head(head)
        except TamperedDelivery:
            return await self._read_older(slug, kept_id, head, held)
        return kept if (kept.tenant, kept.id) == (slug, kept_id) else None

    async def _read_older(
        self, slug: str, kept_id: str, head: bytes, held: HeldDelivery
    ) -> QuarantinedDelivery | None:
        """The head of one that an older release cut in two: it is read whole, and no other
        meanwhile.
        """
        async with self._one_whole:
            body = await self._bucket.body(slug, kept_id, held)
        try:
            kept = None if body is None else join(head, body)
        except TamperedDelivery:
            log.error("quarantine.unreadable", tenant=slug, id=kept_id)
            return None
        if kept is None or (kept.tenant, kept.id) != (slug, kept_id):
            return None
        return msgspec.structs.replace(kept, ciphertext=b"", apart=len(kept.ciphertext))

    async def _whole(self, kept: QuarantinedDelivery, held: HeldDelivery) -> QuarantinedDelivery:
        """The same with its body; raises _Stays, BusError."""
        if kept.digest is not None:
            raise _Stays(
                "cannot_open",
                "only its digest was kept: the tenant's share of quarantine was used up",
            )
        head = await self._bucket.head(kept.tenant, kept.id)
        body = await self._bucket.body(kept.tenant, kept.id, held)
        if head is None or body is None:
            raise _Stays("cannot_open", "it is not whole any more")
        try:
            return join(head, body)
        except TamperedDelivery as error:
            raise _Stays("cannot_open", str(error)) from error

    async def _release(self, kept: QuarantinedDelivery, held: HeldDelivery) -> Reparsed:
        result = await self._publish(kept, held)
        if result.result == "released":
            await self._bucket.remove(kept.tenant, kept.id)
        log.info(
            "quarantine.reparsed",
            tenant=kept.tenant,
            id=kept.id,
            gateway=kept.gateway,
            result=result.result,
        )
        return result

    async def _publish(self, kept: QuarantinedDelivery, held: HeldDelivery) -> Reparsed:
        try:
            events = self._understand(await self._whole(kept, held))
            duplicates = await self._out.put(events)
        except _Stays as error:
            return Reparsed(
                id=kept.id, tenant=kept.tenant, result=error.result, reason=error.reason
            )
        except EventTooLarge:
            reason = "a sale is larger than the broker takes"
            return Reparsed(id=kept.id, tenant=kept.tenant, result="too_large", reason=reason)
        ids = [event.id for event in events]
        return Reparsed(
            id=kept.id,
            tenant=kept.tenant,
            result="released",
            events=ids,
            duplicates=sum(duplicates),
        )

    def _understand(self, kept: QuarantinedDelivery) -> list[Event]:
        gateway, place = self._gateways.get(kept.gateway), self._place(kept)
        if gateway is None:
            raise _Stays("gateway_unknown", "this release has no adapter of that name")
        if place is None:
            raise _Stays(
                "integration_gone", "the tenant's plan has no integration of that name any more"
            )
        if place[0].refuses(place[1]):
            raise _Stays(
                "suspended",
                "the integration, its funnel or its tenant is suspended; resume it first",
            )
        try:
            return self._events(gateway, kept, open_kept(kept, self._keyring), *place)
        except _Stays:
            raise
        except (TamperedDelivery, UnknownKey) as error:
            raise _Stays("cannot_open", str(error)) from error
        except NotThisGateway as error:
            raise _Stays("not_understood", str(error)) from error
        except MalformedSale as error:
            raise _Stays("not_understood", f"adapter fault: {error}") from error
        except Exception as error:  # an adapter's fault: the next release may read it
            raise _Stays("not_understood", f"adapter fault: {type(error).__name__}") from error

    def _place(self, kept: QuarantinedDelivery) -> tuple[TenantPlan, IntegrationPlan] | None:
        tenant = self._plans.snapshot.tenants.get(kept.tenant)
        for integration in tenant.integrations if tenant is not None else ():
            if tenant is not None and (integration.name, integration.gateway) == (
                kept.integration,
                kept.gateway,
            ):
                return tenant, integration
        return None

    def _events(
        self,
        gateway: Gateway,
        kept: QuarantinedDelivery,
        raw: bytes,
        tenant: TenantPlan,
        integration: IntegrationPlan,
    ) -> list[Event]:
        now_ms = int(self._clock.time() * 1000)
        sales = checked(gateway.parse(raw, country=tenant.country))
        if awaits_fix(gateway, sales):
            raise _Stays("not_understood", "the word for what happened is still new to the adapter")
        return [
            events_from.sale_event(
                sale,
                tenant=tenant.slug,
                funnel=integration.funnel,
                integration=integration.name,
                received_ms=now_ms,
                # a sale without a time of its own is not as new as its reading
                told_ms=kept.received_at,
                # headers and query of the delivery are not kept
                readback=gateway.readback(raw, {}, {}) if isinstance(gateway, ReadsBack) else None,
            )
            for sale in sales
            if takes(integration, sale)
        ]


def _shown(kept: QuarantinedDelivery) -> KeptDelivery:
    received = datetime.fromtimestamp(kept.received_at / 1000, UTC)
    return KeptDelivery(
        id=kept.id,
        tenant=kept.tenant,
        integration=kept.integration,
        gateway=kept.gateway,
        reason=kept.reason,
        received_at=received,
        expires_at=received + timedelta(seconds=KEEP_S),
        sealed_bytes=kept.apart or len(kept.ciphertext),
        body_sha256=kept.digest.hex() if kept.digest is not None else None,
    )
