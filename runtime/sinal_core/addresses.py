"""IP addresses as connections, proxies and payment gateways write them: with a port, in brackets,
mapped into IPv6.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

LONGEST = 64  # characters: "[", an IPv6 address (45), a zone, "]:65535"


def parse(text: str) -> str | None:
    """One IP address as text, port and brackets stripped, IPv4-mapped IPv6 as IPv4.

    None for anything else.
    """
    # a header's value may be long, and is not to be remembered
    return _parse(text) if len(text) <= LONGEST else None


@lru_cache(maxsize=8_192)  # a visitor sends several events, a proxy all of them
def _parse(text: str) -> str | None:
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    # one colon stands before a port; an IPv6 address has two at least
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        # a zone (RFC 4007) means something on the sender's own machine only
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)
