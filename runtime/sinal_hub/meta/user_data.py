"""Who the event is about: Meta's `user_data`, merged from the sale or visit and the click it was
matched with.

The sale's own data comes first and the click's completes it. Nothing here may cost the event its
delivery: a malformed hash, a stale `fbc`, a private address is dropped as a field. Only SHA-256
digests pass where Meta wants digests, so that clear personal data that slipped in upstream ends
here.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import msgspec

from sinal_hub import identity
from sinal_hub.model.events import Event, UserData

CLOCK_SKEW_MS = 600_000  # a gateway's clock may run behind the one that saw the click
HASHED = ("em", "ph", "fn", "ln", "ct", "st", "zp", "country")
_SHA256 = re.compile(r"[0-9a-f]{64}")

# An event that holds nothing beyond one of these sets is refused as too broad (2804050).
_TOO_BROAD: tuple[frozenset[str], ...] = (
    frozenset({"ct", "country", "st", "zp", "ge", "client_user_agent"}),
    frozenset({"db", "client_user_agent"}),
    frozenset({"fn", "ge"}),
    frozenset({"ln", "ge"}),
)


# in none of them: with one of these it is not
_ENOUGH = frozenset({"em", "ph", "external_id", "fbc", "fbp"})


class ClickData(msgspec.Struct, kw_only=True, frozen=True):
    """What the matched click knows of the visitor; personal data is hashed."""

    click_id: str | None = None
    session_id: str | None = None
    fbc: str | None = None
    fbp: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    url: str | None = None
    referrer: str | None = None
    external_id: str | None = None
    user: UserData = UserData()
    observed_at: int = 0  # Unix ms


Browser = tuple[str | None, str | None]  # address and user agent
_NOBODY = UserData()
_digest = lru_cache(maxsize=512)(identity.digest)  # of countries


def user_data(event: Event, click: ClickData | None, country: str, seen: Browser) -> dict[str, Any]:
    """Meta's `user_data`.

    `country` (ISO alpha-2) stands in where nobody told the buyer's, `seen` is their browser.
    """
    found: dict[str, Any] = {}
    people = [
        user for user in (event.user, _NOBODY if click is None else click.user) if user != _NOBODY
    ]
    for field in HASHED if people else ():
        told = [digests for person in people if (digests := getattr(person, field))]
        if told and (digests := _union(told)):
            found[field] = digests
    # Meta asks for the country always, also where all buyers are of the same one.
    if "country" not in found and country:
        found["country"] = [_digest(country.lower())]
    ids = (event.external_id, click.external_id if click else None)
    # Hashed, as Meta recommends: some shops use an e-mail or a document as their id.
    external = [identity.hashed("external_id", told, country=country) for told in ids if told]
    if any(external):
        found["external_id"] = list(dict.fromkeys(digest for digest in external if digest))
    ip, agent = seen
    optional = {
        "client_ip_address": ip,
        "client_user_agent": agent,
        "fbc": _fbc(event, click),
        "fbp": _fbp(event, click),
    }
    found.update({name: value for name, value in optional.items() if value})
    return found


def identifies(user: dict[str, Any]) -> bool:
    """Whether Meta's baseline check passes.

    A country that only stands in for an unknown one does not count.
    """
    if not _ENOUGH.isdisjoint(user):
        return True
    keys = set(user) - {"country"}
    return not any(keys <= broad for broad in _TOO_BROAD)


def browser(event: Event, click: ClickData | None) -> Browser:
    """Address and user agent of the buyer's browser, from one source where one has both.

    A sale has those that its gateway told of the buyer, never the gateway's own.
    """
    sources = [(event.ip, event.user_agent)]
    if click is not None:
        sources.append((click.ip, click.user_agent))
    pairs = [(public_ip(ip), (agent or "").strip() or None) for ip, agent in sources]
    whole = next(((ip, agent) for ip, agent in pairs if ip and agent), None)
    if whole is not None:
        return whole
    return next((ip for ip, _ in pairs if ip), None), next(
        (agent for _, agent in pairs if agent), None
    )


@lru_cache(maxsize=4_096)  # a visitor's events come close together, and reading an address is dear
def public_ip(text: str | None) -> str | None:
    """The address in its canonical form, or None when it is not an address of the public
    internet.
    """
    try:
        address = ipaddress.ip_address((text or "").strip())
    except ValueError:
        return None
    # A listener for both protocols sees IPv4 browsers like this.
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    # Python counts some multicast addresses as global; no browser has one.
    return str(address) if address.is_global and not address.is_multicast else None


def _union(lists: Iterable[list[str]]) -> list[str]:
    digests = (digest for some in lists for digest in some if _SHA256.fullmatch(digest))
    return list(dict.fromkeys(digests))


def _fbc(event: Event, click: ClickData | None) -> str | None:
    told = (event.fbc, click.fbc if click else None)
    usable = (identity.usable_fbc(fbc, event.occurred_at + CLOCK_SKEW_MS) for fbc in told)
    kept = next((fbc for fbc in usable if fbc), None)
    if kept is not None:
        return kept
    # No cookie: Meta wants the time the click id was first observed, and this event is where it
    # was.
    observed = min(event.occurred_at, event.received_at)
    return identity.build_fbc(event.fbclid, observed) if event.fbclid else None


def _fbp(event: Event, click: ClickData | None) -> str | None:
    told = (event.fbp, click.fbp if click else None)
    return next((fbp for fbp in told if fbp and identity.is_fbp(fbp)), None)
