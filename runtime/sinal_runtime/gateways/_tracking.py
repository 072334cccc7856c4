"""What our script put into the checkout link and the gateway gave back.

One short id finds the click again; no gateway keeps `fbclid`, `fbc` and `fbp` reliably, so they are read where they
are and never relied on. A slot is free text: only what has the form of an id is taken for one, and the raw slots are
kept beside it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence

from sinal_runtime.gateways._body import Node, form_fields
from sinal_runtime.gateways.sale import Client, Tracking

_CLICK_ID = re.compile(r"[A-Za-z0-9_-]{1,36}", re.ASCII)
_OURS = re.compile(r"[A-Za-z0-9]{22}", re.ASCII)  # what the page script writes, into the first slot that is free
_HOTMART_OWN = re.compile(r"HOTMART_[A-Z0-9_]+", re.ASCII)  # its own word where the link had no sck
_META_ID = re.compile(r"fb\.\d{1,2}\.\d{10,16}\.[A-Za-z0-9._~=-]{1,600}", re.ASCII)
_MAX_USER_AGENT = 1_000


def click_id(value: str | None) -> str | None:
    """The text if it has the form of a click id: up to 36 letters, digits, `-` and `_`."""
    if value is None or not _CLICK_ID.fullmatch(value) or _HOTMART_OWN.fullmatch(value):
        return None
    return value


def read(sources: Sequence[Node], *, trust: Sequence[str]) -> Tracking:
    """Tracking of several places, the first that says something wins; `trust` orders the slots of the click id."""

    def find(*names: str, accept: Callable[[str], bool] = bool) -> str | None:
        texts = (source.text(name) for name in names for source in sources)
        return next((text for text in texts if text is not None and accept(text)), None)

    return Tracking(
        # A slot of the page's own may look like an id; then ours is in a later one.
        click_id=find(*trust, accept=lambda text: _OURS.fullmatch(text) is not None)
        or find(*trust, accept=lambda text: click_id(text) is not None),
        session_id=find("session_id"),
        external_id=find("external_id"),
        fbclid=find("fbclid"),
        fbc=find("fbc", "_fbc", accept=_is_meta_id),
        fbp=find("fbp", "_fbp", accept=_is_meta_id),
        utm_source=find("utm_source"),
        utm_medium=find("utm_medium"),
        utm_campaign=find("utm_campaign"),
        utm_content=find("utm_content"),
        utm_term=find("utm_term"),
        src=find("src"),
        sck=find("sck"),
    )


def query_of(url: str | None) -> Node:
    """The query parameters of a link; empty for none."""
    if url is None or "?" not in url:
        return Node()
    return form_fields(url.partition("#")[0].partition("?")[2])


def client(ip: str | None, user_agent: str | None = None) -> Client:
    """The buyer's browser; an address that is none is dropped."""
    agent = user_agent[:_MAX_USER_AGENT] if user_agent else None
    try:
        return Client(ip=str(ipaddress.ip_address(ip)) if ip else None, user_agent=agent)
    except ValueError:
        return Client(user_agent=agent)


def _is_meta_id(text: str) -> bool:
    return _META_ID.fullmatch(text) is not None
