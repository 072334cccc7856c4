"""From what a sender said to the bus's `Event`: identity, key, times, click.

A key is the sender's own where there is one, so that a repeat is known as such; else it is random.
Everything that the edge adds to an event with a key of its own is derived from that key: the answer
to a repeat is the answer to the first.
"""

from __future__ import annotations

import msgspec

from sinal_core.http import client_ip
from sinal_core.http.exchange import clean_user_agent
from sinal_crds.plan import IntegrationPlan
from sinal_hub import identity
from sinal_hub.intake import ids
from sinal_hub.intake.fields import instant_ms
from sinal_hub.intake.ports import Caller
from sinal_hub.intake.tracking_schema import Draft, private_id
from sinal_hub.model.crawlers import is_crawler
from sinal_hub.model.event_versions import NEWEST
from sinal_hub.model.events import Event, Kind, UserData, Utm, event_row_id
from sinal_hub.model.readback import ReadBack
from sinal_hub.model.sale import Sale, details_of


class Visitor(msgspec.Struct, kw_only=True, frozen=True):
    """What the request itself tells of the sender: address, browser, cookies."""

    ip: str | None = None
    user_agent: str | None = None
    fbc: str | None = None
    fbp: str | None = None
    country: str | None = None  # ISO alpha-2, where the proxies before us tell


NOBODY = Visitor()  # a server's own address says nothing of the visitor


def tracking_event(
    draft: Draft, *, kind: Kind, caller: Caller, visitor: Visitor, now_ms: int
) -> Event:
    """One tracking event as a fact."""
    tenant, funnel = caller.tenant.slug, caller.funnel.name
    event_id, fbclid = draft.event_id, draft.fbclid
    natural = event_id is not None
    # With the kind in it: Meta joins what has the same event name and id, so a page may use one id
    # for several events.
    key = ids.header_safe(f"{funnel}:{kind}:{event_id}") if natural else ids.uuid7(now_ms)
    row_id = event_row_id(tenant, key)
    # a browser's clock may be fast, and Meta refuses what lies in the future
    occurred_at = min(draft.occurred_at or now_ms, now_ms)
    click_id = draft.click_id
    if not click_id and (kind == "click" or fbclid is not None):
        click_id = _new_id("click", row_id, natural)
    user_agent = draft.user_agent or visitor.user_agent
    return Event(
        id=row_id,
        key=key,
        kind=kind,
        tenant=tenant,
        funnel=funnel,
        received_at=now_ms,
        occurred_at=occurred_at,
        source="server" if caller.is_server else "browser",
        natural_key=natural,
        event_id=event_id or row_id,
        click_id=click_id,
        session_id=draft.session_id or _new_id("session", row_id, natural),
        external_id=draft.external_id,
        fbclid=fbclid,
        fbc=_in_time(draft.fbc, now_ms) or _fbc(fbclid, _in_time(visitor.fbc, now_ms), occurred_at),
        fbp=draft.fbp or visitor.fbp,
        url=draft.url,
        referrer=draft.referrer,
        utm=draft.utm,
        user=draft.user,
        ip=draft.ip or visitor.ip,
        user_agent=user_agent,
        consent_ads=draft.consent_ads,
        consent_required=visitor.country is not None
        and visitor.country in caller.funnel.consent.required_in,
        crawler=is_crawler(user_agent),
        value=draft.value,
        currency=draft.currency,
        items=draft.items or [],
        order_id=draft.order_id,
    )


def sale_event(
    sale: Sale,
    *,
    tenant: str,
    funnel: str,
    integration: str,
    received_ms: int,
    told_ms: int | None = None,
    readback: ReadBack | None = None,
    version: int = NEWEST,
) -> Event:
    """One normalised sale of a webhook as a fact, or a notice with the call that tells its sale.

    `version` is that in which it is written, see `model/event_versions.py`.

    What is told has happened: a time after `told_ms` (default: the receipt) is a clock that is
    fast, or a local time whose zone was guessed wrong, and Meta would refuse the sale for it.
    """
    told_ms = received_ms if told_ms is None else told_ms
    notice = readback.notice if readback is not None else None
    event_key = sale.event_key if notice is None else f"{sale.gateway}:notice:{notice}"
    key = ids.header_safe(f"{event_key}:{integration}")
    tracking, customer = sale.tracking, sale.customer
    return Event(
        id=event_row_id(tenant, key),
        key=key,
        kind="sale",
        tenant=tenant,
        funnel=funnel,
        received_at=received_ms,
        occurred_at=min(instant_ms(sale.occurred_at) or told_ms, told_ms),
        source="webhook",
        v=version,
        natural_key=True,
        click_id=tracking.click_id,
        session_id=tracking.session_id,
        external_id=private_id(tracking.external_id),
        fbclid=tracking.fbclid,
        fbc=_in_time(_if_fbc(tracking.fbc), received_ms),
        fbp=_if_fbp(tracking.fbp),
        utm=Utm(**{name: getattr(tracking, f"utm_{name}") for name in Utm.__struct_fields__}),
        user=UserData(**{name: getattr(customer, name) for name in UserData.__struct_fields__}),
        ip=client_ip.parse(sale.client.ip) if sale.client.ip else None,
        user_agent=clean_user_agent(sale.client.user_agent),
        value=sale.value,
        currency=sale.currency,
        order_id=sale.order_id,
        integration=integration,
        sale=details_of(sale),
        readback=readback,
    )


def visitor(
    *,
    ip: str | None,
    user_agent: str | None,
    cookies: dict[str, str],
    country: str | None = None,
) -> Visitor:
    """A browser at the other end; malformed cookies count as absent."""
    return Visitor(
        ip=ip,
        user_agent=user_agent,
        fbc=_if_fbc(cookies.get("_fbc")),
        fbp=_if_fbp(cookies.get("_fbp")),
        country=country,
    )


def _new_id(purpose: str, row_id: str, natural: bool) -> str:
    return ids.derived_id(purpose, row_id) if natural else ids.short_id()


def _fbc(fbclid: str | None, cookie: str | None, observed_ms: int) -> str | None:
    """The cookie to the letter, unless the URL carries a newer click than it (Meta, "fbp and
    fbc").
    """
    if fbclid is None or (cookie is not None and identity.fbclid_of_fbc(cookie) == fbclid):
        return cookie
    return identity.build_fbc(fbclid, observed_ms)


def _in_time(fbc: str | None, now_ms: int) -> str | None:
    """A well-formed fbc that is not from the future: a fast clock's gets the edge's time, or Meta
    would have none.
    """
    if fbc is None:
        return None
    version, index, created, rest = fbc.split(".", 3)
    return fbc if int(created) <= now_ms else f"{version}.{index}.{now_ms}.{rest}"


def _if_fbc(text: str | None) -> str | None:
    return text if text and identity.is_fbc(text) else None


def _if_fbp(text: str | None) -> str | None:
    return text if text and identity.is_fbp(text) else None


def takes(integration: IntegrationPlan, sale: Sale) -> bool:
    """Whether the integration's product filter lets the sale in.

    A sale that names no product passes.
    """
    products = {product.id for product in sale.products if product.id}
    return not integration.products or not products or not products.isdisjoint(integration.products)
