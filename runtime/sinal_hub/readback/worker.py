"""Reads notices back before matching sees them.

Everything else of a batch passes through untouched.

A notice is passed on, to be recorded as `ignored`, only after the sales it stands for are on the
bus. Calls share one budget a batch and rest while a gateway's API is down, so that a slow gateway
cannot hold the slots of the match role.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

import msgspec
import structlog

from sinal_core.nats.adaptive_linger import nak_delay_s
from sinal_core.nats.client import Publisher
from sinal_core.nats.errors import BusError
from sinal_core.nats.lane import Lane
from sinal_core.nats.message import Message
from sinal_core.plans.ports import Plans
from sinal_core.telemetry import metrics
from sinal_core.telemetry.places import where
from sinal_crds import names
from sinal_crds.plan import IntegrationPlan, TenantPlan
from sinal_hub.gateways import Gateway, NotThisGateway
from sinal_hub.intake.events_from import sale_event, takes
from sinal_hub.intake.publisher import encode_safe
from sinal_hub.model.events import Event, decode_event
from sinal_hub.model.readback import MissingCredential, ReadBack, ReadsBack
from sinal_hub.model.sale import Sale, checked
from sinal_hub.readback.api import Busy, Denied, NotThere
from sinal_hub.store.matching_rows import DeadLetter, EventHead

log = structlog.get_logger(__name__)

Handler = Callable[[Lane, list[Message]], Awaitable[None]]

BUDGET_S = 4.0  # of one batch; what is not read by then comes again
AT_ONCE = 16
REST_AFTER = 3  # calls in a row that found the API busy
REST_S = 20.0
BUSY_DELIVERIES = 30  # about twenty minutes
DENIED_DELIVERIES = 6
SUSPENDED_S = 15.0  # looked at again after that
MISSING_DELIVERIES = 4  # an API may know a payment later than its own notice


class Api(Protocol):
    """Where sales are read."""

    async def get(
        self, gateway: str, base_url: str, call: ReadBack, credentials: Mapping[str, str]
    ) -> bytes:
        """The answer's body; raises Busy, Denied, NotThere, MissingCredential."""
        ...


