"""What our script put into the checkout link and the gateway gave back, and what the gateway tells
of the browser.

One short id finds the click again; no gateway keeps `fbclid`, `fbc` and `fbp` reliably, so they are
read where they are and never relied on. A slot is free text: only what has the form of an id is
taken for one, and the raw slots are kept beside it.

Names come in every spelling (`utm_source`, `utmSource`, `UtmSource`, `_fbp`) and at times one
object lower (`utm`, `tracker`): see `_names`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from sinal_core import addresses
from sinal_hub.gateways._body import Node, form_fields, text_of
from sinal_hub.gateways._names import plain, told
from sinal_hub.model import placeholders
from sinal_hub.model.sale import Client, Tracking
from sinal_hub.model.slots import ours_in

_CLICK_ID = re.compile(r"[A-Za-z0-9_-]{1,36}", re.ASCII)
# what the page script writes, into the first slot that is free
_OURS = re.compile(r"[A-Za-z0-9]{22}", re.ASCII)
_HOTMART_OWN = re.compile(r"HOTMART_[A-Z0-9_]+", re.ASCII)  # its own word where the link had no sck
_META_ID = re.compile(r"fb\.\d{1,2}\.\d{10,16}\.[A-Za-z0-9._~=-]{1,600}", re.ASCII)
_MAX_USER_AGENT = 1_000
_UTM = ("source", "medium", "campaign", "content", "term", "id")
_BARE = frozenset(
    {"utm", "utms", "utmparams", "utmparameters", "tracker", "trackers"}
)  # below these `source` is `utm_source`
_BELOW = _BARE | {"tracking", "trackingparameters", "queryparams", "urlparams"}
_DEEP = 3  # objects below a source that are looked into
_BROWSER = {  # the plain names that the buyer's address and browser have
    **dict.fromkeys(
        (
            "ip",
            "ipaddress",
            "clientip",
            "clientipaddress",
            "customerip",
            "buyerip",
            "browserip",
            "remoteip",
            "userip",
        ),
        "ip",
    ),
    **dict.fromkeys(
        ("useragent", "clientuseragent", "browseruseragent", "customeruseragent", "buyeruseragent"),
        "agent",
    ),
}
_BETWEEN = re.compile(r"[\s,;]+")
_MAX_ADDRESSES = 400  # characters of a list of addresses
_NOBODYS = tuple(  # of no one buyer: two strangers may have the same
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
        "224.0.0.0/3", "::/127", "fc00::/7", "fe80::/10",
    )
)  # fmt: skip


def click_id(value: str | None) -> str | None:
    """The text if it has the form of a click id: up to 36 letters, digits, `-` and `_`."""
    if value is None or not _CLICK_ID.fullmatch(value) or _HOTMART_OWN.fullmatch(value):
        return None
    if placeholders.is_no_id(value):
        return None
    return value


def read(sources: Sequence[Node], *, trust: Sequence[str]) -> Tracking:
    """Tracking of several places, the first that says something wins.

    `trust` orders the slots of the click id.
    """
    slots: dict[str, list[object]] = {}
    for source in sources:
        _collect(source, slots, deep=_DEEP)

    def find(*names: str, accept: Callable[[str], bool] = _is_told) -> str | None:
        for name in names:
            for value in slots.get(name, ()):
                text = text_of(value)
                if text is not None and accept(text):
                    return text
        return None

    trusted = [plain(name) for name in trust]
    return Tracking(
        # A slot of the page's own may look like an id; then ours is in a later one.
        click_id=find(*trusted, accept=lambda text: _OURS.fullmatch(text) is not None)
        or ours_in(find(*trusted, accept=lambda text: ours_in(text) is not None) or "")
        or find(*trusted, accept=lambda text: click_id(text) is not None),
        session_id=find("sessionid"),
        external_id=find("externalid"),
        fbclid=find("fbclid"),
        fbc=find("fbc", accept=_is_meta_id),
        fbp=find("fbp", accept=_is_meta_id),
        utm_source=find("utmsource"),
        utm_medium=find("utmmedium"),
        utm_campaign=find("utmcampaign"),
        utm_content=find("utmcontent"),
        utm_term=find("utmterm"),
        src=find("src"),
        sck=find("sck"),
    )


def query_of(url: str | None) -> Node:
    """The query parameters of a link; empty for none."""
    if url is None or "?" not in url:
        return Node()
    return form_fields(url.partition("#")[0].partition("?")[2])


def utm(node: Node) -> Node:
    """An object of UTMs whose names may lack their prefix: `source` is `utm_source`."""
    return Node({f"utm_{name}" if plain(name) in _UTM else name: node.raw(name) for name in node})


def client(ip: str | None, user_agent: str | None = None) -> Client:
    """The buyer's browser.

    The address may have a port or stand in a list, one that is nobody's is dropped.
    """
    return Client(ip=_address(ip), user_agent=user_agent[:_MAX_USER_AGENT] if user_agent else None)


def client_of(*nodes: Node) -> Client:
    """The buyer's browser as the first of several objects tells it, whatever the fields are
    called.
    """
    found: dict[str, str] = {}
    for node in nodes:
        for name, value in told(node):
            if (kind := _BROWSER.get(name)) is not None and kind not in found:
                text = text_of(value)
                found |= {kind: text} if text is not None else {}
    return client(found.get("ip"), found.get("agent"))


def _address(text: str | None) -> str | None:
    """The first address of a list that may be a buyer's: proxies put their own, and private ones,
    beside it.
    """
    parts = _BETWEEN.split(text[:_MAX_ADDRESSES]) if text else []
    found = (address for part in parts if (address := addresses.parse(part)) is not None)
    return next((address for address in found if not _is_nobodys(address)), None)


@lru_cache(maxsize=1_024)
def _is_nobodys(text: str) -> bool:
    address = ipaddress.ip_address(text)
    return any(address.version == network.version and address in network for network in _NOBODYS)


def _collect(source: Node, slots: dict[str, list[object]], *, deep: int) -> None:
    """Put the fields of a source into the slots of their plain names, then those of what is below
    it.
    """
    lower = []
    for name, value in told(source):
        slots.setdefault(name, []).append(value)
        if name in _BELOW and isinstance(value, dict):
            lower.append(utm(Node(value)) if name in _BARE else Node(value))
    for below in lower if deep else ():
        _collect(below, slots, deep=deep - 1)


def _is_told(text: str) -> bool:
    """Whether an id or a campaign says something.

    A later place may, where the first has a placeholder.
    """
    return bool(text) and not placeholders.is_no_campaign(text)


def _is_meta_id(text: str) -> bool:
    return _META_ID.fullmatch(text) is not None
