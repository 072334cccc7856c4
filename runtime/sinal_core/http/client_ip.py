"""The sender's address, believing only as many proxies as the operator said stand before us.

Each trusted proxy appends the address it saw to X-Forwarded-For, so the sender is the entry that
the outermost of them wrote. Entries further left are the sender's own words. A chain shorter than
promised means that somebody came round the proxies: then only the connection counts.
"""

from __future__ import annotations

from collections.abc import Mapping

from sinal_core.addresses import LONGEST, parse

__all__ = ["LONGEST", "client_ip", "parse"]


def client_ip(peer: str | None, forwarded: str | None, *, trusted_proxies: int) -> str | None:
    """The sender's address in its canonical form, or None where there is none (a Unix socket)."""
    if trusted_proxies and forwarded:
        hops = forwarded.split(",")
        if len(hops) >= trusted_proxies and (address := parse(hops[-trusted_proxies])):
            return address
    return parse(peer) if peer else None


class Country:
    """Where visitors are, as the proxies before us tell in a header.

    A sender's own word counts for nothing.
    """

    def __init__(self, header: str | None, *, trusted_proxies: int) -> None:
        self._header = header.lower() if header and trusted_proxies else None
        self._trusted_proxies = trusted_proxies

    def of(self, headers: Mapping[str, str]) -> str | None:
        """ISO alpha-2 in capital letters.

        None where no proxy has told it, or where it does not know (XX, T1).
        """
        if self._header is None or (told := headers.get(self._header)) is None:
            return None
        forwarded = headers.get("x-forwarded-for")
        if not forwarded or forwarded.count(",") + 1 < self._trusted_proxies:
            return None  # somebody came round the proxies
        code = told.rpartition(",")[2].strip().upper()  # of several, what the last proxy added
        return (
            code
            if len(code) == 2 and code.isascii() and code.isalpha() and code not in _NOWHERE
            else None
        )


# What a proxy says that does not know: Cloudflare's XX, and ZZ of Unicode's CLDR. Cloudflare's T1,
# for Tor, is not alphabetic and has fallen before.
_NOWHERE = frozenset({"XX", "ZZ"})