class ReadBackWorker:
    """Stands before the match worker's handler."""

    def __init__(
        self,
        matching: Handler,
        *,
        api: Api,
        bus: Publisher,
        plans: Plans,
        gateways: Mapping[str, Gateway],
        dead_letter: Callable[[DeadLetter], Awaitable[None]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._matching = matching
        self._api = api
        self._bus = bus
        self._plans = plans
        self._gateways = gateways
        self._dead_letter = dead_letter
        self._clock = clock
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._busy: dict[str, int] = {}  # calls in a row, by gateway
        self._resting: dict[str, float] = {}  # until when

    async def handle(self, lane: Lane, messages: list[Message]) -> None:
        """Pass on what tells all itself, then read the notices back and pass on those that are
        done.
        """
        notices = {
            message: event
            for message in messages
            if (event := _notice(message, lane.tenant)) is not None
        }
        told = [message for message in messages if message not in notices]
        for message in [
            message for message, event in notices.items() if self._is_suspended(lane.tenant, event)
        ]:
            del notices[message]
            await message.hold(SUSPENDED_S)
        # first: sales that are told whole do not wait for a gateway's API
        if told:
            await self._matching(lane, told)
        if notices and (done := await self._read_all(lane, notices)):
            await self._matching(lane, done)

    def _is_suspended(self, tenant: str, event: Event) -> bool:
        """Whether the notice has to wait: no gateway is asked for an integration that takes
        nothing.
        """
        plan = self._plans.snapshot.tenants.get(tenant)
        integration = plan.integration(event.integration or "") if plan else None
        return plan is not None and integration is not None and plan.refuses(integration)

    async def _read_all(self, lane: Lane, notices: Mapping[Message, Event]) -> list[Message]:
        tasks = {
            asyncio.create_task(self._read(lane.tenant, message, event)): message
            for message, event in notices.items()
        }
        try:
            finished, late = await asyncio.wait(tasks, timeout=BUDGET_S)
        finally:
            for task in tasks:
                task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        failed = {task for task in finished if task.exception() is not None}
        for task in failed:
            fault = task.exception() or Exception()
            log.error("readback.fault", tenant=lane.tenant, at=where(fault), fault=fault)
        for task in late | failed:
            await tasks[task].nak(nak_delay_s(tasks[task].deliveries))
        return [tasks[task] for task in finished - failed if task.result()]

    async def _read(self, tenant: str, message: Message, event: Event) -> bool:
        """Whether the notice is done: its sales are published, or there are none to be had."""
        plan = self._plans.snapshot.tenants.get(tenant)
        integration = plan.integration(event.integration or "") if plan else None
        gateway = self._gateways.get(integration.gateway) if integration else None
        if (
            plan is None
            or integration is None
            or event.readback is None
            or not isinstance(gateway, ReadsBack)
        ):
            return True  # without its integration a notice is only a record
        async with self._slots:
            try:
                sales = _sales(
                    gateway, await self._call(gateway, event.readback, integration), plan.country
                )
                return await self._publish(plan, integration, event, sales)
            except NotThere:
                return await self._later(message, event, "not_there", most=MISSING_DELIVERIES)
            except (Denied, MissingCredential):
                return await self._later(message, event, "denied", most=DENIED_DELIVERIES)
            except (Busy, BusError):
                return await self._later(message, event, "busy", most=BUSY_DELIVERIES)
            except NotThisGateway:
                return await self._later(message, event, "not_understood", most=0)

    async def _call(
        self, gateway: ReadsBack, call: ReadBack, integration: IntegrationPlan
    ) -> bytes:
        name = gateway.NAME
        if self._resting.get(name, 0.0) > self._clock():
            raise Busy("resting")
        try:
            raw = await self._api.get(name, gateway.READBACK_URL, call, integration.credentials)
        except Busy:
            self._busy[name] = self._busy.get(name, 0) + 1
            if self._busy[name] >= REST_AFTER:
                self._resting[name] = self._clock() + REST_S
            raise
        except (Denied, NotThere):
            self._busy.pop(name, None)  # it answered, so that the calls before were not in a row
            raise
        self._busy.pop(name, None)
        return raw

    async def _publish(
        self, plan: TenantPlan, integration: IntegrationPlan, notice: Event, sales: Sequence[Sale]
    ) -> bool:
        for sale in sales:
            if not takes(integration, sale):
                continue
            event = sale_event(
                sale,
                tenant=plan.slug,
                funnel=integration.funnel,
                integration=integration.name,
                received_ms=notice.received_at,
                told_ms=round(time.time() * 1000),
                # The edge chose it for the oldest release that may read this tenant's events
                # (`event_versions`).
                version=notice.v,
            )
            await self._bus.publish(
                names.in_subject(plan.slug, event.kind), encode_safe(event), msg_id=event.key
            )
        metrics.READBACK.labels(integration.gateway, "read").inc()
        return True

    async def _later(self, message: Message, event: Event, outcome: str, *, most: int) -> bool:
        """Let the notice come again.

        After `most` deliveries it is done if there is nothing to read, else dead.
        """
        gateway = event.sale.gateway if event.sale else ""
        metrics.READBACK.labels(gateway, outcome).inc()
        log.warning(
            "readback.failed",
            gateway=gateway,
            tenant=event.tenant,
            event_row=event.id,
            outcome=outcome,
        )
        if message.deliveries < most:
            await message.nak(nak_delay_s(message.deliveries))
            return False
        if outcome == "not_there":
            return True
        await self._dead_letter(_letter(message, event, outcome))
        metrics.DEAD_LETTERS.labels(event.tenant, "exhausted").inc()
        await message.term()
        return False


def _sales(gateway: ReadsBack, raw: bytes, country: str) -> list[Sale]:
    """What the answer tells; an adapter's own fault is an answer that is not understood."""
    try:
        return checked(gateway.parse_readback(raw, country=country))
    except NotThisGateway:
        raise
    except Exception as error:
        log.error(
            "readback.adapter_fault",
            gateway=gateway.NAME,
            error=type(error).__name__,
            at=where(error),
        )
        raise NotThisGateway("adapter fault") from error


def _notice(message: Message, tenant: str) -> Event | None:
    """The message's event if it must be read back; what can't be read is matching's to refuse."""
    # nearly every message: a look at its bytes spares it a second decoding
    if b'"readback"' not in message.body:
        return None
    try:
        event = decode_event(message.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return event if event.readback is not None and event.tenant == tenant else None


def _letter(message: Message, event: Event, outcome: str) -> DeadLetter:
    received, occurred = (
        datetime.fromtimestamp(ms / 1000, UTC) for ms in (event.received_at, event.occurred_at)
    )
    return DeadLetter(
        tenant=event.tenant,
        body=message.body.decode("utf-8", "replace").replace("\x00", ""),
        reason="exhausted",
        detail=f"read-back: {outcome}",
        attempts=message.deliveries,
        event=EventHead(
            id=event.id,
            received_at=received,
            occurred_at=occurred,
            funnel=event.funnel,
            kind=event.kind,
            source=event.source,
        ),
    )
