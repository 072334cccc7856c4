"""One Meta server event out of one accepted fact: the JSON object that lies in the outbox until it
is sent.

Pure and deterministic: the same fact and click give the same object, so a replay sends what the
first attempt sent. It is built once, when the event is matched; what only the moment of sending can
tell (age, consent, token) belongs to `validation` and `worker`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from sinal_core.telemetry import personal
from sinal_crds.plan import FunnelPlan, TenantPlan
from sinal_hub.meta.custom_data import custom_data
from sinal_hub.meta.limits import without
from sinal_hub.meta.user_data import Browser, ClickData, browser, identifies, user_data
from sinal_hub.model.events import Event

__all__ = ["ClickData", "Unidentifiable", "build"]

NO_BROWSER: Browser = (None, None)
# The device at a till is the seller's: neither its browser nor a page of the website belongs to
# such a sale.
IN_A_SHOP = {"action_source": "physical_store"}


class Unidentifiable(ValueError):
    """Nothing tells Meta who the event is about: it would refuse it (2804050), and its whole batch
    with it.
    """


def build(
    *,
    tenant: TenantPlan,
    funnel: FunnelPlan,
    event: Event,
    event_name: str,
    event_id: str,
    click: ClickData | None,
    value: str | None,
    currency: str | None,
) -> dict[str, Any]:
    """One server event as Meta wants it.

    `value` is a decimal string after the funnel's value rules.

    Raises Unidentifiable when what is known of the person fails Meta's baseline check.
    """
    in_person = event.sale is not None and event.sale.in_person is True
    seen = NO_BROWSER if in_person else browser(event, click)
    user = user_data(event, click, tenant.country, seen)
    payload: dict[str, Any] = {
        "event_name": event_name,
        "event_time": event.occurred_at // 1000,
        "event_id": event_id,
        **(IN_A_SHOP if in_person else _source(funnel, event, click, seen)),
    }
    referrer = _first_url(event.referrer, click.referrer if click else None)
    if referrer and not in_person:
        payload["referrer_url"] = referrer
    payload["user_data"] = user
    custom = custom_data(event, event_name, value, currency)
    if custom:
        payload["custom_data"] = custom
    if funnel.withheld:
        payload = without(payload, funnel.withheld)
    # Asked after fields are withheld: they may be all that named the person.
    if not identifies(payload["user_data"]):
        raise Unidentifiable(
            f"{event_name} of funnel {funnel.name}: no field of user_data identifies a person"
        )
    return payload


def _source(
    funnel: FunnelPlan, event: Event, click: ClickData | None, seen: Browser
) -> dict[str, str]:
    """`website` needs a URL and the browser's user agent.

    A sale without a click has neither and says so.
    """
    url = _first_url(event.url, click.url if click else None)
    if seen[1] is None:
        return {"action_source": "system_generated"} | ({"event_source_url": url} if url else {})
    url = url or next(
        (f"https://{host}/" for host in funnel.landing_hosts if "*" not in host), None
    )
    if url is None:
        return {"action_source": "system_generated"}
    return {"action_source": "website", "event_source_url": url}


def _first_url(*candidates: str | None) -> str | None:
    return next((clean for url in candidates if url and (clean := clean_url(url))), None)


@lru_cache(maxsize=4_096)  # few pages make most of the visits
def clean_url(url: str) -> str | None:
    """A web URL without fragment, log-in and personal query parameters; None for anything else."""
    try:
        parts = urlsplit(url.strip())
        host = parts.netloc.rpartition("@")[2]
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            return None
    except ValueError:  # brackets that hold no address, a port that is not a number
        return None
    # Prefilled checkouts carry the buyer in their query string; Meta forbids clear personal data in
    # URLs.
    kept = [pair for pair in parts.query.split("&") if pair and not personal.is_personal_pair(pair)]
    path = personal.without_person(parts.path)
    return parts._replace(netloc=host, path=path, query="&".join(kept), fragment="").geturl()
