"""The sender's address, believing only as many proxies as the operator said stand before us.

Each trusted proxy appends the address it saw to X-Forwarded-For, so the sender is the entry that the outermost of them
wrote. Entries further left are the sender's own words. A chain shorter than promised means that somebody came round the
proxies: then only the connection counts.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

LONGEST = 64  # characters: "[", an IPv6 address (45), a zone, "]:65535"


def client_ip(peer: str | None, forwarded: str | None, *, trusted_proxies: int) -> str | None:
    """The sender's address in its canonical form, or None where there is none (a Unix socket)."""
    if trusted_proxies and forwarded:
        hops = forwarded.split(",")
        if len(hops) >= trusted_proxies and (address := parse(hops[-trusted_proxies])):
            return address
    return parse(peer) if peer else None


def parse(text: str) -> str | None:
    """One IP address as text, port and brackets stripped, IPv4-mapped IPv6 as IPv4; None for anything else."""
    return _parse(text) if len(text) <= LONGEST else None  # a header's value may be long, and is not to be remembered


@lru_cache(maxsize=8_192)  # a visitor sends several events, a proxy all of them
def _parse(text: str) -> str | None:
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)
