"""The sender's address, believing only as many proxies as the operator said stand before us.

Each trusted proxy appends the address it saw to X-Forwarded-For, so the sender is the entry that the outermost of them
wrote. Entries further left are the sender's own words. A chain shorter than promised means that somebody came round the
proxies: then only the connection counts.
"""

from __future__ import annotations

from sinal_runtime.addresses import LONGEST, parse

__all__ = ["LONGEST", "client_ip", "parse"]


def client_ip(peer: str | None, forwarded: str | None, *, trusted_proxies: int) -> str | None:
    """The sender's address in its canonical form, or None where there is none (a Unix socket)."""
    if trusted_proxies and forwarded:
        hops = forwarded.split(",")
        if len(hops) >= trusted_proxies and (address := parse(hops[-trusted_proxies])):
            return address
    return parse(peer) if peer else None
