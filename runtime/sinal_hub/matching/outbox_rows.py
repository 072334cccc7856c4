"""A sent event's claim and outbox rows: its stable Meta id, its payload, one row a destination.

One Purchase an order for ever: its claim names the order, not the event, whatever value or status
arrives later.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from sinal_crds.plan import FunnelPlan, TenantPlan
from sinal_hub.matching.decision import Verdict, destinations
from sinal_hub.matching.people import completing
from sinal_hub.matching.values import worth
from sinal_hub.meta import payload
from sinal_hub.model.events import Event, encode, meta_event_id
from sinal_hub.model.evidence import Candidate
from sinal_hub.model.times import moment
from sinal_hub.store.matching_rows import CapiRow, KeyClaim

PURCHASE = "Purchase"
# A browser's event is too old for Meta after 7 days; its claim needs to live no longer than a
# repeat could be sent.
VISIT_CLAIM = timedelta(days=8)


class OutboxEntry(msgspec.Struct, kw_only=True, frozen=True):
    """What goes into the outbox if its claim is won.

    An event that is unique by itself claims nothing.
    """

    event_id: str
    claim: KeyClaim | None
    rows: list[CapiRow]


def pack(
    tenant: TenantPlan,
    funnel: FunnelPlan,
    event: Event,
    verdict: Verdict,
    *,
    click: Candidate | None,
    conversion_id: int | None,
    now: datetime,
    namesake: bool = False,
) -> OutboxEntry:
    """The parcel of an event that is to be sent; raises payload.Unidentifiable."""
    # The id is made of the sale's own value and not of what the funnel's rules make of it: a page
    # can compute it, and a changed rule makes no second id.
    event_id = meta_id(tenant.slug, event, verdict.event_name, namesake=namesake)
    value, currency = event.value, event.currency
    if event.sale is not None:
        value, currency = worth(value, currency, funnel.value)
    # Rules of value are for sales. What a page says its visit is worth stays, and gets the currency
    # that it lacks: Meta refuses a value without one.
    elif value is not None and currency is None:
        currency = funnel.value.currency
    built = payload.build(
        tenant=tenant,
        funnel=funnel,
        event=event,
        event_name=verdict.event_name,
        event_id=event_id,
        click=None if click is None else click_data(click, event),
        value=value,
        currency=currency,
    )
    document = msgspec.Raw(encode(built))
    rows = [
        CapiRow(
            source_event=event.id,
            conversion_id=conversion_id,
            funnel=funnel.name,
            destination=destination,
            event_name=verdict.event_name,
            event_id=event_id,
            event_time=event.occurred_at // 1000,
            payload_json=document,
            consent_ads=verdict.consent,
            received_at=moment(event.received_at),
        )
        for destination in destinations(tenant, funnel)
    ]
    return OutboxEntry(
        event_id=event_id, claim=_claim(event, verdict.event_name, event_id, now), rows=rows
    )


def meta_id(slug: str, event: Event, event_name: str, *, namesake: bool = False) -> str:
    """The id that Meta deduplicates by: of the order for sales, the browser's own for visits.

    A page that computes an order's id knows no gateway, so that none is in it; of a `namesake` it
    is, since Meta would take two gateways' orders of one number and value for one.
    """
    sale = event.sale
    if sale is not None and event.order_id is not None:
        order = f"{sale.gateway}:{event.order_id}" if namesake else event.order_id
        return meta_event_id(slug, order, event_name, event.value, event.currency)
    return event.event_id or event.id


def _claim(event: Event, event_name: str, event_id: str, now: datetime) -> KeyClaim | None:
    if event.sale is not None:
        return KeyClaim(key=_sale_key(event, event_name, event_id), source="meta", owner=event.id)
    if event.event_id is None:
        return None
    key = f"{event_name}:{event_id}"
    return KeyClaim(key=key, source="meta", owner=event.id, expires_at=now + VISIT_CLAIM)


def _sale_key(event: Event, event_name: str, event_id: str) -> str:
    if event.sale is not None and event_name == PURCHASE and event.order_id is not None:
        return f"{PURCHASE}:{event.sale.gateway}:{event.order_id}"
    return f"{event_name}:{event_id}"


def click_data(click: Candidate, event: Event) -> payload.ClickData:
    """The matched click as payloads take it.

    Its forms complete what the event tells of its person.
    """
    return payload.ClickData(
        click_id=click.click_id,
        session_id=click.session_id,
        fbc=click.fbc or _fbc(click),
        fbp=click.fbp,
        ip=click.ip,
        user_agent=click.user_agent,
        url=click.url,
        referrer=click.referrer,
        external_id=click.external_id,
        user=completing(click, event),
        observed_at=click.first_at,
    )


def _fbc(click: Candidate) -> str | None:
    """Meta's form for a click id seen without its cookie; the time is that of the first sight."""
    return f"fb.1.{click.first_at}.{click.fbclid}" if click.fbclid else None
